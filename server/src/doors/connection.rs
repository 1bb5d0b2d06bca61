//! One connection that was let in: its bytes counted, its first request awaited only so long.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::listen::Stream;
pub use crate::tls::PeerCertificate;

/// Bytes that went over all client connections, HTTP/2's own included; TLS's own are not.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
}

/// What a request's extensions say of the connection it came over.
#[derive(Debug, Clone, Default)]
pub struct ConnectionInfo {
    /// Where it comes from; none for a unix socket.
    pub remote: Option<SocketAddr>,
    /// Where it came in; none for a unix socket.
    pub local: Option<SocketAddr>,
    /// Whether it is encrypted.
    pub secure: bool,
    /// The verified certificate that was shown.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// A connection that counts its bytes.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    info: ConnectionInfo,
    traffic: Arc<Traffic>,
    /// Until the other side has shown that it speaks a protocol.
    waiting: Option<Waiting>,
    /// Given back when the connection ends.
    _slot: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Wire {
    Clear(Stream),
    Secure(Box<TlsStream<Stream>>),
}

/// HTTP/2's preface is that long, and each HTTP/1 request that is not silly.
const FIRST_BYTES: usize = 24;

#[derive(Debug)]
struct Waiting {
    missing_bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    /// Without TLS. It must speak until the deadline.
    pub(super) fn clear(
        stream: Stream,
        traffic: Arc<Traffic>,
        deadline: Instant,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let (remote, local) = (stream.remote(), stream.local());
        let info = ConnectionInfo { remote, local, ..ConnectionInfo::default() };
        Self::new(Wire::Clear(stream), info, traffic, deadline, slot)
    }

    /// With TLS, whose handshake is over. It must speak until the deadline.
    pub(super) fn secure(
        stream: TlsStream<Stream>,
        certificate: Option<Arc<PeerCertificate>>,
        traffic: Arc<Traffic>,
        deadline: Instant,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let inner = &stream.get_ref().0;
        let (remote, local) = (inner.remote(), inner.local());
        let info = ConnectionInfo { remote, local, secure: true, certificate };
        Self::new(Wire::Secure(Box::new(stream)), info, traffic, deadline, slot)
    }

    fn new(
        wire: Wire,
        info: ConnectionInfo,
        traffic: Arc<Traffic>,
        deadline: Instant,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(deadline));
        let waiting = Some(Waiting { missing_bytes: FIRST_BYTES, deadline });
        Connection { wire, info, traffic, waiting, _slot: slot }
    }

    fn sent(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.traffic.sent_bytes.fetch_add(*bytes as u64, Ordering::Relaxed);
            // Whoever is answered has spoken.
            self.waiting = None;
        }
        written
    }

    fn received(&mut self, bytes: usize) {
        self.traffic.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(waiting) = &mut self.waiting {
            waiting.missing_bytes = waiting.missing_bytes.saturating_sub(bytes);
            if waiting.missing_bytes == 0 {
                self.waiting = None;
            }
        }
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        self.waiting.as_mut().is_some_and(|w| w.deadline.as_mut().poll(context).is_ready())
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.info.clone()
    }
}

/// Hands a call to whichever it is.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.wire {
            Wire::Clear($stream) => $call,
            Wire::Secure($stream) => $call,
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = either!(self, stream => Pin::new(stream).poll_read(context, buffer));
        if read.is_pending() && self.is_late(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(read)?;
        self.received(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = either!(self, stream => Pin::new(stream).poll_write(context, bytes));
        self.sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = either!(self, stream => Pin::new(stream).poll_write_vectored(context, bytes));
        self.sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Clear(stream) => stream.is_write_vectored(),
            Wire::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}
