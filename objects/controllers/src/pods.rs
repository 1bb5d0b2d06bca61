//! What a pod's status says, as several controllers need it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ObjectReference, Pod, PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;

use crate::ownership::is_being_deleted;

/// The pod's phase; empty if it has none yet.
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

/// Whether the pod will never run again.
pub fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether the pod runs or may still come to run, and is not on its way out.
pub fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && !is_being_deleted(&pod.metadata)
}

/// Whether the pod is on its way out and may still run.
pub fn is_terminating(pod: &Pod) -> bool {
    !is_finished(pod) && is_being_deleted(&pod.metadata)
}

/// A condition of the pod by its type.
pub fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref());
    conditions.unwrap_or_default().iter().find(|c| c.type_ == type_)
}

/// Since when the pod has been ready, if it is.
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|c| c.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0))
}

/// Whether the pod serves.
pub fn is_ready(pod: &Pod) -> bool {
    ready_since(pod).is_some()
}

/// How long until the pod counts as available: zero if it does; none if it is not even ready.
pub fn until_available(
    pod: &Pod,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Option<std::time::Duration> {
    let since = ready_since(pod)?;
    let at = since + SignedDuration::from_secs(i64::from(min_ready_seconds.max(0)));
    Some(at.duration_since(now).max(SignedDuration::ZERO).unsigned_abs())
}

/// The pod's node, once it has one.
pub fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// A pod by a template, named and managed by `owner`.
pub fn from_template<K: Resource>(
    owner: &K,
    reference: OwnerReference,
    template: &PodTemplateSpec,
) -> Pod {
    let of_template = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(name_prefix(owner.meta().name.as_deref().unwrap_or_default())),
            namespace: owner.meta().namespace.clone(),
            labels: of_template.labels,
            annotations: of_template.annotations,
            finalizers: of_template.finalizers,
            owner_references: Some(vec![reference]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// What generated pod names begin with: the owner's name and a dash, unless that is too long.
fn name_prefix(owner: &str) -> String {
    // A pod's name is at most 253 bytes, and the server cuts the prefix for its own five.
    if owner.len() >= 253 { owner.to_owned() } else { format!("{owner}-") }
}

/// A reference to a pod by its parts, for events about pods that are only known by name.
pub fn reference(namespace: &str, name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        namespace: Some(namespace.into()),
        name: Some(name.into()),
        ..ObjectReference::default()
    }
}
