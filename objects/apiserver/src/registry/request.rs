//! What a verb is asked and what it answers.
//!
//! Must not know: how requests are read or answers written.

use std::sync::Arc;

use bytes::Bytes;
use schema::Value;

use super::row::Resource;
use crate::status::Status;

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// The user's name.
    pub name: String,
    /// The user's uid, often empty.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else the authenticator said.
    pub extra: Vec<(String, Vec<String>)>,
}

/// What surrounds a request.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// Who asks.
    pub user: UserInfo,
    /// The client's `User-Agent`; its first part is the default field manager.
    pub user_agent: String,
}

/// What a request is about.
#[derive(Debug, Clone)]
pub struct Target {
    /// The row, of the version asked for.
    pub resource: Arc<Resource>,
    /// The namespace of the path; empty for cluster resources and for lists over all namespaces.
    pub namespace: String,
    /// The name of the path; empty for collections and creations.
    pub name: String,
    /// The subresource, as `status`.
    pub subresource: Option<String>,
}

impl Target {
    /// Whether the object would be in a namespace and none is named.
    pub(super) fn lacks_namespace(&self) -> bool {
        self.resource.namespaced() && self.namespace.is_empty()
    }

    /// *Errors*: 400 for an object of no namespace where it must have one.
    pub(super) fn check_namespace(&self) -> Result<(), Status> {
        if !self.name.is_empty() && self.lacks_namespace() {
            return Err(Status::bad_request("Namespace parameter required."));
        }
        Ok(())
    }
}

/// A request's body: decoded and normalised, with what strict decoding found.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The object, with `apiVersion` and `kind` checked by the decoder. Null for no body.
    pub value: Value,
    /// Findings as `unknown field "spec.foo"`, in the order of the real one.
    pub findings: Vec<String>,
}

/// The media type of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/json-patch+json`
    Json,
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    Strategic,
    /// `application/apply-patch+yaml`
    ApplyYaml,
    /// `application/apply-patch+cbor`
    ApplyCbor,
}

impl PatchKind {
    /// The kind of a media type, parameters cut off.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        Some(match media_type {
            "application/json-patch+json" => Self::Json,
            "application/merge-patch+json" => Self::Merge,
            "application/strategic-merge-patch+json" => Self::Strategic,
            "application/apply-patch+yaml" => Self::ApplyYaml,
            "application/apply-patch+cbor" => Self::ApplyCbor,
            _ => return None,
        })
    }
}

/// What a verb answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status code: 200 or 201, 202 for a deletion under way where asked so.
    pub code: u16,
    /// The answer itself.
    pub body: Body,
    /// Texts for `Warning` headers, in order.
    pub warnings: Vec<String>,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum Body {
    /// One object as JSON, in the version asked for, with `kind`, `apiVersion` and
    /// `metadata.resourceVersion`.
    Object(Bytes),
    /// A `Status` that reports success, as JSON.
    Status(Bytes),
}

impl Body {
    /// The JSON.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Object(bytes) | Self::Status(bytes) => bytes,
        }
    }
}

impl Answer {
    /// 200 with an object.
    #[must_use]
    pub fn object(bytes: Bytes) -> Self {
        Self { code: 200, body: Body::Object(bytes), warnings: Vec::new() }
    }

    /// A success report.
    #[must_use]
    pub fn status(code: u16, bytes: Vec<u8>) -> Self {
        Self { code, body: Body::Status(bytes.into()), warnings: Vec::new() }
    }

    /// The same with another code.
    #[must_use]
    pub fn with_code(mut self, code: u16) -> Self {
        self.code = code;
        self
    }
}
