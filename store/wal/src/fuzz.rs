//! The door of fuzzers: bytes in, nothing out, and no way to panic.
//!
//! An input's first byte says what the rest is: the bytes of one file, or records that are sealed
//! here, since no fuzzer guesses a chain of checksums.

use std::io::Cursor;

use bytes::Bytes;

use crate::seal::seal;
use crate::segment::{Segment, SegmentName};
use crate::{command, committed, entries, names, survey};

/// Does with the bytes whatever this room can do with a log.
pub fn fuzz_read(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let content = match how % 2 {
        0 => rest.to_vec(),
        _ => seal(&mut 0, &records(rest)),
    };
    let length = content.len();
    let mut segments = [Segment {
        shown: "0.wal".to_owned(),
        name: SegmentName { sequence: 0, first_index: 0 },
        bytes: length as u64,
        content: Cursor::new(content),
    }];
    let Ok(survey) = survey(&mut segments) else { return };
    let after = survey.snapshot.map_or(0, |mark| mark.index);
    let Ok(tail) = entries(&mut segments, after) else { return };
    assert!(tail.entries.len() * 10 <= length, "no byte is read as two entries");
    let bytes: usize = tail.entries.iter().map(|entry| entry.data.len()).sum();
    assert!(bytes <= length, "no byte is read twice");
    let node = survey.node_id;
    if let Ok(count) = committed(&tail.entries, after, &survey.hard_state, node, [node]) {
        assert!(count <= tail.entries.len(), "no more is committed than was written");
    }
    let _ = names(&tail.entries, node);
    for entry in &tail.entries {
        let _ = command(entry);
    }
}

/// A byte for the kind, two for the length, and the data, again and again.
fn records(mut rest: &[u8]) -> Vec<(i64, Bytes)> {
    let mut records = Vec::new();
    while let [kind, low, high, more @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        let (data, after) = more.split_at(length);
        records.push((i64::from(*kind), Bytes::copy_from_slice(data)));
        rest = after;
    }
    records
}
