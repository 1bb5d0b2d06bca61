//! The listening side: hands each call to the member's handler.
//!
//! Must not know: what a call means.

use std::future::Future;
use std::io;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use proto::peer;
use raft::PeerHandler;
use services::peer::peer_server::{Peer, PeerServer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use crate::connect;
use crate::limits;
use crate::status::to_status;

/// The gRPC service of a member's handler.
pub struct PeerService {
    handler: Arc<dyn PeerHandler>,
}

impl PeerService {
    /// The service, with this room's limits, to be mounted on a server.
    pub fn server(handler: Arc<dyn PeerHandler>) -> PeerServer<Self> {
        PeerServer::new(Self { handler })
            .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
    }
}

/// Answers peers on the connections of `incoming` until `stop` resolves, then drops all their
/// connections.
///
/// To be run on the member's consensus runtime (`Consensus::runtime`), so that no client's request
/// delays a heartbeat.
///
/// *Errors*: the server could not go on.
pub async fn serve<C>(
    incoming: impl Stream<Item = io::Result<C>>,
    handler: Arc<dyn PeerHandler>,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let server = Server::builder()
        .http2_keepalive_interval(Some(limits::PING_INTERVAL))
        .http2_keepalive_timeout(Some(limits::PING_TIMEOUT))
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_frame_size(limits::FRAME_BYTES_MAX)
        .add_service(PeerService::server(handler))
        .serve_with_incoming(incoming);
    tokio::select! {
        biased;
        () = stop => Ok(()),
        served = server => served.map_err(io::Error::other),
    }
}

/// The connections of plain TCP listeners.
pub fn tcp_incoming(listeners: Vec<TcpListener>) -> impl Stream<Item = io::Result<TcpStream>> {
    stream::select_all(listeners.into_iter().map(accepted))
}

fn accepted(listener: TcpListener) -> BoxStream<'static, io::Result<TcpStream>> {
    let accept = |listener: TcpListener| async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => match connect::prepare(&stream) {
                    Ok(()) => return Some((Ok(stream), listener)),
                    // The peer has gone again already.
                    Err(error) => tracing::debug!(%error, "a peer's connection broke at once"),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a peer's connection");
                    // Out of descriptors, most likely: give others the time to close theirs.
                    tokio::time::sleep(limits::CONNECT_TIMEOUT).await;
                }
            }
        }
    };
    stream::unfold(listener, accept).boxed()
}

/// Spelled out the way `async_trait` spells it: it does not see what a macro inside brings.
macro_rules! handle {
    ($($name:ident: $request:ident => $response:ident;)*) => {$(
        fn $name<'life, 'call>(
            &'life self,
            request: Request<peer::$request>,
        ) -> BoxFuture<'call, Result<Response<peer::$response>, Status>>
        where
            'life: 'call,
            Self: 'call,
        {
            async move {
                let answer = self.handler.$name(request.into_inner()).await;
                answer.map(Response::new).map_err(to_status)
            }
            .boxed()
        }
    )*};
}

#[tonic::async_trait]
impl Peer for PeerService {
    type AppendStream = BoxStream<'static, Result<peer::AppendResponse, Status>>;

    async fn append(
        &self,
        request: Request<Streaming<peer::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let answers = self.handler.append(whole(request.into_inner())).await.map_err(to_status)?;
        Ok(Response::new(answers.map(|answer| answer.map_err(to_status)).boxed()))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<peer::SnapshotChunk>>,
    ) -> Result<Response<peer::SnapshotResponse>, Status> {
        let answer = self.handler.snapshot(whole(request.into_inner())).await;
        answer.map(Response::new).map_err(to_status)
    }

    handle! {
        heartbeat: AppendRequest => AppendResponse;
        vote: VoteRequest => VoteResponse;
        pre_vote: VoteRequest => VoteResponse;
        transfer_leader: TransferLeaderRequest => TransferLeaderResponse;
        propose: ProposeRequest => ProposeResponse;
        read_index: ReadIndexRequest => ReadIndexResponse;
        ask_leader: AskLeaderRequest => AskLeaderResponse;
        hello: HelloRequest => HelloResponse;
    }
}

/// The messages of a stream up to its end or its failure: the handler takes both for the end.
fn whole<T: Send + 'static>(messages: Streaming<T>) -> BoxStream<'static, T> {
    let good = messages.take_while(|message| {
        if let Err(status) = message {
            tracing::debug!(%status, "a peer's stream broke");
        }
        std::future::ready(message.is_ok())
    });
    good.filter_map(|message| std::future::ready(message.ok())).boxed()
}
