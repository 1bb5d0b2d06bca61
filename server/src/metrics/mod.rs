//! What the member tells Prometheus: etcd's names where the meaning is the same, ours elsewhere.
//!
//! Invariants: numbers belong to a member, never to the process at large; numbers that a room
//! keeps are read when they are asked for, not copied along the hot path.
//! Must not know: how the numbers come about.

pub(crate) mod calls;
pub(crate) mod counts;
pub(crate) mod histogram;
mod page;
mod peer_series;
mod process;
mod series;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::http::Check;
use crate::member::Member;
use calls::Calls;
use counts::ClientVersions;
use page::Page;
pub(crate) use process::{Process, command_line};
pub(crate) use table::{counts, tables};

/// The newest result of a check, and how often it (failed, passed).
#[derive(Debug, Clone, Copy, Default)]
struct CheckCounts {
    passes: bool,
    failed: u64,
    passed: u64,
}

/// The numbers that the doors keep themselves.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) calls: Arc<Calls>,
    pub(crate) clients: ClientVersions,
    pub(crate) read_indexes_failed: AtomicU64,
    pub(crate) read_indexes_slow: AtomicU64,
    pub(crate) leader_changes: AtomicU64,
    pub(crate) proposals_failed: AtomicU64,
    health_passed: AtomicU64,
    health_failed: AtomicU64,
    /// By group and name.
    checks: Mutex<BTreeMap<(&'static str, &'static str), CheckCounts>>,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        Metrics {
            calls: Calls::new(),
            clients: ClientVersions::default(),
            read_indexes_failed: AtomicU64::new(0),
            read_indexes_slow: AtomicU64::new(0),
            leader_changes: AtomicU64::new(0),
            proposals_failed: AtomicU64::new(0),
            health_passed: AtomicU64::new(0),
            health_failed: AtomicU64::new(0),
            checks: Mutex::default(),
        }
    }

    /// A check of `/livez` or `/readyz` was made.
    pub(crate) fn checked(&self, group: &'static str, check: Check, passed: bool) {
        let mut checks = self.checks.lock();
        let counts = checks.entry((group, check.name())).or_default();
        counts.passes = passed;
        if passed { counts.passed += 1 } else { counts.failed += 1 }
    }

    /// `/health` was answered.
    pub(crate) fn health_told(&self, healthy: bool) {
        let counter = if healthy { &self.health_passed } else { &self.health_failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Member {
    /// The page `/metrics`.
    pub(crate) fn metrics_text(&self) -> String {
        let mut page = Page::new();
        series::write(self, &mut page);
        peer_series::write(self, &mut page);
        calls::write(self.calls(), &mut page);
        page.into_text()
    }
}
