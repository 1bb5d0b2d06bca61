//! The rows of one key: one row inline, which is what most keys have, or many in shared pieces.
//!
//! Invariants: rows rise strictly; there is at least one; a tombstone is never followed by another.

use std::sync::Arc;

use super::{HistoryRow, KeyState};
use crate::types::{Revision, RowRevision};

/// Rows in a sealed piece: what a write to a shared history copies at most.
const PIECE_ROWS: usize = 64;

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

/// Sealed pieces, then the piece that grows, which is never empty. All sealed ones but the first
/// are full: a compaction takes from the front. Their list is shared too, or each write to a long
/// history would copy it.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    sealed: Arc<Vec<Arc<[Row]>>>,
    growing: Vec<Row>,
}

impl Rows {
    /// The rows of the first `pieces` sealed pieces.
    fn sealed_rows(&self, pieces: usize) -> usize {
        let first = self.sealed.first().map_or(0, |piece| piece.len());
        if pieces == 0 { 0 } else { first + (pieces - 1) * PIECE_ROWS }
    }
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
            History::Many(rows) => rows.sealed_rows(rows.sealed.len()) + rows.growing.len(),
        }
    }

    /// The number of rows at or below a revision.
    fn count_at(&self, at: Revision) -> usize {
        let at_or_below = |row: &Row| row.main() <= at;
        match self {
            History::One(row) => usize::from(at_or_below(row)),
            History::Many(rows) if at_or_below(&rows.growing[0]) => {
                rows.sealed_rows(rows.sealed.len()) + rows.growing.partition_point(at_or_below)
            }
            History::Many(rows) => {
                let pieces = rows.sealed.partition_point(|piece| at_or_below(&piece[0]));
                let Some(last) = pieces.checked_sub(1) else { return 0 };
                rows.sealed_rows(last) + rows.sealed[last].partition_point(at_or_below)
            }
        }
    }

    fn row(&self, place: usize) -> &Row {
        let History::Many(rows) = self else { return self.newest() };
        let sealed = rows.sealed_rows(rows.sealed.len());
        if place >= sealed {
            return &rows.growing[place - sealed];
        }
        let first = rows.sealed[0].len();
        match place.checked_sub(first) {
            None => &rows.sealed[0][place],
            Some(place) => &rows.sealed[1 + place / PIECE_ROWS][place % PIECE_ROWS],
        }
    }

    /// The newest row at or below a revision.
    pub(super) fn newest_at(&self, at: Revision) -> Option<&Row> {
        let newest = self.newest();
        if newest.main() <= at {
            return Some(newest);
        }
        self.count_at(at).checked_sub(1).map(|place| self.row(place))
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
                let rows = Rows { sealed: Arc::default(), growing: vec![newest, row] };
                *self = History::Many(Arc::new(rows));
            }
            History::Many(rows) => {
                let rows = Arc::make_mut(rows);
                if rows.growing.len() == PIECE_ROWS {
                    Arc::make_mut(&mut rows.sealed).push(std::mem::take(&mut rows.growing).into());
                }
                rows.growing.push(row);
            }
        }
    }

    /// How many of the oldest rows a compaction takes away: the superseded ones, and a tombstone
    /// below it.
    pub(super) fn dropped_by(&self, at: Revision) -> usize {
        let Some(place) = self.count_at(at).checked_sub(1) else { return 0 };
        let kept = self.row(place);
        // Compat: etcd keeps a tombstone that lies exactly at the compacted revision.
        place + usize::from(kept.is_tombstone() && kept.main() < at)
    }

    /// Takes the `count` oldest rows away, fewer than there are.
    pub(super) fn drop_oldest(&mut self, count: usize) {
        if self.len() - count == 1 {
            *self = History::One(*self.newest());
            return;
        }
        let History::Many(rows) = self else { return };
        let rows = Arc::make_mut(rows);
        let whole = (0..rows.sealed.len()).rev().find(|last| rows.sealed_rows(last + 1) <= count);
        let whole = whole.map_or(0, |last| last + 1);
        let rest = count - rows.sealed_rows(whole);
        let sealed = Arc::make_mut(&mut rows.sealed);
        sealed.drain(..whole);
        match sealed.first_mut() {
            Some(piece) => *piece = piece[rest..].into(),
            None => drop(rows.growing.drain(..rest)),
        }
    }

    /// *Units*: bytes on the heap. Pieces shared with a snapshot count in full.
    pub(super) fn heap_bytes(&self) -> usize {
        let History::Many(rows) = self else { return 0 };
        let pieces: usize = rows.sealed.iter().map(|piece| 32 + size_of_val(&**piece)).sum();
        let growing = rows.growing.capacity() * size_of::<Row>();
        2 * 16 + size_of::<Rows>() + rows.sealed.capacity() * 16 + 24 + pieces + growing
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
        for length in [2, 3, 64, 65, 128, 129, 200] {
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
    fn a_history_is_compacted_at_any_revision_after_any_other() {
        for first in 1..200 {
            for second in [first, first + 1, first + 63, first + 64, first + 100] {
                let mut history = of_length(200);
                for at in [first, second] {
                    let gone = history.dropped_by(Revision(at));
                    let expected = history.rows().filter(|row| row.main < at.min(200)).count();
                    assert_eq!(gone, expected, "{first} {second}");
                    history.drop_oldest(gone);
                    let kept = history.newest_at(Revision(at)).map(|row| row.main);
                    assert_eq!(kept, Some(at.min(200)));
                }
            }
        }
    }

    #[test]
    fn a_long_history_is_copied_by_pieces() {
        let mut history = of_length(1000);
        let snapshot = history.clone();
        history.push(put(1001));
        let (History::Many(old), History::Many(new)) = (&snapshot, &history) else {
            panic!("a thousand rows are many");
        };
        assert!(Arc::ptr_eq(&old.sealed, &new.sealed));
        assert_eq!((snapshot.len(), history.len()), (1000, 1001));
    }
}
