//! HTTP/1.1 connections, taken out of those that were accepted: tonic's server cannot change the
//! protocol of one, which a WebSocket asks for.
//!
//! Invariants: what was read to tell the protocols apart is read again by whoever serves; when the
//! member stops, a connection ends after the request at hand.
//! Must not know: what is asked.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tonic::transport::server::Connected;
use tower::Service as _;

use super::dispatch::Dispatch;
use crate::limits::HTTP1_HEADERS_WITHIN;

/// What every HTTP/2 connection begins with; nothing of HTTP/1.1 does.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// HTTP/2 connections that wait to be served; when full, accepting waits.
const WAITING_MAX: usize = 64;

/// Serves the HTTP/1.1 connections among `accepted` with `dispatch`; the others come out.
pub(super) fn taken_out<I>(
    mut accepted: impl Stream<Item = io::Result<I>> + Send + Unpin + 'static,
    dispatch: Dispatch,
    stopped: watch::Receiver<bool>,
) -> ReceiverStream<io::Result<Rewound<I>>>
where
    I: AsyncRead + AsyncWrite + Connected + Send + Unpin + 'static,
{
    let (http2, others) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        loop {
            let connection = tokio::select! {
                () = http2.closed() => return,
                connection = accepted.next() => connection,
            };
            let Some(Ok(connection)) = connection else { return };
            let (http2, dispatch, stopped) = (http2.clone(), dispatch.clone(), stopped.clone());
            tokio::spawn(async move {
                let begun = tokio::select! {
                    () = http2.closed() => return,
                    begun = begin(connection) => begun,
                };
                match begun {
                    Ok((connection, true)) => drop(http2.send(Ok(connection)).await),
                    Ok((connection, false)) => serve(connection, dispatch, stopped).await,
                    Err(error) => tracing::debug!(%error, "a connection broke at once"),
                }
            });
        }
    });
    ReceiverStream::new(others)
}

/// Reads until the protocol is known; whether it is HTTP/2.
async fn begin<I: AsyncRead + Unpin>(mut connection: I) -> io::Result<(Rewound<I>, bool)> {
    let mut read = BytesMut::with_capacity(1024);
    let is_http2 = loop {
        if connection.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let compared = read.len().min(PREFACE.len());
        if read[..compared] != PREFACE[..compared] {
            break false;
        }
        if compared == PREFACE.len() {
            break true;
        }
    };
    Ok((Rewound { read: read.freeze(), connection }, is_http2))
}

async fn serve<I>(connection: Rewound<I>, dispatch: Dispatch, mut stopped: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Connected + Send + Unpin + 'static,
{
    let info = connection.connect_info();
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(info.clone());
        dispatch.clone().call(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP1_HEADERS_WITHIN)
        .serve_connection(TokioIo::new(connection), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stop => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

/// A connection whose first bytes were looked at.
#[derive(Debug)]
pub(super) struct Rewound<I> {
    read: Bytes,
    connection: I,
}

impl<I: Connected> Connected for Rewound<I> {
    type ConnectInfo = I::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Rewound<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.connection).poll_read(context, buffer);
        }
        let bytes = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read[..bytes]);
        self.read.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Rewound<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
