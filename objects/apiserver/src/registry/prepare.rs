//! What the registry makes of an object before it is stored: system metadata, status and spec kept
//! apart, generations counted.
//!
//! Invariant: these are pure functions of the row, the new object and the old one.

use schema::Value;
use serde_json::Map;

use super::object;
use super::row::Resource;
use super::rules::{Generation, StatusMetadata};
use super::seams::Seams;
use super::serving::Registry;
use crate::status::Status;

/// What a name and a namespace in the body must be, for the request's.
pub(super) fn check_namespace(
    row: &Resource,
    namespace: &str,
    object: &mut Value,
) -> Result<(), Status> {
    let wanted = if row.namespaced() { namespace } else { "" };
    let given = object::text(object, "namespace");
    if given == wanted {
        return Ok(());
    }
    if given.is_empty() || wanted.is_empty() {
        let value = if wanted.is_empty() { Value::Null } else { Value::from(wanted) };
        object::set(object, "namespace", value);
        return Ok(());
    }
    Err(Status::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}

/// Drops owners that are named twice; what the client is told of them.
pub(super) fn drop_double_owners(object: &mut Value) -> Option<String> {
    let owners = object["metadata"]["ownerReferences"].as_array_mut()?;
    let mut kept: Vec<Value> = Vec::with_capacity(owners.len());
    let mut double = Vec::new();
    for owner in owners.drain(..) {
        if kept.contains(&owner) {
            double.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    if double.is_empty() {
        return None;
    }
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references \
         in 1.20+, and may reject such requests as early as 1.24; please fix your requests; \
         duplicate UID(s) observed: {}",
        double.join(", ")
    ))
}

/// The name in the body of an update must be that of the URL.
pub(super) fn check_name(name: &str, object: &Value) -> Result<(), Status> {
    let given = object::text(object, "name");
    if given.is_empty() {
        return Err(undeterminable(name));
    }
    if given != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    Ok(())
}

/// The body of an update has no name.
pub(super) fn undeterminable(name: &str) -> Status {
    Status::bad_request(format!(
        "the name of the object ({name} based on URL) was undeterminable: name must be provided"
    ))
}

/// Gives a new object its uid, its time and, where it is asked to be generated, its name.
pub(super) fn fill_system_metadata(seams: &Seams, object: &mut Value) {
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"] {
        object::set(object, field, Value::Null);
    }
    object::set(object, "creationTimestamp", Value::from(seams.now_text()));
    object::set(object, "uid", Value::from(seams.uid()));
    let prefix = object::text(object, "generateName").to_owned();
    if !prefix.is_empty() && object::text(object, "name").is_empty() {
        object::set(object, "name", Value::from(seams.name(&prefix)));
    }
}

impl Registry {
    /// The generic part of what becomes of a new object, then the kind's own.
    pub(super) fn prepare_create(&self, row: &Resource, new: &mut Value) -> Result<(), Status> {
        if row.rule.named_by_uid && object::text(new, "name").is_empty() {
            object::set(new, "name", Value::from(self.seams().uid()));
        }
        if row.has_status() && !row.rule.status_on_create {
            drop_top(new, "status");
        }
        if !matches!(row.rule.generation, Generation::Uncounted | Generation::SpecFromNone) {
            object::set(new, "generation", Value::from(1));
        }
        (row.hooks.prepare_create)(new);
        self.normalize_stored(row, new)
    }

    /// The same for an object that replaces another through the resource itself.
    pub(super) fn prepare_update(
        &self,
        row: &Resource,
        new: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        object::keep(new, old, "generation");
        if row.has_status() {
            object::keep_top(new, old, "status");
        }
        (row.hooks.prepare_update)(new, old);
        self.normalize_stored(row, new)?;
        count_generation(row, new, old);
        keep_system_metadata(new, old);
        Ok(())
    }

    /// The same for one that replaces another through its status.
    pub(super) fn prepare_status(
        &self,
        row: &Resource,
        new: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        let tops: Vec<String> = new
            .as_object()
            .into_iter()
            .chain(old.as_object())
            .flat_map(Map::keys)
            .filter(|key| !["metadata", "status", "kind", "apiVersion"].contains(&key.as_str()))
            .cloned()
            .collect();
        for top in tops {
            object::keep_top(new, old, &top);
        }
        object::keep(new, old, "generation");
        let kept: &[&str] = match row.rule.status_metadata {
            StatusMetadata::Free => &[],
            StatusMetadata::KeepLabels => &["labels"],
            StatusMetadata::KeepOwners => &["ownerReferences"],
            StatusMetadata::KeepAll => {
                &["labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp"]
            }
        };
        for field in kept {
            object::keep(new, old, field);
        }
        (row.hooks.prepare_status)(new, old);
        self.normalize_stored(row, new)?;
        keep_system_metadata(new, old);
        Ok(())
    }

    /// Brings an object of the stored version into its canonical form.
    pub(super) fn normalize_stored(
        &self,
        row: &Resource,
        object: &mut Value,
    ) -> Result<(), Status> {
        let taken = std::mem::take(object);
        *object = schema::typed::normalize(self.schema(), row.stored_type_id, taken)
            .map_err(Status::internal)?;
        Ok(())
    }
}

/// Counts the change, where the row says that it is one.
pub(super) fn count_generation(row: &Resource, new: &mut Value, old: &Value) {
    if counts(row.rule.generation, new, old) {
        let next = object::integer(old, "generation").unwrap_or(0) + 1;
        object::set(new, "generation", Value::from(next));
    }
}

/// What no update changes. What a client may not change either is left for validation to refuse.
pub(super) fn keep_system_metadata(new: &mut Value, old: &Value) {
    if object::text(new, "uid").is_empty() {
        object::keep(new, old, "uid");
    }
    object::keep(new, old, "creationTimestamp");
    if object::is_deleting(old) {
        object::keep(new, old, "deletionTimestamp");
    }
    if object::integer(new, "deletionGracePeriodSeconds").is_none() {
        object::keep(new, old, "deletionGracePeriodSeconds");
    }
    object::metadata_mut(new).remove("managedFields");
    object::metadata_mut(new).remove("selfLink");
}

fn drop_top(object: &mut Value, field: &str) {
    if let Some(top) = object.as_object_mut() {
        top.remove(field);
    }
}

fn counts(rule: Generation, new: &Value, old: &Value) -> bool {
    let annotations = |object: &Value| match &object["metadata"]["annotations"] {
        Value::Object(map) if !map.is_empty() => Some(map.clone()),
        _ => None,
    };
    match rule {
        Generation::Uncounted | Generation::First => false,
        Generation::Spec | Generation::SpecFromNone => new.get("spec") != old.get("spec"),
        Generation::SpecOrAnnotations => {
            new.get("spec") != old.get("spec") || annotations(new) != annotations(old)
        }
        Generation::Content => content(new) != content(old),
        Generation::ContentOrLabels => {
            content(new) != content(old) || new["metadata"]["labels"] != old["metadata"]["labels"]
        }
    }
}

/// All members but the metadata, the status, and the type.
fn content(object: &Value) -> Vec<(&String, &Value)> {
    let apart = ["metadata", "status", "kind", "apiVersion"];
    let members = object.as_object().into_iter().flatten();
    members.filter(|(key, _)| !apart.contains(&key.as_str())).collect()
}
