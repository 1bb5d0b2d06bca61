//! A log in memory, for tests.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;

use super::LogFiles;
use crate::types::{Entry, RaftLogId, TypeConfig, Vote};

/// Files in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryFiles {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    log: MemoryLog,
}

impl MemoryFiles {
    /// A copy that shares nothing: what a crash leaves to the next process.
    pub fn fork(&self) -> Self {
        let log = MemoryLog { inner: Arc::new(Mutex::new(self.log.inner.lock().clone())) };
        Self { files: Arc::new(Mutex::new(self.files.lock().clone())), log }
    }
}

impl LogFiles for MemoryFiles {
    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.lock().get(name).cloned())
    }

    fn write_file(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.files.lock().insert(name.to_owned(), content.to_vec());
        Ok(())
    }

    fn memory_log(&self) -> MemoryLog {
        self.log.clone()
    }
}

/// Entries in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryLog {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Clone, Default)]
struct Inner {
    entries: BTreeMap<u64, Entry>,
    purged: Option<RaftLogId>,
    vote: Option<Vote>,
    committed: Option<RaftLogId>,
}

impl RaftLogReader<TypeConfig> for MemoryLog {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        let inner = self.inner.lock();
        Ok(inner.entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.inner.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for MemoryLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let inner = self.inner.lock();
        let last = inner.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: inner.purged, last_log_id: last.or(inner.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.inner.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> io::Result<()> {
        self.inner.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<RaftLogId>> {
        Ok(self.inner.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut inner = self.inner.lock();
        for entry in entries {
            inner.entries.insert(entry.log_id.index, entry);
        }
        drop(inner);
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<RaftLogId>) -> io::Result<()> {
        let first = last_log_id.map_or(0, |last| last.index + 1);
        drop(self.inner.lock().entries.split_off(&first));
        Ok(())
    }

    async fn purge(&mut self, log_id: RaftLogId) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.entries = inner.entries.split_off(&(log_id.index + 1));
        inner.purged = Some(log_id);
        Ok(())
    }
}
