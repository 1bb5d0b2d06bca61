//! Deployment: replicas of a template, replaced step by step when the template changes.

use super::{amount, at_most_all, count_or_percent, counts, not_decremented, parts_of_replicas};
use crate::kinds::at::At;
use crate::kinds::checks;
use crate::kinds::edit::{self, fill, fill_zero, make};
use crate::kinds::{GENERIC, Hooks, NameRule, pod};
use crate::status::FieldErrors;
use schema::Value;

/// The row of Deployment.
pub(crate) const DEPLOYMENT: Hooks = Hooks {
    name: NameRule::Subdomain,
    default,
    prepare_status: |new, old| {
        edit::take_from(new, old, "spec");
        edit::keep_labels(new, old);
    },
    warnings: |new, old| pod::named_template_warnings(new, old, "spec.template"),
    create: |object, errors| spec(&object.at("spec"), errors),
    update,
    status,
    ..GENERIC
};

fn default(object: &mut Value) {
    pod::default_template(object, "spec.template");
    let Some(spec) = make(object, "spec") else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    let Some(strategy) = make(spec, "strategy") else { return };
    fill_zero(strategy, "type", "RollingUpdate");
    if edit::text(strategy, "type") == "RollingUpdate"
        && let Some(rolling) = make(strategy, "rollingUpdate")
    {
        fill(rolling, "maxUnavailable", "25%");
        fill(rolling, "maxSurge", "25%");
    }
}

fn update(new: &At, old: &At, errors: &mut FieldErrors) {
    spec(&new.at("spec"), errors);
    checks::immutable(&new.at("spec.selector"), &old.at("spec.selector"), errors);
}

fn spec(spec: &At, errors: &mut FieldErrors) {
    checks::non_negative(&spec.at("replicas"), errors);
    super::selector_and_template(spec, "deployment", errors);
    strategy(&spec.at("strategy"), errors);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        checks::non_negative(&spec.at(field), errors);
    }
    let deadline = spec.at("progressDeadlineSeconds");
    if deadline.is_set() && deadline.int() <= spec.at("minReadySeconds").int() {
        deadline.invalid(errors, "must be greater than minReadySeconds");
    }
}

fn strategy(strategy: &At, errors: &mut FieldErrors) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.text_of("type") {
        "Recreate" if rolling.is_set() => {
            rolling.forbidden(errors, "may not be specified when strategy `type` is 'Recreate'")
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            count_or_percent(&unavailable, errors);
            count_or_percent(&surge, errors);
            if amount(&unavailable) == 0 && amount(&surge) == 0 {
                unavailable.invalid(errors, "may not be 0 when `maxSurge` is 0");
            }
            at_most_all(&unavailable, errors);
        }
        _ => {
            let shown = super::strategy_shown(strategy);
            strategy.not_supported_as(errors, shown, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn status(new: &At, old: &At, errors: &mut FieldErrors) {
    let (status, was) = (new.at("status"), old.at("status"));
    counts(
        &status,
        &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ],
        errors,
    );
    let parts = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    parts_of_replicas(&status, &parts, errors);
    not_decremented(&status, &was, errors);
}
