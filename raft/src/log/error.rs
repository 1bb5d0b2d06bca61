//! Why a log does not open.
//!
//! Must not know: who shows the error.

use std::io;

/// The log cannot be used. None of these is cured by trying again.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed.
    #[error("raft log: {0}")]
    Io(#[from] io::Error),
    /// Bytes that had been synced are wrong or missing. The log never guesses what was there.
    #[error(
        "raft log damaged: {file} in {directory}, offset {offset}: {what}. This \
         member must be replaced: \
         remove it from the cluster and add a new one; a cluster of one is restored from a snapshot"
    )]
    Damaged {
        /// The log's directory.
        directory: String,
        /// The segment's file name.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The log is another member's or another cluster's.
    #[error(
        "raft log in {directory} belongs to member {found_member:x} of cluster {found_cluster:x}, \
         this is member {member:x} of cluster {cluster:x}: check --data-dir, --name and \
         --initial-cluster"
    )]
    Foreign {
        /// The log's directory.
        directory: String,
        /// Whose cluster the log is.
        found_cluster: u64,
        /// Whose member the log is.
        found_member: u64,
        /// The cluster that was expected.
        cluster: u64,
        /// The member that was expected.
        member: u64,
    },
    /// A later release wrote it.
    #[error(
        "raft log in {directory} has format {found}; this release reads format {known}: upgrade"
    )]
    Format {
        /// The log's directory.
        directory: String,
        /// The format found.
        found: u32,
        /// The format this release writes.
        known: u32,
    },
}
