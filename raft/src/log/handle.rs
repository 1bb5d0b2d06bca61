//! The log as the rest of the room sees it: appends that wait for one sync together, and reads.
//!
//! Invariants: what was appended is readable at once; callbacks are called in the order of the
//! appends, after the sync that covers them; votes and entries go through one queue, so that none
//! overtakes another. The first disk error is final: every later call gets it, and nothing is
//! synced again.
//!
//! Must not know: the consensus library.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::entry::LogEntry;
use super::error::LogError;
use super::files::{LogFile, LogFiles};
use super::format::{NUMBER_MAX, Owner, segment_name};
use super::recover::{TornTail, read_entry, recover};
use super::state::{Found, Place, Position, State};
use super::wake::Wake;
use super::writer::{Pending, Writer};

/// Called once, when what it belongs to is durable or never will be.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Sizes of a log.
#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    /// Length of a segment file in bytes.
    pub segment_bytes: u64,
    /// Entries kept in memory, in bytes; older ones are read from the files.
    pub cached_bytes_max: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, cached_bytes_max: 64 << 20 }
    }
}

/// A log that is open. Clones share it.
pub struct Log<E> {
    shared: Arc<Shared<E>>,
}

impl<E> Clone for Log<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<E> {
    files: Arc<dyn LogFiles>,
    front: Mutex<Front<E>>,
    wake: Wake,
    /// Open segments by number, for reads; forgotten when the segment is given up.
    readers: Mutex<HashMap<u64, Arc<dyn LogFile>>>,
}

struct Front<E> {
    state: State<E>,
    queue: Vec<Pending<E>>,
    done: Vec<Done>,
    failed: Option<String>,
    closing: bool,
}

/// The writing half: whoever drives the log owns it.
pub struct Driver<E> {
    shared: Arc<Shared<E>>,
    writer: Writer,
    /// Those whose records are being written now.
    in_flight: Vec<Done>,
}

impl<E: LogEntry> Log<E> {
    /// Reads the log back and takes it up; says what was cut off, if anything was.
    ///
    /// Nothing is written to disk until the driver is run.
    pub fn open(
        files: Arc<dyn LogFiles>,
        owner: Owner,
        limits: LogLimits,
    ) -> Result<(Self, Driver<E>, Option<TornTail>), LogError> {
        let recovered = recover(&*files, Some(owner), limits.cached_bytes_max, &mut |_, _, _| ())?;
        let writer = Writer::open(Arc::clone(&files), owner, limits.segment_bytes, &recovered)?;
        if let Some(TornTail { file, offset }) = &recovered.torn {
            tracing::warn!(
                %file, offset, directory = %files.describe(),
                "the raft log's last write was torn and is dropped; it was never acknowledged"
            );
        }
        let front = Front {
            state: recovered.state,
            queue: Vec::new(),
            done: Vec::new(),
            failed: None,
            closing: false,
        };
        let shared = Arc::new(Shared {
            files,
            front: Mutex::new(front),
            wake: Wake::default(),
            readers: Mutex::new(HashMap::new()),
        });
        let driver = Driver { shared: Arc::clone(&shared), writer, in_flight: Vec::new() };
        Ok((Self { shared }, driver, recovered.torn))
    }

