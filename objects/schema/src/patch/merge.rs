//! Merge patches (RFC 7396).

use crate::Value;
use crate::decode::{self, Limits};

use super::{PatchError, PatchErrorClass};

/// Does a merge patch.
pub(super) fn apply(document: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    let patch = decode::json(patch, Limits::default())
        .map_err(|error| PatchError::new(PatchErrorClass::BadRequest, error.to_string()))?;
    let mut value = document.clone();
    json_patch::merge(&mut value, &patch.value);
    Ok(value)
}
