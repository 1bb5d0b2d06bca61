//! What this member does when a peer calls.
//!
//! Invariants: no call is handled before cluster, receiver and sender's data directory were
//! checked; a command taken from a peer is never handed on.
//! Must not know: how calls arrive.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use openraft::errors::Fatal;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, StreamAppendResult};
use parking_lot::Mutex;
use proto::peer;
use store::{LogId, MemberId};

use crate::consensus::Core;
use crate::convert;
use crate::errors::{PeerError, ProposeError, ReadIndexError};
use crate::machine::SnapshotData;
use crate::peer::{Answer, Answers, PeerHandler};
use crate::read_index;
use crate::snapshot;
use crate::types::{Runtime, TypeConfig, Vote};

/// Answers the calls of peers.
pub(crate) struct Handler {
    core: Arc<Core>,
}

type AppendAnswer = Result<peer::AppendResponse, PeerError>;

impl Handler {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    fn check(&self, header: Option<&peer::PeerHeader>) -> Result<MemberId, PeerError> {
        if self.core.is_stopped() {
            return Err(PeerError::Refused("the member stops".to_owned()));
        }
        self.core.identity.check(header)
    }

    async fn handle_append(
        &self,
        mut requests: BoxStream<'static, peer::AppendRequest>,
    ) -> Result<BoxStream<'static, AppendAnswer>, PeerError> {
        let Some(first) = requests.next().await else { return Ok(stream::empty().boxed()) };
        let from = self.check(first.header.as_ref())?;
        let bad = Arc::new(Mutex::new(None));
        let entered = Arc::new(Mutex::new(Entered::default()));
        let requests = stream::iter([first]).chain(requests);
        let input = accepted(requests, from, &self.core, Arc::clone(&entered), Arc::clone(&bad));
        let answers = self.in_raft_scope(|| self.core.raft.stream_append(input));
        let core = Arc::clone(&self.core);
        let answers = answers.map(move |result| answer(&core, &entered, result));
        // A request that could not be read ends the stream with its reason.
        let reason = stream::once(async move { bad.lock().take() });
        Ok(answers.chain(reason.filter_map(|error| async move { error.map(Err) })).boxed())
    }

    /// openraft spawns a task that pumps the stream: it must be born in the scope of the member's
    /// randomness and on the member's runtime, whoever polls this.
    fn in_raft_scope<T>(&self, make: impl FnOnce() -> T) -> T {
        let _on = self.core.runtime.enter();
        let scoped = Runtime::scope(self.core.config.seed, async { make() });
        scoped.now_or_never().expect("making a stream does not wait")
    }

    async fn handle_heartbeat(&self, request: peer::AppendRequest) -> AppendAnswer {
        let from = self.check(request.header.as_ref())?;
        if let Some(word) = &request.applied {
            self.core.digests.heard(from, word);
        }
        let sequence = request.sequence;
        let request = convert::append_from_message(request)?;
        let (vote, prev) = (request.vote, request.prev_log_id);
        let last = request.entries.last().map(|entry| entry.log_id).or(prev);
        let response = self.core.raft.append_entries(request).await.map_err(stopped)?;
        let result = match response {
            AppendEntriesResponse::Success => Ok(last),
            AppendEntriesResponse::PartialSuccess(matched) => Ok(matched),
            AppendEntriesResponse::Conflict => {
                let at = prev.ok_or_else(|| convert::malformed("a conflict before the log"))?;
                Err(openraft::raft::StreamAppendError::Conflict(at))
            }
            AppendEntriesResponse::HigherVote(higher) => {
                Err(openraft::raft::StreamAppendError::HigherVote(higher))
            }
        };
        Ok(respond(&self.core, sequence, vote, &result))
    }

    async fn handle_vote(
        &self,
        request: peer::VoteRequest,
        pre: bool,
    ) -> Result<peer::VoteResponse, PeerError> {
        self.check(request.header.as_ref())?;
        let request = convert::vote_request_from_message(&request)?;
        let response = if pre {
            self.core.raft.pre_vote(request).await
        } else {
            self.core.raft.vote(request).await
        };
        response.map(|response| convert::vote_response_to_message(&response)).map_err(stopped)
    }

    async fn handle_snapshot(
        &self,
        mut chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Result<peer::SnapshotResponse, PeerError> {
        let Some(peer::snapshot_chunk::Part::Begin(begin)) =
            chunks.next().await.and_then(|chunk| chunk.part)
        else {
            return Err(convert::malformed("a snapshot without a beginning"));
        };
        let from = self.check(begin.header.as_ref())?;
        let _one = self.core.receiving.turn()?;
        if begin.is_offer {
            let held_bytes = self.core.receiving.held(&snapshot::announced_files(begin.files));
            return Ok(peer::SnapshotResponse { vote: None, held_bytes });
        }
        tracing::info!(peer = %from, files = begin.files.len(), "receiving a snapshot");
        let receiver = snapshot::Receiver {
            receiving: Arc::clone(&self.core.receiving),
            engines: Arc::clone(&self.core.engines),
            blocking: self.core.blocking,
        };
        let received = receiver.receive(begin, chunks).await?;
        let snapshot = SnapshotData::Received(received.sink, received.files);
        let snapshot = openraft::Snapshot { meta: received.meta, snapshot };
        let installed = self.core.raft.install_full_snapshot(received.vote, snapshot).await;
        let response = installed.map_err(|error| PeerError::Refused(error.to_string()))?;
        let vote = Some(convert::vote_to_message(&response.vote));
        Ok(peer::SnapshotResponse { vote, held_bytes: Vec::new() })
    }

    async fn handle_transfer(
        &self,
        request: peer::TransferLeaderRequest,
    ) -> Result<peer::TransferLeaderResponse, PeerError> {
        self.check(request.header.as_ref())?;
        let request = convert::transfer_from_message(&request)?;
        let response = self.core.raft.handle_transfer_leader(request).await;
        let response = response.map_err(|error| PeerError::Refused(error.to_string()))?;
        Ok(convert::transfer_response_to_message(&response))
    }

    async fn handle_propose(
        &self,
        request: peer::ProposeRequest,
    ) -> Result<peer::ProposeResponse, PeerError> {
        self.check(request.header.as_ref())?;
        let command = request.command.ok_or_else(|| convert::malformed("no command"))?;
        let id = command.header.as_ref().map_or(0, |header| header.id);
        let result = match self.take_in(id, request.term, command).await {
            Ok(log_id) => peer::propose_response::Result::Outcome(peer::Outcome {
                log_id: Some(peer::LogId { term: log_id.term, index: log_id.index }),
                ..Default::default()
            }),
            Err(error) => peer::propose_response::Result::Refusal(self.refusal(error)),
        };
        Ok(peer::ProposeResponse { result: Some(result) })
    }

    async fn take_in(
        &self,
        id: u64,
        term: u64,
        command: proto::log::Command,
    ) -> Result<LogId, ProposeError> {
        let leadership = self.core.leadership();
        if !leadership.is_leader || leadership.term != term {
            return Err(ProposeError::NoLeader);
        }
        let mut waiting = self.core.waiters.wait_forwarded(id, term);
        self.core.batcher.enqueue(command, term)?;
        let deadline = self.core.config.timing.request_timeout();
        match tokio::time::timeout(deadline, &mut waiting.receiver).await {
            Ok(receipt) => receipt.unwrap_or(Err(ProposeError::TimedOut)),
            Err(_) => Err(ProposeError::TimedOut),
        }
    }

    fn refusal(&self, error: ProposeError) -> peer::Refusal {
        use peer::refusal::Reason;
        let reason = match error {
            ProposeError::NoLeader => Reason::NotLeader,
            ProposeError::TooManyRequests => Reason::TooManyRequests,
            ProposeError::TooLarge => Reason::TooLarge,
            ProposeError::LeaderChanged
            | ProposeError::TimedOut
            | ProposeError::ConnectionLost
            | ProposeError::Stopped => Reason::OutcomeUnknown,
        };
        self.refuse(reason, error.to_string())
    }

    fn refuse(&self, reason: peer::refusal::Reason, detail: String) -> peer::Refusal {
        let leadership = self.core.leadership();
        peer::Refusal {
            reason: reason.into(),
            leader_id: leadership.leader.map_or(0, |leader| leader.0),
            term: leadership.term,
            detail,
        }
    }

    async fn handle_read_index(
        &self,
        request: peer::ReadIndexRequest,
    ) -> Result<peer::ReadIndexResponse, PeerError> {
        self.check(request.header.as_ref())?;
        let lease = self.core.config.timing.lease();
        let confirmed = if self.core.leadership().is_leader {
            read_index::confirm(&self.core.raft, lease).await
        } else {
            Err(ReadIndexError::LeaderChanged)
        };
        let result = match confirmed {
            Ok(log_id) => {
                let read_log_id = log_id.map(|id| peer::LogId { term: id.term, index: id.index });
                peer::read_index_response::Result::Confirmed(peer::ReadIndexConfirmed {
                    read_log_id,
                })
            }
            Err(error) => {
                let reason = match error {
                    ReadIndexError::Stopped => peer::refusal::Reason::Stopping,
                    ReadIndexError::TimedOut => peer::refusal::Reason::Unspecified,
                    ReadIndexError::NoLeader | ReadIndexError::LeaderChanged => {
                        peer::refusal::Reason::NotLeader
                    }
                };
                let refusal = self.refuse(reason, error.to_string());
                peer::read_index_response::Result::Refusal(refusal)
            }
        };
        Ok(peer::ReadIndexResponse { result: Some(result) })
    }

    async fn handle_ask(
        &self,
        request: peer::AskLeaderRequest,
    ) -> Result<peer::AskLeaderResponse, PeerError> {
        self.check(request.header.as_ref())?;
        let calls = self.core.leader_calls.get();
        if let Some(calls) = calls.filter(|_| self.core.leadership().is_leader) {
            return Ok(calls.answer(request).await);
        }
        let refusal = self.refuse(peer::refusal::Reason::NotLeader, String::new());
        let response = Some(peer::ask_leader_response::Response::Refusal(refusal));
        Ok(peer::AskLeaderResponse { log_id: None, response })
    }

    fn handle_hello(&self, request: &peer::HelloRequest) -> peer::HelloResponse {
        let identity = self.core.identity.identity();
        let asker = request.header.as_ref().map_or(0, |header| header.from_member_id);
        let seen = self.core.identity.known_mark(MemberId(asker));
        let seen = seen.map(|mark| bytes::Bytes::copy_from_slice(&mark.0));
        let members = crate::Consensus { core: Arc::clone(&self.core) }.members();
        peer::HelloResponse {
            cluster_id: identity.cluster_id.0,
            member_id: identity.member_id.0,
            identity: bytes::Bytes::copy_from_slice(&identity.data_mark.0),
            started: true,
            version: String::new(),
            state_machine_version_max: store::limits::STATE_MACHINE_VERSION,
            members: members.into_iter().map(peer_member).collect(),
            asker_identity: seen.unwrap_or_default(),
            leads: self.core.leadership().is_leader,
            members_committed: self.core.is_membership_committed(),
        }
    }
}

