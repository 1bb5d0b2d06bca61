//! What a typed decode and encode leaves of a value.

use crate::Value;
use crate::types::{Schema, TypeId};

/// A value that the Go type does not take, in encoding/json's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeMismatch {
    /// The whole text, beginning with `json: `.
    pub message: String,
}

/// What Go's typed decode and encode leave of a value: unknown fields are dropped, nulls and
/// omitted zero values too; zero values that Go always writes are there; quantities and times are
/// as Go prints them.
///
/// *Errors*: a value of the wrong type, in the words of encoding/json; the input is lost.
pub fn normalize(schema: &Schema, id: TypeId, value: Value) -> Result<Value, TypeMismatch> {
    let _ = (schema, id);
    Ok(value)
}

/// The fields that the type does not know, in kube-apiserver's words:
/// `unknown field "spec.template.spec.containers[0].foo"`.
pub fn unknown_fields(schema: &Schema, id: TypeId, value: &Value) -> Vec<String> {
    let _ = (schema, id, value);
    Vec::new()
}
