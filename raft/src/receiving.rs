//! A snapshot on its way in. It outlives the connection that brings it: when that breaks, the next
//! attempt brings only what is not there yet.
//!
//! Invariants
//! - There is at most one, and one attempt at a time fills it.
//! - A file goes on where it stopped only if it is announced again with the same name, length and
//!   checksum; whatever else is there is removed.
//! - A piece that comes late, out of an attempt that was given up, is not written.
//! - What nobody goes on with is removed: after a while, or once the log has brought the member
//!   further.
//!
//! Must not know: connections, openraft's core, what the files hold.

use std::sync::atomic::{AtomicU64, Ordering};

use openraft::async_runtime::WatchReceiver as _;
use parking_lot::Mutex;
use proto::peer;
use store::engine::{CheckpointFile, CheckpointSink, Engines};
use tokio::time::Instant;

use crate::convert;
use crate::errors::PeerError;
use crate::leadership::MetricsWatch;
use crate::limits;
use crate::types::RaftLogId;

/// See the module's page.
#[derive(Default)]
pub(crate) struct Receiving {
    turn: tokio::sync::Mutex<()>,
    incoming: Mutex<Option<Incoming>>,
    attempts: AtomicU64,
    /// How far this member has committed; none in tests.
    metrics: Option<MetricsWatch>,
}

/// What has come so far.
pub(crate) struct Incoming {
    sink: Box<dyn CheckpointSink>,
    files: Vec<Arriving>,
    /// The position of the state that comes; 0: of an empty one.
    index: u64,
    attempt: u64,
    touched: Instant,
}

/// A file, and how much of it is there.
struct Arriving {
    file: CheckpointFile,
    there_bytes: u64,
}

/// The right to receive; ends when dropped.
pub(crate) type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;

impl Receiving {
    /// Of a member that reports here.
    pub(crate) fn of(metrics: MetricsWatch) -> Self {
        Self { metrics: Some(metrics), ..Self::default() }
    }

    /// Refuses a state that no history has in common with this member's: of a later term, and not
    /// beyond what is committed here. The core would end on it. One that is merely older is
    /// nobody's fault, and the core passes it over.
    pub(crate) fn check_last(&self, last: Option<RaftLogId>) -> Result<(), PeerError> {
        let committed =
            self.metrics.as_ref().and_then(|metrics| metrics.borrow_watched().local_committed);
        match (last, committed) {
            (Some(last), Some(committed)) if contradict(last, committed) => {
                Err(convert::malformed("a snapshot of another history than this member's"))
            }
            _ => Ok(()),
        }
    }

