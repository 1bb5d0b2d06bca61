//! The bytes of a segment: its header, groups, and records; pure, in both directions.
//!
//! ```text
//! segment   0        512                                            length
//!           ┌────────┬───────────┬───────────┬───────────┬─ ─ ─ ─ ─ ─┐
//!           │ header │ group     │ group     │ group     │ zeros, or │
//!           └────────┴───────────┴───────────┴───────────┴ stale ─ ─ ┘
//!                     each starts at a multiple of 512
//!
//! segment header (64 bytes, little endian, then zeros up to 512)
//!   0 magic "ENGRLOG\x01"   8 format u32   12 zero u32   16 cluster id u64   24 member id u64
//!   32 segment number u64   40 first group's sequence u64   48 chain before it u32
//!   52 zero   60 crc32c u32
//!
//! group header (48 bytes), then the records
//!   0 magic "GRP\x01"   4 body length u32   8 segment number u64   16 sequence u64
//!   24 synced sequence u64   32 chain: crc of the group before u32   36 crc32c of the body u32
//!   40 zero u32   44 crc32c of the header u32
//!
//! record
//!   0 payload length u32   4 kind u8   5 crc32c of kind and payload u32   9 payload
//! ```
//!
//! Invariants: a group is valid only with its own segment's number, the expected sequence and the
//! chain of the group before, so that a recycled segment's stale groups are never read as new ones.
//! A header can be checked on its own, so that a later group is found beyond a damaged one.
//! Decoding any bytes returns; it never panics.
//!
//! Must not know: files, Raft's rules.

use bytes::Bytes;

use crate::limits::LOG_INDEX_MAX;

/// What a group is aligned to, and the room of the segment header, in bytes.
pub(crate) const ALIGNMENT_BYTES: usize = 512;

/// The release of the format; a higher one is refused.
pub(crate) const FORMAT: u32 = 1;

pub(super) const SEGMENT_MAGIC: [u8; 8] = *b"ENGRLOG\x01";
pub(super) const SEGMENT_HEADER_BYTES: usize = 64;
pub(super) const GROUP_MAGIC: [u8; 4] = *b"GRP\x01";

/// The highest number of a segment, a group or an entry: no log comes to it, and sums of what is
/// below it do not overflow.
pub(crate) const NUMBER_MAX: u64 = LOG_INDEX_MAX;

/// A group header's length in bytes.
pub(crate) const GROUP_HEADER_BYTES: usize = 48;

/// A record's length in bytes without its payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 9;

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The cluster's id.
    pub cluster_id: u64,
    /// The member's id.
    pub member_id: u64,
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) owner: Owner,
    pub(crate) number: u64,
    pub(crate) first_sequence: u64,
    pub(crate) chain: u32,
}

/// Why a segment header is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadSegment {
    /// All zeros: the segment was made and never begun.
    Blank,
    /// The checksum or the magic is wrong.
    Damaged,
    /// A later release wrote it.
    Format(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ALIGNMENT_BYTES);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for field in [self.owner.cluster_id, self.owner.member_id, self.number, self.first_sequence]
        {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&self.chain.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.resize(ALIGNMENT_BYTES, 0);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadSegment> {
        // Also a file that is too short: its making was interrupted.
        if bytes.iter().take(SEGMENT_HEADER_BYTES).all(|byte| *byte == 0) {
            return Err(BadSegment::Blank);
        }
        let header = bytes.get(..SEGMENT_HEADER_BYTES).ok_or(BadSegment::Damaged)?;
        if header[..8] != SEGMENT_MAGIC || crc32c::crc32c(&header[..60]) != u32_at(header, 60) {
            return Err(BadSegment::Damaged);
        }
        let format = u32_at(header, 8);
        if format != FORMAT {
            return Err(BadSegment::Format(format));
        }
        // Both count from 1.
        let [number, first_sequence] = [u64_at(header, 32), u64_at(header, 40)];
        if [number, first_sequence].iter().any(|counted| !(1..=NUMBER_MAX).contains(counted)) {
            return Err(BadSegment::Damaged);
        }
        Ok(Self {
            owner: Owner { cluster_id: u64_at(header, 16), member_id: u64_at(header, 24) },
            number,
            first_sequence,
            chain: u32_at(header, 48),
        })
    }
}

