//! Compares state digests between members: equal position, equal digest, always.
//!
//! Each member tells its newest position and digest with the messages it sends anyway; the receiver
//! looks its own digest of that position up, or keeps the word until it has applied as far.
//!
//! Invariants: only digests of the same log id are compared, and a mismatch is never forgotten; who
//! is corrupt is said by most of the members, or not at all.
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
    /// How the newest comparison with a peer came out.
    compared: HashMap<u64, Compared>,
}

/// One comparison with a peer.
#[derive(Clone, Copy)]
struct Compared {
    at: LogId,
    theirs: Digest,
    /// Where the peer's state was first found to differ, if it differs now.
    differs_since: Option<LogId>,
}

/// Whose state is corrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// No member's state is known to differ, or it is not known yet whose is right.
    None,
    /// The states of these differ from that of most members.
    Of(Vec<MemberId>),
    /// States differ, everybody was heard, and no state is that of most members.
    Undecided,
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
        kept.compared.clear();
        kept.own.push_back((log_id, digest));
    }

    /// Whose state is corrupt, judged by most of `members`, of whom `own` is this one.
    pub(crate) fn corruption(&self, own: MemberId, members: &[MemberId]) -> Corruption {
        let kept = self.kept.lock();
        let peers = members.iter().filter(|member| **member != own);
        let known: Vec<(MemberId, Compared)> = peers
            .filter_map(|peer| kept.compared.get(&peer.0).map(|compared| (*peer, *compared)))
            .collect();
        drop(kept);
        let since = known.iter().filter_map(|(_, compared)| compared.differs_since);
        let Some(since) = since.min_by_key(|since| since.index) else { return Corruption::None };
        let differing = || known.iter().filter(|(_, compared)| compared.differs_since.is_some());
        // One that agreed before the states parted says nothing.
        let agrees = |compared: &Compared| {
            compared.differs_since.is_none() && compared.at.index >= since.index
        };
        let with_us = 1 + known.iter().filter(|(_, compared)| agrees(compared)).count();
        let most = members.len() / 2 + 1;
        if with_us >= most {
            return Corruption::Of(differing().map(|(peer, _)| *peer).collect());
        }
        // The others are right if enough of them agree with each other at one position.
        let against_us = differing().map(|(_, one)| {
            let same = |other: &Compared| (other.at, other.theirs) == (one.at, one.theirs);
            differing().filter(|(_, other)| same(other)).count()
        });
        if against_us.max().is_some_and(|count| count >= most) {
            return Corruption::Of(vec![own]);
        }
        let everybody = with_us + differing().count() == members.len();
        let mut positions = differing().map(|(_, compared)| compared.at);
        let first = positions.next();
        let one_position = positions.all(|at| Some(at) == first);
        if everybody && one_position { Corruption::Undecided } else { Corruption::None }
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
        let since = {
            let mut kept = self.kept.lock();
            let before = kept.compared.get(&member.0).and_then(|before| before.differs_since);
            let differs_since = (ours != theirs).then(|| before.unwrap_or(log_id));
            kept.compared.insert(member.0, Compared { at: log_id, theirs, differs_since });
            differs_since
        };
        if ours == theirs {
            return;
        }
        self.mismatches.fetch_add(1, Ordering::Relaxed);
        if since != Some(log_id) {
            return;
        }
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
    fn most_members_say_whose_state_is_corrupt() {
        let (own, second, third) = (MemberId(1), MemberId(2), MemberId(3));
        let three = [own, second, third];
        let digests = Digests::default();
        for index in 1..=9 {
            digests.applied(at(index), Digest(index));
        }
        assert_eq!(digests.corruption(own, &three), Corruption::None);
        digests.heard(third, &word(4, 4));
        digests.heard(second, &word(5, 55));
        // The third one agreed before: it may be with either.
        assert_eq!(digests.corruption(own, &three), Corruption::None);
        assert_eq!(digests.corruption(own, &[own, second]), Corruption::Undecided);
        digests.heard(third, &word(6, 6));
        assert_eq!(digests.corruption(own, &three), Corruption::Of(vec![second]));
        // Removed members do not count, and a healed one is forgiven.
        assert_eq!(digests.corruption(own, &[own, third]), Corruption::None);
        digests.heard(second, &word(7, 7));
        assert_eq!(digests.corruption(own, &three), Corruption::None);
        // Both others differ: this one is corrupt if they are alike.
        digests.heard(second, &word(8, 88));
        digests.heard(third, &word(8, 77));
        assert_eq!(digests.corruption(own, &three), Corruption::Undecided);
        digests.heard(third, &word(9, 99));
        assert_eq!(digests.corruption(own, &three), Corruption::None);
        digests.heard(second, &word(9, 99));
        assert_eq!(digests.corruption(own, &three), Corruption::Of(vec![own]));
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
