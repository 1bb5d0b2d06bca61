//! The client port's services for callers in the same process: the same answers without a socket.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tower::Service;

use super::dispatch::{Dispatch, Serves};
use crate::member::Member;

/// What a member serves to clients, as a service to call. A clone is one pointer.
///
/// *Cancellation*: dropping a call ends it, as a closed connection would.
#[derive(Clone)]
pub struct ClientService(Dispatch);

/// The services of a member.
pub fn client_service(member: &Arc<Member>) -> ClientService {
    ClientService(Dispatch::new(member, Serves::Both))
}

impl std::fmt::Debug for ClientService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientService").finish_non_exhaustive()
    }
}

impl Service<Request<Body>> for ClientService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answering = self.0.call(request);
        Box::pin(async move { Ok(answering.await?.map(Body::new)) })
    }
}
