//! The way to an endpoint: TCP, TLS or a unix socket, the gRPC channel on it, and who asks.
//!
//! Invariants: TLS is used exactly for `https://` endpoints, for bare ones when any TLS option is
//! given, and never for `http://`. A token is sent with every request of a [`Wire`] that has one.
//!
//! Must not know: any particular verb.

mod credentials;
mod http_get;
mod renewing;
mod stream;
pub(crate) mod tls;

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};

pub(crate) use credentials::{Credentials, Login, is_stale};
pub(crate) use http_get::get;
pub(crate) use renewing::Wire;
pub(crate) use stream::{Address, certificates, open};

use crate::ToolError;

/// Compat: grpc-go, and so etcdctl, never pings more often, whatever it is told; members show out
/// who does.
const PING_INTERVAL_MIN: Duration = Duration::from_secs(10);

/// How connections are made; what etcdctl's global flags say of them.
#[derive(Debug, Clone)]
pub(crate) struct Dialing {
    /// How long one attempt may take, with its TLS handshake.
    pub(crate) dial_timeout: Duration,
    /// How long until the head of an answer must be there; nothing is a wait without end.
    pub(crate) request_timeout: Option<Duration>,
    /// Time between two pings while a call is open (10 s at least), and how long the answer may
    /// take.
    pub(crate) keepalive: Option<(Duration, Duration)>,
    /// What TLS connections use.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    /// Whether an endpoint without a scheme is one of TLS.
    pub(crate) tls_by_default: bool,
}

impl Default for Dialing {
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(2),
            request_timeout: None,
            keepalive: None,
            tls: None,
            tls_by_default: false,
        }
    }
}

impl Dialing {
    /// Where an endpoint is and how it is spoken to.
    ///
    /// *Errors*: `Usage` when the text is no endpoint.
    pub(crate) fn address(&self, endpoint: &str) -> Result<Address, ToolError> {
        Address::parse(endpoint, self.tls_by_default)
    }

    /// Opens a gRPC channel to one endpoint.
    ///
    /// *Errors*: `Connection` when it cannot be reached in time.
    pub(crate) async fn channel(&self, endpoint: &str) -> Result<Channel, ToolError> {
        let address = self.address(endpoint)?;
        let failed = |reason: String| ToolError::Connection { endpoint: endpoint.into(), reason };
        let tls = if address.tls() { Some(self.tls_config()?) } else { None };
        let mut builder = Endpoint::from_shared(format!("http://{}", address.authority()))
            .map_err(|error| ToolError::Usage(format!("bad endpoint {endpoint}: {error}")))?
            .connect_timeout(self.dial_timeout)
            .tcp_nodelay(true)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(8 << 20);
        if let Some(timeout) = self.request_timeout {
            builder = builder.timeout(timeout);
        }
        if let Some((time, timeout)) = self.keepalive {
            let time = time.max(PING_INTERVAL_MIN);
            builder = builder.http2_keep_alive_interval(time).keep_alive_timeout(timeout);
        }
        // Later connections of the channel are opened the same way.
        let connector = tower::service_fn(move |_: Uri| {
            let (address, tls) = (address.clone(), tls.clone());
            async move { open(&address, tls).await.map(TokioIo::new) }
        });
        tokio::time::timeout(self.dial_timeout, builder.connect_with_connector(connector))
            .await
            .map_err(|_| failed("no connection within the dial timeout".to_owned()))?
            .map_err(|error| failed(innermost(&error)))
    }

    /// The TLS settings; without options, the system's own CAs.
    pub(crate) fn tls_config(&self) -> Result<Arc<rustls::ClientConfig>, ToolError> {
        match &self.tls {
            Some(tls) => Ok(Arc::clone(tls)),
            None => tls::Files::default().config(),
        }
    }
}

/// The last cause in the chain: `Connection refused` rather than `transport error`.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
