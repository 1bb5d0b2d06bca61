//! The one OpenAPI v2 document, made of the v3 documents.
//!
//! Clients that do not know v3 ask for it. What v2 does not say is left out: defaults, and that
//! a value may be of two types. Must not know: the schema.

use std::sync::OnceLock;

use serde_json::{Map, json};

use super::{Document, document, documents};
use crate::Value;

const KINDS: &str = "x-kubernetes-group-version-kind";

/// What `/openapi/v2` answers to those who take JSON, built on first use and shared.
pub fn document_v2() -> Document {
    static DOCUMENT: OnceLock<Document> = OnceLock::new();
    DOCUMENT.get_or_init(build).clone()
}

fn build() -> Document {
    let mut definitions = Map::new();
    let mut paths = Map::new();
    for path in documents().keys() {
        let parsed = document(path).and_then(|v3| serde_json::from_slice(&v3.bytes).ok());
        let Some(mut v3): Option<Value> = parsed else { continue };
        if let Value::Object(schemas) = v3["components"]["schemas"].take() {
            for (name, schema) in schemas {
                add_definition(&mut definitions, name, definition(schema));
            }
        }
        if let Value::Object(items) = v3["paths"].take() {
            paths.extend(items.into_iter().map(|(path, item)| (path, path_item(item))));
        }
    }
    let token = json!({"type": "apiKey", "name": "authorization", "in": "header"});
    let value = json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.37.0"},
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {"BearerToken": token},
        "security": [{"BearerToken": []}],
    });
    Document::at("/openapi/v2".to_owned(), &value)
}

/// What stands in several documents is of the kinds of all.
fn add_definition(definitions: &mut Map<String, Value>, name: String, schema: Value) {
    let Some(known) = definitions.get_mut(&name) else {
        definitions.insert(name, schema);
        return;
    };
    let kinds = schema.get(KINDS).and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(known) = known.get_mut(KINDS).and_then(Value::as_array_mut) {
        let new: Vec<Value> = kinds.into_iter().filter(|kind| !known.contains(kind)).collect();
        known.extend(new);
    }
}

fn definition(schema: Value) -> Value {
    match schema {
        Value::Object(map) if map.contains_key("oneOf") => {
            // A number or a text is called a text.
            let format = map.get("format").map(|format| ("format".to_owned(), format.clone()));
            let text = [("type".to_owned(), json!("string"))];
            text.into_iter().chain(format).collect::<Map<_, _>>().into()
        }
        Value::Object(map) => map.into_iter().filter_map(keyword).collect::<Map<_, _>>().into(),
        other => other,
    }
}

fn keyword((name, value): (String, Value)) -> Option<(String, Value)> {
    let value = match (name.as_str(), value) {
        ("default", _) => return None,
        ("allOf", Value::Array(mut one)) => {
            return one.pop().and_then(|mut one| {
                Some(("$ref".to_owned(), reference(one.get_mut("$ref")?.take())))
            });
        }
        ("$ref", value) => reference(value),
        ("properties", Value::Object(properties)) => properties
            .into_iter()
            .map(|(name, property)| (name, definition(property)))
            .collect::<Map<_, _>>()
            .into(),
        ("items" | "additionalProperties" | "schema", value) => definition(value),
        (_, value) => value,
    };
    Some((name, value))
}

fn reference(value: Value) -> Value {
    match value {
        Value::String(text) => text.replace("#/components/schemas/", "#/definitions/").into(),
        other => other,
    }
}

fn path_item(item: Value) -> Value {
    let Value::Object(item) = item else { return item };
    let member = |(name, value): (String, Value)| match name.as_str() {
        "parameters" => (name, parameters(value)),
        _ => (name, operation(value)),
    };
    item.into_iter().map(member).collect::<Map<_, _>>().into()
}

fn parameters(list: Value) -> Value {
    let Value::Array(list) = list else { return list };
    let flat = |mut parameter: Value| {
        if let Value::Object(schema) = parameter["schema"].take()
            && let Some(map) = parameter.as_object_mut()
        {
            map.remove("schema");
            map.extend(schema);
        }
        parameter
    };
    list.into_iter().map(flat).collect()
}

fn operation(mut operation: Value) -> Value {
    let mut listed = match parameters(operation["parameters"].take()) {
        Value::Array(listed) => listed,
        _ => Vec::new(),
    };
    let mut body = operation["requestBody"].take();
    let mut consumes = vec![json!("*/*")];
    if let Value::Object(content) = body["content"].take() {
        consumes = content.keys().map(|media| json!(media)).collect();
        let schema = content.into_values().next().map(|mut media| media["schema"].take());
        let mut parameter = json!({"in": "body", "name": "body"});
        parameter["schema"] = definition(schema.unwrap_or_default());
        if body["required"] == true {
            parameter["required"] = json!(true);
        }
        listed.insert(0, parameter);
    }
    let mut produces = Vec::new();
    if let Some(responses) = operation["responses"].as_object_mut() {
        for response in responses.values_mut() {
            let Value::Object(content) = response["content"].take() else {
                response.as_object_mut().map(|response| response.remove("content"));
                continue;
            };
            produces = content.keys().map(|media| json!(media)).collect();
            let schema = content.into_values().next().map(|mut media| media["schema"].take());
            response["schema"] = definition(schema.unwrap_or_default());
            response.as_object_mut().map(|response| response.remove("content"));
        }
    }
    if let Some(map) = operation.as_object_mut() {
        map.remove("requestBody");
        map.remove("parameters");
        if !listed.is_empty() {
            map.insert("parameters".to_owned(), listed.into());
        }
        map.insert("consumes".to_owned(), consumes.into());
        map.insert("produces".to_owned(), produces.into());
        map.insert("schemes".to_owned(), json!(["https"]));
    }
    operation
}
