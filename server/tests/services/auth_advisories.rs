//! One test for each published way around etcd's permissions, and for what is stricter here.

use std::time::{Duration, Instant};

use pb::request_op::Request as Operation;
use pb::watch_request::RequestUnion;
use proto::authpb::permission::Type;
use proto::etcdserverpb as pb;
use proto::v3electionpb::{CampaignRequest, LeaderRequest};
use proto::v3lockpb::{LockRequest, UnlockRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::auth::{As, FLAGS, add_user, auth, grant, login, switch_on};
use crate::support::{Node, PATIENCE, eventually, one_with};

const DENIED: &str = "etcdserver: permission denied";

/// A member with authentication on: root, and `ann` who may read `r`, write `w` and both on `b`.
async fn guarded() -> (Node, As, As) {
    let node = one_with(FLAGS).await;
    let root = switch_on(&node).await;
    add_user(&node, &root, "ann").await;
    for (kind, key) in [(Type::Read, "r"), (Type::Write, "w"), (Type::Readwrite, "b")] {
        grant(&node, &root, ("ann", kind, key, "")).await;
    }
    let ann = login(&node, "ann").await;
    (node, root, ann)
}

fn put(key: &str) -> pb::PutRequest {
    pb::PutRequest { key: key.to_owned().into(), ..Default::default() }
}

fn range(key: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.to_owned().into(), ..Default::default() }
}

fn delete(key: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: key.to_owned().into(), ..Default::default() }
}

/// A transaction in which `operation` stands this many transactions deep, in the other branch.
fn nested(operation: Operation, depth: usize) -> pb::TxnRequest {
    let mut operations = vec![pb::RequestOp { request: Some(operation) }];
    for _ in 0..depth {
        let inner = pb::TxnRequest { failure: operations, ..Default::default() };
        operations = vec![pb::RequestOp { request: Some(Operation::RequestTxn(inner)) }];
    }
    pb::TxnRequest { success: operations, ..Default::default() }
}

fn told<T>(answer: Result<T, Status>) -> String {
    answer.map_or_else(|status| status.message().to_owned(), |_| "ok".to_owned())
}

/// CVE-2026-33343: permissions were not asked for what stands in nested transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_transactions_are_held_against_permissions() {
    let (node, _, ann) = guarded().await;
    for depth in 0..4 {
        for operation in [
            Operation::RequestRange(range("secret")),
            Operation::RequestPut(put("secret")),
            Operation::RequestDeleteRange(delete("secret")),
        ] {
            let txn = nested(operation, depth);
            assert_eq!(told(node.kv().txn(ann.ask(txn)).await), DENIED, "depth {depth}");
        }
        let allowed = nested(Operation::RequestPut(put("b")), depth);
        assert_eq!(told(node.kv().txn(ann.ask(allowed)).await), "ok", "depth {depth}");
    }
    let compare = pb::Compare { key: "secret".into(), ..Default::default() };
    let inner = pb::TxnRequest { compare: vec![compare], ..Default::default() };
    let txn = nested(Operation::RequestTxn(inner), 2);
    assert_eq!(told(node.kv().txn(ann.ask(txn)).await), DENIED);
}

/// CVE-2026-44283: previous values, and leases of others, inside and outside of transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn previous_values_and_leases_need_their_own_permission() {
    let (node, root, ann) = guarded().await;
    let grant = pb::LeaseGrantRequest { ttl: 100, id: 77 };
    node.lease().lease_grant(root.ask(grant)).await.expect("granted");
    let leased = pb::PutRequest { lease: 77, ..put("secret") };
    node.kv().put(root.ask(leased)).await.expect("attached");

    let previous = |key: &str| pb::PutRequest { prev_kv: true, ..put(key) };
    let leased = |key: &str| pb::PutRequest { lease: 77, ..put(key) };
    for (request, expected) in [
        (put("w"), "ok"),
        (previous("w"), DENIED),
        (previous("b"), "ok"),
        (leased("w"), DENIED),
        (leased("b"), DENIED),
    ] {
        assert_eq!(told(node.kv().put(ann.ask(request.clone())).await), expected);
        let txn = nested(Operation::RequestPut(request), 3);
        assert_eq!(told(node.kv().txn(ann.ask(txn)).await), expected);
    }
    for (key, expected) in [("w", DENIED), ("b", "ok")] {
        let request = pb::DeleteRangeRequest { prev_kv: true, ..delete(key) };
        assert_eq!(told(node.kv().delete_range(ann.ask(request.clone())).await), expected);
        let txn = nested(Operation::RequestDeleteRange(request), 1);
        assert_eq!(told(node.kv().txn(ann.ask(txn)).await), expected);
    }
    let revoke = pb::LeaseRevokeRequest { id: 77 };
    assert_eq!(told(node.lease().lease_revoke(ann.ask(revoke)).await), DENIED);
}

/// CVE-2023-32082, CVE-2026-33413: leases tell, and end, keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_no_way_to_their_keys() {
    let (node, root, ann) = guarded().await;
    let grant = pb::LeaseGrantRequest { ttl: 100, id: 77 };
    node.lease().lease_grant(root.ask(grant)).await.expect("granted");
    let leased = pb::PutRequest { lease: 77, ..put("secret") };
    node.kv().put(root.ask(leased)).await.expect("attached");
    let ask = |keys| pb::LeaseTimeToLiveRequest { id: 77, keys };
    assert_eq!(told(node.lease().lease_time_to_live(ann.ask(ask(true))).await), DENIED);
    assert_eq!(told(node.lease().lease_time_to_live(ann.ask(ask(false))).await), "ok");
    assert_eq!(told(node.lease().lease_leases(ann.ask(pb::LeaseLeasesRequest {})).await), DENIED);
    assert_eq!(told(node.lease().lease_leases(root.ask(pb::LeaseLeasesRequest {})).await), "ok");
    for (who, expected) in [(&ann, DENIED), (&root, "ok")] {
        let requests = tokio_stream::iter([pb::LeaseKeepAliveRequest { id: 77 }]);
        let stream = node.lease().lease_keep_alive(who.ask(requests)).await;
        let first = stream.expect("opened").into_inner().message().await;
        assert_eq!(told(first), expected);
    }
}

