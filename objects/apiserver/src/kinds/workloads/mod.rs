//! The kinds that keep pods running: what they share, a row each in the files below.
//!
//! Must not know: what the controllers do about it.

use super::at::At;
use super::checks;
use super::pod;
use super::selection;
use crate::status::{BadValue, FieldErrors};
use schema::Value;

mod daemon_set;
mod deployment;
mod replica_set;
mod replication_controller;
mod stateful_set;

pub(crate) use daemon_set::DAEMON_SET;
pub(crate) use deployment::DEPLOYMENT;
pub(crate) use replica_set::REPLICA_SET;
pub(crate) use replication_controller::REPLICATION_CONTROLLER;
pub(crate) use stateful_set::STATEFUL_SET;

const NO_DEADLINE: &str = "activeDeadlineSeconds in ReplicaSet is not Supported";
const BEYOND_REPLICAS: &str = "cannot be greater than status.replicas";

/// The selector and the template of a set of pods that always run: the one must match the other.
fn selector_and_template(spec: &At, kind: &str, errors: &mut FieldErrors) {
    let selector = spec.at("selector");
    if selector.is_set() {
        checks::label_selector(&selector, errors);
        if selector.at("matchLabels").len() + selector.at("matchExpressions").len() == 0 {
            let words = format!("empty selector is invalid for {kind}");
            selector.invalid(errors, words);
        }
    } else {
        selector.required(errors, "");
    }
    if selection::is_valid(selector.value) {
        template(&spec.at("template"), selector.value, errors);
    } else {
        selector.invalid(errors, "invalid label selector");
    }
}

/// A template of pods that always run and that the selector selects.
fn template(template: &At, selector: &Value, errors: &mut FieldErrors) {
    let labels = template.at("metadata").at("labels").value;
    // Compat: an absent selector selects nothing.
    if !selector.is_object() || !selection::matches(selector, labels) {
        template
            .at("metadata")
            .at("labels")
            .invalid(errors, "`selector` does not match template `labels`");
    }
    pod::validate_template(template, errors);
    always_restarts(template, errors);
    if template.has("spec.activeDeadlineSeconds") {
        template.at("spec.activeDeadlineSeconds").forbidden(errors, NO_DEADLINE);
    }
}

/// Compat: a strategy that is not known is shown by the names in Go.
fn strategy_shown(strategy: &At) -> BadValue {
    let kind = Value::from(strategy.text_of("type"));
    BadValue::Raw(format!("{{\"Type\":{kind},\"RollingUpdate\":null}}"))
}

fn always_restarts(template: &At, errors: &mut FieldErrors) {
    checks::one_of(&template.at("spec.restartPolicy"), errors, &["Always"]);
}

/// Counts of a status are not negative.
pub(crate) fn counts(status: &At, fields: &[&str], errors: &mut FieldErrors) {
    for field in fields {
        checks::non_negative(&status.at(field), errors);
    }
}

/// No count is greater than that of all replicas, and what is available is ready.
fn parts_of_replicas(status: &At, parts: &[&str], errors: &mut FieldErrors) {
    let all = status.at("replicas").int();
    for part in parts {
        if status.at(part).int() > all {
            status.at(part).invalid_as(errors, status.at(part).int(), BEYOND_REPLICAS);
        }
    }
    let available = status.at("availableReplicas");
    if available.int() > status.at("readyReplicas").int() {
        available.invalid_as(errors, available.int(), "cannot be greater than readyReplicas");
    }
}

/// A count that collides only ever more.
fn not_decremented(new: &At, old: &At, errors: &mut FieldErrors) {
    let (new, old) = (new.at("collisionCount"), old.at("collisionCount"));
    if old.is_set() && new.int() < old.int() {
        new.invalid_as(errors, new.int(), "cannot be decremented");
    }
}

/// A number of pods or a percentage of all, not negative.
pub(crate) fn count_or_percent(at: &At, errors: &mut FieldErrors) {
    if at.value.is_string() {
        checks::format(at, errors, super::formats::percent);
    } else {
        checks::non_negative(at, errors);
    }
}

/// The percentage that a text says, if it says one.
fn percent_of(at: &At) -> Option<i64> {
    let digits = at.text().strip_suffix('%')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().unwrap_or(i64::MAX))
}

pub(crate) fn at_most_all(at: &At, errors: &mut FieldErrors) {
    if percent_of(at).is_some_and(|percent| percent > 100) {
        at.invalid(errors, "must not be greater than 100%");
    }
}

/// The number or the percentage; a text that is no percentage counts as nothing.
fn amount(at: &At) -> i64 {
    if at.value.is_string() { percent_of(at).unwrap_or(0) } else { at.int() }
}
