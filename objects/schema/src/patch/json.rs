//! JSON patches (RFC 6902).

use crate::Value;

use super::{PatchError, PatchErrorClass};

/// Does a JSON patch.
pub(super) fn apply(document: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    let patch: json_patch::Patch = serde_json::from_slice(patch)
        .map_err(|error| PatchError::new(PatchErrorClass::BadRequest, error.to_string()))?;
    let mut value = document.clone();
    json_patch::patch(&mut value, &patch)
        .map_err(|error| PatchError::new(PatchErrorClass::Unprocessable, error.to_string()))?;
    Ok(value)
}
