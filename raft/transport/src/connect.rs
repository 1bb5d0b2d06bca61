//! Connections to a peer: its URLs in turn, without delay, and quick to notice a dead peer.
//!
//! Must not know: HTTP, files. Which certificates are shown and believed is told by [`PeerTls`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::limits;

/// The rules for connections to `https` and `unixs` URLs, asked anew for each connection.
pub type PeerTls = Arc<dyn Fn() -> Arc<rustls::ClientConfig> + Send + Sync>;

/// Where a peer is, by one of its URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    place: Place,
    /// Whom its certificate must name; none without TLS.
    server_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// `host:port`
    Tcp(String),
    Unix(PathBuf),
}

/// Any connection.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// No address of the peer took the connection: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {address}: {source}")]
pub(crate) struct ConnectError {
    address: String,
    source: io::Error,
}

/// Tries the addresses in turn.
///
/// *Errors*: [`ConnectError`] of the last one.
pub(crate) async fn connect(
    addresses: Arc<[Address]>,
    tls: Option<PeerTls>,
) -> Result<TokioIo<Box<dyn Wire>>, ConnectError> {
    let mut last = ConnectError {
        address: "a peer without address".to_owned(),
        source: io::ErrorKind::AddrNotAvailable.into(),
    };
    for address in addresses.iter() {
        match connect_one(address, tls.as_ref()).await {
            Ok(stream) => return Ok(TokioIo::new(stream)),
            Err(source) => last = ConnectError { address: address.to_string(), source },
        }
    }
    Err(last)
}

async fn connect_one(address: &Address, tls: Option<&PeerTls>) -> io::Result<Box<dyn Wire>> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    match &address.place {
        Place::Tcp(authority) => {
            let connecting = TcpStream::connect(authority);
            let stream = tokio::time::timeout(limits::CONNECT_TIMEOUT, connecting).await;
            let stream = stream.map_err(late)??;
            prepare(&stream)?;
            secured(stream, address, tls).await
        }
        Place::Unix(path) => {
            let connecting = UnixStream::connect(path);
            let stream = tokio::time::timeout(limits::CONNECT_TIMEOUT, connecting).await;
            secured(stream.map_err(late)??, address, tls).await
        }
    }
}

/// The connection as it is, or with TLS over it.
async fn secured(
    stream: impl Wire + 'static,
    address: &Address,
    tls: Option<&PeerTls>,
) -> io::Result<Box<dyn Wire>> {
    let Some(name) = &address.server_name else { return Ok(Box::new(stream)) };
    let config = tls.ok_or_else(|| {
        io::Error::other("there is no certificate for peers (--peer-cert-file, --peer-auto-tls)")
    })?();
    let name = ServerName::try_from(name.clone()).map_err(io::Error::other)?;
    let connecting = TlsConnector::from(config).connect(name, stream);
    let stream = tokio::time::timeout(limits::HANDSHAKE_TIMEOUT, connecting).await;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "TLS handshake timeout");
    Ok(Box::new(stream.map_err(late)??))
}

/// Sets what both ends of a connection want of its socket.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(limits::TCP_USER_TIMEOUT))?;
    socket.set_keepalive(true)
}

/// Where a peer URL leads. `None`: it is no URL this transport can use.
pub(crate) fn address_of(url: &str) -> Option<Address> {
    let (scheme, rest) = url.split_once(':')?;
    let secure = matches!(scheme, "https" | "unixs");
    if matches!(scheme, "unix" | "unixs") {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        let server_name = secure.then(|| "localhost".to_owned());
        let place = Place::Unix(PathBuf::from(path));
        return (!path.is_empty()).then_some(Address { place, server_name });
    }
    let uri: http::Uri = url.parse().ok()?;
    let port_default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let (host, port) = (uri.host()?, uri.port_u16().unwrap_or(port_default));
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(Address {
        place: Place::Tcp(format!("{host}:{port}")),
        server_name: secure.then_some(name),
    })
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Tcp(authority) => f.write_str(authority),
            Place::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_peer_urls() {
        let cases = [
            ("http://127.0.0.1:2380", Some(("127.0.0.1:2380", None))),
            ("http://[::1]:2380", Some(("[::1]:2380", None))),
            ("http://name", Some(("name:80", None))),
            ("http://name:2380/", Some(("name:2380", None))),
            ("https://name:2380", Some(("name:2380", Some("name")))),
            ("https://[::1]:2380", Some(("[::1]:2380", Some("::1")))),
            ("unix://socket", Some(("socket", None))),
            ("unixs:///tmp/socket", Some(("/tmp/socket", Some("localhost")))),
            ("ftp://name:1", None),
            ("unix://", None),
            ("", None),
        ];
        for (url, expected) in cases {
            let found = address_of(url).map(|found| (found.to_string(), found.server_name));
            let expected = expected.map(|(place, name): (&str, Option<&str>)| {
                (place.to_owned(), name.map(str::to_owned))
            });
            assert_eq!(found, expected, "{url}");
        }
    }
}
