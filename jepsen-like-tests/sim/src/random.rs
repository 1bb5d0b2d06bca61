//! The only source of chance: streams of numbers that follow from the run's seed and a name.
//!
//! Invariant: each part draws from a stream of its own, so that a draw more in one part does not
//! shift what the others get.

use std::time::Duration;

use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::trace::fnv;

/// A stream of numbers.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of this name in the run of this seed.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self(ChaCha8Rng::seed_from_u64(fnv(seed, name.as_bytes())))
    }

    /// True `per_mille` times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.0.random_range(0..1000) < per_mille
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    /// A number of the range, ends included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    /// A span of milliseconds of the range, ends included.
    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// One of the things.
    pub(crate) fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }

    /// Any number: the seed of something else.
    pub(crate) fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }
}
