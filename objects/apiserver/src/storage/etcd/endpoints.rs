//! The ways to a store, and which of them is used.
//!
//! Must not know: what is sent.

use std::str::FromStr as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::storage::StorageError;

/// A gRPC service: a channel to a server, or a server's services themselves.
pub type GrpcService = BoxCloneSyncService<Request<Body>, Response<Body>, ServiceError>;

/// A failure of a [`GrpcService`] itself, below gRPC.
#[derive(Debug, thiserror::Error)]
#[error("the connection failed")]
pub struct ServiceError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl ServiceError {
    /// Wraps what went wrong.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        ServiceError(error.into())
    }
}

/// How long connecting may take before the next endpoint is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a connection with open calls is asked whether it is still there, and how long it may
/// take to answer: a store that was cut off without a word is given up after their sum. Without
/// open calls it is not asked: etcd ends connections that ask without a reason.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How much may be under way to us: per stream and per connection. One connection carries the
/// watches of all resources.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The endpoints, one of which is preferred until it fails.
pub(super) struct Endpoints {
    all: Vec<GrpcService>,
    preferred: AtomicUsize,
}

/// One endpoint, picked for one call.
pub(super) struct Picked {
    pub(super) service: GrpcService,
    index: usize,
}

impl Endpoints {
    pub(super) fn one(service: GrpcService) -> Self {
        Endpoints { all: vec![service], preferred: AtomicUsize::new(0) }
    }

    pub(super) fn remote(endpoints: &[String]) -> Result<Self, StorageError> {
        let all = endpoints.iter().map(|text| connect(text)).collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() {
            return Err(refused("no endpoint of the store was given".to_owned()));
        }
        Ok(Endpoints { all, preferred: AtomicUsize::new(0) })
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn pick(&self) -> Picked {
        let index = self.preferred.load(Ordering::Relaxed) % self.all.len();
        Picked { service: self.all[index].clone(), index }
    }

    /// Prefers the next one, unless somebody else has already moved on from this one.
    pub(super) fn failed(&self, picked: &Picked) {
        let next = (picked.index + 1) % self.all.len();
        let relaxed = Ordering::Relaxed;
        let _ = self.preferred.compare_exchange(picked.index, next, relaxed, relaxed);
    }
}

fn refused(reason: String) -> StorageError {
    StorageError::Refused { reason }
}

fn connect(text: &str) -> Result<GrpcService, StorageError> {
    let text = text.trim();
    if text.starts_with("https://") {
        return Err(refused(format!(
            "the endpoint {text:?} wants TLS, which is not supported towards the store yet: use \
             http://"
        )));
    }
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let bad = |why: &str| refused(format!("the endpoint {text:?} cannot be used: {why}"));
    if !url.starts_with("http://") {
        return Err(bad("only http:// is known"));
    }
    let endpoint = Endpoint::from_str(&url).map_err(|error| bad(&error.to_string()))?;
    if endpoint.uri().host().is_none_or(str::is_empty) {
        return Err(bad("it has no host"));
    }
    let channel: Channel = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .connect_lazy();
    Ok(BoxCloneSyncService::new(channel.map_err(ServiceError::new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn endpoints_that_cannot_be_used_are_refused_with_the_reason() {
        let rows = [
            ("https://a:1", "wants TLS"),
            ("unix:///x", "only http:// is known"),
            ("http://", "cannot be used"),
            ("http://a b", "cannot be used"),
        ];
        for (text, reason) in rows {
            let refusal = Endpoints::remote(&[text.to_owned()]).err().expect("refused");
            assert!(refusal.to_string().contains(reason), "{text}: {refusal}");
        }
        assert!(Endpoints::remote(&[]).is_err());
        let two = Endpoints::remote(&["127.0.0.1:1".to_owned(), "http://b:2".to_owned()]);
        assert_eq!(two.expect("both are fine").len(), 2);
    }

    #[tokio::test]
    async fn a_failed_endpoint_is_left_once_however_many_calls_failed_on_it() {
        let texts = ["http://a:1".to_owned(), "http://b:1".to_owned()];
        let endpoints = Endpoints::remote(&texts).expect("fine");
        let (first, second) = (endpoints.pick(), endpoints.pick());
        endpoints.failed(&first);
        endpoints.failed(&second);
        assert_eq!(endpoints.pick().index, 1);
        endpoints.failed(&endpoints.pick());
        assert_eq!(endpoints.pick().index, 0);
    }
}
