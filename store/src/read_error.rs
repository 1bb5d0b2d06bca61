//! Why a read has no answer.

use proto::status::EtcdError;
use thiserror::Error;

use crate::error::StorageError;
use crate::types::Revision;

/// A refused or failed read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The wanted revision is below what is kept. A retry at or above `compact_revision` may help.
    #[error("revision is below the compacted revision {compact_revision}")]
    Compacted {
        /// The compacted revision.
        compact_revision: Revision,
    },
    /// The wanted revision does not exist yet.
    #[error("revision is above the current revision {current}")]
    FutureRevision {
        /// The current revision.
        current: Revision,
    },
    /// A transaction that writes was given to a reader. Callers look first:
    /// [`crate::validate::is_read_only`].
    #[error("the transaction writes")]
    Writes,
    /// This member's storage failed; the member stops.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReadError {
    /// The error of etcd's table that a client sees; `None` when the member is at fault.
    pub fn etcd(&self) -> Option<EtcdError> {
        match self {
            Self::Compacted { .. } => Some(EtcdError::Compacted),
            Self::FutureRevision { .. } => Some(EtcdError::FutureRevision),
            Self::Writes | Self::Storage(_) => None,
        }
    }
}
