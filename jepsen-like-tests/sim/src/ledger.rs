//! The one history that all members must agree on, as the first of them came to it.
//!
//! Invariants: a position has one digest, whoever applied it and however often; a revision has one
//! set of changes; revisions follow one another without a gap; a term has one leader. What is
//! written down is never changed: a committed entry that a crash took back shows as a
//! contradiction.
//!
//! Must not know: members beyond their words.

use std::collections::BTreeMap;

use checkers::history::Change;
use prost::Message as _;
use proto::mvccpb::KeyValue;
use store::{Digest, EventKind, LogId, RevisionEvents};

/// What one revision changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    pub(crate) changes: Vec<Change>,
    /// The encoded key-values, which must be alike to the byte.
    encoded: Vec<bytes::Bytes>,
}

/// See the module's page.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<u64, (LogId, Digest)>,
    revisions: BTreeMap<i64, Written>,
    leaders: BTreeMap<u64, u64>,
}

/// The first revision that changes anything; a fresh store is at the one before.
const FIRST_REVISION: i64 = 2;

impl Ledger {
    /// An entry was applied; true when it is the first time.
    pub(crate) fn applied(&mut self, log_id: LogId, digest: Digest) -> Result<bool, String> {
        match self.entries.get(&log_id.index) {
            None => {
                self.entries.insert(log_id.index, (log_id, digest));
                Ok(true)
            }
            Some(known) if *known == (log_id, digest) => Ok(false),
            Some((known, right)) => Err(format!(
                "entry {log_id} was applied with digest {digest}, but it was {known} with {right}"
            )),
        }
    }

    /// A revision was published.
    pub(crate) fn published(&mut self, events: &RevisionEvents) -> Result<(), String> {
        let revision = events.revision.0;
        let written = written(events)?;
        match self.revisions.get(&revision) {
            Some(known) if *known == written => Ok(()),
            Some(known) => Err(format!(
                "revision {revision} changed {:?}, but it had changed {:?}",
                written.changes, known.changes
            )),
            None if revision == self.newest() + 1 => {
                self.revisions.insert(revision, written);
                Ok(())
            }
            None => Err(format!("revision {revision} was made after {}", self.newest())),
        }
    }

    /// A member speaks as the leader of a term.
    pub(crate) fn leads(&mut self, term: u64, leader: u64) -> Result<bool, String> {
        match self.leaders.insert(term, leader) {
            None => Ok(true),
            Some(known) if known == leader => Ok(false),
            Some(known) => Err(format!("term {term} is led by {leader:x} and by {known:x}")),
        }
    }

    /// The newest revision.
    pub(crate) fn newest(&self) -> i64 {
        self.revisions.last_key_value().map_or(FIRST_REVISION - 1, |(revision, _)| *revision)
    }

    /// How many entries were applied.
    pub(crate) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// How many terms had a leader.
    pub(crate) fn terms(&self) -> usize {
        self.leaders.len()
    }

    /// What a revision changed.
    pub(crate) fn at(&self, revision: i64) -> Option<&Written> {
        self.revisions.get(&revision)
    }

    /// The value of a key after a revision, and the revision that wrote it.
    pub(crate) fn value(&self, key: &str, revision: i64) -> Option<(i64, &str)> {
        let earlier = self.revisions.range(..=revision).rev();
        let mut changes = earlier.flat_map(|(at, written)| {
            written.changes.iter().rev().map(move |change| (*at, change))
        });
        let (at, change) = changes.find(|(_, change)| change.key == key)?;
        change.value.as_deref().map(|value| (at, value))
    }

    /// All changes, in order.
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.revisions.values().flat_map(|written| written.changes.clone()).collect()
    }
}

fn written(events: &RevisionEvents) -> Result<Written, String> {
    let mut changes = Vec::with_capacity(events.events.len());
    for event in events.events.iter() {
        let kv = KeyValue::decode(event.kv.clone())
            .map_err(|error| format!("an event that is no key-value: {error}"))?;
        changes.push(change(&kv, event.kind == EventKind::Delete));
    }
    let encoded = events.events.iter().map(|event| event.kv.clone()).collect();
    Ok(Written { changes, encoded })
}

/// The change that an event's key-value tells.
pub(crate) fn change(kv: &KeyValue, is_delete: bool) -> Change {
    Change {
        revision: kv.mod_revision,
        key: String::from_utf8_lossy(&kv.key).into_owned(),
        value: (!is_delete).then(|| String::from_utf8_lossy(&kv.value).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proto::mvccpb::KeyValue;
    use store::{Event, LeaseId, Revision};

    use super::*;

    fn put(revision: i64, value: &str) -> RevisionEvents {
        let kv = KeyValue {
            key: bytes::Bytes::from_static(b"k"),
            value: bytes::Bytes::copy_from_slice(value.as_bytes()),
            mod_revision: revision,
            ..KeyValue::default()
        };
        let event = Event {
            kind: EventKind::Put,
            key: kv.key.clone(),
            kv: kv.encode_to_vec().into(),
            created: false,
            lease: LeaseId(0),
        };
        RevisionEvents { revision: Revision(revision), events: [event].into() }
    }

    fn at(term: u64, index: u64) -> LogId {
        LogId { term, index }
    }

    #[test]
    fn a_position_has_one_digest_and_one_term() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.applied(at(1, 1), Digest(7)), Ok(true));
        assert_eq!(ledger.applied(at(1, 1), Digest(7)), Ok(false));
        assert!(ledger.applied(at(1, 1), Digest(8)).is_err());
        assert!(ledger.applied(at(2, 1), Digest(7)).is_err());
    }

    #[test]
    fn revisions_follow_one_another_and_never_change() {
        let mut ledger = Ledger::default();
        assert!(ledger.published(&put(3, "a")).is_err());
        assert_eq!(ledger.published(&put(2, "a")), Ok(()));
        assert_eq!(ledger.published(&put(2, "a")), Ok(()));
        assert!(ledger.published(&put(2, "b")).is_err());
        assert_eq!(ledger.published(&put(3, "b")), Ok(()));
        assert_eq!(ledger.value("k", 2), Some((2, "a")));
        assert_eq!(ledger.value("k", 9), Some((3, "b")));
        assert_eq!(ledger.value("k", 1), None);
    }

    #[test]
    fn a_term_has_one_leader() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.leads(1, 5), Ok(true));
        assert_eq!(ledger.leads(1, 5), Ok(false));
        assert!(ledger.leads(1, 6).is_err());
    }
}
