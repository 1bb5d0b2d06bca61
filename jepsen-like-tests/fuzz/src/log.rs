//! One file of a Raft log.

use std::sync::Arc;

use bytes::Bytes;
use raft::log::{Log, LogEntry, LogLimits, MemoryLogFiles, Owner, inspect_files};

const OWNER: Owner = Owner { cluster_id: 7, member_id: 9 };
const LIMITS: LogLimits = LogLimits { segment_bytes: 8 * 1024, cached_bytes_max: 200 };
const FIRST: &str = "0000000000000001.log";

/// Opens a log of these bytes. What opens is sound the second time too.
pub(crate) fn read(data: &[u8]) {
    let files = MemoryLogFiles::new();
    files.place(FIRST, data.to_vec());
    let mut records = 0;
    let shown = inspect_files(&files, |_| records += 1);
    assert!(shown.is_err() || records * 9 <= data.len(), "no byte is read as two records");
    if Log::<Entry>::open(Arc::new(files.clone()), OWNER, LIMITS).is_ok() {
        let again = Log::<Entry>::open(Arc::new(files), OWNER, LIMITS);
        let torn = again.expect("what was recovered is sound").2;
        assert!(torn.is_none(), "a torn end is cut once");
    }
}

/// An entry that is its bytes.
#[derive(Debug, Clone)]
struct Entry {
    index: u64,
    payload: Vec<u8>,
}

impl LogEntry for Entry {
    fn term(&self) -> u64 {
        1
    }

    fn index(&self) -> u64 {
        self.index
    }

    fn encode(&self) -> Vec<u8> {
        [&self.index.to_le_bytes()[..], &self.payload].concat()
    }

    fn bytes(&self) -> usize {
        self.payload.len() + 8
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        let index = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        Some(Self { index, payload: bytes[8..].to_vec() })
    }
}

/// Logs with a few entries.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let files = MemoryLogFiles::new();
    let opened = Log::<Entry>::open(Arc::new(files.clone()), OWNER, LIMITS);
    let (log, mut driver, _) = opened.expect("an empty log opens");
    let mut seeds = Vec::new();
    for index in 1..=4 {
        let entry = Entry { index, payload: vec![index as u8; 40] };
        log.append(vec![entry], Box::new(|_| ())).expect("entries that follow");
        driver.step_untimed();
        seeds.extend(files.bytes(FIRST));
    }
    seeds
}
