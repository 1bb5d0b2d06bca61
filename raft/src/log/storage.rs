//! openraft's log storage over the log.
//!
//! Invariants: every read is bounded in bytes; a vote is durable before `save_vote` returns; what
//! `append` took is readable when it returns and reported when it is durable.
//!
//! Must not know: segments.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::{self, BoxStream, StreamExt as _};
use openraft::errors::LeaderChanged;
use openraft::storage::{
    IOFlushed, LeaderBoundedStreamError, LeaderBoundedStreamResult, RaftLogStorage,
};
use openraft::{LogState, OptionalSend, RaftLogReader};
use prost::Message as _;

use super::codec::{decode_vote, encode_vote};
use super::drive::{SyncLatency, on_runtime, on_thread};
use super::entry::LogEntry;
use super::error::LogError;
use super::files::LogFiles;
use super::format::Owner;
use super::handle::{Log, LogLimits};
use super::state::Position;
use crate::types::{
    Entry, Payload, RaftLogId, TypeConfig, Vote, entry_from_message, entry_to_message, from_store,
    log_id,
};

/// Entries read at a time, in bytes: what one message to a peer carries at most (etcd's is 1 MiB
/// too).
const READ_BYTES_MAX: usize = 1 << 20;

/// Who drives the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// A thread of its own.
    Thread,
    /// A task of the caller's runtime: for simulation.
    Caller {
        /// How long a sync takes, on that runtime's clock.
        sync_takes: Duration,
    },
}

/// Keeps a log's driver; the log ends with [`RunningLog::close`], or when this is dropped.
pub struct RunningLog {
    log: Log<Entry>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    latency: Arc<SyncLatency>,
}

impl RunningLog {
    /// Writes and syncs what waits and ends the log. Blocks until that is done, when a thread
    /// drives it.
    pub fn close(&self) {
        self.log.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the log's thread has been printed; there is nothing left to wait for.
            drop(thread.join());
        }
    }

    /// Waits for the end that [`RunningLog::close`] asked for, when a task drives the log: the next
    /// process must not find the one before it still writing.
    pub async fn ended(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A panic of the task has been printed; there is nothing left to wait for.
            drop(task.await);
        }
    }

    /// How long syncs took so far.
    #[must_use]
    pub fn latency(&self) -> &SyncLatency {
        &self.latency
    }
}

impl Drop for RunningLog {
    fn drop(&mut self) {
        self.log.close();
    }
}

/// Opens a member's log and starts its driver.
///
/// *Errors*: [`LogError`]: damage, another member's log, a failing disk.
pub fn open(
    files: Arc<dyn LogFiles>,
    owner: Owner,
    limits: LogLimits,
    drive: Drive,
) -> Result<(RaftLog, RunningLog), LogError> {
    let (log, driver, _torn) = Log::open(files, owner, limits)?;
    let latency = Arc::new(SyncLatency::default());
    let (thread, task) = match drive {
        Drive::Thread => (Some(on_thread(driver, Arc::clone(&latency))?), None),
        Drive::Caller { sync_takes } => (None, Some(tokio::spawn(on_runtime(driver, sync_takes)))),
    };
    let (thread, task) = (Mutex::new(thread), Mutex::new(task));
    let running = RunningLog { log: log.clone(), thread, task, latency };
    Ok((RaftLog { log }, running))
}

/// The log as openraft writes and reads it.
#[derive(Clone)]
pub struct RaftLog {
    log: Log<Entry>,
}

impl LogEntry for Entry {
    fn term(&self) -> u64 {
        self.log_id.leader_id.term
    }

    fn index(&self) -> u64 {
        self.log_id.index
    }

    fn encode(&self) -> Vec<u8> {
        entry_to_message(self).encode_to_vec()
    }

    fn bytes(&self) -> usize {
        const FIXED: usize = 128;
        match &self.payload {
            Payload::Normal(batch) => FIXED + batch.bytes().len(),
            Payload::Blank | Payload::Membership(_) => FIXED,
        }
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        proto::log::Entry::decode(bytes).ok().and_then(entry_from_message)
    }
}

fn position(id: &RaftLogId) -> Position {
    Position { term: id.leader_id.term, index: id.index }
}

fn raft_log_id(position: Position) -> RaftLogId {
    log_id(position.term, position.index)
}

/// First index and one past the last.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

