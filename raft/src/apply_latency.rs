//! How long rounds of applying took, as plain numbers.
//!
//! Must not know: what is applied, clocks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets that end at 1 ms doubling 13 times; one more holds the rest.
pub(crate) const COARSE_BUCKETS: usize = 15;
/// Buckets that end at 0.1 ms doubling 19 times; one more holds the rest.
pub(crate) const FINE_BUCKETS: usize = 21;
/// A round that takes longer is slow. *Source*: etcd's `--warning-apply-duration`.
const SLOW: Duration = Duration::from_millis(100);

/// Rounds of applying since the start: entries that one hand-over brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyTimes {
    /// Rounds per coarse bucket, not cumulative.
    pub coarse_counts: [u64; COARSE_BUCKETS],
    /// Rounds per fine bucket, not cumulative.
    pub fine_counts: [u64; FINE_BUCKETS],
    /// Rounds that took longer than 100 ms.
    pub slow: u64,
    /// Time all rounds took together, in nanoseconds.
    pub total_ns: u64,
}

/// Filled by the thread that applies.
#[derive(Debug, Default)]
pub(crate) struct ApplyLatency {
    coarse: [AtomicU64; COARSE_BUCKETS],
    fine: [AtomicU64; FINE_BUCKETS],
    slow: AtomicU64,
    total_ns: AtomicU64,
}

impl ApplyLatency {
    /// One round ended.
    pub(crate) fn note(&self, took: Duration) {
        self.coarse[bucket(took, 1_000, COARSE_BUCKETS)].fetch_add(1, Ordering::Relaxed);
        self.fine[bucket(took, 100, FINE_BUCKETS)].fetch_add(1, Ordering::Relaxed);
        self.slow.fetch_add(u64::from(took > SLOW), Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.total_ns.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// All rounds so far.
    pub(crate) fn times(&self) -> ApplyTimes {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ApplyTimes {
            coarse_counts: std::array::from_fn(|at| load(&self.coarse[at])),
            fine_counts: std::array::from_fn(|at| load(&self.fine[at])),
            slow: load(&self.slow),
            total_ns: load(&self.total_ns),
        }
    }
}

/// The bucket of a duration when the first ends at `first_us` and each next at its double.
fn bucket(took: Duration, first_us: u64, buckets: usize) -> usize {
    let ends = |at: usize| Duration::from_micros(first_us << at);
    (0..buckets - 1).find(|at| took <= ends(*at)).unwrap_or(buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_counted_in_the_first_bucket_that_holds_it() {
        let latency = ApplyLatency::default();
        for micros in [100, 101, 200_000, 100_000_000] {
            latency.note(Duration::from_micros(micros));
        }
        let times = latency.times();
        assert_eq!((times.fine_counts[0], times.fine_counts[1]), (1, 1));
        assert_eq!((times.fine_counts[FINE_BUCKETS - 1], times.slow), (1, 2));
        assert_eq!(times.coarse_counts.iter().sum::<u64>(), 4);
        assert_eq!((times.coarse_counts[0], times.coarse_counts[COARSE_BUCKETS - 1]), (2, 1));
    }
}
