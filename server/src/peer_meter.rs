//! Counts what goes to the other members and comes from them, whatever the transport.
//!
//! Invariants: a call is passed on unchanged; the number of members that are counted is bounded,
//! since ids of callers are not checked here. Bytes are those of messages, without HTTP/2's own.
//! Must not know: what a call means, names of series.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use parking_lot::RwLock;
use prost::Message;
use proto::peer::{self, PeerHeader};
use raft::{Answer, Answers, Lane, PeerAddress, PeerError, PeerHandler, Transport};

use crate::metrics::calls::Stopwatch;
use crate::metrics::histogram::{Histogram, PEER_BOUNDS, TENTH_BOUNDS};

/// Members that are counted at most.
const PEERS_MAX: usize = 64;

/// The numbers about one other member.
#[derive(Debug)]
pub(crate) struct PeerMeter {
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) send_failures: AtomicU64,
    /// Heartbeats that were begun; those with an answer are the round trips.
    pub(crate) heartbeats: AtomicU64,
    pub(crate) round_trips: Histogram,
    /// Whether the newest call was answered.
    pub(crate) active: AtomicBool,
    /// How often it was answered no more.
    pub(crate) disconnects: AtomicU64,
    pub(crate) snapshots_under_way: AtomicU64,
    pub(crate) snapshots_failed: AtomicU64,
    /// Of snapshots that were taken.
    pub(crate) snapshots: Histogram,
}

impl PeerMeter {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        PeerMeter {
            sent_bytes: zero(),
            received_bytes: zero(),
            send_failures: zero(),
            heartbeats: zero(),
            round_trips: Histogram::new(&PEER_BOUNDS),
            active: AtomicBool::new(false),
            disconnects: zero(),
            snapshots_under_way: zero(),
            snapshots_failed: zero(),
            snapshots: Histogram::new(&TENTH_BOUNDS),
        }
    }

    fn sent(&self, message: &impl Message) {
        self.sent_bytes.fetch_add(message.encoded_len() as u64, Ordering::Relaxed);
    }

    fn received(&self, message: &impl Message) {
        self.received_bytes.fetch_add(message.encoded_len() as u64, Ordering::Relaxed);
    }

    /// A call ended. A peer that refused was reached all the same.
    fn ended(&self, lost: bool) {
        if lost {
            self.send_failures.fetch_add(1, Ordering::Relaxed);
        }
        let was_active = self.active.swap(!lost, Ordering::Relaxed);
        self.disconnects.fetch_add(u64::from(was_active && lost), Ordering::Relaxed);
    }
}

/// The numbers about all other members.
#[derive(Debug, Default)]
pub(crate) struct PeerMeters(RwLock<BTreeMap<u64, Arc<PeerMeter>>>);

impl PeerMeters {
    /// The numbers about one member, from zero when it is new; some that nobody sees when there
    /// are too many.
    pub(crate) fn of(&self, member_id: u64) -> Arc<PeerMeter> {
        if let Some(known) = self.0.read().get(&member_id) {
            return Arc::clone(known);
        }
        let mut meters = self.0.write();
        if meters.len() >= PEERS_MAX && !meters.contains_key(&member_id) {
            return Arc::new(PeerMeter::new());
        }
        Arc::clone(meters.entry(member_id).or_insert_with(|| Arc::new(PeerMeter::new())))
    }
}

/// A transport whose calls are counted.
pub(crate) struct MeteredTransport {
    inner: Arc<dyn Transport>,
    meters: Arc<PeerMeters>,
}

impl MeteredTransport {
    /// Counts the calls over `inner`.
    pub(crate) fn new(inner: Arc<dyn Transport>, meters: Arc<PeerMeters>) -> Self {
        MeteredTransport { inner, meters }
    }
}

impl Transport for MeteredTransport {
    fn peer(&self, address: &PeerAddress, lane: Lane) -> Arc<dyn PeerHandler> {
        let inner = self.inner.peer(address, lane);
        // Before it said hello, nobody knows which member it is.
        match address.member_id.0 {
            0 => inner,
            id => Arc::new(MeteredPeer { inner, meter: self.meters.of(id) }),
        }
    }
}

/// The way to one member, counted.
struct MeteredPeer {
    inner: Arc<dyn PeerHandler>,
    meter: Arc<PeerMeter>,
}

macro_rules! sent {
    ($($name:ident: $request:ident => $response:ident;)*) => {$(
        fn $name(&self, request: peer::$request) -> Answer<'_, peer::$response> {
            async move {
                self.meter.sent(&request);
                let call = Call::begin(&self.meter);
                let answer = self.inner.$name(request).await;
                call.ended(&answer);
                if let Ok(answer) = &answer {
                    self.meter.received(answer);
                }
                answer
            }
            .boxed()
        }
    )*};
}

impl PeerHandler for MeteredPeer {
    sent! {
        vote: VoteRequest => VoteResponse;
        pre_vote: VoteRequest => VoteResponse;
        transfer_leader: TransferLeaderRequest => TransferLeaderResponse;
        propose: ProposeRequest => ProposeResponse;
        read_index: ReadIndexRequest => ReadIndexResponse;
        ask_leader: AskLeaderRequest => AskLeaderResponse;
        hello: HelloRequest => HelloResponse;
    }

