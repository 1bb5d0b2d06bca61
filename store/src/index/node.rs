//! The tree's nodes: leaves of keys with their histories, branches of counted children.
//!
//! Invariants:
//! - a child's counts are those of its subtree; `newest` is never below any row in it;
//! - all keys of child `i + 1` are at or above separator `i`, those of child `i` below it;
//! - all leaves are equally deep; a node above a leaf has at least one child, and no child is
//!   empty;
//! - nodes are shared by snapshots: whoever changes one goes through `Arc::make_mut`.

use std::sync::Arc;

use super::history::{History, Row};
use super::keys::{PackedKeys, grow};
use crate::types::Revision;

/// Keys in a leaf, and children of a branch, at most. A write to a shared path copies one leaf and
/// the children's pointers of each level: wider branches cost more reference counting, narrower
/// ones more levels. Small under test, so that a few hundred keys make a deep tree.
pub(super) const LEAF_KEYS_MAX: usize = if cfg!(test) { 8 } else { 64 };
pub(super) const BRANCH_CHILDREN_MAX: usize = if cfg!(test) { 4 } else { 32 };

/// What a subtree holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Keys whose newest row is a put.
    pub(super) live: u64,
    /// Keys with any row.
    pub(super) present: u64,
    /// Rows of all keys.
    pub(super) rows: u64,
    /// No row is above this revision.
    pub(super) newest: Revision,
}

impl Counts {
    pub(super) fn of(history: &History) -> Self {
        Self {
            live: u64::from(history.is_live()),
            present: 1,
            rows: history.len() as u64,
            newest: history.newest().main(),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            live: self.live + other.live,
            present: self.present + other.present,
            rows: self.rows + other.rows,
            newest: self.newest.max(other.newest),
        }
    }

    /// Takes out what was counted in. `newest` stays: it is a bound.
    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            live: self.live - other.live,
            present: self.present - other.present,
            rows: self.rows - other.rows,
            newest: self.newest,
        }
    }

    /// Whether no key has a superseded row or a tombstone: a compaction finds nothing here.
    pub(super) fn is_compact(&self) -> bool {
        self.rows == self.live
    }
}

/// A subtree with its counts.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) node: Arc<Node>,
    pub(super) counts: Counts,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Leaf(Leaf),
    Branch(Branch),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    pub(super) keys: PackedKeys,
    pub(super) histories: Vec<History>,
}

/// `separators.len() + 1 == children.len()`.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) separators: PackedKeys,
    pub(super) children: Vec<Child>,
}

/// The upper half of a node that grew too large, with the key it begins at.
pub(super) struct Split {
    separator: Vec<u8>,
    above: Child,
}

/// What became of an append: the change of the counts, and the row before.
pub(super) struct Appended {
    before: Counts,
    after: Counts,
    split: Option<Split>,
    pub(super) previous: Option<Row>,
    pub(super) row: Row,
}

/// Makes the row that follows a key's newest one, or none if nothing is to change.
pub(super) type NextRow<'a> = &'a mut dyn FnMut(Option<&Row>) -> Option<Row>;

impl Child {
    pub(super) fn empty() -> Self {
        Self { node: Arc::new(Node::Leaf(Leaf::default())), counts: Counts::default() }
    }

    fn new(node: Node) -> Self {
        let counts = match &node {
            Node::Leaf(leaf) => leaf.histories.iter().map(Counts::of).fold_counts(),
            Node::Branch(branch) => branch.children.iter().map(|child| child.counts).fold_counts(),
        };
        Self { node: Arc::new(node), counts }
    }

    /// Adds a row to a key of this root, which grows a level when it splits.
    pub(super) fn append_at_root(&mut self, key: &[u8], next: NextRow<'_>) -> Option<Appended> {
        let mut appended = self.append(key, next)?;
        if let Some(split) = appended.split.take() {
            let mut separators = PackedKeys::default();
            separators.insert(0, &split.separator);
            let below = std::mem::replace(self, Child::empty());
            let children = vec![below, split.above];
            *self = Child::new(Node::Branch(Branch { separators, children }));
        }
        Some(appended)
    }

