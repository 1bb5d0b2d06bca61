//! Namespace: where named things live; it goes away only when nothing is left in it.

use super::at::At;
use super::edit::{self, make, set};
use super::{GENERIC, Hooks, NameRule, formats, metadata};
use crate::status::FieldErrors;
use schema::Value;
use serde_json::json;

/// The row of Namespace.
pub(crate) const NAMESPACE: Hooks = Hooks {
    name: NameRule::Label,
    default,
    prepare_create,
    prepare_update,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: finalizers,
    update: |new, _, errors| finalizers(new, errors),
    status,
    ..GENERIC
};

/// Selectors find a namespace by its name through this label.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The finalizer that the namespace controller removes when all is gone.
const OWN_FINALIZER: &str = "kubernetes";

fn default(namespace: &mut Value) {
    label_with_name(namespace);
    if let Some(status) = make(namespace, "status") {
        edit::fill_zero(status, "phase", "Active");
    }
}

fn label_with_name(namespace: &mut Value) {
    let name = edit::text(namespace, "metadata.name").to_owned();
    let labels = make(namespace, "metadata")
        .and_then(|metadata| if name.is_empty() { None } else { make(metadata, "labels") });
    if let Some(labels) = labels {
        set(labels, NAME_LABEL, name);
    }
}

fn prepare_create(namespace: &mut Value) {
    set(namespace, "status", json!({ "phase": "Active" }));
    label_with_name(namespace);
    let Some(spec) = make(namespace, "spec") else { return };
    let mut list = spec.get("finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    if !list.iter().any(|name| name == OWN_FINALIZER) {
        list.push(json!(OWN_FINALIZER));
    }
    set(spec, "finalizers", list);
}

/// Only the door `namespaces/finalize` changes the finalizers.
fn prepare_update(new: &mut Value, old: &Value) {
    edit::take_from(new, old, "status");
    let was = old.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = make(new, "spec") {
        edit::take_from(spec, &was, "finalizers");
    }
}

fn finalizers(namespace: &At, errors: &mut FieldErrors) {
    let list = namespace.at("spec.finalizers");
    for item in list.items() {
        for fault in formats::qualified_name(item.text()) {
            list.invalid_as(errors, item.text(), fault);
        }
        metadata::known_finalizer(&list, item.text(), errors);
    }
}

fn status(new: &At, _: &At, errors: &mut FieldErrors) {
    let (phase, place) = (new.at("status.phase"), new.at("status.Phase"));
    let (wanted, state) = if new.has("metadata.deletionTimestamp") {
        ("Terminating", "is not empty")
    } else {
        ("Active", "is empty")
    };
    if phase.text() != wanted {
        let words = format!("may only be '{wanted}' if `deletionTimestamp` {state}");
        place.invalid_as(errors, phase.text(), words);
    }
}
