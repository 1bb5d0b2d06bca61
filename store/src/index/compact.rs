//! One bounded step of a compaction through the tree.
//!
//! Subtrees without a superseded row are passed over unread; a leaf is copied only when it loses a
//! row. A step may end in the middle of a key's rows: the oldest go first, so that what is left is
//! a history.

use std::sync::Arc;

use super::DroppedRow;
use super::node::{Branch, Child, Counts, Leaf, Node};
use crate::types::Revision;

/// What a step still may do, and what it did.
pub(super) struct Step {
    pub(super) at: Revision,
    /// Rows to drop and leaves to look at, until the step ends.
    pub(super) budget: usize,
    pub(super) dropped: Vec<DroppedRow>,
    /// The key to go on from, once the budget is used up.
    pub(super) next: Option<Vec<u8>>,
}

impl Child {
    /// Compacts the subtree from the key `from` on.
    pub(super) fn compact(&mut self, from: Option<&[u8]>, step: &mut Step) {
        if self.counts.is_compact() {
            return;
        }
        match &*self.node {
            Node::Leaf(leaf) => {
                let first = from.map_or(0, |from| leaf.keys.below(from));
                if step.budget == 0 {
                    // Pending work is left to the next step; a leaf read to its end has none.
                    step.next = (first < leaf.keys.len()).then(|| leaf.keys.key(first));
                    return;
                }
                let loses = |place: &usize| leaf.histories[*place].dropped_by(step.at) > 0;
                let Some(first) = (first..leaf.histories.len()).find(loses) else {
                    step.budget -= 1;
                    return;
                };
                let Node::Leaf(leaf) = Arc::make_mut(&mut self.node) else { return };
                self.counts = leaf.compact(first, self.counts, step);
            }
            Node::Branch(branch) => {
                let first = from.map_or(0, |from| branch.separators.at_or_below(from));
                let Node::Branch(branch) = Arc::make_mut(&mut self.node) else { return };
                self.counts = branch.compact(first, from, self.counts, step);
            }
        }
    }

    /// Takes levels away that a compaction left without use.
    pub(super) fn lower(&mut self) {
        if self.counts.present == 0 {
            *self = Child::empty();
        }
        while let Node::Branch(branch) = &*self.node {
            let [only] = branch.children.as_slice() else { return };
            *self = only.clone();
        }
    }
}

impl Branch {
    fn compact(
        &mut self,
        first: usize,
        mut from: Option<&[u8]>,
        mut counts: Counts,
        step: &mut Step,
    ) -> Counts {
        for child in &mut self.children[first..] {
            let before = child.counts;
            child.compact(from.take(), step);
            counts = counts.minus(before).plus(child.counts);
            if step.next.is_some() {
                break;
            }
        }
        self.tidy();
        counts
    }
}

impl Leaf {
    fn compact(&mut self, first: usize, mut counts: Counts, step: &mut Step) -> Counts {
        let mut place = first;
        while place < self.histories.len() {
            let history = &mut self.histories[place];
            let gone = history.dropped_by(step.at);
            let now = gone.min(step.budget);
            let dropped = history.rows().take(now);
            step.dropped.extend(
                dropped.map(|row| DroppedRow { at: row.at(), tombstone: row.is_tombstone() }),
            );
            step.budget -= now;
            counts = counts.minus(Counts::of(history));
            if now < history.len() {
                if now > 0 {
                    history.drop_oldest(now);
                }
                counts = counts.plus(Counts::of(history));
                if now < gone {
                    step.next = Some(self.keys.key(place));
                    break;
                }
                place += 1;
            } else {
                self.keys.remove(place);
                self.histories.remove(place);
            }
        }
        self.give_room_back();
        counts
    }

    fn give_room_back(&mut self) {
        if self.histories.capacity() > 2 * self.histories.len() {
            self.histories.shrink_to_fit();
            self.keys = self.keys.part(0..self.keys.len());
        }
    }
}
