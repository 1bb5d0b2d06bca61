//! Commands as clients make them, and what their answers say.
//!
//! Must not know: members, history.

use bytes::Bytes;
use checkers::history::Found;
use prost::Message as _;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest,
    PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use proto::log::command::Request;
use proto::log::{Command, CommandHeader};
use proto::mvccpb::KeyValue;
use proto::spliced;
use proto::spliced::response_op::Response as Told;

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A request as the log takes it.
pub(crate) fn command(request: Request) -> Command {
    Command { header: Some(CommandHeader::default()), request: Some(request) }
}

/// Sets a key.
pub(crate) fn put(key: &str, value: &str, lease: i64) -> PutRequest {
    PutRequest { key: text(key), value: text(value), lease, ..PutRequest::default() }
}

/// Removes a key.
pub(crate) fn delete(key: &str) -> Request {
    Request::DeleteRange(DeleteRangeRequest { key: text(key), ..DeleteRangeRequest::default() })
}

/// Reads a key.
pub(crate) fn range(key: &str) -> RangeRequest {
    RangeRequest { key: text(key), ..RangeRequest::default() }
}

/// Sets a key if it is as it was seen, and reads it otherwise.
pub(crate) fn swap(key: &str, expected: Option<&str>, value: &str) -> Request {
    let (target, target_union) = match expected {
        Some(expected) => (CompareTarget::Value, TargetUnion::Value(text(expected))),
        None => (CompareTarget::Create, TargetUnion::CreateRevision(0)),
    };
    let compare = Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: text(key),
        target_union: Some(target_union),
        ..Compare::default()
    };
    let operation = |request| vec![RequestOp { request: Some(request) }];
    Request::Txn(TxnRequest {
        compare: vec![compare],
        success: operation(Op::RequestPut(put(key, value, 0))),
        failure: operation(Op::RequestRange(range(key))),
    })
}

/// Sets several keys in one revision.
pub(crate) fn put_many(keys: &[String], value: &str) -> Request {
    let puts = keys.iter().map(|key| Op::RequestPut(put(key, value, 0)));
    let success = puts.map(|put| RequestOp { request: Some(put) }).collect();
    Request::Txn(TxnRequest { success, ..TxnRequest::default() })
}

/// Forgets the history below a revision.
pub(crate) fn compact(revision: i64) -> Request {
    Request::Compaction(CompactionRequest { revision, physical: false })
}

/// Makes a lease.
pub(crate) fn grant(id: i64) -> Request {
    Request::LeaseGrant(LeaseGrantRequest { id, ttl: 3600 })
}

/// Ends a lease and its keys.
pub(crate) fn revoke(id: i64) -> Request {
    Request::LeaseRevoke(LeaseRevokeRequest { id })
}

/// The first key-value of a range's answer.
pub(crate) fn found(response: &spliced::RangeResponse) -> Option<Found> {
    let kv = KeyValue::decode(response.kvs.first()?.0.clone()).expect("the store encoded it");
    Some(Found {
        value: String::from_utf8_lossy(&kv.value).into_owned(),
        mod_revision: kv.mod_revision,
    })
}

/// What the range of a refused swap found.
pub(crate) fn found_instead(response: &spliced::TxnResponse) -> Option<Found> {
    match response.responses.first()?.response.as_ref()? {
        Told::ResponseRange(response) => found(response),
        _ => None,
    }
}
