//! A histogram of times that many threads fill without a lock.
//! Invariant: counts only rise; the last bucket of a snapshot is unbounded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds, rising; an unbounded one follows.
pub(crate) struct Bounds(pub(crate) &'static [u64]);

/// Prometheus' own default bounds, which etcd uses for calls.
pub(crate) const CALL_BOUNDS: Bounds = Bounds(&[
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
]);

/// 1 ms doubling 13 times: etcd's bounds for requests and the disk.
pub(crate) const MILLISECOND_BOUNDS: Bounds = Bounds(&doubling::<14>(1_000));
/// 0.1 ms doubling 15 times: etcd's bounds for the way to a peer.
pub(crate) const PEER_BOUNDS: Bounds = Bounds(&doubling::<16>(100));
/// 0.1 ms doubling 19 times: etcd's bounds for ranges and applying.
pub(crate) const RANGE_BOUNDS: Bounds = Bounds(&doubling::<20>(100));
/// 10 ms doubling 14 times: etcd's bounds for hashes and snapshots of the whole state.
pub(crate) const LONG_BOUNDS: Bounds = Bounds(&doubling::<15>(10_000));

/// 0.1 s doubling: etcd's bounds for what takes long, and ten buckets for snapshots of peers.
pub(crate) const TENTH_BOUNDS: Bounds = Bounds(&doubling::<13>(100_000));

const fn doubling<const N: usize>(first_us: u64) -> [u64; N] {
    let mut bounds = [first_us; N];
    let mut at = 1;
    while at < N {
        bounds[at] = bounds[at - 1] * 2;
        at += 1;
    }
    bounds
}

/// A histogram of durations.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    /// Seconds.
    pub(crate) sum: f64,
    /// Upper bounds in seconds, and the count of each bucket alone; the last is unbounded.
    pub(crate) buckets: Vec<(Option<f64>, u64)>,
}

impl Snapshot {
    /// From counts whose bucket `n` ends at `first_us` doubled `n` times, the last one unbounded.
    pub(crate) fn doubling(first_us: u64, counts: &[u64], total_ns: u64) -> Self {
        let bound = |at: usize| (at + 1 < counts.len()).then(|| seconds(first_us << at));
        let buckets = counts.iter().enumerate().map(|(at, count)| (bound(at), *count)).collect();
        Snapshot { sum: total_ns as f64 / 1e9, buckets }
    }
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

    /// What it holds now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let bounds = self.bounds.iter().map(|us| Some(seconds(*us))).chain([None]);
        let sum = self.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        Snapshot { sum, buckets: bounds.zip(counts).collect() }
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
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
        let snapshot = histogram.snapshot();
        assert!((snapshot.sum - 20.011).abs() < 1e-9);
        assert_eq!(snapshot.buckets[0], (Some(0.005), 1));
        assert_eq!(snapshot.buckets[1], (Some(0.01), 1));
        assert_eq!(snapshot.buckets.last(), Some(&(None, 1)));
    }

    #[test]
    fn doubling_bounds_end_where_etcds_end() {
        assert_eq!(MILLISECOND_BOUNDS.0.last(), Some(&8_192_000));
        assert_eq!(PEER_BOUNDS.0.last(), Some(&3_276_800));
        assert_eq!(RANGE_BOUNDS.0.last(), Some(&52_428_800));
        let snapshot = Snapshot::doubling(1_000, &[1, 2, 3], 0);
        assert_eq!(snapshot.buckets, [(Some(0.001), 1), (Some(0.002), 2), (None, 3)]);
    }
}
