//! Compaction by the API servers: every so often one of them forgets old history.
//!
//! Invariants: the record is kube-apiserver's own (`compact_rev_key`, outside the prefix; its
//! version counts the rounds), so that ours and theirs take turns on one store; a revision is kept
//! for at least one interval after it was the newest.
//!
//! Must not know: the cache.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Revision, Storage, StorageError};

/// The key of the record, as kube-apiserver names it. Not under the prefix.
pub(super) const RECORD_KEY: &str = "compact_rev_key";

/// What one API server knows of the rounds of compaction.
///
/// *Source*: the storage layer of Kubernetes: whoever raises the record's version from the one it
/// knows compacts to the revision it saw in the round before; who fails learns of the new round.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CompactionRound {
    /// The record's version: how many rounds there were.
    pub number: i64,
    /// The store's revision at that round: what the next round compacts to.
    pub revision: Revision,
    /// How far history is known to be gone.
    pub compacted: Revision,
}

/// Takes part in the rounds until it is dropped.
#[derive(Debug)]
pub struct Compactor {
    task: tokio::task::JoinHandle<()>,
    compacted: watch::Receiver<Revision>,
}

impl Compactor {
    /// Starts a round every `interval`; kube-apiserver's default is five minutes.
    #[must_use]
    pub fn start(storage: Arc<dyn Storage>, interval: Duration) -> Self {
        let (sender, compacted) = watch::channel(Revision::NONE);
        let task = tokio::spawn(async move {
            let mut known = CompactionRound::default();
            loop {
                tokio::time::sleep(interval).await;
                match round(&*storage, known).await {
                    Ok(now) => known = now,
                    Err(error) => tracing::warn!(%error, "a round of compaction failed"),
                }
                sender.send_if_modified(|seen| {
                    let raised = known.compacted > *seen;
                    *seen = known.compacted.max(*seen);
                    raised
                });
            }
        });
        Compactor { task, compacted }
    }

    /// How far history is gone, as far as this server knows.
    #[must_use]
    pub fn compacted(&self) -> watch::Receiver<Revision> {
        self.compacted.clone()
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn round(
    storage: &dyn Storage,
    known: CompactionRound,
) -> Result<CompactionRound, StorageError> {
    let now = storage.compaction_round(known).await?;
    // The record says `compacted`; the one that raised it has to keep that promise.
    let ours = now.number == known.number + 1 && now.compacted == known.revision;
    if ours && now.compacted != Revision::NONE {
        match storage.compact(now.compacted).await {
            Ok(()) | Err(StorageError::Compacted { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{MemoryStorage, Page};

    #[tokio::test]
    async fn servers_that_take_turns_forget_what_is_older_than_their_rounds() {
        let storage = MemoryStorage::new();
        let interval = Duration::from_millis(20);
        let start = || Compactor::start(Arc::new(storage.clone()), interval);
        let servers = [start(), start()];
        storage.create("/a/x", "1".into(), None).await.expect("memory");
        let old = storage.current_revision().await.expect("memory");
        for server in &servers {
            // Each learns of it, whoever's turn it was.
            let mut compacted = server.compacted();
            let told = compacted.wait_for(|compacted| *compacted > old);
            let told = tokio::time::timeout(Duration::from_secs(10), told).await;
            assert!(told.is_ok_and(|told| told.is_ok()));
        }
        let page = Page { prefix: "/a/", start: None, limit: 0, revision: old };
        let gone = storage.page(page).await;
        assert!(matches!(gone, Err(StorageError::Compacted { .. })), "{gone:?}");
        let now = storage.page(Page { revision: Revision::NONE, ..page }).await;
        assert_eq!(now.map(|page| page.items.len()), Ok(1));
    }
}
