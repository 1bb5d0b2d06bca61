//! The checks that many kinds share: required, formats, ranges, enumerations, what may not change.
//!
//! Each looks at one place and adds what is wrong there. Must not know: any kind.

use super::at::At;
use super::formats::{self, Format};
use crate::status::FieldErrors;
use schema::Value;
use std::collections::HashSet;

pub(crate) const NEGATIVE: &str = "must be greater than or equal to 0";
pub(crate) const IMMUTABLE: &str = "field is immutable";

/// The text here, if any, has the form.
pub(crate) fn format(at: &At, errors: &mut FieldErrors, rule: Format) {
    for fault in rule(at.text()) {
        at.invalid_as(errors, at.text(), fault);
    }
}

/// The text here is given and has the form.
pub(crate) fn required_format(at: &At, errors: &mut FieldErrors, rule: Format) {
    if required(at, errors) {
        format(at, errors, rule);
    }
}

/// The text here has the form unless it is absent.
pub(crate) fn optional_format(at: &At, errors: &mut FieldErrors, rule: Format) {
    if !at.is_empty() {
        format(at, errors, rule);
    }
}

/// Something other than a zero value stands here.
pub(crate) fn required(at: &At, errors: &mut FieldErrors) -> bool {
    if at.is_empty() {
        at.required(errors, "");
    }
    !at.is_empty()
}

/// The text here is one of those; absence counts as the empty text.
pub(crate) fn one_of(at: &At, errors: &mut FieldErrors, allowed: &[&str]) {
    if !allowed.contains(&at.text()) {
        at.not_supported(errors, allowed);
    }
}

/// The text here is one of those, or absent.
pub(crate) fn optional_one_of(at: &At, errors: &mut FieldErrors, allowed: &[&str]) {
    if !at.is_empty() {
        one_of(at, errors, allowed);
    }
}

/// The text here is given and one of those.
pub(crate) fn required_one_of(at: &At, errors: &mut FieldErrors, allowed: &[&str]) {
    if required(at, errors) {
        one_of(at, errors, allowed);
    }
}

/// The number here is not negative.
pub(crate) fn non_negative(at: &At, errors: &mut FieldErrors) {
    if at.int() < 0 {
        at.invalid(errors, NEGATIVE);
    }
}

/// The number here is greater than zero.
pub(crate) fn positive(at: &At, errors: &mut FieldErrors) {
    if at.int() <= 0 {
        at.invalid_as(errors, at.int(), "must be greater than zero");
    }
}

/// The number here lies between the two, both included; absence counts as 0.
pub(crate) fn in_range(at: &At, errors: &mut FieldErrors, min: i64, max: i64) {
    if !(min..=max).contains(&at.int()) {
        at.invalid_as(errors, at.int(), format!("must be between {min} and {max}, inclusive"));
    }
}

/// The number of a port.
pub(crate) fn port_number(at: &At, errors: &mut FieldErrors) {
    in_range(at, errors, 1, 65535);
}

/// A port by number or by name.
pub(crate) fn port_number_or_name(at: &At, errors: &mut FieldErrors) {
    if at.value.is_string() {
        format(at, errors, formats::port_name);
    } else {
        port_number(at, errors);
    }
}

/// Nothing has changed here.
pub(crate) fn immutable(new: &At, old: &At, errors: &mut FieldErrors) {
    if new.value != old.value {
        new.invalid(errors, IMMUTABLE);
    }
}

/// The text here has not changed; an absent one is shown as the empty text that it is in Go.
pub(crate) fn immutable_text(new: &At, old: &At, errors: &mut FieldErrors) {
    if new.value != old.value {
        new.invalid_as(errors, new.text(), IMMUTABLE);
    }
}

/// Nothing has changed here; what it would become is not shown.
///
/// Compat: kinds whose rules Kubernetes generates show null.
pub(crate) fn immutable_unshown(new: &At, old: &At, errors: &mut FieldErrors) {
    if new.value != old.value {
        new.invalid_as(errors, Value::Null, IMMUTABLE);
    }
}

/// No two of the texts are equal; `report` is told the place of each later one.
pub(crate) fn unique<'v>(
    texts: impl Iterator<Item = &'v str>,
    errors: &mut FieldErrors,
    report: impl Fn(usize, &mut FieldErrors, &str),
) {
    let mut seen = HashSet::new();
    for (index, text) in texts.enumerate() {
        if !text.is_empty() && !seen.insert(text) {
            report(index, errors, text);
        }
    }
}

/// Labels: every key and every value has its form; what is wrong is said of the whole map.
pub(crate) fn labels(at: &At, errors: &mut FieldErrors) {
    for (key, value) in at.entries() {
        for fault in formats::qualified_name(key) {
            at.invalid_as(errors, key, fault);
        }
        for fault in formats::label_value(value.text()) {
            at.invalid_as(errors, value.text(), fault);
        }
    }
}

/// A label selector.
pub(crate) fn label_selector(at: &At, errors: &mut FieldErrors) {
    labels(&at.at("matchLabels"), errors);
    for expression in at.at("matchExpressions").items() {
        let values = expression.at("values");
        match expression.text_of("operator") {
            "In" | "NotIn" if values.is_empty() => {
                values.required(errors, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => values.forbidden(
                errors,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            operator => expression.at("operator").invalid_as(
                errors,
                operator,
                "not a valid selector operator",
            ),
        }
        format(&expression.at("key"), errors, formats::qualified_name);
        for value in values.items() {
            format(&value, errors, formats::label_value);
        }
    }
}
