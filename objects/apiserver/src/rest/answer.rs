//! An answer on its way out: its head, and a body that is one piece, many pieces or a stream.
//!
//! Invariant: cached objects go out as the very bytes that are cached; nothing is copied together
//! unless somebody reads it (`pretty`, YAML) or it is compressed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::Stream;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use schema::Value;

use super::negotiate::{Encoding, Form};
use super::yaml;
use crate::status::Status;

/// From which size on an answer is compressed, in bytes. Compat: kube-apiserver's.
const COMPRESS_FROM_BYTES: u64 = 128 * 1024;

type Chunks = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

enum Content {
    Pieces(VecDeque<Bytes>),
    Stream(Chunks),
}

/// The body of an answer.
pub(crate) struct Body(Content);

impl Body {
    pub(crate) fn empty() -> Self {
        Body(Content::Pieces(VecDeque::new()))
    }

    pub(crate) fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Body(Content::Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect()))
    }

    pub(crate) fn stream(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Body(Content::Stream(Box::pin(chunks)))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::pieces([bytes])
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut self.0 {
            Content::Pieces(pieces) => pieces.pop_front(),
            Content::Stream(chunks) => match chunks.as_mut().poll_next(context) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Content::Pieces(pieces) if pieces.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Pieces(pieces) => {
                SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

/// An answer of any kind.
pub(crate) type Answer = Response<Body>;

/// An answer without a body.
pub(crate) fn bare(code: StatusCode) -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = code;
    answer
}

/// An answer of a media type.
pub(crate) fn typed(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Plain text, as for paths that do not exist.
pub(crate) fn text(code: StatusCode, text: impl Into<String>) -> Answer {
    let body = Bytes::from(text.into());
    let mut answer = typed(code, "text/plain; charset=utf-8", body);
    let name = HeaderName::from_static("x-content-type-options");
    answer.headers_mut().insert(name, HeaderValue::from_static("nosniff"));
    answer
}

/// Marks an answer that has no headers but its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bare;

/// The answer to what is no request. Compat: Go's HTTP server gives it by itself, before any
/// handler.
pub(crate) fn of_no_request(text: &'static str) -> Answer {
    let body = Bytes::from_static(text.as_bytes());
    let mut answer = typed(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", body);
    answer.extensions_mut().insert(Bare);
    answer
}

/// The plain text of a path that does not exist.
pub(crate) fn no_such_page() -> Answer {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// A document in the form that was asked for.
pub(crate) fn document(code: StatusCode, form: Form, value: &Value) -> Answer {
    typed(code, form.content_type(), Bytes::from(written(form, value)))
}

/// A document that is JSON already.
pub(crate) fn json(code: StatusCode, form: Form, json: Bytes) -> Answer {
    if form.encoding == Encoding::Json && !form.pretty {
        return typed(code, form.content_type(), json);
    }
    match serde_json::from_slice::<Value>(&json) {
        Ok(value) => document(code, form, &value),
        // What was stored is no JSON: whoever asks shall see it.
        Err(_) => typed(code, form.content_type(), json),
    }
}

/// A refusal.
pub(crate) fn refusal(status: &Status, form: Form) -> Answer {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json(code, form, Bytes::from(status.to_json()));
    if let Some(seconds) = status.retry_after_seconds() {
        answer.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn written(form: Form, value: &Value) -> String {
    match form.encoding {
        Encoding::Yaml => yaml::print(value),
        Encoding::Json if form.pretty => format!("{value:#}"),
        Encoding::Json => value.to_string(),
    }
}

/// Adds a header whose value may be anything that a client or an object said.
pub(crate) fn header(answer: &mut Answer, name: HeaderName, value: &str) {
    // A value that no header can carry is left out rather than the answer spoiled.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().append(name, value);
    }
}

/// Compresses a large answer when the client takes it.
pub(crate) async fn compressed(answer: Answer, accept_encoding: &str) -> Answer {
    let takes = accept_encoding.split(',').any(|one| one.trim().starts_with("gzip"));
    let large = answer.body().size_hint().lower() > COMPRESS_FROM_BYTES;
    let (mut head, body) = answer.into_parts();
    let pieces = match body.0 {
        Content::Pieces(pieces) if takes && large => pieces,
        other => return Response::from_parts(head, Body(other)),
    };
    // Compressing a list of ten thousand takes a while: not on the threads that serve.
    let compressed = tokio::task::spawn_blocking(move || gzip(pieces)).await;
    let Ok(Ok(bytes)) = compressed else {
        head.status = StatusCode::INTERNAL_SERVER_ERROR;
        return Response::from_parts(head, Body::empty());
    };
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(head, bytes.into())
}

fn gzip(pieces: VecDeque<Bytes>) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for piece in pieces {
        encoder.write_all(&piece)?;
    }
    Ok(encoder.finish()?.into())
}
