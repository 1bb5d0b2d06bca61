//! The door of fuzzers: bytes in, nothing out, and no way to panic.
//!
//! An input's first byte says what the rest is: a segment; a segment whose checksums are put right
//! here, since no fuzzer guesses them; or records that are laid out here in groups and segments,
//! since no fuzzer keeps lengths right while it cuts.
//!
//! ```text
//! laid out  kind u8, length u16, data; again and again
//! kind 0    the group ends     data: its synced sequence u64, its sequence u64; as due if missing
//! kind 6    the segment ends   also one without groups
//! kind 7    what comes next    data: the segment's number u64, the group's sequence u64
//! other     a record of this kind with this payload
//! ```

use std::io;
use std::sync::Arc;

use super::codec::{decode_vote, encode_vote};
use super::entry::LogEntry as _;
use super::error::LogError;
use super::format::{
    ALIGNMENT_BYTES, GROUP_HEADER_BYTES, GROUP_MAGIC, NUMBER_MAX, Owner, RECORD_HEADER_BYTES,
    SegmentHeader, segment_name, u64_at,
};
use super::handle::{Driver, Log, LogLimits};
use super::inspect::inspect_files;
use super::memory_files::MemoryLogFiles;
use super::recover::TornTail;
use super::seal::seal;
use super::state::Position;
use crate::types::{Entry, Payload, log_id, vote};

/// Whose log the inputs must be.
pub const FUZZ_OWNER: Owner = Owner { cluster_id: 7, member_id: 9 };
/// Small segments, so that what is appended begins new ones; almost no cache, so that entries are
/// read from the files.
const LIMITS: LogLimits = LogLimits { segment_bytes: 8 * 1024, cached_bytes_max: 200 };
/// *Units*: bytes of all files that an input is laid out as: a group takes three, and fills 512.
const LAID_OUT_BYTES_MAX: usize = 256 * 1024;

/// *Units*: bytes of zeros after a segment's groups: it is written ahead of them.
const AHEAD_BYTES: usize = 2 * ALIGNMENT_BYTES;

const GROUP_ENDS: u8 = 0;
const SEGMENT_ENDS: u8 = 6;
const NUMBERS: u8 = 7;

/// Opens a log of the bytes, looks at all of it, and goes on with it.
pub fn fuzz_read(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let segments = match how % 3 {
        0 => vec![(1, rest.to_vec())],
        1 => {
            let mut segment = rest.to_vec();
            seal(&mut segment, None);
            vec![(1, segment)]
        }
        _ => laid_out(rest),
    };
    let files = MemoryLogFiles::new();
    let mut bytes = 0;
    for (number, segment) in segments {
        bytes += segment.len();
        files.place(&segment_name(number), segment);
    }
    check(&files, bytes);
}

/// What opens is the same the second time, and what is appended then is there the third time.
fn check(files: &MemoryLogFiles, bytes: usize) {
    let mut records = 0;
    let shown = inspect_files(files, |_| records += 1);
    assert!(records * RECORD_HEADER_BYTES <= bytes, "no byte is read as two records");
    let Ok((log, driver, _)) = open(files) else { return };
    assert!(shown.is_ok(), "what opens can be looked into");
    let found = Contents::of(&log);
    drop((log, driver));
    let (log, mut driver, torn) = open(files).expect("what was recovered is sound");
    assert!(torn.is_none(), "a torn end is cut once");
    assert!(Contents::of(&log) == found, "what was recovered is recovered again");
    let index = found.last.map_or(0, |last| last.index + 1);
    let entry = Entry { log_id: log_id(u64::MAX, index), payload: Payload::Blank };
    let voted = encode_vote(&vote(u64::MAX, 9, true));
    log.save_vote(voted.clone(), Box::new(|_| ())).expect("an open log takes a vote");
    let appended = log.append([entry], Box::new(|_| ()));
    assert!(appended.is_ok() == (index <= NUMBER_MAX), "an entry that follows is taken");
    if appended.is_err() {
        return;
    }
    driver.step_untimed();
    drop((log, driver));
    let (log, ..) = open(files).expect("what was written is sound");
    assert!(log.vote() == Some(voted), "the vote was written");
    let last = Position { term: u64::MAX, index };
    assert!(log.ends() == (found.purged, Some(last)), "the entry was written");
}

