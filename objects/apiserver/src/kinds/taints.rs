//! Taints of nodes, and the effects that they share with tolerations.

use super::at::At;
use super::{checks, formats};
use crate::status::{BadValue, FieldErrors};
use schema::Value;
use std::collections::HashSet;

/// What a taint does.
pub(crate) fn effect(at: &At, errors: &mut FieldErrors) {
    checks::one_of(at, errors, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
}

/// The taints of a node: each key and effect once.
pub(crate) fn validate(list: &At, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for taint in list.items() {
        let key = taint.at("key");
        for fault in formats::qualified_name(key.text()) {
            key.invalid_as(errors, key.text(), fault);
        }
        let value = taint.text_of("value");
        let faults = formats::label_value(value);
        if !faults.is_empty() {
            taint.at("value").invalid_as(errors, value, faults.join(";"));
        }
        let its_effect = taint.at("effect");
        if checks::required(&its_effect, errors) {
            effect(&its_effect, errors);
        }
        if !seen.insert((key.text(), its_effect.text())) {
            // Compat: shown are the names in Go.
            let time = taint.at("timeAdded").value;
            let shown = format!(
                "{{\"Key\":{},\"Value\":{},\"Effect\":{},\"TimeAdded\":{time}}}",
                Value::from(key.text()),
                Value::from(value),
                Value::from(its_effect.text()),
            );
            let words = "taints must be unique by key and effect pair";
            taint.duplicate_because(errors, BadValue::Raw(shown), words);
        }
    }
}
