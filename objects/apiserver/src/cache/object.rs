//! A cached object: its JSON, once, with the revision in it, and the few facts that selectors and
//! the registry ask for.
//!
//! The bytes are laid out as the real server writes an object: kind, version, then the rest. The
//! rest (the *body*) is what lists, gets and watch lines of every version share.
//!
//! Invariants: an object never changes; its body holds `metadata.resourceVersion` with the
//! object's revision, and neither `kind` nor `apiVersion`.
//!
//! Must not know: how a kind looks; what a selectable field means.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Deserialize;

use super::scan::{Member, members};
use crate::storage::{Revision, Stored};

/// Reads the selectable fields of an object, apart from `metadata.name` and `metadata.namespace`.
pub type Extract = fn(&serde_json::Value) -> Vec<(&'static str, String)>;

/// Turns a stored value that is no JSON (it begins with `k8s\0`) into the JSON that would have been
/// stored; the error says why it cannot be read.
pub type Decode = fn(&[u8]) -> Result<Bytes, String>;

/// How the objects of one resource are read.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The prefix of all keys: `/pods/`; ends with `/`.
    pub prefix: String,
    /// Whether keys are `namespace/name`, or the name alone.
    pub namespaced: bool,
    /// Reads the selectable fields; none if there are no others than name and namespace.
    pub fields: Option<Extract>,
    /// Reads values that are no JSON.
    pub decode: Option<Decode>,
}

impl Shape {
    /// The key of an object.
    #[must_use]
    pub fn key(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace {
            Some(namespace) if self.namespaced => format!("{}{namespace}/{name}", self.prefix),
            _ => format!("{}{name}", self.prefix),
        }
    }
}

/// A stored value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of {key:?} cannot be read: {reason}")]
pub struct ObjectError {
    /// Its key.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// An object as it is cached and sent.
pub struct Object {
    /// The key behind the resource's prefix: `namespace/name`, or the name.
    place: Box<str>,
    /// Where the name begins in it.
    name_at: usize,
    /// The kind's and the version's JSON strings, as they were stored.
    kind: Box<str>,
    api_version: Box<str>,
    revision: Revision,
    body: Bytes,
    /// Where the revision's digits stand in the body.
    revision_at: Range<usize>,
    uid: Box<str>,
    labels: BTreeMap<String, String>,
    fields: Vec<(&'static str, String)>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl Object {
    /// Reads a stored value.
    ///
    /// *Errors*: it is neither JSON nor decodable, or its key is not one of this resource.
    pub fn read(shape: &Shape, stored: &Stored) -> Result<Arc<Object>, ObjectError> {
        let fail = |reason: String| ObjectError { key: stored.key.clone(), reason };
        let place = stored
            .key
            .strip_prefix(&shape.prefix)
            .filter(|place| !place.is_empty())
            .ok_or_else(|| fail(format!("the key is not under {:?}", shape.prefix)))?;
        let name_at = match place.split_once('/') {
            Some((namespace, _)) if shape.namespaced => namespace.len() + 1,
            None if !shape.namespaced => 0,
            _ => return Err(fail("the key has the wrong number of parts".to_owned())),
        };
        let decoded;
        let json: &[u8] = if stored.value.starts_with(b"k8s\0") {
            let decode = shape.decode.ok_or_else(|| fail("it is protobuf".to_owned()))?;
            decoded = decode(&stored.value).map_err(fail)?;
            &decoded
        } else {
            &stored.value
        };
        Self::lay_out(shape, place, name_at, json, stored.revision).map(Arc::new).map_err(fail)
    }

    fn lay_out(
        shape: &Shape,
        place: &str,
        name_at: usize,
        json: &[u8],
        revision: Revision,
    ) -> Result<Object, String> {
        let top = members(json, 0).ok_or("it is no JSON object")?;
        let find = |name: &[u8]| top.iter().find(|member| member.name == name);
        let metadata = find(b"metadata").ok_or("it has no metadata")?;
        let index: Metadata = serde_json::from_slice(&json[metadata.value.clone()])
            .map_err(|error| format!("metadata: {error}"))?;
        let fields = match shape.fields {
            Some(extract) => {
                let value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
                extract(&value)
            }
            None => Vec::new(),
        };
        let text = |name: &[u8]| -> Result<Box<str>, String> {
            let member = find(name).map_or(&b"\"\""[..], |member| &json[member.value.clone()]);
            Ok(std::str::from_utf8(member).map_err(|error| error.to_string())?.into())
        };
        let (body, revision_at) = body(json, &top, metadata, revision)?;
        Ok(Object {
            place: place.into(),
            name_at,
            kind: text(b"kind")?,
            api_version: text(b"apiVersion")?,
            revision,
            body,
            revision_at,
            uid: index.uid.into(),
            labels: index.labels.unwrap_or_default(),
            fields,
        })
    }

    /// The same object with another revision: what a watcher sees of one that went away.
    #[must_use]
    pub(super) fn at_revision(&self, revision: Revision) -> Object {
        let digits = revision.to_string();
        let mut body = BytesMut::with_capacity(self.body.len() + digits.len());
        body.put_slice(&self.body[..self.revision_at.start]);
        body.put_slice(digits.as_bytes());
        body.put_slice(&self.body[self.revision_at.end..]);
        Object {
            place: self.place.clone(),
            name_at: self.name_at,
            kind: self.kind.clone(),
            api_version: self.api_version.clone(),
            revision,
            body: body.freeze(),
            revision_at: self.revision_at.start..self.revision_at.start + digits.len(),
            uid: self.uid.clone(),
            labels: self.labels.clone(),
            fields: self.fields.clone(),
        }
    }

    /// The namespace, if the resource has namespaces.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.name_at.checked_sub(1).map(|end| &self.place[..end])
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.place[self.name_at..]
    }

