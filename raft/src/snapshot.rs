//! Snapshots on the wire: a checkpoint's files in pieces, each with its checksum, and back.
//!
//! Invariants: memory is bounded by a few pieces; what is announced is what was read from the
//! finished checkpoint; nothing becomes current before every file agrees with its announcement.
//! Must not know: connections, openraft's core.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use proto::peer::{self, snapshot_chunk::Part};
use store::engine::{Checkpoint, CheckpointFile, CheckpointSink, Engines};

use crate::blocking::Blocking;
use crate::convert;
use crate::errors::PeerError;
use crate::limits;
use crate::machine::LocalSnapshot;
use crate::membership::decode_membership;
use crate::receiving::Receiving;
use crate::types::{SnapshotMeta, StoredMembership, Vote, from_store};

/// A snapshot that is about to be sent.
pub(crate) struct Outgoing {
    checkpoint: Arc<dyn Checkpoint>,
    begin: peer::SnapshotBegin,
    blocking: Blocking,
}

impl Outgoing {
    /// Makes a checkpoint of the state.
    pub(crate) async fn new(
        local: LocalSnapshot,
        vote: Vote,
        header: peer::PeerHeader,
    ) -> Result<Self, PeerError> {
        let blocking = local.blocking;
        let made = local.checkpoint().await;
        let (checkpoint, applied) =
            made.map_err(|error| PeerError::Refused(format!("cannot make a checkpoint: {error}")))?;
        let (since, bytes) = match applied.membership {
            Some(stored) => (stored.log_id.map(from_store), stored.bytes),
            None => return Err(convert::malformed("a state without membership")),
        };
        let membership = decode_membership(&bytes);
        let membership = membership.ok_or_else(|| convert::malformed("membership"))?;
        let meta = SnapshotMeta {
            last_log_id: applied.log_id.map(from_store),
            last_membership: StoredMembership::new(since, membership),
        };
        let begin = peer::SnapshotBegin {
            header: Some(header),
            vote: Some(convert::vote_to_message(&vote)),
            last_log_id: meta.last_log_id.as_ref().map(convert::log_id_to_message),
            membership: Some(convert::snapshot_membership(&meta)),
            files: checkpoint.files().iter().map(announced).collect(),
            is_offer: false,
        };
        let index = meta.last_log_id.as_ref().map_or(0, |log_id| log_id.index);
        tracing::info!("snapshot-index" = index, "saved snapshot to disk");
        Ok(Self { checkpoint: Arc::from(checkpoint), begin, blocking })
    }

    /// The question what of it the peer has already.
    pub(crate) fn offer(&self) -> BoxStream<'static, peer::SnapshotChunk> {
        let offer = peer::SnapshotBegin { is_offer: true, ..self.begin.clone() };
        stream::iter([part(Part::Begin(offer))]).boxed()
    }

    /// The snapshot but for what the peer holds, by file.
    pub(crate) fn chunks(self, held_bytes: &[u64]) -> BoxStream<'static, peer::SnapshotChunk> {
        let Self { checkpoint, begin, blocking } = self;
        let missing = missing(checkpoint.files(), held_bytes);
        let total_bytes: u64 = checkpoint.files().iter().map(|file| file.bytes).sum();
        let sent_bytes: u64 =
            missing.iter().map(|at| checkpoint.files()[at.file].bytes - at.offset).sum();
        let index = begin.last_log_id.as_ref().map_or(0, |log_id| log_id.index);
        tracing::info!(
            "snapshot-index" = index,
            bytes = sent_bytes,
            "held-bytes" = total_bytes - sent_bytes,
            "sending database snapshot"
        );
        let data = stream::unfold(missing, move |missing| {
            next_piece(Arc::clone(&checkpoint), missing, blocking)
        });
        let begin = stream::iter([part(Part::Begin(begin))]);
        let end = stream::iter([part(Part::End(peer::SnapshotEnd { total_bytes }))]);
        // A piece that cannot be read ends the data early: the snapshot is not whole, and not
        // installed.
        let data = data.scan((), |(), piece| async move { piece.ok() });
        begin.chain(data).chain(end).boxed()
    }
}

/// Where the peer's copy of each file ends. An empty file counts as missing: nothing tells whether
/// it is there.
fn missing(files: &[CheckpointFile], held_bytes: &[u64]) -> VecDeque<Position> {
    let from = |(file, of): (usize, &CheckpointFile)| {
        let offset = held_bytes.get(file).copied().unwrap_or(0).min(of.bytes);
        (offset < of.bytes || of.bytes == 0).then_some(Position { file, offset })
    };
    files.iter().enumerate().filter_map(from).collect()
}

fn announced(file: &CheckpointFile) -> peer::SnapshotFile {
    peer::SnapshotFile { name: file.name.clone(), size_bytes: file.bytes, crc32c: file.crc32c }
}

