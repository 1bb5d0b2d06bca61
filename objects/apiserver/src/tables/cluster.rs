//! How nodes, namespaces, events and the small things of a cluster are shown.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::since;
use super::columns::{AGE, Column, NAME, Printer};
use super::read::{
    at, boolean_or, condition, count, first, integer, items, scalar_or, text, text_or,
};

pub(super) fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    Some(match (group, kind) {
        ("", "Node") => &NODE,
        ("", "Namespace") => &NAMESPACE,
        ("", "Event") | ("events.k8s.io", "Event") => &EVENT,
        ("", "ConfigMap") => &CONFIG_MAP,
        ("", "Secret") => &SECRET,
        ("", "ServiceAccount") => &SERVICE_ACCOUNT,
        ("", "ResourceQuota") => &QUOTA,
        ("", "ComponentStatus") => &COMPONENT_STATUS,
        ("coordination.k8s.io", "Lease") => &LEASE,
        ("scheduling.k8s.io", "PriorityClass") => &PRIORITY_CLASS,
        ("node.k8s.io", "RuntimeClass") => &RUNTIME_CLASS,
        ("resource.k8s.io", "DeviceClass" | "ResourceClaimTemplate") => &NAME_AND_AGE,
        ("resource.k8s.io", "ResourceClaim") => &RESOURCE_CLAIM,
        ("resource.k8s.io", "ResourceSlice") => &RESOURCE_SLICE,
        ("resource.k8s.io", "DeviceTaintRule") => &DEVICE_TAINT_RULE,
        _ => return None,
    })
}

static NAME_AND_AGE: Printer = Printer::of(&[NAME, AGE]);

static NODE: Printer = Printer::of(&[
    NAME,
    Column::string("Status", "Whether the node is ready, and takes pods.", |object, _| {
        json!(node_status(object))
    }),
    Column::string("Roles", "What the node's labels say it is for.", |object, _| {
        json!(node_roles(object))
    }),
    AGE,
    Column::string("Version", "The version of the node's agent.", |object, _| {
        json!(text(object, "status.nodeInfo.kubeletVersion"))
    }),
    Column::string("Internal-IP", "The node's address inside.", |object, _| {
        json!(node_address(object, "InternalIP"))
    })
    .wide(),
    Column::string("External-IP", "The node's address outside.", |object, _| {
        json!(node_address(object, "ExternalIP"))
    })
    .wide(),
    Column::string("OS-Image", "The node's operating system.", |object, _| {
        json!(text_or(object, "status.nodeInfo.osImage", "<unknown>"))
    })
    .wide(),
    Column::string("Kernel-Version", "The node's kernel.", |object, _| {
        let kernel = text_or(object, "status.nodeInfo.kernelVersion", "<unknown>");
        match text(object, "status.nodeInfo.architecture") {
            "" => json!(kernel),
            architecture => json!(format!("{kernel} ({architecture})")),
        }
    })
    .wide(),
    Column::string("Container-Runtime", "What runs the node's containers.", |object, _| {
        json!(text_or(object, "status.nodeInfo.containerRuntimeVersion", "<unknown>"))
    })
    .wide(),
]);

fn node_status(node: &Value) -> String {
    // The last condition of a type counts, should there be several.
    let ready = items(node, "status.conditions").iter().rfind(|c| text(c, "type") == "Ready");
    let ready = match ready.map(|condition| text(condition, "status")) {
        None => "Unknown",
        Some("True") => "Ready",
        Some(_) => "NotReady",
    };
    match boolean_or(node, "spec.unschedulable", false) {
        true => format!("{ready},SchedulingDisabled"),
        false => ready.to_owned(),
    }
}

fn node_roles(node: &Value) -> String {
    let labels = at(node, "metadata.labels").as_object().into_iter().flatten();
    let role = |(name, value): (&String, &Value)| match name.as_str() {
        "kubernetes.io/role" => value.as_str().map(str::to_owned),
        name => name.strip_prefix("node-role.kubernetes.io/").map(str::to_owned),
    };
    let roles: BTreeSet<_> = labels.filter_map(role).filter(|role| !role.is_empty()).collect();
    if roles.is_empty() {
        return "<none>".to_owned();
    }
    roles.into_iter().collect::<Vec<_>>().join(",")
}