    fn heartbeat(&self, request: peer::AppendRequest) -> Answer<'_, peer::AppendResponse> {
        async move {
            self.meter.sent(&request);
            self.meter.heartbeats.fetch_add(1, Ordering::Relaxed);
            let (call, since) = (Call::begin(&self.meter), Stopwatch::start());
            let answer = self.inner.heartbeat(request).await;
            call.ended(&answer);
            if let Ok(answer) = &answer {
                self.meter.round_trips.observe(since.elapsed());
                self.meter.received(answer);
            }
            answer
        }
        .boxed()
    }

    fn append(
        &self,
        requests: BoxStream<'static, peer::AppendRequest>,
    ) -> Answer<'_, Answers<peer::AppendResponse>> {
        let (sending, receiving) = (Arc::clone(&self.meter), Arc::clone(&self.meter));
        let requests = requests.inspect(move |request| sending.sent(request)).boxed();
        async move {
            let call = Call::begin(&self.meter);
            let answers = self.inner.append(requests).await;
            call.ended(&answers);
            let counted = move |answer: &Result<peer::AppendResponse, PeerError>| match answer {
                Ok(answer) => receiving.received(answer),
                Err(_) => receiving.ended(true),
            };
            Ok(answers?.inspect(counted).boxed())
        }
        .boxed()
    }

    fn snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Answer<'_, peer::SnapshotResponse> {
        let sending = Arc::clone(&self.meter);
        let chunks = chunks.inspect(move |chunk| sending.sent(chunk)).boxed();
        async move {
            let under_way = UnderWay::begin(&self.meter.snapshots_under_way);
            let (call, since) = (Call::begin(&self.meter), Stopwatch::start());
            let answer = self.inner.snapshot(chunks).await;
            drop(under_way);
            call.ended(&answer);
            match &answer {
                Ok(_) => self.meter.snapshots.observe(since.elapsed()),
                Err(_) => drop(self.meter.snapshots_failed.fetch_add(1, Ordering::Relaxed)),
            }
            answer
        }
        .boxed()
    }
}

/// A call under way. Dropped without an answer, its caller gave it up: it is lost.
struct Call<'a>(Option<&'a PeerMeter>);

impl<'a> Call<'a> {
    fn begin(meter: &'a PeerMeter) -> Self {
        Call(Some(meter))
    }

    fn ended<T>(mut self, answer: &Result<T, PeerError>) {
        if let Some(meter) = self.0.take() {
            meter.ended(matches!(answer, Err(PeerError::Unreachable(_) | PeerError::NoAnswer(_))));
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(meter) = self.0.take() {
            meter.ended(true);
        }
    }
}

/// One more, until it is dropped: a call may be given up at any point.
struct UnderWay<'a>(&'a AtomicU64);

impl<'a> UnderWay<'a> {
    fn begin(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        UnderWay(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What answers the other members, counted.
pub(crate) struct MeteredHandler {
    inner: Arc<dyn PeerHandler>,
    meters: Arc<PeerMeters>,
}

impl MeteredHandler {
    /// Counts what `inner` is asked.
    pub(crate) fn new(inner: Arc<dyn PeerHandler>, meters: Arc<PeerMeters>) -> Self {
        MeteredHandler { inner, meters }
    }

    fn from(&self, header: Option<&PeerHeader>) -> Option<Arc<PeerMeter>> {
        let id = header.map_or(0, |header| header.from_member_id);
        (id != 0).then(|| self.meters.of(id))
    }
}

macro_rules! answered {
    ($($name:ident: $request:ident => $response:ident;)*) => {$(
        fn $name(&self, request: peer::$request) -> Answer<'_, peer::$response> {
            async move {
                let meter = self.from(request.header.as_ref());
                if let Some(meter) = &meter {
                    meter.received(&request);
                }
                let answer = self.inner.$name(request).await;
                if let (Some(meter), Ok(answer)) = (&meter, &answer) {
                    meter.sent(answer);
                }
                answer
            }
            .boxed()
        }
    )*};
}

impl PeerHandler for MeteredHandler {
    answered! {
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
        let meters = Arc::clone(&self.meters);
        let mut from = None;
        let counted = move |request: &peer::AppendRequest| {
            // Only the first request says from whom they are.
            if let Some(header) = &request.header {
                from = Some(meters.of(header.from_member_id));
            }
            if let Some(meter) = &from {
                meter.received(request);
            }
        };
        self.inner.append(requests.inspect(counted).boxed())
    }

    fn snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Answer<'_, peer::SnapshotResponse> {
        let meters = Arc::clone(&self.meters);
        let mut from = None;
        let counted = move |chunk: &peer::SnapshotChunk| {
            if let Some(peer::snapshot_chunk::Part::Begin(begin)) = &chunk.part
                && let Some(header) = &begin.header
            {
                from = Some(meters.of(header.from_member_id));
            }
            if let Some(meter) = &from {
                meter.received(chunk);
            }
        };
        self.inner.snapshot(chunks.inspect(counted).boxed())
    }
}
