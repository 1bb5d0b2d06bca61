//! A pod's status as its node tells it.
//!
//! Invariant: what did not change is not told again; a condition's time is when it last changed.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde_json::{Value, json};

use super::life::{At, Ended, Life, back_off};

/// Where a pod is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) host_ip: String,
    pub(super) pod_ip: String,
}

/// A new status, as a patch, and the events that go with it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) patch: Value,
    pub(super) events: Vec<(&'static str, String)>,
}

/// RFC 3339 in whole seconds, as the API has its times.
pub(super) fn time_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// When the last container that runs becomes ready, if that is to be waited for.
pub(super) fn ready_at(spec: &PodSpec, lives: &[Life]) -> Option<Timestamp> {
    let rows = spec.containers.iter().zip(lives);
    rows.filter_map(|(container, life)| container_ready_at(container, life)).max()
}

/// The status now, or nothing when the server has it already.
pub(super) fn told(
    pod: &Pod,
    spec: &PodSpec,
    place: &Place,
    lives: &[Life],
    now: Timestamp,
) -> Option<Told> {
    let phase = phase(lives);
    let ready: Vec<bool> = spec
        .containers
        .iter()
        .zip(lives)
        .map(|(container, life)| container_ready_at(container, life).is_some_and(|at| at <= now))
        .collect();
    let containers: Vec<Value> = spec
        .containers
        .iter()
        .zip(lives)
        .zip(&ready)
        .map(|((container, life), ready)| container_status(pod, container, life, *ready))
        .collect();
    let all_ready = phase == "Running" && ready.iter().all(|ready| *ready);
    let (conditions, changed) = conditions(pod, spec, phase, all_ready, now);
    let status = pod.status.as_ref();
    let known = |field: fn(&k8s_openapi::api::core::v1::PodStatus) -> Option<Value>| {
        status.and_then(field).unwrap_or(Value::Null)
    };
    let same = !changed
        && known(|it| it.phase.clone().map(Value::from)) == phase
        && known(|it| serde_json::to_value(&it.container_statuses).ok()) == json!(containers)
        && known(|it| it.pod_ip.clone().map(Value::from)) == json!(place.pod_ip);
    if same {
        return None;
    }
    let started = status.and_then(|it| it.start_time.as_ref()).map_or(now, |time| time.0);
    let mut patch = json!({
        "phase": phase,
        "conditions": conditions,
        "hostIP": place.host_ip,
        "hostIPs": [{ "ip": place.host_ip }],
        "podIP": place.pod_ip,
        "podIPs": [{ "ip": place.pod_ip }],
        "startTime": time_text(started),
        "containerStatuses": containers,
        "observedGeneration": pod.metadata.generation,
    });
    let init: Vec<Value> = spec
        .init_containers
        .iter()
        .flatten()
        .map(|container| init_status(pod, container, started))
        .collect();
    if !init.is_empty() {
        patch["initContainerStatuses"] = json!(init);
    }
    Some(Told { patch: json!({ "status": patch }), events: events(pod, spec, lives) })
}

/// The status of a pod whose containers were stopped.
pub(super) fn stopped(pod: &Pod, place: &Place, why: Option<(&str, &str)>, now: Timestamp) -> Told {
    let containers: Vec<Value> = pod
        .spec
        .iter()
        .flat_map(|spec| &spec.containers)
        .map(|container| {
            let ended = Ended { exit: 137, started: now, finished: now };
            let life = Life { at: At::Ended(ended), restarts: 0, last: None };
            container_status(pod, container, &life, false)
        })
        .collect();
    let mut status = json!({
        "phase": "Failed",
        "hostIP": place.host_ip,
        "containerStatuses": containers,
        "conditions": [
            not_ready("Ready", now),
            not_ready("ContainersReady", now),
        ],
    });
    if let Some((reason, message)) = why {
        status["reason"] = json!(reason);
        status["message"] = json!(message);
    }
    Told { patch: json!({ "status": status }), events: Vec::new() }
}

fn not_ready(name: &str, now: Timestamp) -> Value {
    json!({
        "type": name, "status": "False", "reason": "PodFailed",
        "lastTransitionTime": time_text(now), "lastProbeTime": null,
    })
}

fn phase(lives: &[Life]) -> &'static str {
    let ended = |life: &Life| match life.at {
        At::Ended(ended) => Some(ended.exit),
        _ => None,
    };
    let exits: Option<Vec<i32>> = lives.iter().map(ended).collect();
    match exits {
        Some(exits) if exits.iter().all(|exit| *exit == 0) => "Succeeded",
        Some(_) => "Failed",
        None => "Running",
    }
}

fn container_ready_at(container: &Container, life: &Life) -> Option<Timestamp> {
    let At::Running(since) = life.at else { return None };
    let delay = container.readiness_probe.as_ref().and_then(|probe| probe.initial_delay_seconds);
    let delay = Duration::from_secs(u64::try_from(delay.unwrap_or(0)).unwrap_or(0));
    Some(since.checked_add(delay).unwrap_or(Timestamp::MAX))
}

fn id(pod: &Pod, container: &Container, restarts: i32) -> String {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    format!("simulated://{uid}-{}-{restarts}", container.name)
}

