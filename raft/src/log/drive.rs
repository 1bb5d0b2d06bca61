//! What drives the log: a thread of its own, or a task of the caller's runtime.
//!
//! Must not know: what is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::entry::LogEntry;
use super::handle::Driver;

/// How long the log is idle before it tells of its last sync.
const IDLE_AFTER: Duration = Duration::from_millis(50);

/// Upper bounds of the latency buckets: 1 ms doubling 13 times, as etcd's
/// `etcd_disk_wal_fsync_duration_seconds` has them; one more bucket holds the rest.
pub const SYNC_BUCKETS: usize = 15;

/// How long syncs took, as plain numbers.
#[derive(Debug, Default)]
pub struct SyncLatency {
    buckets: [AtomicU64; SYNC_BUCKETS],
    total_ns: AtomicU64,
}

impl SyncLatency {
    fn note(&self, took: Duration) {
        let mut bucket = 0;
        while bucket < SYNC_BUCKETS - 1 && took > Duration::from_millis(1 << bucket) {
            bucket += 1;
        }
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.total_ns.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Syncs per bucket, not cumulative.
    #[must_use]
    pub fn counts(&self) -> [u64; SYNC_BUCKETS] {
        std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed))
    }

    /// The time all syncs took together.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.total_ns.load(Ordering::Relaxed))
    }
}

/// Drives the log from an OS thread, "engram-log", until it is closed or its disk fails.
pub fn on_thread<E: LogEntry>(
    mut driver: Driver<E>,
    latency: Arc<SyncLatency>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("engram-log".to_owned()).spawn(move || {
        driver.idle_aside();
        while !driver.is_over() {
            driver.keep_spare_aside();
            if driver.has_work() {
                driver.step(|sync| {
                    let started = Instant::now();
                    sync();
                    latency.note(started.elapsed());
                });
            } else if !driver.wake().wait(driver.owes_mark().then_some(IDLE_AFTER)) {
                driver.idle_aside();
            }
        }
        driver.finish();
    })
}

/// Drives the log on the caller's runtime: each sync takes `sync_takes` of its time, during which
/// more can queue up. For simulation, where a thread would make runs differ.
pub async fn on_runtime<E: LogEntry>(mut driver: Driver<E>, sync_takes: Duration) {
    while !driver.is_over() {
        if driver.has_work() {
            tokio::time::sleep(sync_takes).await;
            driver.step(|sync| sync());
        } else if driver.owes_mark() {
            let idle = tokio::time::timeout(IDLE_AFTER, driver.wake().raised()).await;
            if idle.is_err() {
                driver.idle();
            }
        } else {
            driver.wake().raised().await;
        }
    }
    driver.finish();
}
