//! One member's way to another: calls, and streams as TCP would carry them.
//!
//! Invariants: a stream's messages come in order and whole; when its connection breaks, both ends
//! hear of it, each after what had reached it before. A cut link holds messages back, as TCP sends
//! them again; if it lasts, the connection breaks.
//!
//! Must not know: what is carried.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use prost::Message;
use proto::peer;
use raft::{PeerError, PeerHandler};
use tokio::sync::{mpsc, watch as channel};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::clock;
use crate::network::Shared;
use crate::observer::Observer;

/// See the module's page.
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    /// Of the process that speaks.
    pub(crate) observer: Arc<Observer>,
    pub(crate) to: usize,
}

type AppendAnswers = BoxStream<'static, Result<peer::AppendResponse, PeerError>>;

/// A stream's connection, shared by its two directions.
#[derive(Clone)]
struct Connection {
    broken: Arc<channel::Sender<bool>>,
}

impl Connection {
    /// A connection that also breaks when one of the processes dies.
    fn new(ends: [Arc<Observer>; 2]) -> (Self, Guard) {
        let connection = Self { broken: Arc::new(channel::Sender::new(false)) };
        let watched = connection.clone();
        let watch = tokio::spawn(async move {
            let [one, other] = ends;
            tokio::select! {
                biased;
                () = one.died() => {}
                () = other.died() => {}
            }
            watched.tear();
        });
        (connection, Guard(watch.abort_handle()))
    }

    fn tear(&self) {
        self.broken.send_replace(true);
    }

    fn is_broken(&self) -> bool {
        *self.broken.borrow()
    }

    async fn torn(&self) {
        let mut broken = self.broken.subscribe();
        drop(broken.wait_for(|broken| *broken).await);
    }
}

/// Ends a task with its owner.
struct Guard(AbortHandle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One direction of a stream.
#[derive(Clone)]
struct Way {
    shared: Arc<Shared>,
    connection: Connection,
    number: u64,
    name: &'static str,
    from: usize,
    to: usize,
}

impl Way {
    /// The messages as they come out at the other end.
    fn carry<T: Send + 'static>(
        self,
        items: BoxStream<'static, T>,
        bytes: fn(&T) -> Vec<u8>,
    ) -> impl Stream<Item = T> + Send + 'static {
        let (sender, receiver) = mpsc::unbounded_channel();
        let sending = tokio::spawn(send(Arc::clone(&self.shared), items, sender));
        let guard = Guard(sending.abort_handle());
        stream::unfold((self, receiver, guard), move |(way, mut receiver, guard)| async move {
            let item = way.next(&mut receiver).await?;
            way.shared.note(way.number, way.from, way.to, way.name, &bytes(&item));
            Some((item, (way, receiver, guard)))
        })
    }

    async fn next<T>(&self, receiver: &mut mpsc::UnboundedReceiver<Sent<T>>) -> Option<T> {
        let arrival = async {
            let Sent { item, arrives, breaks } = receiver.recv().await?;
            clock::until(arrives).await;
            if breaks || !self.passes().await {
                self.connection.tear();
                return None;
            }
            Some(item)
        };
        tokio::select! {
            biased;
            () = self.connection.torn() => None,
            item = arrival => item,
        }
    }

    /// Waits while the link is cut; false when that took too long.
    async fn passes(&self) -> bool {
        let is_cut = || self.shared.is_cut(self.from, self.to);
        if !is_cut() {
            return true;
        }
        let patience = self.shared.fate().patience;
        tokio::time::timeout(patience, self.shared.while_so(is_cut)).await.is_ok()
    }
}

struct Sent<T> {
    item: T,
    arrives: Instant,
    breaks: bool,
}

/// Sends each item as it comes, each to arrive after the one before it.
async fn send<T>(
    shared: Arc<Shared>,
    mut items: BoxStream<'static, T>,
    sender: mpsc::UnboundedSender<Sent<T>>,
) {
    let mut last = Instant::now();
    while let Some(item) = items.next().await {
        let fate = shared.fate();
        let arrives = last.max(Instant::now() + fate.latency);
        last = arrives;
        // TCP sends a lost segment again, later: the stream stalls.
        let arrives = if fate.is_lost { arrives + fate.patience / 4 } else { arrives };
        last = last.max(arrives);
        if sender.send(Sent { item, arrives, breaks: fate.is_reset }).is_err() {
            return;
        }
    }
}

impl Link {
    fn ways(&self, name: &'static str, connection: &Connection) -> (Way, Way) {
        let (from, to) = (self.observer.process.member, self.to);
        let way = Way {
            shared: Arc::clone(&self.shared),
            connection: connection.clone(),
            number: self.shared.number(),
            name,
            from,
            to,
        };
        let back = Way { from: to, to: from, ..way.clone() };
        (way, back)
    }

    /// Finds the receiver of a stream.
    async fn connect(&self) -> Result<(Arc<dyn PeerHandler>, Arc<Observer>), PeerError> {
        let fate = self.shared.fate();
        clock::pass(fate.latency).await;
        let from = self.observer.process.member;
        let is_cut = self.shared.is_cut(from, self.to) || self.shared.is_cut(self.to, from);
        if fate.is_lost || is_cut || self.observer.is_dead() {
            clock::pass(fate.patience).await;
            return Err(PeerError::Unreachable(format!("m{} does not answer", self.to)));
        }
        let listening = self.shared.process(self.to);
        let listening = listening
            .ok_or_else(|| PeerError::Unreachable(format!("m{} does not run", self.to)))?;
        Ok((listening.handler, listening.observer))
    }