    fn append(&mut self, key: &[u8], next: NextRow<'_>) -> Option<Appended> {
        let mut appended = match Arc::make_mut(&mut self.node) {
            Node::Leaf(leaf) => leaf.append(key, next)?,
            Node::Branch(branch) => {
                let place = branch.separators.at_or_below(key);
                let mut appended = branch.children[place].append(key, next)?;
                appended.split =
                    appended.split.take().and_then(|split| branch.take_in(place, split));
                appended
            }
        };
        self.counts = self.counts.minus(appended.before).plus(appended.after);
        if let Some(split) = &mut appended.split {
            self.counts = self.counts.minus(split.above.counts);
        }
        Some(appended)
    }

    /// Asserts the invariants at the head of this file, all the way down. Tests only: O(n).
    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn check(&self) -> usize {
        let fresh = Child { node: Arc::clone(&self.node), ..Child::new((*self.node).clone()) };
        let newest = self.counts.newest;
        assert!(newest >= fresh.counts.newest, "the newest row is above its bound");
        assert_eq!(self.counts, Counts { newest, ..fresh.counts }, "counts differ from the rows");
        match &*self.node {
            Node::Leaf(leaf) => {
                assert_eq!(leaf.keys.len(), leaf.histories.len());
                assert!(leaf.histories.len() <= LEAF_KEYS_MAX);
                1
            }
            Node::Branch(branch) => {
                assert_eq!(branch.separators.len() + 1, branch.children.len());
                assert!(branch.children.len() <= BRANCH_CHILDREN_MAX);
                assert!(branch.children.iter().all(|child| child.counts.present > 0));
                let depths: Vec<usize> = branch.children.iter().map(Child::check).collect();
                assert!(depths.iter().all(|depth| *depth == depths[0]), "leaves are equally deep");
                depths[0] + 1
            }
        }
    }

    /// *Units*: bytes on the heap, allocator's overhead not counted.
    pub(super) fn heap_bytes(&self) -> usize {
        let inside: usize = match &*self.node {
            Node::Leaf(leaf) => {
                leaf.keys.heap_bytes()
                    + leaf.histories.capacity() * size_of::<History>()
                    + leaf.histories.iter().map(History::heap_bytes).sum::<usize>()
            }
            Node::Branch(branch) => {
                branch.separators.heap_bytes()
                    + branch.children.capacity() * size_of::<Child>()
                    + branch.children.iter().map(Child::heap_bytes).sum::<usize>()
            }
        };
        16 + size_of::<Node>() + inside
    }

    /// Keys of a leaf, children of a branch.
    pub(super) fn width(&self) -> usize {
        match &*self.node {
            Node::Leaf(leaf) => leaf.histories.len(),
            Node::Branch(branch) => branch.children.len(),
        }
    }
}

trait FoldCounts: Iterator<Item = Counts> + Sized {
    fn fold_counts(self) -> Counts {
        self.fold(Counts::default(), Counts::plus)
    }
}

impl<I: Iterator<Item = Counts>> FoldCounts for I {}

impl Leaf {
    fn append(&mut self, key: &[u8], next: NextRow<'_>) -> Option<Appended> {
        match self.keys.search(key) {
            Ok(place) => {
                let history = &mut self.histories[place];
                let row = next(Some(history.newest()))?;
                let (before, previous) = (Counts::of(history), Some(*history.newest()));
                history.push(row);
                let after = Counts::of(history);
                Some(Appended { before, after, split: None, previous, row })
            }
            Err(place) => {
                let row = next(None)?;
                let history = History::One(row);
                let after = Counts::of(&history);
                let split = self.insert(place, key, history);
                Some(Appended { before: Counts::default(), after, split, previous: None, row })
            }
        }
    }

