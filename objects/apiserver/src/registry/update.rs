//! Updates: of an object, of its status, and of what is computed from it anew on every attempt
//! (patches, scales, bindings).
//!
//! Invariant: the new object is made from the state it replaces; when that turns out to be old, it
//! is made again.

use schema::Value;

use super::object;
use super::options::UpdateOptions;
use super::prepare;
use super::refusals;
use super::request::{Answer, Body, Input, RequestContext, Target};
use super::row::Resource;
use super::serving::Registry;
use super::state::{Attempt, Current, Writing};
use super::strict;
use crate::status::{FieldErrors, FieldPath, Status};
use crate::storage::Revision;

/// Which part of an object an update is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything but the status.
    Whole,
    /// The status.
    Status,
    /// `spec.finalizers` of a namespace.
    Finalizers,
    /// What a subresource of its own kind made: prepared already.
    Made,
    /// The ephemeral containers of a pod.
    Ephemeral,
    /// The resources of the containers of a pod.
    Resize,
}

/// What a change makes of the present state: the new object in the stored version, with the
/// resourceVersion it insists on, if any, and what the client is told.
pub(super) type Made = (Value, Vec<String>);

/// How an update goes.
pub(super) struct Change<'a> {
    pub(super) target: &'a Target,
    pub(super) part: Part,
    pub(super) dry_run: bool,
    /// Whether the object may be created if it is not there.
    pub(super) may_create: bool,
}

/// The end of an update.
pub(super) struct Changed {
    pub(super) object: Value,
    pub(super) revision: Revision,
    pub(super) created: bool,
    pub(super) warnings: Vec<String>,
}

impl Registry {
    pub(super) async fn update_object(
        &self,
        context: &RequestContext,
        target: &Target,
        part: Part,
        input: Input,
        options: &UpdateOptions,
    ) -> Result<Answer, Status> {
        let row = &target.resource;
        let body = self.body_type(target)?;
        let mut said = strict::judge(input.findings, options.field_validation, &body)?;
        let mut new = input.value;
        said.extend(prepare::drop_double_owners(&mut new));
        prepare::check_namespace(row, &target.namespace, &mut new)?;
        prepare::check_name(&target.name, &new)?;
        let mut new = self.stored_version(row, new)?;
        (row.hooks.default)(&mut new);
        let uid = object::text(&new, "uid").to_owned();
        let change = Change {
            target,
            part,
            dry_run: options.dry_run,
            may_create: row.rule.create_on_update && part == Part::Whole,
        };
        let changed = self
            .change(context, &change, |current| {
                check_uid(target, &uid, current)?;
                Ok((new.clone(), Vec::new()))
            })
            .await?;
        let mut answer = self.changed_answer(row, changed)?;
        answer.warnings.splice(0..0, said);
        Ok(answer)
    }

    /// The answer of an update.
    pub(super) fn changed_answer(
        &self,
        row: &Resource,
        changed: Changed,
    ) -> Result<Answer, Status> {
        let bytes = self.answer_bytes(row, changed.object, changed.revision)?;
        let code = if changed.created { 201 } else { 200 };
        Ok(Answer { code, body: Body::Object(bytes), warnings: changed.warnings })
    }

    /// Makes the new object from the present one and writes it, again and again until it is
    /// written, refused, or found written already.
    pub(super) async fn change<F>(
        &self,
        context: &RequestContext,
        change: &Change<'_>,
        mut make: F,
    ) -> Result<Changed, Status>
    where
        F: FnMut(Option<&Current>) -> Result<Made, Status> + Send,
    {
        let target = change.target;
        let row = &*target.resource;
        let mut writing = self.writing(row, "update", &target.namespace, &target.name).await?;
        loop {
            let made = match &writing.current {
                None if !change.may_create => {
                    Err(Status::not_found(row.group(), row.plural(), &target.name))
                }
                current => make(current.as_ref()),
            };
            let attempt = match made {
                Ok(made) => self.attempt(context, change, &mut writing, made).await,
                Err(refusal) => Err(refusal),
            };
            match attempt {
                Ok(Some(changed)) => return Ok(changed),
                Ok(None) => {}
                Err(refusal) => {
                    if !writing.was_stale().await? {
                        return Err(refusal);
                    }
                }
            }
        }
    }

    /// One attempt; none if it has to be made again.
    async fn attempt(
        &self,
        context: &RequestContext,
        change: &Change<'_>,
        writing: &mut Writing<'_>,
        (mut new, mut warnings): Made,
    ) -> Result<Option<Changed>, Status> {
        let row = &*change.target.resource;
        let Some(old) = writing.current.clone() else {
            return self.attempt_create(context, change, writing, new).await;
        };
        check_version(row, &change.target.name, &new, &old)?;
        object::set(&mut new, "resourceVersion", Value::from(old.revision.to_string()));
        prepare::check_namespace(row, &change.target.namespace, &mut new)?;
        warnings.extend(self.finish_changed(row, change, &mut new, &old.value).await?);
        if deletes(row, &new, &old.value) {
            return Ok(match writing.delete(change.dry_run).await? {
                Attempt::Done(_) => {
                    self.release_addresses(row, &old.value, None, change.dry_run).await;
                    let revision = old.revision;
                    Some(Changed { object: new, revision, created: false, warnings })
                }
                Attempt::Again => None,
            });
        }
        let attempt = writing.write(&new, change.dry_run, row.rule.ttl).await;
        match attempt {
            Ok(Attempt::Done(revision)) => {
                self.release_addresses(row, &old.value, Some(&new), change.dry_run).await;
                Ok(Some(Changed { object: new, revision, created: false, warnings }))
            }
            Err(refusal) if !refusals::is_final(&refusal) => Err(refusal),
            other => {
                self.release_addresses(row, &new, Some(&old.value), change.dry_run).await;
                other.map(|_| None)
            }
        }
    }