    /// Appends entries; they are readable when this returns and durable when `done` is called.
    ///
    /// *Errors*: an index that does not follow the last or that no log comes to; a failed log.
    pub fn append(&self, entries: impl IntoIterator<Item = E>, done: Done) -> io::Result<()> {
        let mut front = self.shared.front();
        front.check()?;
        for entry in entries {
            let wanted = front.state.next_index().unwrap_or(entry.index());
            if entry.index() != wanted || wanted > NUMBER_MAX {
                let what = format!("entry {} where {wanted} is next", entry.index());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            front.state.push(entry.clone());
            front.queue.push(Pending::Entry(entry));
        }
        front.done.push(done);
        drop(front);
        self.shared.wake.notify();
        Ok(())
    }

    /// Saves the vote; durable when `done` is called.
    pub fn save_vote(&self, vote: Bytes, done: Done) -> io::Result<()> {
        self.queue(Pending::Vote(vote.clone()), Some(done), |state| state.vote = Some(vote))
    }

    /// Notes what is committed; written with whatever comes next or when idle, with no sync of its
    /// own.
    pub fn save_committed(&self, at: Position) -> io::Result<()> {
        self.queue(Pending::Committed(at), None, |state| state.committed = Some(at))
    }

    /// Drops the entries after `last`; `None` drops all.
    pub fn truncate_after(&self, last: Option<u64>) -> io::Result<()> {
        let keep = last.map_or(0, |last| last + 1);
        self.queue(Pending::Truncate(keep), None, |state| state.truncate_after(last))
    }

    /// Gives up the entries up to and with `upto`; their segments are used again.
    pub fn purge(&self, upto: Position) -> io::Result<()> {
        self.queue(Pending::Purge(upto), None, |state| state.purge(upto))
    }

    /// Drops what contradicts a state that is applied up to and with `applied`; true if it did.
    ///
    /// A state may be flushed further than the log is synced: an entry is applied once *others*
    /// hold it durably. After a crash the log can then end in entries of an older leader that the
    /// state has overruled. One of another term at the applied index proves that it and all after
    /// it were never committed, and it is not known where before it they begin: all of them go.
    pub fn drop_overruled(&self, applied: Position) -> io::Result<bool> {
        let term = self.shared.front().state.term_at(applied.index);
        if term.is_none_or(|term| term == applied.term) {
            return Ok(false);
        }
        self.truncate_after(None)?;
        self.purge(applied)?;
        Ok(true)
    }

    fn queue(
        &self,
        record: Pending<E>,
        done: Option<Done>,
        change: impl FnOnce(&mut State<E>),
    ) -> io::Result<()> {
        let mut front = self.shared.front();
        front.check()?;
        change(&mut front.state);
        front.queue.push(record);
        front.done.extend(done);
        drop(front);
        self.shared.wake.notify();
        Ok(())
    }

    /// The saved vote.
    #[must_use]
    pub fn vote(&self) -> Option<Bytes> {
        self.shared.front().state.vote.clone()
    }

    /// What was last noted as committed.
    #[must_use]
    pub fn committed(&self) -> Option<Position> {
        self.shared.front().state.committed
    }

    /// The index of the first entry that is kept.
    #[must_use]
    pub fn first_index(&self) -> u64 {
        self.shared.front().state.first_index()
    }

    /// The purged and the last log id.
    #[must_use]
    pub fn ends(&self) -> (Option<Position>, Option<Position>) {
        let front = self.shared.front();
        (front.state.purged, front.state.last())
    }

    /// Entries from `from` to before `to`: as many as there are, and as fit into `bytes_max`, but
    /// at least one.
    ///
    /// *Errors*: `InvalidData` when a record on disk is not sound.
    pub fn read(&self, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<E>> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for index in from..to {
            let found = self.shared.front().state.find(index);
            let entry = match found {
                None => break,
                Some(Found::Cached(entry)) => entry,
                Some(Found::OnDisk(place)) => match self.read_placed(place, index) {
                    Ok(entry) => entry,
                    // Purged while it was read: its segment may hold something else by now.
                    Err(_) if self.shared.front().state.find(index).is_none() => break,
                    Err(error) => return Err(error),
                },
            };
            bytes += entry.bytes();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn read_placed(&self, place: Place, index: u64) -> io::Result<E> {
        let mut readers = self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match readers.get(&place.segment) {
            Some(file) => Arc::clone(file),
            None => {
                let file: Arc<dyn LogFile> =
                    Arc::from(self.shared.files.open(&segment_name(place.segment))?);
                readers.insert(place.segment, Arc::clone(&file));
                file
            }
        };
        drop(readers);
        read_entry(&*file, place, index)
    }

    /// Ends the log: what is queued is written and synced, then the driver returns.
    pub fn close(&self) {
        self.shared.front().closing = true;
        self.shared.wake.notify();
    }
}

impl<E> Shared<E> {
    fn front(&self) -> MutexGuard<'_, Front<E>> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Front<E> {
    fn check(&self) -> io::Result<()> {
        match &self.failed {
            Some(error) => Err(io::Error::other(error.clone())),
            None if self.closing => Err(io::Error::other("the raft log is closed")),
            None => Ok(()),
        }
    }
}

impl<E: LogEntry> Driver<E> {
    /// What wakes the driver.
    pub(crate) fn wake(&self) -> &Wake {
        &self.shared.wake
    }

    /// Whether something waits to be written.
    pub(crate) fn has_work(&self) -> bool {
        !self.shared.front().queue.is_empty()
    }

    /// Whether the log was closed and everything is written.
    pub(crate) fn is_over(&self) -> bool {
        let front = self.shared.front();
        (front.closing && front.queue.is_empty()) || front.failed.is_some()
    }

    /// Writes and syncs everything that waits, then calls back; true if there was a sync.
    ///
    /// *Errors*: none; a disk error is handed to every caller, now and later.
    pub(crate) fn step(&mut self, sync_timer: impl FnOnce(&mut dyn FnMut())) -> bool {
        let queue = {
            let mut front = self.shared.front();
            self.in_flight = std::mem::take(&mut front.done);
            std::mem::take(&mut front.queue)
        };
        let synced = queue.iter().any(Pending::needs_sync) || !self.in_flight.is_empty();
        match self.write_and_sync(&queue, synced, sync_timer) {
            Ok(()) => self.in_flight.drain(..).for_each(|done| done(Ok(()))),
            Err(error) => self.fail(&error),
        }
        synced
    }

    fn write_and_sync(
        &mut self,
        queue: &[Pending<E>],
        sync: bool,
        sync_timer: impl FnOnce(&mut dyn FnMut()),
    ) -> io::Result<()> {
        let placed = self.writer.write(queue)?;
        if sync {
            let mut outcome = Ok(());
            sync_timer(&mut || outcome = self.writer.sync());
            outcome?;
        }
        let purged = queue.iter().any(|record| matches!(record, Pending::Purge(_)));
        let mut front = self.shared.front();
        for (position, place) in placed {
            front.state.placed(position, place);
        }
        front.state.trim();
        let first_live = front.state.first_segment();
        drop(front);
        if purged {
            self.forget_readers(first_live);
            self.writer.recycle(first_live)?;
        }
        Ok(())
    }

    fn forget_readers(&self, first_live: Option<u64>) {
        let mut readers = self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|segment, _| first_live.is_some_and(|first| *segment >= first));
    }

    fn fail(&mut self, error: &io::Error) {
        let text = format!("the raft log's disk failed: {error}");
        tracing::error!(error = %text, "this member stops; its disk must be looked at");
        self.give_up(&text);
    }

    /// One step without a clock: for whoever drives a log by hand.
    pub fn step_untimed(&mut self) {
        self.step(|sync| sync());
    }

    /// What a driver does when nothing waits: for whoever drives a log by hand.
    pub fn tell_when_idle(&mut self) {
        if !self.has_work() {
            self.idle();
        }
    }

    /// Uses a pause: tells of the last sync, and makes the next segment's file.
    pub(crate) fn idle(&mut self) {
        let outcome = self.writer.mark().and_then(|()| self.writer.prepare_spare());
        self.check(outcome);
    }

    /// As [`Self::idle`], with the next segment's file made by a thread of its own.
    pub(crate) fn idle_aside(&mut self) {
        let outcome = self.writer.mark();
        self.check(outcome);
    }

    /// Sees to it that the next segment's file is made before it is needed, by a thread of its own.
    pub(crate) fn keep_spare_aside(&mut self) {
        let outcome = self.writer.prepare_spare_aside();
        self.check(outcome);
    }

    fn check(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.fail(&error);
        }
    }

    /// Whether [`Self::idle`] has something to tell.
    pub(crate) fn owes_mark(&self) -> bool {
        self.writer.owes_mark()
    }

    /// The clean end: the last sync is told, and that is synced too.
    pub(crate) fn finish(&mut self) {
        if self.shared.front().failed.is_some() {
            return;
        }
        let outcome = self.writer.mark().and_then(|()| self.writer.sync());
        self.check(outcome);
    }
}

impl<E> Driver<E> {
    /// Ends the log for everybody: those who wait hear why, those who come later too.
    fn give_up(&mut self, text: &str) {
        let mut front = self.shared.front();
        if !front.closing {
            front.failed.get_or_insert_with(|| text.to_owned());
        }
        front.queue.clear();
        let waiting = std::mem::take(&mut front.done);
        drop(front);
        for done in self.in_flight.drain(..).chain(waiting) {
            done(Err(io::Error::other(text.to_owned())));
        }
    }
}

impl<E> Drop for Driver<E> {
    fn drop(&mut self) {
        // Also when its thread panicked: nobody may wait for ever for a sync that will not come.
        self.give_up("nothing drives the raft log any more");
    }
}
