//! The lives of namespaces: nothing is created in one that is absent or ending, and a namespace
//! ends in two phases.
//!
//! Invariant: a namespace that the cache does not have is looked for in the storage before anybody
//! is refused.

use schema::Value;

use super::object;
use super::options::DeleteOptions;
use super::request::{Answer, RequestContext, Target};
use super::row::Resource;
use super::serving::Registry;
use super::state::{Attempt, Current};
use crate::status::Status;

/// The selectable field of a namespace that tells whether it is ending.
const PHASE: &str = "status.phase";
/// Namespaces that are never deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

impl Registry {
    /// Refuses a creation in a namespace that is absent or ending.
    pub(super) async fn check_namespace_alive(
        &self,
        row: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<(), Status> {
        // One that is missing altogether is left for validation to tell.
        let in_one = row.namespaced() && !namespace.is_empty();
        let Some(spaces) = self.namespaces().filter(|_| in_one) else { return Ok(()) };
        let ending = match self.cache(spaces).peek(None, namespace) {
            Some(space) => space.field(PHASE) == Some("Terminating"),
            None => match self.newest(spaces, "", namespace).await? {
                Some(space) => space.value["status"]["phase"] == "Terminating",
                None => return Err(Status::not_found("", spaces.plural(), namespace)),
            },
        };
        if !ending {
            return Ok(());
        }
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let refusal = Status::forbidden(row.group(), row.plural(), name, &why);
        Err(refusal.with_cause(
            "NamespaceTerminating",
            format!("namespace {namespace} is being terminated"),
            "metadata.namespace",
        ))
    }

    /// The first deletion of a namespace marks it; it goes when its `spec.finalizers` are gone.
    pub(super) async fn delete_namespace(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        let row = &*target.resource;
        if IMMORTAL.contains(&target.name.as_str()) {
            let why = "this namespace may not be deleted";
            return Err(Status::forbidden(row.group(), row.plural(), &target.name, why));
        }
        let mut writing = self.writing(row, "delete", "", &target.name).await?;
        loop {
            let Some(current) = writing.current.clone() else {
                if writing.was_stale().await? {
                    continue;
                }
                return Err(Status::not_found(row.group(), row.plural(), &target.name));
            };
            if let Err(refusal) = check_preconditions(row, &target.name, options, &current) {
                if writing.was_stale().await? {
                    continue;
                }
                return Err(refusal);
            }
            if object::is_deleting(&current.value) {
                let held = current.value["spec"]["finalizers"].as_array();
                if held.is_none_or(Vec::is_empty) {
                    return self.delete_plain(context, target, options).await;
                }
                let bytes = self.answer_bytes(row, current.value, current.revision)?;
                return Ok(Answer::object(bytes));
            }
            let mut ending = current.value.clone();
            object::set(&mut ending, "deletionTimestamp", Value::from(self.seams().now_text()));
            ending["status"]["phase"] = Value::from("Terminating");
            if let Some(finalizers) = super::delete::collector_finalizers(row, &ending, options) {
                object::set_finalizers(&mut ending, finalizers);
            }
            if let Attempt::Done(revision) = writing.write(&ending, options.dry_run, None).await? {
                let bytes = self.answer_bytes(row, ending, revision)?;
                return Ok(Answer::object(bytes));
            }
        }
    }
}

fn check_preconditions(
    row: &Resource,
    name: &str,
    options: &DeleteOptions,
    current: &Current,
) -> Result<(), Status> {
    let there = object::text(&current.value, "uid");
    if let Some(wanted) = options.preconditions.uid.as_deref().filter(|uid| *uid != there) {
        let why = format!(
            "Precondition failed: UID in precondition: {wanted}, UID in object meta: {there}"
        );
        return Err(Status::conflict(row.group(), row.plural(), name, &why));
    }
    let there = current.revision.to_string();
    let wanted = options.preconditions.resource_version.as_deref();
    if let Some(wanted) = wanted.filter(|version| *version != there) {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in \
             object meta: {there}"
        );
        return Err(Status::conflict(row.group(), row.plural(), name, &why));
    }
    Ok(())
}
