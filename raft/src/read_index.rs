//! Linearizable reads: one confirmation of the leadership for all that wait.
//!
//! A round begins with everyone who waits at that moment; whoever comes later waits for the next,
//! as a result may only serve reads that arrived before it was asked for (etcd #20418).
//!
//! Must not know: what is read.

use std::sync::Arc;
use std::time::Duration;

use openraft::LinearizerOption;
use openraft::errors::{LinearizableReadError, RaftError};
use parking_lot::Mutex;
use proto::peer;
use store::LogId;
use tokio::sync::{Notify, oneshot};

use crate::Raft;
use crate::consensus::Core;
use crate::errors::ReadIndexError;
use crate::peer::Lane;
use crate::types::to_store;

type Round = Result<Option<LogId>, ReadIndexError>;

/// The reads that wait for the next round. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct ReadIndex {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Vec<oneshot::Sender<Round>>>,
    bell: Notify,
}

impl ReadIndex {
    /// Joins the next round: how far a read that starts now must have applied.
    pub(crate) async fn join(&self) -> Round {
        let (sender, receiver) = oneshot::channel();
        self.shared.waiting.lock().push(sender);
        self.shared.bell.notify_one();
        receiver.await.unwrap_or(Err(ReadIndexError::Stopped))
    }

    /// Runs one round after the other while somebody waits. One task runs it.
    pub(crate) async fn run(self, core: Arc<Core>) {
        loop {
            let waiting = std::mem::take(&mut *self.shared.waiting.lock());
            let waiting: Vec<_> =
                waiting.into_iter().filter(|sender| !sender.is_closed()).collect();
            if waiting.is_empty() {
                tokio::select! {
                    biased;
                    () = core.stopped() => return,
                    () = self.shared.bell.notified() => continue,
                }
            }
            let result = round(&core).await;
            for sender in waiting {
                let _gone = sender.send(result);
            }
        }
    }
}

async fn round(core: &Core) -> Round {
    let leadership = core.leadership();
    if leadership.is_leader {
        return confirm(&core.raft, core.config.timing.lease()).await;
    }
    let leader = leadership.leader.ok_or(ReadIndexError::NoLeader)?;
    let peer = core.peer(leader, Lane::Heartbeat).ok_or(ReadIndexError::NoLeader)?;
    let request = peer::ReadIndexRequest { header: Some(core.identity.header_to(leader)) };
    let deadline = core.config.timing.lease();
    let answer = tokio::time::timeout(deadline, peer.read_index(request)).await;
    let answer = answer.map_err(|_| ReadIndexError::TimedOut)?;
    match answer.map_err(|_| ReadIndexError::TimedOut)?.result {
        Some(peer::read_index_response::Result::Confirmed(confirmed)) => {
            Ok(confirmed.read_log_id.map(|id| LogId { term: id.term, index: id.index }))
        }
        Some(peer::read_index_response::Result::Refusal(refusal)) => Err(refused(&refusal)),
        None => Err(ReadIndexError::LeaderChanged),
    }
}

fn refused(refusal: &peer::Refusal) -> ReadIndexError {
    match refusal.reason() {
        peer::refusal::Reason::NotLeader => ReadIndexError::LeaderChanged,
        _ => ReadIndexError::TimedOut,
    }
}

/// Has a quorum confirm that this member leads, and answers its commit position of before.
pub(crate) async fn confirm(raft: &Raft, wait: Duration) -> Round {
    let fresh = LinearizerOption::new(Some(Duration::ZERO), true).with_wait_timeout(wait);
    match raft.get_read_linearizer(fresh).await {
        Ok(linearizer) => Ok(Some(to_store(linearizer.read_log_id().log_id()))),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_))) => {
            Err(ReadIndexError::LeaderChanged)
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
            Err(ReadIndexError::TimedOut)
        }
        Err(RaftError::Fatal(_)) => Err(ReadIndexError::Stopped),
    }
}
