//! openraft's storage suite on the segmented log, driven by its real thread over real files.
//!
//! Must not know: the store; the suite wants a state machine, and the smallest will do.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use engram_raft::log::{self, Drive, LogLimits, RaftLog, RealLogFiles, RunningLog};
use engram_raft::types::{Payload, RaftLogId, SnapshotMeta, StoredMembership, TypeConfig};
use futures::{Stream, StreamExt as _};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{OptionalSend, RaftSnapshotBuilder};

use crate::support::OWNER;

/// A state machine that remembers only how far it is.
#[derive(Debug, Clone, Default)]
struct Counter {
    applied: Arc<Mutex<(Option<RaftLogId>, StoredMembership)>>,
    snapshot: Arc<Mutex<Option<SnapshotMeta>>>,
}

type Snapshot = openraft::alias::SnapshotOf<TypeConfig, ()>;

impl Counter {
    fn state(&self) -> (Option<RaftLogId>, StoredMembership) {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Counter {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (last_log_id, last_membership) = self.state();
        let meta = SnapshotMeta { last_log_id, last_membership };
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some(meta.clone());
        Ok(openraft::Snapshot { meta, snapshot: () })
    }
}

impl RaftStateMachine<TypeConfig> for Counter {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<RaftLogId>, StoredMembership)> {
        Ok(self.state())
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let mut state = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = Some(entry.log_id);
            if let Payload::Membership(membership) = entry.payload {
                state.1 = StoredMembership::new(Some(entry.log_id), membership);
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, (): ()) -> io::Result<()> {
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner) =
            (meta.last_log_id, meta.last_membership.clone());
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let meta = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(meta.map(|meta| openraft::Snapshot { meta, snapshot: () }))
    }
}

struct Builder;

/// Ends the log before its directory goes.
struct Guard {
    running: RunningLog,
    _directory: tempfile::TempDir,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.running.close();
    }
}

impl StoreBuilder<TypeConfig, RaftLog, Counter, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, RaftLog, Counter), openraft::StorageError<TypeConfig>> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let files = RealLogFiles::open(directory.path()).expect("a log directory");
        // A cache of nothing: what the suite reads comes from the files.
        let limits = LogLimits { segment_bytes: 64 * 1024, cached_bytes_max: 0 };
        let (log, running) =
            log::open(Arc::new(files), OWNER, limits, Drive::Thread).expect("a new log");
        Ok((Guard { running, _directory: directory }, log, Counter::default()))
    }
}

#[test]
fn openrafts_own_suite_passes_on_the_log() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let suite = Suite::<TypeConfig, RaftLog, Counter, Builder, Guard>::test_all(Builder);
    runtime.block_on(suite).expect("every test of the suite");
}
