//! A byte stream to an endpoint: TCP, TLS on TCP, or a unix socket.
//!
//! Must not know: what is spoken on it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::ToolError;

/// What gRPC and HTTP need of a stream.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// An endpoint, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `host:port`, with or without TLS.
    Tcp { host: String, port: u16, tls: bool },
    /// `unix://path` or `unixs://path`.
    Unix { path: PathBuf, tls: bool },
}

impl Address {
    /// Understands `host:port`, `http://…`, `https://…`, `unix://…` and `unixs://…`.
    pub(crate) fn parse(endpoint: &str, tls_by_default: bool) -> Result<Self, ToolError> {
        let endpoint = endpoint.trim();
        let bad = |why: &str| ToolError::Usage(format!("bad endpoint {endpoint:?}: {why}"));
        let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
        let tls = match scheme {
            "" => tls_by_default,
            "http" | "unix" => false,
            "https" | "unixs" => true,
            _ => return Err(bad("the scheme is none of http, https, unix, unixs")),
        };
        if scheme.starts_with("unix") {
            return Ok(Self::Unix { path: rest.into(), tls });
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').ok_or_else(|| bad("a port is missing"))?;
        let port = port.parse().map_err(|_| bad("the port is no number of a port"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("a host is missing"));
        }
        Ok(Self::Tcp { host: host.to_owned(), port, tls })
    }

    /// Whether TLS is spoken there.
    pub(crate) fn tls(&self) -> bool {
        match self {
            Self::Tcp { tls, .. } | Self::Unix { tls, .. } => *tls,
        }
    }

    /// What HTTP calls the authority.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix { .. } => "localhost".to_owned(),
        }
    }

    fn server_name(&self) -> io::Result<ServerName<'static>> {
        let name = match self {
            Self::Tcp { host, .. } => host.clone(),
            Self::Unix { .. } => "localhost".to_owned(),
        };
        ServerName::try_from(name).map_err(io::Error::other)
    }
}

/// Opens a stream; the handshake is done when it is returned.
pub(crate) async fn open(
    address: &Address,
    tls: Option<Arc<rustls::ClientConfig>>,
) -> io::Result<Box<dyn Socket>> {
    let plain = connect(address).await?;
    let Some(config) = tls else { return Ok(plain) };
    let stream = TlsConnector::from(config).connect(address.server_name()?, plain).await?;
    Ok(Box::new(stream))
}

/// The certificates that a TLS endpoint shows, its own first.
pub(crate) async fn certificates(
    address: &Address,
    tls: Arc<rustls::ClientConfig>,
) -> io::Result<Vec<CertificateDer<'static>>> {
    let plain = connect(address).await?;
    let stream = TlsConnector::from(tls).connect(address.server_name()?, plain).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(shown.to_vec())
}

async fn connect(address: &Address) -> io::Result<Box<dyn Socket>> {
    Ok(match address {
        Address::Tcp { host, port, .. } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Address::Unix { path, .. } => Box::new(UnixStream::connect(path).await?),
    })
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn the_scheme_says_whether_tls_is_spoken() {
        let tls =
            |text, by_default| Address::parse(text, by_default).map(|address| address.tls()).ok();
        assert_eq!(tls("127.0.0.1:2379", false), Some(false));
        assert_eq!(tls("127.0.0.1:2379", true), Some(true));
        assert_eq!(tls("http://127.0.0.1:2379", true), Some(false));
        assert_eq!(tls("https://a.example:2379", false), Some(true));
        assert_eq!(tls("unix:///tmp/socket", false), Some(false));
        for bad in ["ftp://a:1", "nowhere", "a:port", ":1", ""] {
            assert_eq!(tls(bad, false), None, "{bad}");
        }
    }

    #[test]
    fn ipv6_hosts_keep_their_brackets_in_the_authority() {
        let address = Address::parse("http://[::1]:2379", false).expect("an endpoint");
        assert_eq!(address.authority(), "[::1]:2379");
    }
}
