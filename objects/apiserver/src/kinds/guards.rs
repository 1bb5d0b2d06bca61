//! Limits on others: PodDisruptionBudget, ResourceQuota, LimitRange; and ControllerRevision, which
//! keeps what was.

use super::at::At;
use super::edit::{self, each, fill, make};
use super::quantity::Quantity;
use super::workloads::{at_most_all, count_or_percent, counts};
use super::{GENERIC, Hooks, NameRule, amounts, checks, formats};
use crate::status::{BadValue, FieldErrors};
use schema::Value;
use std::collections::{BTreeSet, HashSet};

/// The row of PodDisruptionBudget.
pub(crate) const POD_DISRUPTION_BUDGET: Hooks = Hooks {
    name: NameRule::PathSegment,
    known_finalizers: false,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: |object, errors| budget(&object.at("spec"), errors),
    update: |object, _, errors| budget(&object.at("spec"), errors),
    status: |object, _, errors| {
        const COUNTS: [&str; 4] =
            ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        counts(&object.at("status"), &COUNTS, errors);
    },
    ..GENERIC
};

/// The row of ResourceQuota.
pub(crate) const RESOURCE_QUOTA: Hooks = Hooks {
    name: NameRule::Subdomain,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: |object, errors| quota(&object.at("spec"), errors),
    update: |new, old, errors| {
        quota(&new.at("spec"), errors);
        let set = |at: &At| at.items().map(|it| it.text().to_owned()).collect::<BTreeSet<_>>();
        if set(&new.at("spec.scopes")) != set(&old.at("spec.scopes")) {
            new.at("spec.scopes").invalid(errors, checks::IMMUTABLE);
        }
    },
    ..GENERIC
};

/// The row of LimitRange.
pub(crate) const LIMIT_RANGE: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: |object| each(object, "spec.limits", default_limit),
    create: |object, errors| limits(&object.at("spec.limits"), errors),
    update: |object, _, errors| limits(&object.at("spec.limits"), errors),
    ..GENERIC
};

/// The row of ControllerRevision.
pub(crate) const CONTROLLER_REVISION: Hooks = Hooks {
    name: NameRule::Subdomain,
    create: revision,
    update: |new, old, errors| {
        checks::non_negative(&new.at("revision"), errors);
        checks::immutable(&new.at("data"), &old.at("data"), errors);
    },
    ..GENERIC
};

fn revision(object: &At, errors: &mut FieldErrors) {
    checks::non_negative(&object.at("revision"), errors);
    let data = object.at("data");
    if !data.is_set() {
        data.required(errors, "data is mandatory");
    } else if !data.value.is_object() {
        data.required(errors, "data must be a valid JSON object");
    }
}

fn budget(spec: &At, errors: &mut FieldErrors) {
    let (least, most) = (spec.at("minAvailable"), spec.at("maxUnavailable"));
    if least.is_set() && most.is_set() {
        let words = "minAvailable and maxUnavailable cannot be both set";
        spec.invalid_as(errors, budget_shown(spec), words);
    }
    for at in [&least, &most] {
        if at.is_set() {
            count_or_percent(at, errors);
            at_most_all(at, errors);
        }
    }
    checks::label_selector(&spec.at("selector"), errors);
    let policy = spec.at("unhealthyPodEvictionPolicy");
    checks::optional_one_of(&policy, errors, &["AlwaysAllow", "IfHealthyBudget"]);
}

/// Compat: the spec is shown by its names in Go, with what is unset as null.
fn budget_shown(spec: &At) -> BadValue {
    BadValue::Raw(format!(
        "{{\"MinAvailable\":{},\"Selector\":{},\"MaxUnavailable\":{},\
         \"UnhealthyPodEvictionPolicy\":{}}}",
        spec.at("minAvailable").value,
        spec.at("selector").value,
        spec.at("maxUnavailable").value,
        spec.at("unhealthyPodEvictionPolicy").value,
    ))
}

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

fn quota(spec: &At, errors: &mut FieldErrors) {
    let hard = spec.at("hard");
    for (name, amount) in hard.entries() {
        amounts::resource_name(name, &amount, errors);
        if !name.contains('/') && !amounts::is_quota_name(name) {
            amount.invalid_as(errors, name, "must be a standard resource for quota");
        }
        amounts::resource_quantity(name, &amount, errors);
    }
    let scopes = spec.at("scopes");
    let has = |name: &str| scopes.items().any(|scope| scope.text() == name);
    for scope in scopes.items() {
        if !SCOPES.contains(&scope.text()) {
            scopes.invalid(errors, "unsupported scope");
        }
        for (name, _) in hard.entries() {
            if amounts::is_quota_name(name) && !scope_fits(scope.text(), name) {
                scopes.invalid(errors, "unsupported scope applied to resource");
            }
        }
    }
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if has(one) && has(other) {
            scopes.invalid(errors, "conflicting scopes");
        }
    }
    scope_selector(&spec.at("scopeSelector"), errors);
}

