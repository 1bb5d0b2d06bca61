//! How requests share an API server: FlowSchema and PriorityLevelConfiguration.

use super::at::At;
use super::edit::{self, fill, fill_zero, make};
use super::{GENERIC, Hooks, NameRule, checks};
use crate::status::{BadValue, FieldErrors};
use schema::Value;

/// The row of FlowSchema.
pub(crate) const FLOW_SCHEMA: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: |schema| {
        if let Some(spec) = make(schema, "spec") {
            fill_zero(spec, "matchingPrecedence", 1000);
        }
    },
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: |it, errors| schema(&it.at("spec"), errors),
    update: |it, _, errors| schema(&it.at("spec"), errors),
    ..GENERIC
};

/// The row of PriorityLevelConfiguration.
pub(crate) const PRIORITY_LEVEL: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: default_level,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: level,
    update: |it, _, errors| level(it, errors),
    ..GENERIC
};

fn default_level(level: &mut Value) {
    let Some(spec) = make(level, "spec") else { return };
    edit::with(spec, "exempt", |exempt| {
        fill(exempt, "nominalConcurrencyShares", 0);
        fill(exempt, "lendablePercent", 0);
    });
    edit::with(spec, "limited", |limited| {
        fill(limited, "nominalConcurrencyShares", 30);
        fill(limited, "lendablePercent", 0);
        edit::with(limited, "limitResponse.queuing", |queuing| {
            fill_zero(queuing, "handSize", 8);
            fill_zero(queuing, "queues", 64);
            fill_zero(queuing, "queueLengthLimit", 50);
        });
    });
}

fn schema(spec: &At, errors: &mut FieldErrors) {
    let precedence = spec.at("matchingPrecedence");
    if precedence.int() <= 0 {
        precedence.invalid(errors, "must be a positive value");
    }
    if precedence.int() > 10_000 {
        precedence.invalid(errors, "must not be greater than 10000");
    }
    let method = spec.at("distinguisherMethod.type");
    if spec.has("distinguisherMethod") && !matches!(method.text(), "ByNamespace" | "ByUser") {
        let shown = BadValue::Raw(format!("{{\"Type\":{}}}", Value::from(method.text())));
        method.not_supported_as(errors, shown, &["ByNamespace", "ByUser"]);
    }
    let level = spec.at("priorityLevelConfiguration.name");
    if level.is_empty() {
        level.required(errors, "must reference a priority level");
    }
    for rule in spec.at("rules").items() {
        if rule.at("subjects").is_empty() {
            let words = "subjects must contain at least one value";
            rule.at("subjects").required(errors, words);
        }
        if rule.at("resourceRules").is_empty() && rule.at("nonResourceRules").is_empty() {
            let words = "at least one of resourceRules and nonResourceRules has to be non-empty";
            rule.required(errors, words);
        }
    }
}

fn level(object: &At, errors: &mut FieldErrors) {
    let spec = object.at("spec");
    let (kind, limited) = (spec.at("type"), spec.at("limited"));
    let exempt = object.text_of("metadata.name") == "exempt";
    let known = matches!(kind.text(), "Exempt" | "Limited");
    if known && (kind.text() == "Exempt") != exempt {
        kind.invalid(errors, "must be 'Exempt' if and only if `name` is 'exempt'");
    }
    match kind.text() {
        "Limited" if !limited.is_set() => limited.required(errors, ""),
        "Limited" => self::limited(&limited, errors),
        "Exempt" => {
            if limited.is_set() {
                limited.forbidden(errors, "must be nil if the type is not Limited");
            }
        }
        _ => {
            kind.not_supported(errors, &["Exempt", "Limited"]);
            if limited.is_set() {
                limited.forbidden(errors, "");
            }
        }
    }
}

fn limited(limited: &At, errors: &mut FieldErrors) {
    let shares = limited.at("nominalConcurrencyShares");
    if shares.int() < 0 {
        shares.invalid(errors, "must be a non-negative integer");
    }
    let response = limited.at("limitResponse");
    let (kind, queuing) = (response.at("type"), response.at("queuing"));
    checks::required_one_of(&kind, errors, &["Queue", "Reject"]);
    match kind.text() {
        "Queue" if !queuing.is_set() => queuing.required(errors, ""),
        "Reject" if queuing.is_set() => queuing.forbidden(errors, ""),
        _ => {}
    }
    checks::in_range(&limited.at("lendablePercent"), errors, 0, 100);
}
