//! Every record of a log's files, in order.
//!
//! Invariants: all files tell of one member; the chain of checksums holds from file to file; the
//! entries kept follow each other without a gap and terms never fall; an entry that comes again
//! replaces all from its place on, as a new leader has it, but never one that was applied.

use std::io::{BufReader, Read, Seek};

use bytes::Bytes;
use prost::Message;

use crate::error::WalError;
use crate::frame::{FrameError, Frames, Next};
use crate::record::{Entry, HardState, Metadata, Record, SnapshotMark, record_kind as kind};
use crate::segment::{Segment, order};

/// *Units*: bytes.
const READ_BYTES: usize = 1 << 20;

/// What a log says as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Whose log it is.
    pub node_id: u64,
    /// Of which cluster.
    pub cluster_id: u64,
    /// The last one that was written.
    pub hard_state: HardState,
    /// The newest mark at or below the hard state's commit; none: the log begins with entry 1.
    pub snapshot: Option<SnapshotMark>,
    /// Where a crash tore the end, if it did.
    pub torn: Option<Torn>,
}

/// A last write that was never finished, so nobody was ever answered for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub file: String,
    /// Where the record begins. *Units*: bytes.
    pub offset: u64,
    /// How it is known.
    pub what: String,
}

/// Entries after a database's last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// In order, the first of them right after what was asked for.
    pub entries: Vec<Entry>,
    /// The term of the entry that was asked for, if the files still have it.
    pub term_before: Option<u64>,
    /// The index of the log's last entry; 0: it has none.
    pub last_index: u64,
}

/// Reads all files once.
///
/// *Errors*: damage; a missing file; files of several members.
pub fn survey<S: Read + Seek>(segments: &mut [Segment<S>]) -> Result<Survey, WalError> {
    let mut metadata: Option<(Bytes, Metadata)> = None;
    let mut survey = Survey::default();
    let mut marks = Vec::new();
    let mut entry_term = 0;
    survey.torn = walk(segments, &mut |record| {
        match record.kind {
            kind::METADATA => {
                let new: Metadata = message(&record)?;
                match &metadata {
                    Some((known, _)) if *known != record.data => {
                        return Err("the log is of several members".to_owned());
                    }
                    _ => metadata = Some((record.data, new)),
                }
            }
            kind::STATE => survey.take(message(&record)?, entry_term)?,
            kind::SNAPSHOT => marks.push(message::<SnapshotMark>(&record)?),
            kind::ENTRY => entry_term = entry_term.max(message::<Entry>(&record)?.term),
            kind::CHECKSUM => {}
            other => return Err(format!("a record of the unknown kind {other}")),
        }
        Ok(())
    })?;
    let Some((_, metadata)) = metadata else {
        return Err(WalError::Files("the log does not say whose it is".to_owned()));
    };
    (survey.node_id, survey.cluster_id) = (metadata.node_id, metadata.cluster_id);
    // Compat: a mark above the commit is of a snapshot that was never finished.
    let commit = survey.hard_state.commit;
    survey.snapshot = marks.into_iter().rfind(|mark| mark.index <= commit && mark.index > 0);
    Ok(survey)
}

impl Survey {
    /// A record's kind is in no checksum: what a member never writes shows that it was altered.
    fn take(&mut self, state: HardState, entry_term: u64) -> Result<(), String> {
        if state.term < self.hard_state.term || state.term < entry_term {
            let term = state.term;
            return Err(format!("the member's term falls to {term}, which no member's does"));
        }
        self.hard_state = state;
        Ok(())
    }
}

/// Reads the entries after `after`.
///
/// *Errors*: as [`survey`]; entries are missing or contradict each other.
pub fn entries<S: Read + Seek>(segments: &mut [Segment<S>], after: u64) -> Result<Tail, WalError> {
    let mut tail = Tail::default();
    walk(segments, &mut |record| match record.kind {
        kind::ENTRY => tail.take(message(&record)?, after),
        _ => Ok(()),
    })?;
    Ok(tail)
}

impl Tail {
    fn take(&mut self, entry: Entry, after: u64) -> Result<(), String> {
        self.last_index = entry.index;
        let Some(place) = entry.index.checked_sub(after).and_then(|place| place.checked_sub(1))
        else {
            if !self.entries.is_empty() {
                let index = entry.index;
                return Err(format!("entry {index} comes again, though it was applied long ago"));
            }
            if entry.index == after {
                self.term_before = Some(entry.term);
            }
            return Ok(());
        };
        let missing = after.saturating_add(1).saturating_add(self.entries.len() as u64);
        let place = usize::try_from(place).ok().filter(|place| *place <= self.entries.len());
        let place = place
            .ok_or_else(|| format!("entry {} comes where {missing} is missing", entry.index))?;
        self.entries.truncate(place);
        let term = self.entries.last().map_or(self.term_before, |last| Some(last.term));
        if term.is_some_and(|term| entry.term < term) {
            return Err(format!("entry {} is of an earlier term than the one before", entry.index));
        }
        self.entries.push(entry);
        Ok(())
    }
}

/// Visits every record; where the end is torn, if it is.
fn walk<S: Read + Seek>(
    segments: &mut [Segment<S>],
    visit: &mut dyn FnMut(Record) -> Result<(), String>,
) -> Result<Option<Torn>, WalError> {
    order(segments)?;
    let files = segments.len();
    let mut crc = 0;
    for (number, segment) in segments.iter_mut().enumerate() {
        let shown = &segment.shown;
        let io = |error| WalError::Io { file: shown.clone(), error };
        segment.content.rewind().map_err(io)?;
        let is_last = number + 1 == files;
        let buffered = usize::try_from(segment.bytes).unwrap_or(READ_BYTES).min(READ_BYTES);
        let content = BufReader::with_capacity(buffered, &mut segment.content);
        let mut frames = Frames::new(content, segment.bytes, is_last);
        loop {
            let offset = frames.offset();
            let damaged = |what| WalError::Record { file: shown.clone(), offset, what };
            match frames.next(&mut crc) {
                Ok(Next::Record(record)) => visit(record).map_err(damaged)?,
                Ok(Next::End) => break,
                Ok(Next::Torn(what)) if is_last => {
                    return Ok(Some(Torn { file: shown.clone(), offset, what }));
                }
                Ok(Next::Torn(what)) | Err(FrameError::Damaged(what)) => {
                    return Err(damaged(what));
                }
                Err(FrameError::Io(error)) => return Err(io(error)),
            }
        }
    }
    Ok(None)
}

fn message<M: Message + Default>(record: &Record) -> Result<M, String> {
    M::decode(record.data.clone()).map_err(|error| format!("cannot be read: {error}"))
}
