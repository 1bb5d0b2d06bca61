//! One service for everything on the client port: gRPC by path, the rest by HTTP.
//!
//! The way of a request: find the RPC and its counts by one look-up of its path → check the
//! metadata → note who asks → the generated service → count how it ended. What is no gRPC goes to the HTTP router.
//! A path table of our own is used instead of a general router, because that one boxes each body
//! twice more. Must not know: what any RPC does.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use proto::metadata;
use proto::status::EtcdError;
use tonic::Status;
use tonic::body::Body;

use super::services::Services;
use crate::auth::Caller;
use crate::errors::status;
use crate::member::Member;
use crate::metrics::calls::{CallInProgress, Calls};
use crate::rpc::methods::CallType;

type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, Infallible>> + Send>>;

/// The client port's service. The server clones it for each connection and request, so it is one
/// pointer.
#[derive(Clone)]
pub(crate) struct Dispatch(Arc<Joined>);

struct Joined {
    member: Arc<Member>,
    calls: Arc<Calls>,
    services: Services,
    http: axum::Router,
}

impl Dispatch {
    /// Joins the services and the HTTP pages of a member.
    pub(crate) fn new(member: Arc<Member>, http: axum::Router) -> Self {
        let services = Services::new(&member);
        let calls = Arc::clone(member.calls());
        Dispatch(Arc::new(Joined { member, calls, services, http }))
    }
}

impl Joined {
    fn grpc(&self, mut request: Request<Body>) -> Answering {
        let Some(counts) = self.calls.find(request.uri().path()) else {
            let refusal = unknown_method(request.uri().path());
            return Answering::refused(refusal);
        };
        let call = counts.start();
        if let Err(refusal) = self.check_metadata(request.headers()) {
            call.end(refusal.code() as usize);
            return Answering::refused(refusal);
        }
        // A stream may outlive the switch of authentication; a single call does not, and costs
        // nothing while it is off.
        if self.member.reader().auth_enabled() || counts.method.call_type != CallType::Unary {
            let caller = Caller::of_client(request.headers(), None);
            request.extensions_mut().insert(caller);
        }
        Answering::Grpc(self.services.call(counts.method.service, request), Some(call))
    }

    /// Compat: etcd's interceptors: a client API version that is no text is refused, and with
    /// `hasleader` the call is refused while there is no leader.
    fn check_metadata(&self, headers: &HeaderMap) -> Result<(), Status> {
        if let Some(version) = headers.get(metadata::CLIENT_API_VERSION)
            && std::str::from_utf8(version.as_bytes()).is_err()
        {
            return Err(status(EtcdError::InvalidClientApiVersion));
        }
        if wants_leader(headers) && self.member.leadership().leader.is_none() {
            return Err(status(EtcdError::NoLeader));
        }
        Ok(())
    }
}

/// Whether the caller asks to be refused while there is no leader.
pub(crate) fn wants_leader(headers: &HeaderMap) -> bool {
    headers
        .get(metadata::REQUIRE_LEADER)
        .is_some_and(|value| value.as_bytes() == metadata::REQUIRE_LEADER_ON.as_bytes())
}

/// An answer on its way. Not an async block: that would be boxed once more.
pub(crate) enum Answering {
    Refused(Option<Response<Body>>),
    Grpc(BoxFuture<Response<Body>>, Option<CallInProgress>),
    Http(BoxFuture<Response<Body>>),
}

impl Answering {
    fn refused(refusal: Status) -> Self {
        Answering::Refused(Some(refusal.into_http()))
    }
}

