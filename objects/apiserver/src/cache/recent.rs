//! The recent changes of a resource, which all its watchers read.
//!
//! Invariants: changes are in the order of their revisions; every change after `floor` is here;
//! every change has a number one higher than the one before it.
//!
//! Must not know: who watches.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::{BufMut as _, Bytes, BytesMut};

use super::Object;
use super::limits::{RECENT_BYTES_MAX, RECENT_MAX, RECENT_MIN};
use crate::storage::Revision;

/// What a watcher may be told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Modified,
    Deleted,
}

impl Kind {
    fn head(self) -> &'static [u8] {
        match self {
            Kind::Added => b"{\"type\":\"ADDED\",\"object\":",
            Kind::Modified => b"{\"type\":\"MODIFIED\",\"object\":",
            Kind::Deleted => b"{\"type\":\"DELETED\",\"object\":",
        }
    }

    /// The line of the watch stream, with this JSON as the object.
    pub(super) fn line(self, put: impl FnOnce(&mut BytesMut), bytes: usize) -> Bytes {
        let mut out = BytesMut::with_capacity(self.head().len() + bytes + 2);
        out.put_slice(self.head());
        put(&mut out);
        out.put_slice(b"}\n");
        out.freeze()
    }
}

/// One change of one object.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) kind: Kind,
    /// The object after the change; of a deletion the last state, at the deletion's revision.
    pub(super) object: Arc<Object>,
    /// The object before the change.
    pub(super) previous: Option<Arc<Object>>,
    /// The previous object at this change's revision: what watchers are told whose selection the
    /// object left.
    left: OnceLock<Arc<Object>>,
    /// The lines as each kind, made when first asked for.
    lines: [OnceLock<Bytes>; 3],
}

impl Event {
    pub(super) fn new(kind: Kind, object: Arc<Object>, previous: Option<Arc<Object>>) -> Arc<Self> {
        Arc::new(Event { kind, object, previous, left: OnceLock::new(), lines: Default::default() })
    }

    /// The object that a watcher is shown with this kind.
    pub(super) fn shown(&self, kind: Kind) -> Arc<Object> {
        if kind != Kind::Deleted || self.kind == Kind::Deleted {
            return Arc::clone(&self.object);
        }
        let revision = self.object.revision();
        let previous = self.previous.as_ref().unwrap_or(&self.object);
        Arc::clone(self.left.get_or_init(|| Arc::new(previous.at_revision(revision))))
    }

    /// The line with the stored form, shared by all watchers that are told this kind.
    pub(super) fn line(&self, kind: Kind) -> Bytes {
        let line = &self.lines[kind as usize];
        line.get_or_init(|| {
            let object = self.shown(kind);
            kind.line(|out| object.put_stored_json(out), object.body().len() + 64)
        })
        .clone()
    }

    fn bytes(&self) -> usize {
        // The line that most watchers are told is as long again.
        2 * self.object.body().len()
    }
}

/// The ring of recent changes.
#[derive(Debug)]
pub(super) struct Recent {
    events: VecDeque<Arc<Event>>,
    /// The number of the first one.
    first: u64,
    bytes: usize,
    floor: Revision,
}

impl Recent {
    /// An empty ring: changes after `floor` will come. `first` goes on from an earlier ring's
    /// [`Recent::end`], so that numbers are never used twice.
    pub(super) fn new(floor: Revision, first: u64) -> Self {
        Recent { events: VecDeque::new(), first, bytes: 0, floor }
    }

    /// The number that the next change will have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Everything after this revision is here.
    pub(super) fn floor(&self) -> Revision {
        self.floor
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.bytes();
        self.events.push_back(event);
        while self.events.len() > RECENT_MAX
            || (self.bytes > RECENT_BYTES_MAX && self.events.len() > RECENT_MIN)
        {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.bytes();
            self.floor = oldest.object.revision();
            self.first += 1;
        }
    }

    /// The number of the first change after a revision; none if some are no longer here.
    pub(super) fn after(&self, revision: Revision) -> Option<u64> {
        if revision < self.floor {
            return None;
        }
        let index = self.events.partition_point(|event| event.object.revision() <= revision);
        Some(self.first + index as u64)
    }

    /// Some changes from a number on; none if that one is no longer here.
    pub(super) fn take(&self, from: u64, count: usize) -> Option<Vec<Arc<Event>>> {
        let skip = usize::try_from(from.checked_sub(self.first)?).ok()?;
        Some(self.events.iter().skip(skip).take(count).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::object;

    fn push(recent: &mut Recent, revision: u64) {
        recent.push(Event::new(Kind::Added, object("n/a", revision), None));
    }

    #[test]
    fn a_ring_that_is_full_forgets_the_oldest_and_knows_it() {
        let mut recent = Recent::new(Revision(10), 5);
        assert_eq!(recent.after(Revision(9)), None);
        assert_eq!(recent.after(Revision(10)), Some(5));
        for revision in 11..11 + RECENT_MAX as u64 {
            push(&mut recent, revision);
        }
        assert_eq!(recent.after(Revision(10)), Some(5));
        push(&mut recent, 100_000);
        assert_eq!(recent.floor(), Revision(11));
        assert_eq!((recent.after(Revision(10)), recent.after(Revision(11))), (None, Some(6)));
        assert_eq!(recent.take(5, 1).map(|events| events.len()), None);
        let taken = recent.take(recent.end() - 1, 9).expect("it is here");
        assert_eq!(taken[0].object.revision(), Revision(100_000));
        assert_eq!(recent.take(recent.end(), 9).map(|events| events.len()), Some(0));
    }

    #[test]
    fn watchers_share_one_line_per_kind() {
        let before = object("n/a", 3);
        let event = Event::new(Kind::Modified, object("n/a", 7), Some(before));
        let (one, two) = (event.line(Kind::Modified), event.line(Kind::Modified));
        assert_eq!(one.as_ptr(), two.as_ptr());
        let left = event.line(Kind::Deleted);
        let left: serde_json::Value = serde_json::from_slice(&left).expect("JSON");
        assert_eq!(left["type"], "DELETED");
        assert_eq!(left["object"]["metadata"]["resourceVersion"], "7");
    }
}
