//! Maintenance.Snapshot: the state at one revision as a bbolt file, with etcd's buckets.
//!
//! The file is made first, nameless, on the disk of the state, and then sent: a slow client holds
//! up neither writers nor compactions, and costs a few chunks of memory. Compat: chunks of 32 KiB
//! with what remains, then a message with the SHA-256 of all bytes before.
//! Must not know: how the state is stored.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bbolt::BboltError;
use bbolt::etcd::{Contents, Lease, Member as StoredMember, write};
use bytes::Bytes;
use proto::etcdserverpb::SnapshotResponse;
use proto::status::EtcdError;
use sha2::{Digest as _, Sha256};
use store::{ExportedHead, Reader, StorageError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::clock::Clock;
use crate::errors::status;
use crate::limits::{SNAPSHOT_CHUNK_BYTES, SNAPSHOT_CHUNKS_QUEUED_MAX, SNAPSHOTS_MAX};
use crate::member::Member;
use crate::version::{CLUSTER_VERSION, STORAGE_VERSION};

/// *Units*: bytes; pages are collected to writes of this size.
const WRITE_BYTES: usize = 1 << 20;

/// Where snapshots are made, and how many at a time.
pub(crate) struct Snapshots {
    directory: PathBuf,
    turns: Arc<Semaphore>,
    made: AtomicU64,
}

impl Snapshots {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, turns: Arc::new(Semaphore::new(SNAPSHOTS_MAX)), made: AtomicU64::new(0) }
    }

    /// A name that no other file of this process has.
    fn next_path(&self) -> PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.directory.join(format!("export-{}-{number}", std::process::id()))
    }
}

/// Why no snapshot was made.
#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    File(#[from] BboltError),
}

impl From<std::io::Error> for SnapshotError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error.into())
    }
}

/// Makes the file and begins to send it.
///
/// *Errors*: the file could not be made; nothing of it is left then.
/// *Cancellation*: a client that goes away ends the work at the next chunk.
pub(crate) async fn stream(
    member: &Arc<Member>,
) -> Result<ReceiverStream<Result<SnapshotResponse, Status>>, Status> {
    let snapshots = &member.snapshots;
    let turn = Arc::clone(&snapshots.turns).acquire_owned().await;
    let turn = turn.map_err(|_| status(EtcdError::Stopped))?;
    let path = snapshots.next_path();
    let members = members(member);
    let made = member.read_blocking(move |reader| make(reader, &path, members)).await.map_err(
        |error: SnapshotError| {
            tracing::warn!(%error, "a snapshot could not be made");
            Status::internal(format!("cannot make a snapshot: {error}"))
        },
    )?;
    let (sender, receiver) = mpsc::channel(SNAPSHOT_CHUNKS_QUEUED_MAX);
    let clock = Arc::clone(member.clock());
    tokio::task::spawn_blocking(move || send(made, &sender, &*clock, turn));
    Ok(ReceiverStream::new(receiver))
}

/// A finished file without a name, and its length.
struct Made {
    file: File,
    bytes: u64,
}

fn make(reader: &Reader, path: &Path, members: Vec<StoredMember>) -> Result<Made, SnapshotError> {
    let file = File::options().read(true).write(true).create_new(true).open(path)?;
    // Nameless from here on: whatever ends this process also ends the file.
    std::fs::remove_file(path)?;
    let writer = BufWriter::with_capacity(WRITE_BYTES, file);
    let (writer, bytes) = write(writer, |history| {
        let head = reader
            .export(&mut |name, value| history.row(name, value).map_err(SnapshotError::from))?;
        Ok::<_, SnapshotError>(contents(head, members))
    })?;
    let mut file = writer.into_inner().map_err(|error| error.into_error())?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Made { file, bytes })
}

/// All but the history, in etcd's words.
fn contents(head: ExportedHead, members: Vec<StoredMember>) -> Contents {
    let revision = |revision: store::Revision| Some(revision.0).filter(|number| *number >= 0);
    let leases = head.leases.iter().map(|lease| Lease {
        id: lease.id.0,
        ttl_s: lease.granted_ttl_s,
        remaining_ttl_s: lease.remaining_ttl_s,
    });
    Contents {
        consistent_index: head.applied.index,
        term: head.applied.term,
        scheduled_compaction: revision(head.compacted),
        finished_compaction: revision(head.finished),
        storage_version: STORAGE_VERSION.to_owned(),
        cluster_version: CLUSTER_VERSION.to_owned(),
        leases: leases.collect(),
        alarms: head.alarms,
        auth_enabled: head.auth.enabled(),
        auth_revision: head.auth.revision(),
        users: head.auth.users().cloned().collect(),
        roles: head.auth.roles().cloned().collect(),
        members,
        removed_members: head.removed_members.iter().map(|id| id.0).collect(),
    }
}

fn members(member: &Member) -> Vec<StoredMember> {
    let said = member.reader().members();
    let stored = member.consensus().members().into_iter().map(|known| {
        let said = said.iter().find(|said| said.member_id == known.id.0);
        StoredMember {
            id: known.id.0,
            name: said.map_or_else(String::new, |said| said.name.clone()),
            client_urls: said.map_or_else(Vec::new, |said| said.client_urls.clone()),
            peer_urls: known.peer_urls,
            is_learner: known.is_learner,
        }
    });
    stored.collect()
}

/// Sends the whole file, then its checksum.
fn send(
    mut made: Made,
    sender: &mpsc::Sender<Result<SnapshotResponse, Status>>,
    clock: &dyn Clock,
    _turn: OwnedSemaphorePermit,
) {
    let began = clock.now();
    let total_bytes = made.bytes;
    tracing::info!(total_bytes, "sending database snapshot to client");
    let mut hash = Sha256::new();
    let mut remaining = made.bytes;
    while remaining > 0 {
        let length = remaining.min(SNAPSHOT_CHUNK_BYTES);
        let mut blob = vec![0; usize::try_from(length).expect("a chunk is small")];
        if let Err(error) = made.file.read_exact(&mut blob) {
            tracing::error!(%error, "a snapshot that was just written cannot be read");
            let _ = sender.blocking_send(Err(Status::internal(error.to_string())));
            return;
        }
        hash.update(&blob);
        remaining -= length;
        // The client went away: nobody is left to be told.
        if sender.blocking_send(Ok(message(blob.into(), remaining))).is_err() {
            return;
        }
    }
    let sum = Bytes::copy_from_slice(&hash.finalize());
    if sender.blocking_send(Ok(message(sum, 0))).is_ok() {
        let took = clock.now().0.saturating_sub(began.0);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(total_bytes, took_ms, "successfully sent database snapshot to client");
    }
}

fn message(blob: Bytes, remaining_bytes: u64) -> SnapshotResponse {
    SnapshotResponse { header: None, remaining_bytes, blob, version: STORAGE_VERSION.to_owned() }
}
