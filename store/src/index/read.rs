//! The reads of the tree: scans, counts, places.
//!
//! A subtree that no write touched after the asked revision is answered from its counts alone, so
//! that an old revision costs the page and what changed since.

use std::ops::ControlFlow;

use super::node::{Branch, Child, Leaf, Node};
use super::{At, KeyState};
use crate::engine::Direction;

/// The part of a subtree that is asked for: `None` where the whole side is.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) from: Option<&'a [u8]>,
    pub(super) to: Option<&'a [u8]>,
}

impl Bounds<'_> {
    fn is_everything(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    fn is_empty(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if to <= from)
    }
}

impl Branch {
    /// The children that can hold asked keys, first and last.
    fn places(&self, bounds: Bounds<'_>) -> (usize, usize) {
        let first = bounds.from.map_or(0, |from| self.separators.at_or_below(from));
        let last = bounds.to.map_or(self.children.len() - 1, |to| self.separators.below(to));
        (first, last)
    }

    /// The part of child `place` that is asked for.
    fn inner<'a>(bounds: Bounds<'a>, place: usize, places: (usize, usize)) -> Bounds<'a> {
        Bounds {
            from: bounds.from.filter(|_| place == places.0),
            to: bounds.to.filter(|_| place == places.1),
        }
    }
}

impl Leaf {
    fn places(&self, bounds: Bounds<'_>) -> std::ops::Range<usize> {
        let first = bounds.from.map_or(0, |from| self.keys.below(from));
        let end = bounds.to.map_or(self.keys.len(), |to| self.keys.below(to));
        first..end.max(first)
    }

    pub(super) fn state(&self, place: usize, at: At) -> Option<KeyState> {
        let history = &self.histories[place];
        match at {
            At::Latest => history.newest().state(),
            At::Revision(at) => history.newest_at(at)?.state(),
        }
    }
}

impl Child {
    pub(super) fn find(&self, key: &[u8]) -> Option<(&Leaf, usize)> {
        let mut node = &*self.node;
        loop {
            match node {
                Node::Leaf(leaf) => return Some((leaf, leaf.keys.search(key).ok()?)),
                Node::Branch(branch) => {
                    node = &branch.children[branch.separators.at_or_below(key)].node;
                }
            }
        }
    }

    /// Whether the newest state is the asked one throughout the subtree.
    fn is_unchanged_since(&self, at: At) -> bool {
        match at {
            At::Latest => true,
            At::Revision(at) => self.counts.newest <= at,
        }
    }

    pub(super) fn count(&self, bounds: Bounds<'_>, at: At) -> u64 {
        if bounds.is_empty() {
            return 0;
        }
        if bounds.is_everything() && self.is_unchanged_since(at) {
            return self.counts.live;
        }
        match &*self.node {
            Node::Leaf(leaf) => {
                let exists = |place: &usize| leaf.state(*place, at).is_some();
                leaf.places(bounds).filter(exists).count() as u64
            }
            Node::Branch(branch) => {
                let places = branch.places(bounds);
                let children = branch.children.iter().enumerate();
                children
                    .take(places.1 + 1)
                    .skip(places.0)
                    .map(|(place, child)| child.count(Branch::inner(bounds, place, places), at))
                    .sum()
            }
        }
    }

    /// The `n`-th live key of the subtree, from 0.
    pub(super) fn nth(&self, mut n: u64) -> Option<Vec<u8>> {
        let mut node = &*self.node;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let mut live =
                        (0..leaf.histories.len()).filter(|place| leaf.histories[*place].is_live());
                    return live.nth(usize::try_from(n).ok()?).map(|place| leaf.keys.key(place));
                }
                Node::Branch(branch) => {
                    let child = branch.children.iter().find(|child| {
                        let here = n < child.counts.live;
                        n -= if here { 0 } else { child.counts.live };
                        here
                    });
                    node = &child?.node;
                }
            }
        }
    }

    pub(super) fn scan(
        &self,
        bounds: Bounds<'_>,
        at: At,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> ControlFlow<()> {
        if bounds.is_empty() || (self.counts.live == 0 && self.is_unchanged_since(at)) {
            return ControlFlow::Continue(());
        }
        match &*self.node {
            Node::Leaf(leaf) => {
                in_direction(leaf.places(bounds), direction, |place| match leaf.state(place, at) {
                    Some(state) => visit.key(leaf, place, state),
                    None => ControlFlow::Continue(()),
                })
            }
            Node::Branch(branch) => {
                let places = branch.places(bounds);
                in_direction(places.0..places.1 + 1, direction, |place| {
                    let inner = Branch::inner(bounds, place, places);
                    branch.children[place].scan(inner, at, direction, visit)
                })
            }
        }
    }
}

/// The visitor with the buffer that keys are put together in.
pub(super) struct Visit<'a> {
    pub(super) visit: &'a mut dyn FnMut(&[u8], KeyState) -> ControlFlow<()>,
    pub(super) key: Vec<u8>,
}

impl Visit<'_> {
    fn key(&mut self, leaf: &Leaf, place: usize, state: KeyState) -> ControlFlow<()> {
        leaf.keys.read(place, &mut self.key);
        (self.visit)(&self.key, state)
    }
}

fn in_direction(
    mut places: std::ops::Range<usize>,
    direction: Direction,
    step: impl FnMut(usize) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match direction {
        Direction::Ascending => places.try_for_each(step),
        Direction::Descending => places.rev().try_for_each(step),
    }
}
