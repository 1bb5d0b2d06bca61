//! Strategic merge patches.

use crate::Value;
use crate::types::{Schema, TypeId};

use super::PatchError;

/// Does a strategic merge patch.
pub(super) fn apply(
    _schema: &Schema,
    _kind: TypeId,
    document: &Value,
    patch: &[u8],
) -> Result<Value, PatchError> {
    super::merge::apply(document, patch)
}