/// What a group says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) body_bytes: u32,
    pub(crate) segment: u64,
    pub(crate) sequence: u64,
    /// The last group that was synced when this one was written; 0 is none.
    pub(crate) synced_sequence: u64,
    pub(crate) chain: u32,
    body_crc: u32,
    /// The header's own checksum: the next group's chain.
    pub(crate) crc: u32,
}

impl GroupHeader {
    /// The header at the start of `bytes`, if there is a whole one; the body is not looked at.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..GROUP_HEADER_BYTES)?;
        let crc = u32_at(header, 44);
        if header[..4] != GROUP_MAGIC || crc32c::crc32c(&header[..44]) != crc {
            return None;
        }
        Some(Self {
            body_bytes: u32_at(header, 4),
            segment: u64_at(header, 8),
            sequence: u64_at(header, 16),
            synced_sequence: u64_at(header, 24),
            chain: u32_at(header, 32),
            body_crc: u32_at(header, 36),
            crc,
        })
    }

    /// Whether this is the body that was written with the header.
    pub(crate) fn owns(&self, body: &[u8]) -> bool {
        body.len() as u64 == u64::from(self.body_bytes) && crc32c::crc32c(body) == self.body_crc
    }

    /// The group's length in its segment, with its padding.
    pub(crate) fn stride_bytes(&self) -> u64 {
        let whole = GROUP_HEADER_BYTES as u64 + u64::from(self.body_bytes);
        whole.next_multiple_of(ALIGNMENT_BYTES as u64)
    }
}

/// A group being built: room for the header, then records.
#[derive(Debug)]
pub(crate) struct GroupBuilder {
    bytes: Vec<u8>,
}

impl GroupBuilder {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; GROUP_HEADER_BYTES] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == GROUP_HEADER_BYTES
    }

    /// The group's length with one more record of `payload_bytes`, padded.
    pub(crate) fn stride_with(&self, payload_bytes: usize) -> u64 {
        let whole = self.bytes.len() + RECORD_HEADER_BYTES + payload_bytes;
        whole.next_multiple_of(ALIGNMENT_BYTES) as u64
    }

    /// Adds a record; returns where it begins within the group.
    pub(crate) fn push(&mut self, kind: RecordKind, payload: &[u8]) -> u64 {
        self.push_parts(kind, payload, &[])
    }

    /// Adds a record whose payload is two parts, one after the other.
    pub(crate) fn push_parts(&mut self, kind: RecordKind, first: &[u8], second: &[u8]) -> u64 {
        let at = self.bytes.len() as u64;
        let length = u32::try_from(first.len() + second.len())
            .expect("a record is far below 4 GiB; see limits");
        let crc = crc32c::crc32c_append(record_crc(kind as u8, first), second);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(second);
        at
    }

    /// Closes the group; returns its bytes, padded, and its checksum for the chain.
    pub(crate) fn finish(
        mut self,
        segment: u64,
        sequence: u64,
        synced_sequence: u64,
        chain: u32,
    ) -> (Vec<u8>, u32) {
        let (header, body) = self.bytes.split_at_mut(GROUP_HEADER_BYTES);
        let length = u32::try_from(body.len()).expect("a group is far below 4 GiB; see limits");
        header[..4].copy_from_slice(&GROUP_MAGIC);
        header[4..8].copy_from_slice(&length.to_le_bytes());
        header[8..16].copy_from_slice(&segment.to_le_bytes());
        header[16..24].copy_from_slice(&sequence.to_le_bytes());
        header[24..32].copy_from_slice(&synced_sequence.to_le_bytes());
        header[32..36].copy_from_slice(&chain.to_le_bytes());
        header[36..40].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        let crc = crc32c::crc32c(&header[..44]);
        header[44..48].copy_from_slice(&crc.to_le_bytes());
        let padded = self.bytes.len().next_multiple_of(ALIGNMENT_BYTES);
        self.bytes.resize(padded, 0);
        (self.bytes, crc)
    }
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// An entry: term u64, index u64, then the message `log.Entry`.
    Entry = 1,
    /// A vote, in the codec's form.
    Vote = 2,
    /// The committed log id: term u64, index u64.
    Committed = 3,
    /// Entries after an index are void: the index that stays last, u64; 0 is none.
    Truncate = 4,
    /// Entries up to a log id are given up: term u64, index u64.
    Purge = 5,
}

impl RecordKind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Entry,
            2 => Self::Vote,
            3 => Self::Committed,
            4 => Self::Truncate,
            5 => Self::Purge,
            _ => return None,
        })
    }
}

