//! What a cache refuses, in Kubernetes' words.
//!
//! Must not know: the wire form of a `Status`; the variants say which one it is.

use std::fmt;

use proto::status::EtcdError;

use crate::status::Status;
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

impl From<CacheError> for Status {
    /// Compat: a get whose `resourceVersion` is no number ends at the real server as an internal
    /// error; for watches the caller makes `Invalid` of it, which needs the resource's name.
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::BadRequest(message) => Status::bad_request(message),
            CacheError::Expired { message, continue_token: None } => Status::expired(message),
            CacheError::Expired { message, continue_token: Some(token) } => {
                Status::expired(message).with_continue(token)
            }
            CacheError::TooLargeResourceVersion { asked, current, retry_after_seconds } => {
                Status::too_large_resource_version(asked.0, current.0, retry_after_seconds)
            }
            CacheError::NotReady => Status::too_many_requests(error.to_string(), 1),
            CacheError::InvalidResourceVersion { .. } => Status::unknown(error.to_string()),
            CacheError::Corrupt { .. } => Status::internal(error),
            CacheError::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for Status {
    /// What the real server answers when its store fails: whatever can be tried again says so.
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Compacted { .. } => CacheError::list_expired().into(),
            StorageError::FutureRevision => Status::too_large_resource_version(0, 0, 1),
            StorageError::Unavailable { .. } => Status::timeout(&error.to_string(), 1),
            StorageError::Overloaded { .. } => Status::too_many_requests(error.to_string(), 1),
            // Compat: etcd's own words, bare.
            StorageError::TooLarge { reason } | StorageError::Refused { reason } => {
                Status::unknown(reason)
            }
            StorageError::NoSpace => Status::unknown(EtcdError::NoSpace.message()),
        }
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
            CacheError::NotReady => f.write_str("storage is (re)initializing"),
            CacheError::Storage(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for CacheError {}
