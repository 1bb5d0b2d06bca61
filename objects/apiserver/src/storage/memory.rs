//! A storage in memory, for tests: the same semantics as etcd's, without any durability.
//!
//! Invariant: every write has a revision of its own, and the whole history since the last
//! compaction is kept, as reads and watches at old revisions need it.
//!
//! Must not know: gRPC.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::{
    Batch, Change, ChangeKind, CompactionRound, Got, Page, PageAnswer, Revision, Storage,
    StorageError, Stored, WatchFrom, Watching, Written,
};

/// The most changes a watch is given at once.
const BATCH_MAX: usize = 1000;

/// A storage in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The newest revision, for watches to wait on.
    newest: watch::Sender<Revision>,
}

#[derive(Debug)]
struct State {
    revision: Revision,
    compacted: Revision,
    round: CompactionRound,
    /// The versions of every key, oldest first; no value is a deletion.
    keys: BTreeMap<String, Vec<Version>>,
    /// All changes since the compaction, in order.
    log: Vec<Change>,
}

#[derive(Debug, Clone)]
struct Version {
    revision: Revision,
    create_revision: Revision,
    value: Option<Bytes>,
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStorage {
    /// An empty storage, at revision 1 as a new etcd is.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            revision: Revision(1),
            compacted: Revision::NONE,
            round: CompactionRound::default(),
            keys: BTreeMap::new(),
            log: Vec::new(),
        };
        let newest = watch::Sender::new(state.revision);
        MemoryStorage { shared: Arc::new(Shared { state: Mutex::new(state), newest }) }
    }

    /// Writes if the key is at `expected`, where none means that it does not exist.
    fn write(&self, key: &str, expected: Revision, value: Option<Bytes>) -> Written {
        let mut state = self.shared.state.lock();
        let current = state.read(key, state.revision);
        if current.as_ref().map_or(Revision::NONE, |stored| stored.revision) != expected {
            return Written::Changed { current, revision: state.revision };
        }
        if current.is_none() && value.is_none() {
            return Written::Changed { current, revision: state.revision };
        }
        let revision = state.write(key, current, value);
        self.shared.newest.send_replace(revision);
        Written::Done { revision }
    }

    /// Removes the key after its time, unless it was written again.
    fn expire(&self, key: &str, written: &Written, ttl: Option<Duration>) {
        let (Written::Done { revision }, Some(ttl)) = (written, ttl) else { return };
        let (storage, key, revision) = (self.clone(), key.to_owned(), *revision);
        tokio::spawn(async move {
            tokio::time::sleep(ttl).await;
            storage.write(&key, revision, None);
        });
    }
}

impl State {
    fn read(&self, key: &str, at: Revision) -> Option<Stored> {
        let versions = self.keys.get(key)?;
        stored(key, versions, at)
    }

    fn write(&mut self, key: &str, before: Option<Stored>, value: Option<Bytes>) -> Revision {
        let revision = self.revision.next();
        self.revision = revision;
        let kind = match (&before, &value) {
            (_, None) => ChangeKind::Deleted,
            (None, _) => ChangeKind::Created,
            _ => ChangeKind::Replaced,
        };
        let create_revision = before.as_ref().map_or(revision, |stored| stored.create_revision);
        self.log.push(Change {
            kind,
            key: key.to_owned(),
            revision,
            value: value.clone().unwrap_or_default(),
            previous: before.map(|stored| stored.value),
        });
        let version = Version { revision, create_revision, value };
        match self.keys.entry(key.to_owned()) {
            Entry::Vacant(entry) => drop(entry.insert(vec![version])),
            Entry::Occupied(mut entry) => entry.get_mut().push(version),
        }
        revision
    }

    /// The revision a read is meant for.
    fn at(&self, revision: Revision) -> Result<Revision, StorageError> {
        if revision == Revision::NONE {
            Ok(self.revision)
        } else if revision > self.revision {
            Err(StorageError::FutureRevision)
        } else if revision < self.compacted {
            Err(StorageError::Compacted { compacted: self.compacted })
        } else {
            Ok(revision)
        }
    }

    fn compact(&mut self, revision: Revision) {
        self.compacted = revision;
        self.log.retain(|change| change.revision > revision);
        self.keys.retain(|_, versions| {
            let keep = versions.iter().rposition(|version| version.revision <= revision);
            let keep = keep.unwrap_or(0);
            versions.drain(..keep);
            versions.len() > 1 || versions[0].value.is_some() || versions[0].revision > revision
        });
    }

