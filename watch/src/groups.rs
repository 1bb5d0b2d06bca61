//! Watchers with equal interests, over all streams: what is matched and encoded once for all.
//!
//! Invariants: a group has at least one subscribed stream, and is in the index exactly while it
//! exists; a stream is subscribed exactly while it has live watchers of that interest. Ids are
//! never used again, slots are. `picked` is empty outside of one publish.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use store::RevisionEvents;

use crate::batch::Pick;
use crate::index::SpanIndex;
use crate::interest::Interest;
use crate::interval::Slot;
use crate::stream::{Stream, StreamId};

/// Room for picks that a group keeps between two publishes.
const PICKS_KEPT: usize = 16;

/// Names a group for good; the slot says where it is while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupId {
    serial: u64,
    slot: Slot,
}

/// Equal interests and the streams that want them.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) interest: Arc<Interest>,
    pub(crate) streams: BTreeMap<StreamId, Arc<Stream>>,
    picked: Vec<Pick>,
}

/// All groups of a hub.
#[derive(Default)]
pub(crate) struct Groups {
    index: SpanIndex,
    slots: Vec<Option<Group>>,
    free: Vec<Slot>,
    by_interest: HashMap<Arc<Interest>, Slot>,
    created: u64,
}

impl Groups {
    /// Subscribes a stream, which may be subscribed already.
    pub(crate) fn join(&mut self, interest: &Arc<Interest>, stream: &Arc<Stream>) -> GroupId {
        let slot = match self.by_interest.get(interest) {
            Some(slot) => *slot,
            None => self.create(Arc::clone(interest)),
        };
        let group = self.slots[slot as usize].as_mut().expect("a listed slot holds a group");
        group.streams.entry(stream.id).or_insert_with(|| Arc::clone(stream));
        group.id
    }

    /// Ends a stream's subscription, and the group with its last one.
    pub(crate) fn leave(&mut self, id: GroupId, stream: StreamId) {
        let Some(group) = self.slots[id.slot as usize].as_mut() else { return };
        if group.id != id {
            return;
        }
        group.streams.remove(&stream);
        if group.streams.is_empty() {
            let interest = Arc::clone(&group.interest);
            self.by_interest.remove(&interest);
            self.index.remove(&interest.span, id.slot);
            self.slots[id.slot as usize] = None;
            self.free.push(id.slot);
        }
    }

    /// Calls `deliver` for each group that wants some of the events, with those it wants, in order.
    pub(crate) fn matching(
        &mut self,
        revisions: &[RevisionEvents],
        mut deliver: impl FnMut(&Group, &[Pick]),
    ) {
        for slot in self.pick(revisions) {
            let group = self.slots[slot as usize].as_mut().expect("the index lists groups");
            let mut picked = std::mem::take(&mut group.picked);
            deliver(group, &picked);
            picked.clear();
            // A large list is given back: a group costs memory for what it is, not for what it saw.
            if picked.capacity() <= PICKS_KEPT {
                group.picked = picked;
            }
        }
    }

    fn pick(&mut self, revisions: &[RevisionEvents]) -> Vec<Slot> {
        let Self { index, slots, .. } = self;
        let mut touched = Vec::new();
        for (revision_place, revision) in revisions.iter().enumerate() {
            for (place, event) in revision.events.iter().enumerate() {
                index.visit(&event.key, &mut |slot| {
                    let group = slots[slot as usize].as_mut().expect("the index lists groups");
                    if !group.interest.wants(event.kind) {
                        return;
                    }
                    if group.picked.is_empty() {
                        touched.push(slot);
                    }
                    group.picked.push((revision_place as u32, place as u32));
                });
            }
        }
        touched
    }

    fn create(&mut self, interest: Arc<Interest>) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot::try_from(self.slots.len() - 1).expect("fewer than 2^32 groups fit in memory")
        });
        self.created += 1;
        let id = GroupId { serial: self.created, slot };
        self.index.insert(&interest.span, slot);
        self.by_interest.insert(Arc::clone(&interest), slot);
        self.slots[slot as usize] =
            Some(Group { id, interest, streams: BTreeMap::new(), picked: Vec::new() });
        slot
    }
}
