//! Requests as they come over the wire: those that pass the checks of the door are applied.
//!
//! An input is a row of requests: a byte that says which, two bytes of length, and the message.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest,
    PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use proto::log::command::Request;
use proto::log::{Batch, Command, CommandHeader};
use store::engine::Memory;
use store::{Answers, LogId, Store, StoreOptions, validate};

/// etcd's default.
const OPERATIONS_MAX: usize = 128;
/// More would only take longer.
const REQUESTS_MAX: usize = 64;

/// Applies what passes to two stores, which must come to the same.
pub(crate) fn read(data: &[u8]) {
    let requests = requests(data);
    let digests = [Answers::Materialise, Answers::Skip].map(|answers| apply(&requests, answers));
    assert_eq!(digests[0], digests[1], "the state does not depend on who asks");
}

fn apply(requests: &[Asked], answers: Answers) -> (String, i64) {
    let engine = Arc::new(Memory::new());
    let mut store = Store::open(engine, StoreOptions::default()).expect("an empty engine opens");
    let mut index = 0;
    for asked in requests {
        match asked {
            Asked::Read(range) => drop(store.reader().range(range)),
            Asked::Write(request) => {
                index += 1;
                let header = Some(CommandHeader { id: index, ..CommandHeader::default() });
                let command = Command { header, request: Some(request.clone()) };
                let batch = Batch { state_machine_version: 1, commands: vec![command] };
                let log_id = LogId { term: 1, index };
                store.apply(log_id, &batch, answers).expect("an engine in memory does not fail");
            }
        }
    }
    let reader = store.reader();
    (reader.digest_at_applied().1.to_string(), reader.revision().0)
}

enum Asked {
    Read(RangeRequest),
    Write(Request),
}

fn requests(mut data: &[u8]) -> Vec<Asked> {
    let mut requests = Vec::new();
    while let [kind, low, high, rest @ ..] = data
        && requests.len() < REQUESTS_MAX
    {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (message, after) = rest.split_at(length);
        requests.extend(request(*kind, message));
        data = after;
    }
    requests
}

/// What the door lets through.
fn request(kind: u8, message: &[u8]) -> Option<Asked> {
    let write = |request| Some(Asked::Write(request));
    match kind % 7 {
        0 => {
            let range = RangeRequest::decode(message).ok()?;
            validate::check_range(&range).ok().map(|()| Asked::Read(range))
        }
        1 => {
            let put = PutRequest::decode(message).ok()?;
            validate::check_put(&put).ok().and_then(|()| write(Request::Put(put)))
        }
        2 => {
            let delete = DeleteRangeRequest::decode(message).ok()?;
            validate::check_delete(&delete).ok().and_then(|()| write(Request::DeleteRange(delete)))
        }
        3 => {
            let txn = TxnRequest::decode(message).ok()?;
            let checked = validate::check_txn(&txn, OPERATIONS_MAX).ok();
            checked.and_then(|()| write(Request::Txn(txn)))
        }
        4 => write(Request::Compaction(CompactionRequest::decode(message).ok()?)),
        5 => {
            let grant = LeaseGrantRequest::decode(message).ok().filter(|grant| grant.id != 0)?;
            let checked = validate::check_lease_grant(&grant).ok();
            checked.and_then(|()| write(Request::LeaseGrant(grant)))
        }
        _ => write(Request::LeaseRevoke(LeaseRevokeRequest::decode(message).ok()?)),
    }
}

/// Conversations as clients hold them.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let put = |key, lease| PutRequest {
        key: text(key),
        value: text("value"),
        lease,
        ..PutRequest::default()
    };
    let range =
        RangeRequest { key: text("a"), range_end: text("z"), limit: 2, ..Default::default() };
    let delete = DeleteRangeRequest { key: text("a"), range_end: text("b"), prev_kv: true };
    let compare = Compare {
        result: CompareResult::Greater.into(),
        target: CompareTarget::Mod.into(),
        key: text("a"),
        target_union: Some(TargetUnion::ModRevision(1)),
        ..Compare::default()
    };
    let operation = |request| RequestOp { request: Some(request) };
    let nested = TxnRequest {
        success: vec![operation(Op::RequestPut(put("c", 0)))],
        ..TxnRequest::default()
    };
    let txn = TxnRequest {
        compare: vec![compare],
        success: vec![
            operation(Op::RequestPut(put("b", 7))),
            operation(Op::RequestRange(range.clone())),
            operation(Op::RequestTxn(nested)),
        ],
        failure: vec![operation(Op::RequestDeleteRange(delete.clone()))],
    };
    let grant = LeaseGrantRequest { id: 7, ttl: 60 };
    let compaction = CompactionRequest { revision: 2, physical: true };
    let messages = [
        (5, grant.encode_to_vec()),
        (1, put("a", 7).encode_to_vec()),
        (3, txn.encode_to_vec()),
        (0, range.encode_to_vec()),
        (2, delete.encode_to_vec()),
        (4, compaction.encode_to_vec()),
        (6, LeaseRevokeRequest { id: 7 }.encode_to_vec()),
    ];
    let framed = |(kind, message): &(u8, Vec<u8>)| {
        let length = u16::try_from(message.len()).expect("short messages").to_le_bytes();
        [&[*kind][..], &length, message].concat()
    };
    let each = messages.iter().map(framed);
    let all: Vec<u8> = messages.iter().flat_map(framed).collect();
    each.chain([all]).collect()
}
