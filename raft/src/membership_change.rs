//! Who joins, votes and leaves: one step at a time, each a single entry.
//!
//! Invariants: one voter more or less per entry, and only on top of a committed membership and a
//! committed entry of the leader's own term; a change is refused when it would leave fewer voters
//! in reach than decide; ids are never used twice (the caller makes them with `added_member_id`).
//! Must not know: names and client URLs, which are a command of the store.

use std::collections::{BTreeMap, BTreeSet};

use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::ClientWriteResponse;
use openraft::{ChangeMembers, Precondition};
use store::{LogId, MemberId};

use crate::consensus::Consensus;
use crate::errors::MembershipError;
use crate::lifecycle::was_heard;
use crate::types::{Membership, Metrics, Payload, PeerNode, RaftLogId, TypeConfig, to_store};

/// One step of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// A member that votes at once.
    AddVoter {
        /// Its id, never used before.
        id: MemberId,
        /// Where its peers reach it.
        peer_urls: Vec<String>,
    },
    /// A member that only receives the log.
    AddLearner {
        /// Its id, never used before.
        id: MemberId,
        /// Where its peers reach it.
        peer_urls: Vec<String>,
    },
    /// A learner that caught up votes from now on.
    Promote {
        /// The learner.
        id: MemberId,
    },
    /// A member leaves for ever.
    Remove {
        /// The member.
        id: MemberId,
    },
    /// A member is reached elsewhere.
    UpdatePeerUrls {
        /// The member.
        id: MemberId,
        /// Where its peers reach it.
        peer_urls: Vec<String>,
    },
}

/// Part of the leader's log that a learner must have before it votes, in percent.
///
/// *Source*: etcd, the rule for promoting a learner.
const LEARNER_READY_PERCENT: u64 = 90;

impl Consensus {
    /// Makes one change, on the leader. Returns when it is committed and applied here, and where.
    ///
    /// *Errors*: [`MembershipError`]; only `TimedOut` leaves the outcome open.
    pub async fn change_members(&self, change: MemberChange) -> Result<LogId, MembershipError> {
        if !self.leadership().is_leader {
            return Err(MembershipError::NoLeader);
        }
        let next = {
            let metrics = self.core.metrics.borrow_watched();
            check_peer_urls(&metrics, &change)?;
            next_step(&metrics, &change, self.core.config.timing.lease())?
        };
        let deadline = self.core.config.timing.request_timeout();
        let written = match tokio::time::timeout(deadline, self.write(next)).await {
            Ok(written) => written.map_err(refused)?,
            Err(_) => return Err(MembershipError::TimedOut),
        };
        tracing::info!(?change, "the membership changed");
        Ok(to_store(&written.log_id))
    }

    async fn write(&self, next: Step) -> Written {
        let raft = &self.core.raft;
        match next {
            Step::Nodes(nodes) => {
                raft.change_membership(ChangeMembers::SetNodes(nodes), true).await
            }
            Step::Membership { since, membership } => {
                let unchanged = Precondition::LastMembershipLogId { last_membership_log_id: since };
                raft.append_membership(membership, Payload::Blank, [unchanged]).await
            }
        }
    }
}

type Written =
    Result<ClientWriteResponse<TypeConfig>, RaftError<TypeConfig, ClientWriteError<TypeConfig>>>;

enum Step {
    /// Addresses only: nobody's vote changes.
    Nodes(BTreeMap<u64, PeerNode>),
    Membership {
        since: Option<RaftLogId>,
        membership: Membership,
    },
}

/// No two members share a peer URL.
fn check_peer_urls(metrics: &Metrics, change: &MemberChange) -> Result<(), MembershipError> {
    let (MemberChange::AddVoter { id, peer_urls }
    | MemberChange::AddLearner { id, peer_urls }
    | MemberChange::UpdatePeerUrls { id, peer_urls }) = change
    else {
        return Ok(());
    };
    let mut others = metrics.membership_config.nodes().filter(|(other, _)| **other != id.0);
    let taken = others.any(|(_, node)| node.peer_urls.iter().any(|url| peer_urls.contains(url)));
    if taken { Err(MembershipError::PeerUrlsExist) } else { Ok(()) }
}