/// The entries of the pieces; a piece that failed is one error.
fn one_by_one<E: Send + 'static>(
    pieces: impl Stream<Item = Result<Vec<Entry>, E>> + Send + 'static,
) -> BoxStream<'static, Result<Entry, E>> {
    let entries = pieces.flat_map(|piece| match piece {
        Ok(entries) => stream::iter(entries.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(error) => stream::iter(vec![Err(error)]),
    });
    entries.boxed()
}

impl RaftLog {
    /// [`Log::drop_overruled`] for a state applied up to `applied`, which counts from 1.
    pub(crate) fn drop_overruled(&self, applied: store::LogId) -> io::Result<bool> {
        self.log.drop_overruled(position(&from_store(applied)))
    }

    /// Appends an entry and returns when it is durable. For before the core runs.
    pub(crate) async fn append_durably(&self, entry: Entry) -> io::Result<()> {
        let (durable, wait) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result| {
            // Nobody waits any more: the start was given up.
            let _ = durable.send(result);
        });
        self.log.append([entry], done)?;
        wait.await.map_err(|_| io::Error::other("the raft log is closed"))?
    }

    fn vote(&self) -> io::Result<Option<Vote>> {
        let Some(bytes) = self.log.vote() else { return Ok(None) };
        decode_vote(&bytes).map(Some).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the saved vote is of an unknown version")
        })
    }

    /// The range in pieces of bounded size, read one when it is asked for.
    fn pieces(
        &self,
        (from, to): (u64, u64),
    ) -> impl Stream<Item = io::Result<Vec<Entry>>> + Send + use<> {
        stream::try_unfold((self.log.clone(), from), move |(log, from)| async move {
            let from = from.max(log.first_index());
            let entries = log.read(from, to, READ_BYTES_MAX)?;
            let next = from + entries.len() as u64;
            Ok((!entries.is_empty()).then_some((entries, (log, next))))
        })
    }

    /// An error if the saved vote is not the committed vote of this leader.
    fn check_leader(
        &self,
        leader: &openraft::alias::LeaderIdOf<TypeConfig>,
    ) -> Result<(), LeaderBoundedStreamError<TypeConfig>> {
        let vote = self.vote()?;
        let leads = |vote: &Vote| vote.leader_id() == leader && vote.is_committed();
        if vote.as_ref().is_some_and(leads) {
            return Ok(());
        }
        Err(LeaderChanged { expected_leader: *leader, current_vote: vote }.into())
    }
}

impl RaftLogReader<TypeConfig> for RaftLog {
    async fn leader_bounded_stream<RB>(
        &mut self,
        leader: openraft::alias::LeaderIdOf<TypeConfig>,
        range: RB,
    ) -> impl Stream<Item = LeaderBoundedStreamResult<TypeConfig>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        if let Err(error) = self.check_leader(&leader) {
            return stream::iter([Err(error)]).boxed();
        }
        let log = self.clone();
        let checked = self.pieces(bounds(&range)).map(move |piece| {
            // Order: read, then look at the vote: entries read under another leader are not handed
            // out.
            let entries = piece?;
            log.check_leader(&leader)?;
            Ok(entries)
        });
        one_by_one(checked)
    }

    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        one_by_one(self.pieces(bounds(&range)))
    }

    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (from, to) = bounds(&range);
        self.log.read(from.max(self.log.first_index()), to, usize::MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.vote()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.log.read(start, end, READ_BYTES_MAX)
    }
}

impl RaftLogStorage<TypeConfig> for RaftLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let (purged, last) = self.log.ends();
        Ok(LogState {
            last_purged_log_id: purged.map(raft_log_id),
            last_log_id: last.map(raft_log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (durable, wait) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result| {
            // Nobody waits any more: the core has stopped.
            let _ = durable.send(result);
        });
        self.log.save_vote(encode_vote(vote), done)?;
        wait.await.map_err(|_| io::Error::other("the raft log is closed"))?
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> io::Result<()> {
        match committed {
            Some(committed) => self.log.save_committed(position(&committed)),
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> io::Result<Option<RaftLogId>> {
        Ok(self.log.committed().map(raft_log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.log.append(entries, Box::new(move |result| callback.io_completed(result)))
    }

    async fn truncate_after(&mut self, last_log_id: Option<RaftLogId>) -> io::Result<()> {
        self.log.truncate_after(last_log_id.map(|last| last.index))
    }

    async fn purge(&mut self, log_id: RaftLogId) -> io::Result<()> {
        self.log.purge(position(&log_id))
    }
}