    async fn attempt_create(
        &self,
        context: &RequestContext,
        change: &Change<'_>,
        writing: &mut Writing<'_>,
        mut new: Value,
    ) -> Result<Option<Changed>, Status> {
        let target = change.target;
        let row = &*target.resource;
        if !object::text(&new, "uid").is_empty() {
            return Err(uid_conflict(row, target, object::text(&new, "uid"), ""));
        }
        self.check_namespace_alive(row, &target.namespace, &target.name).await?;
        (row.hooks.admit_create)(&mut new);
        prepare::fill_system_metadata(self.seams(), &mut new);
        let warnings = self.finish_new(context, row, &mut new, change.dry_run).await?;
        Ok(match writing.write(&new, change.dry_run, row.rule.ttl).await? {
            Attempt::Done(revision) => {
                Some(Changed { object: new, revision, created: true, warnings })
            }
            Attempt::Again => {
                self.release_addresses(row, &new, None, change.dry_run).await;
                None
            }
        })
    }

    /// Prepares and checks the object that replaces the old one; what is said of it.
    async fn finish_changed(
        &self,
        row: &Resource,
        change: &Change<'_>,
        new: &mut Value,
        old: &Value,
    ) -> Result<Vec<String>, Status> {
        let mut errors = FieldErrors::new();
        match change.part {
            Part::Status => {
                self.prepare_status(row, new, old)?;
                row.hooks.validate_status_update(new, old, row.namespaced(), &mut errors);
            }
            Part::Finalizers => {
                self.prepare_finalizers(row, new, old)?;
                row.hooks.validate_status_update(new, old, row.namespaced(), &mut errors);
            }
            Part::Whole => {
                self.prepare_update(row, new, old)?;
                self.take_addresses(row, new, Some(old), change.dry_run).await?;
                row.hooks.validate_update(new, old, row.namespaced(), &mut errors);
            }
            Part::Ephemeral | Part::Resize => {
                super::pods::keep_all_but(change.part, new, old);
                self.prepare_made(row, new, old)?;
                prepare::count_generation(row, new, old);
                row.hooks.validate_create(new, row.namespaced(), &mut errors);
                if change.part == Part::Ephemeral {
                    crate::kinds::validate_ephemeral(new, old, &mut errors);
                }
            }
            Part::Made => self.prepare_made(row, new, old)?,
        }
        if !errors.is_empty() {
            self.release_addresses(row, new, Some(old), change.dry_run).await;
            return Err(self.invalid(row, new, errors));
        }
        object::to_stored(new);
        let warnings = match change.part {
            Part::Whole => (row.hooks.warnings)(new, Some(old)),
            _ => Vec::new(),
        };
        Ok(warnings)
    }

    fn prepare_finalizers(
        &self,
        row: &Resource,
        new: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        object::keep_top(new, old, "status");
        object::keep(new, old, "generation");
        self.normalize_stored(row, new)?;
        prepare::keep_system_metadata(new, old);
        Ok(())
    }

    fn prepare_made(&self, row: &Resource, new: &mut Value, old: &Value) -> Result<(), Status> {
        self.normalize_stored(row, new)?;
        prepare::keep_system_metadata(new, old);
        Ok(())
    }
}

/// A uid in the new object must be that of the old one.
pub(super) fn check_uid(
    target: &Target,
    uid: &str,
    current: Option<&Current>,
) -> Result<(), Status> {
    let there = current.map_or("", |current| object::text(&current.value, "uid"));
    if uid.is_empty() || current.is_none() || uid == there {
        return Ok(());
    }
    Err(uid_conflict(&target.resource, target, uid, there))
}

/// Compat: the real one's words name its own storage.
fn uid_conflict(row: &Resource, target: &Target, wanted: &str, there: &str) -> Status {
    let key = row.key(&target.namespace, &target.name);
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry{key}, ResourceVersion: 0, \
         AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object \
         meta: {there}"
    );
    Status::conflict(row.group(), row.plural(), &target.name, &why)
}

fn check_version(row: &Resource, name: &str, new: &Value, old: &Current) -> Result<(), Status> {
    match object::text(new, "resourceVersion") {
        "" | "0" if row.rule.unconditional_update => Ok(()),
        "" | "0" => {
            let mut errors = FieldErrors::new();
            let path = FieldPath::new("metadata").child("resourceVersion");
            errors.invalid(&path, 0_i64, "must be specified for an update");
            Err(Status::invalid(row.group(), row.plural(), name, errors))
        }
        text => match text.parse::<u64>() {
            Ok(version) if version == old.revision.0 => Ok(()),
            Ok(_) => Err(Status::modified(row.group(), row.plural(), name)),
            Err(_) => Err(Status::unknown(crate::cache::parsed_as_uint(text))),
        },
    }
}

/// Whether an update ends the object: it is being deleted, nothing waits, and the last finalizer is
/// gone.
fn deletes(row: &Resource, new: &Value, old: &Value) -> bool {
    let waits = object::integer(old, "deletionGracePeriodSeconds").unwrap_or(0) != 0;
    let held = row.rule.is_namespace
        && new["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    object::is_deleting(old) && !waits && !held && object::finalizers(new).is_empty()
}