fn scope_fits(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => {
            matches!(name, "persistentvolumeclaims" | "requests.storage")
        }
        _ if SCOPES.contains(&scope) => amounts::is_of_pods(name),
        _ => true,
    }
}

fn scope_selector(selector: &At, errors: &mut FieldErrors) {
    // Compat: the paths leave `scopeSelector` out of some, and the index of all.
    let list = selector.at("matchExpressions");
    for expression in list.items() {
        let (scope, operator) = (expression.at("scopeName"), expression.at("operator"));
        if !SCOPES.contains(&scope.text()) {
            list.at("scopeName").invalid_as(errors, scope.text(), "unsupported scope");
        }
        let values = expression.at("values");
        match operator.text() {
            "In" | "NotIn" if values.is_empty() => list.at("values").required(
                errors,
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let words = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for \
                    scope selector";
                list.at("values").with(values.value).invalid(errors, words);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            text => {
                list.at("operator").invalid_as(errors, text, "not a valid selector operator");
            }
        }
    }
}

fn default_limit(limit: &mut Value) {
    if edit::text(limit, "type") != "Container" {
        return;
    }
    for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")]
    {
        let source = limit.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
        if source.is_empty() {
            continue;
        }
        if let Some(target) = make(limit, to) {
            source.into_iter().for_each(|(name, amount)| fill(target, &name, amount));
        }
    }
}

fn limits(list: &At, errors: &mut FieldErrors) {
    let mut types = HashSet::new();
    for limit in list.items() {
        let kind = limit.at("type");
        let faults = formats::qualified_name(kind.text());
        let known = ["Pod", "Container", "PersistentVolumeClaim"].contains(&kind.text());
        if faults.is_empty() && !kind.text().contains('/') && !known {
            let words = "must be a standard limit type or fully qualified";
            kind.invalid_as(errors, kind.text(), words);
        }
        for fault in faults {
            kind.invalid_as(errors, kind.text(), fault);
        }
        if !types.insert(kind.text()) {
            kind.duplicate_as(errors, kind.text());
        }
        limit_names(&limit, kind.text(), errors);
        limit_order(&limit, errors);
    }
}

fn limit_names(limit: &At, kind: &str, errors: &mut FieldErrors) {
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        let amounts = limit.at(field);
        if kind == "Pod" && field.starts_with("default") {
            if !amounts.is_empty() {
                amounts.forbidden(errors, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        for (name, amount) in amounts.entries() {
            if matches!(kind, "Pod" | "Container") {
                amounts::container_resource_name(name, &amount, errors);
            } else {
                amounts::resource_name(name, &amount, errors);
            }
        }
    }
    let storage = |field: &str| limit.at(field).value.get("storage").is_some();
    if kind == "PersistentVolumeClaim" && !storage("min") && !storage("max") {
        limit.at("limits").required(
            errors,
            "either minimum or maximum storage value is required, but neither was provided",
        );
    }
}

/// Between each two of these the first may not be greater.
const ORDER: [(&str, &str, &str, &str); 6] = [
    ("min", "max", "min", "min value {} is greater than max value {}"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "min value {} is greater than default request value {}",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "default request value {} is greater than max value {}",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min value {} is greater than default value {}"),
    ("default", "max", "default", "default value {} is greater than max value {}"),
];

fn limit_order(limit: &At, errors: &mut FieldErrors) {
    let mut names = BTreeSet::new();
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        names.extend(limit.at(field).entries().map(|(name, _)| name));
    }
    for name in names {
        for (small, great, place, words) in ORDER {
            let (one, other) = (limit.at(small), limit.at(great));
            let (one, other) = (one.key(name).value, other.key(name).value);
            if let (Some(less), Some(more)) = (Quantity::of(one), Quantity::of(other))
                && less > more
            {
                // Compat: the value shown is the lower bound, or the upper one, not always ours.
                let shown = match (small, great) {
                    ("default", "max") => other,
                    ("min", "defaultRequest") => other,
                    _ => one,
                };
                let words = words.replacen("{}", &amounts::shown(one), 1).replacen(
                    "{}",
                    &amounts::shown(other),
                    1,
                );
                limit.at(place).key(name).invalid_as(errors, amounts::shown(shown), words);
            }
        }
        let ratios = limit.at("maxLimitRequestRatio");
        let ratio = ratios.key(name);
        if Quantity::of(ratio.value) < Quantity::parse("1") && ratio.is_set() {
            let shown = amounts::shown(ratio.value);
            ratio.invalid_as(errors, shown.clone(), format!("ratio {shown} is less than 1"));
        }
    }
}
