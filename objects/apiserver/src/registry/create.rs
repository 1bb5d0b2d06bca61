//! Creation.
//!
//! Order, as the real one has it: namespace of the body, defaults, the namespace's life, system
//! metadata, preparation, validation, storage.

use schema::Value;

use super::object;
use super::options::CreateOptions;
use super::prepare;
use super::refusals;
use super::request::{Answer, Body, Input, RequestContext, Target};
use super::row::Resource;
use super::serving::Registry;
use super::strict;
use crate::status::{FieldErrors, Status};
use crate::storage::{Outcome, Revision, StorageError, Written};

/// How many names are tried for a `generateName`.
const NAMES_MAX: usize = 8;

impl Registry {
    pub(super) async fn create_object(
        &self,
        context: &RequestContext,
        target: &Target,
        input: Input,
        options: &CreateOptions,
    ) -> Result<Answer, Status> {
        let row = &target.resource;
        let body = self.body_type(target)?;
        let mut warnings = strict::judge(input.findings, options.field_validation, &body)?;
        let mut new = input.value;
        prepare::check_namespace(row, &target.namespace, &mut new)?;
        warnings.extend(prepare::drop_double_owners(&mut new));
        let asked_version = !object::text(&new, "resourceVersion").is_empty();
        let mut new = self.stored_version(row, new)?;
        (row.hooks.default)(&mut new);
        self.check_namespace_alive(row, &target.namespace, object::text(&new, "name")).await?;
        (row.hooks.admit_create)(&mut new);
        let user = &context.user;
        let requester = crate::kinds::Requester {
            name: &user.name,
            uid: &user.uid,
            groups: &user.groups,
            extra: &user.extra,
        };
        (row.hooks.asked_by)(&mut new, &requester);
        let generated = object::text(&new, "name").is_empty();
        let mut attempt = 1;
        loop {
            let mut candidate = new.clone();
            prepare::fill_system_metadata(self.seams(), &mut candidate);
            let said = self.finish_new(context, row, &mut candidate, options.dry_run).await?;
            if asked_version {
                return Err(Status::unknown(
                    "resourceVersion should not be set on objects to be created",
                ));
            }
            match self.store_new(row, &target.namespace, &candidate, options.dry_run).await {
                Ok(revision) => {
                    warnings.extend(said);
                    let bytes = self.answer_bytes(row, candidate, revision)?;
                    return Ok(Answer { code: 201, body: Body::Object(bytes), warnings });
                }
                Err(refusal) => {
                    if refusals::is_final(&refusal) {
                        self.release_addresses(row, &candidate, None, options.dry_run).await;
                    }
                    let taken = refusal.reason == crate::status::Reason::AlreadyExists;
                    if !(generated && taken && attempt < NAMES_MAX) {
                        let kind = if generated && taken { "generated" } else { "given" };
                        return Err(self.name_taken(row, &candidate, kind, refusal));
                    }
                    attempt += 1;
                }
            }
        }
    }

    fn name_taken(&self, row: &Resource, new: &Value, kind: &str, refusal: Status) -> Status {
        if kind == "generated" {
            let name = object::text(new, "name");
            return Status::generate_name_conflict(row.group(), row.plural(), name);
        }
        refusal
    }

    /// Prepares and checks a new object whose system metadata is filled in; what is said of it.
    pub(super) async fn finish_new(
        &self,
        _context: &RequestContext,
        row: &Resource,
        new: &mut Value,
        dry_run: bool,
    ) -> Result<Vec<String>, Status> {
        self.prepare_create(row, new)?;
        self.take_addresses(row, new, None, dry_run).await?;
        let mut errors = FieldErrors::new();
        row.hooks.validate_create(new, row.namespaced(), &mut errors);
        if !errors.is_empty() {
            self.release_addresses(row, new, None, dry_run).await;
            return Err(self.invalid(row, new, errors));
        }
        object::to_stored(new);
        Ok((row.hooks.warnings)(new, None))
    }

    /// 422 for what validation found.
    pub(super) fn invalid(&self, row: &Resource, object: &Value, errors: FieldErrors) -> Status {
        // Compat: the group is that of the stored form.
        Status::invalid(row.stored.0, row.kind(), object::text(object, "name"), errors)
    }

    /// Writes a key that is not there.
    async fn store_new(
        &self,
        row: &Resource,
        namespace: &str,
        new: &Value,
        dry_run: bool,
    ) -> Result<Revision, Status> {
        let name = object::text(new, "name");
        let key = row.key(namespace, name);
        if dry_run {
            return match self.newest(row, namespace, name).await? {
                None => Ok(Revision::NONE),
                Some(there) => Err(taken(row, name, &there.value)),
            };
        }
        let bytes = serde_json::to_vec(new).map_err(Status::internal)?;
        match self.storage().create(&key, bytes.into(), row.rule.ttl).await {
            Ok(Written::Done { revision }) => Ok(revision),
            Ok(Written::Changed { current, .. }) => {
                let there = current.map(|stored| self.read_stored(row, &stored)).transpose()?;
                let value = there.map(|current| current.value).unwrap_or_default();
                Err(taken(row, name, &value))
            }
            Err(StorageError::Unavailable { outcome: Outcome::Unknown, reason }) => {
                self.look_for(row, namespace, new, &reason).await
            }
            Err(error) => Err(refusals::of_storage(row, "create", &error)),
        }
    }

    /// A creation whose outcome is not known: the uid tells whether what is there is ours.
    async fn look_for(
        &self,
        row: &Resource,
        namespace: &str,
        new: &Value,
        reason: &str,
    ) -> Result<Revision, Status> {
        let name = object::text(new, "name");
        match self.newest(row, namespace, name).await? {
            Some(there) if object::text(&there.value, "uid") == object::text(new, "uid") => {
                Ok(there.revision)
            }
            Some(there) => Err(taken(row, name, &there.value)),
            None => Err(Status::timeout(
                &format!("the outcome of the create is not known: {reason}"),
                1,
            )),
        }
    }
}

fn taken(row: &Resource, name: &str, there: &Value) -> Status {
    let mut status = Status::already_exists(row.group(), row.plural(), name);
    if object::is_deleting(there) {
        status.message = format!("object is being deleted: {}", status.message);
    }
    status
}