    /// `namespace/name`, or the name: what objects are ordered by.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The revision of the last write, or of the deletion: `metadata.resourceVersion`.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// `metadata.labels`.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// A selectable field: `metadata.name`, `metadata.namespace`, or one the resource's row knows.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" => Some(self.namespace().unwrap_or_default()),
            _ => self.fields.iter().find(|(known, _)| *known == name).map(|(_, is)| is.as_str()),
        }
    }

    /// The JSON of the object behind `"kind":…,"apiVersion":…,`: all other members and the closing
    /// brace.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The JSON of the object as it was stored, with its revision.
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.joined(&self.kind, &self.api_version)
    }

    /// The JSON of the object as another kind or version that has the same form.
    #[must_use]
    pub fn json_as(&self, kind: &str, api_version: &str) -> Bytes {
        self.joined(&format!("{kind:?}"), &format!("{api_version:?}"))
    }

    fn joined(&self, kind: &str, api_version: &str) -> Bytes {
        let mut out =
            BytesMut::with_capacity(self.body.len() + kind.len() + api_version.len() + 26);
        self.put_json(&mut out, kind, api_version);
        out.freeze()
    }

    fn put_json(&self, out: &mut BytesMut, kind: &str, api_version: &str) {
        out.put_slice(b"{\"kind\":");
        out.put_slice(kind.as_bytes());
        out.put_slice(b",\"apiVersion\":");
        out.put_slice(api_version.as_bytes());
        out.put_slice(b",");
        out.put_slice(&self.body);
    }

    /// Appends the stored form's JSON.
    pub(super) fn put_stored_json(&self, out: &mut BytesMut) {
        self.put_json(out, &self.kind, &self.api_version);
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} at {})", self.place, self.revision)
    }
}

/// The members besides kind and version, with the revision put into the metadata.
fn body(
    json: &[u8],
    top: &[Member<'_>],
    metadata: &Member<'_>,
    revision: Revision,
) -> Result<(Bytes, Range<usize>), String> {
    let inner = members(json, metadata.value.start).ok_or("metadata is no object")?;
    let digits = revision.to_string();
    let mut out = BytesMut::with_capacity(json.len() + digits.len() + 24);
    out.put_slice(b"\"metadata\":{\"resourceVersion\":\"");
    let revision_at = out.len()..out.len() + digits.len();
    out.put_slice(digits.as_bytes());
    out.put_slice(b"\"");
    for member in inner.iter().filter(|member| member.name != b"resourceVersion") {
        out.put_slice(b",");
        out.put_slice(&json[member.whole.clone()]);
    }
    out.put_slice(b"}");
    let known: [&[u8]; 3] = [b"kind", b"apiVersion", b"metadata"];
    for member in top.iter().filter(|member| !known.contains(&member.name)) {
        out.put_slice(b",");
        out.put_slice(&json[member.whole.clone()]);
    }
    out.put_slice(b"}");
    Ok((out.freeze(), revision_at))
}
