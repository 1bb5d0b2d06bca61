//! What can go wrong in the store, by who can do something about it.
//!
//! A [`StorageError`] is about this member's disk and stops the member.

use std::path::PathBuf;

use thiserror::Error;

/// This member's storage failed. Never part of a replicated answer; the member stops.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The operating system refused a file operation.
    #[error("{path}: {action}: {source}", path = path.display())]
    File {
        /// What was tried, as an infinitive ("open", "sync").
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The engine refused an operation, in its own words.
    #[error("storage engine: {0}")]
    Engine(String),
    /// Stored bytes are not what was written. The member must be replaced, or restored if it is
    /// alone.
    #[error("damaged storage: {0}")]
    Damaged(String),
    /// A received checkpoint is incomplete or differs from its announcement; a new transfer may
    /// help.
    #[error("received checkpoint refused: {0}")]
    Received(String),
    /// The log or the stored state needs a newer release than this one.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// A fault that a test asked for.
    #[error("injected fault: {0}")]
    Injected(&'static str),
}

impl StorageError {
    /// Wraps a failed file operation. `action` is an infinitive ("open", "sync").
    pub fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> StorageError {
        StorageError::File { action, path: path.into(), source }
    }
}
