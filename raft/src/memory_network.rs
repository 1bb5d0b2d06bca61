//! A network in memory, whose links can be cut one way or both: for tests and simulation.
//!
//! Invariants: a call over a cut link fails at once or, when the cut comes while it is under way,
//! has no answer; streams end when their link is cut. Nothing is delayed, lost in part or
//! reordered.
//! Must not know: what a call says.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::FutureExt as _;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;
use proto::peer;
use store::MemberId;
use tokio::sync::watch;

use crate::errors::PeerError;
use crate::peer::{Answer, Answers, Lane, PeerAddress, PeerHandler, Transport};

/// The network. Clones share it.
#[derive(Clone)]
pub struct MemoryNetwork {
    state: Arc<watch::Sender<State>>,
    handlers: Arc<Mutex<BTreeMap<u64, Arc<dyn PeerHandler>>>>,
}

#[derive(Default)]
struct State {
    addresses: BTreeMap<String, u64>,
    cut: BTreeSet<(u64, u64)>,
}

impl Default for MemoryNetwork {
    fn default() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::default())), handlers: Arc::default() }
    }
}

impl MemoryNetwork {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// The network as `member` sees it; its peers reach it under `peer_urls`.
    pub fn transport(&self, member: MemberId, peer_urls: &[String]) -> Arc<dyn Transport> {
        self.state.send_modify(|state| {
            state.addresses.extend(peer_urls.iter().map(|url| (url.clone(), member.0)));
        });
        Arc::new(Endpoint { network: self.clone(), from: member.0 })
    }

    /// Lets peers call `member`.
    pub fn attach(&self, member: MemberId, handler: Arc<dyn PeerHandler>) {
        self.handlers.lock().insert(member.0, handler);
    }

    /// Takes `member` off the network.
    pub fn detach(&self, member: MemberId) {
        self.handlers.lock().remove(&member.0);
        // Streams look again.
        self.state.send_modify(|_| {});
    }

    /// Nobody answers for `member` any more but under `peer_urls`.
    pub fn move_away(&self, member: MemberId, peer_urls: &[String]) {
        self.state.send_modify(|state| {
            for (url, owner) in &mut state.addresses {
                // 0 is nobody's id.
                if *owner == member.0 && !peer_urls.contains(url) {
                    *owner = 0;
                }
            }
        });
    }

    /// Cuts everything that `from` sends to `to`.
    pub fn cut(&self, from: MemberId, to: MemberId) {
        self.state.send_modify(|state| {
            state.cut.insert((from.0, to.0));
        });
    }

    /// Mends what `from` sends to `to`.
    pub fn mend(&self, from: MemberId, to: MemberId) {
        self.state.send_modify(|state| {
            state.cut.remove(&(from.0, to.0));
        });
    }

    /// Cuts `member` off from all of `others`, both ways.
    pub fn isolate(&self, member: MemberId, others: impl IntoIterator<Item = MemberId>) {
        for other in others {
            self.cut(member, other);
            self.cut(other, member);
        }
    }

    /// Mends every link.
    pub fn mend_all(&self) {
        self.state.send_modify(|state| state.cut.clear());
    }

    fn is_cut(&self, from: u64, to: u64) -> bool {
        let state = self.state.borrow();
        state.cut.contains(&(from, to)) || state.cut.contains(&(to, from))
    }
}

struct Endpoint {
    network: MemoryNetwork,
    from: u64,
}

impl Transport for Endpoint {
    fn peer(&self, address: &PeerAddress, _lane: Lane) -> Arc<dyn PeerHandler> {
        Arc::new(Link {
            network: self.network.clone(),
            from: self.from,
            to: address.member_id.0,
            peer_urls: address.peer_urls.clone(),
        })
    }
}

/// One member's way to another.
struct Link {
    network: MemoryNetwork,
    from: u64,
    to: u64,
    peer_urls: Vec<String>,
}

impl Link {
    /// Who answers under the address: with a proxy in between it need not be who is meant.
    fn receiver(&self) -> u64 {
        let state = self.network.state.borrow();
        let found = self.peer_urls.iter().find_map(|url| state.addresses.get(url));
        found.copied().unwrap_or(self.to)
    }

    fn reach(&self) -> Result<Arc<dyn PeerHandler>, PeerError> {
        let to = self.receiver();
        let handler = self.network.handlers.lock().get(&to).cloned();
        if self.network.is_cut(self.from, to) {
            return Err(PeerError::Unreachable(format!("link to {to:x} is cut")));
        }
        handler.ok_or_else(|| PeerError::Unreachable(format!("member {to:x} is not running")))
    }

    /// Resolves when the link is cut or the receiver leaves.
    async fn broken(&self) {
        let mut state = self.network.state.subscribe();
        while self.reach().is_ok() && state.changed().await.is_ok() {}
    }

    async fn call<T, F>(&self, call: impl FnOnce(Arc<dyn PeerHandler>) -> F) -> Result<T, PeerError>
    where
        F: Future<Output = Result<T, PeerError>>,
    {
        let peer = self.reach()?;
        tokio::select! {
            biased;
            () = self.broken() => Err(PeerError::NoAnswer("link was cut".to_owned())),
            answer = call(peer) => answer,
        }
    }

    fn again(&self) -> Link {
        Link {
            network: self.network.clone(),
            from: self.from,
            to: self.to,
            peer_urls: self.peer_urls.clone(),
        }
    }

    fn until_broken<T: Send + 'static>(
        &self,
        items: BoxStream<'static, T>,
    ) -> BoxStream<'static, T> {
        let link = self.again();
        let broken = Box::pin(async move { link.broken().await });
        items.take_until(broken).boxed()
    }
}

macro_rules! forward {
    ($($name:ident: $request:ident => $response:ident;)*) => {$(
        fn $name(
            &self,
            request: peer::$request,
        ) -> Answer<'_, peer::$response> {
            self.call(|peer| async move { peer.$name(request).await }).boxed()
        }
    )*};
}

impl PeerHandler for Link {
    forward! {
        heartbeat: AppendRequest => AppendResponse;
        vote: VoteRequest => VoteResponse;
        pre_vote: VoteRequest => VoteResponse;
        transfer_leader: TransferLeaderRequest => TransferLeaderResponse;
        propose: ProposeRequest => ProposeResponse;
        read_index: ReadIndexRequest => ReadIndexResponse;
        ask_leader: AskLeaderRequest => AskLeaderResponse;
        hello: HelloRequest => HelloResponse;
    }

    fn append(
        &self,
        requests: BoxStream<'static, peer::AppendRequest>,
    ) -> Answer<'_, Answers<peer::AppendResponse>> {
        let requests = self.until_broken(requests);
        let call = self.call(|peer| async move { peer.append(requests).await });
        async move {
            let answers = self.until_broken(call.await?);
            let link = self.again();
            let end = stream::once(async move { link.reach().err() });
            Ok(answers.chain(end.filter_map(|error| async move { error.map(Err) })).boxed())
        }
        .boxed()
    }

    fn snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Answer<'_, peer::SnapshotResponse> {
        let chunks = self.until_broken(chunks);
        self.call(|peer| async move { peer.snapshot(chunks).await }).boxed()
    }
}
