//! openraft's network over the transport seam.
//!
//! Invariants: each call has a deadline; a log stream has bounded messages and bytes on the way;
//! pre-vote is really asked (openraft's default grants it); every call names cluster, sender,
//! receiver and the sender's data directory.
//! Must not know: sockets.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream as RaftBoxStream};
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use parking_lot::Mutex;
use proto::peer;
use store::MemberId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::convert;
use crate::digest::Digests;
use crate::errors::PeerError;
use crate::limits;
use crate::local_identity::LocalIdentity;
use crate::machine::SnapshotData;
use crate::peer::{Lane, PeerAddress, PeerHandler, Transport};
use crate::retention::SnapshotsUnderWay;
use crate::snapshot;
use crate::types::{PeerNode, TypeConfig, Vote};

/// An answer to an append must come within this time, or the stream is broken off.
const APPEND_ANSWER_MAX: Duration = Duration::from_secs(10);

/// A peer says who it is within this time.
const HELLO_MAX: Duration = Duration::from_secs(1);

/// A snapshot must be sent and installed within this time, or it is begun anew.
const SNAPSHOT_MAX: Duration = Duration::from_secs(3600);

/// Makes the clients openraft asks for.
pub(crate) struct Network {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) identity: Arc<LocalIdentity>,
    pub(crate) digests: Arc<Digests>,
    pub(crate) under_way: SnapshotsUnderWay,
    pub(crate) addresses: Addresses,
}

/// Where the peers are now. openraft keeps a leader's clients when a peer moves, so they look here.
#[derive(Clone, Default)]
pub(crate) struct Addresses(Arc<Mutex<BTreeMap<u64, Vec<String>>>>);

impl Addresses {
    /// The peer is reached under these URLs from now on.
    pub(crate) fn set(&self, member: u64, peer_urls: &[String]) {
        self.0.lock().insert(member, peer_urls.to_vec());
    }

    fn of(&self, member: u64) -> Vec<String> {
        self.0.lock().get(&member).cloned().unwrap_or_default()
    }
}

/// One lane to a peer, wherever it is.
struct Way {
    target: u64,
    lane: Lane,
    transport: Arc<dyn Transport>,
    addresses: Addresses,
    made: Mutex<(Vec<String>, Arc<dyn PeerHandler>)>,
}

impl Way {
    fn new(target: u64, lane: Lane, transport: &Arc<dyn Transport>, addresses: &Addresses) -> Self {
        let peer_urls = addresses.of(target);
        let peer = make(target, &peer_urls, lane, transport);
        Self {
            target,
            lane,
            transport: Arc::clone(transport),
            addresses: addresses.clone(),
            made: Mutex::new((peer_urls, peer)),
        }
    }

    fn peer(&self) -> Arc<dyn PeerHandler> {
        let now = self.addresses.of(self.target);
        let mut made = self.made.lock();
        if made.0 != now {
            let peer = make(self.target, &now, self.lane, &self.transport);
            *made = (now, peer);
        }
        Arc::clone(&made.1)
    }
}

fn make(
    target: u64,
    peer_urls: &[String],
    lane: Lane,
    transport: &Arc<dyn Transport>,
) -> Arc<dyn PeerHandler> {
    let address = PeerAddress { member_id: MemberId(target), peer_urls: peer_urls.to_vec() };
    transport.peer(&address, lane)
}

