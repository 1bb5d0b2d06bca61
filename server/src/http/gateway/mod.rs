//! etcd's JSON gateway: the RPCs under `/v3/`, for clients that speak only HTTP/1.1 and JSON.
//!
//! Invariants: every call goes through the very services of the gRPC door, so that limits, metrics,
//! authentication and errors are theirs; who is behind a TLS certificate is never taken over, only
//! the `Authorization` header counts; what is held of a request is bounded.
//! Must not know: what any RPC does.

mod answer;
mod frames;
mod fuzz;
mod number;
mod paths;
mod read;
mod scan;
mod schema;
mod websocket;
mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header,
};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use prost_reflect::DescriptorPool;
use tonic::Status;

use super::pages::plain_error;
use crate::doors::GrpcDoor;
use crate::limits::GATEWAY_VALUE_PER_REQUEST_BYTE;
use frames::{Messages, Requests, framed};
pub use fuzz::{GATEWAY_PATHS, fuzz_gateway};
pub(crate) use paths::PATHS;
use scan::{ScanError, Scanner};
use schema::{MessageIndex, Schema};

/// The gateway of a member. A clone is one pointer.
#[derive(Clone)]
pub(crate) struct Gateway(Arc<Inner>);

struct Inner {
    grpc: GrpcDoor,
    schema: Arc<Schema>,
    routes: HashMap<&'static str, Route>,
    value_bytes_max: usize,
}

/// One path.
struct Route {
    uri: Uri,
    input: MessageIndex,
    output: MessageIndex,
    client_streams: bool,
    server_streams: bool,
}

impl Gateway {
    /// A gateway to these services; `request_bytes_max` is their limit for one message.
    pub(crate) fn new(grpc: GrpcDoor, request_bytes_max: usize) -> Self {
        let pool = DescriptorPool::decode(services::DESCRIPTORS)
            .expect("the descriptors were made by the same build");
        let mut schema = Schema::default();
        let routes = PATHS.iter().map(|path| {
            let route = Route::new(&pool, &mut schema, path);
            (path.path, route.expect("a test holds every path against the descriptors"))
        });
        let routes = routes.collect();
        Gateway(Arc::new(Inner {
            grpc,
            schema: Arc::new(schema),
            routes,
            value_bytes_max: GATEWAY_VALUE_PER_REQUEST_BYTE * request_bytes_max,
        }))
    }

    /// Answers one request.
    ///
    /// *Cancellation*: dropping the answer, or its body, ends the call behind it.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response {
        if self.0.grpc.shows_user(&request) {
            return plain_error(StatusCode::BAD_REQUEST, NO_USER_BY_CERTIFICATE);
        }
        let (mut parts, body) = request.into_parts();
        if websocket::is_wanted(&parts.headers) {
            return websocket::upgraded(self.clone(), &mut parts).await;
        }
        self.answer_parts(&parts, body, Rest::Drained).await
    }

    async fn answer_parts(&self, parts: &Parts, body: Body, rest: Rest) -> Response {
        // Compat: the name of the gateway before it was stable still works.
        let path = parts.uri.path();
        let path = path.strip_prefix("/v3beta/").map(|rest| format!("/v3/{rest}"));
        let path = path.as_deref().unwrap_or(parts.uri.path());
        let Some(route) = self.0.routes.get(path) else {
            return answer::refusal(&Status::not_found("Not Found"));
        };
        if parts.method != Method::POST {
            return answer::refusal(&Status::unimplemented("Method Not Allowed"));
        }
        let call = Call { gateway: &self.0, route, headers: &parts.headers };
        let deadline = match call.deadline() {
            Ok(deadline) => deadline,
            Err(refused) => return answer::refusal(&refused),
        };
        let answering = call.answer(body, rest);
        let Some(deadline) = deadline else { return answering.await };
        match tokio::time::timeout(deadline, answering).await {
            Ok(answer) => answer,
            Err(_) => answer::refusal(&Status::deadline_exceeded("context deadline exceeded")),
        }
    }
}

/// Compat: whoever believes to be a user by the certificate's name is told that it is not so here.
const NO_USER_BY_CERTIFICATE: &str = "CommonName of client sending a request against gateway will \
                                      be ignored and not used as expected";

/// What is done with the bytes of a body after its one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// They are read and dropped, so that the connection can be used again.
    Drained,
    /// There may never be an end.
    Left,
}

impl Route {
    fn new(pool: &DescriptorPool, schema: &mut Schema, path: &paths::Path) -> Option<Self> {
        let (input, output) = schema.of_method(pool, path.service, path.method)?;
        let service = pool.get_service_by_name(path.service)?;
        let method = service.methods().find(|method| method.name() == path.method)?;
        Some(Route {
            uri: format!("/{}/{}", path.service, path.method).parse().ok()?,
            input,
            output,
            client_streams: method.is_client_streaming(),
            server_streams: method.is_server_streaming(),
        })
    }
}

/// One call under way.
struct Call<'a> {
    gateway: &'a Inner,
    route: &'a Route,
    headers: &'a HeaderMap,
}

