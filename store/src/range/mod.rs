//! Ranges: from a request and a view to the answer with its encoded values.
//!
//! Invariants: `count` is the number of keys in the range at the revision, whatever limit and
//! filters say; `more` tells whether the filtered result is longer than the limit; the header
//! carries the view's revision, not the requested one. A page costs O(log n + page), and in the
//! past what changed since on top: the index counts its subtrees, and knows the newest change in
//! each.

mod bounds;
mod cursor;
mod order;
mod select;

use proto::etcdserverpb::{RangeRequest, ResponseHeader};
use proto::spliced;
use proto::spliced::EncodedKeyValue;

pub(crate) use bounds::KeyRange;
pub use cursor::{RangeCursor, can_be_paged};

use crate::index::At;
use crate::view::{View, ViewError};
use order::{Filter, Order};
use select::Wanted;

/// Answers a range request.
pub(crate) fn range(
    view: &View<'_>,
    request: &RangeRequest,
) -> Result<spliced::RangeResponse, ViewError> {
    let (_, at) = view.moment(request.revision)?;
    let keys = KeyRange::of(&request.key, &request.range_end);
    let header = Some(header(view.revision));
    if request.count_only {
        let count = count_keys(view, &keys, at);
        return Ok(spliced::RangeResponse { header, count, ..Default::default() });
    }
    let page = select::select(view, &wanted(request, keys, at))?;
    let count = page.all.unwrap_or_else(|| count_keys(view, &keys, at));
    Ok(spliced::RangeResponse { header, kvs: page.kvs, more: page.more, count })
}

/// Answers a range request without counting: its key-values, and whether there are more than the
/// limit.
fn page(
    view: &View<'_>,
    request: &RangeRequest,
) -> Result<(Vec<EncodedKeyValue>, bool), ViewError> {
    let (_, at) = view.moment(request.revision)?;
    let keys = KeyRange::of(&request.key, &request.range_end);
    let page = select::select(view, &wanted(request, keys, at))?;
    Ok((page.kvs, page.more))
}

fn wanted<'a>(request: &RangeRequest, keys: KeyRange<'a>, at: At) -> Wanted<'a> {
    Wanted {
        keys,
        at,
        order: Order::of(request),
        filter: Filter::of(request),
        keys_only: request.keys_only,
    }
}

/// Counts the keys that a request means, at the moment it means.
fn count(view: &View<'_>, request: &RangeRequest) -> Result<i64, ViewError> {
    let (_, at) = view.moment(request.revision)?;
    Ok(count_keys(view, &KeyRange::of(&request.key, &request.range_end), at))
}

fn count_keys(view: &View<'_>, keys: &KeyRange<'_>, at: At) -> i64 {
    let index = &view.root.index;
    match *keys {
        KeyRange::Point(key) => i64::from(index.get(key, at).is_some()),
        KeyRange::Span { from, to } => index.count(from, to, at) as i64,
    }
}

/// A header with nothing but a revision: the rest is the door's.
pub(crate) fn header(revision: i64) -> ResponseHeader {
    ResponseHeader { revision, ..ResponseHeader::default() }
}
