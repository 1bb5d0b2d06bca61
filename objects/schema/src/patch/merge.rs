//! Merge patches (RFC 7396).

use serde_json::Map;

use crate::Value;

/// Does a merge patch.
pub(super) fn apply(document: &Value, patch: &Value) -> Value {
    let mut result = document.clone();
    merge(&mut result, patch);
    result
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = without_nulls(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else { return };
    for (key, value) in patch {
        match (object.get_mut(key), value) {
            (_, Value::Null) => {
                object.remove(key);
            }
            (Some(old), value) => merge(old, value),
            (None, value) => {
                object.insert(key.clone(), without_nulls(value));
            }
        }
    }
}

/// What a value adds where nothing is. Compat: kube-apiserver's library also takes the nulls out of
/// objects that stand in lists, which the RFC does not ask for; nulls in lists stay.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        scalar => scalar.clone(),
    }
}