    /// Takes the turn to receive.
    ///
    /// *Errors*: somebody has it.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, PeerError> {
        let turn = self.turn.try_lock();
        turn.map_err(|_| PeerError::Refused("another snapshot is being received".to_owned()))
    }

    /// How many bytes of each of these files are there already.
    pub(crate) fn held(&self, files: &[CheckpointFile]) -> Vec<u64> {
        let incoming = self.incoming.lock();
        let there = |file| incoming.as_ref().map_or(0, |incoming| incoming.there_bytes(file));
        files.iter().map(there).collect()
    }

    /// Begins an attempt to receive these files, and gives its number.
    ///
    /// *Errors*: the files of this member refuse; nothing is kept then.
    pub(crate) fn begin(
        &self,
        files: Vec<CheckpointFile>,
        index: u64,
        engines: &dyn Engines,
    ) -> Result<u64, PeerError> {
        let mut incoming = self.incoming.lock();
        let (sink, files) = match incoming.take() {
            Some(before) => before.goes_on_as(files)?,
            None => (engines.receive().map_err(refused)?, arriving(files, |_| 0)),
        };
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        *incoming = Some(Incoming { sink, files, index, attempt, touched: Instant::now() });
        Ok(attempt)
    }

    /// Writes a piece that an attempt brought.
    ///
    /// *Errors*: the attempt is over. What came before is kept, unless this member's files refuse.
    pub(crate) fn write(&self, attempt: u64, piece: &peer::SnapshotData) -> Result<(), PeerError> {
        if crc32c::crc32c(&piece.data) != piece.crc32c {
            return Err(PeerError::Refused("a piece was altered on its way".to_owned()));
        }
        let mut incoming = self.incoming.lock();
        let current = incoming.as_mut().filter(|incoming| incoming.attempt == attempt);
        let current = current.ok_or_else(given_up)?;
        let place = current.place_of(piece)?;
        let written = current.write(place, piece);
        if written.is_err() {
            // A full disk is not kept full by what nobody can finish.
            *incoming = None;
        }
        written.map_err(refused)
    }

    /// Takes out what is whole, to install it.
    ///
    /// *Errors*: something is missing; the rest is kept.
    pub(crate) fn finish(
        &self,
        attempt: u64,
    ) -> Result<(Box<dyn CheckpointSink>, Vec<CheckpointFile>), PeerError> {
        let mut incoming = self.incoming.lock();
        let is_whole = |arriving: &Arriving| arriving.there_bytes == arriving.file.bytes;
        match incoming.take_if(|incoming| incoming.attempt == attempt) {
            Some(whole) if whole.files.iter().all(is_whole) => {
                Ok((whole.sink, whole.files.into_iter().map(|arriving| arriving.file).collect()))
            }
            Some(partial) => {
                *incoming = Some(partial);
                Err(convert::malformed("a snapshot of another length"))
            }
            None => Err(given_up()),
        }
    }

    /// What nobody will go on with, for the caller to drop where a disk may be waited for.
    pub(crate) fn stale(&self, applied_index: u64) -> Option<Incoming> {
        let _nobody_receives = self.turn.try_lock().ok()?;
        self.incoming.lock().take_if(|incoming| {
            incoming.index <= applied_index
                || incoming.touched.elapsed() >= limits::PARTIAL_SNAPSHOT_KEPT
        })
    }
}

impl Incoming {
    fn there_bytes(&self, file: &CheckpointFile) -> u64 {
        let found = self.files.iter().find(|arriving| arriving.file == *file);
        found.map_or(0, |arriving| arriving.there_bytes)
    }

    /// What is there, as the beginning of these files; whatever is none of them is removed.
    fn goes_on_as(
        mut self,
        files: Vec<CheckpointFile>,
    ) -> Result<(Box<dyn CheckpointSink>, Vec<Arriving>), PeerError> {
        for arriving in self.files.iter().filter(|arriving| !files.contains(&arriving.file)) {
            self.sink.discard(&arriving.file.name).map_err(refused)?;
        }
        let files = arriving(files, |file| self.there_bytes(file));
        Ok((self.sink, files))
    }

    /// Which file a piece continues.
    fn place_of(&self, piece: &peer::SnapshotData) -> Result<usize, PeerError> {
        let place = piece.file as usize;
        let arriving = self.files.get(place);
        let arriving = arriving.ok_or_else(|| convert::malformed("a piece of no file"))?;
        let room_bytes = arriving.file.bytes - arriving.there_bytes;
        if piece.offset_bytes != arriving.there_bytes || piece.data.len() as u64 > room_bytes {
            return Err(convert::malformed("a piece out of its place"));
        }
        Ok(place)
    }

    fn write(
        &mut self,
        place: usize,
        piece: &peer::SnapshotData,
    ) -> Result<(), store::StorageError> {
        let arriving = &mut self.files[place];
        self.sink.write(&arriving.file.name, arriving.there_bytes, &piece.data)?;
        arriving.there_bytes += piece.data.len() as u64;
        self.touched = Instant::now();
        Ok(())
    }
}

fn contradict(last: RaftLogId, committed: RaftLogId) -> bool {
    last.leader_id.term > committed.leader_id.term && last.index <= committed.index
}

fn arriving(
    files: Vec<CheckpointFile>,
    there_bytes: impl Fn(&CheckpointFile) -> u64,
) -> Vec<Arriving> {
    let arriving = |file| Arriving { there_bytes: there_bytes(&file), file };
    files.into_iter().map(arriving).collect()
}

