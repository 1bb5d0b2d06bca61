//! What the log's tests share: a plain entry, and a log driven by hand.
//!
//! Must not know: openraft.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use engram_raft::log::{Driver, Log, LogEntry, LogError, LogLimits, MemoryLogFiles, Owner};

pub(crate) const OWNER: Owner = Owner { cluster_id: 7, member_id: 9 };

/// Small segments, so that tests cross them; almost no cache, so that reads come from the files.
pub(crate) const SMALL: LogLimits = LogLimits { segment_bytes: 8 * 1024, cached_bytes_max: 200 };

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) payload: Vec<u8>,
}

impl LogEntry for Plain {
    fn term(&self) -> u64 {
        self.term
    }

    fn index(&self) -> u64 {
        self.index
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.term.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    fn bytes(&self) -> usize {
        self.payload.len() + 16
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        let term = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        let index = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
        Some(Self { term, index, payload: bytes[16..].to_vec() })
    }
}

pub(crate) fn entry(term: u64, index: u64, length: usize) -> Plain {
    let payload = (0..length).map(|at| (at as u64 * 31 + index * 7 + term) as u8).collect();
    Plain { term, index, payload }
}

/// A log whose driver steps only when a test says so.
pub(crate) struct Hand {
    pub(crate) log: Log<Plain>,
    pub(crate) driver: Driver<Plain>,
    pub(crate) torn: bool,
}

impl Hand {
    pub(crate) fn open(files: &MemoryLogFiles) -> Result<Self, LogError> {
        Self::open_as(files, OWNER)
    }

    pub(crate) fn open_as(files: &MemoryLogFiles, owner: Owner) -> Result<Self, LogError> {
        let (log, driver, torn) = Log::open(Arc::new(files.clone()), owner, SMALL)?;
        Ok(Self { log, driver, torn: torn.is_some() })
    }

    /// Appends without a sync; the flag is raised when the entries are durable.
    pub(crate) fn append(&self, entries: Vec<Plain>) -> Arc<AtomicBool> {
        let durable = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&durable);
        let done = Box::new(move |result: std::io::Result<()>| {
            raised.store(result.is_ok(), Ordering::Release);
        });
        self.log.append(entries, done).expect("entries that follow");
        durable
    }

    pub(crate) fn sync(&mut self) {
        self.driver.step_untimed();
    }

    pub(crate) fn all(&self) -> Vec<Plain> {
        self.log.read(self.log.first_index(), u64::MAX, usize::MAX).expect("sound entries")
    }
}