fn terminated(ended: &Ended, id: &str) -> Value {
    json!({ "terminated": {
        "exitCode": ended.exit,
        "reason": if ended.exit == 0 { "Completed" } else { "Error" },
        "startedAt": time_text(ended.started),
        "finishedAt": time_text(ended.finished),
        "containerID": id,
    } })
}

fn container_status(pod: &Pod, container: &Container, life: &Life, ready: bool) -> Value {
    let id = id(pod, container, life.restarts);
    let state = match &life.at {
        At::Running(since) => json!({ "running": { "startedAt": time_text(*since) } }),
        At::Ended(ended) => terminated(ended, &id),
        At::BackOff(_) => json!({ "waiting": {
            "reason": "CrashLoopBackOff",
            "message": format!(
                "back-off {}s restarting failed container={} pod={}_{}({})",
                back_off(life.restarts).as_secs(),
                container.name,
                pod.metadata.name.as_deref().unwrap_or_default(),
                pod.metadata.namespace.as_deref().unwrap_or_default(),
                pod.metadata.uid.as_deref().unwrap_or_default(),
            ),
        } }),
        At::Unborn => json!({ "waiting": { "reason": "ContainerCreating" } }),
    };
    let last = match (&life.at, &life.last) {
        (At::BackOff(ended), _) => terminated(ended, &id),
        (_, Some(ended)) => terminated(ended, &id),
        _ => json!({}),
    };
    let image = container.image.as_deref().unwrap_or_default();
    json!({
        "name": container.name,
        "image": image,
        "imageID": image,
        "containerID": id,
        "ready": ready,
        "started": matches!(life.at, At::Running(_)),
        "restartCount": life.restarts,
        "state": state,
        "lastState": last,
    })
}

/// Init containers are taken to have done their work before the others start.
fn init_status(pod: &Pod, container: &Container, at: Timestamp) -> Value {
    let stays = container.restart_policy.as_deref() == Some("Always");
    let ended = At::Ended(Ended { exit: 0, started: at, finished: at });
    let now = if stays { At::Running(at) } else { ended };
    container_status(pod, container, &Life { at: now, restarts: 0, last: None }, true)
}

/// The conditions, and whether one of them changed.
fn conditions(
    pod: &Pod,
    spec: &PodSpec,
    phase: &str,
    all_ready: bool,
    now: Timestamp,
) -> (Vec<Value>, bool) {
    let known = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
    let known = |name: &str| known.into_iter().flatten().find(|it| it.type_ == name);
    let gates = spec.readiness_gates.iter().flatten();
    let gates_open = gates
        .map(|gate| known(&gate.condition_type))
        .all(|condition| condition.is_some_and(|it| it.status == "True"));
    let why = match phase {
        "Succeeded" => Some("PodCompleted"),
        "Failed" => Some("PodFailed"),
        _ if !all_ready => Some("ContainersNotReady"),
        _ if !gates_open => Some("ReadinessGatesNotReady"),
        _ => None,
    };
    let rows = [
        ("PodReadyToStartContainers", phase == "Running", None),
        ("Initialized", true, (phase == "Succeeded").then_some("PodCompleted")),
        ("Ready", all_ready && gates_open, why),
        ("ContainersReady", all_ready, why.filter(|why| *why != "ReadinessGatesNotReady")),
        ("PodScheduled", true, None),
    ];
    let mut changed = false;
    let conditions = rows
        .into_iter()
        .map(|(name, holds, reason)| {
            let state = if holds { "True" } else { "False" };
            let before = known(name).filter(|it| it.status == state);
            changed |= before.is_none();
            let since = before.and_then(|it| it.last_transition_time.as_ref()).map(|time| time.0);
            let mut condition = json!({
                "type": name, "status": state, "lastProbeTime": null,
                "lastTransitionTime": time_text(since.unwrap_or(now)),
            });
            // Null takes away what a refusal of the scheduler had said.
            condition["reason"] = json!(reason);
            condition["message"] = json!(message(spec, reason));
            condition["observedGeneration"] = json!(pod.metadata.generation);
            condition
        })
        .collect();
    (conditions, changed)
}

fn message(spec: &PodSpec, reason: Option<&str>) -> Option<String> {
    let names: Vec<&str> = spec.containers.iter().map(|it| it.name.as_str()).collect();
    let not_ready = format!("containers with unready status: [{}]", names.join(" "));
    reason.filter(|reason| *reason == "ContainersNotReady").map(|_| not_ready)
}

/// What a kubelet would tell of containers that it started just now.
fn events(pod: &Pod, spec: &PodSpec, lives: &[Life]) -> Vec<(&'static str, String)> {
    let statuses = pod.status.as_ref().and_then(|it| it.container_statuses.as_ref());
    let restarts = |name: &str| {
        let known = statuses.into_iter().flatten().find(|it| it.name == name);
        known.map(|it| it.restart_count)
    };
    let mut events = Vec::new();
    for (container, life) in spec.containers.iter().zip(lives) {
        if restarts(&container.name) == Some(life.restarts) {
            continue;
        }
        let image = container.image.as_deref().unwrap_or_default();
        let name = &container.name;
        let text = format!(
            "Container image \"{image}\" already present on machine and can be accessed by the pod"
        );
        events.push(("Pulled", text));
        events.push(("Created", format!("Container created: {name}")));
        events.push(("Started", format!("Container started: {name}")));
    }
    events
}
