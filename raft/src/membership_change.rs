//! Who joins, votes and leaves: one step at a time, each a single entry.
//!
//! Invariants: one voter more or less per entry, and only on top of a committed membership and a
//! committed entry of the leader's own term; a change is refused when it would leave fewer voters
//! in reach than decide; ids are never used twice (the caller makes them with `added_member_id`).
//! Must not know: names and client URLs, which are a command of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::FutureExt as _;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::ClientWriteResponse;
use openraft::{ChangeMembers, Precondition};
use store::{LogId, MemberId};
use tokio::time::Instant;

use crate::config::MembershipRules;
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
    /// Makes one change, on the leader, after those that were asked for before. Returns when it is
    /// committed and applied here, and where.
    ///
    /// *Errors*: [`MembershipError`]; only `TimedOut` leaves the outcome open.
    pub async fn change_members(&self, change: MemberChange) -> Result<LogId, MembershipError> {
        let deadline = Instant::now() + self.core.config.timing.request_timeout();
        let changing = tokio::time::timeout_at(deadline, self.core.changing.lock()).await;
        let _one = changing.map_err(|_| MembershipError::Busy)?;
        // Right after an election nobody has answered the new leader yet.
        let patience = Instant::now() + self.core.config.timing.lease();
        loop {
            let refusal = match self.next_step(&change) {
                Ok(next) => match tokio::time::timeout_at(deadline, self.write(next)).await {
                    Ok(Ok(written)) => return Ok(self.changed(&change, &written).await),
                    Ok(Err(error)) => refused(error),
                    Err(_) => return Err(MembershipError::TimedOut),
                },
                Err(refusal) => refusal,
            };
            let until = match refusal {
                MembershipError::Busy => deadline,
                MembershipError::OutOfReach => patience,
                other => return Err(other),
            };
            if Instant::now() >= until {
                return Err(refusal);
            }
            self.wait_for_report().await;
        }
    }

    /// Says whether [`Consensus::change_members`] would be refused now.
    ///
    /// *Errors*: [`MembershipError`]; nothing was changed.
    pub fn check_change(&self, change: &MemberChange) -> Result<(), MembershipError> {
        self.next_step(change).map(drop)
    }

    fn next_step(&self, change: &MemberChange) -> Result<Step, MembershipError> {
        if !self.leadership().is_leader {
            return Err(MembershipError::NoLeader);
        }
        let (rules, lease) = (self.core.config.rules, self.core.config.timing.lease());
        next_step(&self.core.metrics.borrow_watched(), change, rules, lease)
    }

    /// Waits for news of the core, but not longer than a heartbeat.
    async fn wait_for_report(&self) {
        let interval = Duration::from_millis(self.core.config.timing.heartbeat_ms);
        let mut metrics = self.core.metrics.clone();
        // A clone has seen nothing yet: what was reported before now is no news.
        let _ = metrics.changed().now_or_never();
        drop(tokio::time::timeout(interval, metrics.changed()).await);
    }

    /// Ends a change: what is asked after it sees it.
    async fn changed(
        &self,
        change: &MemberChange,
        written: &ClientWriteResponse<TypeConfig>,
    ) -> LogId {
        if let MemberChange::UpdatePeerUrls { id, peer_urls } = change {
            self.core.addresses.set(id.0, peer_urls);
        }
        let is_reported = || {
            *self.core.metrics.borrow_watched().membership_config.log_id() >= Some(written.log_id)
        };
        let deadline = Instant::now() + self.core.config.timing.lease();
        while !is_reported() && Instant::now() < deadline {
            self.wait_for_report().await;
        }
        tracing::info!(?change, "the membership changed");
        to_store(&written.log_id)
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

/// *Source*: etcd: which refusal comes first.
fn next_step(
    metrics: &Metrics,
    change: &MemberChange,
    rules: MembershipRules,
    lease: Duration,
) -> Result<Step, MembershipError> {
    let current = &metrics.membership_config;
    let mut voters: BTreeSet<u64> = current.voter_ids().collect();
    let mut nodes: BTreeMap<u64, PeerNode> =
        current.nodes().map(|(id, node)| (*id, node.clone())).collect();
    let reach = Reach { metrics, rules, lease };
    match change {
        MemberChange::AddVoter { id, peer_urls } | MemberChange::AddLearner { id, peer_urls } => {
            reach.check_added(&voters)?;
            let learners = nodes.len() - voters.len();
            if nodes.insert(id.0, PeerNode { peer_urls: peer_urls.clone() }).is_some() {
                return Err(MembershipError::IdExists);
            }
            check_peer_urls(metrics, change)?;
            if matches!(change, MemberChange::AddVoter { .. }) {
                voters.insert(id.0);
            } else if learners >= rules.learners_max {
                return Err(MembershipError::TooManyLearners);
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
            reach.check_quorum_of(&voters)?;
        }
        MemberChange::Remove { id } => {
            if nodes.remove(&id.0).is_none() {
                return Err(MembershipError::NotFound);
            }
            if voters.iter().all(|voter| *voter == id.0) {
                return Err(MembershipError::NotEnoughStarted);
            }
            reach.check_removed(&voters, id.0)?;
            voters.remove(&id.0);
        }
        MemberChange::UpdatePeerUrls { id, peer_urls } => {
            if !nodes.contains_key(&id.0) {
                return Err(MembershipError::NotFound);
            }
            check_peer_urls(metrics, change)?;
            let node = PeerNode { peer_urls: peer_urls.clone() };
            return Ok(Step::Nodes(BTreeMap::from([(id.0, node)])));
        }
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

/// etcd's strict checks: the voters in reach must be enough to decide, also after the change.
///
/// Compat: etcd wants them in reach for five seconds; here, now: an answer within the lease.
struct Reach<'a> {
    metrics: &'a Metrics,
    rules: MembershipRules,
    lease: Duration,
}

impl Reach<'_> {
    fn has(&self, voter: u64) -> bool {
        voter == self.metrics.id || was_heard(self.metrics, voter, self.lease)
    }

    fn count(&self, voters: &BTreeSet<u64>) -> usize {
        voters.iter().filter(|voter| self.has(**voter)).count()
    }

    fn refuse_unless(&self, enough: bool) -> Result<(), MembershipError> {
        if enough || !self.rules.strict { Ok(()) } else { Err(MembershipError::OutOfReach) }
    }

    /// One more, counted as one that cannot be reached yet; a sole voter may always add.
    fn check_added(&self, voters: &BTreeSet<u64>) -> Result<(), MembershipError> {
        let enough = voters.len() == 1 || self.count(voters) > voters.len().div_ceil(2);
        self.refuse_unless(enough)
    }

    /// A voter that is not in reach may always go, and so may who has no vote.
    fn check_removed(&self, voters: &BTreeSet<u64>, id: u64) -> Result<(), MembershipError> {
        if !voters.contains(&id) || !self.has(id) {
            return Ok(());
        }
        let left = self.count(voters) - 1;
        self.refuse_unless(left > (voters.len() - 1) / 2)
    }

    fn check_quorum_of(&self, voters: &BTreeSet<u64>) -> Result<(), MembershipError> {
        self.refuse_unless(self.count(voters) > voters.len() / 2)
    }
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
