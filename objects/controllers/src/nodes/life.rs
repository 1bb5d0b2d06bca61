//! What comes next in a pod's life, as its node would have it.
//!
//! Invariants: a pure function of the pod, its place and the time; called again at the time it
//! names, it goes on; called too early or twice, it changes nothing. *Source* of the phases, the
//! restarts and the back-off: Kubernetes' pod lifecycle.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec};

use super::program::Program;
use super::status::{self, Place, Told};
use crate::ownership::is_being_deleted;

/// *Source*: kubelet: the pause before a restart doubles from ten seconds to five minutes.
const BACK_OFF: Duration = Duration::from_secs(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// What is to be done now, and when to ask again.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) step: Step,
    pub(super) again: Option<Duration>,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing.
    Wait,
    /// The status changes.
    Tell(Told),
    /// Nothing of the pod runs any more; it may go.
    Gone,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit: i32,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
}

/// What a container is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// It was never started.
    Unborn,
    /// It runs since then.
    Running(Timestamp),
    /// It ended, and will not be started again.
    Ended(Ended),
    /// It ended, and is started again after a pause.
    BackOff(Ended),
}

/// One container's life so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) at: At,
    pub(super) restarts: i32,
    /// How it ended the last time before.
    pub(super) last: Option<Ended>,
}

/// What comes next.
pub(super) fn next(pod: &Pod, place: &Place, now: Timestamp) -> Next {
    let wait = |again| Next { step: Step::Wait, again };
    let Some(spec) = &pod.spec else { return wait(None) };
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref()).unwrap_or("Pending");
    let over = matches!(phase, "Succeeded" | "Failed");
    if is_being_deleted(&pod.metadata) {
        return Next { step: farewell(pod, place, over, now), again: None };
    }
    if over {
        return wait(None);
    }
    if let Some(step) = overdue(pod, place, now) {
        return Next { step, again: None };
    }
    let (lives, wake) = lives(pod, spec, now);
    let ready_at = status::ready_at(spec, &lives);
    let alarms = [wake, ready_at, deadline(pod)];
    let again = alarms.into_iter().flatten().filter(|at| *at > now).min();
    let again = again.map(|at| at.duration_since(now).unsigned_abs());
    let told = status::told(pod, spec, place, &lives, now);
    Next { step: told.map_or(Step::Wait, Step::Tell), again }
}

/// Simulated containers end the moment they are asked to.
fn farewell(pod: &Pod, place: &Place, over: bool, now: Timestamp) -> Step {
    let watched = pod.metadata.finalizers.as_ref().is_some_and(|holders| !holders.is_empty());
    if watched && !over {
        // Somebody waits to see how it ended.
        return Step::Tell(status::stopped(pod, place, None, now));
    }
    match pod.metadata.deletion_grace_period_seconds {
        Some(0) => Step::Wait,
        _ => Step::Gone,
    }
}

fn deadline(pod: &Pod) -> Option<Timestamp> {
    let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
    let started = pod.status.as_ref()?.start_time.as_ref()?.0;
    started.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()
}

fn overdue(pod: &Pod, place: &Place, now: Timestamp) -> Option<Step> {
    deadline(pod).filter(|at| *at <= now)?;
    let why = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
    Some(Step::Tell(status::stopped(pod, place, Some(why), now)))
}

/// Where every container is now, and when the first of them is somewhere else.
fn lives(pod: &Pod, spec: &PodSpec, now: Timestamp) -> (Vec<Life>, Option<Timestamp>) {
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    let mut wake: Option<Timestamp> = None;
    let lives = spec.containers.iter().map(|container| {
        let program = Program::of(pod, container);
        let mut life = known(pod, container);
        loop {
            let due = due(&life, program);
            match due {
                Some(at) if at <= now => life = step(life, program, policy, at),
                Some(at) => break wake = Some(wake.map_or(at, |wake| wake.min(at))),
                None if life.at == At::Unborn => life.at = At::Running(now),
                None => break,
            }
            if matches!(life.at, At::BackOff(_)) {
                // Told before it is left, so that people see it.
                if let Some(at) = self::due(&life, program) {
                    wake = Some(wake.map_or(at, |wake| wake.min(at)));
                }
                break;
            }
        }
        life
    });
    let lives = lives.collect();
    (lives, wake)
}