    async fn open_append(
        &self,
        requests: BoxStream<'static, peer::AppendRequest>,
    ) -> Result<AppendAnswers, PeerError> {
        let (handler, receiver) = self.connect().await?;
        let (connection, guard) = Connection::new([Arc::clone(&self.observer), receiver]);
        let (there, back) = self.ways("append", &connection);
        let (shared, to) = (Arc::clone(&self.shared), self.to);
        let requests = there.carry(requests, Message::encode_to_vec).map(move |mut request| {
            shared.inspect(to, &mut request);
            request
        });
        // The handler answers with its stream only when the first request is there.
        let requests = requests.boxed();
        let answering = tokio::spawn(async move { handler.append(requests).await });
        let _given_up_with_this = Guard(answering.abort_handle());
        let answers = tokio::select! {
            biased;
            () = connection.torn() => Err(PeerError::NoAnswer("the connection broke".to_owned())),
            answers = answering => answers.unwrap_or_else(|_| Err(PeerError::NoAnswer(
                "the call was given up".to_owned(),
            ))),
        }?;
        let answers = back.carry(answers, |answer| match answer {
            Ok(response) => response.encode_to_vec(),
            Err(error) => error.to_string().into_bytes(),
        });
        let end = async move {
            let _held = guard;
            let broken = || PeerError::NoAnswer("the connection broke".to_owned());
            connection.is_broken().then(|| Err(broken()))
        };
        Ok(answers.chain(stream::once(end).filter_map(|last| async { last })).boxed())
    }

    async fn send_snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Result<peer::SnapshotResponse, PeerError> {
        let (handler, receiver) = self.connect().await?;
        let (connection, _guard) = Connection::new([Arc::clone(&self.observer), receiver]);
        let (there, back) = self.ways("snapshot", &connection);
        let chunks = there.carry(chunks, Message::encode_to_vec).boxed();
        let answering = tokio::spawn(async move { handler.snapshot(chunks).await });
        let _given_up_with_this = Guard(answering.abort_handle());
        let answer = tokio::select! {
            biased;
            () = connection.torn() => return Err(PeerError::NoAnswer("broken".to_owned())),
            answer = answering => answer,
        };
        let answer = answer.map_err(|_| PeerError::NoAnswer("given up".to_owned()))?;
        let answer = stream::iter([answer]).boxed();
        let mut answer = Box::pin(back.carry(answer, |answer| match answer {
            Ok(response) => response.encode_to_vec(),
            Err(error) => error.to_string().into_bytes(),
        }));
        let lost = || Err(PeerError::NoAnswer("the answer was lost".to_owned()));
        answer.next().await.unwrap_or_else(lost)
    }
}

macro_rules! calls {
    ($($name:ident($request:ident) -> $response:ident, repeated: $repeated:expr;)*) => {$(
        fn $name(
            &self,
            request: peer::$request,
        ) -> BoxFuture<'_, Result<peer::$response, PeerError>> {
            let carried = request.clone();
            let call = Arc::new(move |peer: Arc<dyn PeerHandler>| {
                let request = carried.clone();
                async move { peer.$name(request).await }.boxed()
            });
            async move { self.call(stringify!($name), $repeated, &request, call).await }.boxed()
        }
    )*};
}

impl PeerHandler for Link {
    calls! {
        vote(VoteRequest) -> VoteResponse, repeated: true;
        pre_vote(VoteRequest) -> VoteResponse, repeated: true;
        transfer_leader(TransferLeaderRequest) -> TransferLeaderResponse, repeated: true;
        // A command that comes twice is two commands: no transport may repeat it.
        propose(ProposeRequest) -> ProposeResponse, repeated: false;
        read_index(ReadIndexRequest) -> ReadIndexResponse, repeated: true;
        hello(HelloRequest) -> HelloResponse, repeated: true;
    }

    fn heartbeat(
        &self,
        mut request: peer::AppendRequest,
    ) -> BoxFuture<'_, Result<peer::AppendResponse, PeerError>> {
        self.shared.inspect(self.to, &mut request);
        let carried = request.clone();
        let call = Arc::new(move |peer: Arc<dyn PeerHandler>| {
            let request = carried.clone();
            async move { peer.heartbeat(request).await }.boxed()
        });
        async move { self.call("heartbeat", true, &request, call).await }.boxed()
    }

    fn ask_leader(
        &self,
        request: peer::AskLeaderRequest,
    ) -> BoxFuture<'_, Result<peer::AskLeaderResponse, PeerError>> {
        async move {
            if let Some(remembered) = self.shared.remembered(&request) {
                return Ok(remembered);
            }
            let carried = request.clone();
            let call = Arc::new(move |peer: Arc<dyn PeerHandler>| {
                let request = carried.clone();
                async move { peer.ask_leader(request).await }.boxed()
            });
            let answer = self.call("ask_leader", false, &request, call).await;
            if let Ok(answer) = &answer {
                self.shared.remember(answer);
            }
            answer
        }
        .boxed()
    }

    fn append(
        &self,
        requests: BoxStream<'static, peer::AppendRequest>,
    ) -> BoxFuture<'_, Result<AppendAnswers, PeerError>> {
        self.open_append(requests).boxed()
    }

    fn snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> BoxFuture<'_, Result<peer::SnapshotResponse, PeerError>> {
        self.send_snapshot(chunks).boxed()
    }
}
