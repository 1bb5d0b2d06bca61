//! The door of fuzzers: bytes in, nothing out, and no way to panic.
//!
//! An input's first byte says what the rest is: the bytes of one file, or records that are sealed
//! here into files, since no fuzzer guesses a chain of checksums.
//!
//! ```text
//! records  kind u8, length u16, data; again and again; the kind 255 begins the next file
//! ```

use std::io::Cursor;

use bytes::Bytes;

use crate::seal::seal;
use crate::segment::{Segment, SegmentName};
use crate::{command, committed, entries, names, survey};

/// Among the kinds of records.
const NEXT_FILE: u8 = 255;

/// Does with the bytes whatever this room can do with a log.
pub fn fuzz_read(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let contents = match how % 2 {
        0 => vec![rest.to_vec()],
        _ => sealed(rest),
    };
    let length: usize = contents.iter().map(Vec::len).sum();
    let mut segments: Vec<_> = contents.into_iter().zip(0..).map(segment).collect();
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

fn segment((content, sequence): (Vec<u8>, u64)) -> Segment<Cursor<Vec<u8>>> {
    Segment {
        shown: format!("{sequence}.wal"),
        name: SegmentName { sequence, first_index: 0 },
        bytes: content.len() as u64,
        content: Cursor::new(content),
    }
}

/// The files of these records.
fn sealed(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let (mut files, mut records, mut crc) = (Vec::new(), Vec::new(), 0);
    while let [kind, low, high, more @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        let (data, after) = more.split_at(length);
        match *kind {
            NEXT_FILE => files.push(seal(&mut crc, &std::mem::take(&mut records))),
            kind => records.push((i64::from(kind), Bytes::copy_from_slice(data))),
        }
        rest = after;
    }
    files.push(seal(&mut crc, &records));
    files
}
