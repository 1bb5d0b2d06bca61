//! The formats of `-w`: `simple` (etcdctl's lines) and `json` (64-bit ids as strings, bytes as
//! base64).
//!
//! Must not know: where the values come from.

use std::io::Write;

use clap::ValueEnum;
use proto::etcdserverpb::ResponseHeader;
use proto::mvccpb::KeyValue;
use serde_json::{Value, json};

use crate::ToolError;

/// How an answer is written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Bare lines, as etcdctl prints them.
    Simple,
    /// One JSON document a line.
    Json,
}

/// Writes the bytes and a line end; a closed pipe is an error like any other.
pub(crate) fn line(bytes: &[u8]) -> Result<(), ToolError> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

/// Writes one JSON document on a line of its own.
pub(crate) fn json_line(value: &Value) -> Result<(), ToolError> {
    line(value.to_string().as_bytes())
}

/// The header as JSON.
pub(crate) fn header(header: Option<&ResponseHeader>) -> Value {
    let header = header.copied().unwrap_or_default();
    json!({
        "cluster_id": format!("{:x}", header.cluster_id),
        "member_id": format!("{:x}", header.member_id),
        "revision": header.revision,
        "raft_term": header.raft_term,
    })
}

/// A key-value pair as JSON; key and value in base64, the lease in hexadecimal.
pub(crate) fn key_value(kv: &KeyValue) -> Value {
    json!({
        "key": base64(&kv.key),
        "create_revision": kv.create_revision,
        "mod_revision": kv.mod_revision,
        "version": kv.version,
        "value": base64(&kv.value),
        "lease": format!("{:x}", kv.lease),
    })
}

/// Standard base64 with padding (RFC 4648 §4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let filled = digit <= chunk.len();
            let index = (group >> (18 - 6 * digit) & 63) as usize;
            text.push(if filled { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads_as_the_rfc_shows() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