fn peer_member(member: crate::Member) -> peer::PeerMember {
    peer::PeerMember {
        member_id: member.id.0,
        name: String::new(),
        peer_urls: member.peer_urls,
        is_learner: member.is_learner,
    }
}

/// Sequence and vote of the requests that entered the core and were not answered.
#[derive(Default)]
struct Entered(std::collections::VecDeque<(u64, Vote)>);

fn accepted(
    requests: impl Stream<Item = peer::AppendRequest> + Send + 'static,
    from: MemberId,
    core: &Arc<Core>,
    entered: Arc<Mutex<Entered>>,
    bad: Arc<Mutex<Option<PeerError>>>,
) -> impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static {
    let digests = Arc::clone(&core.digests);
    requests
        .scan((), move |(), message| {
            if let Some(word) = &message.applied {
                digests.heard(from, word);
            }
            let sequence = message.sequence;
            let request = match convert::append_from_message(message) {
                Ok(request) => {
                    entered.lock().0.push_back((sequence, request.vote));
                    Some(request)
                }
                Err(error) => {
                    *bad.lock() = Some(error);
                    None
                }
            };
            async move { request }
        })
        .fuse()
}

fn answer(
    core: &Core,
    entered: &Mutex<Entered>,
    result: Result<StreamAppendResult<TypeConfig>, Fatal<TypeConfig>>,
) -> AppendAnswer {
    let result = result.map_err(stopped)?;
    let next = entered.lock().0.pop_front();
    let (sequence, vote) = next.ok_or_else(|| convert::malformed("an answer to nothing"))?;
    Ok(respond(core, sequence, vote, &result))
}

