//! Accepting and serving until the member stops.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio_stream::StreamExt as _;
use tonic::transport::Server;
use tonic::transport::server::Connected as _;

use super::accept;
use super::dispatch::{Dispatch, Serves};
use super::http1;
use super::listen::Listener;
use super::pages::Pages;
use super::pings::Guarded;
use crate::config::ServerConfig;
use crate::http;
use crate::limits::{
    HTTP2_CONNECTION_WINDOW, HTTP2_FRAME_BYTES_MAX, HTTP2_HEADER_BYTES_MAX,
    HTTP2_PENDING_RESETS_MAX, HTTP2_STREAM_WINDOW,
};
use crate::member::Member;

/// How long open calls may take to end when the member stops; then their connections are cut.
const DRAIN: Duration = Duration::from_millis(500);

/// Serves gRPC and HTTP to clients (gRPC alone when HTTP has listeners of its own); returns when
/// the member has stopped and open calls have ended.
///
/// *Errors*: none of one connection; only when the server itself cannot go on.
pub async fn serve_clients(member: Arc<Member>, listeners: Vec<Listener>) -> Result<(), io::Error> {
    cut_after_stop(&member, accept_clients(Arc::clone(&member), listeners)).await
}

/// Serves HTTP alone to clients; returns as [`serve_clients`] does.
pub async fn serve_client_http(
    member: Arc<Member>,
    listeners: Vec<Listener>,
) -> Result<(), io::Error> {
    cut_after_stop(&member, accept_http(Arc::clone(&member), listeners)).await
}

/// Serves metrics and health only; returns when the member has stopped.
pub async fn serve_metrics(member: Arc<Member>, listeners: Vec<Listener>) -> Result<(), io::Error> {
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

async fn accept_clients(member: Arc<Member>, listeners: Vec<Listener>) -> io::Result<()> {
    let grpc_alone = !member.config().listen_client_http_urls.is_empty();
    say_open(&listeners, if grpc_alone { "grpc" } else { "grpc+http" });
    let accepted = accept::clients(listeners, member.traffic());
    let serves = if grpc_alone { Serves::Grpc } else { Serves::Both };
    let dispatch = Dispatch::new(&member, serves);
    let accepted = http1::taken_out(accepted, dispatch.clone(), member.stopped());
    let min_time = member.config().keepalive_min_time;
    // Compat: where gRPC and HTTP share a TLS port, etcd counts no pings: Go's HTTP server has it.
    let accepted = accepted.map(move |connection| {
        let connection = connection?;
        let is_counted = grpc_alone || !connection.connect_info().secure;
        Ok::<_, io::Error>(Guarded::new(connection, is_counted.then_some(min_time)))
    });
    let stopped = stopped(&member);
    server(member.config())
        .serve_with_incoming_shutdown(dispatch, accepted, stopped)
        .await
        .map_err(io::Error::other)
}

async fn accept_http(member: Arc<Member>, listeners: Vec<Listener>) -> io::Result<()> {
    say_open(&listeners, "http");
    let accepted = accept::clients(listeners, member.traffic());
    let dispatch = Dispatch::new(&member, Serves::Http);
    let accepted = http1::taken_out(accepted, dispatch.clone(), member.stopped());
    let stopped = stopped(&member);
    server(member.config())
        .serve_with_incoming_shutdown(dispatch, accepted, stopped)
        .await
        .map_err(io::Error::other)
}

async fn answer_metrics(member: Arc<Member>, listeners: Vec<Listener>) -> io::Result<()> {
    for listener in &listeners {
        tracing::info!(address = listener.url, "serving metrics");
    }
    let accepted = accept::clients(listeners, member.traffic());
    let pages = Pages(http::metrics_pages(Arc::clone(&member)));
    let stopped = stopped(&member);
    server(member.config())
        .accept_http1(true)
        .serve_with_incoming_shutdown(pages, accepted, stopped)
        .await
        .map_err(io::Error::other)
}

fn server(config: &ServerConfig) -> Server {
    Server::builder()
        .initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME_BYTES_MAX)
        .http2_max_header_list_size(HTTP2_HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(HTTP2_PENDING_RESETS_MAX))
        .max_concurrent_streams(config.max_concurrent_streams)
        .http2_keepalive_interval(config.keepalive_interval)
        .http2_keepalive_timeout(config.keepalive_timeout)
}

/// Resolves when the member stops.
fn stopped(member: &Member) -> impl Future<Output = ()> + Send + 'static {
    let mut stopped = member.stopped();
    async move { drop(stopped.wait_for(|stopped| *stopped).await) }
}

/// Compat: etcd's lines, one for each listener and kind.
fn say_open(listeners: &[Listener], traffic: &str) {
    for listener in listeners {
        let address = listener.shown();
        if listener.plain {
            tracing::info!(
                traffic,
                address,
                "serving client traffic insecurely; this is strongly discouraged!"
            );
        }
        if listener.tls.is_some() {
            tracing::info!(traffic, address, "serving client traffic securely");
        }
    }
}
