//! ReplicaSet: that many pods of one template.

use super::{counts, parts_of_replicas};
use crate::kinds::at::At;
use crate::kinds::checks;
use crate::kinds::edit::{self, fill, make};
use crate::kinds::{GENERIC, Hooks, NameRule, pod};
use crate::status::FieldErrors;
use schema::Value;

/// The row of ReplicaSet.
pub(crate) const REPLICA_SET: Hooks = Hooks {
    name: NameRule::Subdomain,
    default,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    warnings: |new, old| pod::named_template_warnings(new, old, "spec.template"),
    create: |object, errors| spec(&object.at("spec"), errors),
    update,
    status,
    ..GENERIC
};

fn default(object: &mut Value) {
    pod::default_template(object, "spec.template");
    if let Some(spec) = make(object, "spec") {
        fill(spec, "replicas", 1);
    }
}

fn spec(spec: &At, errors: &mut FieldErrors) {
    checks::non_negative(&spec.at("replicas"), errors);
    checks::non_negative(&spec.at("minReadySeconds"), errors);
    // Compat: the words name a deployment here too.
    super::selector_and_template(spec, "deployment", errors);
}

fn update(new: &At, old: &At, errors: &mut FieldErrors) {
    spec(&new.at("spec"), errors);
    checks::immutable(&new.at("spec.selector"), &old.at("spec.selector"), errors);
}

fn status(new: &At, _: &At, errors: &mut FieldErrors) {
    let status = new.at("status");
    counts(
        &status,
        &[
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "observedGeneration",
            "terminatingReplicas",
        ],
        errors,
    );
    let parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    parts_of_replicas(&status, &parts, errors);
}
