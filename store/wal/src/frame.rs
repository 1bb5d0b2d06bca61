//! Records in a file, and the chain of checksums over their data.
//!
//! ```text
//! frame   length u56 and padding u8, little endian | the record | padding to eight bytes
//! padding the high bit is set when there is any; the three lowest count its bytes
//! end     a length of 0: the file is written ahead with zeros
//! ```
//!
//! Compat: a last record that was torn is the log's end, in the last file alone: it is cut off, or
//! it does not fit its checksum and one of its sectors is all zeros. Everything else is damage.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use prost::Message as _;

use crate::record::{Record, record_kind as kind};

/// What a disk writes as one. *Units*: bytes. Source: etcd.
const SECTOR_BYTES: u64 = 512;

/// *Units*: bytes.
const LENGTH_BYTES: u64 = 8;

/// How a file goes on.
pub(crate) enum Next {
    /// A record whose data fits the chain.
    Record(Record),
    /// Nothing more was written.
    End,
    /// A torn record: the log's end in the last file, damage in any other.
    Torn(String),
}

/// Why a record is not read.
pub(crate) enum FrameError {
    /// Reading failed.
    Io(std::io::Error),
    /// It is damaged.
    Damaged(String),
}

/// Reads one file's records; the checksum comes from the file before and goes on to the next.
pub(crate) struct Frames<R> {
    content: R,
    bytes: u64,
    offset: u64,
    is_last: bool,
}

impl<R: Read> Frames<R> {
    /// A file of so many bytes, from its beginning.
    pub(crate) fn new(content: R, bytes: u64, is_last: bool) -> Self {
        Self { content, bytes, offset: 0, is_last }
    }

    /// Where the next record begins. *Units*: bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the next record and moves the chain's checksum on.
    pub(crate) fn next(&mut self, crc: &mut u32) -> Result<Next, FrameError> {
        let mut length = [0; 8];
        match self.fill(&mut length)? {
            0 => return Ok(Next::End),
            8 => {}
            _ => return Ok(Next::Torn("the last record's length is cut off".to_owned())),
        }
        let length = u64::from_le_bytes(length);
        if length == 0 {
            return self.end();
        }
        let padding = if length >> 63 == 1 { (length >> 56) & 7 } else { 0 };
        let record_bytes = length & !(0xff << 56);
        let left = self.bytes.saturating_sub(self.offset + LENGTH_BYTES);
        if record_bytes + padding > left {
            return Ok(Next::Torn(format!(
                "a record of {record_bytes} bytes, where {left} are left"
            )));
        }
        let mut framed =
            vec![0; usize::try_from(record_bytes + padding).expect("shorter than the file")];
        if self.fill(&mut framed)? != framed.len() {
            return Ok(Next::Torn("the last record is cut off".to_owned()));
        }
        let framed = Bytes::from(framed);
        let end = usize::try_from(record_bytes).expect("shorter than the file");
        match open(framed.slice(..end), *crc) {
            Ok(record) => {
                *crc = record.crc;
                self.offset += LENGTH_BYTES + record_bytes + padding;
                Ok(Next::Record(record))
            }
            Err(what) if self.is_last && has_empty_sector(&framed, self.offset + LENGTH_BYTES) => {
                Ok(Next::Torn(what))
            }
            Err(what) => Err(FrameError::Damaged(what)),
        }
    }

    /// The end of what was written. A sector is written whole or not at all: what follows in the
    /// same one shows that the length was something else once.
    fn end(&mut self) -> Result<Next, FrameError> {
        let rest = (SECTOR_BYTES - (self.offset + LENGTH_BYTES) % SECTOR_BYTES) % SECTOR_BYTES;
        let mut rest = vec![0; usize::try_from(rest).expect("less than a sector")];
        let filled = self.fill(&mut rest)?;
        match rest[..filled].iter().all(|byte| *byte == 0) {
            true => Ok(Next::End),
            false => Err(FrameError::Damaged("the record's length is overwritten".to_owned())),
        }
    }

    /// Reads until the buffer is full or the file ends; how many bytes there were.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, FrameError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.content.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(FrameError::Io(error)),
            }
        }
        Ok(filled)
    }
}

/// Decodes a record and checks it against the chain.
fn open(bytes: Bytes, crc: u32) -> Result<Record, String> {
    let record = Record::decode(bytes).map_err(|error| format!("no record: {error}"))?;
    if record.kind == kind::CHECKSUM {
        // Compat: a file that is read first has nothing before it to compare with.
        if crc != 0 && record.crc != crc {
            return Err("the file does not go on where the one before ends".to_owned());
        }
        return Ok(record);
    }
    match crc32c::crc32c_append(crc, &record.data) == record.crc {
        true => Ok(record),
        false => Err("the record's checksum differs".to_owned()),
    }
}

/// Whether the part of the bytes in some sector of the disk is all zeros: it was never written.
fn has_empty_sector(bytes: &[u8], offset: u64) -> bool {
    let to_boundary = SECTOR_BYTES - offset % SECTOR_BYTES;
    let first = usize::try_from(to_boundary).expect("at most a sector").min(bytes.len());
    let (first, rest) = bytes.split_at(first);
    let sector = usize::try_from(SECTOR_BYTES).expect("a small number");
    let is_empty = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
    (!first.is_empty() && is_empty(first)) || rest.chunks(sector).any(is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sector_is_counted_from_the_files_beginning() {
        let mut bytes = vec![1; 1200];
        bytes[100..612].fill(0);
        assert!(has_empty_sector(&bytes, 412), "100 bytes, then a whole sector");
        assert!(!has_empty_sector(&bytes, 411), "no sector is empty as a whole");
        bytes[1199] = 0;
        assert!(has_empty_sector(&bytes[..1], 0) == (bytes[0] == 0));
        assert!(!has_empty_sector(&[], 0));
    }
}
