//! The index as a plain sorted map of plain lists: slow and evidently right.
//!
//! The model that the real index is tested against.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::{At, Compaction, DroppedRow, HistoryRow, KeyState};
use crate::engine::Direction;
use crate::types::{Revision, RowRevision};

/// Keys with their histories, oldest row first.
#[derive(Clone, Debug, Default)]
pub struct Model {
    keys: BTreeMap<Vec<u8>, Vec<HistoryRow>>,
}

impl Model {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of keys whose newest row is a put.
    pub fn live(&self) -> u64 {
        self.count(&[], None, At::Latest)
    }

    /// The number of keys that have any row: live ones and those deleted but not yet compacted.
    pub fn present(&self) -> u64 {
        self.keys.len() as u64
    }

    /// The key's state at a moment; `None` when it does not exist then.
    pub fn get(&self, key: &[u8], at: At) -> Option<KeyState> {
        state_at(self.keys.get(key)?, at)
    }

    /// The key's rows that are still there, oldest first.
    pub fn history(&self, key: &[u8]) -> Vec<HistoryRow> {
        self.keys.get(key).cloned().unwrap_or_default()
    }

    /// The row at or below `at` that etcd's HashKV keeps: the newest one, if it is not a tombstone.
    pub fn kept(&self, key: &[u8], at: Revision) -> Option<RowRevision> {
        self.get(key, At::Revision(at)).map(|state| state.modified)
    }

    /// Adds a put, and answers the key's new state. `at` must be above all the key's rows.
    pub fn put(&mut self, key: &[u8], at: RowRevision) -> KeyState {
        let rows = self.keys.entry(key.to_vec()).or_default();
        let state = match rows.last().and_then(|row| row.state) {
            Some(last) => KeyState { modified: at, version: last.version + 1, ..last },
            None => KeyState { created: at.main, modified: at, version: 1 },
        };
        rows.push(HistoryRow { at, state: Some(state) });
        state
    }

    /// Adds a tombstone, and answers the state before it; `None`, and no change, when the key is
    /// not live.
    pub fn tombstone(&mut self, key: &[u8], at: RowRevision) -> Option<KeyState> {
        let rows = self.keys.get_mut(key)?;
        let before = rows.last().and_then(|row| row.state)?;
        rows.push(HistoryRow { at, state: None });
        Some(before)
    }

    /// Adds a row read back from an engine, in the order of rows; `state` is `None` for a
    /// tombstone.
    pub fn restore(&mut self, key: &[u8], row: HistoryRow) {
        self.keys.entry(key.to_vec()).or_default().push(row);
    }

    /// The number of keys in `from <= key < to` that exist at a moment.
    pub fn count(&self, from: &[u8], to: Option<&[u8]>, at: At) -> u64 {
        self.range(from, to).filter(|(_, rows)| state_at(rows, at).is_some()).count() as u64
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
        let mut existing: Vec<_> = self
            .range(from, to)
            .filter_map(|(key, rows)| state_at(rows, at).map(|state| (key, state)))
            .collect();
        if direction == Direction::Descending {
            existing.reverse();
        }
        for (key, state) in existing {
            if visit(key, state).is_break() {
                return;
            }
        }
    }

    /// The `n`-th key (from 0) that is live in `from <= key < to`.
    pub fn nth(&self, from: &[u8], to: Option<&[u8]>, n: u64) -> Option<Vec<u8>> {
        let live = |rows: &[HistoryRow]| state_at(rows, At::Latest).is_some();
        let mut keys = self.range(from, to).filter(|(_, rows)| live(rows));
        keys.nth(usize::try_from(n).ok()?).map(|(key, _)| key.to_vec())
    }

    /// Goes on with a compaction until about `rows_max` rows were dropped, or it is done.
    ///
    /// Per key the newest row at or below the compaction's revision stays, and what is above it; a
    /// tombstone at or below goes too, unless it is exactly at the revision.
    pub fn compact(&mut self, compaction: &mut Compaction, rows_max: usize) -> Vec<DroppedRow> {
        let mut dropped = Vec::new();
        let Some(from) = compaction.next.take() else { return dropped };
        let keys: Vec<Vec<u8>> = self.range(&from, None).map(|(key, _)| key.to_vec()).collect();
        for key in keys {
            if dropped.len() >= rows_max {
                compaction.next = Some(key);
                break;
            }
            let rows = self.keys.get_mut(&key).expect("the key was just listed");
            let old = rows.partition_point(|row| row.at.main <= compaction.at);
            let newest_stays = old > 0
                && (rows[old - 1].state.is_some() || rows[old - 1].at.main == compaction.at);
            let gone = if newest_stays { old - 1 } else { old };
            dropped.extend(
                rows.drain(..gone)
                    .map(|row| DroppedRow { at: row.at, tombstone: row.state.is_none() }),
            );
            if rows.is_empty() {
                self.keys.remove(&key);
            }
        }
        dropped
    }

    fn range(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> impl Iterator<Item = (&[u8], &[HistoryRow])> {
        let to = to.map(|to| to.max(from));
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        self.keys
            .range::<[u8], _>((Bound::Included(from), end))
            .map(|(key, rows)| (key.as_slice(), rows.as_slice()))
    }
}

fn state_at(rows: &[HistoryRow], at: At) -> Option<KeyState> {
    match at {
        At::Latest => rows.last()?.state,
        At::Revision(at) => {
            let old = rows.partition_point(|row| row.at.main <= at);
            rows[..old].last()?.state
        }
    }
}
