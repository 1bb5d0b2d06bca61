//! Strict reading of JSON and YAML into value trees: duplicate keys are found, depth and growth are
//! bounded, and what is refused is refused in the words that clients of Kubernetes know.
//!
//! Invariants: never panics on any bytes; memory is bounded by a constant times the input and, for
//! YAML, by [`Limits::nodes_max`]. Must not know: kinds, fields or HTTP.

mod json;
mod quote;
mod yaml;
mod yaml_scalar;
mod yaml_words;

use crate::Value;

pub use quote::{quoted, quoted_byte};

/// How much a document may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nested arrays and objects. Value trees are walked and dropped recursively, so this bounds
    /// the stack too; and what is read here must be readable again, by ourselves and by clients,
    /// in a list and in a patch. `serde_json` reads 127 levels.
    pub depth_max: usize,
    /// Values in a YAML document after its aliases are replaced by what they stand for.
    pub nodes_max: usize,
    /// Bytes of all texts in a YAML document after its aliases are replaced.
    pub text_bytes_max: usize,
    /// Duplicates that are reported; further ones are passed over.
    pub duplicates_max: usize,
    /// Whether objects under duplicate keys are merged, as decoding twice into the same Go struct
    /// does, or the last one counts, as it does where nothing is known of the types.
    pub merge_duplicates: bool,
}

impl Default for Limits {
    /// The limits of a request's body.
    fn default() -> Self {
        Self {
            depth_max: 100,
            nodes_max: 1_000_000,
            text_bytes_max: 16 << 20,
            duplicates_max: 100,
            merge_duplicates: true,
        }
    }
}

/// A document as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The value. Of duplicate keys the last one counts, or all if they are objects and merged.
    pub value: Value,
    /// The duplicate keys, worded as warnings: `duplicate field "spec.replicas"` for JSON, `line 6:
    /// key "foo" already set in map` for YAML. In document order, each once.
    pub duplicates: Vec<String>,
}

/// A document that cannot be read: 400 BadRequest, whatever is asked for of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// JSON that is none, worded as Go's `encoding/json` does.
    #[error("{0}")]
    Json(String),
    /// YAML that is none, or goes over a limit.
    #[error("{0}")]
    Yaml(String),
    /// JSON whose `apiVersion` or `kind` is no text, or that is no object.
    #[error("{0}")]
    TypeMeta(String),
}

impl DecodeError {
    /// The text as it stands in the answer to a request whose body this was.
    pub fn in_body(&self) -> String {
        match self {
            Self::Json(text) | Self::TypeMeta(text) => {
                format!("couldn't get version/kind; json parse error: {text}")
            }
            Self::Yaml(text) => text.clone(),
        }
    }
}

/// Reads one JSON document with nothing but white space around it.
///
/// *Shape*: integers that fit 64 bits stay integers, all other numbers are floats. Bytes that are
/// no UTF-8 and lone surrogates become U+FFFD, as in Go.
pub fn json(bytes: &[u8], limits: Limits) -> Result<Decoded, DecodeError> {
    json::read(bytes, limits)
}

/// Reads the first YAML document of a stream, with the scalar types of YAML 1.1 that Kubernetes
/// knows (`yes`, `off`, `0x10`, `1_000`). Documents after the first are not looked at.
pub fn yaml(bytes: &[u8], limits: Limits) -> Result<Decoded, DecodeError> {
    yaml::read(bytes, limits)
}

/// What a document says of its own type. Both are empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeMeta {
    /// `apiVersion`, such as `apps/v1`.
    pub api_version: String,
    /// `kind`, such as `Deployment`.
    pub kind: String,
}

/// Reads `apiVersion` and `kind`.
///
/// Compat: names are found in any case (`ApiVersion`), as Go's `encoding/json` finds them here and
/// only here; the exact name wins. `null`, for the whole or for one of the two, says nothing.
pub fn type_meta(value: &Value) -> Result<TypeMeta, DecodeError> {
    let object = match value {
        Value::Null => return Ok(TypeMeta::default()),
        Value::Object(object) => object,
        other => {
            return Err(DecodeError::TypeMeta(format!(
                "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \
                 \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \
                 \"json:\\\"kind,omitempty\\\"\" }}",
                type_name(other)
            )));
        }
    };
    let text = |name: &str| {
        let mut found = String::new();
        let folded = object.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        for value in folded.map(|(_, value)| value).chain(object.get(name)) {
            match value {
                Value::Null => {}
                Value::String(text) => found.clone_from(text),
                other => {
                    return Err(DecodeError::TypeMeta(format!(
                        "json: cannot unmarshal {} into Go struct field .{name} of type string",
                        type_name(other)
                    )));
                }
            }
        }
        Ok(found)
    };
    Ok(TypeMeta { api_version: text("apiVersion")?, kind: text("kind")? })
}

/// The JSON type of a value as Go's error texts name it.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The beginning of a body as it stands in parentheses at the end of an error about it: text for
/// what looks like JSON, hexadecimal digits for all else.
pub fn body_summary(bytes: &[u8]) -> String {
    const BYTES_MAX: usize = 30;
    let (head, tail) = match bytes.get(..BYTES_MAX) {
        Some(head) if bytes.len() > BYTES_MAX => (head, " ..."),
        _ => (bytes, ""),
    };
    match head.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{tail}", String::from_utf8_lossy(head)),
        Some(_) => {
            let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{tail}")
        }
    }
}
