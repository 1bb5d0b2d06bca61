//! Names and amounts of resources: cpu, memory, storage, devices.
//!
//! Must not know: who asks for them.

use super::at::At;
use super::checks::NEGATIVE;
use super::formats;
use super::quantity::Quantity;
use crate::status::FieldErrors;
use schema::Value;

// The standard resources are these three lists and the huge pages of each size.

/// What the containers of pods use and ask for.
const COMPUTE: [&str; 9] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

/// What volumes hold. The first is what a claim asks for, the second how a quota calls it.
const STORAGE: [&str; 2] = ["storage", "requests.storage"];

/// Numbers of objects, of which parts have no meaning.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// The name of a resource: a standard one, or one with a domain.
pub(crate) fn resource_name(name: &str, at: &At, errors: &mut FieldErrors) {
    let faults = formats::qualified_name(name);
    if faults.is_empty() && !name.contains('/') && !is_standard(name) {
        at.invalid_as(errors, name, "must be a standard resource type or fully qualified");
    }
    for fault in faults {
        at.invalid_as(errors, name, fault);
    }
}

/// The name of a resource that a container can use.
pub(crate) fn container_resource_name(name: &str, at: &At, errors: &mut FieldErrors) {
    resource_name(name, at, errors);
    if name.contains('/') {
        if !is_native(name) && !is_extended(name) {
            at.invalid_as(errors, name, "doesn't follow extended resource name standard");
        }
    } else if !matches!(name, "cpu" | "memory" | "ephemeral-storage")
        && !name.starts_with("hugepages-")
    {
        at.invalid_as(errors, name, "must be a standard resource for containers");
    }
}

/// An amount of a resource: not negative, whole where parts have no meaning.
pub(crate) fn resource_quantity(name: &str, at: &At, errors: &mut FieldErrors) {
    non_negative(at, errors);
    let whole = COUNTED.contains(&name) || is_extended(name);
    if whole && !Quantity::of(at.value).is_none_or(Quantity::is_whole) {
        at.invalid_as(errors, shown(at.value), "must be an integer");
    }
}

/// The quantity here is not negative.
pub(crate) fn non_negative(at: &At, errors: &mut FieldErrors) {
    if Quantity::of(at.value).is_some_and(Quantity::is_negative) {
        at.invalid_as(errors, shown(at.value), NEGATIVE);
    }
}

/// Whether more can be promised than there is.
pub(crate) fn can_be_overcommitted(name: &str) -> bool {
    is_native(name) && !name.starts_with("hugepages-")
}

/// A quantity as text.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_standard(name: &str) -> bool {
    [&COMPUTE[..], &STORAGE, &COUNTED].iter().any(|names| names.contains(&name))
        || ["hugepages-", "requests.hugepages-"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a quota can limit it by this name.
pub(crate) fn is_quota_name(name: &str) -> bool {
    is_standard(name) && name != "storage"
}

/// Whether it is pods that use it, or are counted, so that a quota can limit it for some of them.
pub(crate) fn is_of_pods(name: &str) -> bool {
    COMPUTE.contains(&name) || name == "pods"
}

/// Without a domain, or with that of Kubernetes.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// With the domain of somebody else, and short enough for a quota of it to have a name.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && formats::qualified_name(&format!("requests.{name}")).is_empty()
}
