//! What is known of every lease: how long it was promised, and when it ended.
//!
//! Invariants checked: a lease never ends before the time that its grant or its last acknowledged
//! renewal promised, unless somebody asked for its end; nobody is told that a lease which ended
//! was renewed, or that one which lives is gone; the keys of a lease go in one revision, which
//! changes nothing else, and none stays behind.
//!
//! Must not know: members, links, who holds a lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use proto::mvccpb::KeyValue;
use store::{EventKind, LeaseId, RevisionEvents};
use tokio::time::Instant;

/// See the module's page.
#[derive(Default)]
pub(crate) struct LeaseBook {
    /// The newest position whose state was looked at.
    index: u64,
    /// The newest revision that was followed.
    revision: i64,
    leases: BTreeMap<i64, Noted>,
    /// Which lease holds a key now.
    attached: BTreeMap<Bytes, i64>,
}

struct Noted {
    ttl: Duration,
    /// It must not end before this.
    promised: Instant,
    /// It was in the state.
    seen: bool,
    ended: Option<Instant>,
    /// Somebody asked for its end.
    end_asked: bool,
    /// The revisions that took keys from it, and whether they did nothing else.
    freed: BTreeMap<i64, bool>,
}

impl LeaseBook {
    /// A lease of this id, which no lease had before, is asked for.
    pub(crate) fn asked(&mut self, id: i64, ttl: Duration) {
        let promised = Instant::now() + ttl;
        let (seen, ended, end_asked, freed) = (false, None, false, BTreeMap::new());
        self.leases.insert(id, Noted { ttl, promised, seen, ended, end_asked, freed });
    }

    /// Somebody asks for the end of a lease.
    pub(crate) fn end_asked(&mut self, id: i64) {
        if let Some(noted) = self.leases.get_mut(&id) {
            noted.end_asked = true;
        }
    }

    /// A renewal that was sent at `sent` was acknowledged with this time.
    pub(crate) fn renewed(&mut self, id: i64, sent: Instant, ttl: Duration) -> Result<(), String> {
        let Some(noted) = self.leases.get_mut(&id) else { return Ok(()) };
        if ttl != noted.ttl {
            return Err(format!("lease {id} was renewed for {ttl:?}, but granted {:?}", noted.ttl));
        }
        let promised = sent + ttl;
        if let Some(ended) = noted.ended {
            if ended < sent {
                let late = sent - ended;
                return Err(format!("lease {id} was renewed {late:?} after its end"));
            }
            if !noted.end_asked && ended < promised {
                let early = promised - ended;
                return Err(format!("lease {id} was renewed, and ended {early:?} early"));
            }
        }
        noted.promised = noted.promised.max(promised);
        Ok(())
    }

    /// A client was told that a lease is gone which was granted to it.
    pub(crate) fn told_gone(&self, id: i64) -> Result<(), String> {
        match self.leases.get(&id) {
            Some(noted) if noted.seen && noted.ended.is_none() => {
                Err(format!("lease {id} lives, but is gone"))
            }
            _ => Ok(()),
        }
    }

    /// Follows revisions as they are made: who holds which key. What was followed before tells
    /// nothing new.
    pub(crate) fn follow(&mut self, events: &[RevisionEvents]) -> Result<(), String> {
        for made in events {
            if made.revision.0 > self.revision {
                self.revision = made.revision.0;
                self.follow_one(made)?;
            }
        }
        Ok(())
    }

    fn follow_one(&mut self, made: &RevisionEvents) -> Result<(), String> {
        let mut freed = BTreeSet::new();
        for event in made.events.iter() {
            let lease = match event.kind {
                EventKind::Delete => 0,
                EventKind::Put => lease_of(&event.kv)?,
            };
            let before = match lease {
                0 => self.attached.remove(&event.key),
                _ => self.attached.insert(event.key.clone(), lease),
            };
            freed.insert(before.filter(|before| *before != lease || lease == 0).unwrap_or(0));
        }
        let alone = freed.len() == 1;
        for lease in freed {
            if let Some(noted) = self.leases.get_mut(&lease) {
                noted.freed.insert(made.revision.0, alone);
            }
        }
        Ok(())
    }

