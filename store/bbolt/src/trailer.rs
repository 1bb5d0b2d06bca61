//! The checksum at the end of a snapshot: the SHA-256 of all bytes before it.
//!
//! Compat: a file that is 32 bytes longer than a multiple of 512 has one; a database copied from a
//! data directory has none.

use sha2::{Digest as _, Sha256};

use crate::error::BboltError;
use crate::source::Source;

/// *Units*: bytes.
pub const TRAILER_BYTES: u64 = 32;

/// *Units*: bytes. The smallest sector of a disk; every page is a multiple of it.
const SECTOR_BYTES: u64 = 512;
/// *Units*: bytes read at a time.
const READ_BYTES: u64 = 256 << 10;

/// Whether the length is one of a snapshot with its checksum.
pub fn has_trailer(length: u64) -> bool {
    length % SECTOR_BYTES == TRAILER_BYTES
}

/// Reads the whole file and compares.
///
/// *Errors*: in etcdutl's words: there is no checksum, or it differs.
pub fn check_trailer(source: &impl Source) -> Result<(), BboltError> {
    let length = source.length()?;
    if !has_trailer(length) {
        let text = "snapshot missing hash but --skip-hash-check=false";
        return Err(BboltError::Checksum(text.to_owned()));
    }
    let end = length - TRAILER_BYTES;
    let mut hash = Sha256::new();
    let mut at = 0;
    let mut part = Vec::new();
    while at < end {
        let bytes = READ_BYTES.min(end - at);
        part.resize(usize::try_from(bytes).expect("at most 256 KiB"), 0);
        source.read_at(at, &mut part)?;
        hash.update(&part);
        at += bytes;
    }
    let mut written = [0; TRAILER_BYTES as usize];
    source.read_at(end, &mut written)?;
    let found = hash.finalize();
    if found[..] != written {
        let shown = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
        let text = format!("expected sha256 [{}], got [{}]", shown(&written), shown(&found));
        return Err(BboltError::Checksum(text));
    }
    Ok(())
}
