//! How workloads are shown: what is wanted, what is there, and what it is made of.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::{human, read, since};
use super::columns::{AGE, Column, NAME, Printer};
use super::read::{
    at, count, first, holds, integer, is_being_deleted, items, labels, of_containers, present_or,
    scalar_or, selector, text, with_more,
};

pub(super) fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    Some(match (group, kind) {
        ("", "ReplicationController") => &REPLICATION_CONTROLLER,
        ("apps", "ReplicaSet") => &REPLICA_SET,
        ("apps", "Deployment") => &DEPLOYMENT,
        ("apps", "StatefulSet") => &STATEFUL_SET,
        ("apps", "DaemonSet") => &DAEMON_SET,
        ("apps", "ControllerRevision") => &CONTROLLER_REVISION,
        ("batch", "Job") => &JOB,
        ("batch", "CronJob") => &CRON_JOB,
        ("autoscaling", "HorizontalPodAutoscaler") => &AUTOSCALER,
        ("autoscaling", "Scale") => &SCALE,
        ("policy", "PodDisruptionBudget") => &DISRUPTION_BUDGET,
        _ => return None,
    })
}

const CONTAINERS: Column =
    Column::string("Containers", "The names of the containers.", |object, _| {
        of_containers(object, "spec.template", "name")
    })
    .wide();
const IMAGES: Column = Column::string("Images", "The images of the containers.", |object, _| {
    of_containers(object, "spec.template", "image")
})
.wide();
const SELECTOR: Column = Column::string("Selector", "Which pods belong to it.", |object, _| {
    json!(selector(object, "spec.selector"))
})
.wide();
const DESIRED: Column = Column::integer("Desired", "How many pods are wanted.", |object, _| {
    json!(integer(object, "spec.replicas"))
});
const CURRENT: Column = Column::integer("Current", "How many pods there are.", |object, _| {
    json!(integer(object, "status.replicas"))
});
const READY: Column = Column::integer("Ready", "How many pods are ready.", |object, _| {
    json!(integer(object, "status.readyReplicas"))
});
const READY_OF: Column =
    Column::string("Ready", "Pods that are ready, of those wanted.", |o, _| {
        json!(format!("{}/{}", integer(o, "status.readyReplicas"), integer(o, "spec.replicas")))
    });

static REPLICATION_CONTROLLER: Printer = Printer::of(&[
    NAME,
    DESIRED,
    CURRENT,
    READY,
    AGE,
    CONTAINERS,
    IMAGES,
    Column::string("Selector", "Which pods belong to it.", |object, _| {
        json!(labels(object, "spec.selector"))
    })
    .wide(),
]);

static REPLICA_SET: Printer =
    Printer::of(&[NAME, DESIRED, CURRENT, READY, AGE, CONTAINERS, IMAGES, SELECTOR]);

