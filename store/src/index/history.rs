//! The rows of one key: one row inline, which is what most keys have, or many in shared pieces.
//!
//! Invariants: rows rise strictly; there is at least one; a tombstone is never followed by another.

use std::sync::Arc;

use super::{HistoryRow, KeyState};
use crate::types::{Revision, RowRevision};

/// Rows in a sealed piece: what a write to a shared history copies at most.
const PIECE_ROWS: usize = 32;

/// One change. A tombstone's `created` and `version` are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    main: i64,
    created: i64,
    version: i64,
    sub: u32,
    tombstone: bool,
}

// The flag's spare values tell one row from many: an entry is no larger than a row.
const _: () = assert!(size_of::<Row>() == 32 && size_of::<History>() == 32);

impl Row {
    pub(super) fn new(row: HistoryRow) -> Self {
        let HistoryRow { at, state } = row;
        assert!(at.sub <= RowRevision::SUB_MAX, "sub revisions are bounded by the request's size");
        Self {
            main: at.main.0,
            created: state.map_or(0, |state| state.created.0),
            version: state.map_or(0, |state| state.version),
            sub: at.sub,
            tombstone: state.is_none(),
        }
    }

    pub(super) fn main(&self) -> Revision {
        Revision(self.main)
    }

    pub(super) fn at(&self) -> RowRevision {
        RowRevision::new(self.main, self.sub)
    }

    pub(super) fn is_tombstone(&self) -> bool {
        self.tombstone
    }

    /// The state after the change; `None` for a tombstone.
    pub(super) fn state(&self) -> Option<KeyState> {
        (!self.tombstone).then(|| KeyState {
            created: Revision(self.created),
            modified: self.at(),
            version: self.version,
        })
    }

    pub(super) fn history_row(&self) -> HistoryRow {
        HistoryRow { at: self.at(), state: self.state() }
    }
}

/// See the module's page.
#[derive(Clone, Debug)]
pub(super) enum History {
    One(Row),
    Many(Arc<Rows>),
}

/// Full pieces, then the piece that grows, which is never empty.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    sealed: Vec<Arc<[Row]>>,
    growing: Vec<Row>,
}

impl History {
    pub(super) fn newest(&self) -> &Row {
        match self {
            History::One(row) => row,
            History::Many(rows) => rows.growing.last().expect("the growing piece is never empty"),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        !self.newest().is_tombstone()
    }

    pub(super) fn len(&self) -> usize {
        match self {
            History::One(_) => 1,
            History::Many(rows) => {
                rows.growing.len() + rows.sealed.iter().map(|piece| piece.len()).sum::<usize>()
            }
        }
    }

    /// The newest row at or below a revision.
    pub(super) fn newest_at(&self, at: Revision) -> Option<&Row> {
        let newest = self.newest();
        if newest.main() <= at {
            return Some(newest);
        }
        let History::Many(rows) = self else { return None };
        let piece = if rows.growing[0].main() <= at {
            rows.growing.as_slice()
        } else {
            let older = rows.sealed.partition_point(|piece| piece[0].main() <= at);
            rows.sealed[..older].last()?
        };
        let older = piece.partition_point(|row| row.main() <= at);
        piece[..older].last()
    }

    /// All rows, oldest first.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        let (sealed, growing) = match self {
            History::One(row) => (&[][..], std::slice::from_ref(row)),
            History::Many(rows) => (rows.sealed.as_slice(), rows.growing.as_slice()),
        };
        sealed.iter().flat_map(|piece| piece.iter()).chain(growing)
    }

    /// Adds a row above all others.
    pub(super) fn push(&mut self, row: Row) {
        let newest = *self.newest();
        assert!(newest.at() < row.at(), "rows of a key rise strictly");
        match self {
            History::One(_) => {
                let rows = Rows { sealed: Vec::new(), growing: vec![newest, row] };
                *self = History::Many(Arc::new(rows));
            }
            History::Many(rows) => {
                let rows = Arc::make_mut(rows);
                if rows.growing.len() == PIECE_ROWS {
                    rows.sealed.push(std::mem::take(&mut rows.growing).into());
                }
                rows.growing.push(row);
            }
        }
    }

    /// How many of the oldest rows a compaction takes away: the superseded ones, and a tombstone
    /// below it.
    pub(super) fn dropped_by(&self, at: Revision) -> usize {
        let Some(kept) = self.newest_at(at) else { return 0 };
        let older = match self {
            History::One(_) => 0,
            History::Many(_) => self.rows().take_while(|row| row.at() < kept.at()).count(),
        };
        // Compat: etcd keeps a tombstone that lies exactly at the compacted revision.
        older + usize::from(kept.is_tombstone() && kept.main() < at)
    }

    /// Takes the `count` oldest rows away, fewer than there are.
    pub(super) fn drop_oldest(&mut self, count: usize) {
        let left = self.len() - count;
        if left == 1 {
            *self = History::One(*self.newest());
            return;
        }
        let History::Many(rows) = self else { return };
        let rows = Arc::make_mut(rows);
        let mut to_go = count;
        let whole = rows.sealed.iter().take_while(|piece| {
            let goes = piece.len() <= to_go;
            to_go -= if goes { piece.len() } else { 0 };
            goes
        });
        let whole = whole.count();
        rows.sealed.drain(..whole);
        match rows.sealed.first_mut() {
            Some(piece) => *piece = piece[to_go..].into(),
            None => drop(rows.growing.drain(..to_go)),
        }
    }

    /// *Units*: bytes on the heap. Pieces shared with a snapshot count in full.
    pub(super) fn heap_bytes(&self) -> usize {
        let History::Many(rows) = self else { return 0 };
        let pieces: usize = rows.sealed.iter().map(|piece| 32 + size_of_val(&**piece)).sum();
        let growing = rows.growing.capacity() * size_of::<Row>();
        16 + size_of::<Rows>() + pieces + growing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(main: i64) -> Row {
        let at = RowRevision::new(main, 0);
        let state = KeyState { created: Revision(1), modified: at, version: main };
        Row::new(HistoryRow { at, state: Some(state) })
    }

    fn of_length(rows: i64) -> History {
        let mut history = History::One(put(1));
        (2..=rows).for_each(|main| history.push(put(main)));
        history
    }

    #[test]
    fn any_number_of_oldest_rows_can_go() {
        for length in [2, 3, 32, 33, 64, 65, 100] {
            for count in 1..length {
                let mut history = of_length(length);
                history.drop_oldest(usize::try_from(count).expect("small"));
                let left: Vec<i64> = history.rows().map(|row| row.main).collect();
                assert_eq!(left, (count + 1..=length).collect::<Vec<_>>(), "{count} of {length}");
                assert_eq!(history.newest().main, length);
            }
        }
    }

    #[test]
    fn the_newest_row_at_any_revision_is_found() {
        let history = of_length(100);
        assert_eq!(history.newest_at(Revision(0)), None);
        for main in 1..=100 {
            assert_eq!(history.newest_at(Revision(main)).map(Row::main), Some(Revision(main)));
        }
        assert_eq!(history.newest_at(Revision(500)).map(Row::main), Some(Revision(100)));
    }

    #[test]
    fn a_long_history_is_copied_by_pieces() {
        let mut history = of_length(1000);
        let snapshot = history.clone();
        history.push(put(1001));
        let (History::Many(old), History::Many(new)) = (&snapshot, &history) else {
            panic!("a thousand rows are many");
        };
        assert!(Arc::ptr_eq(&old.sealed[0], &new.sealed[0]));
        assert_eq!((snapshot.len(), history.len()), (1000, 1001));
    }
}
