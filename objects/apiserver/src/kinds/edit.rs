//! Small edits of object trees, for defaults and for what a write may not touch.
//!
//! Invariant: a tree of an unexpected shape is left as it is, never a panic: what is wrong with it
//! is for validation to say. Must not know: any kind.

use schema::Value;
use serde_json::Map;

/// Sets a field that is absent.
pub(crate) fn fill(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Value::Object(map) = object {
        match map.get_mut(field) {
            None => {
                map.insert(field.to_owned(), value.into());
            }
            Some(there) if there.is_null() => *there = value.into(),
            Some(_) => {}
        }
    }
}

/// Sets a field that is absent or has its type's zero value.
pub(crate) fn fill_zero(object: &mut Value, field: &str, value: impl Into<Value>) {
    if is_zero(object.get(field)) {
        set(object, field, value);
    }
}

/// Sets a field.
pub(crate) fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Value::Object(map) = object {
        map.insert(field.to_owned(), value.into());
    }
}

/// Sets a field to what it is in another object; removes it when it is absent there.
pub(crate) fn take_from(object: &mut Value, old: &Value, field: &str) {
    match (object, old.get(field)) {
        (Value::Object(map), Some(value)) => {
            map.insert(field.to_owned(), value.clone());
        }
        (Value::Object(map), None) => {
            map.remove(field);
        }
        _ => {}
    }
}

/// Removes a field.
pub(crate) fn remove(object: &mut Value, field: &str) {
    if let Value::Object(map) = object {
        map.remove(field);
    }
}

/// Whether a field is absent, null, "", 0, false, or an empty list.
pub(crate) fn is_zero(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Number(number)) => number.as_i64() == Some(0),
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(_) | Value::Bool(true)) => false,
    }
}

/// The value at fields joined by dots, if it is there.
pub(crate) fn find<'v>(object: &'v mut Value, fields: &str) -> Option<&'v mut Value> {
    fields.split('.').try_fold(object, |at, field| at.get_mut(field))
}

/// The object at a field, made when it is absent. `None` when something else stands in the way.
pub(crate) fn make<'v>(object: &'v mut Value, field: &str) -> Option<&'v mut Value> {
    let map = object.as_object_mut()?;
    let there = map.entry(field).or_insert(Value::Null);
    if there.is_null() {
        *there = Value::Object(Map::new());
    }
    there.is_object().then_some(there)
}

/// Does something with every element of the list at fields joined by dots.
pub(crate) fn each(object: &mut Value, fields: &str, edit: impl FnMut(&mut Value)) {
    if let Some(Value::Array(list)) = find(object, fields) {
        list.iter_mut().for_each(edit);
    }
}

/// Does something with the value at fields joined by dots, if it is there.
pub(crate) fn with(object: &mut Value, fields: &str, edit: impl FnOnce(&mut Value)) {
    if let Some(value) = find(object, fields)
        && !value.is_null()
    {
        edit(value);
    }
}

/// The text at fields joined by dots, or "".
pub(crate) fn text<'v>(object: &'v Value, fields: &str) -> &'v str {
    let found = fields.split('.').try_fold(object, |at, field| at.get(field));
    found.and_then(Value::as_str).unwrap_or("")
}

/// Keeps the labels that the object had: its status subresource does not change them.
pub(crate) fn keep_labels(new: &mut Value, old: &Value) {
    if let (Some(metadata), Some(was)) = (new.get_mut("metadata"), old.get("metadata")) {
        take_from(metadata, was, "labels");
    }
}
