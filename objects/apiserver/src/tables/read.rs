//! Reading cells from stored objects: what is absent reads as its zero value.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::since;
use crate::selector::LabelSelector;

static NULL: Value = Value::Null;

/// The value at a path of names with dots between them; `null` where there is none.
pub(super) fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    let mut value = object;
    for name in path.split('.') {
        value = value.get(name).unwrap_or(&NULL);
    }
    value
}

/// The first of several paths that has a value.
pub(super) fn first<'a>(object: &'a Value, paths: &[&str]) -> &'a Value {
    paths.iter().map(|path| at(object, path)).find(|value| !value.is_null()).unwrap_or(&NULL)
}

pub(super) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).as_str().unwrap_or_default()
}

/// The text at a path, or another where it is absent or empty.
pub(super) fn text_or<'a>(object: &'a Value, path: &str, otherwise: &'a str) -> &'a str {
    Some(text(object, path)).filter(|text| !text.is_empty()).unwrap_or(otherwise)
}

/// The text at a path, or another where it is absent; the empty text is there.
pub(super) fn present_or<'a>(object: &'a Value, path: &str, otherwise: &'a str) -> &'a str {
    at(object, path).as_str().unwrap_or(otherwise)
}

pub(super) fn integer(object: &Value, path: &str) -> i64 {
    at(object, path).as_i64().unwrap_or_default()
}

pub(super) fn boolean_or(object: &Value, path: &str, otherwise: bool) -> bool {
    at(object, path).as_bool().unwrap_or(otherwise)
}

pub(super) fn items<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    at(object, path).as_array().map_or(&[], Vec::as_slice)
}

/// How many elements or members there are.
pub(super) fn count(object: &Value, path: &str) -> usize {
    match at(object, path) {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    }
}

/// The texts of a list.
pub(super) fn texts<'a>(object: &'a Value, path: &str) -> Vec<&'a str> {
    items(object, path).iter().filter_map(Value::as_str).collect()
}

/// The condition of a type.
pub(super) fn condition<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions.iter().find(|condition| text(condition, "type") == kind)
}

/// Whether the first condition of a type is true.
pub(super) fn holds(object: &Value, kind: &str) -> bool {
    condition(items(object, "status.conditions"), kind)
        .is_some_and(|condition| text(condition, "status") == "True")
}

/// A scalar as text: quantities and the two forms of `IntOrString`.
pub(super) fn scalar_or(value: &Value, otherwise: &str) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => otherwise.to_owned(),
    }
}

/// The name.
pub(super) fn name(object: &Value, _: Timestamp) -> Value {
    json!(text(object, "metadata.name"))
}

/// The time since creation.
pub(super) fn age(object: &Value, now: Timestamp) -> Value {
    json!(since(at(object, "metadata.creationTimestamp"), now))
}

/// The time of creation.
pub(super) fn created_at(object: &Value, _: Timestamp) -> Value {
    at(object, "metadata.creationTimestamp").clone()
}

pub(super) fn is_being_deleted(object: &Value) -> bool {
    !at(object, "metadata.deletionTimestamp").is_null()
}

/// One member of all containers of a pod template, with commas between them.
pub(super) fn of_containers(object: &Value, template: &str, member: &str) -> Value {
    let containers = items(at(object, template), "spec.containers");
    let members: Vec<_> = containers.iter().map(|container| text(container, member)).collect();
    json!(members.join(","))
}

/// Labels as `a=b,c=d`, or `<none>`.
pub(super) fn labels(object: &Value, path: &str) -> String {
    let members = at(object, path).as_object().into_iter().flatten();
    let pairs: Vec<_> =
        members.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or(""))).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// A label selector in its text form, `<none>` for the empty and the absent one.
pub(super) fn selector(object: &Value, path: &str) -> String {
    match LabelSelector::from_object(at(object, path)).map(|selector| selector.to_string()) {
        Err(_) => "<error>".to_owned(),
        Ok(text) if text.is_empty() => "<none>".to_owned(),
        Ok(text) => text,
    }
}

/// The first texts of a list, and how many more there are.
pub(super) fn with_more(list: &[String], shown_max: usize, separator: &str) -> String {
    match list.get(..shown_max) {
        Some(shown) if list.len() > shown_max => {
            format!("{} + {} more...", shown.join(separator), list.len() - shown_max)
        }
        _ => list.join(separator),
    }
}
