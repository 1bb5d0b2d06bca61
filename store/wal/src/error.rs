//! What can be wrong with etcd's log, and where.

/// Why a log is not read.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// Reading a file failed.
    #[error("{file}: {error}")]
    Io {
        /// The file's name.
        file: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A record is not what it was written as. A retry never helps.
    #[error("{file} at {offset}: {what}")]
    Record {
        /// The file's name.
        file: String,
        /// Where the record begins. *Units*: bytes.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The files do not belong together, or some are missing.
    #[error("{0}")]
    Files(String),
    /// Entries contradict each other, or some are missing.
    #[error("{0}")]
    Entries(String),
}
