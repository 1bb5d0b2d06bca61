//! Kubernetes' protobuf, by the schema.
//!
//! An object on the wire is four bytes of magic and a message `Unknown`:
//!
//! ```text
//! "k8s\0"  1: TypeMeta{1: apiVersion, 2: kind}  2: raw  3: contentEncoding  4: contentType
//! ```
//!
//! whose `raw` is the message of the kind. Invariants: the same value gives the same bytes, those
//! that Go's generated code writes (fields by tag, maps by key, scalars that are no pointers always
//! there); no input makes reading panic, recurse without end, or allocate without bound. Must not
//! know: any single kind.

mod read;
mod wire;
mod write;

use bytes::Bytes;

use crate::Value;
use crate::typed;
use crate::types::{Gvk, Schema, TypeId};

/// The four bytes before every enveloped object.
pub const MAGIC: [u8; 4] = *b"k8s\0";

/// Bytes that are no object, or a value that has no form in protobuf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// There is nothing.
    #[error("empty data")]
    Empty,
    /// There is nothing behind the magic.
    #[error("empty body")]
    EmptyBody,
    /// The magic is missing.
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    NoMagic,
    /// The envelope does not name a kind.
    #[error(
        "Object 'Kind' is missing in 'runtime.TypeMeta{{APIVersion:{api_version:?}, Kind:\"\"}}'"
    )]
    NoKind {
        /// As the envelope says.
        api_version: String,
    },
    /// The envelope does not name a version.
    #[error(
        "Object 'apiVersion' is missing in 'runtime.TypeMeta{{APIVersion:\"\", Kind:{kind:?}}}'"
    )]
    NoVersion {
        /// As the envelope says.
        kind: String,
    },
    /// The kind is not in the schema.
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\"")]
    UnknownKind {
        /// As the envelope says.
        api_version: String,
        /// As the envelope says.
        kind: String,
    },
    /// The bytes are not what the type's message is.
    #[error("{0}")]
    Malformed(String),
    /// A value that the type does not take.
    #[error("{0}")]
    Mismatch(String),
}

/// What an envelope says and holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'data> {
    /// `apps/v1`, possibly empty.
    pub api_version: String,
    /// `Deployment`, possibly empty.
    pub kind: String,
    /// The message.
    pub raw: &'data [u8],
}

/// Reads the envelope alone.
///
/// *Errors*: bytes that are no envelope.
pub fn envelope(data: &[u8]) -> Result<Envelope<'_>, ProtobufError> {
    if data.is_empty() {
        return Err(ProtobufError::Empty);
    }
    let body = data.strip_prefix(&MAGIC).ok_or(ProtobufError::NoMagic)?;
    if body.is_empty() {
        return Err(ProtobufError::EmptyBody);
    }
    read::envelope(body)
}

/// Reads an enveloped object as the kind that its envelope names; `apiVersion` and `kind` are in
/// the value.
///
/// *Errors*: bytes that are no object of a known kind; never a panic, and what is allocated is
/// bounded.
pub fn decode(schema: &Schema, data: &[u8]) -> Result<(Gvk, Value), ProtobufError> {
    let envelope = envelope(data)?;
    let (gvk, id) = kind_of(schema, &envelope)?;
    let value = decode_enveloped(schema, id, &envelope)?;
    Ok((gvk, value))
}

/// Reads an enveloped object as the given type whatever its envelope says, as for `DeleteOptions`
/// whose group version is the resource's.
///
/// *Errors*: as [`decode`], but for the kind.
pub fn decode_as(schema: &Schema, id: TypeId, data: &[u8]) -> Result<Value, ProtobufError> {
    decode_enveloped(schema, id, &envelope(data)?)
}

/// Reads a message without an envelope.
///
/// *Errors*: as [`decode_as`].
pub fn decode_message(schema: &Schema, id: TypeId, data: &[u8]) -> Result<Value, ProtobufError> {
    let value = read::Read::new(schema).message(id, data)?;
    normalized(schema, id, value)
}

/// Writes an object with its envelope; `apiVersion` and `kind` are taken from the value.
///
/// *Errors*: a value that [`typed::normalize`] would not leave.
pub fn encode(schema: &Schema, id: TypeId, value: &Value) -> Result<Bytes, ProtobufError> {
    write::enveloped(schema, id, value)
}

/// Writes a message without an envelope, as the frames of a watch are.
///
/// *Errors*: as [`encode`].
pub fn encode_message(schema: &Schema, id: TypeId, value: &Value) -> Result<Bytes, ProtobufError> {
    write::message(schema, id, value)
}

fn kind_of(schema: &Schema, envelope: &Envelope<'_>) -> Result<(Gvk, TypeId), ProtobufError> {
    let Envelope { api_version, kind, .. } = envelope.clone();
    if kind.is_empty() {
        return Err(ProtobufError::NoKind { api_version });
    }
    if api_version.is_empty() {
        return Err(ProtobufError::NoVersion { kind });
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let gvk = Gvk { group: group.to_owned(), version: version.to_owned(), kind };
    match schema.kind(&gvk.group, &gvk.version, &gvk.kind) {
        Some(id) => Ok((gvk, id)),
        None => Err(ProtobufError::UnknownKind { api_version, kind: gvk.kind }),
    }
}

fn decode_enveloped(
    schema: &Schema,
    id: TypeId,
    envelope: &Envelope<'_>,
) -> Result<Value, ProtobufError> {
    let mut value = read::Read::new(schema).message(id, envelope.raw)?;
    if let Value::Object(map) = &mut value {
        for (name, text) in [("apiVersion", &envelope.api_version), ("kind", &envelope.kind)] {
            if !text.is_empty() && schema.get(id).field(name).is_some() {
                map.insert(name.to_owned(), Value::String(text.clone()));
            }
        }
    }
    normalized(schema, id, value)
}

/// Zero values come and go as in JSON.
fn normalized(schema: &Schema, id: TypeId, value: Value) -> Result<Value, ProtobufError> {
    typed::normalize(schema, id, value)
        .map_err(|mismatch| ProtobufError::Mismatch(mismatch.message))
}

#[cfg(test)]
mod tests;
