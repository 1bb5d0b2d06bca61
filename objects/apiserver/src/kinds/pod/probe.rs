//! Probes and lifecycle events of a container: what is run or asked, and how often.

use super::spec::Context;
use crate::kinds::at::At;
use crate::kinds::{checks, formats};
use crate::status::FieldErrors;

/// The three probes of a container.
pub(super) fn all_of(container: &At, context: &Context, errors: &mut FieldErrors) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.at(name);
        if !probe.is_set() {
            continue;
        }
        self::probe(&probe, context, errors);
        let successes = probe.at("successThreshold");
        let grace = probe.at("terminationGracePeriodSeconds");
        if name == "readinessProbe" {
            if grace.is_set() {
                grace.invalid(errors, "must not be set for readinessProbes");
            }
        } else if successes.int() != 1 {
            successes.invalid_as(errors, successes.int(), "must be 1");
        }
    }
}

fn probe(probe: &At, context: &Context, errors: &mut FieldErrors) {
    handler(probe, context, errors);
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        checks::non_negative(&probe.at(field), errors);
    }
    let grace = probe.at("terminationGracePeriodSeconds");
    if grace.is_set() && grace.int() <= 0 {
        grace.invalid(errors, "must be greater than 0");
    }
}

/// What happens after a container starts and before it stops.
pub(super) fn lifecycle(lifecycle: &At, context: &Context, errors: &mut FieldErrors) {
    for event in ["postStart", "preStop"] {
        let event = lifecycle.at(event);
        if event.is_set() {
            handler(&event, context, errors);
        }
    }
}

/// What is run or asked: one thing.
fn handler(at: &At, context: &Context, errors: &mut FieldErrors) {
    let mut given = false;
    for (field, check) in HANDLERS {
        let action = at.at(field);
        if !action.is_set() {
            continue;
        }
        if given {
            action.forbidden(errors, "may not specify more than 1 handler type");
        } else {
            check(&action, context, errors);
        }
        given = true;
    }
    if !given {
        at.required(errors, "must specify a handler type");
    }
}

type Check = fn(&At, &Context, &mut FieldErrors);

const HANDLERS: [(&str, Check); 5] = [
    ("exec", |action, _, errors| {
        checks::required(&action.at("command"), errors);
    }),
    ("httpGet", |action, _, errors| http_get(action, errors)),
    ("tcpSocket", |action, _, errors| checks::port_number_or_name(&action.at("port"), errors)),
    ("grpc", |action, _, errors| checks::port_number(&action.at("port"), errors)),
    ("sleep", sleep),
];

fn http_get(action: &At, errors: &mut FieldErrors) {
    checks::required(&action.at("path"), errors);
    checks::port_number_or_name(&action.at("port"), errors);
    checks::one_of(&action.at("scheme"), errors, &["HTTP", "HTTPS"]);
    for header in action.at("httpHeaders").items() {
        let name = header.text_of("name");
        for fault in formats::header_name(name) {
            action.at("httpHeaders").invalid_as(errors, name, fault);
        }
    }
}

fn sleep(action: &At, context: &Context, errors: &mut FieldErrors) {
    let Some(grace) = context.grace_seconds else { return };
    let seconds = action.at("seconds").int();
    if !(0..=grace).contains(&seconds) {
        let words =
            format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        action.invalid_as(errors, seconds, words);
    }
}
