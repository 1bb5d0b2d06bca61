//! The seam of randomness of the doors: one seed per member, given from outside; and, for secrets,
//! what nobody can guess.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers that other members are very unlikely to draw.
pub(crate) struct Numbers(AtomicU64);

impl Numbers {
    /// A source whose numbers follow from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Numbers(AtomicU64::new(seed))
    }

    /// The next number: 63 bits, spread evenly, not negative.
    pub(crate) fn next_positive(&self) -> i64 {
        // SplitMix64: a counter with a fixed odd step, its bits mixed.
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed & (i64::MAX as u64)) as i64
    }
}

/// A source for secrets, which must not follow from a seed: the system's.
pub(crate) fn secrets() -> impl rand::Rng {
    rand::rng()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_not_negative_and_differ() {
        let source = Numbers::new(7);
        let drawn: std::collections::BTreeSet<i64> =
            (0..1000).map(|_| source.next_positive()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(drawn.iter().all(|number| *number >= 0));
    }
}
