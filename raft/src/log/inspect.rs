//! Looking into a stopped member's log: every record, or just whether it is sound. Reads only.
//!
//! Must not know: how results are shown.

use std::path::Path;

use bytes::Bytes;

use super::entry::LogEntry;
use super::error::LogError;
use super::files::{LogFiles, RealLogFiles};
use super::format::{Record, RecordKind, position_of};
use super::recover::{TornTail, recover};
use super::state::Position;

/// One record as it lies in the log.
#[derive(Debug, Clone)]
pub struct InspectedRecord {
    /// The segment's file name.
    pub file: String,
    /// Where the record begins in the file, in bytes.
    pub offset: u64,
    /// What it is about.
    pub kind: RecordKind,
    /// Term and index, for the kinds that have them.
    pub position: Option<Position>,
    /// Its payload's length in bytes.
    pub payload_bytes: usize,
}

/// What a log holds, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Sound records.
    pub records: u64,
    /// The index of the first entry and one past the last.
    pub entries: std::ops::Range<u64>,
    /// What was purged.
    pub purged: Option<Position>,
    /// What was last noted as committed.
    pub committed: Option<Position>,
    /// A torn last write: it will be dropped when the member starts.
    pub torn: Option<TornTail>,
}

/// Entries are not kept: only their places are looked at.
#[derive(Clone)]
struct Opaque;

impl LogEntry for Opaque {
    fn term(&self) -> u64 {
        0
    }

    fn index(&self) -> u64 {
        0
    }

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn bytes(&self) -> usize {
        0
    }

    fn decode(_bytes: Bytes) -> Option<Self> {
        Some(Self)
    }
}

/// Shows every sound record to `visit`, oldest first.
///
/// *Errors*: damage, after the records before it were shown; a running member's log may look torn.
pub fn inspect(directory: &Path, visit: impl FnMut(InspectedRecord)) -> Result<Report, LogError> {
    inspect_files(&RealLogFiles::open_read_only(directory)?, visit)
}

/// [`inspect`] for files wherever they are.
pub fn inspect_files(
    files: &dyn LogFiles,
    mut visit: impl FnMut(InspectedRecord),
) -> Result<Report, LogError> {
    let mut records = 0;
    let mut show = |file: &str, offset: u64, record: &Record| {
        records += 1;
        let has_position =
            matches!(record.kind, RecordKind::Entry | RecordKind::Committed | RecordKind::Purge);
        let position = position_of(&record.payload).filter(|_| has_position);
        visit(InspectedRecord {
            file: file.to_owned(),
            offset,
            kind: record.kind,
            position: position.map(|(term, index)| Position { term, index }),
            payload_bytes: record.payload.len(),
        });
    };
    let recovered = recover::<Opaque>(files, None, 0, &mut show)?;
    let state = &recovered.state;
    Ok(Report {
        records,
        entries: state.first_index()..state.end_index(),
        purged: state.purged,
        committed: state.committed,
        torn: recovered.torn,
    })
}

/// Checks every checksum and the chain.
pub fn verify(directory: &Path) -> Result<Report, LogError> {
    inspect(directory, |_| ())
}
