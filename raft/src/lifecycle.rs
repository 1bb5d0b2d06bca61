//! Giving the leadership away, and leaving.
//!
//! Invariants: a clean stop hands the leadership over first, so that nobody waits out an election;
//! it never takes longer than its deadlines, whatever the peers do.
//! Must not know: why somebody wants it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use store::MemberId;

use crate::consensus::Consensus;
use crate::errors::TransferError;
use crate::leadership;
use crate::limits;
use crate::types::{Metrics, RaftLogId};
use openraft::async_runtime::WatchReceiver as _;

impl Consensus {
    /// Moves the leadership from this member to `to`, or to the voter that is furthest ahead.
    /// Returns when the new leader was heard.
    ///
    /// *Errors*: [`TransferError`]; this member may still lead, or nobody for a moment.
    pub async fn transfer_leader(&self, to: Option<MemberId>) -> Result<(), TransferError> {
        self.transfer_within(to, self.core.config.timing.request_timeout()).await
    }

    async fn transfer_within(
        &self,
        to: Option<MemberId>,
        deadline: Duration,
    ) -> Result<(), TransferError> {
        if !self.leadership().is_leader {
            return Err(TransferError::NotLeader);
        }
        let target = match to {
            Some(to) if self.is_voter(to) => to,
            Some(_) => return Err(TransferError::BadTransferee),
            None => self.furthest_voter().ok_or(TransferError::Unhealthy)?,
        };
        if target == self.ids().1 {
            return Ok(());
        }
        let own = self.ids().1;
        tracing::info!(
            "current-leader-member-id" = %own,
            "transferee-member-id" = %target,
            "leadership transfer starting"
        );
        let handed = self.core.raft.trigger().transfer_leader(target.0).await;
        handed.map_err(|_| TransferError::Stopped)?;
        let mut changes = self.leadership_changes();
        let moved = changes.wait_for(|now| now.leader == Some(target));
        match tokio::time::timeout(deadline, moved).await {
            Ok(Ok(_)) => {
                tracing::info!(
                    "old-leader-member-id" = %own,
                    "new-leader-member-id" = %target,
                    "leadership transfer finished"
                );
                Ok(())
            }
            Ok(Err(_)) => Err(TransferError::Stopped),
            Err(_) => Err(TransferError::TimedOut),
        }
    }

    fn is_voter(&self, member: MemberId) -> bool {
        let metrics = self.core.metrics.borrow_watched();
        metrics.membership_config.voter_ids().any(|voter| voter == member.0)
    }

    /// The other voter that has most of the log and was heard within a lease.
    fn furthest_voter(&self) -> Option<MemberId> {
        let lease = self.core.config.timing.lease();
        let metrics = self.core.metrics.borrow_watched();
        let replication = metrics.replication.as_ref()?;
        let others = metrics.membership_config.voter_ids().filter(|voter| *voter != metrics.id);
        let alive = others.filter(|voter| was_heard(&metrics, *voter, lease));
        let progress = alive.map(|voter| {
            let matched: Option<RaftLogId> = replication.get(&voter).copied().flatten();
            (matched, voter)
        });
        progress.max().map(|(_, voter)| MemberId(voter))
    }

    /// Stops the member: hands the leadership over, flushes, closes. Later calls return at once;
    /// what is proposed afterwards ends as stopped.
    pub async fn shutdown(&self) {
        if self.core.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.is_alone() {
            tracing::info!("skipped leadership transfer for single voting member cluster");
        } else if !self.leadership().is_leader {
            tracing::info!("skipped leadership transfer; local server is not leader");
        } else {
            let handed = self.transfer_within(None, limits::TRANSFER_ON_SHUTDOWN).await;
            if let Err(error) = handed {
                tracing::warn!(%error, "stopping without handing the leadership over");
            }
        }
        // Only now: the one who takes over needs this member's vote, and is heard through it.
        self.core.stop.send_replace(true);
        self.core.batcher.close();
        if let Err(error) = self.core.flusher.flush().await {
            tracing::warn!(%error, "stopping without a last flush: the log has the rest");
        }
        self.close().await;
    }

    /// Ends the member the way a crash does: nothing is handed over or flushed. For simulation and
    /// tests.
    pub async fn kill(&self) {
        self.core.stopping.store(true, Ordering::Release);
        self.core.stop.send_replace(true);
        self.core.batcher.close();
        self.close().await;
    }

    async fn close(&self) {
        drop(self.core.raft.shutdown().await);
        let log = std::sync::Arc::clone(&self.core.log);
        drop(self.core.blocking.run(move || log.close()).await);
        self.core.log.ended().await;
        self.core.apply.stop().await;
        let thread = self.core.thread.lock().take();
        if let Some(thread) = thread {
            thread.stop().await;
        }
    }

    fn is_alone(&self) -> bool {
        leadership::is_sole_voter(&self.core.metrics.borrow_watched())
    }
}

pub(crate) fn was_heard(metrics: &Metrics, voter: u64, lease: Duration) -> bool {
    use openraft::Instant as _;
    let beats = metrics.heartbeat.as_ref();
    let last = beats.and_then(|beats| beats.get(&voter).copied().flatten());
    last.is_some_and(|at| at.into_inner().elapsed() < lease)
}