    /// The leases of a member's state at a position; one that was looked at before tells nothing
    /// new.
    ///
    /// The keys of the leases in the book go with their lease and in no other way.
    pub(crate) fn state(&mut self, index: u64, living: &BTreeSet<i64>) -> Result<(), String> {
        if index <= self.index {
            return Ok(());
        }
        self.index = index;
        let now = Instant::now();
        for (id, noted) in &mut self.leases {
            let lives = living.contains(id);
            noted.seen |= lives;
            if lives || !noted.seen || noted.ended.is_some() {
                continue;
            }
            noted.ended = Some(now);
            if let Some((key, _)) = self.attached.iter().find(|(_, lease)| *lease == id) {
                return Err(format!("lease {id} is gone, but its key {key:?} stays"));
            }
            if noted.freed.len() > 1 || noted.freed.values().any(|alone| !alone) {
                let freed = &noted.freed;
                return Err(format!(
                    "the keys of lease {id} did not go alone and at once: {freed:?}"
                ));
            }
            if !noted.end_asked && now < noted.promised {
                let early = noted.promised - now;
                return Err(format!("lease {id} of {:?} ended {early:?} early", noted.ttl));
            }
        }
        Ok(())
    }

    /// How many leases there were, and how many of them nobody asked to end but time.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let seen = self.leases.values().filter(|noted| noted.seen);
        let expired = seen.clone().filter(|noted| noted.ended.is_some() && !noted.end_asked);
        (seen.count(), expired.count())
    }

    /// A lease that lives although nobody renews it any more.
    pub(crate) fn living(&self) -> Option<i64> {
        let living = |noted: &Noted| noted.seen && noted.ended.is_none();
        self.leases.iter().find(|(_, noted)| living(noted)).map(|(id, _)| *id)
    }
}

/// The ids of these leases.
pub(crate) fn ids(leases: Vec<store::LeaseInfo>) -> BTreeSet<i64> {
    leases.into_iter().map(|store::LeaseInfo { id: LeaseId(id), .. }| id).collect()
}

fn lease_of(kv: &Bytes) -> Result<i64, String> {
    let kv = KeyValue::decode(kv.clone());
    kv.map(|kv| kv.lease).map_err(|error| format!("an event that is no key-value: {error}"))
}

#[cfg(test)]
mod tests {
    use store::{Event, Revision};

    use super::*;

    const TTL: Duration = Duration::from_secs(5);

    fn granted(id: i64) -> LeaseBook {
        let mut book = LeaseBook::default();
        book.asked(id, TTL);
        book.state(1, &BTreeSet::from([id])).expect("granted");
        book
    }

    fn event(kind: EventKind, key: &str, lease: i64) -> Event {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let kv = KeyValue { key: key.clone(), lease, ..KeyValue::default() };
        let kv = kv.encode_to_vec().into();
        Event { kind, key, kv, created: false, lease: LeaseId(lease) }
    }

    fn revision(number: i64, events: &[Event]) -> RevisionEvents {
        RevisionEvents { revision: Revision(number), events: events.into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_no_earlier_than_promised() {
        let mut book = granted(7);
        tokio::time::advance(TTL).await;
        assert_eq!(book.state(2, &BTreeSet::new()), Ok(()));
        let mut book = granted(7);
        let sent = Instant::now();
        tokio::time::advance(TTL / 2).await;
        assert!(book.state(2, &BTreeSet::new()).is_err());
        assert!(book.renewed(7, sent, TTL).is_err(), "it ended before that time was over");
        assert!(book.renewed(7, sent, TTL * 2).is_err(), "this was not granted");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_moves_the_promise_and_comes_before_the_end() {
        let mut book = granted(7);
        tokio::time::advance(TTL / 2).await;
        assert_eq!(book.renewed(7, Instant::now(), TTL), Ok(()));
        assert!(book.told_gone(7).is_err());
        tokio::time::advance(TTL).await;
        assert_eq!(book.state(2, &BTreeSet::new()), Ok(()));
        assert_eq!(book.told_gone(7), Ok(()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(book.renewed(7, Instant::now(), TTL).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_that_was_asked_for_may_come_at_once() {
        let mut book = granted(7);
        book.end_asked(7);
        assert_eq!(book.state(2, &BTreeSet::new()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_keys_of_a_lease_go_in_one_revision() {
        let put = |key| event(EventKind::Put, key, 7);
        let delete = |key| event(EventKind::Delete, key, 0);
        let ends_with = |events: &[RevisionEvents]| {
            let mut book = granted(7);
            book.end_asked(7);
            let puts =
                [revision(2, &[put("a")]), revision(3, &[put("b")]), revision(4, &[put("a")])];
            book.follow(&puts).expect("attached");
            book.follow(events).expect("followed");
            book.follow(&puts).expect("nothing new");
            book.state(2, &BTreeSet::new())
        };
        let together = revision(5, &[delete("a"), delete("b")]);
        assert_eq!(ends_with(&[together]), Ok(()));
        let apart = [revision(5, &[delete("a")]), revision(6, &[delete("b")])];
        assert!(ends_with(&apart).is_err());
        assert!(ends_with(&[]).is_err(), "both stay");
        let with_another = revision(5, &[delete("a"), delete("b"), event(EventKind::Put, "c", 0)]);
        assert!(ends_with(&[with_another]).is_err());
    }
}