fn given_up() -> PeerError {
    PeerError::Refused("this attempt to send a snapshot was given up".to_owned())
}

fn refused(error: store::StorageError) -> PeerError {
    PeerError::Refused(format!("cannot receive a snapshot: {error}"))
}

#[cfg(test)]
mod tests {
    use store::engine::MemoryEngines;

    use super::*;

    fn file(name: &str, content: &[u8]) -> CheckpointFile {
        let crc32c = crc32c::crc32c(content);
        CheckpointFile { name: name.to_owned(), bytes: content.len() as u64, crc32c }
    }

    fn piece(file: u32, offset_bytes: u64, data: &'static [u8]) -> peer::SnapshotData {
        let crc32c = crc32c::crc32c(data);
        peer::SnapshotData { file, offset_bytes, data: data.into(), crc32c }
    }

    fn begun(files: &[CheckpointFile]) -> (Receiving, u64) {
        let receiving = Receiving::default();
        let attempt = receiving.begin(files.to_vec(), 7, &MemoryEngines::new());
        (receiving, attempt.expect("begins"))
    }

    #[tokio::test]
    async fn what_came_is_held_for_the_same_file_only() {
        let files = [file("a", b"whole"), file("b", b"halfway")];
        let (receiving, attempt) = begun(&files);
        receiving.write(attempt, &piece(0, 0, b"whole")).expect("written");
        receiving.write(attempt, &piece(1, 0, b"half")).expect("written");
        assert_eq!(receiving.held(&files), [5, 4]);
        assert_eq!(receiving.held(&[file("b", b"another"), files[0].clone()]), [0, 5]);
        // Another snapshot that has one of the files.
        let others = [file("b", b"another"), files[0].clone()];
        receiving.begin(others.to_vec(), 8, &MemoryEngines::new()).expect("begins");
        assert_eq!(receiving.held(&files), [5, 0]);
    }

    #[tokio::test]
    async fn a_piece_has_one_place() {
        let (receiving, attempt) = begun(&[file("a", b"whole")]);
        assert!(receiving.write(attempt, &piece(0, 1, b"hole")).is_err());
        assert!(receiving.write(attempt, &piece(1, 0, b"whole")).is_err());
        assert!(receiving.write(attempt, &piece(0, 0, b"wholesale")).is_err());
        let altered = peer::SnapshotData { crc32c: 1, ..piece(0, 0, b"whole") };
        assert!(receiving.write(attempt, &altered).is_err());
        receiving.write(attempt, &piece(0, 0, b"who")).expect("written");
        assert!(receiving.write(attempt, &piece(0, 0, b"who")).is_err());
        assert!(receiving.finish(attempt).is_err());
        receiving.write(attempt, &piece(0, 3, b"le")).expect("written");
        assert!(receiving.finish(attempt).is_ok());
    }

    #[tokio::test]
    async fn a_late_piece_of_an_attempt_that_was_given_up_is_not_written() {
        let files = [file("a", b"whole")];
        let (receiving, earlier) = begun(&files);
        receiving.begin(files.to_vec(), 7, &MemoryEngines::new()).expect("begins");
        assert!(receiving.write(earlier, &piece(0, 0, b"whole")).is_err());
        assert!(receiving.finish(earlier).is_err());
        assert_eq!(receiving.held(&files), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_goes_on_with_is_removed() {
        let (receiving, _) = begun(&[file("a", b"whole")]);
        assert!(receiving.stale(6).is_none());
        assert!(receiving.stale(7).is_some(), "the log has brought as much");
        let (receiving, _) = begun(&[file("a", b"whole")]);
        tokio::time::advance(limits::PARTIAL_SNAPSHOT_KEPT).await;
        let turn = receiving.turn().expect("nobody receives");
        assert!(receiving.stale(6).is_none(), "somebody goes on with it");
        drop(turn);
        assert!(receiving.stale(6).is_some());
    }
}
