//! The YAML reader.

use super::{DecodeError, Decoded, Limits};

/// Reads one document.
pub(super) fn read(bytes: &[u8], _limits: Limits) -> Result<Decoded, DecodeError> {
    let value = serde_saphyr::from_slice(bytes).map_err(|e| DecodeError::Yaml(e.to_string()))?;
    Ok(Decoded { value, duplicates: Vec::new() })
}
