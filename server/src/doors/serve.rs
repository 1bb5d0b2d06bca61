//! Accepting and serving until the member stops.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use super::connection::{Connection, Traffic};
use super::dispatch::{Dispatch, Serves};
use super::http1;
use crate::http;
use crate::limits::{
    HTTP2_CONNECTION_WINDOW, HTTP2_FRAME_BYTES_MAX, HTTP2_HEADER_BYTES_MAX,
    HTTP2_PENDING_RESETS_MAX, HTTP2_STREAM_WINDOW,
};
use crate::member::Member;

/// Accepted connections that wait to be served; when full, accepting waits.
const ACCEPTED_MAX: usize = 64;
/// After a failed accept (often: no file descriptors left) others get time to close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long open calls may take to end when the member stops; then their connections are cut.
const DRAIN: Duration = Duration::from_millis(500);

/// Serves gRPC and HTTP to clients; returns when the member has stopped and open calls have ended.
///
/// *Errors*: none of one connection; only when the server itself cannot go on.
pub async fn serve_clients(
    member: Arc<Member>,
    listeners: Vec<TcpListener>,
) -> Result<(), io::Error> {
    cut_after_stop(&member, accept_clients(Arc::clone(&member), listeners)).await
}

/// Serves metrics and health only; returns when the member has stopped.
pub async fn serve_metrics(
    member: Arc<Member>,
    listeners: Vec<TcpListener>,
) -> Result<(), io::Error> {
    cut_after_stop(&member, answer_metrics(Arc::clone(&member), listeners)).await
}

async fn cut_after_stop(
    member: &Member,
    serving: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let mut stopped = member.stopped();
    let cut = async {
        drop(stopped.wait_for(|stopped| *stopped).await);
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = serving => served,
        () = cut => Ok(()),
    }
}

async fn accept_clients(member: Arc<Member>, listeners: Vec<TcpListener>) -> io::Result<()> {
    let config = member.config();
    let (sender, accepted) = mpsc::channel(ACCEPTED_MAX);
    for listener in listeners {
        tokio::spawn(accept(listener, sender.clone(), Arc::clone(member.traffic())));
    }
    drop(sender);
    let dispatch = Dispatch::new(&member, Serves::Both);
    let mut stopped = member.stopped();
    let accepted = ReceiverStream::new(accepted);
    let accepted = http1::taken_out(accepted, dispatch.clone(), member.stopped());
    Server::builder()
        .initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME_BYTES_MAX)
        .http2_max_header_list_size(HTTP2_HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(HTTP2_PENDING_RESETS_MAX))
        .max_concurrent_streams(config.max_concurrent_streams)
        .http2_keepalive_interval(config.keepalive_interval)
        .http2_keepalive_timeout(config.keepalive_timeout)
        .serve_with_incoming_shutdown(dispatch, accepted, async move {
            drop(stopped.wait_for(|stopped| *stopped).await);
        })
        .await
        .map_err(io::Error::other)
}

/// Ends when nobody takes connections any more; that closes the port.
async fn accept(
    listener: TcpListener,
    accepted: mpsc::Sender<io::Result<Connection>>,
    traffic: Arc<Traffic>,
) {
    loop {
        let stream = tokio::select! {
            () = accepted.closed() => return,
            stream = listener.accept() => stream,
        };
        let connection =
            stream.and_then(|(stream, _)| Connection::new(stream, Arc::clone(&traffic)));
        match connection {
            Ok(connection) => {
                if accepted.send(Ok(connection)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer_metrics(member: Arc<Member>, listeners: Vec<TcpListener>) -> io::Result<()> {
    let all = listeners.into_iter().map(|listener| {
        let pages = http::metrics_pages(Arc::clone(&member));
        let mut stopped = member.stopped();
        async move {
            axum::serve(listener, pages)
                .with_graceful_shutdown(async move {
                    drop(stopped.wait_for(|stopped| *stopped).await);
                })
                .await
        }
    });
    futures::future::try_join_all(all).await.map(drop)
}
