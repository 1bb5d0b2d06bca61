//! The status of a Deployment, and the conditions that `kubectl rollout status` reads.
//!
//! Compat: types, reasons and messages of conditions are those of Kubernetes, to the letter.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, ReplicaSetStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::arithmetic::Budget;

const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";
const AVAILABLE_REASON: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// The status as the server sends it, with the zeros that it leaves out, to be compared.
pub(super) fn filled(status: Option<&DeploymentStatus>) -> DeploymentStatus {
    let status = status.cloned().unwrap_or_default();
    DeploymentStatus {
        replicas: Some(status.replicas.unwrap_or_default()),
        updated_replicas: Some(status.updated_replicas.unwrap_or_default()),
        ready_replicas: Some(status.ready_replicas.unwrap_or_default()),
        available_replicas: Some(status.available_replicas.unwrap_or_default()),
        unavailable_replicas: Some(status.unavailable_replicas.unwrap_or_default()),
        conditions: Some(status.conditions.unwrap_or_default()),
        ..status
    }
}

/// The numbers, and whether enough replicas are available. `before` carries the conditions.
pub(super) fn counted(
    deployment: &Deployment,
    before: &DeploymentStatus,
    new: Option<&ReplicaSet>,
    sets: &[Arc<ReplicaSet>],
    now: Timestamp,
) -> DeploymentStatus {
    let budget = Budget::of(&deployment.spec);
    let sum = |of: fn(&ReplicaSetStatus) -> i32| sets.iter().map(|set| status_of(set, of)).sum();
    let available: i32 = sum(|s| s.available_replicas.unwrap_or_default());
    let wanted: i32 = sets.iter().map(|set| super::wanted(set)).sum();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: Some(sum(|s| s.replicas)),
        updated_replicas: Some(new.map_or(0, |set| status_of(set, |s| s.replicas))),
        ready_replicas: Some(sum(|s| s.ready_replicas.unwrap_or_default())),
        available_replicas: Some(available),
        unavailable_replicas: Some((wanted - available).max(0)),
        terminating_replicas: terminating(sets),
        collision_count: before.collision_count,
        conditions: before.conditions.clone(),
    };
    let enough = available >= budget.fewest();
    let (word, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set(&mut status, condition("Available", word, reason, message.into(), now));
    status
}

pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.strategy.as_ref();
    strategy.and_then(|s| s.type_.as_deref()) != Some("Recreate")
}

fn status_of(set: &ReplicaSet, of: fn(&ReplicaSetStatus) -> i32) -> i32 {
    set.status.as_ref().map_or(0, of)
}

/// Nothing as soon as one set's controller does not tell.
fn terminating(sets: &[Arc<ReplicaSet>]) -> Option<i32> {
    let of = |set: &Arc<ReplicaSet>| {
        let status = set.status.clone().unwrap_or_default();
        let not_looked_at = status.observed_generation.unwrap_or_default() == 0;
        status.terminating_replicas.or(not_looked_at.then_some(0))
    };
    sets.iter().map(of).sum()
}

/// Brings the Progressing condition up to date with how the rollout goes.
pub(super) fn progress(
    deployment: &Deployment,
    status: &mut DeploymentStatus,
    new: Option<&ReplicaSet>,
    now: Timestamp,
) {
    let Some(deadline) = deadline(deployment) else {
        return remove(status, PROGRESSING);
    };
    let before = filled(deployment.status.as_ref());
    let current = find(status, PROGRESSING).cloned();
    let settled = status.replicas == status.updated_replicas
        && current.as_ref().is_some_and(|c| reason(c) == AVAILABLE_REASON);
    if settled {
        return;
    }
    let what = match new.and_then(|set| set.metadata.name.as_deref()) {
        Some(name) => format!("ReplicaSet {name:?}"),
        None => format!("Deployment {:?}", deployment.metadata.name.clone().unwrap_or_default()),
    };
    if is_complete(deployment, status) {
        let message = format!("{what} has successfully progressed.");
        set(status, condition(PROGRESSING, "True", AVAILABLE_REASON, message, now));
    } else if has_progressed(&before, status) {
        let message = format!("{what} is progressing.");
        // Removed first: progress moves the update time though reason and status stay.
        remove(status, PROGRESSING);
        let mut progressing = condition(PROGRESSING, "True", "ReplicaSetUpdated", message, now);
        if let Some(current) = current.filter(|c| c.status.as_deref() == Some("True")) {
            progressing.last_transition_time = current.last_transition_time;
        }
        set(status, progressing);
    } else if current.as_ref().is_some_and(|c| has_timed_out(c, deadline, now)) {
        let message = format!("{what} has timed out progressing.");
        set(status, condition(PROGRESSING, "False", TIMED_OUT, message, now));
    }
}

