//! What the API says when it refuses: the v1 `Status` with Kubernetes' reasons, codes and words.
//!
//! One type for every refusal, made by the constructors in `make` so that the words stand in one
//! place, and written as JSON here. `field` collects what validation found. Must not know:
//! resources, storage, HTTP beyond the status code.

mod field;
mod make;
mod quote;
mod write;

#[cfg(test)]
mod tests;

pub use field::{BadValue, FieldError, FieldErrorKind, FieldErrors, FieldPath};
pub use make::qualified;
pub use quote::quoted;
pub use write::success;

/// Why the API refuses, as a word that clients switch on.
///
/// *Source*: apimachinery `metav1.StatusReason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words are the documentation")]
pub enum Reason {
    /// No reason given: the field is left out.
    Unknown,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    ServerTimeout,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    Expired,
    ServiceUnavailable,
}

impl Reason {
    /// The word on the wire; empty for [`Reason::Unknown`].
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Invalid => "Invalid",
            Self::ServerTimeout => "ServerTimeout",
            Self::Timeout => "Timeout",
            Self::TooManyRequests => "TooManyRequests",
            Self::BadRequest => "BadRequest",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::InternalError => "InternalError",
            Self::Expired => "Expired",
            Self::ServiceUnavailable => "ServiceUnavailable",
        }
    }
}

/// One cause among several: for validation, one per field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cause {
    /// The word clients switch on (`FieldValueInvalid`, `NamespaceTerminating`); may be empty.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// The field's path, empty if none.
    pub field: String,
}

/// What a refusal is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// The object's name, if one was named.
    pub name: String,
    /// The API group, empty for core.
    pub group: String,
    /// The resource (`pods`) for most reasons, the kind (`Pod`) for `Invalid`.
    pub kind: String,
    /// The object's uid, if it matters.
    pub uid: String,
    /// The causes, in the order found.
    pub causes: Vec<Cause>,
    /// Seconds after which to try again; 0 is left out.
    pub retry_after_seconds: u32,
}

/// A refusal of the API: the error type of the whole server.
///
/// Invariant: `code` is an HTTP status of 4xx or 5xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The word.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
    /// What it is about. `Some` of an empty one is written as `{}`.
    pub details: Option<Box<Details>>,
    /// `metadata.continue`: where a list that expired may go on inconsistently.
    pub continue_token: Option<String>,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

impl Status {
    /// Adds a cause to the details.
    #[must_use]
    pub fn with_cause(mut self, reason: &str, message: impl Into<String>, field: &str) -> Self {
        self.details.get_or_insert_default().causes.push(Cause {
            reason: reason.to_owned(),
            message: message.into(),
            field: field.to_owned(),
        });
        self
    }

    /// The same refusal with the token at which a list may go on.
    #[must_use]
    pub fn with_continue(mut self, token: impl Into<String>) -> Self {
        self.continue_token = Some(token.into());
        self
    }

    /// Whether a cause with this word is among the details.
    #[must_use]
    pub fn has_cause(&self, reason: &str) -> bool {
        self.details.as_ref().is_some_and(|d| d.causes.iter().any(|c| c.reason == reason))
    }

    /// Seconds for a `Retry-After` header, if the answer carries one.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.details.as_ref().map(|d| d.retry_after_seconds).filter(|s| *s > 0)
    }
}
