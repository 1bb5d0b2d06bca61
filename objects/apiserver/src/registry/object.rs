//! Reading and writing what every object has: its metadata.
//!
//! Invariant: absent, null and empty read the same, as Go's zero values do.

use bytes::Bytes;
use schema::Value;
use serde_json::Map;

use crate::storage::Revision;

/// The metadata, created if it is not there.
pub(super) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let top = object.as_object_mut().expect("made an object just above");
    let metadata = top.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    metadata.as_object_mut().expect("made an object just above")
}

/// A text of the metadata; empty if absent.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// An integer of the metadata.
pub(super) fn integer(object: &Value, field: &str) -> Option<i64> {
    object["metadata"][field].as_i64()
}

/// Sets a field of the metadata; null removes it.
pub(super) fn set(object: &mut Value, field: &str, value: Value) {
    let metadata = metadata_mut(object);
    if value.is_null() {
        metadata.remove(field);
    } else {
        metadata.insert(field.to_owned(), value);
    }
}

/// Makes a field of the metadata what it is in another object.
pub(super) fn keep(object: &mut Value, old: &Value, field: &str) {
    set(object, field, old["metadata"][field].clone());
}

/// Makes a top field what it is in another object.
pub(super) fn keep_top(object: &mut Value, old: &Value, field: &str) {
    if !object.is_object() {
        return;
    }
    let top = object.as_object_mut().expect("checked just above");
    match old.get(field) {
        Some(value) => top.insert(field.to_owned(), value.clone()),
        None => top.remove(field),
    };
}

/// Whether a deletion of the object has begun.
pub(super) fn is_deleting(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// The finalizers, in order.
pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Replaces the finalizers.
pub(super) fn set_finalizers(object: &mut Value, finalizers: Vec<String>) {
    let value = if finalizers.is_empty() { Value::Null } else { Value::from(finalizers) };
    set(object, "finalizers", value);
}

/// The object as it is stored: without its revision and what a client cannot store.
pub(super) fn to_stored(object: &mut Value) {
    let metadata = metadata_mut(object);
    metadata.remove("resourceVersion");
    metadata.remove("selfLink");
    metadata.remove("managedFields");
}

/// The JSON of an object as it is answered: kind and version first, as the real one writes it.
pub(super) fn answer(object: &Value, kind: &str, api_version: &str, revision: Revision) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"kind\":");
    put(&mut out, &Value::from(kind));
    out.extend_from_slice(b",\"apiVersion\":");
    put(&mut out, &Value::from(api_version));
    out.extend_from_slice(b",\"metadata\":{");
    let mut first = true;
    if revision != Revision::NONE {
        out.extend_from_slice(format!("\"resourceVersion\":\"{revision}\"").as_bytes());
        first = false;
    }
    if let Some(metadata) = object["metadata"].as_object() {
        let rest = metadata.iter().filter(|(key, _)| *key != "resourceVersion");
        put_members(&mut out, rest, first);
    }
    out.push(b'}');
    if let Some(top) = object.as_object() {
        let known = ["kind", "apiVersion", "metadata"];
        let rest = top.iter().filter(|(key, _)| !known.contains(&key.as_str()));
        put_members(&mut out, rest, false);
    }
    out.push(b'}');
    out.into()
}

fn put_members<'a>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = (&'a String, &'a Value)>,
    mut first: bool,
) {
    for (key, value) in members {
        if !first {
            out.push(b',');
        }
        first = false;
        put(out, &Value::from(key.as_str()));
        out.push(b':');
        put(out, value);
    }
}

fn put(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("a value tree always serialises");
}
