//! What a cache refuses, in Kubernetes' words.
//!
//! Must not know: the wire form of a `Status`; the variants say which one it is.

use std::fmt;

use crate::storage::{Revision, StorageError};

/// Why a read or a watch was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheError {
    /// 400 `BadRequest` with this message.
    BadRequest(String),
    /// A `resourceVersion` that is no number, of a get or a watch: 500 and 422 at the real server.
    InvalidResourceVersion {
        /// The text that was sent.
        text: String,
    },
    /// 410 `Expired`: the revision is gone.
    Expired {
        /// The message.
        message: String,
        /// For `metadata.continue`: goes on at the newest revision.
        continue_token: Option<String>,
    },
    /// 504 `Timeout` with the cause `ResourceVersionTooLarge`.
    TooLargeResourceVersion {
        /// The revision that was asked for.
        asked: Revision,
        /// The newest one known.
        current: Revision,
        /// For `details.retryAfterSeconds`.
        retry_after_seconds: u32,
    },
    /// 500 `InternalError` without the usual words before it: the request's time is up.
    Deadline,
    /// 429 `TooManyRequests`: the cache is still being filled.
    NotReady,
    /// A stored value that cannot be read: 500.
    Corrupt {
        /// Which one, and why.
        message: String,
    },
    /// The store failed.
    Storage(StorageError),
}

impl CacheError {
    /// The list's revision was compacted away.
    pub(crate) fn list_expired() -> Self {
        Self::expired("The resourceVersion for the provided list is too old.")
    }

    /// The watch's first revision is neither in the ring nor in the store.
    pub(crate) fn watch_expired(asked: Revision, oldest: Revision) -> Self {
        Self::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// The pages' revision was compacted away; `token` goes on without consistency.
    pub(crate) fn continue_expired(token: String) -> Self {
        CacheError::Expired {
            message: "The provided continue parameter is too old to display a consistent list \
                      result. You can start a new list without the continue parameter, or use the \
                      continue token in this response to retrieve the remainder of the results. \
                      Continuing with the provided token results in an inconsistent list - objects \
                      that were created, modified, or deleted between the time the first chunk was \
                      returned and now may show up in the list."
                .to_owned(),
            continue_token: Some(token),
        }
    }

    fn expired(message: impl Into<String>) -> Self {
        CacheError::Expired { message: message.into(), continue_token: None }
    }
}

impl From<StorageError> for CacheError {
    fn from(error: StorageError) -> Self {
        CacheError::Storage(error)
    }
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheError::BadRequest(message)
            | CacheError::Expired { message, .. }
            | CacheError::Corrupt { message } => f.write_str(message),
            CacheError::InvalidResourceVersion { text } => {
                f.write_str(&super::query::invalid_resource_version(text))
            }
            CacheError::TooLargeResourceVersion { asked, current, .. } => {
                write!(f, "Too large resource version: {asked}, current: {current}")
            }
            CacheError::Deadline => f.write_str("context deadline exceeded"),
            CacheError::NotReady => f.write_str("storage is (re)initializing"),
            CacheError::Storage(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for CacheError {}
