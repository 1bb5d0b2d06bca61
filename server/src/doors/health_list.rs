//! `grpc.health.v1.Health/List`: the whole server serves. The crate of that service has no such
//! call yet.
//!
//! Must not know: how a member is; etcd tells health over gRPC by answering, too.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

/// A frame with the message `{statuses: {"": {status: SERVING}}}`.
const SERVING: &[u8] = &[0, 0, 0, 0, 8, 0x0a, 6, 0x0a, 0, 0x12, 2, 0x08, 1];

/// The answer.
pub(super) fn list() -> Response<Body> {
    let mut response = Response::new(Body::new(Listed::Message));
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What is to be sent next.
enum Listed {
    Message,
    Trailers,
    Nothing,
}

impl http_body::Body for Listed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let (frame, next) = match &*self {
            Listed::Message => (Frame::data(Bytes::from_static(SERVING)), Listed::Trailers),
            Listed::Trailers => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                (Frame::trailers(trailers), Listed::Nothing)
            }
            Listed::Nothing => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }
}
