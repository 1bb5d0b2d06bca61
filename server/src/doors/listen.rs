//! Addresses that are ours: taken first, listened to later, given back at the end.
//!
//! Invariants: nobody hears of an address before it is listened to; a unix socket's file that
//! somebody else listens on is never taken away, and ours is removed with its listener.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::config::{Endpoint, SocketOptions};
use crate::tls::Side;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 1024;

/// An address that is ours but does not listen yet: whoever dials it is refused at once, and does
/// not hang until somebody answers.
#[derive(Debug)]
pub struct Reserved {
    socket: Socket,
    at: Place,
    url: String,
    plain: bool,
    secure: bool,
}

/// What an address is, once it is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Takes the address of one URL.
///
/// *Errors*: of the system, for instance "address in use"; nothing is held then.
pub fn reserve(url: &Endpoint) -> io::Result<Reserved> {
    bind(url, place(url)?, SocketOptions::default())
}

/// Takes the addresses of several URLs. Two URLs of one address share it: TLS is told from the
/// rest by its first byte, as in etcd.
///
/// *Errors*: with the URL that cannot be had; nothing is held then.
pub fn reserve_all(
    urls: &[Endpoint],
    options: SocketOptions,
) -> Result<Vec<Reserved>, (String, io::Error)> {
    let mut all: Vec<Reserved> = Vec::new();
    for url in urls {
        let failed = |error| (url.text.clone(), error);
        let at = place(url).map_err(failed)?;
        match all.iter_mut().find(|other| other.at == at && url.port != 0) {
            Some(other) => {
                other.plain |= !url.is_secure();
                other.secure |= url.is_secure();
            }
            None => all.push(bind(url, at, options).map_err(failed)?),
        }
    }
    Ok(all)
}

fn place(url: &Endpoint) -> io::Result<Place> {
    if url.is_unix() {
        return Ok(Place::Unix(PathBuf::from(&url.host)));
    }
    let host = if url.host == "localhost" { "127.0.0.1" } else { url.host.as_str() };
    let mut found = (host, url.port).to_socket_addrs()?;
    found.next().map(Place::Tcp).ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, format!("{url} has no address"))
    })
}

fn bind(url: &Endpoint, at: Place, options: SocketOptions) -> io::Result<Reserved> {
    let socket = match &at {
        Place::Tcp(address) => {
            let domain = Domain::for_address(*address);
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            // A member that was just stopped must be able to come back to its port.
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(options.reuse_port)?;
            socket.bind(&(*address).into()).map_err(|error| gos_words(*address, error))?;
            socket
        }
        Place::Unix(path) => {
            remove_stale(path)?;
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.bind(&SockAddr::unix(path)?)?;
            socket
        }
    };
    socket.set_nonblocking(true)?;
    let secure = url.is_secure();
    Ok(Reserved { socket, at, url: url.text.clone(), plain: !secure, secure })
}

/// What Go would say, since that is what operators search for.
fn gos_words(address: SocketAddr, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::AddrInUse {
        return error;
    }
    let text = format!("listen tcp {address}: bind: address already in use");
    io::Error::new(io::ErrorKind::AddrInUse, text)
}

/// Removes the file of a process that is gone. *Errors*: somebody listens there, or it is no
/// socket.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let taken =
        !found.file_type().is_socket() || std::os::unix::net::UnixStream::connect(path).is_ok();
    if taken {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    std::fs::remove_file(path)
}

impl Reserved {
    /// Begins to listen without TLS. Must be called on a tokio runtime.
    ///
    /// *Errors*: also when another process took the port meanwhile, and for a secure URL.
    pub fn listen(self) -> io::Result<Listener> {
        self.listen_with(None, Semaphore::MAX_PERMITS)
    }

    /// Begins to listen. At most `connections_max` are open at a time; further ones wait in the
    /// kernel. Must be called on a tokio runtime.
    ///
    /// *Errors*: also when another process took the port meanwhile, and for a secure URL without
    /// TLS.
    pub fn listen_with(
        self,
        tls: Option<&Arc<Side>>,
        connections_max: usize,
    ) -> io::Result<Listener> {
        if self.secure && tls.is_none() {
            return Err(io::Error::other(format!("{} has no certificate", self.url)));
        }
        self.socket.listen(BACKLOG)?;
        let (socket, file) = match self.at {
            Place::Tcp(_) => {
                (ListenerSocket::Tcp(TcpListener::from_std(self.socket.into())?), None)
            }
            Place::Unix(path) => {
                (ListenerSocket::Unix(UnixListener::from_std(self.socket.into())?), Some(path))
            }
        };
        Ok(Listener {
            socket,
            plain: self.plain,
            tls: tls.filter(|_| self.secure).cloned(),
            url: self.url,
            slots: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            _file: file.map(SocketFile),
        })
    }
}

/// Somewhere clients or peers come in.
#[derive(Debug)]
pub struct Listener {
    socket: ListenerSocket,
    /// Whether connections in the clear are taken.
    pub(crate) plain: bool,
    /// The TLS of the others.
    pub(crate) tls: Option<Arc<Side>>,
    /// The URL that it was reserved for.
    pub(crate) url: String,
    /// One for each connection that may be open.
    pub(crate) slots: Arc<Semaphore>,
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum ListenerSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a unix socket, removed when this is dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody removed it before; then there is nothing left to do.
        drop(std::fs::remove_file(&self.0));
    }
}

impl Listener {
    /// The address of a TCP listener. *Errors*: of a unix socket, which has none.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            ListenerSocket::Tcp(listener) => listener.local_addr(),
            ListenerSocket::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// As etcd shows it in its log: the address, or the file.
    pub(crate) fn shown(&self) -> String {
        match self.local_addr() {
            Ok(address) => address.to_string(),
            Err(_) => self.url.clone(),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            ListenerSocket::Tcp(listener) => Ok(Stream::Tcp(listener.accept().await?.0)),
            ListenerSocket::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }
}

/// An accepted connection, as the system hands it over.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Where it comes from; none for a unix socket.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// Where it came in; none for a unix socket.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// Waits until there is something to read, and looks at its first byte.
    ///
    /// *Shape*: none at the end of the stream. A unix socket's bytes cannot be looked at: 0.
    pub(crate) async fn first_byte(&self) -> io::Result<Option<u8>> {
        match self {
            Stream::Tcp(stream) => {
                let mut byte = [0];
                let read = stream.peek(&mut byte).await?;
                Ok((read > 0).then_some(byte[0]))
            }
            Stream::Unix(stream) => stream.readable().await.map(|()| Some(0)),
        }
    }
}

/// Hands a call to whichever it is.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => $call,
            Stream::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}
