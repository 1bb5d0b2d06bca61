//! gRPC's frames: messages out of a service's answer, and JSON requests into its body.
//!
//! Invariants: at most one message of an answer is held at a time; a request is read from the
//! client only when the service asks for one. Must not know: paths, HTTP codes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::future::poll_fn;
use http_body::{Body as _, Frame};
use tonic::{Code, Status};

use super::read;
use super::scan::Scanner;
use super::schema::{MessageIndex, Schema};
use crate::doors::MeteredBody;

/// A frame's head: a flag for compression, and the length.
const HEAD_BYTES: usize = 5;

/// Puts a message into its frame.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + message.len());
    frame.put_u8(0);
    // Messages are bounded far below 4 GiB by the limit on requests.
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

/// The messages of an answer.
pub(super) struct Messages {
    body: Pin<Box<MeteredBody>>,
    buffer: BytesMut,
    /// What the answer's head said, when there is no body to come.
    refused: Option<Status>,
}

impl Messages {
    /// The messages of one answer.
    pub(super) fn of(answer: http::Response<MeteredBody>) -> Self {
        let (head, body) = answer.into_parts();
        let refused = Status::from_header_map(&head.headers);
        Messages { body: Box::pin(body), buffer: BytesMut::new(), refused }
    }

    /// The next message; `None` after a good end.
    ///
    /// *Errors*: the status with which the answer ended.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        if let Some(refused) = self.refused.take() {
            return ended(refused);
        }
        loop {
            if let Some(message) = self.whole_message() {
                return Ok(Some(message));
            }
            match poll_fn(|context| self.body.as_mut().poll_frame(context)).await {
                Some(Ok(frame)) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        let end = Status::from_header_map(trailers);
                        return ended(end.unwrap_or_else(|| Status::unknown("no status")));
                    }
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        }
    }

    fn whole_message(&mut self) -> Option<Bytes> {
        let mut head = self.buffer.get(1..HEAD_BYTES)?;
        let length = head.get_u32() as usize;
        if self.buffer.len() < HEAD_BYTES + length {
            return None;
        }
        self.buffer.advance(HEAD_BYTES);
        Some(self.buffer.split_to(length).freeze())
    }
}

fn ended(status: Status) -> Result<Option<Bytes>, Status> {
    if status.code() == Code::Ok { Ok(None) } else { Err(status) }
}

/// A client's JSON values, one request each, as the body of a call.
///
/// Compat: what is no JSON, or no request, ends the client's half of the stream without a word.
pub(super) struct Requests {
    pub(super) body: axum::body::Body,
    pub(super) scanner: Scanner,
    pub(super) schema: Arc<Schema>,
    pub(super) message: MessageIndex,
    /// Bytes that were received and not looked at.
    pub(super) rest: Bytes,
    pub(super) ended: bool,
}

impl Requests {
    fn request(&mut self, value: &[u8]) -> Option<Bytes> {
        match read::message(&self.schema, self.message, value) {
            Ok(message) => Some(framed(&message)),
            Err(error) => {
                tracing::debug!(%error, "a request of a JSON stream is refused");
                self.ended = true;
                None
            }
        }
    }
}

impl http_body::Body for Requests {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        while !this.ended {
            let value = match this.scanner.push(&mut this.rest) {
                Ok(Some(value)) => Some(value),
                Ok(None) => match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                    Some(Ok(frame)) => {
                        this.rest = frame.into_data().unwrap_or_default();
                        continue;
                    }
                    Some(Err(_)) | None => {
                        this.ended = true;
                        this.scanner.finish().unwrap_or_default()
                    }
                },
                Err(error) => {
                    tracing::debug!(%error, "a JSON stream is refused");
                    this.ended = true;
                    None
                }
            };
            if let Some(request) = value.and_then(|value| this.request(&value)) {
                return Poll::Ready(Some(Ok(Frame::data(request))));
            }
        }
        Poll::Ready(None)
    }
}
