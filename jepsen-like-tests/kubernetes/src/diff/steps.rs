//! What a conversation consists of: requests with placeholders, and watches opened and closed.
//!
//! Invariants: a scenario is drawn before anything is asked, so that both sides hear the same;
//! what only the server knows (resourceVersions, uids, continue tokens) stands as a placeholder
//! that each side fills from its own answers.
//!
//! Must not know: how the answers are compared.

use bytes::Bytes;
use serde_json::Value;

/// JSON, the default of everything.
pub const JSON: &str = "application/json";
/// A merge patch.
pub const MERGE: &str = "application/merge-patch+json";
/// A JSON patch.
pub const JSON_PATCH: &str = "application/json-patch+json";
/// A strategic merge patch.
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// What kubectl asks for when it prints a table.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
/// Metadata alone.
pub const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Metadata alone, of a list.
pub const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// Path and query, with placeholders.
    pub target: String,
    /// The Accept header.
    pub accept: &'static str,
    /// The Content-Type header; none without a body.
    pub content_type: &'static str,
    /// The body, with placeholders where it is text.
    pub body: Bytes,
}

/// One thing to do on both sides.
#[derive(Debug, Clone)]
pub enum Act {
    /// Ask, and compare the answers.
    Ask(Request),
    /// Open a watch under a name.
    Open {
        /// Its name in this scenario.
        name: String,
        /// Path and query.
        target: String,
        /// The Accept header.
        accept: &'static str,
    },
    /// Wait until the open watches have said the same or are quiet, and compare them.
    Close,
}

/// A conversation about one thing.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name: what `--only` takes.
    pub name: String,
    /// What is done, in order.
    pub acts: Vec<Act>,
}

impl Scenario {
    /// An empty one.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), acts: Vec::new() }
    }

    /// Any request with any body.
    pub fn raw(
        &mut self,
        method: &'static str,
        target: impl Into<String>,
        accept: &'static str,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) {
        let (target, body) = (target.into(), body.into());
        self.acts.push(Act::Ask(Request { method, target, accept, content_type, body }));
    }

    /// A GET for JSON.
    pub fn get(&mut self, target: impl Into<String>) {
        self.get_as(target, JSON);
    }

    /// A GET for something else.
    pub fn get_as(&mut self, target: impl Into<String>, accept: &'static str) {
        self.raw("GET", target, accept, "", Bytes::new());
    }

    /// A POST of JSON.
    pub fn post(&mut self, target: impl Into<String>, body: &Value) {
        self.raw("POST", target, JSON, JSON, body.to_string());
    }

    /// A PUT of JSON.
    pub fn put(&mut self, target: impl Into<String>, body: &Value) {
        self.raw("PUT", target, JSON, JSON, body.to_string());
    }

    /// A PATCH of a type.
    pub fn patch(&mut self, target: impl Into<String>, content_type: &'static str, body: &Value) {
        self.raw("PATCH", target, JSON, content_type, body.to_string());
    }

    /// A DELETE without a body.
    pub fn delete(&mut self, target: impl Into<String>) {
        self.raw("DELETE", target, JSON, "", Bytes::new());
    }

    /// A DELETE with options.
    pub fn delete_with(&mut self, target: impl Into<String>, options: &Value) {
        self.raw("DELETE", target, JSON, JSON, options.to_string());
    }

    /// Opens a watch.
    pub fn open(&mut self, name: &str, target: impl Into<String>, accept: &'static str) {
        self.acts.push(Act::Open { name: name.to_owned(), target: target.into(), accept });
    }

    /// Compares the open watches.
    pub fn close(&mut self) {
        self.acts.push(Act::Close);
    }
}

/// The placeholder for an object's resourceVersion.
#[must_use]
pub fn version_of(object: &str) -> String {
    format!("{{{{rv:{object}}}}}")
}

/// The placeholder for an object's uid.
#[must_use]
pub fn uid_of(object: &str) -> String {
    format!("{{{{uid:{object}}}}}")
}

/// The placeholder for the continue token of the last list.
pub const CONTINUE: &str = "{{continue}}";
/// The placeholder for the resourceVersion of the last list.
pub const LIST_VERSION: &str = "{{list}}";
