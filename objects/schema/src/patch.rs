//! The three kinds of patches: JSON patch (RFC 6902), merge patch (RFC 7396) and strategic merge
//! patch, which merges lists by what the schema says of them.
//!
//! Invariants: a patch is done as a whole or not at all; the document given is not changed; never
//! panics. What is refused is refused in kube-apiserver's words. Must not know: HTTP, storage.

mod go_text;
mod json;
mod merge;
mod order;
mod restore;
mod strategic;
mod strategic_words;

use crate::Value;
use crate::decode::{self, Limits, type_name};
use crate::types::{Schema, TypeId};

pub use go_text::go_text;

/// How many operations a JSON patch may have.
pub const JSON_PATCH_OPERATIONS_MAX: usize = 10_000;

/// How many bytes of values the `copy` operations of a JSON patch may add.
pub const JSON_PATCH_COPY_BYTES_MAX: usize = 3 << 20;

/// A patch that was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatchError {
    /// What kind of answer it gets.
    pub class: PatchErrorClass,
    /// The answer's message; for [`PatchErrorClass::Invalid`] the detail of its one cause.
    pub message: String,
    /// What was wrong in more words than the answer has, for logs. May be empty.
    pub cause: String,
}

/// The kinds of answers to patches that were not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchErrorClass {
    /// 400 BadRequest: the patch does not parse, or is none for this kind.
    BadRequest,
    /// 422 Invalid with an empty `details` and nothing else: the patch is one, and cannot be done
    /// on this object.
    Unprocessable,
    /// 422 Invalid of no kind and no name, whose one cause is an invalid value of the field
    /// `patch`: what the patch leaves is no object of this kind.
    Invalid {
        /// The value of the cause: the patch, as Go prints it.
        value: String,
    },
    /// 413 RequestEntityTooLarge: over a limit.
    TooLarge,
    /// 500 without a reason: as kube-apiserver answers to errors it has no better words for.
    Internal,
}

impl PatchError {
    fn new(class: PatchErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), cause: String::new() }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(PatchErrorClass::BadRequest, message)
    }

    fn internal(message: impl Into<String>) -> Self {
        Self::new(PatchErrorClass::Internal, message)
    }

    fn unprocessable(cause: impl Into<String>) -> Self {
        Self {
            class: PatchErrorClass::Unprocessable,
            message: "the server rejected our request due to an error in our request".to_owned(),
            cause: cause.into(),
        }
    }
}

/// A patch as read, to be done on one version of an object after another until one is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    form: Form,
    /// What strict field validation finds in the patch itself, worded as warnings: duplicate keys,
    /// and members of operations that mean nothing.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Form {
    Json(Vec<json::Operation>),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// Reads a JSON patch: `application/json-patch+json`.
    pub fn json(bytes: &[u8]) -> Result<Self, PatchError> {
        let (value, duplicates) = read(bytes)?;
        let mut warnings: Vec<_> = duplicates.iter().map(|d| format!("json patch {d}")).collect();
        let operations = json::operations(value, &mut warnings)?;
        if operations.len() > JSON_PATCH_OPERATIONS_MAX {
            return Err(PatchError::new(
                PatchErrorClass::TooLarge,
                format!(
                    "Request entity too large: The allowed maximum operations in a JSON patch is \
                     {JSON_PATCH_OPERATIONS_MAX}, got {}",
                    operations.len()
                ),
            ));
        }
        Ok(Self { form: Form::Json(operations), warnings })
    }

    /// Reads a merge patch: `application/merge-patch+json`.
    pub fn merge(bytes: &[u8]) -> Result<Self, PatchError> {
        let (value, warnings) = read(bytes)?;
        match value {
            Value::Object(_) => Ok(Self { form: Form::Merge(value), warnings }),
            Value::Null => Err(PatchError::bad_request("Invalid JSON Patch")),
            other => Err(PatchError::bad_request(format!(
                "error decoding patch: {}",
                not_an_object(&other)
            ))),
        }
    }

    /// Reads a strategic merge patch: `application/strategic-merge-patch+json`.
    pub fn strategic(bytes: &[u8]) -> Result<Self, PatchError> {
        let (value, warnings) = read(bytes)?;
        match value {
            Value::Object(_) => Ok(Self { form: Form::Strategic(value), warnings }),
            Value::Null => {
                Ok(Self { form: Form::Strategic(Value::Object(Default::default())), warnings })
            }
            other => Err(PatchError::bad_request(not_an_object(&other))),
        }
    }

    /// Does the patch on an object of the given type, which only strategic patches look at.
    pub fn apply(
        &self,
        schema: &Schema,
        kind: TypeId,
        document: &Value,
    ) -> Result<Value, PatchError> {
        match &self.form {
            Form::Json(operations) => json::apply(document, operations),
            Form::Merge(patch) => Ok(merge::apply(document, patch)),
            Form::Strategic(patch) => strategic::apply(schema, kind, document, patch),
        }
    }
}

/// Does a JSON patch: a list of operations.
pub fn json_patch(document: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    match Patch::json(patch)?.form {
        Form::Json(operations) => json::apply(document, &operations),
        Form::Merge(_) | Form::Strategic(_) => Ok(document.clone()),
    }
}

/// Does a merge patch: objects are merged, `null` removes, everything else replaces.
pub fn merge_patch(document: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    match Patch::merge(patch)?.form {
        Form::Merge(patch) => Ok(merge::apply(document, &patch)),
        Form::Json(_) | Form::Strategic(_) => Ok(document.clone()),
    }
}

/// Does a strategic merge patch on an object of the given type.
pub fn strategic(
    schema: &Schema,
    kind: TypeId,
    document: &Value,
    patch: &[u8],
) -> Result<Value, PatchError> {
    Patch::strategic(patch)?.apply(schema, kind, document)
}

fn read(bytes: &[u8]) -> Result<(Value, Vec<String>), PatchError> {
    let limits = Limits { merge_duplicates: false, ..Limits::default() };
    let decoded = decode::json(bytes, limits).map_err(|error| PatchError {
        cause: error.to_string(),
        ..PatchError::bad_request("invalid JSON patch")
    })?;
    Ok((decoded.value, decoded.duplicates))
}

fn not_an_object(value: &Value) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
        type_name(value)
    )
}