fn next_step(
    metrics: &Metrics,
    change: &MemberChange,
    lease: std::time::Duration,
) -> Result<Step, MembershipError> {
    let current = &metrics.membership_config;
    let mut voters: BTreeSet<u64> = current.voter_ids().collect();
    let mut nodes: BTreeMap<u64, PeerNode> =
        current.nodes().map(|(id, node)| (*id, node.clone())).collect();
    let before = voters.clone();
    match change {
        MemberChange::AddVoter { id, peer_urls } | MemberChange::AddLearner { id, peer_urls } => {
            if nodes.insert(id.0, PeerNode { peer_urls: peer_urls.clone() }).is_some() {
                return Err(MembershipError::IdExists);
            }
            if matches!(change, MemberChange::AddVoter { .. }) {
                voters.insert(id.0);
            }
        }
        MemberChange::Promote { id } => {
            if !nodes.contains_key(&id.0) {
                return Err(MembershipError::NotFound);
            }
            if !voters.insert(id.0) {
                return Err(MembershipError::NotLearner);
            }
            check_caught_up(metrics, id.0)?;
        }
        MemberChange::Remove { id } => {
            if nodes.remove(&id.0).is_none() {
                return Err(MembershipError::NotFound);
            }
            voters.remove(&id.0);
        }
        MemberChange::UpdatePeerUrls { id, peer_urls } => {
            if !nodes.contains_key(&id.0) {
                return Err(MembershipError::NotFound);
            }
            let node = PeerNode { peer_urls: peer_urls.clone() };
            return Ok(Step::Nodes(BTreeMap::from([(id.0, node)])));
        }
    }
    if voters != before {
        check_quorum_in_reach(metrics, &voters, lease)?;
    }
    let membership =
        Membership::new(vec![voters], nodes).map_err(|_| MembershipError::NotEnoughStarted)?;
    Ok(Step::Membership { since: *current.log_id(), membership })
}

fn check_caught_up(metrics: &Metrics, learner: u64) -> Result<(), MembershipError> {
    let replication = metrics.replication.as_ref().ok_or(MembershipError::NoLeader)?;
    let matched: Option<RaftLogId> = replication.get(&learner).copied().flatten();
    let matched = matched.map_or(0, |matched| matched.index + 1);
    let last = metrics.last_log_index.map_or(0, |last| last + 1);
    let ready = matched * 100 >= last * LEARNER_READY_PERCENT;
    if ready { Ok(()) } else { Err(MembershipError::LearnerNotReady) }
}

/// The voters of the next membership that are in reach must be enough to decide.
fn check_quorum_in_reach(
    metrics: &Metrics,
    voters: &BTreeSet<u64>,
    lease: std::time::Duration,
) -> Result<(), MembershipError> {
    let heard = |voter: &&u64| **voter == metrics.id || was_heard(metrics, **voter, lease);
    let in_reach = voters.iter().filter(heard).count();
    // A member that is added alone with this one cannot be in reach before it is added.
    let needed = if voters.len() == 2 { 1 } else { voters.len() / 2 + 1 };
    if voters.is_empty() || in_reach < needed {
        return Err(MembershipError::NotEnoughStarted);
    }
    Ok(())
}

fn refused(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> MembershipError {
    let error = match error {
        RaftError::APIError(error) => error,
        RaftError::Fatal(_) => return MembershipError::Stopped,
    };
    match error {
        ClientWriteError::ForwardToLeader(_) => MembershipError::NoLeader,
        ClientWriteError::LogEntryDiscarded(_) => MembershipError::TimedOut,
        ClientWriteError::PreconditionFailed(_) => MembershipError::Busy,
        ClientWriteError::ChangeMembershipError(error) => match error {
            ChangeMembershipError::LearnerNotFound(_) => MembershipError::NotFound,
            ChangeMembershipError::EmptyMembership(_) => MembershipError::NotEnoughStarted,
            ChangeMembershipError::InProgress(_)
            | ChangeMembershipError::UnsupportedMembershipTransition(_)
            | ChangeMembershipError::UncommittedLeaderLog(_)
            | ChangeMembershipError::NodeMetadataChanged(_) => MembershipError::Busy,
        },
    }
}
