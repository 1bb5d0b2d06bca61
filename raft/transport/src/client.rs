//! The calling side: one lazily opened connection per peer and lane.
//!
//! Invariants: nothing is connected before it is used; a broken connection is opened anew by the
//! next call; lanes never share a connection, so a snapshot cannot hold a heartbeat up.
//! Must not know: what a call means.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::FutureExt as _;
use futures::stream::{BoxStream, Stream, StreamExt as _};
use parking_lot::Mutex;
use proto::peer;
use raft::{Answer, Answers, Lane, PeerAddress, PeerHandler, Transport};
use services::peer::peer_client::PeerClient;
use tonic::transport::{Channel, Endpoint};

use crate::connect::{self, Address, PeerTls};
use crate::limits;
use crate::status::from_status;

/// The way to the peers over HTTP/2.
#[derive(Default)]
pub struct TonicTransport {
    peers: Mutex<HashMap<Key, Arc<Peer>>>,
    tls: Option<PeerTls>,
}

type Key = (u64, Vec<String>, Lane);

impl TonicTransport {
    /// A transport without connections, for peers in the clear.
    pub fn new() -> Self {
        Self::default()
    }

    /// A transport without connections; `tls` is asked for each connection to an `https` or `unixs`
    /// URL.
    pub fn with_tls(tls: Option<PeerTls>) -> Self {
        Self { tls, ..Self::default() }
    }
}

impl Transport for TonicTransport {
    /// Must be called on a tokio runtime, which then drives the connection.
    fn peer(&self, address: &PeerAddress, lane: Lane) -> Arc<dyn PeerHandler> {
        let key = (address.member_id.0, address.peer_urls.clone(), lane);
        let mut peers = self.peers.lock();
        let peer = peers
            .entry(key)
            .or_insert_with(|| Arc::new(Peer::new(&address.peer_urls, self.tls.as_ref())));
        Arc::clone(peer) as Arc<dyn PeerHandler>
    }
}

/// One lane to one peer.
struct Peer {
    client: PeerClient<Channel>,
}

impl Peer {
    fn new(peer_urls: &[String], tls: Option<&PeerTls>) -> Self {
        let addresses: Arc<[Address]> =
            peer_urls.iter().filter_map(|url| connect::address_of(url)).collect();
        // The authority of a request; the connector decides where it goes.
        let endpoint = Endpoint::from_static("http://peer")
            .http2_keep_alive_interval(limits::PING_INTERVAL)
            .keep_alive_timeout(limits::PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .max_frame_size(limits::FRAME_BYTES_MAX)
            // Heartbeats given up under load have late answers; by default the thousandth of them
            // would end the connection and every call on it.
            .http2_max_local_error_reset_streams(None);
        let tls = tls.cloned();
        let connector =
            tower::service_fn(move |_: http::Uri| connect::connect(addresses.clone(), tls.clone()));
        let client = PeerClient::new(endpoint.connect_with_connector_lazy(connector))
            .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
        Self { client }
    }
}

/// A stream under a name of its own: the compiler cannot prove a boxed one `Send` inside tonic's
/// generic calls.
struct Messages<T>(BoxStream<'static, T>);

impl<T> Stream for Messages<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_next_unpin(context)
    }
}

macro_rules! call {
    ($($name:ident: $request:ident => $response:ident;)*) => {$(
        fn $name(
            &self,
            request: peer::$request,
        ) -> Answer<'_, peer::$response> {
            let mut client = self.client.clone();
            async move {
                let response = client.$name(request).await;
                response.map(tonic::Response::into_inner).map_err(|status| from_status(&status))
            }
            .boxed()
        }
    )*};
}

impl PeerHandler for Peer {
    call! {
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
        let mut client = self.client.clone();
        async move {
            let response =
                client.append(Messages(requests)).await.map_err(|status| from_status(&status))?;
            let answers = response.into_inner();
            Ok(answers.map(|answer| answer.map_err(|status| from_status(&status))).boxed())
        }
        .boxed()
    }

    fn snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Answer<'_, peer::SnapshotResponse> {
        let mut client = self.client.clone();
        async move {
            let response = client.snapshot(Messages(chunks)).await;
            response.map(tonic::Response::into_inner).map_err(|status| from_status(&status))
        }
        .boxed()
    }
}