impl Call<'_> {
    async fn answer(&self, body: Body, rest: Rest) -> Response {
        let body = if self.route.client_streams {
            tonic::body::Body::new(self.requests(body))
        } else {
            match self.one_request(body, rest).await {
                Ok(message) => tonic::body::Body::new(Body::from(framed(&message))),
                Err(refused) => return answer::refusal(&refused),
            }
        };
        let messages = Messages::of(self.gateway.grpc.answer(self.request(body)).await);
        if self.route.server_streams {
            self.stream(messages).await
        } else {
            self.single(messages).await
        }
    }

    /// The client's values as requests of a stream, read as the service asks for them.
    fn requests(&self, body: Body) -> Requests {
        Requests {
            body,
            scanner: Scanner::new(self.gateway.value_bytes_max),
            schema: Arc::clone(&self.gateway.schema),
            message: self.route.input,
            rest: Bytes::new(),
            ended: false,
        }
    }

    /// The one value of a body as a message; no value at all is an empty message.
    async fn one_request(&self, body: Body, rest: Rest) -> Result<Vec<u8>, Status> {
        let mut body = body.into_data_stream();
        let mut scanner = Scanner::new(self.gateway.value_bytes_max);
        let mut value = None;
        while value.is_none() {
            let Some(Ok(mut bytes)) = body.next().await else {
                value = scanner.finish().map_err(|error| refused_value(&error))?;
                break;
            };
            value = scanner.push(&mut bytes).map_err(|error| refused_value(&error))?;
        }
        let message = match value {
            Some(value) => read::message(&self.gateway.schema, self.route.input, &value),
            None => Ok(Vec::new()),
        };
        if rest == Rest::Drained {
            while let Some(Ok(_)) = body.next().await {}
        }
        message.map_err(Status::invalid_argument)
    }

    fn request(&self, body: tonic::body::Body) -> Request<tonic::body::Body> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.route.uri.clone();
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        pass_on(self.headers, headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        request
    }

    async fn single(&self, mut messages: Messages) -> Response {
        let message = match messages.next().await {
            Ok(message) => message.unwrap_or_default(),
            Err(status) => return answer::refusal(&status),
        };
        if let Err(status) = messages.next().await {
            return answer::refusal(&status);
        }
        let mut text = String::with_capacity(2 * message.len());
        match write::message(&self.gateway.schema, self.route.output, &message, &mut text) {
            Ok(()) => answer::success(text),
            Err(write::NoMessage) => answer::refusal(&no_message()),
        }
    }

    async fn stream(&self, mut messages: Messages) -> Response {
        let first = match messages.next().await {
            Ok(Some(first)) => first,
            Ok(None) => return answer::empty_stream(),
            Err(status) => return answer::stream_refusal(&status),
        };
        let schema = Arc::clone(&self.gateway.schema);
        let output = self.route.output;
        let line = move |message: &[u8]| result_line(&schema, output, message);
        let lines = Lines { first: Some(first), messages: Some(messages), line };
        answer::success(Body::from_stream(futures::stream::unfold(lines, Lines::next)))
    }

    /// How long the client wants to wait; `None` for ever.
    fn deadline(&self) -> Result<Option<Duration>, Status> {
        let Some(value) = self.headers.get("grpc-timeout") else { return Ok(None) };
        let text = value.to_str().unwrap_or_default();
        let wrong = || Status::invalid_argument(format!("invalid grpc-timeout: {text}"));
        let (number, unit) = text.split_at_checked(text.len().wrapping_sub(1)).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let nanos: u64 = match unit {
            "H" => 3_600_000_000_000,
            "M" => 60_000_000_000,
            "S" => 1_000_000_000,
            "m" => 1_000_000,
            "u" => 1_000,
            "n" => 1,
            _ => return Err(wrong()),
        };
        // Compat: no time at all means none was given.
        Ok(Some(Duration::from_nanos(number.saturating_mul(nanos))).filter(|d| !d.is_zero()))
    }
}

fn no_message() -> Status {
    Status::internal("the answer is no message")
}

fn result_line(schema: &Schema, output: MessageIndex, message: &[u8]) -> Result<String, Status> {
    let mut text = String::with_capacity(2 * message.len() + 16);
    text.push_str("{\"result\":");
    write::message(schema, output, message, &mut text).map_err(|_| no_message())?;
    text.push_str("}\n");
    Ok(text)
}

/// The lines of a streaming answer; one message is held at a time.
struct Lines<F> {
    first: Option<Bytes>,
    /// `None` after the end.
    messages: Option<Messages>,
    line: F,
}

impl<F: Fn(&[u8]) -> Result<String, Status>> Lines<F> {
    async fn next(mut self) -> Option<(Result<String, std::convert::Infallible>, Self)> {
        let message = match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.messages.as_mut()?.next().await,
        };
        let line = match message {
            Ok(Some(message)) => (self.line)(&message),
            Ok(None) => return None,
            Err(status) => Err(status),
        };
        let line = line.unwrap_or_else(|status| {
            self.messages = None;
            answer::error_line(&status)
        });
        Some((Ok(line), self))
    }
}

/// A value that is no JSON, or too large.
fn refused_value(error: &ScanError) -> Status {
    match error {
        ScanError::TooLarge => Status::resource_exhausted(error.to_string()),
        _ => Status::invalid_argument(error.to_string()),
    }
}

/// Takes over the headers that are metadata: the token, and whatever is named so.
fn pass_on(from: &HeaderMap, to: &mut HeaderMap) {
    const PREFIX: &str = "grpc-metadata-";
    for (name, value) in from {
        let name = match name.as_str().strip_prefix(PREFIX) {
            Some(name) => HeaderName::try_from(name).ok(),
            None => Some(name).filter(|name| **name == header::AUTHORIZATION).cloned(),
        };
        let printable = value.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte));
        if let Some(name) = name.filter(|name| printable && !is_ours(name)) {
            to.append(name, value.clone());
        }
    }
}

/// Headers that make the call itself.
fn is_ours(name: &HeaderName) -> bool {
    name.as_str().starts_with("grpc-")
        || [header::CONTENT_TYPE, header::TE, header::CONNECTION, header::HOST].contains(name)
}