static DEPLOYMENT: Printer = Printer::of(&[
    NAME,
    READY_OF,
    Column::string("Up-to-date", "Pods made from the newest template.", |object, _| {
        json!(integer(object, "status.updatedReplicas"))
    }),
    Column::string("Available", "Pods that were ready long enough.", |object, _| {
        json!(integer(object, "status.availableReplicas"))
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
]);

static STATEFUL_SET: Printer = Printer::of(&[NAME, READY_OF, AGE, CONTAINERS, IMAGES]);

static DAEMON_SET: Printer = Printer::of(&[
    NAME,
    Column::integer("Desired", "Nodes that should run its pod.", |object, _| {
        json!(integer(object, "status.desiredNumberScheduled"))
    }),
    Column::integer("Current", "Nodes that run its pod and should.", |object, _| {
        json!(integer(object, "status.currentNumberScheduled"))
    }),
    Column::integer("Ready", "Nodes on which its pod is ready.", |object, _| {
        json!(integer(object, "status.numberReady"))
    }),
    Column::integer("Up-to-date", "Nodes with a pod of the newest template.", |object, _| {
        json!(integer(object, "status.updatedNumberScheduled"))
    }),
    Column::integer("Available", "Nodes on which its pod was ready long enough.", |object, _| {
        json!(integer(object, "status.numberAvailable"))
    }),
    Column::string("Node Selector", "Labels of the nodes that it is for.", |object, _| {
        json!(labels(object, "spec.template.spec.nodeSelector"))
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
]);

static CONTROLLER_REVISION: Printer = Printer::of(&[
    NAME,
    Column::string("Controller", "Whose revision it is.", |object, _| {
        let mut owners = items(object, "metadata.ownerReferences").iter();
        let controller = owners.find(|owner| owner["controller"] == true);
        json!(controller.map_or_else(|| "<none>".to_owned(), reference))
    }),
    Column::string("Revision", "Its number.", |object, _| json!(integer(object, "revision"))),
    AGE,
]);

/// An owner as `kind.group/name`, in small letters but for the name.
fn reference(owner: &Value) -> String {
    let group = text(owner, "apiVersion").split_once('/').map(|(group, _)| group);
    let kind = match group {
        Some(group) => format!("{}.{group}", text(owner, "kind")),
        None => text(owner, "kind").to_owned(),
    };
    format!("{}/{}", kind.to_lowercase(), text(owner, "name"))
}

static JOB: Printer = Printer::of(&[
    NAME,
    Column::string("Status", "Where the job stands.", |job, _| json!(job_status(job))),
    Column::string("Completions", "Pods that succeeded, of those wanted.", |job, _| {
        json!(completions(job))
    }),
    Column::string("Duration", "How long it ran, or runs by now.", |job, now| {
        json!(job_duration(job, now))
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
]);

fn job_status(job: &Value) -> &'static str {
    if holds(job, "Complete") {
        "Complete"
    } else if holds(job, "Failed") {
        "Failed"
    } else if is_being_deleted(job) {
        "Terminating"
    } else if holds(job, "Suspended") {
        "Suspended"
    } else if holds(job, "FailureTarget") {
        "FailureTarget"
    } else if holds(job, "SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = integer(job, "status.succeeded");
    match (at(job, "spec.completions").as_i64(), integer(job, "spec.parallelism")) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn job_duration(job: &Value, now: Timestamp) -> String {
    let Some(start) = read(at(job, "status.startTime")) else { return String::new() };
    let end = read(at(job, "status.completionTime")).unwrap_or(now);
    human(end.duration_since(start))
}

static CRON_JOB: Printer = Printer::of(&[
    NAME,
    Column::string("Schedule", "When it runs, in cron's form.", |object, _| {
        json!(text(object, "spec.schedule"))
    }),
    Column::string("Timezone", "The time zone of the schedule.", |object, _| {
        json!(present_or(object, "spec.timeZone", "<none>"))
    }),
    Column::boolean("Suspend", "Whether no further runs are started.", |object, _| {
        json!(match at(object, "spec.suspend").as_bool() {
            Some(true) => "True",
            Some(false) => "False",
            None => "<unset>",
        })
    }),
    Column::integer("Active", "How many of its jobs run.", |object, _| {
        json!(count(object, "status.active"))
    }),
    Column::string("Last Schedule", "When a job was last started.", |object, now| {
        match at(object, "status.lastScheduleTime") {
            Value::Null => json!("<none>"),
            time => json!(since(time, now)),
        }
    }),
    AGE,
    Column::string("Containers", "The names of the containers.", |object, _| {
        of_containers(object, "spec.jobTemplate.spec.template", "name")
    })
    .wide(),
    Column::string("Images", "The images of the containers.", |object, _| {
        of_containers(object, "spec.jobTemplate.spec.template", "image")
    })
    .wide(),
    Column::string("Selector", "Which pods belong to its jobs.", |object, _| {
        json!(selector(object, "spec.jobTemplate.spec.selector"))
    })
    .wide(),
]);

static SCALE: Printer = Printer::of(&[
    Column { format: "", ..NAME },
    DESIRED,
    Column::integer("Available", "How many pods there are.", |object, _| {
        json!(integer(object, "status.replicas"))
    }),
    AGE,
]);

static DISRUPTION_BUDGET: Printer = Printer::of(&[
    NAME,
    Column::string("Min Available", "How many pods must stay.", |object, _| {
        json!(scalar_or(at(object, "spec.minAvailable"), "N/A"))
    }),
    Column::string("Max Unavailable", "How many pods may be away.", |object, _| {
        json!(scalar_or(at(object, "spec.maxUnavailable"), "N/A"))
    }),
    Column::integer("Allowed Disruptions", "How many pods may go now.", |object, _| {
        json!(integer(object, "status.disruptionsAllowed"))
    }),
    AGE,
]);

static AUTOSCALER: Printer = Printer::of(&[
    NAME,
    Column::string("Reference", "What it scales.", |object, _| {
        let target = at(object, "spec.scaleTargetRef");
        json!(format!("{}/{}", text(target, "kind"), text(target, "name")))
    }),
    Column::string("Targets", "What is measured, and what is aimed at.", |object, _| {
        json!(metrics(object))
    }),
    Column::string("MinPods", "The smallest number of pods.", |object, _| {
        json!(scalar_or(at(object, "spec.minReplicas"), "<unset>"))
    }),
    Column::string("MaxPods", "The largest number of pods.", |object, _| {
        json!(integer(object, "spec.maxReplicas"))
    }),
    Column::string("Replicas", "The number of pods now.", |object, _| {
        json!(integer(object, "status.currentReplicas"))
    }),
    AGE,
]);

/// Every metric as `what: measured/aimed at`, for both versions of the kind.
fn metrics(autoscaler: &Value) -> String {
    const SHOWN_MAX: usize = 2;
    if let Some(target) = at(autoscaler, "spec.targetCPUUtilizationPercentage").as_i64() {
        let measured = at(autoscaler, "status.currentCPUUtilizationPercentage");
        return format!("cpu: {}/{target}%", percent(measured, "<unknown>"));
    }
    let specs = items(autoscaler, "spec.metrics");
    if specs.is_empty() {
        return "<none>".to_owned();
    }
    let measured = items(autoscaler, "status.currentMetrics");
    let shown: Vec<_> = specs
        .iter()
        .enumerate()
        .map(|(i, spec)| metric(spec, measured.get(i).unwrap_or(&Value::Null)))
        .collect();
    with_more(&shown, SHOWN_MAX, ", ")
}

fn metric(spec: &Value, status: &Value) -> String {
    let source = match text(spec, "type") {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let (target, current) = (&spec[source]["target"], &status[source]["current"]);
    let value = |name: &str| scalar_or(&current[name], "<unknown>");
    let average = &target["averageValue"];
    match source {
        "pods" => format!("{}/{}", value("averageValue"), scalar_or(average, "0")),
        "resource" | "containerResource" => {
            let name = text(&spec[source], "name");
            if average.is_null() {
                let aimed = percent(&target["averageUtilization"], "<auto>");
                let now = percent(&current["averageUtilization"], "<unknown>");
                return format!("{name}: {now}/{aimed}");
            }
            format!("{name}: {}/{}", value("averageValue"), scalar_or(average, "0"))
        }
        _ if average.is_null() => {
            format!("{}/{}", value("value"), scalar_or(first(target, &["value"]), "0"))
        }
        _ => format!("{}/{} (avg)", value("averageValue"), scalar_or(average, "0")),
    }
}

fn percent(value: &Value, otherwise: &str) -> String {
    value.as_i64().map_or_else(|| otherwise.to_owned(), |percent| format!("{percent}%"))
}
