//! Letting connections in: handshakes beside each other, and nobody waited for without end.
//!
//! Invariants: a connection that says nothing costs a small task until its deadline, no buffer and
//! no TLS state; one that cannot be let in holds up no other; failures to accept end nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;

use super::connection::{Connection, Traffic};
use super::listen::{Listener, Stream};
use crate::limits::{FIRST_REQUEST_WITHIN, HANDSHAKE_WITHIN};
use crate::tls::{self, Rejected, Side};

/// Connections that were let in and wait to be served; when full, accepting waits.
const ACCEPTED_MAX: usize = 64;
/// After a failed accept (often: no file descriptors left) others get time to close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The first byte of a TLS record with a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Who comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    Clients,
    Peers,
}

/// How connections are let in.
#[derive(Clone)]
struct Entrance {
    whom: Whom,
    traffic: Arc<Traffic>,
    /// Sets what this kind of connection wants of its socket.
    prepare: fn(&TcpStream) -> io::Result<()>,
    accepted: mpsc::Sender<io::Result<Connection>>,
}

/// Connections of clients, as they are let in.
pub(crate) fn clients(
    listeners: Vec<Listener>,
    traffic: &Arc<Traffic>,
) -> ReceiverStream<io::Result<Connection>> {
    incoming(listeners, Whom::Clients, traffic, |stream| stream.set_nodelay(true))
}

/// Connections of peers, as they are let in; `prepare` sets what they want of their sockets. Must
/// be called on the runtime that is to serve them.
pub fn incoming_peers(
    listeners: Vec<Listener>,
    prepare: fn(&TcpStream) -> io::Result<()>,
) -> ReceiverStream<io::Result<Connection>> {
    incoming(listeners, Whom::Peers, &Arc::default(), prepare)
}

fn incoming(
    listeners: Vec<Listener>,
    whom: Whom,
    traffic: &Arc<Traffic>,
    prepare: fn(&TcpStream) -> io::Result<()>,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, stream) = mpsc::channel(ACCEPTED_MAX);
    for listener in listeners {
        let (traffic, accepted) = (Arc::clone(traffic), accepted.clone());
        tokio::spawn(Entrance { whom, traffic, prepare, accepted }.open(listener));
    }
    ReceiverStream::new(stream)
}

impl Entrance {
    /// Ends when nobody takes connections any more; that closes the port.
    async fn open(self, listener: Listener) {
        loop {
            let next = async {
                let slots = Arc::clone(&listener.slots);
                // Nobody closes these slots; and without one nothing is accepted.
                let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
                Ok((listener.accept().await?, slot))
            };
            let next: io::Result<_> = tokio::select! {
                () = self.accepted.closed() => return,
                next = next => next,
            };
            match next {
                Ok((stream, slot)) => {
                    let (entrance, tls) = (self.clone(), listener.tls.clone());
                    let plain = listener.plain;
                    tokio::spawn(async move {
                        tokio::select! {
                            () = entrance.accepted.closed() => {}
                            () = entrance.let_in(stream, tls.as_ref(), plain, slot) => {}
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn let_in(
        &self,
        stream: Stream,
        tls: Option<&Arc<Side>>,
        plain: bool,
        slot: OwnedSemaphorePermit,
    ) {
        if let Stream::Tcp(tcp) = &stream
            && let Err(error) = (self.prepare)(tcp)
        {
            return tracing::debug!(%error, "a connection broke at once");
        }
        let remote = stream.remote();
        let deadline = Instant::now() + HANDSHAKE_WITHIN;
        let first = timeout_at(deadline, stream.first_byte()).await;
        let connection = match (first, tls) {
            (Err(_), Some(_)) => return self.reject(remote, timed_out()),
            (Err(_) | Ok(Ok(None) | Err(_)), _) => {
                return tracing::debug!(?remote, "a connection said nothing");
            }
            (Ok(Ok(Some(byte))), Some(side)) if !plain || byte == TLS_HANDSHAKE => {
                let handshake = tls::accept(stream, side, remote);
                let (stream, certificate) = match timeout_at(deadline, handshake).await {
                    Ok(Ok(accepted)) => accepted,
                    Ok(Err((rejected, stream))) => {
                        self.reject(remote, rejected);
                        if let Some(stream) = stream {
                            tls::hang_up(stream).await;
                        }
                        return;
                    }
                    Err(_) => return self.reject(remote, timed_out()),
                };
                let (traffic, by) = (Arc::clone(&self.traffic), Instant::now());
                let by = by + FIRST_REQUEST_WITHIN;
                Connection::secure(stream, certificate, traffic, by, slot)
            }
            _ => {
                let by = Instant::now() + FIRST_REQUEST_WITHIN;
                Connection::clear(stream, Arc::clone(&self.traffic), by, slot)
            }
        };
        // Nobody serves any more: the connection ends with this.
        drop(self.accepted.send(Ok(connection)).await);
    }

    /// Compat: etcd's line and fields. Who hangs up is told at the level debug, as there.
    fn reject(&self, remote: Option<SocketAddr>, rejected: Rejected) {
        let remote = remote.map(|remote| remote.to_string()).unwrap_or_default();
        let Rejected { server_name, certificate, why } = rejected;
        let names = certificate.as_ref().map_or(&[][..], |shown| shown.dns_names.as_slice());
        let addresses = certificate.as_ref().map_or(&[][..], |shown| shown.ip_addresses.as_slice());
        macro_rules! say {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    "remote-addr" = remote,
                    "server-name" = server_name,
                    "ip-addresses" = ?addresses,
                    "dns-names" = ?names,
                    error = why,
                    $message
                )
            };
        }
        match (self.whom, why.as_str()) {
            (Whom::Clients, "EOF") => say!(debug, "rejected connection on client endpoint"),
            (Whom::Clients, _) => say!(warn, "rejected connection on client endpoint"),
            (Whom::Peers, "EOF") => say!(debug, "rejected connection on peer endpoint"),
            (Whom::Peers, _) => say!(warn, "rejected connection on peer endpoint"),
        }
    }
}

fn timed_out() -> Rejected {
    Rejected { why: "i/o timeout".to_owned(), ..Rejected::default() }
}
