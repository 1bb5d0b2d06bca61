//! Plain numbers about a hub, for whoever exposes them.
//!
//! Invariant: gauges return to zero when all streams are closed. They are read without a lock, so
//! two of them may be of different moments.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a hub holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Open streams.
    pub streams: u64,
    /// Watchers on them.
    pub watchers: u64,
    /// Watchers that read history because they are behind.
    pub slow_watchers: u64,
    /// Events in the streams' queues (shared ones count for each stream).
    pub pending_events: u64,
    /// *Units*: bytes that the queues are accounted for (shared ones count for each stream).
    pub pending_bytes: u64,
    /// Events handed to watchers so far.
    pub events_total: u64,
    /// How often a full queue made a stream fall behind so far.
    pub overflows_total: u64,
    /// How often the published revisions jumped so far: installed snapshots and missed batches.
    pub jumps_total: u64,
}

/// The numbers while they change.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) streams: Number,
    pub(crate) watchers: Number,
    pub(crate) slow_watchers: Number,
    pub(crate) pending_events: Number,
    pub(crate) pending_bytes: Number,
    pub(crate) events_total: Number,
    pub(crate) overflows_total: Number,
    pub(crate) jumps_total: Number,
}

impl Live {
    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            streams: self.streams.get(),
            watchers: self.watchers.get(),
            slow_watchers: self.slow_watchers.get(),
            pending_events: self.pending_events.get(),
            pending_bytes: self.pending_bytes.get(),
            events_total: self.events_total.get(),
            overflows_total: self.overflows_total.get(),
            jumps_total: self.jumps_total.get(),
        }
    }
}

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Number(AtomicU64);

impl Number {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: usize) {
        self.0.fetch_sub(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
