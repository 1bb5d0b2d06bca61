//! Pods: their row, and what pod templates of other kinds share with them.

use super::at::At;
use super::edit::{self, fill, make, set};
use super::quantity::Quantity;
use super::{GENERIC, Hooks, NameRule, checks, formats, metadata};
use crate::status::FieldErrors;
use schema::Value;
use serde_json::json;

mod container;
mod defaults;
pub(crate) mod environment;
mod mounts;
mod probe;
mod resources;
pub(crate) mod scheduling;
mod security;
mod spec;
mod update;
mod warnings;

pub(crate) use warnings::{
    named_template as named_template_warnings, pod_name as pod_name_warnings,
    template as template_warnings,
};

pub(crate) use defaults::template as default_template;

/// The row of Pod.
pub(crate) const POD: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: defaults::pod,
    admit_create,
    prepare_create,
    prepare_update,
    prepare_status,
    warnings: warnings::pod,
    create,
    update: update::validate,
    status: update::validate_status,
    ..GENERIC
};

/// The row of PodTemplate.
pub(crate) const POD_TEMPLATE: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: |object| defaults::template(object, "template"),
    warnings: |new, old| warnings::template(new, old, "template"),
    create: |object, errors| validate_template(&object.at("template"), errors),
    update: |new, _, errors| validate_template(&new.at("template"), errors),
    ..GENERIC
};

/// A pod as a whole, but for its metadata.
fn whole(pod: &At, errors: &mut FieldErrors) {
    let spec = pod.at("spec");
    spec::validate(&spec, Some(pod.text_of("metadata.name")), errors);
    if spec.text_of("serviceAccountName").is_empty() {
        for volume in spec.at("volumes").items() {
            let projected = volume.at("projected");
            for source in projected.at("sources").items() {
                let token = source.at("serviceAccountToken");
                if token.is_set() {
                    let words = "must not be specified when serviceAccountName is not set";
                    token.forbidden(errors, words);
                }
            }
        }
    }
    checks::non_negative(&spec.at("terminationGracePeriodSeconds"), errors);
    for list in ["containers", "initContainers"] {
        for one in spec.at(list).items() {
            container::no_space_around_image(&one, errors);
        }
    }
}

fn create(pod: &At, errors: &mut FieldErrors) {
    whole(pod, errors);
    let spec = pod.at("spec");
    if !spec.at("ephemeralContainers").is_empty() {
        spec.at("ephemeralContainers").forbidden(errors, "cannot be set on create");
    }
    if !spec.text_of("nodeName").is_empty() && !spec.at("schedulingGates").is_empty() {
        let words = "cannot be set until all schedulingGates have been cleared";
        spec.at("nodeName").forbidden(errors, words);
    }
}

/// The door of `pods/ephemeralcontainers`.
pub fn validate_ephemeral(new: &Value, old: &Value, errors: &mut FieldErrors) {
    update::validate_ephemeral(&At::root(new), &At::root(old), errors);
}

/// A template of pods.
pub(crate) fn validate_template(template: &At, errors: &mut FieldErrors) {
    let metadata = template.at("metadata");
    // Compat: the paths leave `metadata` out.
    checks::labels(&template.at("labels").with(metadata.at("labels").value), errors);
    let annotations = metadata.at("annotations").value;
    metadata::annotations(&template.at("annotations").with(annotations), errors);
    spec::validate(&template.at("spec"), None, errors);
    let added = template.at("spec").at("ephemeralContainers").len();
    if added > 0 {
        let words = "ephemeral containers not allowed in pod template";
        template.at("spec.ephemeralContainers").forbidden(errors, words);
    }
}

/// What the admission plugins Priority and DefaultTolerationSeconds add.
fn admit_create(pod: &mut Value) {
    let Some(spec) = make(pod, "spec") else { return };
    let priority = match edit::text(spec, "priorityClassName") {
        "system-node-critical" => 2_000_001_000,
        "system-cluster-critical" => 2_000_000_000,
        _ => 0,
    };
    fill(spec, "priority", priority);
    fill(spec, "preemptionPolicy", "PreemptLowerPriority");
    tolerate_lost_nodes(spec);
}

/// What DefaultTolerationSeconds adds, on create and on every update: five minutes on a node that
/// is not there.
fn tolerate_lost_nodes(spec: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = |toleration: &Value| {
            let its_key = edit::text(toleration, "key");
            let its_effect = edit::text(toleration, "effect");
            (its_key == key || its_key.is_empty())
                && (its_effect == "NoExecute" || its_effect.is_empty())
        };
        let tolerations = spec.get("tolerations").and_then(Value::as_array);
        if tolerations.is_some_and(|list| list.iter().any(covered)) {
            continue;
        }
        let mut list = tolerations.cloned().unwrap_or_default();
        list.push(json!({
            "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
        }));
        set(spec, "tolerations", list);
    }
}

fn prepare_create(pod: &mut Value) {
    let mut status = json!({ "phase": "Pending", "qosClass": qos_class(pod) });
    let gates = pod.pointer("/spec/schedulingGates");
    if gates.and_then(Value::as_array).is_some_and(|gates| !gates.is_empty()) {
        status["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "lastProbeTime": null,
            "lastTransitionTime": edit::text(pod, "metadata.creationTimestamp"),
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
    }
    set(pod, "status", status);
}

fn prepare_update(new: &mut Value, old: &Value) {
    edit::take_from(new, old, "status");
    edit::with(new, "spec", tolerate_lost_nodes);
}

fn prepare_status(new: &mut Value, old: &Value) {
    edit::take_from(new, old, "spec");
    if let (Some(metadata), Some(was)) = (new.get_mut("metadata"), old.get("metadata")) {
        edit::take_from(metadata, was, "ownerReferences");
    }
    if let (Some(status), Some(was)) = (make(new, "status"), old.get("status"))
        && edit::is_zero(status.get("qosClass"))
    {
        edit::take_from(status, was, "qosClass");
    }
}

/// The class of service: nothing asked is `BestEffort`; cpu and memory limited in every container,
/// with requests equal to the limits, is `Guaranteed`; the rest is `Burstable`.
fn qos_class(pod: &Value) -> &'static str {
    let lists = ["containers", "initContainers"].map(|list| pod["spec"].get(list));
    let containers = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
    let whole = pod["spec"].get("resources").filter(|resources| {
        ["requests", "limits"].iter().any(|side| {
            resources.get(*side).and_then(Value::as_object).is_some_and(|map| !map.is_empty())
        })
    });
    let asking: Vec<&Value> = match whole {
        Some(resources) => vec![resources],
        None => containers.map(|container| &container["resources"]).collect(),
    };
    let amount = |resources: &Value, side: &str, name: &str| {
        Quantity::of(&resources[side][name]).filter(|quantity| *quantity > Quantity::ZERO)
    };
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let mut nothing = true;
    let mut guaranteed = true;
    for resources in asking {
        for name in COUNTED {
            let (request, limit) =
                (amount(resources, "requests", name), amount(resources, "limits", name));
            nothing &= request.is_none() && limit.is_none();
            guaranteed &= limit.is_some() && request == limit;
        }
    }
    match (nothing, guaranteed) {
        (true, _) => "BestEffort",
        (false, true) => "Guaranteed",
        (false, false) => "Burstable",
    }
}
