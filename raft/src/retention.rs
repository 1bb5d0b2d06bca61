//! When the state is flushed and the log is cut.
//!
//! Invariants: the log is cut only below what is flushed; entries that a lagging follower may still
//! want are kept, bounded by number and bytes; while a snapshot is on its way the entries after it
//! are held, bounded by bytes, or a slow follower would need one snapshot after the other for ever.
//! Must not know: how a flush is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Retention;
use crate::consensus::Core;

/// Counts snapshots on their way to peers. Clones share the count.
#[derive(Clone, Default)]
pub(crate) struct SnapshotsUnderWay {
    count: Arc<AtomicUsize>,
}

/// One snapshot on its way; ends when dropped.
pub(crate) struct UnderWay {
    count: Arc<AtomicUsize>,
}

impl SnapshotsUnderWay {
    pub(crate) fn begin(&self) -> UnderWay {
        self.count.fetch_add(1, Ordering::Relaxed);
        UnderWay { count: Arc::clone(&self.count) }
    }

    pub(crate) fn is_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often the counters are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Index and bytes applied since the start, noted as they grow.
#[derive(Default)]
struct Growth {
    samples: VecDeque<(u64, u64)>,
    /// Entries from one sample to the next, at least.
    step: u64,
    now_bytes: u64,
}

impl Growth {
    const SAMPLES_MAX: usize = 1024;

    fn note(&mut self, index: u64, bytes: u64) {
        self.now_bytes = bytes;
        if self.samples.back().is_some_and(|(newest, _)| *newest + self.step >= index) {
            return;
        }
        self.samples.push_back((index, bytes));
        if self.samples.len() > Self::SAMPLES_MAX {
            // Half the resolution, twice the reach.
            self.step = 2 * self.step + 1;
            let mut odd = false;
            self.samples.retain(|_| {
                odd = !odd;
                odd
            });
        }
    }

    /// The first index such that no more than `bytes_max` were applied after it.
    fn index_within(&self, bytes_max: u64) -> u64 {
        let edge = self.now_bytes.saturating_sub(bytes_max);
        let kept = self.samples.iter().find(|(_, bytes)| *bytes >= edge);
        kept.filter(|_| edge > 0).map_or(0, |(index, _)| *index)
    }
}

/// Flushes and cuts until the member stops. One task runs it.
pub(crate) async fn run(core: Arc<Core>) {
    let mut growth = Growth::default();
    let mut flushed_bytes = 0;
    let mut flushed_entries = 0;
    let mut flushed_at = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = core.stopped() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        if core.apply.compact_step().is_err() {
            // Nobody may ask for anything for long: a flush does, and hears why the member stops.
            drop(core.raft.trigger().snapshot().await);
            return;
        }
        let bytes = core.counters.bytes.load(Ordering::Relaxed);
        let entries = core.counters.entries.load(Ordering::Relaxed);
        let Some(applied) = core.applied_log_id() else { continue };
        remove_stale_part(&core, applied.index).await;
        growth.note(applied.index, bytes);
        let retention = &core.config.retention;
        cut(&core, &growth, retention).await;
        let due = bytes - flushed_bytes >= retention.flush_bytes
            || flushed_at.elapsed() >= retention.flush_interval;
        if !due || entries == flushed_entries {
            continue;
        }
        (flushed_bytes, flushed_entries, flushed_at) = (bytes, entries, Instant::now());
        if core.raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// Removes the part of a snapshot that nobody will go on with.
async fn remove_stale_part(core: &Core, applied_index: u64) {
    if let Some(stale) = core.receiving.stale(applied_index) {
        tracing::info!("a part of a snapshot is given up");
        // An error means that the runtime shuts down: the next start removes it.
        drop(core.blocking.run(move || drop(stale)).await);
    }
}

async fn cut(core: &Core, growth: &Growth, retention: &Retention) {
    let Some((flushed, cut)) = core.flushed_and_cut() else { return };
    let upto = cut_index(flushed, growth, retention, core.snapshots_under_way.is_any());
    if upto <= cut {
        return;
    }
    // Positions outside the core count from 1.
    if let Some(upto) = upto.checked_sub(1)
        && let Err(error) = core.raft.trigger().purge_log(upto).await
    {
        tracing::debug!(%error, "the log is not cut: the core has stopped");
    }
}

fn cut_index(flushed: u64, growth: &Growth, retention: &Retention, sending: bool) -> u64 {
    let by_bytes = growth.index_within(retention.keep_bytes);
    if sending {
        return by_bytes.min(flushed);
    }
    let by_entries = flushed.saturating_sub(retention.keep_entries);
    by_bytes.max(by_entries).min(flushed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(entries: u64, bytes_each: u64) -> Growth {
        let mut growth = Growth::default();
        for index in 1..=entries {
            growth.note(index, index * bytes_each);
        }
        growth
    }

    #[test]
    fn the_log_is_cut_only_below_what_is_flushed() {
        let retention = Retention { keep_entries: 10, keep_bytes: 50, ..Retention::default() };
        let growth = grown(1000, 1);
        assert_eq!(cut_index(100, &growth, &retention, false), 100);
        assert_eq!(cut_index(990, &growth, &retention, false), 980);
    }

    #[test]
    fn a_snapshot_on_its_way_holds_the_log_up_to_its_bytes() {
        let retention = Retention { keep_entries: 10, keep_bytes: 500, ..Retention::default() };
        let growth = grown(1000, 1);
        assert_eq!(cut_index(1000, &growth, &retention, true), 500);
        assert_eq!(cut_index(1000, &growth, &retention, false), 990);
        assert_eq!(cut_index(300, &grown(300, 1), &retention, true), 0);
    }

    #[test]
    fn growth_keeps_a_bounded_memory_of_a_long_log() {
        let growth = grown(100_000, 1);
        assert!(growth.samples.len() <= Growth::SAMPLES_MAX);
        let kept = growth.index_within(10_000);
        assert!((89_000..=92_000).contains(&kept), "{kept}");
    }
}
