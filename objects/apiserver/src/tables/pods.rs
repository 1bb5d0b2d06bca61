//! How pods are shown: the status column sums up phase, conditions and containers.
//!
//! Order: init containers are looked at first, up to the one that holds the others up; containers
//! only when they are done; deletion overrides it all.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::{read, since};
use super::columns::{AGE, Column, NAME, Printer};
use super::read::{
    at, boolean_or, condition, holds, integer, is_being_deleted, items, labels, of_containers,
    text, text_or,
};

pub(super) fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    match (group, kind) {
        ("", "Pod") => Some(&POD),
        ("", "PodTemplate") => Some(&POD_TEMPLATE),
        _ => None,
    }
}

static POD: Printer = Printer {
    conditions: Some(completed),
    ..Printer::of(&[
        NAME,
        Column::string("Ready", "Containers that are ready, of all.", |pod, now| {
            let sum = summary(pod, now);
            json!(format!("{}/{}", sum.ready, sum.total))
        }),
        Column::string(
            "Status",
            "What the pod's containers are doing, in one word.",
            |pod, now| json!(summary(pod, now).reason),
        ),
        Column::string("Restarts", "How often containers were restarted.", |pod, now| {
            json!(summary(pod, now).restarts)
        }),
        AGE,
        Column::string("IP", "The pod's first address.", |pod, _| {
            let first = items(pod, "status.podIPs").first().unwrap_or(&Value::Null);
            json!(text_or(first, "ip", "<none>"))
        })
        .wide(),
        Column::string("Node", "The node that runs the pod.", |pod, _| {
            json!(text_or(pod, "spec.nodeName", "<none>"))
        })
        .wide(),
        Column::string("Nominated Node", "The node being cleared for the pod.", |pod, _| {
            json!(text_or(pod, "status.nominatedNodeName", "<none>"))
        })
        .wide(),
        Column::string("Readiness Gates", "Readiness gates that hold, of all.", |pod, _| {
            json!(readiness_gates(pod))
        })
        .wide(),
    ])
};

static POD_TEMPLATE: Printer = Printer::of(&[
    NAME,
    Column::string("Containers", "The names of the containers.", |object, _| {
        of_containers(object, "template", "name")
    }),
    Column::string("Images", "The images of the containers.", |object, _| {
        of_containers(object, "template", "image")
    }),
    Column::string("Pod Labels", "The labels that pods get.", |object, _| {
        json!(labels(object, "template.metadata.labels"))
    }),
]);

/// Rows of pods that are over say so; kubectl does not show it.
fn completed(pod: &Value) -> Option<Value> {
    let phase = text(pod, "status.phase");
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!([{ "type": "Completed", "status": "True", "reason": phase, "message": message }]))
}

fn readiness_gates(pod: &Value) -> String {
    let gates = items(pod, "spec.readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|gate| holds(pod, text(gate, "conditionType"))).count();
    format!("{open}/{}", gates.len())
}

/// What three columns say together.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: String,
}

fn summary(pod: &Value, now: Timestamp) -> Summary {
    let mut initializing = InitContainers::of(pod);
    let mut restarts = std::mem::take(&mut initializing.all);
    let mut reason = reason_before_containers(pod);
    let mut ready = initializing.ready;
    let held_up = initializing.held_up_by.take();
    let initialized = holds(pod, "Initialized");
    if let Some(by) = &held_up {
        reason.clone_from(by);
    }
    if held_up.is_none() || initialized {
        restarts = initializing.restartable;
        let containers = Containers::of(pod, &mut restarts);
        ready += containers.ready;
        reason = containers.reason(pod, reason);
    }
    let sidecars = items(pod, "spec.initContainers").iter().filter(|c| is_restartable(c)).count();
    Summary {
        ready,
        total: items(pod, "spec.containers").len() + sidecars,
        reason: reason_of_deletion(pod).unwrap_or(reason),
        restarts: restarts.shown(now),
    }
}

fn reason_before_containers(pod: &Value) -> String {
    let gated = items(pod, "status.conditions").iter().any(|condition| {
        text(condition, "type") == "PodScheduled" && text(condition, "reason") == "SchedulingGated"
    });
    if gated {
        return "SchedulingGated".to_owned();
    }
    text_or(pod, "status.reason", text(pod, "status.phase")).to_owned()
}