fn respond(
    core: &Core,
    sequence: u64,
    vote: Vote,
    result: &StreamAppendResult<TypeConfig>,
) -> peer::AppendResponse {
    if !matches!(result, Err(openraft::raft::StreamAppendError::HigherVote(_))) {
        core.contact.heard(vote.leader_id.term, vote.leader_id.voted_for);
    }
    let mut response = convert::append_result_to_message(sequence, result);
    response.applied = core.digests.newest();
    response
}

fn stopped(error: impl std::fmt::Display) -> PeerError {
    PeerError::Refused(format!("the member stops: {error}"))
}

impl PeerHandler for Handler {
    fn append(
        &self,
        requests: BoxStream<'static, peer::AppendRequest>,
    ) -> Answer<'_, Answers<peer::AppendResponse>> {
        self.handle_append(requests).boxed()
    }

    fn heartbeat(&self, request: peer::AppendRequest) -> BoxFuture<'_, AppendAnswer> {
        self.handle_heartbeat(request).boxed()
    }

    fn vote(&self, request: peer::VoteRequest) -> Answer<'_, peer::VoteResponse> {
        self.handle_vote(request, false).boxed()
    }

    fn pre_vote(&self, request: peer::VoteRequest) -> Answer<'_, peer::VoteResponse> {
        self.handle_vote(request, true).boxed()
    }

    fn snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Answer<'_, peer::SnapshotResponse> {
        self.handle_snapshot(chunks).boxed()
    }

    fn transfer_leader(
        &self,
        request: peer::TransferLeaderRequest,
    ) -> Answer<'_, peer::TransferLeaderResponse> {
        self.handle_transfer(request).boxed()
    }

    fn propose(&self, request: peer::ProposeRequest) -> Answer<'_, peer::ProposeResponse> {
        self.handle_propose(request).boxed()
    }

    fn read_index(&self, request: peer::ReadIndexRequest) -> Answer<'_, peer::ReadIndexResponse> {
        self.handle_read_index(request).boxed()
    }

    fn ask_leader(&self, request: peer::AskLeaderRequest) -> Answer<'_, peer::AskLeaderResponse> {
        self.handle_ask(request).boxed()
    }

    fn hello(&self, request: peer::HelloRequest) -> Answer<'_, peer::HelloResponse> {
        async move { Ok(self.handle_hello(&request)) }.boxed()
    }
}
