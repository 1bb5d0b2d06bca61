//! TCP connections to a peer: its URLs in turn, without delay, and quick to notice a dead peer.
//!
//! Must not know: HTTP.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::limits;

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
pub(crate) async fn connect(addresses: Arc<[String]>) -> Result<TokioIo<TcpStream>, ConnectError> {
    let mut last = ConnectError {
        address: "a peer without address".to_owned(),
        source: io::ErrorKind::AddrNotAvailable.into(),
    };
    for address in addresses.iter() {
        match connect_one(address).await {
            Ok(stream) => return Ok(TokioIo::new(stream)),
            Err(source) => last = ConnectError { address: address.clone(), source },
        }
    }
    Err(last)
}

async fn connect_one(address: &str) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect(address);
    let stream = tokio::time::timeout(limits::CONNECT_TIMEOUT, connecting).await;
    let stream = stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    prepare(&stream)?;
    Ok(stream)
}

/// Sets what both ends of a connection want of it.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(limits::TCP_USER_TIMEOUT))?;
    socket.set_keepalive(true)
}

/// `host:port` of a peer URL. `None`: it is no `http` URL this transport can use.
pub(crate) fn address_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    if uri.scheme_str() != Some("http") {
        return None;
    }
    let port = uri.port_u16().unwrap_or(80);
    Some(format!("{}:{port}", uri.host()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_peer_urls() {
        let cases = [
            ("http://127.0.0.1:2380", Some("127.0.0.1:2380")),
            ("http://[::1]:2380", Some("[::1]:2380")),
            ("http://name", Some("name:80")),
            ("http://name:2380/", Some("name:2380")),
            ("https://name:2380", None),
            ("unix://socket", None),
            ("", None),
        ];
        for (url, expected) in cases {
            assert_eq!(address_of(url).as_deref(), expected, "{url}");
        }
    }
}