fn reason_of_deletion(pod: &Value) -> Option<String> {
    if !is_being_deleted(pod) {
        return None;
    }
    if text(pod, "status.reason") == "NodeLost" {
        return Some("Unknown".to_owned());
    }
    let over = matches!(text(pod, "status.phase"), "Succeeded" | "Failed");
    (!over).then(|| "Terminating".to_owned())
}

/// How often, and when last.
#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<(Timestamp, Value)>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += integer(container, "restartCount");
        let finished = at(container, "lastState.terminated.finishedAt");
        if let Some(time) = read(finished)
            && self.last.as_ref().is_none_or(|(last, _)| *last < time)
        {
            self.last = Some((time, finished.clone()));
        }
    }

    fn shown(&self, now: Timestamp) -> String {
        match &self.last {
            Some((_, last)) if self.count != 0 => {
                format!("{} ({} ago)", self.count, since(last, now))
            }
            _ => self.count.to_string(),
        }
    }
}

fn is_restartable(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

/// Init containers up to the first that is not done.
#[derive(Default)]
struct InitContainers {
    ready: usize,
    all: Restarts,
    restartable: Restarts,
    held_up_by: Option<String>,
}

impl InitContainers {
    fn of(pod: &Value) -> Self {
        let declared = items(pod, "spec.initContainers");
        let mut sum = Self::default();
        for (index, status) in items(pod, "status.initContainerStatuses").iter().enumerate() {
            let restartable = declared
                .iter()
                .any(|c| text(c, "name") == text(status, "name") && is_restartable(c));
            sum.all.add(status);
            if restartable {
                sum.restartable.add(status);
            }
            let terminated = at(status, "state.terminated");
            if terminated.is_object() && integer(terminated, "exitCode") == 0 {
                continue;
            }
            if restartable && boolean_or(status, "started", false) {
                sum.ready += usize::from(boolean_or(status, "ready", false));
                continue;
            }
            sum.held_up_by = Some(held_up_by(status, index, declared.len()));
            break;
        }
        sum
    }
}

fn held_up_by(status: &Value, index: usize, of: usize) -> String {
    let terminated = at(status, "state.terminated");
    let waiting = text(status, "state.waiting.reason");
    if terminated.is_object() {
        format!("Init:{}", ended(terminated))
    } else if !waiting.is_empty() && waiting != "PodInitializing" {
        format!("Init:{waiting}")
    } else {
        format!("Init:{index}/{of}")
    }
}

/// Why a container ended: its reason, or the signal, or the exit code.
fn ended(terminated: &Value) -> String {
    match (text(terminated, "reason"), integer(terminated, "signal")) {
        ("", 0) => format!("ExitCode:{}", integer(terminated, "exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// The containers, from the last to the first: the first has the last word.
#[derive(Default)]
struct Containers {
    ready: usize,
    running: bool,
    reason: Option<String>,
    failed: Option<String>,
}

impl Containers {
    fn of(pod: &Value, restarts: &mut Restarts) -> Self {
        let mut sum = Self::default();
        for status in items(pod, "status.containerStatuses").iter().rev() {
            restarts.add(status);
            let terminated = at(status, "state.terminated");
            let waiting = text(status, "state.waiting.reason");
            if !waiting.is_empty() {
                sum.reason = Some(waiting.to_owned());
            } else if terminated.is_object() {
                sum.reason = Some(ended(terminated));
                if integer(terminated, "exitCode") != 0 {
                    sum.failed.clone_from(&sum.reason);
                }
            } else if boolean_or(status, "ready", false) && at(status, "state.running").is_object()
            {
                sum.running = true;
                sum.ready += 1;
            }
        }
        sum
    }

    /// A pod is not completed while one container still runs, nor when one failed.
    fn reason(self, pod: &Value, before: String) -> String {
        let reason = self.reason.unwrap_or(before);
        if reason != "Completed" {
            return reason;
        }
        let is_ready = condition(items(pod, "status.conditions"), "Ready")
            .is_some_and(|condition| text(condition, "status") == "True");
        match (self.running, self.failed) {
            (true, _) if is_ready => "Running".to_owned(),
            (_, Some(failed)) => failed,
            (true, None) => "NotReady".to_owned(),
            (false, None) => reason,
        }
    }
}
