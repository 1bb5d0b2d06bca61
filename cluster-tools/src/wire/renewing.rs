//! A gRPC channel that sends the asker's token along, and logs in again, once for each call, when
//! the server does not know the token any more: commands may outlive their token.
//!
//! Invariants: only a call that was refused for its token is sent twice. Streams are not: who opens
//! one asks for it by [`Wire::again`].

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::{BodyExt as _, Full};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::{Service, ServiceExt as _};

use super::credentials::{Credentials, is_stale};
use crate::ToolError;

type Answer = Result<http::Response<Body>, tonic::transport::Error>;

/// See the module's page. Clones share the token.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    channel: Channel,
    credentials: Credentials,
}

impl Wire {
    /// A channel for this asker.
    pub(crate) fn new(channel: Channel, credentials: Credentials) -> Self {
        Self { channel, credentials }
    }

    /// Logs in again where there is a password to do it with.
    pub(crate) async fn renew(&self) -> Result<(), ToolError> {
        self.credentials.renew(&self.channel).await
    }

    /// Does something with a stream, and once more with a new token when the old one is refused.
    pub(crate) async fn again<T>(
        &self,
        mut call: impl AsyncFnMut() -> Result<T, Status>,
    ) -> Result<T, Status> {
        match call().await {
            Err(status) if self.credentials.can_renew() && is_stale(&status) => {
                match self.renew().await {
                    Ok(()) => call().await,
                    // The server's first word says more than a login that failed as well.
                    Err(_) => Err(status),
                }
            }
            outcome => outcome,
        }
    }
}

impl Service<http::Request<Body>> for Wire {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let next = self.channel.clone();
        // The one that was found ready is the one to be called.
        let mut channel = std::mem::replace(&mut self.channel, next);
        let credentials = self.credentials.clone();
        if !credentials.can_renew() || is_stream(request.uri().path()) {
            credentials.put(request.headers_mut());
            return Box::pin(channel.call(request));
        }
        Box::pin(renewing(channel, credentials, request))
    }
}

/// Whether a call's requests come one after the other.
fn is_stream(path: &str) -> bool {
    path.ends_with("/Watch") || path.ends_with("/LeaseKeepAlive")
}

async fn renewing(
    mut channel: Channel,
    credentials: Credentials,
    request: http::Request<Body>,
) -> Answer {
    let (head, body) = request.into_parts();
    // A single request is in memory as it is; a message above the limit fails here.
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(status) => return Ok(status.into_http()),
    };
    let request = || {
        let body = Body::new(Full::new(body.clone()));
        let mut request = http::Request::from_parts(head.clone(), body);
        credentials.put(request.headers_mut());
        request
    };
    let answer = channel.call(request()).await?;
    let refused = Status::from_header_map(answer.headers()).is_some_and(|why| is_stale(&why));
    if !refused || credentials.renew(&channel).await.is_err() {
        return Ok(answer);
    }
    channel.ready().await?.call(request()).await
}
