//! The handle on one member's consensus: propose, read, lead, leave.
//!
//! Invariants: what is returned from [`Consensus::propose`] is applied on this member; an error
//! says whether the command may still take effect; every wait ends by a deadline.
//! Must not know: what commands mean, who asks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proto::log::Command;
use proto::peer;
use store::engine::Engines;
use store::{LogId, MemberId, Outcome};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Raft;
use crate::admission::Admission;
use crate::apply::ApplyCounters;
use crate::apply_task::ApplyTask;
use crate::batcher::Batcher;
use crate::blocking::Blocking;
use crate::config::MemberConfig;
use crate::digest::Digests;
use crate::errors::{PeerError, ProposeError, ReadIndexError};
use crate::handler::Handler;
use crate::identity::ClusterId;
use crate::leadership::{self, Contact, Leadership, MetricsWatch};
use crate::local_identity::LocalIdentity;
use crate::machine::Flusher;
use crate::peer::{Lane, LeaderCalls, PeerAddress, PeerHandler, Transport};
use crate::read_index::ReadIndex;
use crate::retention::SnapshotsUnderWay;
use crate::types::to_store;
use crate::waiters::Waiters;
use openraft::async_runtime::WatchReceiver as _;

/// A member of the cluster, as its own process sees it. Clones share the member.
#[derive(Clone)]
pub struct Consensus {
    pub(crate) core: Arc<Core>,
}

/// A member of the cluster, as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Whether it only receives the log and does not vote.
    pub is_learner: bool,
}

/// What the tasks of a member share.
pub(crate) struct Core {
    pub(crate) config: MemberConfig,
    pub(crate) raft: Raft,
    pub(crate) log: Arc<crate::log::RunningLog>,
    pub(crate) identity: Arc<LocalIdentity>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) engines: Arc<dyn Engines>,
    pub(crate) waiters: Waiters,
    pub(crate) admission: Admission,
    pub(crate) batcher: Batcher,
    pub(crate) read_index: ReadIndex,
    pub(crate) digests: Arc<Digests>,
    pub(crate) counters: Arc<ApplyCounters>,
    pub(crate) apply: ApplyTask,
    pub(crate) applied: watch::Receiver<Option<LogId>>,
    pub(crate) flusher: Flusher,
    pub(crate) metrics: MetricsWatch,
    pub(crate) contact: Arc<Contact>,
    pub(crate) leadership_changes: watch::Receiver<Leadership>,
    pub(crate) snapshots_under_way: SnapshotsUnderWay,
    pub(crate) receiving: Arc<crate::receiving::Receiving>,
    /// Held while the members are changed: one step after the other.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) addresses: crate::network::Addresses,
    pub(crate) removal: crate::removal::Removal,
    pub(crate) blocking: Blocking,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) leader_calls: OnceLock<Arc<dyn LeaderCalls>>,
    pub(crate) next_id: AtomicU64,
    pub(crate) stopping: AtomicBool,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) thread: parking_lot::Mutex<Option<crate::runtime::RaftThread>>,
}

impl Core {
    /// Who leads, by the one rule.
    pub(crate) fn leadership(&self) -> Leadership {
        leadership::derive(&self.metrics.borrow_watched(), &self.contact, self.config.timing)
    }

    /// A lane to a member of the cluster.
    pub(crate) fn peer(&self, member: MemberId, lane: Lane) -> Option<Arc<dyn PeerHandler>> {
        let metrics = self.metrics.borrow_watched();
        let node = metrics.membership_config.get_node(&member.0)?;
        let address = PeerAddress { member_id: member, peer_urls: node.peer_urls.clone() };
        Some(self.transport.peer(&address, lane))
    }

    /// Ends when the member stops.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // An error means that the sender is gone, which is a stop as well.
        drop(stop.wait_for(|stopped| *stopped).await);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Whether the newest membership this member knows is committed.
    pub(crate) fn is_membership_committed(&self) -> bool {
        let metrics = self.metrics.borrow_watched();
        let at = metrics.membership_config.log_id();
        at.is_some() && *at <= metrics.local_committed
    }

    /// The newest applied position.
    pub(crate) fn applied_log_id(&self) -> Option<LogId> {
        *self.applied.borrow()
    }

