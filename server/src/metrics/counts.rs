//! Numbers that doors and tasks keep along their way.
//!
//! Invariant: each is bounded, whatever clients send. Must not know: names of series.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use store::{AppliedBatch, EventKind, Response};

use super::histogram::{Bounds, Histogram};

/// Lease times, in seconds: one doubling 23 times.
const LEASE_TTL_BOUNDS: Bounds = Bounds(&{
    let mut bounds = [1_000_000_u64; 24];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2;
        at += 1;
    }
    bounds
});

/// What was applied on this member since its start.
#[derive(Debug)]
pub(crate) struct AppliedCounts {
    pub(crate) puts: AtomicU64,
    pub(crate) deletes: AtomicU64,
    pub(crate) txns: AtomicU64,
    pub(crate) put_bytes: AtomicU64,
    pub(crate) leases_granted: AtomicU64,
    pub(crate) leases_revoked: AtomicU64,
    pub(crate) lease_ttls: Histogram,
}

impl AppliedCounts {
    /// All at zero.
    pub(crate) fn new() -> Self {
        AppliedCounts {
            puts: AtomicU64::new(0),
            deletes: AtomicU64::new(0),
            txns: AtomicU64::new(0),
            put_bytes: AtomicU64::new(0),
            leases_granted: AtomicU64::new(0),
            leases_revoked: AtomicU64::new(0),
            lease_ttls: Histogram::new(&LEASE_TTL_BOUNDS),
        }
    }

    /// Counts one batch: a revision of several changes is a transaction, as etcd counts it.
    pub(crate) fn applied(&self, batch: &AppliedBatch) {
        let (mut puts, mut deletes, mut txns, mut bytes) = (0, 0, 0, 0);
        for revision in &batch.events {
            let changes = revision.events.len();
            let put = revision.events.iter().filter(|event| event.kind == EventKind::Put);
            let (count, size) =
                put.fold((0, 0), |(count, size), event| (count + 1, size + event.kv.len() as u64));
            puts += count;
            deletes += changes as u64 - count;
            txns += u64::from(changes > 1);
            bytes += size;
        }
        self.puts.fetch_add(puts, Ordering::Relaxed);
        self.deletes.fetch_add(deletes, Ordering::Relaxed);
        self.txns.fetch_add(txns, Ordering::Relaxed);
        self.put_bytes.fetch_add(bytes, Ordering::Relaxed);
        for outcome in &batch.outcomes {
            match &outcome.result {
                Ok(Response::LeaseGrant { ttl, .. }) => {
                    self.leases_granted.fetch_add(1, Ordering::Relaxed);
                    let ttl_s = u64::try_from(*ttl).unwrap_or(0);
                    self.lease_ttls.observe(std::time::Duration::from_secs(ttl_s));
                }
                Ok(Response::LeaseRevoke) => {
                    self.leases_revoked.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
        }
    }
}

/// Requests by the version that a client says it is of.
///
/// Invariant: a bounded number of versions, or a client could fill the memory with names.
#[derive(Debug, Default)]
pub(crate) struct ClientVersions(RwLock<Vec<VersionCounts>>);

#[derive(Debug)]
struct VersionCounts {
    version: String,
    unary: AtomicU64,
    stream: AtomicU64,
}

const VERSIONS_MAX: usize = 32;
const VERSION_BYTES_MAX: usize = 32;
const UNKNOWN: &str = "unknown";

impl ClientVersions {
    /// Counts one request.
    pub(crate) fn asked(&self, version: Option<&str>, is_unary: bool) {
        let version = version.filter(|version| version.len() <= VERSION_BYTES_MAX);
        let version = version.unwrap_or(UNKNOWN);
        if self.add(version, is_unary) {
            return;
        }
        let mut versions = self.0.write();
        let version = if versions.len() < VERSIONS_MAX { version } else { UNKNOWN };
        if !versions.iter().any(|counts| counts.version == version) {
            let zero = || AtomicU64::new(0);
            let version = version.to_owned();
            versions.push(VersionCounts { version, unary: zero(), stream: zero() });
        }
        drop(versions);
        self.add(version, is_unary);
    }

    fn add(&self, version: &str, is_unary: bool) -> bool {
        let versions = self.0.read();
        let Some(counts) = versions.iter().find(|counts| counts.version == version) else {
            return false;
        };
        let count = if is_unary { &counts.unary } else { &counts.stream };
        count.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Version, requests and streams.
    pub(crate) fn all(&self) -> Vec<(String, u64, u64)> {
        let versions = self.0.read();
        let row = |counts: &VersionCounts| {
            let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
            (counts.version.clone(), load(&counts.unary), load(&counts.stream))
        };
        versions.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_versions_do_not_fill_the_memory() {
        let clients = ClientVersions::default();
        clients.asked(None, true);
        clients.asked(Some("3.7"), false);
        for number in 0..1000 {
            clients.asked(Some(&format!("9.{number}")), true);
        }
        clients.asked(Some(&"x".repeat(1000)), true);
        let all = clients.all();
        assert_eq!(all.len(), VERSIONS_MAX);
        let total: u64 = all.iter().map(|(_, unary, stream)| unary + stream).sum();
        assert_eq!(total, 1003, "each request is counted once");
        assert_eq!(all[1], ("3.7".to_owned(), 0, 1));
    }
}
