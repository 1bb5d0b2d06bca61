//! Event and Lease: what happened, and who is alive.
//!
//! An event has two forms, one per API group, of one stored object. Both rows see the stored form,
//! that of core; the row of `events.k8s.io` asks for more.

use super::at::At;
use super::{GENERIC, Hooks, NameRule, checks, formats, metadata};
use crate::status::{BadValue, FieldErrors};
use schema::Value;

/// The row of core events.
pub(crate) const CORE_EVENT: Hooks = Hooks {
    name: NameRule::PathSegment,
    create: |event, errors| shared(event, "reportingComponent", errors),
    update: |event, _, errors| shared(event, "reportingComponent", errors),
    ..GENERIC
};

/// The row of events of the newer group.
pub(crate) const EVENT: Hooks = Hooks { name: NameRule::Any, create, update, ..GENERIC };

/// The row of Lease.
pub(crate) const LEASE: Hooks = Hooks {
    name: NameRule::Subdomain,
    known_finalizers: false,
    create: |lease, errors| self::lease(&lease.at("spec"), errors),
    update: |lease, _, errors| self::lease(&lease.at("spec"), errors),
    ..GENERIC
};

fn has_time(event: &At) -> bool {
    !event.at("eventTime").is_empty()
}

fn shared(event: &At, controller: &str, errors: &mut FieldErrors) {
    const ELSEWHERE: &str = "does not match event.namespace";
    let involved = event.at("involvedObject.namespace");
    let namespace = event.text_of("metadata.namespace");
    if !has_time(event) {
        let fits = match involved.text() {
            "" => matches!(namespace, "" | "default"),
            other => other == namespace,
        };
        if !fits {
            involved.invalid_as(errors, involved.text(), ELSEWHERE);
        }
        return;
    }
    if involved.is_empty() && !matches!(namespace, "default" | "kube-system") {
        involved.invalid_as(errors, "", ELSEWHERE);
    }
    let reporter = event.at(controller).with(event.at("reportingComponent").value);
    checks::required(&reporter, errors);
    checks::format(&reporter, errors, formats::qualified_name);
    for (field, most) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        checks::required(&event.at(field), errors);
        at_most(&event.at(field), most, errors);
    }
    at_most(&event.at("message"), 1024, errors);
}

fn at_most(at: &At, bytes_max: usize, errors: &mut FieldErrors) {
    if at.text().len() > bytes_max {
        at.invalid_as(errors, "", format!("can have at most {bytes_max} characters"));
    }
}

fn create(event: &At, errors: &mut FieldErrors) {
    shared(event, "reportingController", errors);
    metadata::validate(&event.at("metadata"), NameRule::Subdomain, true, errors);
    series(event, errors);
    if !has_time(event) {
        event.at("eventTime").required(errors, "");
    }
    let kind = event.at("type");
    if !matches!(kind.text(), "Normal" | "Warning") {
        kind.invalid_as(errors, "", format!("has invalid value: {}", kind.text()));
    }
    let source = event.at("source");
    let sent = !source.text_of("component").is_empty() || !source.text_of("host").is_empty();
    for (field, is_set) in [
        ("firstTimestamp", !event.at("firstTimestamp").is_empty()),
        ("lastTimestamp", !event.at("lastTimestamp").is_empty()),
        ("count", !event.at("count").is_empty()),
        ("source", sent),
    ] {
        if is_set {
            event.at(field).invalid_as(errors, "", "needs to be unset");
        }
    }
}

fn series(event: &At, errors: &mut FieldErrors) {
    let series = event.at("series");
    if !series.is_set() {
        return;
    }
    if series.at("count").int() < 2 {
        event.at("series.count").invalid_as(errors, "", "should be at least 2");
    }
    if series.at("lastObservedTime").is_empty() {
        event.at("series.lastObservedTime").required(errors, "");
    }
}

fn update(new: &At, old: &At, errors: &mut FieldErrors) {
    shared(new, "reportingController", errors);
    if new.at("series").value != old.at("series").value {
        series(new, errors);
    }
    for field in ["involvedObject", "source", "related"] {
        let (now, was) = (new.at(field), old.at(field));
        if now.value != was.value {
            now.invalid_as(errors, in_go(&now), checks::IMMUTABLE);
        }
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "eventTime"] {
        checks::immutable(&new.at(field), &old.at(field), errors);
    }
    for field in ["reason", "message", "type", "action", "reportingInstance"] {
        checks::immutable_text(&new.at(field), &old.at(field), errors);
    }
    let (reporter, was) = (new.at("reportingComponent"), old.at("reportingComponent"));
    let shown = new.at("reportingController");
    checks::immutable_text(&shown.with(reporter.value), &was, errors);
}

/// The fields of a reference to an object and of an event's source, with their names in Go.
const REFERENCE: &[(&str, &str)] = &[
    ("kind", "Kind"),
    ("namespace", "Namespace"),
    ("name", "Name"),
    ("uid", "UID"),
    ("apiVersion", "APIVersion"),
    ("resourceVersion", "ResourceVersion"),
    ("fieldPath", "FieldPath"),
];
const SOURCE: &[(&str, &str)] = &[("component", "Component"), ("host", "Host")];

/// A part of an event as Go writes it: all of its fields, in their order there.
fn in_go(part: &At) -> BadValue {
    let path = part.path();
    if path == "related" && !part.is_set() {
        return BadValue::Value(Value::Null);
    }
    let fields = if path == "source" { SOURCE } else { REFERENCE };
    let shown =
        |(field, name): &(&str, &str)| format!("\"{name}\":{}", Value::from(part.text_of(field)));
    let shown: Vec<String> = fields.iter().map(shown).collect();
    BadValue::Raw(format!("{{{}}}", shown.join(",")))
}

fn lease(spec: &At, errors: &mut FieldErrors) {
    let duration = spec.at("leaseDurationSeconds");
    if duration.is_set() && duration.int() <= 0 {
        duration.invalid(errors, "must be greater than 0");
    }
    checks::non_negative(&spec.at("leaseTransitions"), errors);
    let strategy = spec.at("strategy");
    if !spec.at("preferredHolder").is_empty() && strategy.is_empty() {
        let words = "may only be specified if `strategy` is defined";
        spec.at("preferredHolder").forbidden(errors, words);
    }
}
