//! The only bincode of this room: the vote as a member writes it for itself alone.
//!
//! Invariants: a version byte leads; the record around it carries the checksum. Never for what
//! crosses nodes.
//!
//! Must not know: where the bytes lie.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::types::{Vote, vote};

/// The version of [`VoteRecord`].
const VOTE_VERSION: u8 = 1;

/// Bytes a decoder may take at most.
const DECODED_BYTES_MAX: usize = 64;

#[derive(Serialize, Deserialize)]
struct VoteRecord {
    term: u64,
    voted_for: u64,
    committed: bool,
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::legacy().with_limit::<DECODED_BYTES_MAX>()
}

/// A vote's bytes.
pub(crate) fn encode_vote(vote: &Vote) -> Bytes {
    let record = VoteRecord {
        term: vote.leader_id.term,
        voted_for: vote.leader_id.voted_for,
        committed: vote.committed,
    };
    let mut bytes = vec![VOTE_VERSION];
    let body = bincode::serde::encode_to_vec(record, configuration());
    bytes.extend(body.expect("three plain fields fit into the limit"));
    Bytes::from(bytes)
}

/// The vote in these bytes; `None` when they are of another version or too short.
pub(crate) fn decode_vote(bytes: &[u8]) -> Option<Vote> {
    let (&version, body) = bytes.split_first()?;
    if version != VOTE_VERSION {
        return None;
    }
    let (record, length): (VoteRecord, usize) =
        bincode::serde::decode_from_slice(body, configuration()).ok()?;
    (length == body.len()).then(|| vote(record.term, record.voted_for, record.committed))
}

#[cfg(test)]
mod tests {
    use super::{decode_vote, encode_vote};
    use crate::types::vote;

    #[test]
    fn a_vote_is_these_bytes() {
        let bytes = encode_vote(&vote(3, 0x0102, true));
        let expected = [1, 3, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(&bytes[..], &expected);
        assert_eq!(decode_vote(&bytes), Some(vote(3, 0x0102, true)));
    }

    #[test]
    fn a_vote_of_another_version_or_length_is_refused() {
        let bytes = encode_vote(&vote(3, 1, false));
        assert_eq!(decode_vote(&[]), None);
        assert_eq!(decode_vote(&bytes[..10]), None);
        let mut later = bytes.to_vec();
        later[0] = 2;
        assert_eq!(decode_vote(&later), None);
    }
}
