//! What a controller did and has not yet seen come back through its informer.
//!
//! Invariant: while creations or deletions of an owner are expected, its controller neither creates
//! nor deletes more: a slow cache never makes it do the same thing twice. Expectations lapse after
//! a while, so that a lost event delays and never stops.
//!
//! Must not know: kinds. The owner is a key, the expected objects are uids or plain counts.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::key::ObjectKey;

/// After this long an unseen event is taken for lost.
const LAPSE: Duration = Duration::from_secs(5 * 60);

/// The expectations of all owners of one controller.
#[derive(Debug, Default)]
pub struct Expectations {
    owners: Mutex<HashMap<ObjectKey, Expected>>,
}

#[derive(Debug)]
struct Expected {
    creations: i64,
    /// By uid: a pod's end is seen twice, as a deletion timestamp and as its disappearance.
    deletions: HashSet<String>,
    since: Instant,
}

impl Default for Expected {
    fn default() -> Self {
        Self { creations: 0, deletions: HashSet::new(), since: Instant::now() }
    }
}

impl Expectations {
    /// Before the creations are asked for: this many will be seen.
    pub fn expect_creations(&self, owner: &ObjectKey, count: usize) {
        let mut owners = self.owners.lock();
        let expected = owners.entry(owner.clone()).or_default();
        expected.creations += i64::try_from(count).expect("a count of pods fits");
        expected.since = Instant::now();
    }

    /// Before the deletions are asked for: the ends of these uids will be seen.
    pub fn expect_deletions(&self, owner: &ObjectKey, uids: impl IntoIterator<Item = String>) {
        let mut owners = self.owners.lock();
        let expected = owners.entry(owner.clone()).or_default();
        expected.deletions.extend(uids);
        expected.since = Instant::now();
    }

    /// A creation was seen, or failed and will not be.
    pub fn creation_seen(&self, owner: &ObjectKey) {
        self.creations_lapsed(owner, 1);
    }

    /// So many creations will not be seen, as they were never asked for.
    pub fn creations_lapsed(&self, owner: &ObjectKey, count: usize) {
        if let Some(expected) = self.owners.lock().get_mut(owner) {
            // A creation by somebody else may be counted: below zero is as good as zero.
            let count = i64::try_from(count).expect("a count of pods fits");
            expected.creations = (expected.creations - count).max(0);
        }
    }

    /// The end of this object was seen, or its deletion failed.
    pub fn deletion_seen(&self, owner: &ObjectKey, uid: &str) {
        if let Some(expected) = self.owners.lock().get_mut(owner) {
            expected.deletions.remove(uid);
        }
    }

    /// Whether the cache shows all that was done for this owner.
    pub fn met(&self, owner: &ObjectKey) -> bool {
        self.owners.lock().get(owner).is_none_or(|expected| {
            let all_seen = expected.creations <= 0 && expected.deletions.is_empty();
            all_seen || expected.since.elapsed() > LAPSE
        })
    }

    /// The owner is gone.
    pub fn forget(&self, owner: &ObjectKey) {
        self.owners.lock().remove(owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_owner_waits_for_its_own_creations_and_deletions() {
        let expectations = Expectations::default();
        let (a, b) = (ObjectKey::new("n", "a"), ObjectKey::new("n", "b"));
        expectations.expect_creations(&a, 2);
        expectations.expect_deletions(&a, ["u".to_owned()]);
        assert!(!expectations.met(&a) && expectations.met(&b));
        expectations.creation_seen(&a);
        expectations.creation_seen(&a);
        expectations.deletion_seen(&a, "another");
        assert!(!expectations.met(&a), "the deletion was not seen");
        expectations.deletion_seen(&a, "u");
        expectations.deletion_seen(&a, "u");
        assert!(expectations.met(&a));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_event_delays_and_does_not_stop() {
        let expectations = Expectations::default();
        let owner = ObjectKey::new("n", "a");
        expectations.expect_creations(&owner, 1);
        assert!(!expectations.met(&owner));
        tokio::time::advance(LAPSE + Duration::from_secs(1)).await;
        assert!(expectations.met(&owner));
    }
}
