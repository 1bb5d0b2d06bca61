//! Requests as clients make them of a member's services, and what the answers say.
//!
//! Invariant: an error that leaves it open whether the request took effect is told as such.
//! Must not know: history.

use bytes::Bytes;
use checkers::history::Found;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::response_op;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest,
    PutRequest, RangeRequest, RangeResponse, RequestOp, ResponseHeader, TxnRequest, TxnResponse,
};
use proto::log::command::Request;
use proto::mvccpb::KeyValue;
use proto::status::EtcdError;
use tonic::{Code, Response, Status};

use crate::cluster::Process;

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) enum Answer {
    Put,
    /// How many keys went.
    Deleted(i64),
    Txn(TxnResponse),
    /// Of compactions and leases.
    Done,
}

/// An answer, and the revision in its header.
pub(crate) type Answered = (i64, Answer);

/// Makes a request of a member.
pub(crate) async fn send(process: &Process, request: Request) -> Result<Answered, Status> {
    match request {
        Request::Put(request) => {
            let answer = process.kv().put(request).await.map(Response::into_inner)?;
            Ok((revision(answer.header.as_ref()), Answer::Put))
        }
        Request::DeleteRange(request) => {
            let answer = process.kv().delete_range(request).await.map(Response::into_inner)?;
            Ok((revision(answer.header.as_ref()), Answer::Deleted(answer.deleted)))
        }
        Request::Txn(request) => {
            let answer = process.kv().txn(request).await.map(Response::into_inner)?;
            Ok((revision(answer.header.as_ref()), Answer::Txn(answer)))
        }
        Request::Compaction(request) => {
            let answer = process.kv().compact(request).await.map(Response::into_inner)?;
            Ok((revision(answer.header.as_ref()), Answer::Done))
        }
        Request::LeaseGrant(request) => {
            let answer = process.leases().lease_grant(request).await.map(Response::into_inner)?;
            Ok((revision(answer.header.as_ref()), Answer::Done))
        }
        Request::LeaseRevoke(request) => {
            let answer = process.leases().lease_revoke(request).await.map(Response::into_inner)?;
            Ok((revision(answer.header.as_ref()), Answer::Done))
        }
        other => Err(Status::internal(format!("no client of the simulation sends {other:?}"))),
    }
}

fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

/// What an error says of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It may have taken effect, or may yet.
    Unknown,
    /// It never reached the state.
    Refused,
    /// It reached the state, which refused it.
    RefusedByTheState,
}

/// Which refusal an error is.
pub(crate) fn refusal(status: &Status) -> Refusal {
    match status.code() {
        Code::Unavailable if status.message() == EtcdError::NoLeader.message() => Refusal::Refused,
        Code::ResourceExhausted => Refusal::Refused,
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::OutOfRange => {
            Refusal::RefusedByTheState
        }
        _ => Refusal::Unknown,
    }
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
pub(crate) fn grant(id: i64, ttl_s: i64) -> Request {
    Request::LeaseGrant(LeaseGrantRequest { id, ttl: ttl_s })
}

/// Ends a lease and its keys.
pub(crate) fn revoke(id: i64) -> Request {
    Request::LeaseRevoke(LeaseRevokeRequest { id })
}

/// The first key-value of a range's answer.
pub(crate) fn found(response: &RangeResponse) -> Option<Found> {
    response.kvs.first().map(found_as)
}

fn found_as(kv: &KeyValue) -> Found {
    let value = String::from_utf8_lossy(&kv.value).into_owned();
    Found { value, mod_revision: kv.mod_revision }
}

/// What the range of a refused swap found.
pub(crate) fn found_instead(response: &TxnResponse) -> Option<Found> {
    match response.responses.first()?.response.as_ref()? {
        response_op::Response::ResponseRange(response) => found(response),
        _ => None,
    }
}

/// The first key-value that a member's state has under a key.
pub(crate) fn found_in(reader: &store::Reader, key: &str) -> Result<Option<Found>, String> {
    let response = reader.range(&range(key)).map_err(|error| error.to_string())?;
    let first = response.kvs.first().map(|kv| kv.decode()).transpose();
    Ok(first.map_err(|error| error.to_string())?.as_ref().map(found_as))
}
