//! HorizontalPodAutoscaler, in the version that is stored: how many replicas, by what is measured.

use super::at::At;
use super::edit::{self, fill, make};
use super::quantity::Quantity;
use super::{GENERIC, Hooks, NameRule, amounts, checks, formats};
use crate::status::FieldErrors;
use schema::Value;
use serde_json::json;

/// The row of HorizontalPodAutoscaler.
pub(crate) const HORIZONTAL_POD_AUTOSCALER: Hooks = Hooks {
    name: NameRule::Subdomain,
    default,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: |object, errors| spec(&object.at("spec"), errors),
    update: |object, _, errors| spec(&object.at("spec"), errors),
    status: |object, _, errors| {
        let status = object.at("status");
        for field in ["currentReplicas", "desiredReplicas"] {
            checks::non_negative(&status.at(field), errors);
        }
    },
    ..GENERIC
};

/// *Units*: percent of what is asked for.
const UTILIZATION_DEFAULT: i64 = 80;

fn default(object: &mut Value) {
    let Some(spec) = make(object, "spec") else { return };
    fill(spec, "minReplicas", 1);
    if edit::is_zero(spec.get("metrics")) {
        let target = json!({ "type": "Utilization", "averageUtilization": UTILIZATION_DEFAULT });
        let metric = json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } });
        edit::set(spec, "metrics", json!([metric]));
    }
    edit::with(spec, "behavior", |behavior| {
        rules(
            behavior,
            "scaleUp",
            0,
            json!([
                { "type": "Pods", "value": 4, "periodSeconds": 15 },
                { "type": "Percent", "value": 100, "periodSeconds": 15 },
            ]),
        );
        rules(
            behavior,
            "scaleDown",
            -1,
            json!([
                { "type": "Percent", "value": 100, "periodSeconds": 15 },
            ]),
        );
    });
}

/// How fast to grow or to shrink. A negative window is left to the controller.
fn rules(behavior: &mut Value, direction: &str, window: i64, policies: Value) {
    let Some(rules) = make(behavior, direction) else { return };
    if window >= 0 {
        fill(rules, "stabilizationWindowSeconds", window);
    }
    fill(rules, "selectPolicy", "Max");
    fill(rules, "policies", policies);
}

fn spec(spec: &At, errors: &mut FieldErrors) {
    let (min, max) = (spec.at("minReplicas"), spec.at("maxReplicas"));
    if min.is_set() && max.int() < min.int() {
        max.invalid_as(errors, max.int(), "must be greater than or equal to `minReplicas`");
    }
    let target = spec.at("scaleTargetRef");
    reference(&target, errors);
    for metric in spec.at("metrics").items() {
        self::metric(&metric, errors);
    }
    let from_outside = |metric: At| matches!(metric.text_of("type"), "Object" | "External");
    if min.is_set() && min.int() == 0 && !spec.at("metrics").items().any(from_outside) {
        spec.at("metrics").forbidden(
            errors,
            "must specify at least one Object or External metric to support scaling to zero \
             replicas",
        );
    }
    for direction in ["behavior.scaleUp", "behavior.scaleDown"] {
        let rules = spec.at(direction);
        if rules.is_set() {
            scaling_rules(&rules, errors);
        }
    }
    checks::non_negative(&min, errors);
    if max.int() == 0 {
        max.required(errors, "");
    } else if max.int() < 0 {
        max.invalid(errors, "must be greater than or equal to 1");
    }
}

fn reference(target: &At, errors: &mut FieldErrors) {
    for field in ["kind", "name"] {
        checks::required_format(&target.at(field), errors, formats::path_segment);
    }
    let version = target.at("apiVersion");
    match version.text().matches('/').count() {
        0 if target.text_of("kind") == "ReplicationController" => {}
        0 => version.invalid_as(errors, version.text(), "apiVersion must specify API group"),
        1 => {}
        _ => {
            let words = format!("unexpected GroupVersion string: {}", version.text());
            version.invalid(errors, words);
        }
    }
}

const METRICS: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];

fn metric(metric: &At, errors: &mut FieldErrors) {
    const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
    let kind = metric.at("type");
    let known = METRICS.iter().find(|(name, _)| *name == kind.text());
    if kind.is_empty() {
        kind.required(errors, "must specify a metric source type");
    }
    if known.is_none() {
        kind.not_supported(errors, &TYPES);
    }
    let given: Vec<&str> =
        METRICS.iter().map(|(_, field)| *field).filter(|field| metric.has(field)).collect();
    if let Some(field) = given.first() {
        let source = metric.at(field);
        source_target(field, &source, errors);
    }
    match known {
        Some((_, field)) if !metric.has(field) => {
            let words = "must populate information for the given metric source";
            metric.at(field).required(errors, words);
        }
        Some(_) => {}
        None => kind.not_supported(errors, &TYPES),
    }
    if given.len() != 1 {
        for field in given.iter().filter(|field| known.is_none_or(|(_, own)| own != *field)) {
            metric.at(field).forbidden(errors, "must populate the given metric source only");
        }
    }
}

fn source_target(kind: &str, source: &At, errors: &mut FieldErrors) {
    let by_resource = matches!(kind, "resource" | "containerResource");
    if by_resource && source.at("name").is_empty() {
        source.at("name").required(errors, "must specify a resource name");
    }
    let target = source.at("target");
    let its_type = target.at("type");
    if its_type.is_empty() {
        its_type.required(errors, "must specify a metric target type");
    }
    if !matches!(its_type.text(), "Utilization" | "Value" | "AverageValue") {
        let words = "must be either Utilization, Value, or AverageValue";
        its_type.invalid_as(errors, its_type.text(), words);
    }
    for field in ["value", "averageValue"] {
        let amount = target.at(field);
        if amount.is_set() && Quantity::of(amount.value) <= Some(Quantity::ZERO) {
            amount.invalid_as(errors, amounts::shown(amount.value), "must be positive");
        }
    }
    let utilization = target.at("averageUtilization");
    if utilization.is_set() && utilization.int() < 1 {
        utilization.invalid(errors, "must be greater than 0");
    }
    if !by_resource {
        return;
    }
    match (utilization.is_set(), target.has("averageValue")) {
        (false, false) => {
            let words = "must set either a target raw value or a target utilization";
            utilization.required(errors, words);
        }
        (true, true) => {
            let words = "may not set both a target raw value and a target utilization";
            target.at("averageValue").forbidden(errors, words);
        }
        _ => {}
    }
}

fn scaling_rules(rules: &At, errors: &mut FieldErrors) {
    let window = rules.at("stabilizationWindowSeconds");
    if window.int() < 0 {
        window.invalid(errors, "must be greater than or equal to zero");
    } else if window.int() > 3600 {
        window.invalid(errors, "must be less than or equal to 3600");
    }
    let select = rules.at("selectPolicy");
    checks::optional_one_of(&select, errors, &["Disabled", "Max", "Min"]);
    let policies = rules.at("policies");
    if policies.is_empty() {
        policies.required(errors, "must specify at least one Policy");
    }
    for policy in policies.items() {
        checks::one_of(&policy.at("type"), errors, &["Percent", "Pods"]);
        let (value, period) = (policy.at("value"), policy.at("periodSeconds"));
        for at in [&value, &period] {
            if at.int() <= 0 {
                at.invalid_as(errors, at.int(), "must be greater than zero");
            }
        }
        if period.int() > 1800 {
            period.invalid(errors, "must be less than or equal to 1800");
        }
    }
}