    /// The changes under a prefix from a revision on, and the revision after the last one seen.
    fn changes(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<(Vec<Change>, Revision), StorageError> {
        if from <= self.compacted {
            return Err(StorageError::Compacted { compacted: self.compacted });
        }
        let start = self.log.partition_point(|change| change.revision < from);
        let seen = &self.log[start..];
        let seen = &seen[..seen.len().min(BATCH_MAX)];
        let next = seen.last().map_or(from, |change| change.revision.next());
        Ok((seen.iter().filter(|change| change.key.starts_with(prefix)).cloned().collect(), next))
    }
}

fn stored(key: &str, versions: &[Version], at: Revision) -> Option<Stored> {
    let version = versions.iter().rfind(|version| version.revision <= at)?;
    Some(Stored {
        key: key.to_owned(),
        value: version.value.clone()?,
        revision: version.revision,
        create_revision: version.create_revision,
    })
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn get(&self, key: &str) -> Result<Got, StorageError> {
        let state = self.shared.state.lock();
        Ok(Got { stored: state.read(key, state.revision), revision: state.revision })
    }

    async fn page(&self, page: Page<'_>) -> Result<PageAnswer, StorageError> {
        let state = self.shared.state.lock();
        let revision = state.at(page.revision)?;
        let start = page.start.unwrap_or(page.prefix).max(page.prefix);
        let mut range = state
            .keys
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(page.prefix))
            .filter_map(|(key, versions)| stored(key, versions, revision));
        let limit = if page.limit == 0 { usize::MAX } else { page.limit };
        let items: Vec<Stored> = range.by_ref().take(limit).collect();
        let left = range.count();
        Ok(PageAnswer { count: items.len() + left, more: left > 0, items, revision })
    }

    async fn create(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        self.replace(key, Revision::NONE, value, ttl).await
    }

    async fn replace(
        &self,
        key: &str,
        expected: Revision,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        let written = self.write(key, expected, Some(value));
        self.expire(key, &written, ttl);
        Ok(written)
    }

    async fn delete_if(&self, key: &str, expected: Revision) -> Result<Written, StorageError> {
        Ok(self.write(key, expected, None))
    }

    async fn watch(&self, watch: WatchFrom<'_>) -> Result<Watching, StorageError> {
        // One request waits at most: the next answer serves all that were made before it.
        let (ask, asked) = mpsc::channel(1);
        let watcher = Watcher {
            shared: Arc::clone(&self.shared),
            newest: self.shared.newest.subscribe(),
            prefix: watch.prefix.to_owned(),
            next: watch.revision,
            asked,
        };
        let batches = futures::stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(batch) => Some((Ok(batch), Some(watcher))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Watching::new(batches.boxed(), move || {
            let _ = ask.try_send(());
        }))
    }

    async fn current_revision(&self) -> Result<Revision, StorageError> {
        Ok(self.shared.state.lock().revision)
    }

    async fn compact(&self, revision: Revision) -> Result<(), StorageError> {
        let mut state = self.shared.state.lock();
        if revision > state.revision {
            return Err(StorageError::FutureRevision);
        }
        if revision <= state.compacted {
            return Err(StorageError::Compacted { compacted: state.compacted });
        }
        state.compact(revision);
        drop(state);
        // Watches that lie behind have to learn of it.
        self.shared.newest.send_modify(|_| {});
        Ok(())
    }

    async fn compaction_round(
        &self,
        known: CompactionRound,
    ) -> Result<CompactionRound, StorageError> {
        let mut state = self.shared.state.lock();
        if state.round.number == known.number {
            // As in etcd, where the record is a key like any other, the round is a write.
            state.revision = state.revision.next();
            state.round.number += 1;
            state.round.compacted = known.revision;
            self.shared.newest.send_replace(state.revision);
        }
        state.round.revision = state.revision;
        Ok(state.round)
    }
}

/// A watch's place in the log.
struct Watcher {
    shared: Arc<Shared>,
    newest: watch::Receiver<Revision>,
    prefix: String,
    next: Revision,
    asked: mpsc::Receiver<()>,
}

impl Watcher {
    async fn next(&mut self) -> Result<Batch, StorageError> {
        loop {
            self.newest.borrow_and_update();
            if let Some(batch) = self.read()? {
                return Ok(batch);
            }
            tokio::select! {
                changed = self.newest.changed() => {
                    changed.map_err(|_| StorageError::unavailable("the storage is gone"))?;
                }
                Some(()) = self.asked.recv() => {
                    // Read first: what is told as passed must have been delivered.
                    if let Some(batch) = self.read()? {
                        return Ok(batch);
                    }
                    return Ok(Batch { changes: Vec::new(), progress: Some(self.passed()) });
                }
            }
        }
    }

    fn passed(&self) -> Revision {
        Revision(self.next.0.saturating_sub(1))
    }

    fn read(&mut self) -> Result<Option<Batch>, StorageError> {
        let state = self.shared.state.lock();
        let (changes, next) = state.changes(&self.prefix, self.next)?;
        let caught_up = state.log.last().is_none_or(|last| last.revision < next);
        self.next = if caught_up { next.max(state.revision.next()) } else { next };
        if changes.is_empty() && caught_up {
            return Ok(None);
        }
        let progress = caught_up.then(|| self.passed());
        Ok(Some(Batch { changes, progress }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::suite;

    #[tokio::test]
    async fn memory_behaves_as_a_storage_must() {
        suite::run(Arc::new(MemoryStorage::new())).await;
    }
}
