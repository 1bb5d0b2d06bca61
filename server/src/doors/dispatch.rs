//! One service for everything on the client port: gRPC by path, the rest by HTTP.
//!
//! The way of a request: find the RPC and its counts by one look-up of its path → check the
//! metadata → note who asks → the generated service → count how it ended. What is no gRPC goes to
//! the HTTP router.
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

use super::connection::ConnectionInfo;
use super::services::Services;
use crate::auth::Caller;
use crate::errors::status;
use crate::http::not_found;
use crate::member::Member;
use crate::metrics::calls::{CallInProgress, Calls};
use crate::rpc::methods::CallType;

type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, Infallible>> + Send>>;

/// Which of its two halves a port serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    /// gRPC and HTTP.
    Both,
    /// Only gRPC: HTTP has ports of its own.
    Grpc,
    /// Only HTTP.
    Http,
}

/// The client port's service. The server clones it for each connection and request, so it is one
/// pointer.
#[derive(Clone)]
pub(crate) struct Dispatch(Arc<Joined>);

struct Joined {
    grpc: GrpcDoor,
    http: axum::Router,
    serves: Serves,
}

impl Dispatch {
    /// Joins the services and the HTTP pages of a member.
    pub(crate) fn new(member: &Arc<Member>, serves: Serves) -> Self {
        let grpc = GrpcDoor::new(Arc::clone(member));
        let http = crate::http::client_pages(Arc::clone(member), grpc.clone());
        Dispatch(Arc::new(Joined { grpc, http, serves }))
    }
}

/// The gRPC services of a member: the one way to them, for the port and for the JSON gateway.
#[derive(Clone)]
pub(crate) struct GrpcDoor(Arc<Grpc>);

struct Grpc {
    member: Arc<Member>,
    calls: Arc<Calls>,
    services: Services,
}

impl GrpcDoor {
    fn new(member: Arc<Member>) -> Self {
        let services = Services::new(&member);
        let calls = Arc::clone(member.calls());
        GrpcDoor(Arc::new(Grpc { member, calls, services }))
    }

    /// Whether a request shows a certificate that would make it a user's, were it gRPC.
    pub(crate) fn shows_user<B>(&self, request: &Request<B>) -> bool {
        self.0.member.reader().auth_enabled() && self.0.common_name(request).is_some()
    }

    /// Answers one call.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<MeteredBody> {
        let Ok(answer) = self.0.grpc(request).await;
        answer
    }
}

impl Grpc {
    fn grpc(&self, mut request: Request<Body>) -> Answering {
        let Some(counts) = self.calls.find(request.uri().path()) else {
            let refusal = unknown_method(request.uri().path());
            return Answering::refused(refusal, None);
        };
        let span = self.member.spans().and_then(|spans| spans.start(&request));
        let call = counts.start(self.member.config().slow_call, span);
        // Compat: etcd looks at this first, also for health.
        if self.member.is_learner() && !counts.method.is_served_by_learners() {
            return Answering::refused(status(EtcdError::NotSupportedForLearner), Some(call));
        }
        self.count_client(request.headers(), counts.method.call_type);
        let checked = self.check_metadata(request.headers());
        if let Err(refusal) = checked.and_then(|()| agree_on_encoding(request.headers_mut())) {
            return Answering::refused(refusal, Some(call));
        }
        // A stream may outlive the switch of authentication; a single call does not, and costs
        // nothing while it is off.
        if self.member.reader().auth_enabled() || counts.method.call_type != CallType::Unary {
            let name = self.common_name(&request);
            let caller = Caller::of_client(request.headers(), name.as_ref());
            request.extensions_mut().insert(caller);
        }
        Answering::Grpc(self.services.call(counts.method.service, request), Some(call))
    }

    /// The name in the certificate that the connection showed, where `--client-cert-auth` makes it
    /// the name of a user.
    fn common_name<B>(&self, request: &Request<B>) -> Option<Arc<str>> {
        if !self.member.config().tls.clients.client_cert_auth {
            return None;
        }
        let shown = request.extensions().get::<ConnectionInfo>()?.certificate.as_ref()?;
        Some(Arc::clone(&shown.common_name)).filter(|name| !name.is_empty())
    }

