//! The rows of the `Meta` and `Leases` spaces: what a member keeps about its state beside the keys.
//!
//! Invariant: the state row is in the same engine batch as the entry it speaks of. Each type is a
//! disk format, byte-golden tested; a change of one needs a new type and a way to read the old.

use serde::{Deserialize, Serialize};

use crate::types::LogId;

/// The row of [`StateRecord`].
pub(crate) const STATE_NAME: &[u8] = b"state";
/// The row of [`MembershipRecord`].
pub(crate) const MEMBERSHIP_NAME: &[u8] = b"membership";
/// The row of the version that operators go back to, as text; there only while they do.
pub(crate) const DOWNGRADE_NAME: &[u8] = b"downgrade";
/// The row of [`RemovedRecord`]; there only once a member was removed.
pub(crate) const REMOVED_NAME: &[u8] = b"removed";
/// The row of [`CompactionRecord`].
pub(crate) const COMPACTION_NAME: &[u8] = b"compaction";

/// Where the state machine stands. Written with every entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateRecord {
    /// Term of the last applied entry.
    pub(crate) term: u64,
    /// Index of the last applied entry; 0: none yet.
    pub(crate) index: u64,
    /// Rolling digest after that entry.
    pub(crate) digest: u64,
    /// The current main revision. Stored, never derived from rows: a compaction may remove the
    /// newest (etcd #17780).
    pub(crate) revision: i64,
    /// The revision the history is compacted at; -1: never.
    pub(crate) compacted: i64,
    /// The state machine the cluster has agreed on.
    pub(crate) state_machine_version: u32,
    /// Whether commands must carry the current auth revision.
    pub(crate) auth_enabled: bool,
    /// The revision of users and roles.
    pub(crate) auth_revision: u64,
}

impl StateRecord {
    /// The last applied entry.
    pub(crate) fn applied(&self) -> Option<LogId> {
        (self.index > 0).then_some(LogId { term: self.term, index: self.index })
    }
}

/// The last applied membership, opaque to this room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MembershipRecord {
    /// Term of the entry that brought it.
    pub(crate) term: u64,
    /// Index of that entry.
    pub(crate) index: u64,
    /// The bytes as the raft room gave them.
    pub(crate) bytes: Vec<u8>,
}

/// Members that left for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovedRecord {
    /// By rising id.
    pub(crate) member_ids: Vec<u64>,
}

/// How far the physical compaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CompactionRecord {
    /// No row remains that a compaction at this revision removes; -1: none was ever finished.
    pub(crate) finished: i64,
}

/// A lease. Its keys are not stored: they are found in the key-values at open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaseRecord {
    /// What was granted, in seconds.
    pub(crate) granted_ttl_s: i64,
    /// What the last checkpoint left, in seconds; 0: no checkpoint, the full time.
    pub(crate) remaining_ttl_s: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    /// The body after the envelope, whose checksum the codec's own tests cover.
    fn body<T: Serialize>(record: &T) -> Vec<u8> {
        codec::encode(record)[5..].to_vec()
    }

    #[test]
    fn the_state_record_is_golden() {
        let record = StateRecord {
            term: 2,
            index: 300,
            digest: u64::MAX,
            revision: 7,
            compacted: -1,
            state_machine_version: 1,
            auth_enabled: true,
            auth_revision: 9,
        };
        let ff = 0xff;
        let expected = [2, 0xfb, 0x2c, 1, 0xfd, ff, ff, ff, ff, ff, ff, ff, ff, 14, 1, 1, 1, 9];
        assert_eq!(body(&record), expected);
        let read: StateRecord = codec::decode("state", &codec::encode(&record)).expect("own");
        assert_eq!(read, record);
    }

    #[test]
    fn the_other_records_are_golden() {
        let membership = MembershipRecord { term: 1, index: 2, bytes: vec![3, 4] };
        assert_eq!(body(&membership), [1, 2, 2, 3, 4]);
        assert_eq!(body(&RemovedRecord { member_ids: vec![7, 300] }), [2, 7, 0xfb, 0x2c, 1]);
        assert_eq!(body(&CompactionRecord { finished: 5 }), [10]);
        assert_eq!(body(&LeaseRecord { granted_ttl_s: 60, remaining_ttl_s: 3 }), [120, 6]);
    }

    #[test]
    fn nothing_applied_is_index_zero() {
        let mut record = StateRecord {
            term: 0,
            index: 0,
            digest: 0,
            revision: 1,
            compacted: -1,
            state_machine_version: 1,
            auth_enabled: false,
            auth_revision: 1,
        };
        assert_eq!(record.applied(), None);
        record.index = 1;
        assert_eq!(record.applied(), Some(LogId { term: 0, index: 1 }));
    }
}