fn node_address<'a>(node: &'a Value, kind: &str) -> &'a str {
    condition(items(node, "status.addresses"), kind)
        .map_or("<none>", |address| text(address, "address"))
}

static NAMESPACE: Printer = Printer::of(&[
    NAME,
    Column::string("Status", "Where the namespace stands in its life.", |object, _| {
        json!(text(object, "status.phase"))
    }),
    AGE,
]);

static EVENT: Printer = Printer::of(&[
    Column::string("Last Seen", "When it was last seen.", |event, now| {
        json!(last_seen(event, now))
    }),
    Column::string("Type", "Normal or a warning.", |event, _| json!(text(event, "type"))),
    Column::string("Reason", "What happened, in one word.", |event, _| {
        json!(text(event, "reason"))
    }),
    Column::string("Object", "What it happened to.", |event, _| {
        let object = first(event, &["involvedObject", "regarding"]);
        let kind = text(object, "kind").to_lowercase();
        match text(object, "name") {
            "" => json!(kind),
            name => json!(format!("{kind}/{name}")),
        }
    }),
    Column::string("Subobject", "Which part of it.", |event, _| {
        json!(text(first(event, &["involvedObject", "regarding"]), "fieldPath"))
    })
    .wide(),
    Column::string("Source", "Who saw it.", |event, _| json!(event_source(event))).wide(),
    Column::string("Message", "What happened, for people.", |event, _| {
        json!(first(event, &["message", "note"]).as_str().unwrap_or_default().trim())
    }),
    Column::string("First Seen", "When it was first seen.", |event, now| {
        json!(first_seen(event, now))
    })
    .wide(),
    Column::string("Count", "How often it was seen.", |event, _| json!(event_count(event))).wide(),
    Column { priority: 1, ..NAME },
]);

fn first_seen(event: &Value, now: Timestamp) -> String {
    since(first(event, &["firstTimestamp", "deprecatedFirstTimestamp", "eventTime"]), now)
}

fn last_seen(event: &Value, now: Timestamp) -> String {
    if at(event, "series").is_object() {
        return since(at(event, "series.lastObservedTime"), now);
    }
    match first(event, &["lastTimestamp", "deprecatedLastTimestamp"]) {
        Value::Null => first_seen(event, now),
        last => since(last, now),
    }
}

fn event_count(event: &Value) -> i64 {
    if at(event, "series").is_object() {
        return integer(event, "series.count");
    }
    first(event, &["count", "deprecatedCount"]).as_i64().filter(|count| *count != 0).unwrap_or(1)
}

fn event_source(event: &Value) -> String {
    let source = first(event, &["source", "deprecatedSource"]);
    let reporter = first(event, &["reportingComponent", "reportingController"]);
    let component = text_or(source, "component", reporter.as_str().unwrap_or_default());
    match text_or(source, "host", text(event, "reportingInstance")) {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    }
}

static CONFIG_MAP: Printer = Printer::of(&[
    NAME,
    Column::string("Data", "How many entries it has.", |object, _| {
        json!(count(object, "data") + count(object, "binaryData"))
    }),
    AGE,
]);

static SECRET: Printer = Printer::of(&[
    NAME,
    Column::string("Type", "What the secret is for.", |object, _| json!(text(object, "type"))),
    Column::string("Data", "How many entries it has.", |object, _| json!(count(object, "data"))),
    AGE,
]);

static SERVICE_ACCOUNT: Printer = Printer::of(&[NAME, AGE]);

static QUOTA: Printer = Printer::of(&[
    NAME,
    Column::string("Request", "What is used of what may be, but for limits.", |object, _| {
        json!(quota(object, false))
    }),
    Column::string("Limit", "What is used of the limits that may be.", |object, _| {
        json!(quota(object, true))
    }),
    AGE,
]);