type Opened = (Log<Entry>, Driver<Entry>, Option<TornTail>);

fn open(files: &MemoryLogFiles) -> Result<Opened, LogError> {
    Log::open(Arc::new(files.clone()), FUZZ_OWNER, LIMITS)
}

/// All that a log tells.
#[derive(PartialEq)]
struct Contents {
    vote: Option<Vec<u8>>,
    committed: Option<Position>,
    purged: Option<Position>,
    last: Option<Position>,
    entries: Result<Vec<Entry>, io::ErrorKind>,
}

impl Contents {
    fn of(log: &Log<Entry>) -> Self {
        let vote = log.vote().map(|bytes| bytes.to_vec());
        if let Some((bytes, vote)) = vote.as_deref().and_then(|b| Some((b, decode_vote(b)?))) {
            assert!(encode_vote(&vote) == bytes, "a vote is written in one way");
        }
        let (purged, last) = log.ends();
        let read = log.read(log.first_index(), u64::MAX, usize::MAX);
        let entries = read.map_err(|error| error.kind());
        for (at, entry) in entries.iter().flatten().enumerate() {
            assert!(entry.index() == log.first_index() + at as u64, "an entry is in its place");
            if let Payload::Normal(batch) = &entry.payload {
                let _ = batch.batch();
            }
        }
        if let (Ok(entries), Some(last)) = (&entries, last.filter(|last| Some(*last) != purged)) {
            let read = entries.last().map(|entry| (entry.term(), entry.index()));
            assert!(read == Some((last.term, last.index)), "what is said to be there can be read");
        }
        Self { vote, committed: log.committed(), purged, last, entries }
    }
}

/// Numbers and bytes of the segments that an input describes.
fn laid_out(mut rest: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut layout = Layout { number: 1, sequence: 1, ..Layout::default() };
    while let [kind, low, high, more @ ..] = rest
        && layout.bytes < LAID_OUT_BYTES_MAX
    {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        let (data, after) = more.split_at(length);
        match *kind {
            GROUP_ENDS => layout.end_group(data),
            SEGMENT_ENDS => layout.end_segment(),
            NUMBERS => {
                layout.number = number(data, 0).unwrap_or(layout.number);
                layout.sequence = number(data, 8).unwrap_or(layout.sequence);
            }
            kind => layout.record(kind, data),
        }
        rest = after;
    }
    if !layout.body.is_empty() || !layout.segment.is_empty() {
        layout.end_segment();
    }
    layout.segments
}

/// What is laid out so far.
#[derive(Default)]
struct Layout {
    segments: Vec<(u64, Vec<u8>)>,
    /// *Units*: bytes of those segments and of what comes into the next one.
    bytes: usize,
    number: u64,
    sequence: u64,
    /// `None` before the first segment, which goes on with what it likes.
    chain: Option<u32>,
    segment: Vec<u8>,
    body: Vec<u8>,
}

impl Layout {
    fn record(&mut self, kind: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("at most what an u16 says");
        self.body.extend(length.to_le_bytes());
        self.body.extend([kind, 0, 0, 0, 0]);
        self.body.extend(payload);
        self.bytes += RECORD_HEADER_BYTES + payload.len();
    }

