//! StatefulSet: numbered pods of one template, each with its own name and storage.

use super::{always_restarts, amount, at_most_all, count_or_percent, counts, not_decremented};
use crate::kinds::at::At;
use crate::kinds::checks;
use crate::kinds::edit::{self, each, fill, fill_zero, is_zero, make, set};
use crate::kinds::{GENERIC, Hooks, NameRule, formats, pod, selection, volumes};
use crate::status::{BadValue, FieldErrors};
use schema::Value;
use serde_json::json;

/// The row of StatefulSet.
pub(crate) const STATEFUL_SET: Hooks = Hooks {
    name: NameRule::Label,
    default,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    warnings,
    create: |object, errors| spec(&object.at("spec"), errors),
    update,
    status,
    ..GENERIC
};

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = pod::template_warnings(new, old, "spec.template");
    let kept = new.pointer("/spec/revisionHistoryLimit").and_then(Value::as_i64);
    if kept.is_some_and(|kept| kept < 0) {
        let words = "a negative value retains all historical revisions; a value >= 0 is \
            recommended";
        warnings.push(format!("spec.revisionHistoryLimit: {words}"));
    }
    warnings
}

fn default(object: &mut Value) {
    pod::default_template(object, "spec.template");
    let Some(spec) = make(object, "spec") else { return };
    fill_zero(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = make(spec, "updateStrategy") {
        if is_zero(strategy.get("type")) {
            set(strategy, "type", "RollingUpdate");
            fill(strategy, "rollingUpdate", json!({}));
        }
        if edit::text(strategy, "type") == "RollingUpdate" {
            edit::with(strategy, "rollingUpdate", |rolling| {
                fill(rolling, "partition", 0);
                fill(rolling, "maxUnavailable", 1);
            });
        }
    }
    if let Some(policy) = make(spec, "persistentVolumeClaimRetentionPolicy") {
        fill_zero(policy, "whenDeleted", "Retain");
        fill_zero(policy, "whenScaled", "Retain");
    }
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    each(spec, "volumeClaimTemplates", |claim| {
        fill(claim, "apiVersion", "v1");
        fill(claim, "kind", "PersistentVolumeClaim");
        volumes::default_claim(claim);
    });
}

const ROLLING_ONLY: &str = "only allowed for updateStrategy 'RollingUpdate'";

fn spec(spec: &At, errors: &mut FieldErrors) {
    let management = spec.at("podManagementPolicy");
    if !matches!(management.text(), "OrderedReady" | "Parallel") {
        management.invalid(errors, "must be 'OrderedReady' or 'Parallel'");
    }
    let strategy = spec.at("updateStrategy");
    let rolling = strategy.at("rollingUpdate");
    match strategy.text_of("type") {
        "OnDelete" if rolling.is_set() => {
            let (partition, most) = (rolling.at("partition").int(), rolling.at("maxUnavailable"));
            let shown = format!("{{\"Partition\":{partition},\"MaxUnavailable\":{}}}", most.value);
            rolling.invalid_as(errors, BadValue::Raw(shown), ROLLING_ONLY);
        }
        "OnDelete" => {}
        "RollingUpdate" => rolling_update(&rolling, errors),
        _ => {
            let shown = super::strategy_shown(&strategy);
            strategy.invalid_as(errors, shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
    let retention = spec.at("persistentVolumeClaimRetentionPolicy");
    for event in ["whenDeleted", "whenScaled"] {
        checks::one_of(&retention.at(event), errors, &["Retain", "Delete"]);
    }
    for claim in spec.at("volumeClaimTemplates").items() {
        volumes::validate_claim_spec(&claim.at("spec"), errors);
    }
    for field in ["replicas", "minReadySeconds", "ordinals.start"] {
        checks::non_negative(&spec.at(field), errors);
    }
    checks::optional_format(&spec.at("serviceName"), errors, formats::dns_label);
    selector_and_template(spec, errors);
}

fn rolling_update(rolling: &At, errors: &mut FieldErrors) {
    checks::non_negative(&rolling.at("partition"), errors);
    let unavailable = rolling.at("maxUnavailable");
    if unavailable.is_set() {
        count_or_percent(&unavailable, errors);
        if amount(&unavailable) == 0 {
            unavailable.invalid(errors, "cannot be 0");
        }
        at_most_all(&unavailable, errors);
    }
}

fn selector_and_template(spec: &At, errors: &mut FieldErrors) {
    let selector = spec.at("selector");
    if selector.is_set() {
        checks::label_selector(&selector, errors);
        if selector.at("matchLabels").len() + selector.at("matchExpressions").len() == 0 {
            selector.invalid(errors, "empty selector is invalid for statefulset");
        }
    } else {
        selector.required(errors, "");
    }
    let template = spec.at("template");
    if selection::is_valid(selector.value) {
        let labels = template.at("metadata.labels");
        if !selection::matches(selector.value, labels.value) {
            labels.invalid(errors, "`selector` does not match template `labels`");
        }
        let claimed = with_claimed_volumes(spec.value);
        let whole = claimed.as_ref().map_or(template, |value| template.with(value));
        pod::validate_template(&whole, errors);
        checks::labels(&template.at("labels").with(labels.value), errors);
    } else {
        selector.invalid(errors, "");
    }
    always_restarts(&template, errors);
    if template.has("spec.activeDeadlineSeconds") {
        let words = "activeDeadlineSeconds in StatefulSet is not Supported";
        template.at("spec.activeDeadlineSeconds").forbidden(errors, words);
    }
}

/// The template with the volumes that the claims will give, without the names that the set gives.
fn with_claimed_volumes(spec: &Value) -> Option<Value> {
    let claims = spec.get("volumeClaimTemplates").and_then(Value::as_array);
    let claims = claims.map(Vec::as_slice).unwrap_or_default();
    let pod = spec.get("template")?.get("spec")?;
    if claims.is_empty() && pod.get("subdomain").is_none() && pod.get("hostname").is_none() {
        return None;
    }
    let mut template = spec.get("template")?.clone();
    let pod = template.get_mut("spec")?;
    edit::remove(pod, "subdomain");
    edit::remove(pod, "hostname");
    let names: Vec<&str> = claims.iter().map(|claim| edit::text(claim, "metadata.name")).collect();
    let mut list: Vec<Value> = names
        .iter()
        .map(|name| json!({ "name": name, "persistentVolumeClaim": { "claimName": name } }))
        .collect();
    let own = pod.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default();
    list.extend(own.into_iter().filter(|volume| !names.contains(&edit::text(volume, "name"))));
    set(pod, "volumes", list);
    Some(template)
}

fn update(new: &At, old: &At, errors: &mut FieldErrors) {
    let (spec_new, spec_old) = (new.at("spec"), old.at("spec"));
    spec(&spec_new, errors);
    for field in ["podManagementPolicy", "selector", "serviceName", "volumeClaimTemplates"] {
        checks::immutable(&spec_new.at(field), &spec_old.at(field), errors);
    }
}

fn status(new: &At, old: &At, errors: &mut FieldErrors) {
    let status = new.at("status");
    counts(
        &status,
        &[
            "replicas",
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
            "observedGeneration",
            "collisionCount",
        ],
        errors,
    );
    for part in ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"] {
        if status.at(part).int() > status.at("replicas").int() {
            status.at(part).invalid_as(errors, status.at(part).int(), super::BEYOND_REPLICAS);
        }
    }
    let available = status.at("availableReplicas");
    if available.int() > status.at("readyReplicas").int() {
        available.invalid(errors, "cannot be greater than status.readyReplicas");
    }
    not_decremented(&status, &old.at("status"), errors);
}
