//! What the member tells Prometheus: etcd's names where the meaning is the same, ours elsewhere.
//!
//! Invariants: one registry per member, never a global one; numbers that a room keeps are read
//! when they are asked for, not copied along the hot path.
//! Must not know: how the numbers come about.

pub(crate) mod calls;
pub(crate) mod histogram;
mod process;
mod series;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::http::Check;
use crate::member::Member;
use calls::{CallSeries, Calls};
use series::MemberSeries;

/// A check's group and name, and how often it (failed, passed).
type CheckCounts = BTreeMap<(&'static str, &'static str), (u64, u64)>;

/// The numbers that the doors keep themselves.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) calls: Arc<Calls>,
    pub(crate) leader_changes: AtomicU64,
    pub(crate) proposals_failed: AtomicU64,
    health_passed: AtomicU64,
    health_failed: AtomicU64,
    checks: Mutex<CheckCounts>,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        Metrics {
            calls: Calls::new(),
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
        if passed { counts.1 += 1 } else { counts.0 += 1 }
    }

    /// `/health` was answered.
    pub(crate) fn health_told(&self, healthy: bool) {
        let counter = if healthy { &self.health_passed } else { &self.health_failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Member {
    /// The page `/metrics` in OpenMetrics' text.
    pub(crate) fn metrics_text(self: &Arc<Self>) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(MemberSeries(Arc::clone(self))));
        registry.register_collector(Box::new(CallSeries(Arc::clone(self.calls()))));
        let mut text = String::with_capacity(256 * 1024);
        encode(&mut text, &registry)?;
        Ok(text)
    }
}