struct Watch {
    _requests: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Watch {
    async fn open(node: &Node, who: &As, key: &str, range_end: &'static [u8]) -> Self {
        let (requests, receiver) = mpsc::channel(4);
        let create = pb::WatchCreateRequest {
            key: key.to_owned().into(),
            range_end: range_end.into(),
            ..Default::default()
        };
        let union = Some(RequestUnion::CreateRequest(create));
        requests.send(pb::WatchRequest { request_union: union }).await.expect("open");
        let stream = node.watch().watch(who.ask(ReceiverStream::new(receiver))).await;
        Watch { _requests: requests, answers: stream.expect("opened").into_inner() }
    }

    async fn next(&mut self) -> pb::WatchResponse {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await;
        answer.expect("in time").expect("no error").expect("not the end")
    }
}

/// CVE-2026-73499: a watch without an end was checked as one key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_without_an_end_needs_all_that_follows() {
    let (node, _, ann) = guarded().await;
    for (key, range_end, allowed) in [
        ("r", &b""[..], true),
        ("r", b"\0", false),
        ("r", b"s", false),
        ("", b"\0", false),
        ("w", b"", false),
    ] {
        let answer = Watch::open(&node, &ann, key, range_end).await.next().await;
        assert_eq!((answer.created, answer.canceled), (true, !allowed), "{key} {range_end:?}");
        if !allowed {
            let reason = format!("rpc error: code = PermissionDenied desc = {DENIED}");
            assert_eq!((answer.watch_id, answer.cancel_reason), (-1, reason));
        }
    }
    let answer = Watch::open(&node, &As::nobody(), "r", b"").await.next().await;
    let reason = "rpc error: code = InvalidArgument desc = etcdserver: user name is empty";
    assert_eq!(answer.cancel_reason, reason);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_ends_within_a_second_of_its_right() {
    let (node, root, ann) = guarded().await;
    let mut watch = Watch::open(&node, &ann, "r", b"").await;
    assert!(watch.next().await.created);
    node.kv().put(root.ask(put("r"))).await.expect("put");
    assert_eq!(watch.next().await.events.len(), 1);

    let request = pb::AuthUserRevokeRoleRequest { name: "ann".into(), role: "ann-role".into() };
    auth(&node).user_revoke_role(root.ask(request)).await.expect("revoked");
    let revoked = Instant::now();
    node.kv().put(root.ask(put("r"))).await.expect("put");
    let end = watch.next().await;
    assert!(end.canceled && end.events.is_empty(), "{end:?}");
    assert_eq!(end.cancel_reason, format!("rpc error: code = PermissionDenied desc = {DENIED}"));
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_of_nobody_ends_when_users_are_asked_for() {
    let node = one_with(FLAGS).await;
    let mut watch = Watch::open(&node, &As::nobody(), "r", b"").await;
    assert!(watch.next().await.created);
    let root = switch_on(&node).await;
    node.kv().put(root.ask(put("r"))).await.expect("put");
    let end = watch.next().await;
    assert!(end.canceled && end.events.is_empty(), "{end:?}");
}

/// Compat: etcd waits for all callers of a member with one watch, and that has the token of whoever
/// came first: with one that is taken back the others are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_a_lock_goes_by_the_token_of_its_own_caller() {
    let (node, root, ann) = guarded().await;
    grant(&node, &root, ("ann", Type::Read, "elect/", "elect0")).await;
    for id in [1, 2, 3] {
        let request = root.ask(pb::LeaseGrantRequest { id, ttl: 600 });
        node.lease().lease_grant(request).await.expect("granted");
    }
    let campaign = CampaignRequest { name: "elect".into(), lease: 1, value: "one".into() };
    node.election().campaign(root.ask(campaign)).await.expect("nobody else leads");
    let observe = ann.ask(LeaderRequest { name: "elect".into() });
    let mut observer = node.election().observe(observe).await.expect("she may").into_inner();
    observer.message().await.expect("no error").expect("who leads");

    let lock = |lease| root.ask(LockRequest { name: "b/lock".into(), lease });
    let held = node.lock().lock(lock(2)).await.expect("free").into_inner();
    let request = pb::AuthUserDeleteRequest { name: "ann".into() };
    auth(&node).user_delete(root.ask(request)).await.expect("deleted");
    let waiting = tokio::spawn({
        let (mut client, lock) = (node.lock(), lock(3));
        async move { client.lock(lock).await }
    });
    eventually("a place behind the holder", || async {
        let request = root.ask(range("b/lock/3"));
        let answer = node.kv().range(request).await.expect("root may").into_inner();
        (answer.count == 1).then_some(())
    })
    .await;
    node.lock().unlock(root.ask(UnlockRequest { key: held.key })).await.expect("unlocked");
    let next = waiting.await.expect("no panic").expect("its turn").into_inner();
    assert_eq!(next.key, "b/lock/3");
}