impl Network {
    fn client(&self, target: u64, node: &PeerNode, lane: Lane) -> Client {
        self.addresses.set(target, &node.peer_urls);
        let way = |lane| Way::new(target, lane, &self.transport, &self.addresses);
        Client {
            target,
            lane,
            way: way(lane),
            urgent: way(Lane::Heartbeat),
            identity: Arc::clone(&self.identity),
            digests: Arc::clone(&self.digests),
            under_way: self.under_way.clone(),
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &PeerNode) -> Client {
        self.client(target, node, Lane::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &PeerNode) -> Client {
        self.client(target, node, Lane::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &PeerNode) -> Client {
        self.client(target, node, Lane::Snapshot)
    }
}

/// One lane to one peer.
pub(crate) struct Client {
    target: u64,
    lane: Lane,
    way: Way,
    /// Votes and transfers go where heartbeats go, also from a client made for the log.
    urgent: Way,
    identity: Arc<LocalIdentity>,
    digests: Arc<Digests>,
    under_way: SnapshotsUnderWay,
}

impl Client {
    /// The header of a call. Before the first call the peer is asked for its data directory, so
    /// that every call names it.
    async fn header(&self) -> Result<Option<peer::PeerHeader>, RPCError<TypeConfig>> {
        let target = MemberId(self.target);
        if self.identity.known_mark(target).is_none() {
            let header = Some(self.identity.header_to(target));
            let peer = self.urgent.peer();
            let question = peer.hello(peer::HelloRequest { header });
            let answer = self.within(HELLO_MAX, RPCTypes::Vote, question).await?;
            self.identity.learn(target, &answer).map_err(rpc_error)?;
        }
        Ok(Some(self.identity.header_to(target)))
    }

    async fn vote_message(
        &self,
        request: &VoteRequest<TypeConfig>,
    ) -> Result<peer::VoteRequest, RPCError<TypeConfig>> {
        let header = self.header().await?;
        Ok(peer::VoteRequest { header, ..convert::vote_request_to_message(request) })
    }

    async fn voted(
        &self,
        call: impl Future<Output = Result<peer::VoteResponse, PeerError>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let response = self.within(option.soft_ttl(), RPCTypes::Vote, call).await?;
        convert::vote_response_from_message(&response).map_err(rpc_error)
    }

    async fn within<T>(
        &self,
        deadline: Duration,
        action: RPCTypes,
        call: impl Future<Output = Result<T, PeerError>>,
    ) -> Result<T, RPCError<TypeConfig>> {
        match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer.map_err(rpc_error),
            Err(_) => Err(RPCError::Timeout(Timeout {
                action,
                id: self.identity.member_id().0,
                target: self.target,
                timeout: deadline,
            })),
        }
    }

    fn hear(&self, response: &peer::AppendResponse) {
        if let Some(word) = &response.applied {
            self.digests.heard(MemberId(self.target), word);
        }
    }

    async fn beat(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        deadline: Duration,
    ) -> Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>> {
        let mut message = convert::append_to_message(request);
        message.header = self.header().await?;
        message.applied = self.digests.newest();
        let peer = self.urgent.peer();
        let call = peer.heartbeat(message);
        let response = self.within(deadline, RPCTypes::AppendEntries, call).await?;
        self.hear(&response);
        convert::append_result_from_message(&response).map_err(rpc_error)
    }

    async fn replicate<'s>(
        &'s mut self,
        mut input: BoxStream<'static, AppendEntriesRequest<TypeConfig>>,
        setup: Duration,
    ) -> Result<
        RaftBoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>,
        RPCError<TypeConfig>,
    > {
        // Order: openraft waits out its pause for an unreachable peer while it makes the request,
        // so the request comes before the call, or a refused connection would be retried without
        // end.
        let Some(first) = input.next().await else { return Ok(stream::empty().boxed()) };
        let header = self.header().await?;
        let window = Window::default();
        let requests = bounded_requests(
            stream::iter([first]).chain(input).boxed(),
            window.clone(),
            header,
            Arc::clone(&self.digests),
        );
        let setup = setup.max(Duration::from_secs(1));
        let peer = self.way.peer();
        let call = peer.append(requests.boxed());
        let responses = self.within(setup, RPCTypes::AppendEntries, call).await?;
        let client = &*self;
        let answers = stream::unfold(Some((responses, window)), move |state| async move {
            let (mut responses, window) = state?;
            let answer = next_answer(client, &mut responses, &window).await?;
            let goes_on = matches!(answer, Ok(Ok(_)));
            Some((answer, goes_on.then_some((responses, window))))
        });
        Ok(Box::pin(answers))
    }
}

type Responses = BoxStream<'static, Result<peer::AppendResponse, PeerError>>;

async fn next_answer(
    client: &Client,
    responses: &mut Responses,
    window: &Window,
) -> Option<Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>> {
    let next = loop {
        match tokio::time::timeout(APPEND_ANSWER_MAX, responses.next()).await {
            Ok(next) => break next,
            // Nothing to answer is no failure: the log is idle.
            Err(_) if window.is_empty() => {}
            Err(_) => {
                let error = PeerError::NoAnswer("an append was not answered in time".to_owned());
                return Some(Err(rpc_error(error)));
            }
        }
    };
    let response = match next? {
        Ok(response) => response,
        Err(error) => return Some(Err(rpc_error(error))),
    };
    window.answered();
    client.hear(&response);
    Some(convert::append_result_from_message(&response).map_err(rpc_error))
}

/// What is on the way to a peer and not answered: bounded in messages and in bytes.
#[derive(Clone)]
struct Window {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    sent: Arc<Mutex<VecDeque<(OwnedSemaphorePermit, OwnedSemaphorePermit)>>>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            messages: Arc::new(Semaphore::new(limits::APPENDS_IN_FLIGHT_MAX)),
            bytes: Arc::new(Semaphore::new(limits::APPEND_BYTES_IN_FLIGHT_MAX)),
            sent: Arc::default(),
        }
    }
}

