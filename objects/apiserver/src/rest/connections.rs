//! Connections: accepted, encrypted, spoken to as HTTP/1.1 or HTTP/2, ended.
//!
//! Invariants: one connection never holds up another, nor the accepting; when the server stops,
//! open requests get a moment, then everything is cut.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::limits::{
    CONNECTION_WINDOW_BYTES, HEAD_BYTES_MAX, HEAD_TIMEOUT, STREAM_WINDOW_BYTES,
    STREAMS_PER_CONNECTION_MAX,
};

/// After a failed accept (often: no file descriptors left) others get time to close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long open requests may take to end when the server stops.
const DRAIN: Duration = Duration::from_millis(250);
/// How often an idle HTTP/2 peer is asked whether it is still there, and how long it may think.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Serves until the shutdown; returns when the connections have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    door: Arc<Door>,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (acceptor, door) = (acceptor.clone(), Arc::clone(&door));
                    connections.spawn(connection(stream, acceptor, door, shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What has not ended by now is cut by dropping its task.
    drop(tokio::time::timeout(DRAIN, ended).await);
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    door: Arc<Door>,
    shutdown: CancellationToken,
) {
    let handshake = async {
        stream.set_nodelay(true)?;
        acceptor.accept(stream).await
    };
    let stream = tokio::select! {
        () = shutdown.cancelled() => return,
        stream = tokio::time::timeout(HEAD_TIMEOUT, handshake) => match stream {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "a handshake failed"),
            Err(_) => return,
        },
    };
    if let Err(error) = spoken(stream, door, shutdown).await {
        tracing::debug!(%error, "a connection ended badly");
    }
}

async fn spoken(
    stream: TlsStream<TcpStream>,
    door: Arc<Door>,
    shutdown: CancellationToken,
) -> Result<(), hyper::Error> {
    let session = stream.get_ref().1;
    let shown = Arc::new(door.authenticator.shown(session.peer_certificates()));
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (door, shown) = (Arc::clone(&door), Arc::clone(&shown));
        async move { Ok::<_, Infallible>(door.answer(request, &shown).await) }
    });
    let stream = TokioIo::new(stream);
    if is_http2 {
        let connection = http2_builder().serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    }
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

/// Listens on an address. *Errors*: of the system, for instance "address in use".
pub(crate) fn listen(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    const BACKLOG: i32 = 1024;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A server that was just stopped must be able to come back to its port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