/// When the container leaves where it is.
fn due(life: &Life, program: Program) -> Option<Timestamp> {
    let after = |from: Timestamp, time: Duration| from.checked_add(time).unwrap_or(Timestamp::MAX);
    match life.at {
        At::Unborn | At::Ended(_) => None,
        At::Running(since) => program.runs.map(|runs| after(since, runs)),
        At::BackOff(ended) => Some(after(ended.finished, back_off(life.restarts))),
    }
}

fn step(life: Life, program: Program, policy: &str, at: Timestamp) -> Life {
    match life.at {
        At::Running(started) => {
            let ended = Ended { exit: program.exit, started, finished: at };
            let again = policy == "Always" || (policy == "OnFailure" && ended.exit != 0);
            Life { at: if again { At::BackOff(ended) } else { At::Ended(ended) }, ..life }
        }
        At::BackOff(ended) => {
            Life { at: At::Running(at), restarts: life.restarts + 1, last: Some(ended) }
        }
        At::Unborn | At::Ended(_) => life,
    }
}

/// The pause before the restart after this many.
pub(super) fn back_off(restarts: i32) -> Duration {
    let doublings = u32::try_from(restarts).unwrap_or(0).min(16);
    BACK_OFF.saturating_mul(1 << doublings).min(BACK_OFF_MAX)
}

/// Where the server last heard the container to be.
fn known(pod: &Pod, container: &Container) -> Life {
    let statuses = pod.status.as_ref().and_then(|it| it.container_statuses.as_ref());
    let status = statuses.into_iter().flatten().find(|it| it.name == container.name);
    let Some(status) = status else { return Life { at: At::Unborn, restarts: 0, last: None } };
    let last = status.last_state.as_ref().and_then(|state| ended(state.terminated.as_ref()));
    Life { at: place_in_life(status, last), restarts: status.restart_count, last }
}

fn place_in_life(status: &ContainerStatus, last: Option<Ended>) -> At {
    let Some(state) = &status.state else { return At::Unborn };
    if let Some(since) = state.running.as_ref().and_then(|it| it.started_at.as_ref()) {
        return At::Running(since.0);
    }
    match (ended(state.terminated.as_ref()), &state.waiting, last) {
        (Some(ended), _, _) => At::Ended(ended),
        (None, Some(_), Some(last)) => At::BackOff(last),
        _ => At::Unborn,
    }
}

