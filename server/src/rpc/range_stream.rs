//! A Range in pieces: all pieces read the revision that the first one saw.
//!
//! Invariants: merged, the pieces equal the answer of a Range; header, count and `more` are on the
//! last piece only. Compat: etcd 3.7; the first piece has ten keys, later ones double or halve to
//! come near the largest request size.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use prost::Message as _;
use proto::etcdserverpb::RangeRequest;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::spliced::{RangeResponse, RangeStreamResponse};
use store::Revision;
use tonic::Status;

use crate::auth::Identity;
use crate::errors::{ServeError, status};
use crate::limits::RANGE_STREAM_FIRST_CHUNK_KEYS;
use crate::member::Member;

/// Refuses what cannot be streamed. *Errors*: UNIMPLEMENTED, on which clients fall back to Range.
pub(crate) fn check_streamable(request: &RangeRequest) -> Result<(), Status> {
    let by_key = request.sort_target == SortTarget::Key as i32;
    let default_order = match SortOrder::try_from(request.sort_order) {
        Ok(SortOrder::None | SortOrder::Ascend) => by_key,
        _ => false,
    };
    if !default_order {
        return Err(Status::unimplemented("RangeStream does not support custom sort orders"));
    }
    let filtered = request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0;
    if filtered {
        return Err(Status::unimplemented("RangeStream does not support revision filters"));
    }
    Ok(())
}

/// The pieces; each is read when the client has room for it, so that memory stays bounded.
pub(crate) struct RangeStream {
    member: Arc<Member>,
    /// What is left to be read; `None` when the last piece is out.
    rest: Option<RangeRequest>,
    /// Keys that may still be sent; `None` when there is no limit.
    limit: Option<i64>,
    sent: i64,
    /// The store's revision when the stream began; 0 before the first piece.
    header_revision: i64,
    /// Who was allowed to read; looked at again after each piece.
    identity: Identity,
}

impl RangeStream {
    /// Begins to stream a checked request whose consistency is settled.
    pub(crate) fn open(member: Arc<Member>, identity: Identity, mut request: RangeRequest) -> Self {
        let limit = Some(request.limit).filter(|limit| *limit > 0);
        request.limit = limit.map_or(RANGE_STREAM_FIRST_CHUNK_KEYS, |limit| {
            limit.min(RANGE_STREAM_FIRST_CHUNK_KEYS)
        });
        let rest = Some(request);
        RangeStream { member, rest, limit, sent: 0, header_revision: 0, identity }
    }

    fn next_piece(&mut self, request: RangeRequest) -> Result<RangeStreamResponse, Status> {
        let piece = match request.count_only {
            true => self.count(&request)?,
            false => self.page(request)?,
        };
        self.member.still_allowed(&self.identity).map_err(status)?;
        Ok(RangeStreamResponse { range_response: Some(piece) })
    }

    fn count(&self, request: &RangeRequest) -> Result<RangeResponse, ServeError> {
        let mut answer = self.member.reader().range(request)?;
        self.member.fill(&mut answer.header);
        Ok(answer)
    }

    fn page(&mut self, mut request: RangeRequest) -> Result<RangeResponse, Status> {
        let answer = self.member.reader().range(&request).map_err(ServeError::from)?;
        if self.header_revision == 0 {
            self.header_revision = answer.header.as_ref().map_or(0, |header| header.revision);
            if request.revision <= 0 {
                request.revision = self.header_revision;
            }
        }
        let size = answer.encoded_len();
        self.sent += answer.kvs.len() as i64;
        let next_key = match answer.more {
            true => Some(after_last(&answer)?),
            false => None,
        };
        let piece = RangeResponse { kvs: answer.kvs, ..Default::default() };
        let Some(key) = next_key else { return Ok(self.last(piece, 0)) };
        request.key = key;
        if self.limit == Some(self.sent) {
            let rest = RangeRequest { count_only: true, limit: 0, ..request };
            let rest = self.member.reader().range(&rest).map_err(ServeError::from)?;
            return Ok(self.last(piece, rest.count));
        }
        request.limit = next_limit(request.limit, size, self.member.config().max_request_bytes);
        if let Some(limit) = self.limit {
            request.limit = request.limit.min(limit - self.sent);
        }
        self.rest = Some(request);
        Ok(piece)
    }

    /// The last piece; `beyond` keys are in the range but not sent.
    fn last(&self, piece: RangeResponse, beyond: i64) -> RangeResponse {
        RangeResponse {
            header: Some(self.member.header_at(Revision(self.header_revision))),
            more: beyond > 0,
            count: self.sent + beyond,
            ..piece
        }
    }
}

/// The smallest key after the last one of an answer.
fn after_last(answer: &RangeResponse) -> Result<Bytes, Status> {
    let view = answer.kvs.last().and_then(|kv| kv.view().ok());
    let view = view.ok_or_else(|| Status::internal("a page with more to come has no last key"))?;
    let mut next = BytesMut::with_capacity(view.key.len() + 1);
    next.extend_from_slice(view.key);
    next.extend_from_slice(b"\0");
    Ok(next.freeze())
}

fn next_limit(last: i64, size_bytes: usize, target_bytes: usize) -> i64 {
    let next = if size_bytes < target_bytes / 2 {
        last.saturating_mul(2)
    } else if size_bytes > target_bytes.saturating_mul(2) {
        last / 2
    } else {
        last
    };
    next.max(1)
}

impl Stream for RangeStream {
    type Item = Result<RangeStreamResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(request) = self.rest.take() else { return Poll::Ready(None) };
        Poll::Ready(Some(self.next_piece(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_approach_the_target_size() {
        assert_eq!(next_limit(10, 100, 1000), 20);
        assert_eq!(next_limit(10, 500, 1000), 10);
        assert_eq!(next_limit(10, 2000, 1000), 10);
        assert_eq!(next_limit(10, 2001, 1000), 5);
        assert_eq!(next_limit(1, 5000, 1000), 1);
        assert_eq!(next_limit(i64::MAX, 0, 1000), i64::MAX);
    }

    #[test]
    fn orders_and_filters_are_refused() {
        let by = |order: SortOrder, target: SortTarget| RangeRequest {
            sort_order: order as i32,
            sort_target: target as i32,
            ..Default::default()
        };
        assert!(check_streamable(&by(SortOrder::None, SortTarget::Key)).is_ok());
        assert!(check_streamable(&by(SortOrder::Ascend, SortTarget::Key)).is_ok());
        assert!(check_streamable(&by(SortOrder::Descend, SortTarget::Key)).is_err());
        assert!(check_streamable(&by(SortOrder::None, SortTarget::Mod)).is_err());
        let filtered = RangeRequest { min_mod_revision: 1, ..Default::default() };
        assert!(check_streamable(&filtered).is_err());
    }
}
