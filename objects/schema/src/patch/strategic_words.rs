//! What a strategic merge patch is refused with, in kube-apiserver's words. Most of them are told
//! as internal errors there.

use serde_json::Map;

use super::PatchError;
use super::go_text::{go_text, go_text_of_string, go_type};
use crate::Value;
use crate::types::{RawForm, SchemaOr, Shape};

/// A value of the wrong type in the place of a list or an object.
pub(super) fn expected(what: &str, got: &Value) -> PatchError {
    let got = match got {
        Value::Null => "%!s(<nil>)",
        got => go_type(got),
    };
    PatchError::internal(format!("expected a {what}, but received a {got}"))
}

pub(super) fn bad_directive(directive: &Value, patch: &Map<String, Value>) -> PatchError {
    PatchError::internal(format!(
        "unknown patch type: {} in map: {}",
        go_text_of_string(directive),
        go_text(&Value::Object(patch.clone()))
    ))
}

pub(super) fn no_merge_key(object: &Map<String, Value>, merge_key: &str) -> PatchError {
    PatchError::internal(format!(
        "map: {} does not contain declared merge key: {merge_key}",
        go_text(&Value::Object(object.clone()))
    ))
}

pub(super) fn unknown_field(of: &str, name: &str) -> PatchError {
    PatchError::internal(format!(
        "unable to find api field in struct {of} for the json field {}",
        crate::decode::quoted(name)
    ))
}

/// What is said of a field of something that is no struct of the schema.
pub(super) fn no_field(shape: &Shape, name: &str) -> PatchError {
    let of = match shape {
        Shape::Raw(RawForm::Extension) => "RawExtension",
        Shape::Raw(RawForm::Json) => "JSON",
        Shape::Raw(RawForm::FieldsV1) => "FieldsV1",
        Shape::Quantity => "Quantity",
        Shape::IntOrString => "IntOrString",
        Shape::Time => "Time",
        Shape::MicroTime => "MicroTime",
        Shape::Duration => "Duration",
        Shape::SchemaOr(_, SchemaOr::Array) => "JSONSchemaPropsOrArray",
        Shape::SchemaOr(_, SchemaOr::Bool) => "JSONSchemaPropsOrBool",
        Shape::SchemaOr(_, SchemaOr::StringArray) => "JSONSchemaPropsOrStringArray",
        other => {
            return PatchError::internal(format!(
                "merging an object in json but data type is not struct, instead is: {}",
                kind_name(other)
            ));
        }
    };
    unknown_field(of, name)
}

/// Go's kind of a shape.
pub(super) fn kind_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "bool",
        Shape::Int32 => "int32",
        Shape::Int64 => "int64",
        Shape::Float64 => "float64",
        Shape::String => "string",
        Shape::Bytes | Shape::List(_) | Shape::WrappedList(_) => "slice",
        Shape::Map(_) => "map",
        Shape::Raw(RawForm::Any) => "interface",
        _ => "struct",
    }
}