/// Shows the first failure of a set to create or delete pods, the new set's first.
pub(super) fn failures(
    status: &mut DeploymentStatus,
    new: Option<&ReplicaSet>,
    sets: &[Arc<ReplicaSet>],
) {
    let of = |set: &ReplicaSet| {
        let conditions = set.status.as_ref().and_then(|s| s.conditions.clone())?;
        conditions.into_iter().find(|c| c.type_.as_deref() == Some(REPLICA_FAILURE))
    };
    let failure = new.and_then(of).or_else(|| sets.iter().find_map(|set| of(set)));
    let Some(failure) = failure else {
        return remove(status, REPLICA_FAILURE);
    };
    set(
        status,
        DeploymentCondition {
            type_: failure.type_,
            status: failure.status,
            last_update_time: failure.last_transition_time.clone(),
            last_transition_time: failure.last_transition_time,
            reason: failure.reason,
            message: failure.message,
        },
    );
}

/// Notes in the Progressing condition that the rollout was paused or goes on.
pub(super) fn paused(deployment: &Deployment, status: &mut DeploymentStatus, now: Timestamp) {
    if deadline(deployment).is_none() {
        return;
    }
    let current = find(status, PROGRESSING).map(|c| reason(c).to_owned()).unwrap_or_default();
    if current == TIMED_OUT {
        return;
    }
    let paused = deployment.spec.paused.unwrap_or_default();
    let (reason, message) = match (paused, current == PAUSED) {
        (true, false) => (PAUSED, "Deployment is paused"),
        (false, true) => ("DeploymentResumed", "Deployment is resumed"),
        _ => return,
    };
    set(status, condition(PROGRESSING, "Unknown", reason, message.into(), now));
}

/// Notes what was learned of the new set, unless the Deployment has no deadline.
pub(super) fn note(
    deployment: &Deployment,
    status: &mut DeploymentStatus,
    news: &News<'_>,
    now: Timestamp,
) {
    if deadline(deployment).is_none() {
        return;
    }
    let (word, reason, message) = match news {
        News::Found(_) if find(status, PROGRESSING).is_some() => return,
        News::Found(name) => {
            ("True", "FoundNewReplicaSet", format!("Found new replica set {name:?}"))
        }
        News::Created(name) => {
            ("True", "NewReplicaSetCreated", format!("Created new replica set {name:?}"))
        }
        News::Failed(message) => ("False", "ReplicaSetCreateError", (*message).to_owned()),
    };
    set(status, condition(PROGRESSING, word, reason, message, now));
}

/// What a look for the new set brought.
#[derive(Debug)]
pub(super) enum News<'a> {
    /// It was there.
    Found(&'a str),
    /// It was made.
    Created(&'a str),
    /// It could not be made.
    Failed(&'a str),
}

/// When the Deployment must be looked at again because its deadline passes.
pub(super) fn next_look(
    deployment: &Deployment,
    status: &DeploymentStatus,
    now: Timestamp,
) -> Option<Duration> {
    let deadline = deadline(deployment)?;
    let current = find(status, PROGRESSING)?;
    if is_complete(deployment, status) || reason(current) == TIMED_OUT {
        return None;
    }
    let left = (current.last_update_time.as_ref()?.0 + deadline).duration_since(now);
    // A second more: stored times are whole seconds.
    Some(left.max(SignedDuration::ZERO).unsigned_abs() + Duration::from_secs(1))
}

/// Whether all replicas are of the new template and available.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let desired = Some(deployment.spec.replicas.unwrap_or(1));
    status.updated_replicas == desired
        && status.replicas == desired
        && status.available_replicas == desired
        && status.observed_generation >= deployment.metadata.generation
}

fn has_progressed(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    let old = |s: &DeploymentStatus| {
        s.replicas.unwrap_or_default() - s.updated_replicas.unwrap_or_default()
    };
    after.updated_replicas > before.updated_replicas
        || old(after) < old(before)
        || after.ready_replicas > before.ready_replicas
        || after.available_replicas > before.available_replicas
}

fn has_timed_out(current: &DeploymentCondition, deadline: SignedDuration, now: Timestamp) -> bool {
    match reason(current) {
        AVAILABLE_REASON => false,
        TIMED_OUT => true,
        _ => current.last_update_time.as_ref().is_some_and(|t| t.0 + deadline < now),
    }
}

/// How long a rollout may stand still; none means for ever.
fn deadline(deployment: &Deployment) -> Option<SignedDuration> {
    let seconds = deployment.spec.progress_deadline_seconds?;
    (seconds != i32::MAX).then(|| SignedDuration::from_secs(i64::from(seconds)))
}

fn reason(condition: &DeploymentCondition) -> &str {
    condition.reason.as_deref().unwrap_or_default()
}

fn find<'a>(status: &'a DeploymentStatus, type_: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|c| c.type_.as_deref() == Some(type_))
}