    /// Up to which index the state is flushed, and the log is cut.
    pub(crate) fn flushed_and_cut(&self) -> Option<(u64, u64)> {
        let metrics = self.metrics.borrow_watched();
        let flushed = to_store(metrics.snapshot.as_ref()?).index;
        Some((flushed, metrics.purged.as_ref().map_or(0, |purged| to_store(purged).index)))
    }

    /// Waits until this member has applied `index`.
    pub(crate) async fn wait_applied(&self, index: u64) -> Result<(), ReadIndexError> {
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|at| at.is_some_and(|at| at.index >= index)).await;
        reached.map(|_| ()).map_err(|_| ReadIndexError::Stopped)
    }

    /// Waits for another leadership than `seen`, but only a moment: a peer may know of one before
    /// this member does.
    pub(crate) async fn wait_for_change(&self, seen: Leadership) {
        let mut changes = self.leadership_changes.clone();
        changes.mark_unchanged();
        if self.leadership() != seen {
            return;
        }
        let interval = Duration::from_millis(self.config.timing.heartbeat_ms);
        drop(tokio::time::timeout(interval, changes.changed()).await);
    }

    fn new_id(&self) -> u64 {
        let count = self.next_id.fetch_add(1, Ordering::Relaxed);
        // The member in the upper bits keeps two members' counters apart.
        (self.identity.member_id().0 << 48) | (count & 0xffff_ffff_ffff)
    }
}

impl Consensus {
    /// Proposes a command and waits until it is applied on this member.
    ///
    /// On a follower the command goes to the leader in one hop. The header's id is filled in. When
    /// a leader is lost with the command, it is proposed to the next one as soon as an entry of
    /// that one's term shows that the first attempt came to nothing; never twice with effect.
    ///
    /// *Errors*: [`ProposeError::is_outcome_unknown`] tells whether the command may still take
    /// effect. *Cancellation*: dropping the future does not take the command back.
    /// *Durability*: on return a quorum has stored the command.
    pub async fn propose(&self, mut command: Command) -> Result<Outcome, ProposeError> {
        let core = &self.core;
        let header = command.header.get_or_insert_default();
        header.id = core.new_id();
        let deadline = Instant::now() + core.config.timing.request_timeout();
        let mut attempt = Attempt { core, id: header.id, maybe_accepted: None };
        let route = attempt.run(&command);
        match tokio::time::timeout_at(deadline, route).await {
            Ok(answer) => answer,
            Err(_) => Err(attempt.maybe_accepted.unwrap_or(ProposeError::TimedOut)),
        }
    }

    /// Waits until a read of the local store sees everything that was committed before the call.
    ///
    /// *Errors*: retrying is safe.
    pub async fn read_index(&self) -> Result<(), ReadIndexError> {
        let core = &self.core;
        if let Some(index) = self.sole_voter_commit() {
            return core.wait_applied(index).await;
        }
        let confirmed = async {
            loop {
                let seen = core.leadership();
                match core.read_index.join().await {
                    Ok(None) => return Ok(()),
                    Ok(Some(log_id)) => return core.wait_applied(log_id.index).await,
                    Err(ReadIndexError::Stopped) => return Err(ReadIndexError::Stopped),
                    Err(_) if core.is_stopped() => return Err(ReadIndexError::Stopped),
                    // A round failed; nothing was read, so the next one may try.
                    Err(_) => core.wait_for_change(seen).await,
                }
            }
        };
        let deadline = core.config.timing.request_timeout();
        match tokio::time::timeout(deadline, confirmed).await {
            Ok(answer) => answer,
            Err(_) if core.leadership().leader.is_none() => Err(ReadIndexError::NoLeader),
            Err(_) => Err(ReadIndexError::TimedOut),
        }
    }

    /// A sole voter needs nobody's confirmation once it has committed in its own term.
    ///
    /// Nobody else can be elected without this member's vote: a second voter counts only after an
    /// entry that this member wrote, and a third only after that entry is committed, by when the
    /// core's report names more than one voter.
    fn sole_voter_commit(&self) -> Option<u64> {
        let metrics = self.core.metrics.borrow_watched();
        let leads = metrics.state == openraft::ServerState::Leader;
        if !leads || !leadership::is_sole_voter(&metrics) {
            return None;
        }
        let committed = metrics.local_committed.as_ref()?;
        (committed.leader_id.term == metrics.current_term).then(|| to_store(committed).index)
    }

    /// Who leads, as far as this member can prove it now.
    pub fn leadership(&self) -> Leadership {
        self.core.leadership()
    }

