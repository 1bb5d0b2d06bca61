//! Why a reconciliation did not come to its end, and what to do about it.
//!
//! Invariant: every error is followed by a retry with back-off; none is kept from the log. What
//! differs is how loud: a conflict is the daily course of things, a refusal is not.

use std::time::Duration;

/// What a reconciler answers: `Some(delay)` asks to be called again then, `None` waits for events.
pub type Reconciled = Result<Option<Duration>, Error>;

/// Why a controller could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused, or was not reached.
    #[error("{0}")]
    Api(#[from] kube::Error),
    /// What is cached is known to be behind; the key is tried again.
    #[error("the cache is behind: {0}")]
    Behind(String),
    /// The object itself makes the work impossible until somebody changes it.
    #[error("{0}")]
    Object(String),
    /// Not all of several steps succeeded; the first failure's text stands for all.
    #[error("{failed} of {tried} calls failed, the first with: {first}")]
    Partly {
        /// How many calls failed.
        failed: usize,
        /// How many were tried.
        tried: usize,
        /// The first failure.
        first: String,
    },
}

impl Error {
    /// Whether somebody else's write came first: expected under concurrency, healed by a retry.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(e) if is_conflict(e)) || matches!(self, Self::Behind(_))
    }
}

/// The HTTP status of an API error, if the API server gave one.
pub fn status_of(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// The machine-readable reason of an API error (`NotFound`, `Conflict` …), empty if there is none.
pub fn reason_of(error: &kube::Error) -> &str {
    match error {
        kube::Error::Api(status) => &status.reason,
        _ => "",
    }
}

/// The words of the API server if it answered, else those of the transport.
pub fn message_of(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Whether the object is not there (any more).
pub fn is_not_found(error: &kube::Error) -> bool {
    status_of(error) == Some(404)
}

/// Whether the object changed in between.
pub fn is_conflict(error: &kube::Error) -> bool {
    status_of(error) == Some(409) && reason_of(error) == "Conflict"
}

/// Whether the name is taken.
pub fn is_already_exists(error: &kube::Error) -> bool {
    status_of(error) == Some(409) && reason_of(error) == "AlreadyExists"
}

/// Whether a create was refused because its namespace is going away: retrying is in vain.
pub fn is_namespace_terminating(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status
            .details
            .as_ref()
            .is_some_and(|d| d.causes.iter().any(|c| c.reason == "NamespaceTerminating")),
        _ => false,
    }
}

/// An already-gone object is as good as a deleted one.
///
/// # Errors
/// Every other failure is handed on.
pub fn ignore_not_found<T>(result: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if is_not_found(&e) => Ok(None),
        Err(e) => Err(e),
    }
}