impl Window {
    async fn enter(&self, bytes: usize) {
        // One message larger than the whole window takes all of it.
        let bytes = bytes.min(limits::APPEND_BYTES_IN_FLIGHT_MAX);
        let bytes = u32::try_from(bytes).expect("the window fits into 32 bits");
        let message = Arc::clone(&self.messages).acquire_owned();
        let message = message.await.expect("the semaphore is never closed");
        let room = Arc::clone(&self.bytes).acquire_many_owned(bytes);
        let room = room.await.expect("the semaphore is never closed");
        self.sent.lock().push_back((message, room));
    }

    fn answered(&self) {
        self.sent.lock().pop_front();
    }

    fn is_empty(&self) -> bool {
        self.sent.lock().is_empty()
    }
}

fn bounded_requests(
    input: BoxStream<'static, AppendEntriesRequest<TypeConfig>>,
    window: Window,
    header: Option<peer::PeerHeader>,
    digests: Arc<Digests>,
) -> impl Stream<Item = peer::AppendRequest> + Send + 'static {
    stream::unfold((input, 0u64, header), move |(mut input, sequence, header)| {
        let window = window.clone();
        let digests = Arc::clone(&digests);
        async move {
            use prost::Message as _;
            let request = input.next().await?;
            let mut message = convert::append_to_message(request);
            message.sequence = sequence + 1;
            message.header = header;
            message.applied = digests.newest();
            window.enter(message.encoded_len()).await;
            Some((message, (input, sequence + 1, None)))
        }
    })
}

fn rpc_error(error: PeerError) -> RPCError<TypeConfig> {
    match error {
        PeerError::NoAnswer(_) => RPCError::Network(NetworkError::new(&error)),
        // openraft waits before it tries an unreachable peer again.
        PeerError::Unreachable(_) | PeerError::Identity(_) | PeerError::Refused(_) => {
            RPCError::Unreachable(Unreachable::new(&error))
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.beat(request, option.soft_ttl()).await.map(AppendEntriesResponse::from)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<
            RaftBoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>,
            RPCError<TypeConfig>,
        >,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            if self.lane != Lane::Heartbeat {
                return self.replicate(input.boxed(), option.soft_ttl()).await;
            }
            // A heartbeat is one request: it needs no stream.
            let Some(request) = input.next().await else {
                return Ok(stream::empty().boxed());
            };
            let answer = self.beat(request, option.soft_ttl()).await?;
            Ok(stream::iter([Ok(answer)]).boxed())
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let message = self.vote_message(&request).await?;
        let peer = self.urgent.peer();
        let call = peer.vote(message);
        self.voted(call, option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let message = self.vote_message(&request).await?;
        let peer = self.urgent.peer();
        let call = peer.pre_vote(message);
        self.voted(call, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::alias::SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let SnapshotData::Local(local) = snapshot.snapshot else {
            let text = "only this member's own state can be sent";
            return Err(StreamingError::Network(NetworkError::from_string(text)));
        };
        let _held = self.under_way.begin();
        let header = self.header().await?.unwrap_or_default();
        let send = async {
            let outgoing = snapshot::Outgoing::new(local, vote, header).await?;
            let peer = self.way.peer();
            let held_bytes = peer.snapshot(outgoing.offer()).await?.held_bytes;
            peer.snapshot(outgoing.chunks(&held_bytes)).await
        };
        let sent = self.within(SNAPSHOT_MAX, RPCTypes::InstallSnapshot, send);
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            response = sent => {
                let response = response?;
                let vote = convert::vote_from_message(response.vote.as_ref()).map_err(rpc_error)?;
                Ok(SnapshotResponse::new(vote))
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let mut message = convert::transfer_to_message(&request);
        message.header = self.header().await?;
        let peer = self.urgent.peer();
        let call = peer.transfer_leader(message);
        let response = self.within(option.soft_ttl(), RPCTypes::TransferLeader, call).await?;
        convert::transfer_response_from_message(&response).map_err(rpc_error)
    }
}