    /// The leadership, as it changes.
    pub fn leadership_changes(&self) -> watch::Receiver<Leadership> {
        self.core.leadership_changes.clone()
    }

    /// The members, in the order of their ids.
    pub fn members(&self) -> Vec<Member> {
        let metrics = self.core.metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let voters: std::collections::BTreeSet<u64> = membership.voter_ids().collect();
        let nodes = membership.nodes();
        nodes
            .map(|(id, node)| Member {
                id: MemberId(*id),
                peer_urls: node.peer_urls.clone(),
                is_learner: !voters.contains(id),
            })
            .collect()
    }

    /// Whether this member, as far as it knows, is part of the cluster without a vote.
    pub fn is_learner(&self) -> bool {
        let metrics = self.core.metrics.borrow_watched();
        let members = metrics.membership_config.membership();
        let votes = members.get_joint_config().iter().any(|voters| voters.contains(&metrics.id));
        !votes && members.get_node(&metrics.id).is_some()
    }

    /// Where in the log the newest membership is that this member knows, committed or not; 0: none.
    pub fn membership_index(&self) -> u64 {
        let metrics = self.core.metrics.borrow_watched();
        metrics.membership_config.log_id().as_ref().map_or(0, |at| to_store(at).index)
    }

    /// Whose state is corrupt, by the digests that members exchange all the time. The leader hears
    /// all of them.
    pub fn corruption(&self) -> crate::digest::Corruption {
        let members: Vec<MemberId> = self.members().iter().map(|member| member.id).collect();
        self.core.digests.corruption(self.core.identity.member_id(), &members)
    }

    /// The ids of the cluster and of this member.
    pub fn ids(&self) -> (ClusterId, MemberId) {
        let identity = self.core.identity.identity();
        (identity.cluster_id, identity.member_id)
    }

    /// What peers may ask this member: to be served by the transport's listening side.
    pub fn peer_handler(&self) -> Arc<dyn PeerHandler> {
        Arc::new(Handler::new(Arc::clone(&self.core)))
    }

    /// The runtime the core runs on: the peers' listener belongs there too, so that no client's
    /// request delays a heartbeat.
    pub fn runtime(&self) -> tokio::runtime::Handle {
        self.core.runtime.clone()
    }

    /// Sets who answers the calls that only a leader can answer. Later calls change nothing.
    pub fn serve_leader_calls(&self, calls: Arc<dyn LeaderCalls>) {
        drop(self.core.leader_calls.set(calls));
    }

    /// Asks the leader what only it can answer; in place when this member leads.
    ///
    /// *Errors*: the call may have been handled unless the error says otherwise.
    pub async fn ask_leader(
        &self,
        request: peer::ask_leader_request::Request,
    ) -> Result<peer::AskLeaderResponse, PeerError> {
        let core = &self.core;
        let leader = core.leadership().leader;
        let leader = leader.ok_or_else(|| PeerError::Refused("no leader".to_owned()))?;
        let header = Some(core.identity.header_to(leader));
        let request = peer::AskLeaderRequest { header, request: Some(request) };
        if leader == core.identity.member_id() {
            let calls = core.leader_calls.get();
            let calls = calls.ok_or_else(|| PeerError::Refused("not serving yet".to_owned()))?;
            return Ok(calls.answer(request).await);
        }
        let peer = core.peer(leader, Lane::Requests);
        let peer = peer.ok_or_else(|| PeerError::Refused("no leader".to_owned()))?;
        let removes_this = removes(&request, core.identity.member_id());
        let response = peer.ask_leader(request).await?;
        if removes_this {
            // The leader sends this member nothing any more, also not the entry that removed it.
            core.removal.look_now();
        } else if let Some(log_id) = &response.log_id {
            // Read your write: what the leader did is visible here before the answer is.
            let waited = core.wait_applied(log_id.index);
            drop(tokio::time::timeout(core.config.timing.request_timeout(), waited).await);
        }
        Ok(response)
    }

    /// Waits until everything that was committed before this member started is applied again, so
    /// that local reads cannot show an older state than before the restart.
    ///
    /// *Errors*: [`ReadIndexError::TimedOut`] when no quorum was found within `wait`.
    pub async fn wait_for_recovery(&self, wait: Duration) -> Result<(), ReadIndexError> {
        let recovered = self.core.raft.wait_for_recovery(Some(wait)).await;
        let metrics = recovered.map_err(|_| ReadIndexError::TimedOut)?;
        match &metrics.last_applied {
            Some(applied) => self.core.wait_applied(to_store(applied).index).await,
            None => Ok(()),
        }
    }
}

