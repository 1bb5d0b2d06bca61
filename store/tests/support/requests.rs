//! Random requests over few keys, few leases and few values, so that they meet; within and beyond
//! the bounds of what is legal.

use bytes::Bytes;
use proptest::prelude::*;
use proto::etcdserverpb::compare::TargetUnion;
use proto::etcdserverpb::request_op::Request as Operation;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseCheckpoint, LeaseCheckpointRequest,
    LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use proto::log::command::Request;

/// What a test does next.
#[derive(Clone, Debug)]
pub enum Action {
    /// Applies an entry.
    Entry(Vec<Request>),
    /// Reads.
    Range(RangeRequest),
    /// Reads in pages of this many keys.
    Stream(RangeRequest, usize),
    /// Reads a transaction that does not write.
    ReadTxn(TxnRequest),
    /// Reads events from this far below the present on.
    Events(i64),
    /// Asks for `HashKV` this far below the present.
    HashKv(i64),
    /// Removes compacted rows.
    Step(usize),
    /// Opens the store again.
    Restart,
    /// Makes all durable.
    Flush,
    /// Loses what is not durable, and applies it again.
    Crash,
}

/// Any action, writes before all.
pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => prop::collection::vec(request(), 1..4).prop_map(Action::Entry),
        6 => range().prop_map(Action::Range),
        2 => (range(), 1..4usize).prop_map(|(range, page)| Action::Stream(range, page)),
        1 => read_txn().prop_map(Action::ReadTxn),
        1 => (0..6i64).prop_map(Action::Events),
        1 => (0..6i64).prop_map(Action::HashKv),
        1 => (1..4usize).prop_map(Action::Step),
        1 => Just(Action::Restart),
        1 => Just(Action::Flush),
        1 => Just(Action::Crash),
    ]
}

fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["a", "a\0", "b", "c", "d", "e", "zz"]).prop_map(Bytes::from)
}

fn range_end() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        3 => Just(Bytes::new()),
        2 => Just(Bytes::from("\0")),
        3 => key(),
        1 => Just(Bytes::from("z")),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["", "1", "2", "33"]).prop_map(Bytes::from)
}

fn lease() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![0, 0, 0, 1, 2, -3])
}

/// Revisions from below to above what a short run reaches.
fn revision() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0), 8 => 1..25i64, 1 => -2..1i64]
}

fn bound() -> impl Strategy<Value = i64> {
    prop_oneof![6 => Just(0), 1 => 1..20i64, 1 => Just(-1)]
}

fn put() -> impl Strategy<Value = PutRequest> {
    let flag = || prop::bool::weighted(0.2);
    (key(), value(), lease(), flag(), flag(), flag()).prop_map(
        |(key, value, lease, prev_kv, ignore_value, ignore_lease)| PutRequest {
            key,
            value,
            lease,
            prev_kv,
            ignore_value,
            ignore_lease,
        },
    )
}

fn delete() -> impl Strategy<Value = DeleteRangeRequest> {
    (key(), range_end(), any::<bool>()).prop_map(|(key, range_end, prev_kv)| DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    })
}

/// A range with any options.
pub fn range() -> impl Strategy<Value = RangeRequest> {
    let sort = (0..3i32, 0..5i32);
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (key(), range_end(), -1..5i64, revision(), sort, flags, [bound(), bound(), bound(), bound()])
        .prop_map(|(key, range_end, limit, revision, sort, flags, bounds)| RangeRequest {
            key,
            range_end,
            limit,
            revision,
            sort_order: sort.0,
            sort_target: sort.1,
            serializable: false,
            keys_only: flags.0,
            count_only: flags.1,
            min_mod_revision: bounds[0],
            max_mod_revision: bounds[1],
            min_create_revision: bounds[2],
            max_create_revision: bounds[3],
        })
}

fn compare() -> impl Strategy<Value = Compare> {
    let union = prop_oneof![
        (0..4i64).prop_map(TargetUnion::Version),
        (0..20i64).prop_map(TargetUnion::CreateRevision),
        (0..20i64).prop_map(TargetUnion::ModRevision),
        value().prop_map(TargetUnion::Value),
        lease().prop_map(TargetUnion::Lease),
    ];
    (0..5i32, 0..6i32, key(), range_end(), prop::option::weighted(0.9, union)).prop_map(
        |(result, target, key, range_end, target_union)| Compare {
            result,
            target,
            key,
            target_union,
            range_end,
        },
    )
}

fn operation(depth: u32) -> BoxedStrategy<RequestOp> {
    let flat = prop_oneof![
        3 => put().prop_map(Operation::RequestPut),
        2 => delete().prop_map(Operation::RequestDeleteRange),
        3 => range().prop_map(Operation::RequestRange),
    ];
    let request = match depth {
        0 => flat.boxed(),
        _ => prop_oneof![8 => flat, 1 => txn(depth - 1).prop_map(Operation::RequestTxn)].boxed(),
    };
    prop::option::weighted(0.97, request).prop_map(|request| RequestOp { request }).boxed()
}

/// A transaction, nested up to `depth`.
fn txn(depth: u32) -> BoxedStrategy<TxnRequest> {
    let list = move || prop::collection::vec(operation(depth), 0..5);
    (prop::collection::vec(compare(), 0..3), list(), list())
        .prop_map(|(compare, success, failure)| TxnRequest { compare, success, failure })
        .boxed()
}

fn read_txn() -> impl Strategy<Value = TxnRequest> {
    let read = |range| RequestOp { request: Some(Operation::RequestRange(range)) };
    let list = move || prop::collection::vec(range().prop_map(read), 0..4);
    (prop::collection::vec(compare(), 0..3), list(), list())
        .prop_map(|(compare, success, failure)| TxnRequest { compare, success, failure })
}

fn request() -> impl Strategy<Value = Request> {
    let checkpoint =
        (lease(), -1..80i64).prop_map(|(id, remaining_ttl)| LeaseCheckpoint { id, remaining_ttl });
    prop_oneof![
        10 => put().prop_map(Request::Put),
        4 => delete().prop_map(Request::DeleteRange),
        6 => txn(2).prop_map(Request::Txn),
        1 => revision().prop_map(|revision| {
            Request::Compaction(CompactionRequest { revision, physical: false })
        }),
        2 => lease().prop_map(|id| Request::LeaseGrant(LeaseGrantRequest { id, ttl: 60 })),
        1 => lease().prop_map(|id| Request::LeaseRevoke(LeaseRevokeRequest { id })),
        1 => prop::collection::vec(checkpoint, 1..3).prop_map(|checkpoints| {
            Request::LeaseCheckpoint(LeaseCheckpointRequest { checkpoints })
        }),
    ]
}