fn part(part: Part) -> peer::SnapshotChunk {
    peer::SnapshotChunk { part: Some(part) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    file: usize,
    offset: u64,
}

type Piece = Result<peer::SnapshotChunk, ()>;

async fn next_piece(
    checkpoint: Arc<dyn Checkpoint>,
    mut missing: VecDeque<Position>,
    blocking: Blocking,
) -> Option<(Piece, VecDeque<Position>)> {
    let at = missing.pop_front()?;
    let file = checkpoint.files().get(at.file)?.clone();
    let source = Arc::clone(&checkpoint);
    let name = file.name.clone();
    let read = blocking
        .run(move || source.read(&name, at.offset, limits::SNAPSHOT_CHUNK_BYTES))
        .await
        .and_then(|read| read.map_err(io::Error::other));
    let data = match read {
        Ok(data) if !data.is_empty() || file.bytes == 0 => data,
        Ok(_) => return Some((Err(()), VecDeque::new())),
        Err(error) => {
            tracing::error!(%error, file = file.name, "reading a checkpoint failed");
            return Some((Err(()), VecDeque::new()));
        }
    };
    let end = at.offset + data.len() as u64;
    if end < file.bytes {
        missing.push_front(Position { offset: end, ..at });
    }
    let piece = peer::SnapshotData {
        file: u32::try_from(at.file).unwrap_or(u32::MAX),
        offset_bytes: at.offset,
        crc32c: crc32c::crc32c(&data),
        data,
    };
    Some((Ok(part(Part::Data(piece))), missing))
}

/// What a received snapshot says about itself, and its files, not current yet.
pub(crate) struct Received {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    pub(crate) files: Vec<CheckpointFile>,
    pub(crate) sink: Box<dyn CheckpointSink>,
}

/// Where a snapshot is received.
pub(crate) struct Receiver {
    pub(crate) receiving: Arc<Receiving>,
    pub(crate) engines: Arc<dyn Engines>,
    pub(crate) blocking: Blocking,
}

impl Receiver {
    /// Receives what is still missing of the files that `begin` announces.
    ///
    /// *Errors*: the transfer must be repeated; what came is kept for it. *Cancellation*: the same.
    pub(crate) async fn receive(
        &self,
        begin: peer::SnapshotBegin,
        mut chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Result<Received, PeerError> {
        let vote = convert::vote_from_message(begin.vote.as_ref())?;
        let meta = convert::snapshot_meta(&begin)?;
        self.receiving.check_last(meta.last_log_id)?;
        let index = begin.last_log_id.as_ref().map_or(0, |log_id| log_id.index);
        let (receiving, engines) = (Arc::clone(&self.receiving), Arc::clone(&self.engines));
        let files = announced_files(begin.files);
        let total_bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let attempt = self.run(move || receiving.begin(files, index, &*engines)).await?;
        loop {
            let chunk = chunks.next().await.and_then(|chunk| chunk.part);
            match chunk.ok_or_else(|| PeerError::Refused("snapshot broken off".to_owned()))? {
                Part::Begin(_) => return Err(convert::malformed("a second beginning")),
                Part::Data(piece) => {
                    let receiving = Arc::clone(&self.receiving);
                    self.run(move || receiving.write(attempt, &piece)).await?;
                }
                Part::End(end) if end.total_bytes == total_bytes => break,
                Part::End(_) => return Err(convert::malformed("a snapshot of another length")),
            }
        }
        let (sink, files) = self.receiving.finish(attempt)?;
        Ok(Received { vote, meta, files, sink })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PeerError> + Send + 'static,
    ) -> Result<T, PeerError> {
        let done = self.blocking.run(work).await;
        done.map_err(|error| PeerError::Refused(error.to_string()))?
    }
}

/// The files of an announcement.
pub(crate) fn announced_files(files: Vec<peer::SnapshotFile>) -> Vec<CheckpointFile> {
    let file = |file: peer::SnapshotFile| CheckpointFile {
        name: file.name,
        bytes: file.size_bytes,
        crc32c: file.crc32c,
    };
    files.into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_peer_does_not_hold_is_sent() {
        let file = |bytes| CheckpointFile { name: String::new(), bytes, crc32c: 0 };
        let files = [file(10), file(0), file(5), file(7)];
        let at = |file, offset| Position { file, offset };
        let all = [at(0, 0), at(1, 0), at(2, 0), at(3, 0)];
        assert_eq!(missing(&files, &[]), all);
        assert_eq!(missing(&files, &[0, 0, 0, 0]), all);
        assert_eq!(missing(&files, &[10, 0, 3]), [at(1, 0), at(2, 3), at(3, 0)]);
        // A peer that claims more than there is has the whole.
        assert_eq!(missing(&files, &[99, 99, 99, 99]), [at(1, 0)]);
    }
}
