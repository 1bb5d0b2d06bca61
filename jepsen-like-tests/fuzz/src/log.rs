//! A Raft log: the first byte says whether the rest is a segment, one to seal, or records to lay
//! out.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use proto::log::entry::Payload;
use raft::log::{FUZZ_OWNER, Log, LogEntry, LogLimits, MemoryLogFiles, RecordKind};

const LIMITS: LogLimits = LogLimits { segment_bytes: 8 * 1024, cached_bytes_max: 200 };
const FIRST: &str = "0000000000000001.log";
/// Kinds of what is laid out that are no records.
const GROUP_ENDS: u8 = 0;
const SEGMENT_ENDS: u8 = 6;
const NUMBERS: u8 = 7;

/// Logs with a few entries, in all three forms.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for segment in segments() {
        seeds.push([&[0][..], &segment].concat());
        seeds.push([&[1][..], &segment].concat());
    }
    let parts = parts();
    for until in 1..=parts.len() {
        seeds.push([vec![2], parts[..until].iter().flat_map(framed).collect()].concat());
    }
    seeds
}

/// A segment with one entry, with two, and so on.
fn segments() -> Vec<Vec<u8>> {
    let files = MemoryLogFiles::new();
    let opened = Log::<Entry>::open(Arc::new(files.clone()), FUZZ_OWNER, LIMITS);
    let (log, mut driver, _) = opened.expect("an empty log opens");
    let mut segments = Vec::new();
    for index in 1..=4 {
        let entry = Entry { index, payload: vec![index as u8; 40] };
        log.append(vec![entry], Box::new(|_| ())).expect("entries that follow");
        driver.step_untimed();
        segments.extend(files.bytes(FIRST).map(|mut segment| {
            // A segment is written ahead with zeros: few of them, so that changes meet the rest.
            let end = segment.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            segment.truncate(end.next_multiple_of(512) + 512);
            segment
        }));
    }
    segments
}

/// Three segments with records of every kind.
fn parts() -> Vec<(u8, Vec<u8>)> {
    let position = |index: u64| [1_u64.to_le_bytes(), index.to_le_bytes()].concat();
    let entry = |index| {
        let message = Entry { index, payload: vec![7; 5] }.encode();
        (RecordKind::Entry as u8, [position(index), message].concat())
    };
    let vote = (RecordKind::Vote as u8, [&[1][..], &position(9), &[1]].concat());
    let at = |kind: RecordKind, index| (kind as u8, position(index));
    let ends = |kind| (kind, Vec::new());
    vec![
        vote,
        entry(0),
        ends(GROUP_ENDS),
        entry(1),
        at(RecordKind::Committed, 0),
        entry(2),
        ends(GROUP_ENDS),
        (RecordKind::Truncate as u8, 2_u64.to_le_bytes().to_vec()),
        ends(SEGMENT_ENDS),
        entry(2),
        at(RecordKind::Purge, 0),
        ends(GROUP_ENDS),
        (GROUP_ENDS, [3_u64.to_le_bytes(), 5_u64.to_le_bytes()].concat()),
        ends(SEGMENT_ENDS),
        (NUMBERS, [3_u64.to_le_bytes(), 6_u64.to_le_bytes()].concat()),
        entry(3),
    ]
}

fn framed((kind, data): &(u8, Vec<u8>)) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short records").to_le_bytes();
    [&[*kind][..], &length, data].concat()
}

/// An entry with a batch that is no batch.
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
        let payload = Some(Payload::Batch(self.payload.clone().into()));
        proto::log::Entry { term: 1, index: self.index, payload }.encode_to_vec()
    }

    fn bytes(&self) -> usize {
        self.payload.len() + 8
    }

    fn decode(_: Bytes) -> Option<Self> {
        None
    }
}
