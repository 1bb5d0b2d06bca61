//! The task that keeps time while this member leads: takes office, ends leases, writes checkpoints.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use proto::etcdserverpb::{LeaseCheckpoint, LeaseCheckpointRequest, LeaseRevokeRequest};
use proto::log::command;
use store::LeaseId;
use tokio::time::MissedTickBehavior;

use super::Leases;
use super::deadlines::KnownLease;
use crate::limits::{
    LEASE_CHECKPOINTS_PER_COMMAND_MAX, LEASE_REVOKES_PER_SCAN_MAX, LEASE_SCAN_INTERVAL,
};
use crate::member::Member;

/// Deadlines of leases that are gone are swept when there are this many more than leases.
const SWEEP_SLACK: usize = 1024;

/// Runs until the member stops.
pub(crate) async fn keep_time(member: Arc<Member>) {
    let mut changes = member.consensus().leadership_changes();
    let mut ticks = tokio::time::interval(LEASE_SCAN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopped = member.stopped();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            changed = changes.changed() => if changed.is_err() { return },
            _ = ticks.tick() => {}
        }
        let now = member.leadership();
        let term = member.leases().deadlines.lock().term();
        match (now.is_leader.then_some(now.term), term) {
            (None, None) => {}
            (None, Some(_)) => member.leases().leave_office(),
            (Some(current), term) if term != Some(current) => {
                member.leases().leave_office();
                member.leases().take_office(&member, current).await;
            }
            (Some(term), _) => member.leases().scan(&member, term).await,
        }
    }
}

impl Leases {
    fn leave_office(&self) {
        self.deadlines.lock().leave_office();
        self.changed.notify_waiters();
    }

    /// Order: first everything of earlier terms is applied here, or a clearing checkpoint that is
    /// still on its way would be missed and a renewed lease ended early.
    async fn take_office(&self, member: &Member, term: u64) {
        if member.read_index().await.is_err() {
            return;
        }
        let now = member.leadership();
        if (now.is_leader, now.term) != (true, term) {
            return;
        }
        // A grant applied meanwhile waits for this lock and is then given its own deadline.
        let mut deadlines = self.deadlines.lock();
        let leases = member.reader().leases();
        let known = leases.iter().map(|lease| KnownLease {
            id: lease.id,
            granted_ttl_s: lease.granted_ttl_s,
            remaining_ttl_s: lease.remaining_ttl_s,
        });
        deadlines.take_office(term, known, member.config().election_timeout, self.clock.now());
        drop(deadlines);
        tracing::info!(term, leases = leases.len(), "keeping time for leases");
    }

    async fn scan(&self, member: &Member, term: u64) {
        self.sweep(member);
        let now = self.clock.now();
        let expired = self.deadlines.lock().expired(now, LEASE_REVOKES_PER_SCAN_MAX);
        let revokes: FuturesUnordered<_> =
            expired.into_iter().map(|id| self.revoke(member, id, term)).collect();
        let all = revokes.collect::<()>();
        // A revoke without an answer must not stop the clock: it is tried again later.
        drop(tokio::time::timeout(LEASE_SCAN_INTERVAL, all).await);
        self.write_checkpoints(member, term).await;
    }

    async fn revoke(&self, member: &Member, id: LeaseId, term: u64) {
        if member.reader().lease(id).is_some() {
            let request = LeaseRevokeRequest { id: id.0 };
            let request = command::Request::LeaseRevoke(request);
            match member.propose_fenced(request, term).await {
                Ok(_) => drop(self.expired.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    tracing::debug!(lease_id = %id, %error, "revoke of an expired lease failed");
                }
            }
        }
        if member.reader().lease(id).is_none() {
            self.deadlines.lock().forget(id);
        }
    }

    async fn write_checkpoints(&self, member: &Member, term: u64) {
        let now = self.clock.now();
        let due = self.deadlines.lock().due_checkpoints(now, LEASE_CHECKPOINTS_PER_COMMAND_MAX);
        if due.is_empty() {
            return;
        }
        let ids: Vec<LeaseId> = due.iter().map(|(id, _)| *id).collect();
        let checkpoints = due
            .into_iter()
            .map(|(id, remaining_ttl)| LeaseCheckpoint { id: id.0, remaining_ttl })
            .collect();
        let request = command::Request::LeaseCheckpoint(LeaseCheckpointRequest { checkpoints });
        if let Err(error) = member.propose_fenced(request, term).await {
            tracing::debug!(%error, "checkpoint of leases failed");
        }
        self.deadlines.lock().checkpoints_decided(term, &ids);
        self.changed.notify_waiters();
    }

    /// Revoked leases leave deadlines behind until they would have ended; bounds their number.
    fn sweep(&self, member: &Member) {
        let kept = self.deadlines.lock().len();
        if kept <= SWEEP_SLACK {
            return;
        }
        let ids: HashSet<LeaseId> = member.reader().leases().iter().map(|lease| lease.id).collect();
        if kept > ids.len() + SWEEP_SLACK {
            // A lease that is granted after the list was made is not in it: it is looked up again.
            let exists = |id| ids.contains(&id) || member.reader().lease(id).is_some();
            self.deadlines.lock().retain(exists);
        }
    }
}
