//! What the log holds, in memory: where each entry lies, the vote, the marks, and a bounded cache
//! of the tail.
//!
//! Invariants: entries are contiguous; the first follows the purged one; an entry that is not yet
//! written is always cached; the cache gives up the oldest entries first and stays within its bound
//! but for those.
//!
//! Must not know: files.

use std::collections::VecDeque;

use bytes::Bytes;

use super::entry::LogEntry;

/// A term and an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The leader's term.
    pub term: u64,
    /// The entry's index.
    pub index: u64,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) payload_bytes: u32,
}

#[derive(Debug)]
struct Slot<E> {
    term: u64,
    place: Option<Place>,
    cached: Option<E>,
}

/// An entry as it is found: in memory or on disk.
#[derive(Debug)]
pub(crate) enum Found<E> {
    Cached(E),
    OnDisk(Place),
}

/// The log's contents.
#[derive(Debug)]
pub(crate) struct State<E> {
    pub(crate) vote: Option<Bytes>,
    pub(crate) committed: Option<Position>,
    pub(crate) purged: Option<Position>,
    first_index: u64,
    slots: VecDeque<Slot<E>>,
    /// Slots below this number have given up their cached entry.
    uncached: usize,
    cached_bytes: usize,
    cached_bytes_max: usize,
}

impl<E: LogEntry> State<E> {
    pub(crate) fn new(cached_bytes_max: usize) -> Self {
        Self {
            vote: None,
            committed: None,
            purged: None,
            first_index: 0,
            slots: VecDeque::new(),
            uncached: 0,
            cached_bytes: 0,
            cached_bytes_max,
        }
    }

    /// The index of the first entry, or of the one that will be first.
    pub(crate) fn first_index(&self) -> u64 {
        self.first_index
    }

    /// The index that the next entry must have; `None` is any.
    pub(crate) fn next_index(&self) -> Option<u64> {
        if self.slots.is_empty() {
            return self.purged.map(|purged| purged.index + 1);
        }
        Some(self.first_index + self.slots.len() as u64)
    }

    /// One past the last entry's index.
    pub(crate) fn end_index(&self) -> u64 {
        self.first_index + self.slots.len() as u64
    }

    /// The last entry, or the purged one.
    pub(crate) fn last(&self) -> Option<Position> {
        let last =
            self.slots.back().map(|slot| Position { term: slot.term, index: self.end_index() - 1 });
        last.or(self.purged)
    }

    /// The segment of the first entry that is on disk.
    pub(crate) fn first_segment(&self) -> Option<u64> {
        self.slots.iter().find_map(|slot| slot.place).map(|place| place.segment)
    }

    /// Adds an entry that is not written yet.
    pub(crate) fn push(&mut self, entry: E) {
        self.begin_at(entry.index());
        self.cached_bytes += entry.bytes();
        self.slots.push_back(Slot { term: entry.term(), place: None, cached: Some(entry) });
    }

    /// Adds an entry that was found on disk.
    pub(crate) fn push_placed(&mut self, position: Position, place: Place) {
        self.begin_at(position.index);
        if self.uncached == self.slots.len() {
            self.uncached += 1;
        }
        self.slots.push_back(Slot { term: position.term, place: Some(place), cached: None });
    }

    fn begin_at(&mut self, index: u64) {
        if self.slots.is_empty() {
            self.first_index = index;
            self.uncached = 0;
        }
    }

    /// Notes where an entry was written, unless it was truncated or purged since.
    pub(crate) fn placed(&mut self, position: Position, place: Place) {
        if let Some(slot) = self.slot_mut(position.index).filter(|slot| slot.term == position.term)
        {
            slot.place = Some(place);
        }
    }

    /// Drops the entries after `last`; `None` drops all.
    pub(crate) fn truncate_after(&mut self, last: Option<u64>) {
        let end = last.map_or(self.first_index, |last| last + 1).max(self.first_index);
        while self.end_index() > end {
            if let Some(entry) = self.slots.pop_back().and_then(|slot| slot.cached) {
                self.cached_bytes -= entry.bytes();
            }
        }
        self.uncached = self.uncached.min(self.slots.len());
    }

    /// Drops the entries up to and with `upto`.
    pub(crate) fn purge(&mut self, upto: Position) {
        if self.purged.is_some_and(|purged| purged.index >= upto.index) {
            return;
        }
        self.purged = Some(upto);
        while self.first_index <= upto.index && !self.slots.is_empty() {
            if let Some(entry) = self.slots.pop_front().and_then(|slot| slot.cached) {
                self.cached_bytes -= entry.bytes();
            }
            self.first_index += 1;
            self.uncached = self.uncached.saturating_sub(1);
        }
        if self.slots.is_empty() {
            self.first_index = upto.index + 1;
        }
    }

    /// Gives up cached entries that are on disk until the cache is within its bound.
    pub(crate) fn trim(&mut self) {
        while self.cached_bytes > self.cached_bytes_max {
            let Some(slot) = self.slots.get_mut(self.uncached).filter(|slot| slot.place.is_some())
            else {
                return;
            };
            if let Some(entry) = slot.cached.take() {
                self.cached_bytes -= entry.bytes();
            }
            self.uncached += 1;
        }
    }

    /// The entry at an index.
    pub(crate) fn find(&self, index: u64) -> Option<Found<E>> {
        let slot = self.slots.get(usize::try_from(index.checked_sub(self.first_index)?).ok()?)?;
        match (&slot.cached, slot.place) {
            (Some(entry), _) => Some(Found::Cached(entry.clone())),
            (None, place) => place.map(Found::OnDisk),
        }
    }

    /// The term of the entry at an index.
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        let at = usize::try_from(index.checked_sub(self.first_index)?).ok()?;
        self.slots.get(at).map(|slot| slot.term)
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot<E>> {
        let at = usize::try_from(index.checked_sub(self.first_index)?).ok()?;
        self.slots.get_mut(at)
    }
}