    fn end_group(&mut self, data: &[u8]) {
        self.begin_segment();
        let synced = number(data, 0).unwrap_or(self.sequence.saturating_sub(1));
        let sequence = number(data, 8).unwrap_or(self.sequence);
        let length = u32::try_from(self.body.len()).expect("an input is far below 4 GiB");
        let segment = &mut self.segment;
        segment.extend(GROUP_MAGIC);
        segment.extend(length.to_le_bytes());
        for field in [self.number, sequence, synced] {
            segment.extend(field.to_le_bytes());
        }
        // Chain and checksums come when the segment is sealed.
        segment.extend([0; GROUP_HEADER_BYTES - 32]);
        segment.append(&mut self.body);
        segment.resize(segment.len().next_multiple_of(ALIGNMENT_BYTES), 0);
        self.bytes += ALIGNMENT_BYTES;
        self.sequence = sequence.wrapping_add(1);
    }

    fn begin_segment(&mut self) {
        if self.segment.is_empty() {
            let (number, first_sequence) = (self.number, self.sequence);
            let header = SegmentHeader { owner: FUZZ_OWNER, number, first_sequence, chain: 0 };
            self.segment = header.encode();
            self.bytes += ALIGNMENT_BYTES + AHEAD_BYTES;
        }
    }

    fn end_segment(&mut self) {
        if !self.body.is_empty() {
            self.end_group(&[]);
        }
        self.begin_segment();
        let mut segment = std::mem::take(&mut self.segment);
        segment.resize(segment.len() + AHEAD_BYTES, 0);
        self.chain = Some(seal(&mut segment, self.chain));
        self.segments.push((self.number, segment));
        self.number = self.number.wrapping_add(1);
    }
}

fn number(data: &[u8], at: usize) -> Option<u64> {
    (data.len() >= at + 8).then(|| u64_at(data, at))
}

#[cfg(test)]
mod tests {
    use super::super::format::{RecordKind, position_bytes};
    use super::*;

    /// A part of what is laid out.
    fn part(kind: u8, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).expect("short").to_le_bytes();
        [&[kind][..], &length, data].concat()
    }

    /// Opens what is laid out.
    fn opened(parts: &[u8]) -> Result<Opened, LogError> {
        let files = MemoryLogFiles::new();
        for (number, segment) in laid_out(parts) {
            files.place(&segment_name(number), segment);
        }
        open(&files)
    }

    #[test]
    fn numbers_that_no_log_comes_to_are_damage_though_every_checksum_fits() {
        let numbers = |segment: u64, sequence: u64| {
            let data = [segment.to_le_bytes(), sequence.to_le_bytes()].concat();
            [part(NUMBERS, &data), part(SEGMENT_ENDS, &[])].concat()
        };
        let record = |kind, index| part(kind as u8, &position_bytes(1, index));
        assert!(opened(&numbers(1, NUMBER_MAX)).is_ok());
        assert!(opened(&record(RecordKind::Entry, NUMBER_MAX)).is_ok());
        let refused = [
            numbers(0, 1),
            numbers(1, 0),
            numbers(1, u64::MAX),
            numbers(u64::MAX, 1),
            record(RecordKind::Entry, u64::MAX),
            record(RecordKind::Purge, u64::MAX),
            record(RecordKind::Committed, NUMBER_MAX + 1),
        ];
        for (case, parts) in refused.iter().enumerate() {
            let error = opened(parts).err();
            assert!(matches!(error, Some(LogError::Damaged { .. })), "case {case}: {error:?}");
        }
    }

    #[test]
    fn what_is_laid_out_is_a_sound_log() {
        let parts = [
            part(RecordKind::Vote as u8, &[7]),
            part(SEGMENT_ENDS, &[]),
            part(RecordKind::Committed as u8, &position_bytes(1, 2)),
            part(GROUP_ENDS, &[]),
            part(RecordKind::Committed as u8, &position_bytes(1, 3)),
        ];
        let (log, _, torn) = opened(&parts.concat()).expect("sound");
        assert!(torn.is_none());
        assert_eq!(log.vote().as_deref(), Some(&[7][..]));
        assert_eq!(log.committed(), Some(Position { term: 1, index: 3 }));
    }
}
