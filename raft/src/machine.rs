//! The store as openraft's state machine.
//!
//! openraft's "snapshot" is, here, the flushed state: building one flushes and notes how far that
//! reaches, which is what the log may be cut to. The files are only made when a follower needs
//! them, so that position and membership are read from the finished checkpoint.
//!
//! Invariants: the position reported for a snapshot is durable; a storage error stops the member.
//! Must not know: what entries say, how snapshots travel.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{Stream, StreamExt as _};
use openraft::storage::EntryResponder;
use openraft::{OptionalSend, RaftSnapshotBuilder, storage::RaftStateMachine};
use parking_lot::RwLock;
use store::Reader;
use store::engine::{Checkpoint, CheckpointFile, CheckpointSink, Engine};

use crate::apply::ToApply;
use crate::apply_task::ApplyTask;
use crate::blocking::Blocking;
use crate::limits;
use crate::membership::decode_membership;
use crate::types::{Payload, RaftLogId, SnapshotMeta, StoredMembership, TypeConfig, from_store};

/// What travels as a snapshot.
pub(crate) enum SnapshotData {
    /// The state of this member, to be sent: the checkpoint is made when the sending begins.
    Local(LocalSnapshot),
    /// A received checkpoint, to be installed.
    Received(Box<dyn CheckpointSink>, Vec<CheckpointFile>),
}

/// The means to make a checkpoint of this member's state.
#[derive(Clone)]
pub(crate) struct LocalSnapshot {
    reader: Reader,
    directory: PathBuf,
    made: Arc<AtomicU64>,
    pub(crate) blocking: Blocking,
}

impl LocalSnapshot {
    pub(crate) fn new(reader: Reader, directory: PathBuf, blocking: Blocking) -> Self {
        Self { reader, directory, made: Arc::default(), blocking }
    }

    /// Makes a checkpoint, in a directory of its own, and says how far it is applied.
    pub(crate) async fn checkpoint(self) -> io::Result<(Box<dyn Checkpoint>, store::AppliedState)> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let directory = self.directory.join(format!("sending-{number}"));
        let reader = self.reader;
        let made = self.blocking.run(move || reader.checkpoint(&directory)).await?;
        made.map_err(io::Error::other)
    }
}

/// The state machine.
pub(crate) struct Machine {
    apply: ApplyTask,
    flusher: Flusher,
    local: LocalSnapshot,
}

/// Flushes the current generation.
#[derive(Clone)]
pub(crate) struct Flusher {
    apply: ApplyTask,
    engine: Arc<RwLock<Arc<dyn Engine>>>,
    blocking: Blocking,
}

impl Flusher {
    pub(crate) fn new(apply: ApplyTask, engine: Arc<dyn Engine>, blocking: Blocking) -> Self {
        Self { apply, engine: Arc::new(RwLock::new(engine)), blocking }
    }

    /// Makes the applied state durable and says how far that reaches at least.
    pub(crate) async fn flush(&self) -> io::Result<SnapshotMeta> {
        let engine = Arc::clone(&self.engine.read());
        let flushed = self.blocking.run(move || engine.flush()).await?;
        flushed.map_err(|error| {
            tracing::error!(%error, "flushing the state failed: the member stops");
            io::Error::other(error)
        })?;
        self.durable().await
    }

    async fn durable(&self) -> io::Result<SnapshotMeta> {
        let durable = self.apply.durable().await?;
        let (_, last_membership) = applied_state(&self.apply).await?;
        Ok(SnapshotMeta { last_log_id: durable.map(from_store), last_membership })
    }
}

impl Machine {
    pub(crate) fn new(apply: ApplyTask, flusher: Flusher, local: LocalSnapshot) -> Self {
        Self { apply, flusher, local }
    }
}

/// Applied position and membership, in openraft's words.
pub(crate) async fn applied_state(
    apply: &ApplyTask,
) -> io::Result<(Option<RaftLogId>, StoredMembership)> {
    let state = apply.state().await?;
    let membership = match state.membership {
        None => StoredMembership::default(),
        Some(stored) => {
            let membership = decode_membership(&stored.bytes)
                .ok_or_else(|| io::Error::other("the stored membership is damaged"))?;
            StoredMembership::new(stored.log_id.map(from_store), membership)
        }
    };
    Ok((state.log_id.map(from_store), membership))
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<RaftLogId>, StoredMembership)> {
        applied_state(&self.apply).await
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut taken: Vec<ToApply> = Vec::new();
        let mut bytes = 0;
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            if let Payload::Normal(batch) = &entry.payload {
                bytes += batch.bytes().len();
            }
            taken.push((entry, responder));
            if taken.len() >= limits::APPLY_ENTRIES_MAX || bytes >= limits::APPLY_BYTES_MAX {
                self.apply.apply(std::mem::take(&mut taken)).await?;
                bytes = 0;
            }
        }
        if taken.is_empty() { Ok(()) } else { self.apply.apply(taken).await }
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        Builder { flusher: self.flusher.clone(), local: self.local.clone() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        let SnapshotData::Received(sink, files) = snapshot else {
            return Err(io::Error::other("a member cannot install its own state"));
        };
        let finished = self.flusher.blocking.run(move || sink.finish(&files)).await?;
        let engine = finished.map_err(|error| {
            tracing::error!(%error, "installing a snapshot failed: the member stops");
            io::Error::other(error)
        })?;
        let state = self.apply.install(Arc::clone(&engine)).await?;
        *self.flusher.engine.write() = engine;
        if state.log_id.map(from_store) != meta.last_log_id {
            let text = format!(
                "the installed state is at {:?} instead of {:?}",
                state.log_id, meta.last_log_id
            );
            return Err(io::Error::other(text));
        }
        let index = meta.last_log_id.as_ref().map_or(0, |log_id| log_id.index);
        tracing::info!("incoming-leader-snapshot-index" = index, "applied snapshot");
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<openraft::alias::SmSnapshotOf<TypeConfig, Self>>> {
        let meta = self.flusher.durable().await?;
        if meta.last_log_id.is_none() {
            return Ok(None);
        }
        let snapshot = SnapshotData::Local(self.local.clone());
        Ok(Some(openraft::Snapshot { meta, snapshot }))
    }
}

/// Flushes, and reports how far that reaches.
pub(crate) struct Builder {
    flusher: Flusher,
    local: LocalSnapshot,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(
        &mut self,
    ) -> io::Result<openraft::alias::SnapshotOf<TypeConfig, SnapshotData>> {
        let meta = self.flusher.flush().await?;
        let snapshot = SnapshotData::Local(self.local.clone());
        Ok(openraft::Snapshot { meta, snapshot })
    }
}
