//! A range in pages, all of one revision: what `RangeStream` sends, piece by piece.
//!
//! Invariant: the pages merged are the answer that a plain range would have given when the cursor
//! was made. Between pages nothing is held: a compaction above the revision ends the stream with an
//! error.

use bytes::{BufMut, Bytes, BytesMut};
use proto::etcdserverpb::RangeRequest;
use proto::spliced::{EncodedKeyValue, RangeResponse};

use super::order::Filter;
use crate::key_value;
use crate::range;
use crate::read_error::ReadError;
use crate::reader::Reader;
use crate::validate;

/// Where a range in pages stands. Made by [`Reader::range_cursor`].
#[derive(Clone, Debug)]
pub struct RangeCursor {
    /// The request from the next key on, at the pinned revision.
    rest: RangeRequest,
    /// What the last page says.
    end: RangeResponse,
    /// Keys still wanted; `None`: all.
    wanted: Option<i64>,
    done: bool,
}

impl RangeCursor {
    /// Whether the last page was handed out.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

impl Reader {
    /// Begins a range in pages, at the requested revision or the current one.
    ///
    /// *Errors*: those of [`Reader::range`]. Orders and filters are the caller's to refuse
    /// ([`can_be_paged`]); here they are left out.
    pub fn range_cursor(&self, request: &RangeRequest) -> Result<RangeCursor, ReadError> {
        self.at_one_root(|view| {
            let (revision, _) = view.moment(request.revision)?;
            let count = range::count(view, request)?;
            let header = Some(range::header(view.revision));
            let rest = RangeRequest {
                revision,
                sort_order: 0,
                sort_target: 0,
                min_mod_revision: 0,
                max_mod_revision: 0,
                min_create_revision: 0,
                max_create_revision: 0,
                ..request.clone()
            };
            Ok(RangeCursor {
                rest,
                end: RangeResponse { header, count, ..RangeResponse::default() },
                wanted: (request.limit > 0).then_some(request.limit),
                done: false,
            })
        })
    }

    /// The next page, of at most `keys_max` keys (at least one).
    ///
    /// *Shape*: header, `more` and `count` are in the last page only, whose header has the revision
    /// that was current when the cursor was made. After it: empty. *Errors*: those of
    /// [`Reader::range`].
    pub fn range_page(
        &self,
        cursor: &mut RangeCursor,
        keys_max: usize,
    ) -> Result<RangeResponse, ReadError> {
        if cursor.done {
            return Ok(RangeResponse::default());
        }
        if cursor.rest.count_only {
            cursor.done = true;
            return Ok(cursor.end.clone());
        }
        let keys_max = i64::try_from(keys_max.max(1)).unwrap_or(i64::MAX);
        cursor.rest.limit = cursor.wanted.map_or(keys_max, |wanted| wanted.min(keys_max));
        let (kvs, more) = self.at_one_root(|view| range::page(view, &cursor.rest))?;
        let wanted = cursor.wanted.map(|wanted| wanted - kvs.len() as i64);
        if !more || wanted == Some(0) {
            cursor.done = true;
            return Ok(RangeResponse { kvs, more, ..cursor.end.clone() });
        }
        cursor.wanted = wanted;
        cursor.rest.key = key_after(&kvs)?;
        Ok(RangeResponse { kvs, ..RangeResponse::default() })
    }
}

/// Whether a request has an order and filters that pages can be made of.
///
/// Compat: etcd answers the others with `Unimplemented`.
pub fn can_be_paged(request: &RangeRequest) -> bool {
    validate::is_key_order(request) && !Filter::of(request).is_active()
}

/// The smallest key after the last one of a page.
fn key_after(kvs: &[EncodedKeyValue]) -> Result<Bytes, ReadError> {
    let Some(last) = kvs.last() else { return Ok(Bytes::new()) };
    let key = key_value::read(&last.0)?.key;
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.put_slice(key);
    next.put_u8(0);
    Ok(next.freeze())
}
