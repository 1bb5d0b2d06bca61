//! Objects as metadata alone: `PartialObjectMetadata` and its list.

use serde_json::{Value, json};

/// The metadata of an object.
pub fn partial_object(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

/// The metadata of the objects of a list, with the list's own.
pub fn partial_object_list<'a>(
    objects: impl IntoIterator<Item = &'a Value>,
    list_metadata: &Value,
) -> Value {
    let items: Vec<Value> = objects.into_iter().map(partial_object).collect();
    json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata,
        // Compat: Go's empty list, which no one filled.
        "items": if items.is_empty() { Value::Null } else { items.into() },
    })
}