    fn count_client(&self, headers: &HeaderMap, call_type: CallType) {
        let version = headers.get(metadata::CLIENT_API_VERSION);
        let version = version.and_then(|version| version.to_str().ok());
        self.member.metrics().clients.asked(version, call_type == CallType::Unary);
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

/// Compat: grpc-go answers compressed when it was asked so, and only then; tonic would compress for
/// every client that could read it.
fn agree_on_encoding(headers: &mut HeaderMap) -> Result<(), Status> {
    const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
    const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
    match headers.get(ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => drop(headers.remove(ACCEPTED)),
        Some(b"gzip") => drop(headers.insert(ACCEPTED, HeaderValue::from_static("gzip"))),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            let text = format!("grpc: Decompressor is not installed for grpc-encoding {other:?}");
            return Err(Status::unimplemented(text));
        }
    }
    Ok(())
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
    fn refused(refusal: Status, call: Option<CallInProgress>) -> Self {
        let code = refusal.code() as usize;
        let response: Response<Body> = refusal.into_http();
        if let Some(mut call) = call {
            call.told(response.headers());
            call.end(code);
        }
        Answering::Refused(Some(response))
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

/// Compat: grpc-go takes POST and nothing else, and `application/grpc` alone or with a subtype.
fn is_grpc<B>(request: &Request<B>) -> bool {
    let value = request.headers().get(http::header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = value.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        && request.method() == http::Method::POST
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
        let wanted = if is_grpc(&request) { Serves::Grpc } else { Serves::Http };
        let here = self.0.serves == Serves::Both || self.0.serves == wanted;
        if wanted == Serves::Grpc && here {
            return self.0.grpc.0.grpc(request);
        }
        if !here {
            return Answering::Http(Box::pin(async { Ok(not_found().await.map(Body::new)) }));
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
fn metered(mut response: Response<Body>, mut call: CallInProgress) -> Response<MeteredBody> {
    let Some(mut code) = code_of(response.headers()) else {
        return response.map(|body| MeteredBody { body, call: Some(call) });
    };
    if let Some((as_grpc_go, message)) = reworded(response.headers()) {
        code = as_grpc_go as usize;
        response.headers_mut().insert(GRPC_STATUS, HeaderValue::from(code));
        response.headers_mut().insert(GRPC_MESSAGE, message);
    }
    call.told(response.headers());
    call.end(code);
    response.map(|body| MeteredBody { body, call: None })
}

/// Compat: how grpc-go tells what tonic refuses before a service sees it. Clients look for a
/// message above the limit as RESOURCE_EXHAUSTED; tonic has OUT_OF_RANGE and a text of its own.
fn reworded(headers: &HeaderMap) -> Option<(tonic::Code, HeaderValue)> {
    let text = headers.get(GRPC_MESSAGE)?.to_str().ok()?.replace("%20", " ");
    let numbers = |text: &str| -> Vec<u64> {
        let parts = text.split(|character: char| !character.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).collect()
    };
    let (code, message) = if text.starts_with("Error, decoded message length too large") {
        let [found, limit] = numbers(&text)[..] else { return None };
        let message = format!("grpc: received message larger than max ({found} vs. {limit})");
        (tonic::Code::ResourceExhausted, message)
    } else if text.starts_with("Error decompressing: size limit") {
        let [limit] = numbers(&text)[..] else { return None };
        let message = format!("grpc: received message after decompression larger than max {limit}");
        (tonic::Code::ResourceExhausted, message)
    } else if text.starts_with("protocol error: received message with compressed-flag but no") {
        let message = "grpc: compressed flag set with identity or empty encoding".to_owned();
        (tonic::Code::Internal, message)
    } else {
        return None;
    };
    Some((code, HeaderValue::from_str(&message).ok()?))
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
            && let Some(mut call) = self.call.take()
        {
            call.told(trailers);
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
        let rows = [
            (
                "Error, decoded message length too large: \
                 found 9000 bytes, the limit is: 2097152 bytes",
                "grpc: received message larger than max (9000 vs. 2097152)",
            ),
            (
                "Error decompressing: size limit, of 2097152 bytes, exceeded while decompressing \
                 message",
                "grpc: received message after decompression larger than max 2097152",
            ),
        ];
        for (tonics, expected) in rows {
            let headers = Status::out_of_range(tonics).into_http::<Body>().into_parts().0.headers;
            let (code, told) = reworded(&headers).expect("it is known");
            assert_eq!(
                (code, told.to_str().ok()),
                (tonic::Code::ResourceExhausted, Some(expected))
            );
        }
        let other = Status::out_of_range("etcdserver: mvcc: required revision has been compacted");
        assert_eq!(reworded(&other.into_http::<Body>().into_parts().0.headers), None);
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
