//! The deterministic state: applies one batch at one log id and answers reads at a revision.
//!
//! It must not know clocks, randomness, sockets, tokio or the Raft log's files.

pub mod engine;
mod error;
pub mod index;
mod types;

pub use error::StorageError;
pub use types::{Digest, LeaseId, LogId, MemberId, Revision, RowRevision};
