//! What can go wrong between the API server and its store, by what the caller can do about it.
//!
//! Must not know: Kubernetes' status reasons.

use super::Revision;

/// Whether a write that failed may have happened all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was written: trying again is safe.
    NotApplied,
    /// Nobody knows: the caller has to look before it tries again.
    Unknown,
}

/// An error of the storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// No endpoint answered in time. Reads have been tried on all endpoints by then.
    #[error("the store is not available: {reason}")]
    Unavailable {
        /// What the store or the connection said.
        reason: String,
        /// What is known of a write; [`Outcome::NotApplied`] for reads.
        outcome: Outcome,
    },
    /// The revision that was asked for has been compacted away.
    #[error("the revision has been compacted (up to {compacted})")]
    Compacted {
        /// How far the history is gone; [`Revision::NONE`] if the store did not say.
        compacted: Revision,
    },
    /// The revision that was asked for does not exist yet.
    #[error("the revision is not there yet")]
    FutureRevision,
    /// The value is larger than the store takes.
    #[error("the store refuses the size: {reason}")]
    TooLarge {
        /// The store's words.
        reason: String,
    },
    /// The store is at its space quota and takes no writes until somebody compacts it.
    #[error("the store has no space left")]
    NoSpace,
    /// The store takes no more requests for the moment; nothing was written.
    #[error("the store is overloaded: {reason}")]
    Overloaded {
        /// The store's words.
        reason: String,
    },
    /// The store refuses the request for good: no permission, or a defect of ours.
    #[error("the store refuses the request: {reason}")]
    Refused {
        /// The store's words.
        reason: String,
    },
}

impl StorageError {
    /// A failure of a read, or of a write that was certainly not made.
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        StorageError::Unavailable { reason: reason.into(), outcome: Outcome::NotApplied }
    }

    /// Whether the same request may be sent again without looking first.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        matches!(
            self,
            StorageError::Unavailable { outcome: Outcome::NotApplied, .. }
                | StorageError::Overloaded { .. }
        )
    }
}
