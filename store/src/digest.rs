//! The state digest: a rolling 64-bit number over everything that was ever applied.
//!
//! Invariant: members with equal applied index have equal digests, or their states differ. It
//! covers each entry's index and term and the logical effects (rows of keys, leases, alarms,
//! members; the revisions), and never answers, which depend on who waits, nor physical compaction,
//! which each member does in its own time.
//!
//! Each effect is reduced by CRC-32C, which runs at memory speed on values of any size, and the
//! results are chained by the SplitMix64 finaliser, a bijection whose every output bit depends on
//! every input bit. Two different effects of equal length meet with probability 2^-32, and once
//! apart, chains meet with 2^-64. That finds faults; it is no defence against someone who forges.

use crate::engine::Space;
use crate::types::{Digest, LogId};

/// Effects that are not rows have numbers above all spaces.
const REMOVED: u64 = 0x100;
const MEMBERSHIP: u64 = 0x200;
const REVISIONS: u64 = 0x300;

/// The digest of one entry in the making.
pub(crate) struct DigestChain(u64);

impl DigestChain {
    /// Starts the entry `log_id` on top of what was applied before.
    pub(crate) fn new(before: Digest, log_id: LogId) -> Self {
        let mut chain = Self(before.0);
        chain.absorb(log_id.index);
        chain.absorb(log_id.term);
        chain
    }

    /// A row was set.
    pub(crate) fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.absorb(space.number() as u64 | (key.len() as u64) << 16 | (value.len() as u64) << 32);
        self.absorb(u64::from(crc32c::crc32c_append(crc32c::crc32c(key), value)));
    }

    /// A row was removed.
    pub(crate) fn delete(&mut self, space: Space, key: &[u8]) {
        self.absorb(space.number() as u64 | REMOVED | (key.len() as u64) << 16);
        self.absorb(u64::from(crc32c::crc32c(key)));
    }

    /// The membership changed.
    pub(crate) fn membership(&mut self, bytes: &[u8]) {
        self.absorb(MEMBERSHIP | (bytes.len() as u64) << 16);
        self.absorb(u64::from(crc32c::crc32c(bytes)));
    }

    /// The entry is over, with these revisions and versions.
    pub(crate) fn finish(mut self, numbers: &[u64]) -> Digest {
        self.absorb(REVISIONS | (numbers.len() as u64) << 16);
        for number in numbers {
            self.absorb(*number);
        }
        Digest(self.0)
    }

    fn absorb(&mut self, number: u64) {
        // The odd constant keeps a chain of zeros from standing still.
        self.0 = finalise((self.0 ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15));
    }
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014).
fn finalise(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: LogId = LogId { term: 1, index: 1 };

    fn of(effects: impl FnOnce(&mut DigestChain)) -> Digest {
        let mut chain = DigestChain::new(Digest::default(), FIRST);
        effects(&mut chain);
        chain.finish(&[1])
    }

    #[test]
    fn every_part_of_an_effect_counts() {
        let base = of(|chain| chain.put(Space::KeyValues, b"key", b"value"));
        for other in [
            of(|_| ()),
            of(|chain| chain.put(Space::Leases, b"key", b"value")),
            of(|chain| chain.put(Space::KeyValues, b"kez", b"value")),
            of(|chain| chain.put(Space::KeyValues, b"key", b"valuf")),
            of(|chain| chain.put(Space::KeyValues, b"keyv", b"alue")),
            of(|chain| chain.delete(Space::KeyValues, b"key")),
            of(|chain| chain.membership(b"keyvalue")),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn order_index_term_and_numbers_count() {
        let put = |chain: &mut DigestChain, key: &[u8]| chain.put(Space::Leases, key, b"");
        let there = of(|chain| [b"a", b"b"].iter().for_each(|key| put(chain, *key)));
        let back = of(|chain| [b"b", b"a"].iter().for_each(|key| put(chain, *key)));
        assert_ne!(there, back);
        let at =
            |term, index| DigestChain::new(Digest::default(), LogId { term, index }).finish(&[]);
        assert_ne!(at(1, 2), at(2, 1));
        assert_ne!(of(|_| ()), DigestChain::new(Digest::default(), FIRST).finish(&[2]));
    }

    #[test]
    fn the_chain_is_golden() {
        let digest = of(|chain| chain.put(Space::KeyValues, b"key", b"value"));
        assert_eq!(digest.to_string(), "f05eebe77f97ecab");
    }
}
