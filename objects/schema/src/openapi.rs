//! The OpenAPI v3 documents, generated from the schema: one for every group version, small ones for
//! what names groups and versions, and an index.
//!
//! Clients take from them what they explain, validate and merge by: the schemas with their
//! extensions, and the query parameters of every operation. Invariants: a document is built once
//! and its bytes are shared; its hash depends on its bytes alone, so that servers of one build
//! agree. Compat: names and shapes are those of Kubernetes' own documents (a test holds them
//! against the published ones); descriptions are few and ours. Must not know: HTTP.

mod operations;
mod paths;
mod schemas;
mod v2;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, json};

pub use self::v2::document_v2;
use crate::Value;
use crate::types::Schema;

/// A document as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The path under the server's root, with its hash: `/openapi/v3/apis/apps/v1?hash=…`.
    pub url: String,
    /// The hash of the bytes, in hexadecimal: the `hash` parameter and the ETag.
    pub hash: String,
    /// JSON.
    pub bytes: Bytes,
}

impl Document {
    fn new(path: &str, value: &Value) -> Self {
        let mut document = Self::at(format!("/openapi/v3/{path}"), value);
        document.url = format!("{}?hash={}", document.url, document.hash);
        document
    }

    fn at(url: String, value: &Value) -> Self {
        let bytes = Bytes::from(value.to_string());
        Self { url, hash: hash(&bytes), bytes }
    }
}

/// What `/openapi/v3` answers: `{"paths": {"apis/apps/v1": {"serverRelativeURL": …}}}`.
///
/// Builds every document on first use, for their hashes.
pub fn index() -> Document {
    static INDEX: OnceLock<Document> = OnceLock::new();
    let build = || {
        let path = |(path, _): (&String, _)| {
            let document = document(path)?;
            Some((path.clone(), json!({"serverRelativeURL": document.url})))
        };
        let paths: Map<String, Value> = documents().iter().filter_map(path).collect();
        Document::at("/openapi/v3".to_owned(), &json!({ "paths": paths }))
    };
    INDEX.get_or_init(build).clone()
}

/// The document of `api/v1` or `apis/apps/v1`, built on first use and shared.
pub fn document(path: &str) -> Option<Document> {
    let (path, Slot { subject, document }) = documents().get_key_value(path)?;
    let build = || Document::new(path, &build(Schema::builtin(), *subject));
    Some(document.get_or_init(build).clone())
}

/// What a document is about.
#[derive(Clone, Copy)]
enum Subject {
    /// `/api`: the versions of core.
    Versions,
    /// `/apis`: the other groups.
    Groups,
    /// `/apis/apps`: the versions of a group.
    Group(&'static str),
    /// `/apis/apps/v1`: what a group version has.
    GroupVersion(&'static str, &'static str),
}

struct Slot {
    subject: Subject,
    document: OnceLock<Document>,
}

/// The documents that there are, by path.
fn documents() -> &'static BTreeMap<String, Slot> {
    static DOCUMENTS: OnceLock<BTreeMap<String, Slot>> = OnceLock::new();
    DOCUMENTS.get_or_init(|| {
        let slot = |subject| Slot { subject, document: OnceLock::new() };
        let mut documents = BTreeMap::new();
        documents.insert("api".to_owned(), slot(Subject::Versions));
        documents.insert("apis".to_owned(), slot(Subject::Groups));
        for row in Schema::builtin().resources() {
            let path = paths::root(row.group, row.version).trim_matches('/').to_owned();
            documents.insert(path, slot(Subject::GroupVersion(row.group, row.version)));
            if !row.group.is_empty() {
                documents.insert(format!("apis/{}", row.group), slot(Subject::Group(row.group)));
            }
        }
        documents
    })
}

fn build(schema: &Schema, subject: Subject) -> Value {
    let (group, version) = match subject {
        Subject::GroupVersion(group, version) => (group, version),
        _ => ("", "v1"),
    };
    let mut roots = schemas::Roots::new(schema, group, version);
    let paths = match subject {
        Subject::Versions => paths::one("/api/", "getCoreAPIVersions", "APIVersions", &mut roots),
        Subject::Groups => paths::one("/apis/", "getAPIVersions", "APIGroupList", &mut roots),
        Subject::Group(group) => paths::of_group(group, &mut roots),
        Subject::GroupVersion(..) => paths::of_group_version(schema, group, version, &mut roots),
    };
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "1.37"},
        "paths": paths,
        "components": {
            "schemas": roots.into_schemas(),
            "securitySchemes": {
                "BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"},
            },
        },
    })
}

/// FNV-1a of 128 bits: it need only tell documents apart.
fn hash(bytes: &[u8]) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let step = |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
    format!("{:032X}", bytes.iter().fold(OFFSET, step))
}

#[cfg(test)]
mod tests;
