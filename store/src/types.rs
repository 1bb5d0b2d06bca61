//! The domain's small words: revisions, ids, log positions. Newtypes, so that no two of them are
//! mixed up.
//!
//! They carry no behaviour beyond order and conversion; nothing here may know engines or messages.

use std::fmt;

/// A main revision: the logical clock of the store, raised by one for each transaction that writes.
///
/// *Units*: a count; a fresh store is at 1. 0 means "none" or "latest", as on etcd's wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

/// The full name of one change: the main revision and the number of the change within it.
///
/// Order: main first, then sub, which is the order in which changes were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowRevision {
    /// The revision of the transaction.
    pub main: Revision,
    /// The change within the transaction, from 0. At most [`RowRevision::SUB_MAX`].
    pub sub: u32,
}

impl RowRevision {
    /// The largest sub revision: two thousand million changes in one transaction.
    pub const SUB_MAX: u32 = u32::MAX >> 1;

    /// The change `sub` of the transaction `main`.
    pub const fn new(main: i64, sub: u32) -> Self {
        Self { main: Revision(main), sub }
    }
}

/// A lease's id. 0 means "no lease", as on etcd's wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// A member's id. 0 means "no member".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// A position in the Raft log: the entry's index and the term that wrote it.
///
/// Order: term first, then index, which is Raft's order of logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The term of the leader that wrote the entry.
    pub term: u64,
    /// The entry's index, from 1.
    pub index: u64,
}

/// The rolling digest of everything applied: equal applied index means equal digest, on all
/// members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RowRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.main, self.sub)
    }
}

/// Leases are shown as etcd's tools show them: lower-case hexadecimal of the two's complement.
impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Members are shown as etcd's tools show them: lower-case hexadecimal.
impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.index)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
