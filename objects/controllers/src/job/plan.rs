//! What a Job needs next: pods to create, pods to delete, or its end.
//!
//! Must not know: the API. Pods and the clock's time go in, a step comes out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use kube::ResourceExt;

use crate::pods;

/// A pod that failed is followed by another after this long, doubled with each failure.
const RETRY_MIN: Duration = Duration::from_secs(10);
/// At most after this long.
const RETRY_MAX: Duration = Duration::from_secs(600);

const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// A Job's pods, by how they stand.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) terminating: i32,
    pub(super) ready: i32,
    pub(super) succeeded: i32,
    pub(super) failed: i32,
    /// Completion indexes that succeeded, if the Job has indexes.
    pub(super) indexes: Option<BTreeSet<i32>>,
    last_failure: Option<Timestamp>,
}

impl Tally {
    pub(super) fn of(job: &Job, mine: &[Arc<Pod>]) -> Self {
        let before = job.status.clone().unwrap_or_default();
        let count = |pods: &mut dyn Iterator<Item = &Arc<Pod>>| {
            i32::try_from(pods.count()).unwrap_or(i32::MAX)
        };
        let with = |phase: &'static str| mine.iter().filter(move |pod| pods::phase(pod) == phase);
        let mut active = mine.to_vec();
        active.retain(|pod| pods::is_active(pod));
        let mut tally = Self {
            terminating: count(&mut mine.iter().filter(|pod| pods::is_terminating(pod))),
            ready: count(&mut active.iter().filter(|pod| pods::is_ready(pod))),
            succeeded: count(&mut with("Succeeded")).max(before.succeeded.unwrap_or_default()),
            failed: count(&mut with("Failed")).max(before.failed.unwrap_or_default()),
            last_failure: with("Failed").filter_map(|pod| ended_at(pod)).max(),
            active,
            indexes: None,
        };
        if is_indexed(job) {
            let mut done = parse_indexes(before.completed_indexes.as_deref().unwrap_or_default());
            done.extend(with("Succeeded").filter_map(|pod| index_of(pod)));
            tally.succeeded = i32::try_from(done.len()).unwrap_or(i32::MAX);
            tally.indexes = Some(done);
        }
        tally
    }
}

/// What is to be done next.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) create: usize,
    pub(super) delete: Vec<Arc<Pod>>,
    pub(super) end: Option<End>,
    pub(super) suspended: bool,
    pub(super) look_again: Option<Duration>,
}

/// How a Job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    BackoffLimitExceeded,
    DeadlineExceeded,
}

/// The next step.
pub(super) fn next(
    spec: &JobSpec,
    status: Option<&JobStatus>,
    tally: &Tally,
    now: Timestamp,
) -> Step {
    let mut step = Step::default();
    let left = deadline_left(spec, status, now);
    step.end = if spec.completions.is_some_and(|wanted| tally.succeeded >= wanted) {
        Some(End::Complete)
    } else if tally.failed > spec.backoff_limit.unwrap_or(6) {
        Some(End::BackoffLimitExceeded)
    } else if left.is_some_and(|left| left.is_zero()) {
        Some(End::DeadlineExceeded)
    } else if spec.completions.is_none() && tally.succeeded > 0 && tally.active.is_empty() {
        Some(End::Complete)
    } else {
        None
    };
    step.suspended = step.end.is_none() && spec.suspend.unwrap_or_default();
    if step.end.is_some() || step.suspended {
        step.delete.clone_from(&tally.active);
        return step;
    }
    step.look_again = left;
    let active = i32::try_from(tally.active.len()).unwrap_or(i32::MAX);
    let wanted = wanted_active(spec, tally);
    if active > wanted {
        let excess = usize::try_from(active - wanted).unwrap_or_default();
        let mut pods = tally.active.clone();
        // Those that came the shortest way go first.
        pods.sort_by_key(|pod| (pods::is_ready(pod), pods::node_name(pod).is_some()));
        step.delete = pods.into_iter().take(excess).collect();
    } else if active < wanted {
        match retry_wait(tally, now) {
            Some(wait) => step.look_again = Some(left.map_or(wait, |left| left.min(wait))),
            None => step.create = usize::try_from(wanted - active).unwrap_or_default(),
        }
    }
    step
}

