//! One service for everything on the client port: gRPC by path, the rest by HTTP.
//!
//! The way of a request: read its timeout → find the RPC and its counts by one look-up of its path
//! → check the metadata → note who asks → the generated service → count how it ended. What is no
//! gRPC goes to the HTTP router, or is refused as `grpc_go` says.
//! A path table of our own is used instead of a general router, because that one boxes each body
//! twice more. Must not know: what any RPC does.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use proto::metadata;
use proto::status::EtcdError;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tower::Service as _;

use super::connection::ConnectionInfo;
use super::grpc_go::{self, GRPC_MESSAGE, GRPC_STATUS, Manner};
use super::services::Services;
use crate::auth::Caller;
use crate::errors::status;
use crate::http::not_found;
use crate::member::Member;
use crate::metrics::calls::{CallInProgress, Calls};
use crate::rpc::methods::CallType;

/// What is over before a call could be looked at. Compat: grpc-go's timer has fired by then, too.
const OVER_AT_ONCE: Duration = Duration::from_micros(1);

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
        self.0.member.reader().auth_enabled()
            && self.0.common_name(request).is_some_and(|name| !name.is_empty())
    }

    /// Answers one call.
    ///
    /// *Cancellation*: dropping it ends the call; a timeout among the headers is the caller's.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<MeteredBody> {
        let Ok(answer) = self.0.grpc(request, None).await;
        answer
    }
}

