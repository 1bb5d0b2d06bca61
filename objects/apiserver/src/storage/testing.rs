//! A storage that can be broken on purpose, for this room's tests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    CompactionRound, Got, MemoryStorage, Outcome, Page, PageAnswer, Revision, Storage,
    StorageError, WatchFrom, Watching, Written,
};

/// What becomes of a write whose answer is lost.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lost {
    /// It is made.
    Done,
    /// It is not.
    NotDone,
}

/// A memory storage whose watches can be cut, refused and held back, and whose writes can be
/// answered as unknown.
pub(crate) struct Breakable {
    pub(crate) memory: MemoryStorage,
    /// Raised to cut all open watches.
    cut: watch::Sender<u64>,
    /// While set, no watch can be opened.
    refuse: watch::Sender<bool>,
    /// While set, open watches deliver nothing.
    hold: watch::Sender<bool>,
    /// What becomes of the next write; the ones after it are well again.
    lose: Mutex<Option<Lost>>,
}

impl Breakable {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Breakable {
            memory: MemoryStorage::new(),
            cut: watch::Sender::new(0),
            refuse: watch::Sender::new(false),
            hold: watch::Sender::new(false),
            lose: Mutex::new(None),
        })
    }

    pub(crate) fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    pub(crate) fn refuse(&self, refuse: bool) {
        self.refuse.send_replace(refuse);
    }

    pub(crate) fn hold(&self, hold: bool) {
        self.hold.send_replace(hold);
    }

    pub(crate) fn lose_next_answer(&self, lost: Lost) {
        *self.lose.lock() = Some(lost);
    }

    /// Makes a write, or does not, and answers it as it is to be answered.
    async fn write(
        &self,
        write: impl Future<Output = Result<Written, StorageError>> + Send,
    ) -> Result<Written, StorageError> {
        let lost = self.lose.lock().take();
        match lost {
            None => return write.await,
            Some(Lost::Done) => drop(write.await?),
            Some(Lost::NotDone) => {}
        }
        let reason = "the leader is gone".into();
        Err(StorageError::Unavailable { reason, outcome: Outcome::Unknown })
    }
}

#[async_trait]
impl Storage for Breakable {
    async fn get(&self, key: &str) -> Result<Got, StorageError> {
        self.memory.get(key).await
    }

    async fn page(&self, page: Page<'_>) -> Result<PageAnswer, StorageError> {
        self.memory.page(page).await
    }

    async fn create(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        self.write(self.memory.create(key, value, ttl)).await
    }

    async fn replace(
        &self,
        key: &str,
        expected: Revision,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        self.write(self.memory.replace(key, expected, value, ttl)).await
    }

    async fn delete_if(&self, key: &str, expected: Revision) -> Result<Written, StorageError> {
        self.write(self.memory.delete_if(key, expected)).await
    }

    async fn watch(&self, watch: WatchFrom<'_>) -> Result<Watching, StorageError> {
        if *self.refuse.borrow() {
            return Err(StorageError::unavailable("refused on purpose"));
        }
        let (inner, request_progress) = self.memory.watch(watch).await?.into_parts();
        let (cut, hold) = (self.cut.subscribe(), self.hold.subscribe());
        let batches = futures::stream::unfold((inner, cut, hold), |mut open| async move {
            let (inner, cut, hold) = (&mut open.0, &mut open.1, &mut open.2);
            let held_back = async {
                let batch = inner.next().await;
                let _ = hold.wait_for(|hold| !hold).await;
                batch
            };
            let batch = tokio::select! {
                biased;
                _ = cut.changed() => Some(Err(StorageError::unavailable("cut on purpose"))),
                batch = held_back => batch,
            };
            Some((batch?, open))
        });
        Ok(Watching::new(batches.boxed(), request_progress))
    }

    async fn current_revision(&self) -> Result<Revision, StorageError> {
        self.memory.current_revision().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StorageError> {
        self.memory.compact(revision).await
    }

    async fn compaction_round(
        &self,
        known: CompactionRound,
    ) -> Result<CompactionRound, StorageError> {
        self.memory.compaction_round(known).await
    }
}
