//! How roles' bindings, certificates and the rules of flow control are shown.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::age::human;
use super::columns::{AGE, Column, NAME, Printer};
use super::read::{at, condition, integer, items, labels, text, text_or};

pub(super) fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    Some(match (group, kind) {
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => &BINDING,
        ("certificates.k8s.io", "CertificateSigningRequest") => &SIGNING_REQUEST,
        ("certificates.k8s.io", "ClusterTrustBundle") => &TRUST_BUNDLE,
        ("certificates.k8s.io", "PodCertificateRequest") => &POD_CERTIFICATE_REQUEST,
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => &FLOW_SCHEMA,
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => &PRIORITY_LEVEL,
        _ => return None,
    })
}

static BINDING: Printer = Printer::of(&[
    NAME,
    Column::string("Role", "What is given.", |object, _| {
        json!(format!("{}/{}", text(object, "roleRef.kind"), text(object, "roleRef.name")))
    }),
    AGE,
    Column::string("Users", "The users who get it.", |object, _| subjects(object, "User")).wide(),
    Column::string("Groups", "The groups that get it.", |object, _| subjects(object, "Group"))
        .wide(),
    Column::string("ServiceAccounts", "The service accounts that get it.", |object, _| {
        subjects(object, "ServiceAccount")
    })
    .wide(),
]);

fn subjects(binding: &Value, kind: &str) -> Value {
    let of_kind = items(binding, "subjects").iter().filter(|s| text(s, "kind") == kind);
    let names: Vec<_> = of_kind
        .map(|subject| match kind {
            "ServiceAccount" => format!("{}/{}", text(subject, "namespace"), text(subject, "name")),
            _ => text(subject, "name").to_owned(),
        })
        .collect();
    json!(names.join(", "))
}

static SIGNING_REQUEST: Printer = Printer::of(&[
    NAME,
    AGE,
    Column::string("SignerName", "Who is asked to sign.", |object, _| {
        json!(text_or(object, "spec.signerName", "<none>"))
    }),
    Column::string("Requestor", "Who asks.", |object, _| json!(text(object, "spec.username"))),
    Column::string("RequestedDuration", "How long it should hold.", |object, _| {
        match at(object, "spec.expirationSeconds").as_i64() {
            Some(seconds) => json!(human(jiff::SignedDuration::from_secs(seconds))),
            None => json!("<none>"),
        }
    }),
    Column::string("Condition", "What became of it.", |object, _| json!(signing_condition(object))),
]);

fn signing_condition(request: &Value) -> String {
    let has = |kind: &str| condition(items(request, "status.conditions"), kind).is_some();
    let decision = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    };
    let failed = if has("Failed") { ",Failed" } else { "" };
    let issued = if text(request, "status.certificate").is_empty() { "" } else { ",Issued" };
    format!("{decision}{failed}{issued}")
}

static TRUST_BUNDLE: Printer = Printer::of(&[
    NAME,
    Column::string("SignerName", "Whose signatures it lets trust.", |object, _| {
        json!(text_or(object, "spec.signerName", "<none>"))
    }),
]);

static POD_CERTIFICATE_REQUEST: Printer = Printer::of(&[
    NAME,
    Column::string("PodName", "The pod that it is for.", |object, _| {
        json!(text(object, "spec.podName"))
    }),
    Column::string("ServiceAccountName", "The pod's service account.", |object, _| {
        json!(text(object, "spec.serviceAccountName"))
    }),
    Column::string("NodeName", "The pod's node.", |object, _| json!(text(object, "spec.nodeName"))),
    Column::string("SignerName", "Who is asked to sign.", |object, _| {
        json!(text(object, "spec.signerName"))
    }),
    Column::string("State", "What became of it.", |object, _| {
        let mut conditions = items(object, "status.conditions").iter().rev();
        let last = conditions.find_map(|condition| match text(condition, "type") {
            state @ ("Issued" | "Denied" | "Failed") => Some(state),
            _ => None,
        });
        json!(last.unwrap_or("Pending"))
    }),
    Column::string("UnverifiedUserAnnotations", "What the pod says of itself.", |object, _| {
        json!(labels(object, "spec.unverifiedUserAnnotations"))
    }),
]);

static FLOW_SCHEMA: Printer = Printer {
    order: Some(by_precedence),
    ..Printer::of(&[
        NAME,
        Column::string("PriorityLevel", "The level that its requests go to.", |object, _| {
            json!(text(object, "spec.priorityLevelConfiguration.name"))
        }),
        Column::string("MatchingPrecedence", "Smaller ones are tried first.", |object, _| {
            json!(integer(object, "spec.matchingPrecedence"))
        }),
        Column::string("DistinguisherMethod", "What tells its flows apart.", |object, _| match at(
            object,
            "spec.distinguisherMethod",
        ) {
            Value::Null => json!("<none>"),
            method => json!(text(method, "type")),
        }),
        AGE,
        Column::string("MissingPL", "Whether its level does not exist.", |object, _| {
            let dangling = condition(items(object, "status.conditions"), "Dangling");
            json!(dangling.map_or("?", |condition| text(condition, "status")))
        }),
    ])
};

fn by_precedence(a: &Value, b: &Value) -> Ordering {
    let precedence = |schema: &Value| integer(schema, "spec.matchingPrecedence");
    let name = |schema: &Value| text(schema, "metadata.name").to_owned();
    precedence(a).cmp(&precedence(b)).then_with(|| name(a).cmp(&name(b)))
}

static PRIORITY_LEVEL: Printer = Printer::of(&[
    NAME,
    Column::string("Type", "Whether the level is limited.", |object, _| {
        json!(text(object, "spec.type"))
    }),
    Column::string("NominalConcurrencyShares", "Its part of the server.", |object, _| {
        limited(object, "nominalConcurrencyShares")
    }),
    Column::string("Queues", "How many queues it has.", |object, _| {
        limited(object, "limitResponse.queuing.queues")
    }),
    Column::string("HandSize", "How many queues a flow is dealt.", |object, _| {
        limited(object, "limitResponse.queuing.handSize")
    }),
    Column::string("QueueLengthLimit", "How many requests wait in a queue.", |object, _| {
        limited(object, "limitResponse.queuing.queueLengthLimit")
    }),
    AGE,
]);

fn limited(level: &Value, path: &str) -> Value {
    match at(at(level, "spec.limited"), path) {
        Value::Null => json!("<none>"),
        number => number.clone(),
    }
}
