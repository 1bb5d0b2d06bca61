//! A histogram of times that many threads fill without a lock.
//! Invariant: counts only rise; the last bucket of a snapshot is +Inf.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds, rising; an unbounded one follows.
pub(crate) struct Bounds(pub(crate) &'static [u64]);

/// Prometheus' own default bounds, which etcd uses for calls.
pub(crate) const CALL_BOUNDS: Bounds = Bounds(&[
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
]);

/// A histogram of durations.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let counts = (0..=bounds.0.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds: bounds.0, counts, sum_us: AtomicU64::new(0) }
    }

    /// Counts one duration.
    pub(crate) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|bound| *bound < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sum in seconds, total count, and (upper bound in seconds, count in this bucket alone).
    pub(crate) fn snapshot(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let counts: Vec<u64> = self.counts.iter().map(|c| c.load(Ordering::Relaxed)).collect();
        let bounds = self.bounds.iter().map(|us| *us as f64 / 1e6).chain([f64::MAX]);
        let buckets = bounds.zip(counts.iter().copied()).collect();
        (self.sum_us.load(Ordering::Relaxed) as f64 / 1e6, counts.iter().sum(), buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(&CALL_BOUNDS);
        for millis in [5, 6, 20_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let (sum, count, buckets) = histogram.snapshot();
        assert_eq!(count, 3);
        assert!((sum - 20.011).abs() < 1e-9);
        assert_eq!(buckets[0], (0.005, 1));
        assert_eq!(buckets[1], (0.01, 1));
        assert_eq!(buckets.last().map(|(_, n)| *n), Some(1));
    }
}