fn remove(status: &mut DeploymentStatus, type_: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|c| c.type_.as_deref() != Some(type_));
    }
}

/// Sets the condition; one of the same status and reason stays as it is, with its times.
fn set(status: &mut DeploymentStatus, mut new: DeploymentCondition) {
    let type_ = new.type_.clone().unwrap_or_default();
    if let Some(current) = find(status, &type_) {
        if current.status == new.status && current.reason == new.reason {
            return;
        }
        if current.status == new.status {
            new.last_transition_time.clone_from(&current.last_transition_time);
        }
    }
    remove(status, &type_);
    status.conditions.get_or_insert_default().push(new);
}

fn condition(
    type_: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(type_.into()),
        status: Some(status.into()),
        reason: Some(reason.into()),
        message: Some(message),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(status: Value) -> Deployment {
        let deployment = json!({
            "metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": 4, "progressDeadlineSeconds": 60, "selector": {}, "template": {},
                "strategy": {"type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}},
            "status": status,
        });
        serde_json::from_value(deployment).expect("a Deployment")
    }

    fn set_of(name: &str, replicas: i32, available: i32) -> Arc<ReplicaSet> {
        let set = json!({
            "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {}},
            "status": {"replicas": replicas, "readyReplicas": available,
                "availableReplicas": available, "observedGeneration": 1,
                "terminatingReplicas": 0},
        });
        Arc::new(serde_json::from_value(set).expect("a ReplicaSet"))
    }

    fn progressing(at: Timestamp, reason: &str) -> Value {
        json!({"conditions": [{"type": "Progressing", "status": "True", "reason": reason,
            "lastUpdateTime": at.to_string(), "lastTransitionTime": at.to_string()}]})
    }

    /// Reason and message of a condition after one look at `now`.
    fn look(
        deployment: &Deployment,
        new: &Arc<ReplicaSet>,
        now: Timestamp,
        type_: &str,
    ) -> (String, String) {
        let before = filled(deployment.status.as_ref());
        let sets = [new.clone()];
        let mut status = counted(deployment, &before, Some(new.as_ref()), &sets, now);
        progress(deployment, &mut status, Some(new.as_ref()), now);
        let found = find(&status, type_).cloned().unwrap_or_default();
        (found.reason.unwrap_or_default(), found.message.unwrap_or_default())
    }

    #[test]
    fn availability_is_what_the_strategy_allows() {
        let (now, deployment) = (Timestamp::UNIX_EPOCH, deployment(json!({})));
        let reason = |available| look(&deployment, &set_of("a", 4, available), now, "Available").0;
        assert_eq!(reason(3), "MinimumReplicasAvailable");
        assert_eq!(reason(2), "MinimumReplicasUnavailable");
    }

    #[test]
    fn a_rollout_without_progress_times_out_at_its_deadline() {
        let start = Timestamp::UNIX_EPOCH;
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        let mut before = progressing(start, "ReplicaSetUpdated");
        before["replicas"] = json!(4);
        before["updatedReplicas"] = json!(4);
        before["readyReplicas"] = json!(1);
        before["availableReplicas"] = json!(1);
        let stuck = deployment(before);
        let (set, kind) = (set_of("a", 4, 1), PROGRESSING);
        assert_eq!(look(&stuck, &set, at(59), kind).0, "ReplicaSetUpdated");
        let timed_out = look(&stuck, &set, at(61), kind);
        let message = "ReplicaSet \"a\" has timed out progressing.";
        assert_eq!(timed_out, (TIMED_OUT.into(), message.into()));
        assert_eq!(look(&stuck, &set_of("a", 4, 2), at(61), kind).0, "ReplicaSetUpdated");
        assert_eq!(look(&stuck, &set_of("a", 4, 4), at(61), kind).0, AVAILABLE_REASON);
    }

    #[test]
    fn the_deadline_is_waited_for_and_no_longer() {
        let start = Timestamp::UNIX_EPOCH;
        let running = deployment(progressing(start, "ReplicaSetUpdated"));
        let status = filled(running.status.as_ref());
        let now = start + SignedDuration::from_secs(20);
        assert_eq!(next_look(&running, &status, now), Some(Duration::from_secs(41)));
        let over = deployment(progressing(start, TIMED_OUT));
        assert_eq!(next_look(&over, &filled(over.status.as_ref()), now), None);
    }
}
