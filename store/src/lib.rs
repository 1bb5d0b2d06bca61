//! The deterministic state: applies one batch at one log id and answers reads at a revision.
//!
//! - [`Store`] is the single writer: entries in, outcomes and events out, one engine batch per
//!   entry.
//! - [`Reader`] answers from the last published state, at any revision that is kept.
//! - [`auth`] says who may do what.
//! - [`validate`] says what a door refuses before it proposes.
//! - [`engine`] is what it asks of a disk; [`index`] is what it keeps in memory.
//!
//! It must not know clocks, randomness, sockets, tokio or the Raft log's files.

pub mod auth;
pub mod engine;
pub mod index;
pub mod limits;
pub mod validate;

mod alarms;
mod apply;
mod codec;
mod compare;
mod digest;
mod error;
mod event;
mod export;
mod hash;
mod history;
mod import;
mod key_value;
mod layout;
mod leases;
mod open;
mod outcome;
mod plan;
mod range;
mod read_error;
mod read_txn;
mod reader;
mod records;
mod root;
mod store;
mod types;
mod view;

pub use error::StorageError;
pub use event::{Event, EventKind, EventLimits, RevisionEvents};
pub use export::{ExportedHead, VisitChange};
pub use hash::HashKv;
pub use import::{Import, ImportedHead};
pub use leases::LeaseInfo;
pub use outcome::{Answers, AppliedBatch, ApplyError, AuthEffect, Outcome, Response};
pub use range::{RangeCursor, can_be_paged};
pub use read_error::ReadError;
pub use reader::Reader;
pub use root::{AppliedState, StoredMembership};
pub use store::{CompactProgress, Store, StoreOptions};
pub use types::{Digest, LeaseId, LogId, MemberId, Revision, RowRevision};
