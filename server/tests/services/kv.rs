//! The KV service as a client sees it.

use crate::support::{Node, one, one_with};
use proto::etcdserverpb as pb;
use tonic::{Code, Status};

fn put(key: &str, value: &str) -> pb::PutRequest {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    pb::PutRequest { key, value, ..Default::default() }
}

fn range(key: &str, range_end: &str) -> pb::RangeRequest {
    let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
    pb::RangeRequest { key, range_end, ..Default::default() }
}

fn op(request: pb::request_op::Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn refusal<T: std::fmt::Debug>(answer: Result<tonic::Response<T>, Status>) -> (Code, String) {
    let refused = answer.expect_err("it is refused");
    (refused.code(), refused.message().to_owned())
}

async fn is_refused(node: &Node, request: pb::RangeRequest, code: Code, text: &str) {
    assert_eq!(refusal(node.kv().range(request).await), (code, text.to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_is_read_back_with_a_full_header() {
    let node = one().await;
    let answer = node.kv().put(put("a", "1")).await.expect("accepted").into_inner();
    let header = answer.header.expect("a header");
    let ids = node.member.ids();
    assert_eq!((header.cluster_id, header.member_id), (ids.cluster_id, ids.member_id));
    assert_eq!((header.revision, header.raft_term), (2, 1));
    let request = pb::PutRequest { prev_kv: true, ..put("a", "2") };
    let answer = node.kv().put(request).await.expect("accepted").into_inner();
    assert_eq!(answer.prev_kv.expect("the old value").value, "1");
    let answer = node.kv().range(range("a", "")).await.expect("answered").into_inner();
    assert_eq!((answer.count, answer.more), (1, false));
    let kv = &answer.kvs[0];
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 3, 2));
    assert_eq!(answer.header.expect("a header").revision, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_have_etcds_code_and_text() {
    let node = one().await;
    let invalid = Code::InvalidArgument;
    is_refused(&node, range("", ""), invalid, "etcdserver: key is not provided").await;
    let sorted = pb::RangeRequest { sort_order: 9, ..range("a", "") };
    is_refused(&node, sorted, invalid, "etcdserver: invalid sort option").await;
    let future = pb::RangeRequest { revision: 99, ..range("a", "") };
    let text = "etcdserver: mvcc: required revision is a future revision";
    is_refused(&node, future, Code::OutOfRange, text).await;
    let rows = [
        (put("", ""), "etcdserver: key is not provided"),
        (pb::PutRequest { ignore_value: true, ..put("a", "x") }, "etcdserver: value is provided"),
        (
            pb::PutRequest { ignore_lease: true, lease: 7, ..put("a", "") },
            "etcdserver: lease is provided",
        ),
        (pb::PutRequest { ignore_value: true, ..put("a", "") }, "etcdserver: key not found"),
    ];
    for (request, text) in rows {
        assert_eq!(refusal(node.kv().put(request).await), (invalid, text.to_owned()));
    }
    let leased = pb::PutRequest { lease: 7, ..put("a", "") };
    let text = "etcdserver: requested lease not found".to_owned();
    assert_eq!(refusal(node.kv().put(leased).await), (Code::NotFound, text));
    assert_eq!(node.member.reader().revision().0, 1, "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_txn_takes_its_branch_and_its_limits_hold() {
    let node = one().await;
    node.put("a", "1").await;
    let compare = pb::Compare {
        key: "a".into(),
        target: pb::compare::CompareTarget::Value as i32,
        target_union: Some(pb::compare::TargetUnion::Value("1".into())),
        ..Default::default()
    };
    let write = op(pb::request_op::Request::RequestPut(put("b", "2")));
    let read = op(pb::request_op::Request::RequestRange(range("b", "")));
    let txn = pb::TxnRequest {
        compare: vec![compare],
        success: vec![write.clone(), read.clone()],
        failure: vec![],
    };
    let answer = node.kv().txn(txn).await.expect("accepted").into_inner();
    assert!(answer.succeeded);
    assert_eq!((answer.responses.len(), answer.header.expect("a header").revision), (2, 3));
    let twice = pb::TxnRequest { success: vec![write.clone(), write], ..Default::default() };
    let text = "etcdserver: duplicate key given in txn request".to_owned();
    assert_eq!(refusal(node.kv().txn(twice).await), (Code::InvalidArgument, text));
    let many = pb::TxnRequest { success: vec![read; 129], ..Default::default() };
    let text = "etcdserver: too many operations in txn request".to_owned();
    assert_eq!(refusal(node.kv().txn(many).await), (Code::InvalidArgument, text));
    let empty = node.kv().txn(pb::TxnRequest::default()).await.expect("accepted").into_inner();
    assert_eq!(empty.header.expect("a header").revision, 3, "an empty one writes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_says_how_many_and_no_match_keeps_the_revision() {
    let node = one().await;
    for key in ["a", "b", "c"] {
        node.put(key, "x").await;
    }
    let all = pb::DeleteRangeRequest { key: "a".into(), range_end: "c".into(), prev_kv: true };
    let answer = node.kv().delete_range(all.clone()).await.expect("accepted").into_inner();
    assert_eq!((answer.deleted, answer.prev_kvs.len()), (2, 2));
    assert_eq!(answer.header.expect("a header").revision, 5);
    let answer = node.kv().delete_range(all).await.expect("accepted").into_inner();
    assert_eq!((answer.deleted, answer.header.expect("a header").revision), (0, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_above_the_limits_are_refused_as_etcd_refuses_them() {
    let node = one_with("--max-request-bytes 2000").await;
    node.put("fits", &"x".repeat(1900)).await;
    let large = put("large", &"x".repeat(2000));
    let text = "etcdserver: request is too large".to_owned();
    assert_eq!(refusal(node.kv().put(large).await), (Code::InvalidArgument, text));
    let huge = put("huge", &"x".repeat(600_000));
    let (code, text) = refusal(node.kv().put(huge).await);
    assert_eq!(code, Code::ResourceExhausted);
    assert!(text.starts_with("grpc: received message larger than max ("), "{text}");
    assert!(text.ends_with(" vs. 526288)"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_hides_old_revisions() {
    let node = one().await;
    for value in ["1", "2", "3"] {
        node.put("a", value).await;
    }
    let request = pb::CompactionRequest { revision: 3, physical: true };
    node.kv().compact(request).await.expect("accepted");
    assert!(node.member.reader().physically_compacted_revision().0 >= 3);
    let text = "etcdserver: mvcc: required revision has been compacted";
    let old = pb::RangeRequest { revision: 2, ..range("a", "") };
    is_refused(&node, old, Code::OutOfRange, text).await;
    let kept = pb::RangeRequest { revision: 3, ..range("a", "") };
    let answer = node.kv().range(kept).await.expect("the compacted one is kept").into_inner();
    assert_eq!(answer.kvs[0].value, "2");
    let again = node.kv().compact(request).await;
    assert_eq!(refusal(again), (Code::OutOfRange, text.to_owned()));
}

/// All pieces merged.
async fn streamed(node: &Node, request: pb::RangeRequest) -> (pb::RangeResponse, usize) {
    let mut stream = node.kv().range_stream(request).await.expect("opened").into_inner();
    let (mut merged, mut pieces) = (pb::RangeResponse::default(), 0);
    while let Some(piece) = stream.message().await.expect("a piece") {
        let piece = piece.range_response.expect("a range");
        assert!(merged.header.is_none(), "the header is on the last piece only");
        merged.kvs.extend(piece.kvs);
        (merged.header, merged.more, merged.count) = (piece.header, piece.more, piece.count);
        pieces += 1;
    }
    (merged, pieces)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_stream_merges_to_the_range() {
    let node = one().await;
    for at in 0..50 {
        node.put(&format!("k{at:02}"), "v").await;
    }
    let rows = [
        (pb::RangeRequest { limit: 0, ..range("k", "l") }, 3),
        (pb::RangeRequest { limit: 10, ..range("k", "l") }, 1),
        (pb::RangeRequest { limit: 25, ..range("k", "l") }, 2),
        (pb::RangeRequest { limit: 50, ..range("k", "l") }, 3),
        (pb::RangeRequest { revision: 20, ..range("k", "l") }, 2),
        (pb::RangeRequest { keys_only: true, ..range("k", "l") }, 3),
        (pb::RangeRequest { count_only: true, ..range("k", "l") }, 1),
        (range("k07", ""), 1),
        (range("x", "y"), 1),
    ];
    for (request, pieces) in rows {
        let whole = node.kv().range(request.clone()).await.expect("answered").into_inner();
        let (merged, came) = streamed(&node, request.clone()).await;
        assert_eq!(merged, whole, "{request:?}");
        assert_eq!(came, pieces, "{request:?}");
    }
    let sorted = pb::RangeRequest { sort_order: 2, ..range("k", "l") };
    assert_eq!(refusal(node.kv().range_stream(sorted).await).0, Code::Unimplemented);
}
