//! DaemonSet: one pod of a template on every node that fits.

use super::{always_restarts, amount, at_most_all, count_or_percent, counts, not_decremented};
use crate::kinds::at::At;
use crate::kinds::checks;
use crate::kinds::edit::{self, fill, fill_zero, make, set};
use crate::kinds::{GENERIC, Hooks, NameRule, pod, selection};
use crate::status::FieldErrors;
use schema::Value;

/// The row of DaemonSet.
pub(crate) const DAEMON_SET: Hooks = Hooks {
    name: NameRule::Subdomain,
    default,
    prepare_create: |object| set_template_generation(object, 1),
    prepare_update,
    prepare_status: |new, old| {
        edit::take_from(new, old, "spec");
        set_template_generation(new, template_generation(old));
    },
    warnings: |new, old| pod::named_template_warnings(new, old, "spec.template"),
    create: |object, errors| spec(&object.at("spec"), errors),
    update,
    status,
    ..GENERIC
};

/// Where the counter of template changes, a field of older versions, still stands.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn default(object: &mut Value) {
    pod::default_template(object, "spec.template");
    let Some(spec) = make(object, "spec") else { return };
    fill(spec, "revisionHistoryLimit", 10);
    let Some(strategy) = make(spec, "updateStrategy") else { return };
    fill_zero(strategy, "type", "RollingUpdate");
    if edit::text(strategy, "type") == "RollingUpdate"
        && let Some(rolling) = make(strategy, "rollingUpdate")
    {
        fill(rolling, "maxUnavailable", 1);
        fill(rolling, "maxSurge", 0);
    }
}

fn set_template_generation(object: &mut Value, generation: i64) {
    let annotations = make(object, "metadata").and_then(|it| make(it, "annotations"));
    if let Some(annotations) = annotations {
        set(annotations, TEMPLATE_GENERATION, generation.to_string());
    }
}

fn template_generation(object: &Value) -> i64 {
    let annotations = object.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let text = annotations.and_then(|it| it.get(TEMPLATE_GENERATION)).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn prepare_update(new: &mut Value, old: &Value) {
    let was = template_generation(old);
    let changed = new.pointer("/spec/template") != old.pointer("/spec/template");
    set_template_generation(new, was + i64::from(changed));
}

fn update(new: &At, old: &At, errors: &mut FieldErrors) {
    checks::immutable(&new.at("spec").at("selector"), &old.at("spec.selector"), errors);
    spec(&new.at("spec"), errors);
}

fn spec(spec: &At, errors: &mut FieldErrors) {
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    checks::label_selector(&selector, errors);
    let labels = template.at("metadata.labels");
    let selects = selection::matches(selector.value, labels.value);
    if selection::is_valid(selector.value) && !selects {
        labels.invalid(errors, "`selector` does not match template `labels`");
    }
    if selector.is_set()
        && selector.at("matchLabels").len() + selector.at("matchExpressions").len() == 0
    {
        selector.invalid(errors, "empty selector is invalid for daemonset");
    }
    pod::validate_template(&template, errors);
    always_restarts(&template, errors);
    if template.has("spec.activeDeadlineSeconds") {
        let words = "activeDeadlineSeconds in DaemonSet is not Supported";
        template.at("spec.activeDeadlineSeconds").forbidden(errors, words);
    }
    checks::non_negative(&spec.at("minReadySeconds"), errors);
    strategy(&spec.at("updateStrategy"), errors);
    checks::non_negative(&spec.at("revisionHistoryLimit"), errors);
}

fn strategy(strategy: &At, errors: &mut FieldErrors) {
    match strategy.text_of("type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let rolling = strategy.at("rollingUpdate");
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            for at in [&unavailable, &surge] {
                count_or_percent(at, errors);
                at_most_all(at, errors);
            }
            match (amount(&unavailable) != 0, amount(&surge) != 0) {
                (true, true) => {
                    surge.invalid(errors, "may not be set when maxUnavailable is non-zero")
                }
                (false, false) => unavailable.required(errors, "cannot be 0 when maxSurge is 0"),
                _ => {}
            }
        }
        _ => {
            let shown = super::strategy_shown(strategy);
            strategy.not_supported_as(errors, shown, &["RollingUpdate", "OnDelete"]);
        }
    }
}

fn status(new: &At, old: &At, errors: &mut FieldErrors) {
    const COUNTS: [&str; 9] = [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ];
    counts(&new.at("status"), &COUNTS, errors);
    not_decremented(&new.at("status"), &old.at("status"), errors);
}
