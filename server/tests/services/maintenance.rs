//! The Maintenance and Cluster services as a client sees them.

use crate::support::one;
use proto::etcdserverpb as pb;
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_tells_what_clients_parse() {
    let node = one().await;
    let status = node.maintenance().status(pb::StatusRequest {}).await.expect("told").into_inner();
    assert_eq!((status.version.as_str(), status.storage_version.as_str()), ("3.7.3", "3.7.0"));
    assert!(status.db_size > 0, "etcdctl divides by it");
    assert!((0..=status.db_size).contains(&status.db_size_in_use), "{status:?}");
    assert_eq!(status.leader, node.member.ids().member_id);
    assert_eq!(status.db_size_quota, 2 * 1024 * 1024 * 1024);
    assert_eq!(status.errors, Vec::<String>::new());
    assert!(status.raft_applied_index > 0 && status.raft_term > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_list_names_this_member() {
    let node = one().await;
    let request = pb::MemberListRequest { linearizable: true };
    let list = node.cluster().member_list(request).await.expect("listed").into_inner();
    assert_eq!(list.header.expect("a header").revision, 0, "as etcd");
    let member = &list.members[0];
    assert_eq!((member.name.as_str(), member.id), ("n0", node.member.ids().member_id));
    assert_eq!(member.peer_urls, ["http://127.0.0.1:1000"]);
    assert_eq!(member.client_urls, ["http://localhost:2379"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_are_set_listed_and_cleared() {
    let node = one().await;
    let ask = |action: pb::alarm_request::AlarmAction| pb::AlarmRequest {
        action: action as i32,
        member_id: 7,
        alarm: pb::AlarmType::Nospace as i32,
    };
    use pb::alarm_request::AlarmAction::{Activate, Deactivate, Get};
    node.maintenance().alarm(ask(Activate)).await.expect("set");
    let listed = node.maintenance().alarm(ask(Get)).await.expect("listed").into_inner();
    assert_eq!(listed.alarms.len(), 1);
    let put = pb::PutRequest { key: "a".into(), ..Default::default() };
    let refused = node.kv().put(put.clone()).await.expect_err("no space");
    let text = "etcdserver: mvcc: database space exceeded";
    assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, text));
    let (code, body) = crate::support::http(&node.address, "GET", "/health").await;
    assert_eq!(
        (code, body.as_str()),
        (503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n")
    );
    assert_eq!(crate::support::http(&node.address, "GET", "/health?exclude=NOSPACE").await.0, 200);
    let status = node.maintenance().status(pb::StatusRequest {}).await.expect("told").into_inner();
    assert_eq!(status.errors, ["memberID:7 alarm:NOSPACE"]);
    node.maintenance().alarm(ask(Deactivate)).await.expect("cleared");
    node.kv().put(put).await.expect("writes go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_member_raises_the_alarm_and_still_deletes() {
    let node = crate::support::one_with("--quota-backend-bytes 30000").await;
    let put =
        pb::PutRequest { key: "a".into(), value: "x".repeat(1000).into(), ..Default::default() };
    let mut refused = None;
    for _ in 0..100 {
        if let Err(error) = node.kv().put(put.clone()).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the quota is used up");
    let text = "etcdserver: mvcc: database space exceeded";
    assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, text));
    let alarms = node.maintenance().alarm(pb::AlarmRequest::default()).await.expect("listed");
    let told = (node.member.ids().member_id, pb::AlarmType::Nospace as i32);
    let alarms = alarms.into_inner().alarms;
    assert_eq!(alarms.iter().map(|a| (a.member_id, a.alarm)).collect::<Vec<_>>(), [told]);
    let delete = pb::DeleteRangeRequest { key: "a".into(), ..Default::default() };
    let deleted = node.kv().delete_range(delete).await.expect("still works").into_inner().deleted;
    assert_eq!(deleted, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hashes_answer() {
    let node = one().await;
    node.put("a", "1").await;
    let request = pb::HashKvRequest { revision: 0 };
    let first = node.maintenance().hash_kv(request).await.expect("hashed").into_inner();
    assert_eq!((first.compact_revision, first.hash_revision), (-1, 2));
    assert_ne!(first.hash, 0);
    node.put("a", "2").await;
    let request = pb::HashKvRequest { revision: 2 };
    let again = node.maintenance().hash_kv(request).await.expect("hashed").into_inner();
    assert_eq!(again.hash, first.hash, "the same history has the same hash");
    let request = pb::HashKvRequest { revision: 99 };
    let refused = node.maintenance().hash_kv(request).await.expect_err("not there yet");
    assert_eq!(refused.code(), Code::OutOfRange);
    node.maintenance().hash(pb::HashRequest {}).await.expect("hashed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defragment_has_no_header() {
    let node = one().await;
    let answer = node.maintenance().defragment(pb::DefragmentRequest {}).await.expect("done");
    assert_eq!(answer.into_inner().header, None, "as etcd");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_leader_cannot_move_its_office() {
    let node = one().await;
    let request = pb::MoveLeaderRequest { target_id: 99 };
    let refused = node.maintenance().move_leader(request).await.expect_err("unknown");
    let text = "etcdserver: bad leader transferee";
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, text));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_to_the_named_member() {
    let nodes = crate::support::cluster(3).await;
    let leader = crate::support::eventually("a leader", || async {
        nodes.iter().find(|node| node.member.leadership().is_leader)
    })
    .await;
    let other = nodes.iter().find(|node| node.member.ids() != leader.member.ids()).expect("three");
    let target_id = other.member.ids().member_id;
    let request = pb::MoveLeaderRequest { target_id };
    leader.maintenance().move_leader(request).await.expect("moved");
    let seen = leader.member.leadership().leader.map(|leader| leader.0);
    assert_eq!(seen, Some(target_id));
    let refused = leader.maintenance().move_leader(request).await.expect_err("it leads no more");
    assert_eq!(refused.message(), "etcdserver: not leader");
}
