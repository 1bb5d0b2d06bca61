//! Leases and the keys that hang on them.
//!
//! Invariants: a key is attached to at most one lease, and only while it lives with that lease's id
//! in its `KeyValue`; both directions agree. Persistent maps: a clone is cheap and never changes,
//! so that a reader sees the attachments of its own moment. No clock here: what time is left is the
//! leader's business.

use bytes::Bytes;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::records::LeaseRecord;
use crate::types::LeaseId;

/// A lease as readers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Its id.
    pub id: LeaseId,
    /// *Units*: seconds, as granted.
    pub granted_ttl_s: i64,
    /// *Units*: seconds left at the last checkpoint; 0: none since the last renewal, the full time
    /// counts.
    pub remaining_ttl_s: i64,
}

#[derive(Clone)]
struct Lease {
    record: LeaseRecord,
    keys: RedBlackTreeSetSync<Bytes>,
}

/// All leases at one moment.
#[derive(Clone)]
pub(crate) struct Leases {
    by_id: RedBlackTreeMapSync<LeaseId, Lease>,
    by_key: RedBlackTreeMapSync<Bytes, LeaseId>,
}

impl Default for Leases {
    fn default() -> Self {
        Self { by_id: RedBlackTreeMapSync::new_sync(), by_key: RedBlackTreeMapSync::new_sync() }
    }
}

impl Leases {
    pub(crate) fn contains(&self, id: LeaseId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(crate) fn get(&self, id: LeaseId) -> Option<LeaseInfo> {
        self.by_id.get(&id).map(|lease| info(id, lease))
    }

    /// Every lease, by rising id.
    pub(crate) fn all(&self) -> Vec<LeaseInfo> {
        self.by_id.iter().map(|(id, lease)| info(*id, lease)).collect()
    }

    /// The keys of a lease, sorted; empty when there is no such lease.
    pub(crate) fn keys(&self, id: LeaseId) -> Vec<Bytes> {
        self.by_id.get(&id).map_or_else(Vec::new, |lease| lease.keys.iter().cloned().collect())
    }

    /// Every key that is attached to a lease, sorted.
    pub(crate) fn attached_keys(&self) -> impl Iterator<Item = &Bytes> {
        self.by_key.keys()
    }

    /// The lease of a key; 0 when it has none.
    pub(crate) fn of_key(&self, key: &[u8]) -> LeaseId {
        if self.by_key.is_empty() {
            return LeaseId(0);
        }
        self.by_key.get(key).copied().unwrap_or_default()
    }

    /// Adds a lease without keys, or changes the times of one that is there.
    pub(crate) fn set(&mut self, id: LeaseId, record: LeaseRecord) {
        match self.by_id.get_mut(&id) {
            Some(lease) => lease.record = record,
            None => {
                self.by_id.insert_mut(id, Lease { record, keys: RedBlackTreeSetSync::new_sync() });
            }
        }
    }

    /// Removes a lease. Its keys must be detached already.
    pub(crate) fn remove(&mut self, id: LeaseId) {
        if let Some(lease) = self.by_id.get(&id) {
            assert!(lease.keys.is_empty(), "lease {id} is removed with its keys attached");
            self.by_id.remove_mut(&id);
        }
    }

    /// Moves a key to a lease, away from another; 0 only detaches it. The lease must exist.
    pub(crate) fn attach(&mut self, key: &[u8], id: LeaseId) {
        let before = self.of_key(key);
        if before == id {
            return;
        }
        if before != LeaseId(0) {
            self.detach(key, before);
        }
        if id != LeaseId(0) {
            let lease = self.by_id.get_mut(&id).expect("callers check that the lease exists");
            // A copy of its own: a slice of the request would keep the whole request alive.
            let key = Bytes::copy_from_slice(key);
            lease.keys.insert_mut(key.clone());
            self.by_key.insert_mut(key, id);
        }
    }

    fn detach(&mut self, key: &[u8], id: LeaseId) {
        self.by_key.remove_mut(key);
        if let Some(lease) = self.by_id.get_mut(&id) {
            lease.keys.remove_mut(key);
        }
    }
}

fn info(id: LeaseId, lease: &Lease) -> LeaseInfo {
    let LeaseRecord { granted_ttl_s, remaining_ttl_s } = lease.record;
    LeaseInfo { id, granted_ttl_s, remaining_ttl_s }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: LeaseRecord = LeaseRecord { granted_ttl_s: 60, remaining_ttl_s: 0 };

    #[test]
    fn a_key_has_at_most_one_lease() {
        let mut leases = Leases::default();
        leases.set(LeaseId(1), RECORD);
        leases.set(LeaseId(2), RECORD);
        leases.attach(b"k", LeaseId(1));
        let before = leases.clone();
        leases.attach(b"k", LeaseId(2));
        assert_eq!(leases.keys(LeaseId(1)), Vec::<Bytes>::new());
        assert_eq!(leases.keys(LeaseId(2)), ["k"]);
        assert_eq!(leases.of_key(b"k"), LeaseId(2));
        leases.attach(b"k", LeaseId(0));
        assert_eq!(leases.of_key(b"k"), LeaseId(0));
        assert_eq!(leases.keys(LeaseId(2)), Vec::<Bytes>::new());
        assert_eq!(before.keys(LeaseId(1)), ["k"], "a clone never changes");
    }

    #[test]
    fn new_times_keep_the_keys() {
        let mut leases = Leases::default();
        leases.set(LeaseId(-7), RECORD);
        leases.attach(b"k", LeaseId(-7));
        leases.set(LeaseId(-7), LeaseRecord { remaining_ttl_s: 3, ..RECORD });
        assert_eq!(leases.get(LeaseId(-7)).map(|lease| lease.remaining_ttl_s), Some(3));
        assert_eq!(leases.keys(LeaseId(-7)), ["k"]);
    }
}
