//! What clients did and what they were told.
//!
//! Invariants: values are unique in a history, so that a value names the write it came from; times
//! are nanoseconds on one monotonic clock of the harness's process.
//!
//! Must not know: how operations are sent.

/// One request of one client.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Which client; it has one operation at a time.
    pub client: usize,
    /// The key it is about.
    pub key: String,
    /// When it was sent.
    pub invoked_ns: u64,
    /// When the answer came; `None` if it never did, or said that the outcome is unknown.
    pub returned_ns: Option<u64>,
    /// The revision in the answer's header; 0 without an answer.
    pub revision: i64,
    /// What was asked and answered.
    pub action: Action,
}

/// What was asked, and what the answer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A linearizable read and what it found.
    Read {
        /// The value and its mod revision; `None` is no such key.
        found: Option<Found>,
    },
    /// A put of a unique value.
    Write {
        /// The value.
        value: String,
    },
    /// A put of a unique value if the key is as it was seen.
    Swap {
        /// The value the key had when it was seen; `None` is no such key.
        expected: Option<String>,
        /// The value to put.
        value: String,
        /// What the answer said: `None` while unknown.
        outcome: Option<Swapped>,
    },
    /// A delete.
    Delete {
        /// Whether there was something to delete: `None` while unknown.
        existed: Option<bool>,
    },
}

/// How a swap ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swapped {
    /// The key was as expected and was written.
    Done,
    /// It was not, and this is what it was.
    Refused(Option<Found>),
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: String,
    /// The revision of its last change.
    pub mod_revision: i64,
}

/// One change in the order of the store: what a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its revision.
    pub revision: i64,
    /// The key.
    pub key: String,
    /// The new value; `None` is a delete.
    pub value: Option<String>,
}

impl Action {
    /// Whether it can change the key.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self {
            Self::Read { .. } => false,
            Self::Write { .. } | Self::Delete { .. } => true,
            Self::Swap { outcome, .. } => !matches!(outcome, Some(Swapped::Refused(_))),
        }
    }
}