fn quota(quota: &Value, limits: bool) -> String {
    let used = at(quota, "status.used");
    let hard = at(quota, "status.hard").as_object().into_iter().flatten();
    let shown = hard.filter(|(name, _)| name.starts_with("limits.") == limits);
    let parts: Vec<_> = shown
        .map(|(name, hard)| {
            format!("{name}: {}/{}", scalar_or(&used[name], "0"), scalar_or(hard, "0"))
        })
        .collect();
    parts.join(", ")
}

static COMPONENT_STATUS: Printer = Printer::of(&[
    NAME,
    Column::string("Status", "Whether the component is healthy.", |object, _| {
        let status = healthy(object).map(|condition| text(condition, "status"));
        json!(match status {
            None => "Unknown",
            Some("True") => "Healthy",
            Some(_) => "Unhealthy",
        })
    }),
    Column::string("Message", "What the check said.", |object, _| {
        json!(healthy(object).map_or("", |condition| text(condition, "message")))
    }),
    Column::string("Error", "Why the check failed.", |object, _| {
        json!(healthy(object).map_or("", |condition| text(condition, "error")))
    }),
]);

fn healthy(object: &Value) -> Option<&Value> {
    condition(items(object, "conditions"), "Healthy")
}

static LEASE: Printer = Printer::of(&[
    NAME,
    Column::string("Holder", "Who holds the lease.", |object, _| {
        json!(text(object, "spec.holderIdentity"))
    }),
    AGE,
]);

static PRIORITY_CLASS: Printer = Printer::of(&[
    NAME,
    Column::integer("Value", "The priority.", |object, _| json!(integer(object, "value"))),
    Column::boolean("Global-Default", "Whether pods without a class get it.", |object, _| {
        json!(boolean_or(object, "globalDefault", false))
    }),
    AGE,
    Column::string("PreemptionPolicy", "Whether its pods push others out.", |object, _| {
        json!(text(object, "preemptionPolicy"))
    }),
]);

static RUNTIME_CLASS: Printer = Printer::of(&[
    NAME,
    Column::string("Handler", "What runs containers of the class.", |object, _| {
        json!(text(object, "handler"))
    }),
    AGE,
]);

static RESOURCE_CLAIM: Printer = Printer::of(&[
    NAME,
    Column::string("State", "Whether devices are set aside for it.", |object, _| {
        json!(claim_state(object))
    }),
    AGE,
]);

fn claim_state(claim: &Value) -> String {
    let deleted = super::read::is_being_deleted(claim);
    let allocated = !at(claim, "status.allocation").is_null();
    let reserved = allocated && count(claim, "status.reservedFor") > 0;
    let states = [
        (deleted, "deleted"),
        (!allocated && !deleted, "pending"),
        (allocated, "allocated"),
        (reserved, "reserved"),
    ];
    states.iter().filter(|(is, _)| *is).map(|(_, state)| *state).collect::<Vec<_>>().join(",")
}

static RESOURCE_SLICE: Printer = Printer::of(&[
    NAME,
    Column::string("Node", "The node that has the devices.", |object, _| {
        json!(text(object, "spec.nodeName"))
    }),
    Column::string("Driver", "The driver of the devices.", |object, _| {
        json!(text(object, "spec.driver"))
    }),
    Column::string("Pool", "The pool that the devices are in.", |object, _| {
        json!(text(object, "spec.pool.name"))
    }),
    AGE,
]);

static DEVICE_TAINT_RULE: Printer = Printer::of(&[
    NAME,
    Column::string("Key", "The taint's key.", |object, _| json!(text(object, "spec.taint.key"))),
    Column::string("Value", "The taint's value.", |object, _| {
        json!(text(object, "spec.taint.value"))
    }),
    Column::string("Effect", "What the taint does to pods.", |object, _| {
        json!(text(object, "spec.taint.effect"))
    }),
    Column::string("TimeAdded", "Since when the devices are tainted.", |object, now| {
        match at(object, "spec.taint.timeAdded") {
            Value::Null => json!(""),
            time => json!(since(time, now)),
        }
    }),
    AGE,
]);