    fn insert(&mut self, place: usize, key: &[u8], history: History) -> Option<Split> {
        if self.histories.len() < LEAF_KEYS_MAX {
            self.keys.insert(place, key);
            grow(&mut self.histories, 1);
            self.histories.insert(place, history);
            return None;
        }
        // Keys that come in order fill their leaves: the full one stays as it is.
        let cut = if place == LEAF_KEYS_MAX { place } else { LEAF_KEYS_MAX / 2 };
        let mut above = self.split_off(cut);
        let (half, place) =
            if place >= cut { (&mut above, place - cut) } else { (&mut *self, place) };
        half.keys.insert(place, key);
        half.histories.insert(place, history);
        Some(Split { separator: above.keys.key(0), above: Child::new(Node::Leaf(above)) })
    }

    fn split_off(&mut self, cut: usize) -> Leaf {
        let keys = self.keys.part(cut..self.keys.len());
        let histories = self.histories.split_off(cut);
        // Only here is a leaf's prefix made as long as it can be.
        self.keys = self.keys.part(0..cut);
        self.histories.shrink_to_fit();
        Leaf { keys, histories }
    }
}

impl Branch {
    /// Takes the upper half of child `place` in as its neighbour, and splits when that is one too
    /// many.
    fn take_in(&mut self, place: usize, split: Split) -> Option<Split> {
        self.separators.insert(place, &split.separator);
        grow(&mut self.children, 1);
        self.children.insert(place + 1, split.above);
        let count = self.children.len();
        if count <= BRANCH_CHILDREN_MAX {
            return None;
        }
        let cut = if place + 2 == count { count - 1 } else { count / 2 };
        let separator = self.separators.key(cut - 1);
        let above = Branch {
            separators: self.separators.part(cut..self.separators.len()),
            children: self.children.split_off(cut),
        };
        self.separators = self.separators.part(0..cut - 1);
        self.children.shrink_to_fit();
        Some(Split { separator, above: Child::new(Node::Branch(above)) })
    }

    /// Removes empty children, and joins neighbours that fit in half a node together.
    pub(super) fn tidy(&mut self) {
        let mut place = 0;
        while place < self.children.len() {
            if self.children[place].counts.present == 0 {
                self.remove(place);
            } else if place > 0 && self.are_joinable(place - 1) {
                self.join(place - 1);
            } else {
                place += 1;
            }
        }
    }

    fn remove(&mut self, place: usize) {
        self.children.remove(place);
        if self.separators.len() > 0 {
            self.separators.remove(place.saturating_sub(1));
        }
    }

    fn are_joinable(&self, place: usize) -> bool {
        let width = self.children[place].width() + self.children[place + 1].width();
        match &*self.children[place].node {
            Node::Leaf(_) => width <= LEAF_KEYS_MAX / 2,
            Node::Branch(_) => width <= BRANCH_CHILDREN_MAX / 2,
        }
    }

    /// Moves what child `place + 1` holds into child `place`.
    fn join(&mut self, place: usize) {
        let separator = self.separators.key(place);
        let above = self.children.remove(place + 1);
        self.separators.remove(place);
        let below = &mut self.children[place];
        match (Arc::make_mut(&mut below.node), &*above.node) {
            (Node::Leaf(below), Node::Leaf(above)) => {
                below.keys.append(&above.keys);
                below.histories.extend_from_slice(&above.histories);
            }
            (Node::Branch(below), Node::Branch(above)) => {
                below.separators.insert(below.separators.len(), &separator);
                below.separators.append(&above.separators);
                below.children.extend_from_slice(&above.children);
                // The last of the one and the first of the other have become neighbours.
                below.tidy();
            }
            _ => unreachable!("all leaves are equally deep"),
        }
        below.counts = below.counts.plus(above.counts);
    }
}
