//! The status of a Job.
//!
//! Compat: a Job first shows that it will end (`SuccessCriteriaMet`, `FailureTarget`), and its end
//! (`Complete`, `Failed`) only when none of its pods runs any more.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus, UncountedTerminatedPods};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::plan::{End, Step, Tally, print_indexes};

/// The status as the server sends it, with the zeros that it leaves out, to be compared.
pub(super) fn filled(status: Option<&JobStatus>) -> JobStatus {
    let status = status.cloned().unwrap_or_default();
    JobStatus {
        active: Some(status.active.unwrap_or_default()),
        succeeded: Some(status.succeeded.unwrap_or_default()),
        failed: Some(status.failed.unwrap_or_default()),
        conditions: Some(status.conditions.unwrap_or_default()),
        uncounted_terminated_pods: Some(UncountedTerminatedPods::default()),
        ..status
    }
}

/// The status that the Job should show after a step.
pub(super) fn of(job: &Job, step: &Step, tally: &Tally, now: Timestamp) -> JobStatus {
    let mut status = filled(job.status.as_ref());
    let deleted = i32::try_from(step.delete.len()).unwrap_or(i32::MAX);
    let active = i32::try_from(tally.active.len()).unwrap_or(i32::MAX) - deleted;
    status.active = Some(active);
    status.ready = Some(tally.ready.min(active));
    status.terminating = Some(tally.terminating + deleted);
    status.succeeded = Some(tally.succeeded);
    status.failed = Some(tally.failed);
    status.completed_indexes = tally.indexes.as_ref().map(print_indexes).filter(|i| !i.is_empty());
    let suspended = job.spec.as_ref().and_then(|s| s.suspend).unwrap_or_default();
    if status.start_time.is_none() && !suspended {
        status.start_time = Some(Time(now));
    }
    suspend(&mut status, step, now);
    if let Some(end) = step.end {
        let (target, last, reason, message) = words(end);
        set(&mut status, condition(target, "True", reason, message, now));
        let all_still = active == 0 && status.terminating == Some(0);
        if all_still {
            set(&mut status, condition(last, "True", reason, message, now));
            if end == End::Complete {
                status.completion_time = Some(Time(now));
            }
        }
    }
    status
}

fn words(end: End) -> (&'static str, &'static str, &'static str, &'static str) {
    match end {
        End::Complete => (
            "SuccessCriteriaMet",
            "Complete",
            "CompletionsReached",
            "Reached expected number of succeeded pods",
        ),
        End::BackoffLimitExceeded => (
            "FailureTarget",
            "Failed",
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit",
        ),
        End::DeadlineExceeded => (
            "FailureTarget",
            "Failed",
            "DeadlineExceeded",
            "Job was active longer than specified deadline",
        ),
    }
}

fn suspend(status: &mut JobStatus, step: &Step, now: Timestamp) {
    let was = status.conditions.iter().flatten().find(|c| c.type_ == "Suspended");
    let was_suspended = was.is_some_and(|c| c.status == "True");
    if step.suspended && !was_suspended {
        set(status, condition("Suspended", "True", "JobSuspended", "Job suspended", now));
        status.start_time = None;
    } else if !step.suspended && was_suspended && step.end.is_none() {
        set(status, condition("Suspended", "False", "JobResumed", "Job resumed", now));
        status.start_time = Some(Time(now));
    }
}

/// Whether the condition says that the Job has ended.
pub(super) fn is_end(condition: &JobCondition) -> bool {
    matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True"
}

/// Whether and when the Job ended.
pub(super) fn finished_at(job: &Job) -> Option<Timestamp> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    let end = conditions.iter().find(|c| is_end(c))?;
    Some(end.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0))
}

fn set(status: &mut JobStatus, new: JobCondition) {
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        Some(old) if old.status == new.status => {}
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

fn condition(
    type_: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> JobCondition {
    JobCondition {
        type_: type_.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}
