//! The leader's time: renewals, expiry and checkpoints of leases.
//!
//! Invariants: only the leader keeps deadlines; a renewal is answered after a quorum confirmed the
//! leader; a checkpointed remaining time, also one that is still on its way into the log, is
//! cleared through the log *before* the first renewal after it is answered, or a new leader would
//! end a renewed lease early; revokes and checkpoints
//! carry the term in which they were decided, and are refused in any other.
//! Must not know: gRPC.

mod deadlines;
mod keeper;
mod renew;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use store::{AppliedBatch, LeaseId, Reader, Response};
use tokio::sync::Notify;

use crate::clock::Clock;
use deadlines::Deadlines;
pub(crate) use keeper::keep_time;
pub(crate) use renew::LeaderDoor;

/// What this member knows about the time of leases.
pub(crate) struct Leases {
    deadlines: Mutex<Deadlines>,
    clock: Arc<dyn Clock>,
    /// Rung when a revoke was applied, a checkpoint decided or the office changed: renewals wait
    /// for it.
    changed: Notify,
    renewed: AtomicU64,
    expired: AtomicU64,
}

impl Leases {
    /// Nothing is known yet.
    pub(crate) fn new(clock: Arc<dyn Clock>, checkpoint_interval: Duration) -> Self {
        Leases {
            deadlines: Mutex::new(Deadlines::new(checkpoint_interval)),
            clock,
            changed: Notify::new(),
            renewed: AtomicU64::new(0),
            expired: AtomicU64::new(0),
        }
    }

    /// Renewals that this member answered as leader.
    pub(crate) fn renewed(&self) -> u64 {
        self.renewed.load(Ordering::Relaxed)
    }

    /// Leases that this member, as leader, revoked because their time was up.
    pub(crate) fn expired_total(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// Hears of applied commands, in order, before their proposers do.
    pub(crate) fn applied(&self, batch: &AppliedBatch) {
        let mut revoked = false;
        for outcome in &batch.outcomes {
            match &outcome.result {
                Ok(Response::LeaseGrant { id, ttl }) => {
                    self.deadlines.lock().granted(*id, *ttl, self.clock.now());
                }
                Ok(Response::LeaseRevoke) => revoked = true,
                _ => {}
            }
        }
        if revoked {
            self.changed.notify_waiters();
        }
    }

    /// All leases, the one that ends first first; by id where this member keeps no time.
    pub(crate) fn in_order_of_expiry(&self, reader: &Reader) -> Vec<LeaseId> {
        let mut ids: Vec<LeaseId> = reader.leases().into_iter().map(|lease| lease.id).collect();
        let deadlines = self.deadlines.lock();
        ids.sort_by_key(|id| (deadlines.deadline(*id), *id));
        ids
    }
}
