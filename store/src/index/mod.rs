//! The key index: which changes each key has seen, ordered by key, counted, and cheap to publish.
//!
//! Invariants:
//! - rows of a key rise strictly; a tombstone follows a put (or stands alone after a compaction);
//! - `live` counts the keys whose newest row is a put, `present` those with any row at all;
//! - a clone of the index never changes, whatever is written to the original afterwards.
//!
//! It must not know values, leases or engines: it names rows, others fetch them.

mod compact;
mod history;
mod keys;
#[cfg(any(test, feature = "conformance"))]
mod model;
mod node;
mod read;
#[cfg(test)]
mod tests;
mod tree;

#[cfg(any(test, feature = "conformance"))]
pub use model::Model;
pub use tree::KeyIndex;

use crate::types::{Revision, RowRevision};

/// The moment a read looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest state of the index.
    Latest,
    /// The state after the transaction of this main revision. Meaningful from the compacted
    /// revision on.
    Revision(Revision),
}

/// What a key was at some moment: the numbers of its `KeyValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// The main revision of the put that created the key (after its last deletion).
    pub created: Revision,
    /// The row of the last put: where the value is.
    pub modified: RowRevision,
    /// The number of puts since the creation, from 1.
    pub version: i64,
}

/// One change in a key's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// Where the change is.
    pub at: RowRevision,
    /// The state after it; `None` for a tombstone.
    pub state: Option<KeyState>,
}

/// A row that a compaction took out of the index: the engine's row is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DroppedRow {
    /// Where the row is.
    pub at: RowRevision,
    /// Whether it is a tombstone.
    pub tombstone: bool,
}

/// A compaction under way: where it stands between bounded steps.
///
/// Keys written meanwhile are no trouble: only rows at or below `at` are looked at.
#[derive(Clone, Debug)]
pub struct Compaction {
    at: Revision,
    /// The first key not yet looked at; `None` when the compaction is done.
    next: Option<Vec<u8>>,
}

impl Compaction {
    /// A compaction at `at` that has not begun.
    pub fn new(at: Revision) -> Self {
        Self { at, next: Some(Vec::new()) }
    }

    /// The revision compacted at.
    pub fn at(&self) -> Revision {
        self.at
    }

    /// Whether every key has been looked at.
    pub fn is_done(&self) -> bool {
        self.next.is_none()
    }
}