/// A record within a group's body.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) kind: RecordKind,
    pub(crate) payload: Bytes,
    /// Where it begins within the body.
    pub(crate) at: usize,
}

/// The record at `at` in the body, or `None` where there is no whole and sound one.
pub(crate) fn record_at(body: &Bytes, at: usize) -> Option<Record> {
    let header = body.get(at..at.checked_add(RECORD_HEADER_BYTES)?)?;
    let length = usize::try_from(u32_at(header, 0)).ok()?;
    let start = at + RECORD_HEADER_BYTES;
    let end = start.checked_add(length).filter(|end| *end <= body.len())?;
    let payload = body.slice(start..end);
    let sound = record_crc(header[4], &payload) == u32_at(header, 5);
    let kind = RecordKind::from_byte(header[4]).filter(|_| sound)?;
    Some(Record { kind, payload, at })
}

/// All records of a body; `None` if one is not sound or of an unknown kind.
pub(crate) fn records(body: &Bytes) -> Option<Vec<Record>> {
    let (mut at, mut records) = (0, Vec::new());
    while at < body.len() {
        let record = record_at(body, at)?;
        at += RECORD_HEADER_BYTES + record.payload.len();
        records.push(record);
    }
    Some(records)
}

pub(super) fn record_crc(kind: u8, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&[kind]), payload)
}

/// Term and index as records carry them.
pub(crate) fn position_bytes(term: u64, index: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&term.to_le_bytes());
    bytes[8..].copy_from_slice(&index.to_le_bytes());
    bytes
}

/// The term and index at the start of a payload.
pub(crate) fn position_of(payload: &[u8]) -> Option<(u64, u64)> {
    (payload.len() >= 16).then(|| (u64_at(payload, 0), u64_at(payload, 8)))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes are four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes are eight bytes"))
}

/// The name of the segment file with this number.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:016x}.log")
}

/// The number in a segment file's name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_segment_header_is_these_bytes() {
        let owner = Owner { cluster_id: 0x1122, member_id: 0x3344 };
        let header = SegmentHeader { owner, number: 5, first_sequence: 6, chain: 7 };
        let bytes = header.encode();
        assert_eq!(
            hex(&bytes[..60]),
            "454e47524c4f4701010000000000000022110000000000004433000000000000\
             05000000000000000600000000000000070000000000000000000000"
        );
        assert_eq!(bytes.len(), ALIGNMENT_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
    }

    #[test]
    fn a_group_is_these_bytes() {
        let mut group = GroupBuilder::new();
        group.push(RecordKind::Committed, &position_bytes(1, 2));
        let (bytes, crc) = group.finish(3, 4, 5, 6);
        assert_eq!(
            hex(&bytes[..36]),
            "475250011900000003000000000000000400000000000000050000000000000006000000"
        );
        assert_eq!(hex(&bytes[48..53]), "1000000003");
        assert_eq!(hex(&bytes[57..73]), "01000000000000000200000000000000");
        let header = GroupHeader::decode(&bytes).expect("a sound header");
        assert_eq!((header.crc, header.stride_bytes()), (crc, 512));
        assert!(header.owns(&bytes[48..73]));
    }

    #[test]
    fn any_flipped_bit_of_a_group_is_noticed() {
        let mut group = GroupBuilder::new();
        group.push(RecordKind::Entry, b"payload");
        let (bytes, _) = group.finish(3, 4, 0, 6);
        let length = GROUP_HEADER_BYTES + RECORD_HEADER_BYTES + 7;
        for bit in 0..length * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let sound = GroupHeader::decode(&flipped)
                .is_some_and(|header| header.owns(&flipped[GROUP_HEADER_BYTES..length]));
            assert!(!sound, "bit {bit}");
        }
    }

    #[test]
    fn hostile_bodies_are_refused_without_a_panic() {
        for length in 0..40usize {
            for fill in [0u8, 1, 0x7f, 0xff] {
                let body = Bytes::from(vec![fill; length]);
                let _ = records(&body);
                let _ = record_at(&body, length);
                let _ = SegmentHeader::decode(&body);
                let _ = GroupHeader::decode(&body);
            }
        }
    }

    #[test]
    fn segment_names_are_read_back() {
        assert_eq!(segment_number(&segment_name(0x2a)), Some(0x2a));
        assert_eq!(segment_number("spare-1"), None);
        assert_eq!(segment_number("zz.log"), None);
    }
}
