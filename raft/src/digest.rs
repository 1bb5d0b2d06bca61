//! Compares state digests between members: equal position, equal digest, always.
//!
//! Each member tells its newest position and digest with the messages it sends anyway; the receiver
//! looks its own digest of that position up, or keeps the word until it has applied as far.
//!
//! Invariant: only digests of the same log id are compared, and a mismatch is never forgotten.
//! Must not know: what the digest covers.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::peer;
use store::{Digest, LogId, MemberId};

use crate::limits;

/// The digests of this member's newest entries, and the word of its peers.
#[derive(Default)]
pub(crate) struct Digests {
    kept: Mutex<Kept>,
    mismatches: AtomicU64,
}

#[derive(Default)]
struct Kept {
    /// In order of their positions, without gaps except after an install.
    own: VecDeque<(LogId, Digest)>,
    /// What a peer said about a position this member has not applied.
    ahead: HashMap<u64, (LogId, Digest)>,
}

impl Digests {
    /// Notes the digest after applying `log_id`, and compares it with what peers said about it.
    pub(crate) fn applied(&self, log_id: LogId, digest: Digest) {
        let mut kept = self.kept.lock();
        kept.own.push_back((log_id, digest));
        if kept.own.len() > limits::DIGESTS_KEPT {
            kept.own.pop_front();
        }
        if kept.ahead.is_empty() {
            return;
        }
        let mut due = Vec::new();
        kept.ahead.retain(|member, word| {
            if word.0.index <= log_id.index {
                due.push((*member, *word));
            }
            word.0.index > log_id.index
        });
        drop(kept);
        for (member, word) in due {
            if word.0 == log_id {
                self.compare(MemberId(member), log_id, digest, word.1);
            }
        }
    }

    /// Forgets everything: the state was replaced.
    pub(crate) fn installed(&self, log_id: LogId, digest: Digest) {
        let mut kept = self.kept.lock();
        kept.own.clear();
        kept.own.push_back((log_id, digest));
    }

    /// This member's newest position and digest, to be sent along.
    pub(crate) fn newest(&self) -> Option<peer::AppliedDigest> {
        let (log_id, digest) = *self.kept.lock().own.back()?;
        Some(peer::AppliedDigest {
            log_id: Some(peer::LogId { term: log_id.term, index: log_id.index }),
            digest: Bytes::copy_from_slice(&digest.0.to_be_bytes()),
        })
    }

    /// Compares what `member` said, now or when this member has applied as far.
    pub(crate) fn heard(&self, member: MemberId, word: &peer::AppliedDigest) {
        let Some(log_id) = &word.log_id else { return };
        let Ok(bytes) = <[u8; 8]>::try_from(&word.digest[..]) else { return };
        let log_id = LogId { term: log_id.term, index: log_id.index };
        let theirs = Digest(u64::from_be_bytes(bytes));
        let mut kept = self.kept.lock();
        let newest = kept.own.back().map_or(0, |(newest, _)| newest.index);
        if log_id.index > newest || kept.own.is_empty() {
            kept.ahead.insert(member.0, (log_id, theirs));
            return;
        }
        let own = kept.own.binary_search_by_key(&log_id.index, |(own, _)| own.index);
        let own = own.ok().map(|position| kept.own[position]);
        drop(kept);
        if let Some((own_id, ours)) = own
            && own_id == log_id
        {
            self.compare(member, log_id, ours, theirs);
        }
    }

    /// How often a peer's state was found to differ from this member's.
    pub(crate) fn mismatches(&self) -> u64 {
        self.mismatches.load(Ordering::Relaxed)
    }

    fn compare(&self, member: MemberId, log_id: LogId, ours: Digest, theirs: Digest) {
        if ours == theirs {
            return;
        }
        self.mismatches.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            peer = %member, %log_id, %ours, %theirs,
            "state differs from a peer's at the same position: the data of one of them is corrupt"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64) -> LogId {
        LogId { term: 1, index }
    }

    fn word(index: u64, digest: u64) -> peer::AppliedDigest {
        let said = Digests::default();
        said.applied(at(index), Digest(digest));
        said.newest().expect("something was applied")
    }

    #[test]
    fn equal_positions_with_other_digests_are_found_on_either_side() {
        let digests = Digests::default();
        digests.applied(at(1), Digest(10));
        digests.applied(at(2), Digest(20));
        digests.heard(MemberId(7), &word(1, 10));
        digests.heard(MemberId(7), &word(2, 20));
        assert_eq!(digests.mismatches(), 0);
        digests.heard(MemberId(7), &word(1, 11));
        assert_eq!(digests.mismatches(), 1);
        digests.heard(MemberId(7), &word(3, 31));
        assert_eq!(digests.mismatches(), 1);
        digests.applied(at(3), Digest(30));
        assert_eq!(digests.mismatches(), 2);
    }

    #[test]
    fn positions_out_of_reach_are_not_compared() {
        let digests = Digests::default();
        for index in 0..=limits::DIGESTS_KEPT as u64 {
            digests.applied(at(index), Digest(index));
        }
        digests.heard(MemberId(7), &word(0, 99));
        assert_eq!(digests.mismatches(), 0);
        digests.installed(at(9000), Digest(1));
        digests.heard(MemberId(7), &word(4000, 99));
        assert_eq!(digests.mismatches(), 0);
    }
}
