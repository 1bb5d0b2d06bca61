//! Writes whose outcome the storage does not know: told as done when they were, never made twice.

use std::sync::atomic::AtomicU8;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::storage::{
    CompactionRound, Got, Outcome, Page, PageAnswer, Revision, StorageError, WatchFrom, Watching,
    Written,
};

const WELL: u8 = 0;
const DONE_BUT_LOST: u8 = 1;
const NOT_DONE: u8 = 2;

/// A storage whose next write is done, or not, and answered as unknown.
struct Flaky {
    inner: MemoryStorage,
    next: AtomicU8,
}

impl Flaky {
    /// What becomes of the next write; the ones after it are well again.
    fn fault(&self) -> u8 {
        self.next.swap(WELL, Ordering::SeqCst)
    }
}

fn lost() -> StorageError {
    StorageError::Unavailable { reason: "the leader is gone".into(), outcome: Outcome::Unknown }
}

macro_rules! write_or_lose {
    ($self:ident, $write:expr) => {
        match $self.fault() {
            WELL => $write.await,
            DONE_BUT_LOST => $write.await.and(Err(lost())),
            _ => Err(lost()),
        }
    };
}

#[async_trait]
impl Storage for Flaky {
    async fn get(&self, key: &str) -> Result<Got, StorageError> {
        self.inner.get(key).await
    }

    async fn page(&self, page: Page<'_>) -> Result<PageAnswer, StorageError> {
        self.inner.page(page).await
    }

    async fn create(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        write_or_lose!(self, self.inner.create(key, value, ttl))
    }

    async fn replace(
        &self,
        key: &str,
        expected: Revision,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        write_or_lose!(self, self.inner.replace(key, expected, value, ttl))
    }

    async fn delete_if(&self, key: &str, expected: Revision) -> Result<Written, StorageError> {
        write_or_lose!(self, self.inner.delete_if(key, expected))
    }

    async fn watch(&self, watch: WatchFrom<'_>) -> Result<Watching, StorageError> {
        self.inner.watch(watch).await
    }

    async fn current_revision(&self) -> Result<Revision, StorageError> {
        self.inner.current_revision().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StorageError> {
        self.inner.compact(revision).await
    }

    async fn compaction_round(
        &self,
        known: CompactionRound,
    ) -> Result<CompactionRound, StorageError> {
        self.inner.compaction_round(known).await
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_told_as_what_it_was() {
    let storage = Arc::new(Flaky { inner: MemoryStorage::new(), next: AtomicU8::new(WELL) });
    let api = Api::on(storage.clone(), 1);
    api.create("namespaces", named("default")).await.expect("it is created");
    let next = |fault| storage.next.store(fault, Ordering::SeqCst);

    next(DONE_BUT_LOST);
    let made = api.create("configmaps", named("a")).await.expect("it was created");
    assert_eq!(api.get("configmaps a").await.expect("it is there"), made);
    next(NOT_DONE);
    assert_eq!(message(api.create("configmaps", named("b")).await).0, 504);

    let list = json!([{"op": "add", "path": "/metadata/finalizers", "value": ["a.b/c"]}]);
    next(DONE_BUT_LOST);
    let patched = api.patch("configmaps a", PatchKind::Json, list).await.expect("it was patched");
    assert_eq!(revision(&patched), revision(&made) + 1);
    let more = json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "d.e/f"}]);
    next(NOT_DONE);
    assert_eq!(message(api.patch("configmaps a", PatchKind::Json, more).await).0, 504);
    let there = api.get("configmaps a").await.expect("it is there");
    assert_eq!(there["metadata"]["finalizers"], json!(["a.b/c"]));

    let freed = json!({"metadata": {"finalizers": null}});
    api.merge("configmaps a", freed).await.expect("it is patched");
    next(NOT_DONE);
    assert_eq!(message(api.delete("configmaps a", DeleteOptions::default()).await).0, 504);
    next(DONE_BUT_LOST);
    let gone = api.delete("configmaps a", DeleteOptions::default()).await.expect("it went");
    assert_eq!(gone["details"]["uid"], made["metadata"]["uid"]);
}
