//! The checksums of a segment put right, whatever else its bytes say: for fuzzers, which cannot
//! guess them.
//!
//! Invariant: only checksums and the chain are written, and only where a header's magic is;
//! lengths, numbers and payloads stay as they are.
//!
//! Must not know: whether anything but the checksums is sound.

use super::format::{
    ALIGNMENT_BYTES, GROUP_HEADER_BYTES, GROUP_MAGIC, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES,
    SEGMENT_MAGIC, record_crc, u32_at,
};

/// Puts a segment right and gives the chain that the next one goes on with.
///
/// `before`: the chain that the segment must go on with; `None` leaves the one it tells of.
pub(super) fn seal(segment: &mut [u8], before: Option<u32>) -> u32 {
    let mut chain = 0;
    let header = segment.get_mut(..SEGMENT_HEADER_BYTES);
    if let Some(header) = header.filter(|header| header.starts_with(&SEGMENT_MAGIC)) {
        chain = before.unwrap_or_else(|| u32_at(header, 48));
        header[48..52].copy_from_slice(&chain.to_le_bytes());
        let crc = crc32c::crc32c(&header[..60]);
        header[60..].copy_from_slice(&crc.to_le_bytes());
    }
    let mut at = ALIGNMENT_BYTES;
    while let Some(rest) = segment.get_mut(at..).filter(|rest| rest.len() >= GROUP_HEADER_BYTES) {
        let length = if rest.starts_with(&GROUP_MAGIC) { seal_group(rest, &mut chain) } else { 1 };
        at += length.next_multiple_of(ALIGNMENT_BYTES);
    }
    chain
}

/// Puts the group at the start of `rest` right; its length in bytes, or its header's when it does
/// not fit.
fn seal_group(rest: &mut [u8], chain: &mut u32) -> usize {
    let (header, body) = rest.split_at_mut(GROUP_HEADER_BYTES);
    header[32..36].copy_from_slice(&chain.to_le_bytes());
    let body = body.get_mut(..u32_at(header, 4) as usize).unwrap_or_default();
    seal_records(body);
    header[36..40].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    *chain = crc32c::crc32c(&header[..44]);
    header[44..].copy_from_slice(&chain.to_le_bytes());
    GROUP_HEADER_BYTES + body.len()
}

fn seal_records(mut body: &mut [u8]) {
    while let Some((header, rest)) = body.split_at_mut_checked(RECORD_HEADER_BYTES) {
        let Some((payload, next)) = rest.split_at_mut_checked(u32_at(header, 0) as usize) else {
            return;
        };
        let crc = record_crc(header[4], payload);
        header[5..].copy_from_slice(&crc.to_le_bytes());
        body = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{
        ALIGNMENT_BYTES, GroupBuilder, Owner, RecordKind, SegmentHeader, position_bytes,
    };
    use super::seal;

    #[test]
    fn a_sound_segment_stays_as_it_is_and_an_altered_one_is_sound_again() {
        let owner = Owner { cluster_id: 7, member_id: 9 };
        let mut segment = SegmentHeader { owner, number: 1, first_sequence: 1, chain: 5 }.encode();
        let mut chain = 5;
        for sequence in 1..=3 {
            let mut group = GroupBuilder::new();
            group.push(RecordKind::Committed, &position_bytes(1, sequence));
            group.push(RecordKind::Vote, &[7; 600]);
            let (bytes, crc) = group.finish(1, sequence, sequence - 1, chain);
            segment.extend(bytes);
            chain = crc;
        }
        let sound = segment.clone();
        assert_eq!(seal(&mut segment, None), chain);
        assert!(segment == sound, "nothing was wrong");
        // Checksums of the header, of a group and of a record, and the chain of the next group.
        let second = ALIGNMENT_BYTES + 1024;
        for at in [60, 512 + 44, 512 + 48 + 5, second + 32] {
            segment[at] ^= 0x55;
        }
        assert_eq!(seal(&mut segment, None), chain);
        assert!(segment == sound, "only checksums were wrong");
    }
}
