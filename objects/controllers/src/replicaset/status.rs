//! The status of a ReplicaSet, computed from its pods.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pods;
use crate::selector::Labels;

const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The status that the set should show. `failure` is why pods could not be created or deleted.
pub(super) fn of(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    terminating: usize,
    failure: Option<&str>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let spec = set.spec.clone();
    let min_ready = spec.min_ready_seconds.unwrap_or_default();
    let labels = spec.template.and_then(|t| t.metadata).and_then(|m| m.labels).unwrap_or_default();
    let is_available =
        |pod: &Pod| pods::until_available(pod, min_ready, now).is_some_and(|wait| wait.is_zero());
    let before = set.status.clone().unwrap_or_default();
    let too_few = active.len() < usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default();
    ReplicaSetStatus {
        replicas: count(active, |_| true),
        fully_labeled_replicas: Some(count(active, |pod| has_all(pod, &labels))),
        ready_replicas: Some(count(active, pods::is_ready)),
        available_replicas: Some(count(active, is_available)),
        terminating_replicas: Some(i32::try_from(terminating).unwrap_or(i32::MAX)),
        observed_generation: set.metadata.generation,
        conditions: conditions(before.conditions, failure, too_few, now),
    }
}

fn count(active: &[Arc<Pod>], counts: impl Fn(&Pod) -> bool) -> i32 {
    i32::try_from(active.iter().filter(|pod| counts(pod)).count()).unwrap_or(i32::MAX)
}

/// The status as the server sends it, with the zeros that it leaves out, to be compared.
pub(super) fn filled(status: Option<&ReplicaSetStatus>) -> ReplicaSetStatus {
    let status = status.cloned().unwrap_or_default();
    ReplicaSetStatus {
        fully_labeled_replicas: Some(status.fully_labeled_replicas.unwrap_or_default()),
        ready_replicas: Some(status.ready_replicas.unwrap_or_default()),
        available_replicas: Some(status.available_replicas.unwrap_or_default()),
        conditions: Some(status.conditions.unwrap_or_default()),
        ..status
    }
}

fn has_all(pod: &Pod, labels: &Labels) -> bool {
    let has = pod.metadata.labels.as_ref();
    labels.iter().all(|(key, value)| has.and_then(|h| h.get(key)) == Some(value))
}

fn conditions(
    before: Option<Vec<ReplicaSetCondition>>,
    failure: Option<&str>,
    too_few: bool,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let mut conditions = before.unwrap_or_default();
    let known = conditions.iter().any(|c| c.type_.as_deref() == Some(REPLICA_FAILURE));
    match failure {
        None => conditions.retain(|c| c.type_.as_deref() != Some(REPLICA_FAILURE)),
        Some(message) if !known => conditions.push(ReplicaSetCondition {
            type_: Some(REPLICA_FAILURE.into()),
            status: Some("True".into()),
            reason: Some(if too_few { "FailedCreate" } else { "FailedDelete" }.into()),
            message: Some(message.into()),
            last_transition_time: Some(Time(now)),
        }),
        Some(_) => {}
    }
    Some(conditions)
}