fn removes(request: &peer::AskLeaderRequest, member: MemberId) -> bool {
    use peer::ask_leader_request::Request;
    matches!(&request.request, Some(Request::MemberRemove(remove)) if remove.id == member.0)
}

/// One proposal, on its way to whoever leads.
struct Attempt<'a> {
    core: &'a Core,
    id: u64,
    /// Set once the command may have been accepted somewhere: what a passed deadline then means.
    maybe_accepted: Option<ProposeError>,
}

/// What became of handing a command over.
enum Handed {
    /// The answer comes with the command's applying on this member.
    Awaited(ProposeError),
    /// Certainly not accepted; another leader may take it.
    NotAccepted,
    Refused(ProposeError),
}

impl Attempt<'_> {
    async fn run(&mut self, command: &Command) -> Result<Outcome, ProposeError> {
        loop {
            if self.core.is_stopped() {
                return Err(ProposeError::Stopped);
            }
            let seen = self.core.leadership();
            let mut waiting = self.core.waiters.wait_here(self.id, seen.term);
            let handed = tokio::select! {
                biased;
                answer = &mut waiting.receiver => match answer {
                    Ok(Err(ProposeError::NoLeader)) => Handed::NotAccepted,
                    answer => return answer.unwrap_or(Err(ProposeError::Stopped)),
                },
                handed = self.hand_over(command, seen) => handed,
            };
            match handed {
                Handed::Refused(error) => return Err(error),
                Handed::NotAccepted => {}
                Handed::Awaited(deadline_means) => {
                    self.maybe_accepted = Some(deadline_means);
                    match (&mut waiting.receiver).await {
                        Ok(Err(ProposeError::NoLeader)) => {}
                        answer => return answer.unwrap_or(Err(ProposeError::Stopped)),
                    }
                }
            }
            self.maybe_accepted = None;
            self.core.wait_for_change(seen).await;
        }
    }

    async fn hand_over(&mut self, command: &Command, seen: Leadership) -> Handed {
        let Some(leader) = seen.leader else { return Handed::NotAccepted };
        if seen.is_leader {
            return match self.core.batcher.enqueue(command.clone(), seen.term) {
                Ok(()) => Handed::Awaited(ProposeError::TimedOut),
                Err(error) => Handed::Refused(error),
            };
        }
        let Some(peer) = self.core.peer(leader, Lane::Requests) else {
            return Handed::NotAccepted;
        };
        self.maybe_accepted = Some(ProposeError::ConnectionLost);
        let request = peer::ProposeRequest {
            header: Some(self.core.identity.header_to(leader)),
            command: Some(command.clone()),
            term: seen.term,
        };
        // On a task of its own: this member's applying often answers before the leader's word
        // comes, and a call broken off each time would wear the connection out.
        let deadline = self.core.config.timing.request_timeout();
        let call =
            tokio::spawn(
                async move { tokio::time::timeout(deadline, peer.propose(request)).await },
            );
        let answer = match call.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(PeerError::NoAnswer("no answer in time".to_owned())),
        };
        match answer {
            Ok(response) => understand(&response),
            Err(error) if error.is_certainly_not_handled() => Handed::NotAccepted,
            // The command may be in the leader's log: only what is applied here can tell.
            Err(_) => Handed::Awaited(ProposeError::ConnectionLost),
        }
    }
}

fn understand(response: &peer::ProposeResponse) -> Handed {
    use peer::refusal::Reason;
    match &response.result {
        Some(peer::propose_response::Result::Outcome(_)) => Handed::Awaited(ProposeError::TimedOut),
        Some(peer::propose_response::Result::Refusal(refusal)) => match refusal.reason() {
            Reason::NotLeader | Reason::Stopping => Handed::NotAccepted,
            Reason::TooManyRequests => Handed::Refused(ProposeError::TooManyRequests),
            Reason::TooLarge => Handed::Refused(ProposeError::TooLarge),
            Reason::OutcomeUnknown | Reason::Unspecified => {
                Handed::Awaited(ProposeError::LeaderChanged)
            }
        },
        None => Handed::Awaited(ProposeError::ConnectionLost),
    }
}