fn ended(state: Option<&k8s_openapi::api::core::v1::ContainerStateTerminated>) -> Option<Ended> {
    let state = state?;
    Some(Ended {
        exit: state.exit_code,
        started: state.started_at.as_ref()?.0,
        finished: state.finished_at.as_ref()?.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).expect("a time")
    }

    fn pod(policy: &str, command: &[&str]) -> Value {
        json!({
            "metadata": { "name": "p", "namespace": "default", "uid": "u" },
            "spec": { "restartPolicy": policy, "nodeName": "node-1", "containers": [
                { "name": "c", "image": "demo", "command": command }] },
            "status": { "phase": "Pending" },
        })
    }

    fn place() -> Place {
        Place { host_ip: "10.128.0.1".to_owned(), pod_ip: "10.200.1.1".to_owned() }
    }

    /// Asks what comes next and lets the server take it over; the phase and the pause.
    fn live(pod: &mut Value, second: i64) -> (String, Option<u64>) {
        let typed: Pod = serde_json::from_value(pod.clone()).expect("a pod");
        let Next { step, again } = next(&typed, &place(), at(second));
        if let Step::Tell(told) = step {
            for (name, value) in told.patch["status"].as_object().expect("a map") {
                pod["status"][name] = value.clone();
            }
        }
        let phase = pod["status"]["phase"].as_str().unwrap_or_default().to_owned();
        (phase, again.map(|pause| pause.as_secs()))
    }

    #[test]
    fn a_server_becomes_ready_and_then_nothing_more_is_told() {
        let mut server = pod("Always", &[]);
        assert_eq!(live(&mut server, 0), ("Running".to_owned(), None));
        let before = server.clone();
        assert_eq!(live(&mut server, 100), ("Running".to_owned(), None));
        assert_eq!(server, before);
        let ready = &server["status"]["containerStatuses"][0];
        assert_eq!((&ready["ready"], &ready["restartCount"]), (&json!(true), &json!(0)));
        assert_eq!(server["status"]["podIP"], "10.200.1.1");
    }

    #[test]
    fn work_that_ends_succeeds_or_fails_at_its_time() {
        for (script, phase) in [("sleep 5", "Succeeded"), ("sleep 5; exit 3", "Failed")] {
            let mut work = pod("Never", &["sh", "-c", script]);
            assert_eq!(live(&mut work, 0), ("Running".to_owned(), Some(5)));
            assert_eq!(live(&mut work, 4), ("Running".to_owned(), Some(1)));
            assert_eq!(live(&mut work, 5), (phase.to_owned(), None));
        }
    }

    #[test]
    fn what_fails_is_started_again_after_longer_and_longer_pauses() {
        let mut failing = pod("OnFailure", &["sh", "-c", "sleep 1; exit 1"]);
        assert_eq!(live(&mut failing, 0).1, Some(1));
        assert_eq!(live(&mut failing, 1).1, Some(10), "the first pause");
        let waiting = &failing["status"]["containerStatuses"][0]["state"]["waiting"];
        assert_eq!(waiting["reason"], "CrashLoopBackOff");
        assert_eq!(live(&mut failing, 11).1, Some(1));
        assert_eq!(failing["status"]["containerStatuses"][0]["restartCount"], 1);
        assert_eq!(live(&mut failing, 12).1, Some(20), "the second pause");
        assert_eq!(back_off(30), BACK_OFF_MAX);
    }

    #[test]
    fn a_pod_that_is_deleted_goes_at_once_but_says_how_it_ended_if_somebody_waits() {
        let mut leaving = pod("Always", &[]);
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        leaving["metadata"]["deletionGracePeriodSeconds"] = json!(30);
        let typed = |pod: &Value| serde_json::from_value::<Pod>(pod.clone()).expect("a pod");
        assert!(matches!(next(&typed(&leaving), &place(), at(0)).step, Step::Gone));
        leaving["metadata"]["finalizers"] = json!(["a/b"]);
        assert_eq!(live(&mut leaving, 0).0, "Failed");
        assert!(matches!(next(&typed(&leaving), &place(), at(0)).step, Step::Gone));
        leaving["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        assert!(matches!(next(&typed(&leaving), &place(), at(0)).step, Step::Wait));
    }

    #[test]
    fn a_pod_past_its_deadline_fails() {
        let mut slow = pod("Never", &["sleep", "100"]);
        slow["spec"]["activeDeadlineSeconds"] = json!(10);
        assert_eq!(live(&mut slow, 0).1, Some(100), "the start is not told yet");
        assert_eq!(live(&mut slow, 1).1, Some(9));
        assert_eq!(live(&mut slow, 10).0, "Failed");
        assert_eq!(slow["status"]["reason"], "DeadlineExceeded");
    }

    #[test]
    fn a_readiness_delay_is_waited_out() {
        let mut slow = pod("Always", &[]);
        slow["spec"]["containers"][0]["readinessProbe"] =
            json!({ "initialDelaySeconds": 7, "tcpSocket": { "port": 80 } });
        assert_eq!(live(&mut slow, 0), ("Running".to_owned(), Some(7)));
        assert_eq!(slow["status"]["containerStatuses"][0]["ready"], false);
        assert_eq!(live(&mut slow, 7), ("Running".to_owned(), None));
        assert_eq!(slow["status"]["containerStatuses"][0]["ready"], true);
    }
}
