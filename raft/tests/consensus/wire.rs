//! A transport that counts what snapshots send, breaks or alters one of them on request, and loses
//! entries of the log.
//!
//! Everything else passes through. It must not know how members answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engram_raft::{Answer, Answers, Lane, PeerAddress, PeerError, PeerHandler, Transport};
use futures::StreamExt as _;
use futures::future::FutureExt as _;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use proto::peer::{self, snapshot_chunk::Part};

/// What one transfer sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Bytes of files.
    pub(crate) bytes: u64,
    /// All that was announced.
    pub(crate) total: u64,
    /// It came to its end.
    pub(crate) whole: bool,
}

#[derive(Default)]
struct State {
    sent: Vec<Sent>,
    /// Pieces until the connection breaks; once.
    breaks_after: Option<u64>,
    /// Pieces until one is altered; once.
    alters_at: Option<u64>,
}

/// See the module's page.
#[derive(Default)]
pub(crate) struct Wire {
    state: Arc<Mutex<State>>,
    loses_entries: Arc<AtomicBool>,
}

impl Wire {
    /// The transport, watched.
    pub(crate) fn over(&self, inner: Arc<dyn Transport>) -> Arc<dyn Transport> {
        let (state, loses_entries) = (Arc::clone(&self.state), Arc::clone(&self.loses_entries));
        Arc::new(Watched { inner, state, loses_entries })
    }

    /// From now on streams of entries end in nothing, or new ones get through again; heartbeats
    /// always do.
    pub(crate) fn lose_entries(&self, lose: bool) {
        self.loses_entries.store(lose, Ordering::Relaxed);
    }

    /// The next transfer's connection breaks after so many pieces.
    pub(crate) fn break_after_pieces(&self, pieces: u64) {
        self.state.lock().breaks_after = Some(pieces);
    }

    /// The piece of this number (from 1) comes altered, once.
    pub(crate) fn alter_piece(&self, number: u64) {
        self.state.lock().alters_at = Some(number);
    }

    /// The transfers so far, without the offers before them.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state.lock().sent.clone()
    }
}

struct Watched {
    inner: Arc<dyn Transport>,
    state: Arc<Mutex<State>>,
    loses_entries: Arc<AtomicBool>,
}

impl Transport for Watched {
    fn peer(&self, address: &PeerAddress, lane: Lane) -> Arc<dyn PeerHandler> {
        let inner = self.inner.peer(address, lane);
        let (state, loses_entries) = (Arc::clone(&self.state), Arc::clone(&self.loses_entries));
        Arc::new(WatchedPeer { inner, state, loses_entries })
    }
}

struct WatchedPeer {
    inner: Arc<dyn PeerHandler>,
    state: Arc<Mutex<State>>,
    loses_entries: Arc<AtomicBool>,
}

impl State {
    /// Counts a chunk; gives what arrives of it, nothing when the connection breaks.
    fn pass(&mut self, mut chunk: peer::SnapshotChunk) -> Option<peer::SnapshotChunk> {
        match chunk.part.as_mut()? {
            Part::Begin(begin) if begin.is_offer => {}
            Part::Begin(begin) => {
                let total = begin.files.iter().map(|file| file.size_bytes).sum();
                self.sent.push(Sent { total, ..Sent::default() });
            }
            Part::Data(piece) => {
                if is_due(&mut self.breaks_after) {
                    return None;
                }
                if is_due(&mut self.alters_at) {
                    piece.crc32c ^= 1;
                    self.alters_at = None;
                }
                self.sent.last_mut()?.bytes += piece.data.len() as u64;
            }
            Part::End(_) => self.sent.last_mut()?.whole = true,
        }
        Some(chunk)
    }
}

/// Counts down; true at the end, and no more after it.
fn is_due(left: &mut Option<u64>) -> bool {
    match left {
        Some(0) => {
            *left = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

macro_rules! forward {
    ($($name:ident: $request:ident => $response:ident;)*) => {$(
        fn $name(&self, request: peer::$request) -> Answer<'_, peer::$response> {
            self.inner.$name(request)
        }
    )*};
}

impl PeerHandler for WatchedPeer {
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
        let loses_entries = Arc::clone(&self.loses_entries);
        let requests = requests.then(move |request| {
            let lost = !request.entries.is_empty() && loses_entries.load(Ordering::Relaxed);
            async move { if lost { std::future::pending().await } else { request } }
        });
        self.inner.append(requests.boxed())
    }

    fn snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Answer<'_, peer::SnapshotResponse> {
        let state = Arc::clone(&self.state);
        let chunks = chunks.scan((), move |(), chunk| {
            let passed = state.lock().pass(chunk);
            async move { passed }
        });
        let answer = self.inner.snapshot(chunks.boxed());
        async move {
            // A broken connection has no answer, whatever the other side made of it.
            answer.await.map_err(|error| PeerError::NoAnswer(error.to_string()))
        }
        .boxed()
    }
}
