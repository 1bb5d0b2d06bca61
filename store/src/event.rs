//! What a revision changed, for those who watch.
//!
//! Invariant: events of one revision are in the order of their sub revisions and are never split.

use std::sync::Arc;

use bytes::Bytes;

use crate::types::{LeaseId, Revision};

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was created or overwritten.
    Put,
    /// It was deleted, by a request or with its lease.
    Delete,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The key. Shares memory with `kv`.
    pub key: Bytes,
    /// The encoded `mvccpb.KeyValue`: the whole of it for a put, key and mod revision for a delete.
    pub kv: Bytes,
    /// Whether a put created the key (after its last deletion). False for deletes.
    pub created: bool,
    /// The lease a put attached the key to; 0 for none and for deletes.
    pub lease: LeaseId,
}

/// All changes of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionEvents {
    /// The main revision they share.
    pub revision: Revision,
    /// The changes, in order; never empty.
    pub events: Arc<[Event]>,
}

/// How much history to read in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLimits {
    /// At most this many revisions; at least one is read.
    pub revisions_max: usize,
    /// *Units*: bytes of `kv`. Reading stops after the revision that reaches it, so one large
    /// revision is whole.
    pub bytes_max: usize,
}
