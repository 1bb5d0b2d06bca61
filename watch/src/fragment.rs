//! Splits encoded events into pieces below a byte bound, at the borders of events.
//!
//! Invariant: the pieces joined are the whole, and each holds at least one event. Splitting shares
//! the bytes. It only reads lengths; what an event holds is not its business.

use bytes::Buf;
use proto::spliced::EncodedEvents;

/// The pieces of `events`, each below `bytes_max` unless it is a single event.
///
/// # Source
/// etcd: a piece ends before the event with which it would reach the bound.
pub(crate) fn fragments(events: &EncodedEvents, bytes_max: usize) -> Vec<EncodedEvents> {
    let whole = &events.bytes;
    if whole.len() < bytes_max {
        return vec![events.clone()];
    }
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    while at < whole.len() {
        let next = at + event_len(&whole[at..]);
        if at > start && next - start >= bytes_max {
            pieces.push(EncodedEvents { bytes: whole.slice(start..at) });
            start = at;
        }
        at = next;
    }
    pieces.push(EncodedEvents { bytes: whole.slice(start..) });
    pieces
}

/// The length of the first event with its tag, in bytes.
fn event_len(encoded: &[u8]) -> usize {
    let mut rest = encoded;
    rest.advance(1); // The tag of field 11 is one byte.
    let len = varint(&mut rest);
    encoded.len() - rest.len() + len
}

fn varint(bytes: &mut &[u8]) -> usize {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.get_u8();
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    usize::try_from(value).expect("an event that is in memory has a length that fits")
}

/// Joins pieces again, for tests.
#[cfg(test)]
fn joined(pieces: &[EncodedEvents]) -> bytes::Bytes {
    pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::mvccpb::event::EventType;
    use proto::spliced::EncodedEventsBuilder;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_below_the_bound_and_join_to_the_whole(
            sizes in prop::collection::vec(0usize..400, 1..40),
            bytes_max in 1usize..1000,
        ) {
            let mut builder = EncodedEventsBuilder::default();
            for size in &sizes {
                builder.push(EventType::Put, &vec![b'x'; *size], None);
            }
            let whole = builder.finish();
            let pieces = fragments(&whole, bytes_max);
            prop_assert_eq!(joined(&pieces), whole.bytes);
            for piece in &pieces {
                let single = event_len(&piece.bytes) == piece.len();
                prop_assert!(single || piece.len() < bytes_max);
            }
        }
    }
}