impl Grpc {
    fn grpc(&self, mut request: Request<Body>, timeout: Option<Duration>) -> Answering {
        if timeout.is_some_and(|timeout| timeout <= OVER_AT_ONCE) {
            return Answering::refused(grpc_go::too_late(), None);
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let Some(counts) = self.calls.find(request.uri().path()) else {
            let refusal = grpc_go::unknown_method(request.uri().path());
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
        let answer = self.services.call(counts.method.service, request);
        Answering::Grpc { answer, call: Some(call), deadline }
    }

    /// The name in the certificate that the connection showed, where `--client-cert-auth` makes it
    /// the name of a user. Compat: an empty one is a name that no user has.
    fn common_name<B>(&self, request: &Request<B>) -> Option<Arc<str>> {
        if !self.member.config().tls.clients.client_cert_auth {
            return None;
        }
        let shown = request.extensions().get::<ConnectionInfo>()?.certificate.as_ref()?;
        Some(Arc::clone(&shown.common_name))
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
    Grpc {
        answer: BoxFuture<Response<Body>>,
        call: Option<CallInProgress>,
        /// By when it must be answered, or its stream ends.
        deadline: Option<Instant>,
    },
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
        let plain = |response: Response<Body>| {
            response.map(|body| MeteredBody { body, call: None, until: None })
        };
        Poll::Ready(Ok(match &mut *self {
            Answering::Refused(response) => plain(response.take().expect("polled to its end once")),
            Answering::Http(answer) => plain(std::task::ready!(answer.as_mut().poll(context))?),
            Answering::Grpc { answer, call, deadline } => {
                let response = match answer.as_mut().poll(context) {
                    Poll::Ready(response) => response?,
                    // Compat: tonic, which wakes us by then, would have CANCELLED for it; a client
                    // whose own clock is a little late would take that for somebody's wish.
                    Poll::Pending if deadline.is_some_and(|by| by <= Instant::now()) => {
                        grpc_go::too_late().into_http()
                    }
                    Poll::Pending => return Poll::Pending,
                };
                metered(response, call.take().expect("polled to its end once"), *deadline)
            }
        }))
    }
}

/// Whether a request is a call that gRPC can be asked.
fn is_call<B>(request: &Request<B>) -> bool {
    request.version() == http::Version::HTTP_2
        && request.method() == http::Method::POST
        && grpc_go::is_grpc_type(request.headers())
}

impl Joined {
    /// How etcd refuses a request over HTTP/2 that it takes for gRPC.
    fn manner<B>(&self, request: &Request<B>) -> Manner {
        let info = request.extensions().get::<ConnectionInfo>();
        match self.serves == Serves::Both && info.is_some_and(|info| info.secure) {
            true => Manner::Page,
            false => Manner::Status,
        }
    }

    /// Whether etcd takes for gRPC what came over HTTP/2 and is no call of it. Pages over HTTP/2 in
    /// the clear are served here; etcd has none.
    fn expects_call<B>(&self, request: &Request<B>) -> bool {
        match self.manner(request) {
            _ if self.serves == Serves::Http => false,
            Manner::Page => {
                let is_asked_about = request.method() == http::Method::OPTIONS;
                grpc_go::has_grpc_type(request.headers()) && !is_asked_about
            }
            Manner::Status => {
                self.serves == Serves::Grpc
                    || grpc_go::is_call_path(request.uri().path())
                    || grpc_go::is_grpc_type(request.headers())
            }
        }
    }

    /// Answers what is no call.
    fn page(&self, request: Request<Body>) -> Answering {
        if request.version() == http::Version::HTTP_2 && self.expects_call(&request) {
            let refusal = grpc_go::no_call(self.manner(&request), &request);
            return Answering::Refused(Some(refusal));
        }
        if self.serves == Serves::Grpc {
            return Answering::Http(Box::pin(async { Ok(not_found().await.map(Body::new)) }));
        }
        let answer = self.http.clone().call(request.map(axum::body::Body::new));
        Answering::Http(Box::pin(async move { Ok(answer.await?.map(Body::new)) }))
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
        let joined = &*self.0;
        if joined.serves == Serves::Http || !is_call(&request) {
            return joined.page(request);
        }
        match grpc_go::timeout(request.headers()) {
            Ok(timeout) => joined.grpc.0.grpc(request, timeout),
            Err(text) => {
                let refusal = grpc_go::malformed(joined.manner(&request), &text);
                Answering::Refused(Some(refusal))
            }
        }
    }
}

fn code_of(headers: &HeaderMap) -> Option<usize> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// Attaches the count to the answer, and to a stream its end: an error is told in the headers, all
/// else in the trailers.
fn metered(
    mut response: Response<Body>,
    mut call: CallInProgress,
    deadline: Option<Instant>,
) -> Response<MeteredBody> {
    if code_of(response.headers()).is_none() {
        let deadline = deadline.filter(|_| call.call_type() != CallType::Unary);
        let until = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
        return response.map(|body| MeteredBody { body, call: Some(call), until });
    }
    let code = reword(response.headers_mut(), call.call_type());
    call.told(response.headers());
    call.end(code);
    response.map(|body| MeteredBody { body, call: None, until: None })
}

/// Puts grpc-go's words for tonic's into headers or trailers; the code that they tell then.
fn reword(headers: &mut HeaderMap, call_type: CallType) -> usize {
    let code = code_of(headers).unwrap_or(tonic::Code::Unknown as usize);
    if code == 0 {
        return code;
    }
    let Some((code, message)) = grpc_go::reworded(headers, call_type) else { return code };
    headers.insert(GRPC_STATUS, HeaderValue::from(code as i32));
    headers.insert(GRPC_MESSAGE, message);
    code as usize
}

/// A body that counts the call as handled when its trailers pass.
pub(crate) struct MeteredBody {
    body: Body,
    call: Option<CallInProgress>,
    /// When a stream ends, whatever comes then.
    until: Option<Pin<Box<Sleep>>>,
}

impl MeteredBody {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<NextFrame> {
        let next = Pin::new(&mut self.body).poll_frame(context);
        let is_over = |until: &mut Pin<Box<Sleep>>| until.as_mut().poll(context).is_ready();
        if next.is_pending() && self.until.as_mut().is_some_and(is_over) {
            (self.body, self.until) = (Body::empty(), None);
            return Poll::Ready(Some(Ok(Frame::trailers(grpc_go::too_late_trailers()))));
        }
        next
    }
}

type NextFrame = Option<Result<Frame<Bytes>, Status>>;

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<NextFrame> {
        let mut frame = std::task::ready!(self.poll_next(context));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
            && let Some(mut call) = self.call.take()
        {
            let code = reword(trailers, call.call_type());
            call.told(trailers);
            call.end(code);
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
