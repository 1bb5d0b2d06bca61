//! How far etcd's own log goes: only that, because its database may be behind it.
//!
//! ```text
//! frame   length u56 and padding u8, little endian | the record | padding
//! record  walpb.Record: kind 1 metadata, 2 entry, 3 hard state, 4 checksum, 5 snapshot
//! ```
//!
//! *Source*: etcd's `server/storage/wal`. Checksums are not compared: what does not decode is
//! refused.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use prost::Message as _;

use crate::ToolError;

/// *Units*: bytes; etcd's largest request is far below.
const RECORD_BYTES_MAX: u64 = 512 << 20;

const ENTRY: i64 = 2;

#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(bytes = "vec", tag = "3")]
    data: Vec<u8>,
}

/// `raftpb.Entry`, as far as it matters.
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(uint64, tag = "3")]
    index: u64,
}

/// The index of the last entry in the log's files; 0: there is none.
///
/// *Errors*: a file cannot be read to its end.
pub(super) fn last_index(directory: &Path) -> Result<u64, ToolError> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    files.sort();
    let mut last = 0;
    for path in &files {
        let file = BufReader::with_capacity(1 << 20, File::open(path)?);
        read(file, &mut last)
            .map_err(|what| ToolError::Damaged(format!("{}: {what}", path.display())))?;
    }
    Ok(last)
}

/// Reads one file to its end, or to the zeros that are written ahead.
fn read(mut file: impl Read, last: &mut u64) -> Result<(), String> {
    let mut frame = [0; 8];
    loop {
        match file.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
        let length = u64::from_le_bytes(frame);
        if length == 0 {
            return Ok(());
        }
        // The high bit says that the three below it count the padding.
        let padding = if length >> 63 == 1 { (length >> 56) & 7 } else { 0 };
        let bytes = (length & !(0xff << 56)) + padding;
        if bytes > RECORD_BYTES_MAX {
            return Err(format!("a record of {bytes} bytes"));
        }
        let mut record = Vec::new();
        let read = file.by_ref().take(bytes).read_to_end(&mut record);
        if read.map_err(|error| error.to_string())? as u64 != bytes {
            return Err("the last record is cut off".to_owned());
        }
        record.truncate(record.len() - usize::try_from(padding).expect("at most seven"));
        let record = Record::decode(&record[..]).map_err(|error| error.to_string())?;
        if record.kind == ENTRY {
            let entry = Entry::decode(&record.data[..]).map_err(|error| error.to_string())?;
            *last = entry.index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(record: &Record) -> Vec<u8> {
        let bytes = record.encode_to_vec();
        let padding = (8 - bytes.len() % 8) % 8;
        let mut length = bytes.len() as u64;
        if padding > 0 {
            length |= (0x80 | padding as u64) << 56;
        }
        let mut frame = length.to_le_bytes().to_vec();
        frame.extend(bytes);
        frame.resize(frame.len() + padding, 0);
        frame
    }

    fn entry(index: u64) -> Vec<u8> {
        frame(&Record { kind: ENTRY, data: Entry { index }.encode_to_vec() })
    }

    #[test]
    fn the_last_entry_counts_also_when_it_replaces_later_ones() {
        let zeros = vec![0; 64];
        let file =
            [entry(7), frame(&Record { kind: 3, data: vec![] }), entry(300), entry(8), zeros];
        let mut last = 0;
        read(&file.concat()[..], &mut last).expect("sound");
        assert_eq!(last, 8);
    }

    #[test]
    fn a_record_that_is_cut_off_or_too_long_is_refused() {
        let file = entry(7);
        assert!(read(&file[..file.len() - 1], &mut 0).is_err());
        assert!(read(&(1_u64 << 50).to_le_bytes()[..], &mut 0).is_err());
        assert!(read(&[&[9, 0, 0, 0, 0, 0, 0, 0][..], &[0xff; 9]].concat()[..], &mut 0).is_err());
    }
}
