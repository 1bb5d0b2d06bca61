//! ReplicationController: what ReplicaSet was, with a plain map as its selector.

use super::{always_restarts, counts, parts_of_replicas};
use crate::kinds::at::At;
use crate::kinds::checks;
use crate::kinds::edit::{self, fill, is_zero, make, set};
use crate::kinds::{GENERIC, Hooks, NameRule, pod};
use crate::status::FieldErrors;
use schema::Value;

/// The row of ReplicationController.
pub(crate) const REPLICATION_CONTROLLER: Hooks = Hooks {
    name: NameRule::LongName,
    default,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    warnings: |new, old| pod::named_template_warnings(new, old, "spec.template"),
    create: |object, errors| spec(&object.at("spec"), errors),
    update: |new, _, errors| spec(&new.at("spec"), errors),
    status,
    ..GENERIC
};

fn default(object: &mut Value) {
    pod::default_template(object, "spec.template");
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    if let Some(labels) = labels.filter(|labels| !labels.is_null()) {
        let empty = |value: Option<&Value>| {
            is_zero(value) || value.and_then(Value::as_object).is_some_and(|map| map.is_empty())
        };
        if let Some(metadata) = make(object, "metadata")
            && empty(metadata.get("labels"))
        {
            set(metadata, "labels", labels.clone());
        }
        if let Some(spec) = make(object, "spec")
            && empty(spec.get("selector"))
        {
            set(spec, "selector", labels);
        }
    }
    if let Some(spec) = make(object, "spec") {
        fill(spec, "replicas", 1);
    }
}

fn spec(spec: &At, errors: &mut FieldErrors) {
    let selector = spec.at("selector");
    if selector.is_empty() {
        selector.required(errors, "");
    }
    let template = spec.at("template");
    if template.is_set() {
        let labels = template.at("metadata.labels");
        let selected = selector.entries().all(|(key, value)| {
            labels.value.get(key).and_then(Value::as_str) == Some(value.text())
        });
        if !selected {
            labels.invalid(errors, "`selector` does not match template `labels`");
        }
        pod::validate_template(&template, errors);
        always_restarts(&template, errors);
        if template.has("spec.activeDeadlineSeconds") {
            let words = "activeDeadlineSeconds in ReplicationController is not Supported";
            template.at("spec.activeDeadlineSeconds").forbidden(errors, words);
        }
    } else {
        template.required(errors, "");
    }
    checks::non_negative(&spec.at("minReadySeconds"), errors);
    checks::non_negative(&spec.at("replicas"), errors);
}

fn status(new: &At, _: &At, errors: &mut FieldErrors) {
    let status = new.at("status");
    let parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    counts(&status, &["replicas"], errors);
    counts(&status, &parts, errors);
    counts(&status, &["observedGeneration"], errors);
    parts_of_replicas(&status, &parts, errors);
}