/// How many pods should run: as many as may at a time, and not more than are still needed.
fn wanted_active(spec: &JobSpec, tally: &Tally) -> i32 {
    let at_a_time = spec.parallelism.unwrap_or(1);
    // A pod on its way out still counts: another is not to run beside it with the same work.
    match spec.completions {
        Some(wanted) => at_a_time.min(wanted - tally.succeeded - tally.terminating).max(0),
        // Without a number, the first success tells all others to come to their end.
        None if tally.succeeded > 0 => i32::try_from(tally.active.len()).unwrap_or(i32::MAX),
        None => at_a_time,
    }
}

fn deadline_left(spec: &JobSpec, status: Option<&JobStatus>, now: Timestamp) -> Option<Duration> {
    let deadline = SignedDuration::from_secs(spec.active_deadline_seconds?);
    let start = status?.start_time.as_ref()?.0;
    let left = (start + deadline).duration_since(now);
    (!spec.suspend.unwrap_or_default()).then(|| left.max(SignedDuration::ZERO).unsigned_abs())
}

/// How long a new pod has to wait because of failures.
fn retry_wait(tally: &Tally, now: Timestamp) -> Option<Duration> {
    let doubled = u32::try_from(tally.failed.saturating_sub(1)).unwrap_or_default().min(10);
    let wait = RETRY_MIN.saturating_mul(1 << doubled).min(RETRY_MAX);
    let waited = now.duration_since(tally.last_failure?).max(SignedDuration::ZERO).unsigned_abs();
    wait.checked_sub(waited).filter(|left| !left.is_zero())
}

fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.as_ref()?.container_statuses.as_deref().unwrap_or_default();
    let ends = containers.iter().filter_map(|c| c.state.as_ref()?.terminated.as_ref());
    let last = ends.filter_map(|end| end.finished_at.as_ref()).map(|t| t.0).max();
    last.or_else(|| pod.metadata.creation_timestamp.as_ref().map(|t| t.0))
}

fn is_indexed(job: &Job) -> bool {
    job.spec.as_ref().and_then(|s| s.completion_mode.as_deref()) == Some("Indexed")
}

fn index_of(pod: &Pod) -> Option<i32> {
    pod.annotations().get(INDEX)?.parse().ok()
}

/// The first indexes that neither run nor are done, if the Job has indexes.
pub(super) fn free_indexes(job: &Job, tally: &Tally, count: usize) -> Option<Vec<i32>> {
    let done = tally.indexes.as_ref()?;
    let taken: BTreeSet<_> = tally.active.iter().filter_map(|pod| index_of(pod)).collect();
    let all = 0..job.spec.as_ref().and_then(|s| s.completions).unwrap_or_default();
    Some(all.filter(|i| !done.contains(i) && !taken.contains(i)).take(count).collect())
}

/// The pod of one index: it knows its number by annotation, label, name, host name and environment.
pub(super) fn indexed(pod: &Pod, job: &Job, index: i32) -> Pod {
    let mut pod = pod.clone();
    let name = job.name_any();
    pod.metadata.generate_name = Some(format!("{name}-{index}-"));
    pod.annotations_mut().insert(INDEX.into(), index.to_string());
    pod.labels_mut().insert(INDEX.into(), index.to_string());
    if let Some(spec) = &mut pod.spec {
        spec.hostname = Some(format!("{name}-{index}"));
        let field_path = format!("metadata.labels['{INDEX}']");
        let field_ref = Some(ObjectFieldSelector { field_path, ..ObjectFieldSelector::default() });
        let variable = EnvVar {
            name: "JOB_COMPLETION_INDEX".into(),
            value_from: Some(EnvVarSource { field_ref, ..EnvVarSource::default() }),
            ..EnvVar::default()
        };
        for container in &mut spec.containers {
            container.env.get_or_insert_default().push(variable.clone());
        }
    }
    pod
}

