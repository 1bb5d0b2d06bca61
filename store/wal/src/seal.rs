//! Records in the form in which etcd writes them: for tests, and for fuzzers, which cannot guess a
//! chain of checksums.

use bytes::Bytes;
use prost::Message as _;

use crate::record::{Record, record_kind};

/// A file of these records, kind and data. The checksum goes on from file to file; a file begins
/// with a record of the kind `CHECKSUM`, which has no data.
#[must_use]
pub fn seal(crc: &mut u32, records: &[(i64, Bytes)]) -> Vec<u8> {
    let mut file = Vec::new();
    for (kind, data) in records {
        if *kind != record_kind::CHECKSUM {
            *crc = crc32c::crc32c_append(*crc, data);
        }
        let record = Record { kind: *kind, crc: *crc, data: data.clone() }.encode_to_vec();
        let padding = (8 - record.len() % 8) % 8;
        let mut length = record.len() as u64;
        if padding > 0 {
            length |= (0x80 | padding as u64) << 56;
        }
        file.extend(length.to_le_bytes());
        file.extend(record);
        file.resize(file.len() + padding, 0);
    }
    file
}
