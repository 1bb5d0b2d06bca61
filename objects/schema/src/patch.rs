//! The three kinds of patches: JSON patch (RFC 6902), merge patch (RFC 7396) and strategic merge
//! patch, which merges lists by what the schema says of them.
//!
//! Invariants: a patch is done as a whole or not at all; the document given is not changed; never
//! panics. What is refused is refused in kube-apiserver's words. Must not know: HTTP, storage.

mod json;
mod merge;
mod strategic;

use crate::Value;
use crate::types::{Schema, TypeId};

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
    /// The answer's message.
    pub message: String,
}

/// The kinds of answers to patches that were not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchErrorClass {
    /// 400 BadRequest: the patch does not parse, or is none for this kind.
    BadRequest,
    /// 422 Invalid: the patch is one, and cannot be done on this object.
    Unprocessable,
    /// 413 RequestEntityTooLarge: over a limit.
    TooLarge,
    /// 500 InternalError: as kube-apiserver answers to patches it has no better words for.
    Internal,
}

impl PatchError {
    pub(crate) fn new(class: PatchErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

/// Does a JSON patch: a list of operations.
pub fn json_patch(document: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    json::apply(document, patch)
}

/// Does a merge patch: objects are merged, `null` removes, everything else replaces.
pub fn merge_patch(document: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    merge::apply(document, patch)
}

/// Does a strategic merge patch on an object of the given type.
pub fn strategic(
    schema: &Schema,
    kind: TypeId,
    document: &Value,
    patch: &[u8],
) -> Result<Value, PatchError> {
    strategic::apply(schema, kind, document, patch)
}