/// Indexes as a Job's status shows them: `0,2-4`.
pub(super) fn print_indexes(indexes: &BTreeSet<i32>) -> String {
    let mut ranges: Vec<(i32, i32)> = Vec::new();
    for index in indexes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => ranges.push((*index, *index)),
        }
    }
    let text = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        // Compat: two in a row are two numbers, not a range.
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    text.collect::<Vec<_>>().join(",")
}

fn parse_indexes(text: &str) -> BTreeSet<i32> {
    let ranges = text.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<i32>().ok()?..=last.parse::<i32>().ok()?)
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(active: usize, succeeded: i32, failed: i32) -> Tally {
        let active = (0..active).map(|_| Arc::new(Pod::default())).collect();
        Tally { active, succeeded, failed, ..Tally::default() }
    }

    fn spec(completions: Option<i32>, parallelism: i32) -> JobSpec {
        let parallelism = Some(parallelism);
        JobSpec { completions, parallelism, backoff_limit: Some(2), ..JobSpec::default() }
    }

    fn step(spec: &JobSpec, tally: &Tally) -> (usize, usize, Option<End>) {
        let step = next(spec, None, tally, Timestamp::UNIX_EPOCH);
        (step.create, step.delete.len(), step.end)
    }

    #[test]
    fn no_more_run_than_may_and_than_are_needed() {
        let five = spec(Some(5), 2);
        assert_eq!(step(&five, &tally(0, 0, 0)), (2, 0, None));
        assert_eq!(step(&five, &tally(1, 2, 0)), (1, 0, None));
        assert_eq!(step(&five, &tally(0, 4, 0)), (1, 0, None));
        assert_eq!(step(&five, &tally(1, 5, 0)), (0, 1, Some(End::Complete)));
        assert_eq!(step(&spec(Some(5), 0), &tally(2, 0, 0)), (0, 2, None));
    }

    #[test]
    fn without_a_number_the_first_success_starts_no_more() {
        let queue = spec(None, 3);
        assert_eq!(step(&queue, &tally(0, 0, 0)), (3, 0, None));
        assert_eq!(step(&queue, &tally(2, 1, 0)), (0, 0, None));
        assert_eq!(step(&queue, &tally(0, 1, 0)), (0, 0, Some(End::Complete)));
    }

    #[test]
    fn too_many_failures_end_it_and_one_delays_the_next_pod() {
        let five = spec(Some(5), 2);
        assert_eq!(step(&five, &tally(2, 0, 3)), (0, 2, Some(End::BackoffLimitExceeded)));
        let mut failed = tally(0, 0, 2);
        failed.last_failure = Some(Timestamp::UNIX_EPOCH);
        let waits =
            next(&five, None, &failed, Timestamp::UNIX_EPOCH + SignedDuration::from_secs(5));
        assert_eq!((waits.create, waits.look_again), (0, Some(Duration::from_secs(15))));
        let later =
            next(&five, None, &failed, Timestamp::UNIX_EPOCH + SignedDuration::from_secs(21));
        assert_eq!(later.create, 2);
    }

    #[test]
    fn a_suspended_job_runs_nothing() {
        let mut suspended = spec(Some(5), 2);
        suspended.suspend = Some(true);
        assert_eq!(step(&suspended, &tally(2, 1, 0)), (0, 2, None));
    }

    #[test]
    fn indexes_are_printed_and_read_in_ranges() {
        for text in ["", "0", "0,1", "0-2,4,6,7"] {
            assert_eq!(print_indexes(&parse_indexes(text)), text);
        }
    }
}