impl Future for Answering {
    type Output = Result<Response<MeteredBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let plain =
            |response: Response<Body>| response.map(|body| MeteredBody { body, call: None });
        Poll::Ready(Ok(match &mut *self {
            Answering::Refused(response) => plain(response.take().expect("polled to its end once")),
            Answering::Http(answer) => plain(std::task::ready!(answer.as_mut().poll(context))?),
            Answering::Grpc(answer, call) => {
                let response = std::task::ready!(answer.as_mut().poll(context))?;
                metered(response, call.take().expect("polled to its end once"))
            }
        }))
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Compat: grpc-go's texts for a path that nobody serves.
fn unknown_method(path: &str) -> Status {
    let known = |service: &str| {
        crate::rpc::methods::METHODS.iter().any(|method| method.service.name() == service)
    };
    match path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) {
        Some((service, method)) if known(service) => {
            Status::unimplemented(format!("unknown method {method} for service {service}"))
        }
        Some((service, _)) => Status::unimplemented(format!("unknown service {service}")),
        None => Status::unimplemented(format!("malformed method name: {path:?}")),
    }
}

impl tower::Service<Request<Body>> for Dispatch {
    type Response = Response<MeteredBody>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_grpc(request.headers()) {
            return self.0.grpc(request);
        }
        let answer = self.0.http.clone().call(request.map(axum::body::Body::new));
        Answering::Http(Box::pin(async move { Ok(answer.await?.map(Body::new)) }))
    }
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

fn code_of(headers: &HeaderMap) -> Option<usize> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// Attaches the count to the answer: an error is told in the headers, all else in the trailers.
fn metered(mut response: Response<Body>, call: CallInProgress) -> Response<MeteredBody> {
    let Some(mut code) = code_of(response.headers()) else {
        return response.map(|body| MeteredBody { body, call: Some(call) });
    };
    if let Some(message) = oversize(response.headers()) {
        code = tonic::Code::ResourceExhausted as usize;
        response.headers_mut().insert(GRPC_STATUS, HeaderValue::from_static("8"));
        response.headers_mut().insert(GRPC_MESSAGE, message);
    }
    call.end(code);
    response.map(|body| MeteredBody { body, call: None })
}

/// Compat: tonic answers a message above the limit with OUT_OF_RANGE and a text of its own;
/// grpc-go with RESOURCE_EXHAUSTED, which etcd's clients look for.
fn oversize(headers: &HeaderMap) -> Option<HeaderValue> {
    let text = headers.get(GRPC_MESSAGE)?.to_str().ok()?.replace("%20", " ");
    let rest = text.strip_prefix("Error, decoded message length too large: found ")?;
    let numbers: Vec<&str> =
        rest.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let (found, limit) = (numbers.first()?, numbers.get(1)?);
    let message = format!("grpc: received message larger than max ({found} vs. {limit})");
    HeaderValue::from_str(&message).ok()
}

/// A body that counts the call as handled when its trailers pass.
pub(crate) struct MeteredBody {
    body: Body,
    call: Option<CallInProgress>,
}

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
            && let Some(call) = self.call.take()
        {
            call.end(code_of(trailers).unwrap_or(tonic::Code::Unknown as usize));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oversized_message_is_told_as_grpc_go_tells_it() {
        let tonics = Status::out_of_range(
            "Error, decoded message length too large: \
             found 9000 bytes, the limit is: 2097152 bytes",
        );
        let headers = tonics.into_http::<Body>().into_parts().0.headers;
        assert_eq!(
            oversize(&headers).as_ref().and_then(|value| value.to_str().ok()),
            Some("grpc: received message larger than max (9000 vs. 2097152)")
        );
        let other = Status::out_of_range("etcdserver: mvcc: required revision has been compacted");
        assert_eq!(oversize(&other.into_http::<Body>().into_parts().0.headers), None);
    }

    #[test]
    fn unknown_paths_are_named_as_grpc_go_names_them() {
        let rows = [
            ("/etcdserverpb.KV/Bogus", "unknown method Bogus for service etcdserverpb.KV"),
            ("/a.B/C", "unknown service a.B"),
            ("/x", "malformed method name: \"/x\""),
        ];
        for (path, text) in rows {
            let refusal = unknown_method(path);
            assert_eq!((refusal.code(), refusal.message()), (tonic::Code::Unimplemented, text));
        }
    }
}
