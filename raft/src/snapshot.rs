//! Snapshots on the wire: a checkpoint's files in pieces, each with its checksum, and back.
//!
//! Invariants: memory is bounded by a few pieces; what is announced is what was read from the
//! finished checkpoint; nothing becomes current before every file agrees with its announcement.
//! Must not know: connections, openraft's core.

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
use crate::types::{SnapshotMeta, StoredMembership, Vote, from_store};

/// Makes a checkpoint of the state and turns it into messages, the first of which announces it.
pub(crate) async fn chunks(
    local: LocalSnapshot,
    vote: Vote,
    header: peer::PeerHeader,
) -> Result<BoxStream<'static, peer::SnapshotChunk>, PeerError> {
    let blocking = local.blocking;
    let made = local.checkpoint().await;
    let (checkpoint, applied) =
        made.map_err(|error| PeerError::Refused(format!("cannot make a checkpoint: {error}")))?;
    let (since, bytes) = match applied.membership {
        Some(stored) => (stored.log_id.map(from_store), stored.bytes),
        None => return Err(convert::malformed("a state without membership")),
    };
    let membership = decode_membership(&bytes).ok_or_else(|| convert::malformed("membership"))?;
    let meta = SnapshotMeta {
        last_log_id: applied.log_id.map(from_store),
        last_membership: StoredMembership::new(since, membership),
    };
    let checkpoint: Arc<dyn Checkpoint> = Arc::from(checkpoint);
    let begin = peer::SnapshotBegin {
        header: Some(header),
        vote: Some(convert::vote_to_message(&vote)),
        last_log_id: meta.last_log_id.as_ref().map(convert::log_id_to_message),
        membership: Some(convert::snapshot_membership(&meta)),
        files: checkpoint.files().iter().map(announced).collect(),
    };
    let total_bytes: u64 = checkpoint.files().iter().map(|file| file.bytes).sum();
    let index = meta.last_log_id.as_ref().map_or(0, |log_id| log_id.index);
    tracing::info!("snapshot-index" = index, "saved snapshot to disk");
    tracing::info!("snapshot-index" = index, bytes = total_bytes, "sending database snapshot");
    let data = stream::unfold(Some(Position::default()), move |position| {
        next_piece(Arc::clone(&checkpoint), position, blocking)
    });
    let begin = stream::iter([part(Part::Begin(begin))]);
    let end = stream::iter([part(Part::End(peer::SnapshotEnd { total_bytes }))]);
    // A piece that cannot be read ends the data early: the total does not fit, and all is
    // discarded.
    let data = data.scan((), |(), piece| async move { piece.ok() });
    Ok(begin.chain(data).chain(end).boxed())
}

fn announced(file: &CheckpointFile) -> peer::SnapshotFile {
    peer::SnapshotFile { name: file.name.clone(), size_bytes: file.bytes, crc32c: file.crc32c }
}

fn part(part: Part) -> peer::SnapshotChunk {
    peer::SnapshotChunk { part: Some(part) }
}

#[derive(Clone, Copy, Default)]
struct Position {
    file: usize,
    offset: u64,
}

type Piece = Result<peer::SnapshotChunk, ()>;

async fn next_piece(
    checkpoint: Arc<dyn Checkpoint>,
    position: Option<Position>,
    blocking: Blocking,
) -> Option<(Piece, Option<Position>)> {
    let at = position?;
    let file = checkpoint.files().get(at.file)?.clone();
    let source = Arc::clone(&checkpoint);
    let name = file.name.clone();
    let read = blocking
        .run(move || source.read(&name, at.offset, limits::SNAPSHOT_CHUNK_BYTES))
        .await
        .and_then(|read| read.map_err(io::Error::other));
    let data = match read {
        Ok(data) if !data.is_empty() || file.bytes == 0 => data,
        Ok(_) => return Some((Err(()), None)),
        Err(error) => {
            tracing::error!(%error, file = file.name, "reading a checkpoint failed");
            return Some((Err(()), None));
        }
    };
    let end = at.offset + data.len() as u64;
    let next = if end >= file.bytes {
        Position { file: at.file + 1, offset: 0 }
    } else {
        Position { offset: end, ..at }
    };
    let piece = peer::SnapshotData {
        file: u32::try_from(at.file).unwrap_or(u32::MAX),
        offset_bytes: at.offset,
        crc32c: crc32c::crc32c(&data),
        data,
    };
    Some((Ok(part(Part::Data(piece))), Some(next)))
}

/// What a received snapshot says about itself, and its files, not current yet.
pub(crate) struct Received {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    pub(crate) files: Vec<CheckpointFile>,
    pub(crate) sink: Box<dyn CheckpointSink>,
}

/// Receives the files that `begin` announces.
///
/// *Errors*: the transfer must be repeated. *Cancellation*: dropping the future leaves nothing.
pub(crate) async fn receive(
    begin: peer::SnapshotBegin,
    mut chunks: BoxStream<'static, peer::SnapshotChunk>,
    engines: &dyn Engines,
    blocking: Blocking,
) -> Result<Received, PeerError> {
    let vote = convert::vote_from_message(begin.vote.as_ref())?;
    let meta = convert::snapshot_meta(&begin)?;
    let files: Vec<CheckpointFile> = begin.files.into_iter().map(expected).collect();
    let mut sink = engines.receive().map_err(refused)?;
    let mut received_bytes = 0;
    loop {
        let chunk = chunks.next().await.and_then(|chunk| chunk.part);
        match chunk.ok_or_else(|| PeerError::Refused("snapshot broken off".to_owned()))? {
            Part::Begin(_) => return Err(convert::malformed("a second beginning")),
            Part::Data(piece) => {
                received_bytes += piece.data.len() as u64;
                sink = write_piece(sink, &files, piece, blocking).await?;
            }
            Part::End(end) if end.total_bytes == received_bytes => break,
            Part::End(_) => return Err(convert::malformed("a snapshot of another length")),
        }
    }
    Ok(Received { vote, meta, files, sink })
}

fn expected(file: peer::SnapshotFile) -> CheckpointFile {
    CheckpointFile { name: file.name, bytes: file.size_bytes, crc32c: file.crc32c }
}

fn refused(error: store::StorageError) -> PeerError {
    PeerError::Refused(format!("cannot receive a snapshot: {error}"))
}

async fn write_piece(
    mut sink: Box<dyn CheckpointSink>,
    files: &[CheckpointFile],
    piece: peer::SnapshotData,
    blocking: Blocking,
) -> Result<Box<dyn CheckpointSink>, PeerError> {
    let file = files.get(piece.file as usize);
    let name = file.ok_or_else(|| convert::malformed("a piece of no file"))?.name.clone();
    let written = blocking.run(move || {
        if crc32c::crc32c(&piece.data) != piece.crc32c {
            return Err(PeerError::Refused("a piece was altered on its way".to_owned()));
        }
        sink.write(&name, piece.offset_bytes, &piece.data).map_err(refused)?;
        Ok(sink)
    });
    written.await.map_err(|error| PeerError::Refused(error.to_string()))?
}
