//! The index itself: a counted, copy-on-write B+-tree of key histories.
//!
//! A clone shares all nodes and costs nothing; a write copies the nodes on its way that a clone
//! still shares, and changes the others in place. One clone per applied batch is what readers get.

use std::ops::ControlFlow;

use super::compact::Step;
use super::history::Row;
use super::node::Child;
use super::read::{Bounds, Visit};
use super::{At, Compaction, DroppedRow, HistoryRow, KeyState};
use crate::engine::Direction;
use crate::types::{Revision, RowRevision};

/// See the module's page.
#[derive(Clone, Debug)]
pub struct KeyIndex {
    root: Child,
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self { root: Child::empty() }
    }

    /// The number of keys whose newest row is a put.
    pub fn live(&self) -> u64 {
        self.root.counts.live
    }

    /// The number of keys that have any row: live ones and those deleted but not yet compacted.
    pub fn present(&self) -> u64 {
        self.root.counts.present
    }

    /// The number of rows of all keys: what the engine holds of them.
    pub fn rows(&self) -> u64 {
        self.root.counts.rows
    }

    /// The key's state at a moment; `None` when it does not exist then.
    pub fn get(&self, key: &[u8], at: At) -> Option<KeyState> {
        let (leaf, place) = self.root.find(key)?;
        leaf.state(place, at)
    }

    /// The key's rows that are still there, oldest first.
    pub fn history(&self, key: &[u8]) -> Vec<HistoryRow> {
        let Some((leaf, place)) = self.root.find(key) else { return Vec::new() };
        leaf.histories[place].rows().map(Row::history_row).collect()
    }

    /// The row at or below `at` that etcd's HashKV keeps: the newest one, if it is not a tombstone.
    pub fn kept(&self, key: &[u8], at: Revision) -> Option<RowRevision> {
        self.get(key, At::Revision(at)).map(|state| state.modified)
    }

    /// Adds a put, and answers the key's new state. `at` must be above all the key's rows.
    pub fn put(&mut self, key: &[u8], at: RowRevision) -> KeyState {
        let mut next = |newest: Option<&Row>| {
            let state = match newest.and_then(Row::state) {
                Some(last) => KeyState { modified: at, version: last.version + 1, ..last },
                None => KeyState { created: at.main, modified: at, version: 1 },
            };
            Some(Row::new(HistoryRow { at, state: Some(state) }))
        };
        let appended = self.root.append_at_root(key, &mut next);
        let state = appended.and_then(|appended| appended.row.state());
        state.expect("a put always adds a row that is not a tombstone")
    }

    /// Adds a tombstone, and answers the state before it; `None`, and no change, when the key is
    /// not live.
    pub fn tombstone(&mut self, key: &[u8], at: RowRevision) -> Option<KeyState> {
        let mut next = |newest: Option<&Row>| {
            newest.filter(|row| !row.is_tombstone())?;
            Some(Row::new(HistoryRow { at, state: None }))
        };
        // A look first: a key that is not there must not copy its path.
        self.get(key, At::Latest)?;
        self.root.append_at_root(key, &mut next)?.previous?.state()
    }

    /// Adds a row read back from an engine, in the order of rows; `state` is `None` for a
    /// tombstone.
    pub fn restore(&mut self, key: &[u8], row: HistoryRow) {
        let mut next = |_: Option<&Row>| Some(Row::new(row));
        self.root.append_at_root(key, &mut next);
    }

    /// The number of keys in `from <= key < to` (`None`: no upper end) that exist at a moment.
    ///
    /// O(log n) at the latest revision, O(log n + what changed since) at an older one.
    pub fn count(&self, from: &[u8], to: Option<&[u8]>, at: At) -> u64 {
        self.root.count(bounds(from, to), at)
    }

    /// Visits the keys in `from <= key < to` that exist at a moment, until the visitor breaks.
    pub fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        at: At,
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], KeyState) -> ControlFlow<()>,
    ) {
        let mut visit = Visit { visit, key: Vec::new() };
        let _ = self.root.scan(bounds(from, to), at, direction, &mut visit);
    }

    /// The `n`-th key (from 0) that is live in `from <= key < to`. O(log n).
    pub fn nth(&self, from: &[u8], to: Option<&[u8]>, n: u64) -> Option<Vec<u8>> {
        let below = self.count(&[], Some(from), At::Latest);
        self.root.nth(below.checked_add(n)?).filter(|key| to.is_none_or(|to| key.as_slice() < to))
    }

    /// Goes on with a compaction until about `rows_max` rows were dropped, or as many leaves looked
    /// at, or it is done. At 0 nothing happens.
    ///
    /// Per key the newest row at or below the compaction's revision stays, and what is above it; a
    /// tombstone at or below goes too, unless it is exactly at the revision.
    pub fn compact(&mut self, compaction: &mut Compaction, rows_max: usize) -> Vec<DroppedRow> {
        let Some(from) = compaction.next.take_if(|_| rows_max > 0) else { return Vec::new() };
        let mut step =
            Step { at: compaction.at, budget: rows_max, dropped: Vec::new(), next: None };
        self.root
            .compact(Some(&from).filter(|from| !from.is_empty()).map(Vec::as_slice), &mut step);
        self.root.lower();
        compaction.next = step.next;
        step.dropped
    }

    /// Panics when the tree breaks one of its invariants. O(n): for tests.
    #[cfg(any(test, feature = "conformance"))]
    pub fn check(&self) {
        self.root.check();
    }

    /// *Units*: bytes that the index takes on the heap, the allocator's own not counted.
    pub fn heap_bytes(&self) -> usize {
        self.root.heap_bytes()
    }
}

fn bounds<'a>(from: &'a [u8], to: Option<&'a [u8]>) -> Bounds<'a> {
    Bounds { from: Some(from).filter(|from| !from.is_empty()), to }
}
