//! Members join, are promoted, move and leave, as a client of any member sees it. Every refusal was
//! asked from etcd 3.7.3 first.

use proto::etcdserverpb as pb;
use raft::MemoryNetwork;
use tonic::{Code, Status};

use crate::support::{self, Node, eventually, one, peer_url};

const BAD_URLS: &str = "etcdserver: given member URLs are invalid";
const NOT_FOUND: &str = "etcdserver: member not found";
const NOT_FOR_LEARNERS: &str = "etcdserver: rpc not supported for learner";

async fn add(node: &Node, url: &str, is_learner: bool) -> Result<pb::MemberAddResponse, Status> {
    let request = pb::MemberAddRequest { peer_urls: vec![url.to_owned()], is_learner };
    node.cluster().member_add(request).await.map(tonic::Response::into_inner)
}

async fn remove(node: &Node, id: u64) -> Result<pb::MemberRemoveResponse, Status> {
    let request = pb::MemberRemoveRequest { id };
    node.cluster().member_remove(request).await.map(tonic::Response::into_inner)
}

async fn promote(node: &Node, id: u64) -> Result<pb::MemberPromoteResponse, Status> {
    let request = pb::MemberPromoteRequest { id };
    node.cluster().member_promote(request).await.map(tonic::Response::into_inner)
}

async fn update(node: &Node, id: u64, url: &str) -> Result<pb::MemberUpdateResponse, Status> {
    let request = pb::MemberUpdateRequest { id, peer_urls: vec![url.to_owned()] };
    node.cluster().member_update(request).await.map(tonic::Response::into_inner)
}

async fn list(node: &Node) -> Vec<pb::Member> {
    let request = pb::MemberListRequest { linearizable: true };
    node.cluster().member_list(request).await.expect("listed").into_inner().members
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, text: &str) {
    let refused = answer.expect_err(text);
    assert_eq!((refused.code(), refused.message()), (code, text));
}

/// The members by whether they lead: the leader, then the others.
async fn by_office(nodes: &[Node]) -> (&Node, Vec<&Node>) {
    let leader =
        eventually("a leader", || async { nodes.iter().find(|n| n.member.leadership().is_leader) });
    let leader = leader.await;
    (leader, nodes.iter().filter(|n| n.member.ids() != leader.member.ids()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_etcds_words_and_codes() {
    let node = one().await;
    let own = node.member.ids().member_id;
    let few = "etcdserver: re-configuration failed due to not enough started members";
    assert_refused(remove(&node, own).await, Code::Unknown, few);
    assert_refused(remove(&node, 5).await, Code::NotFound, NOT_FOUND);
    assert_refused(promote(&node, 5).await, Code::NotFound, NOT_FOUND);
    let voter = "etcdserver: can only promote a learner member";
    assert_refused(promote(&node, own).await, Code::FailedPrecondition, voter);
    assert_refused(update(&node, 5, "http://127.0.0.1:1").await, Code::NotFound, NOT_FOUND);
    for bad in ["", "http://127.0.0.1", "foo", "http://127.0.0.1:1/x", "ftp://a:1"] {
        assert_refused(add(&node, bad, true).await, Code::InvalidArgument, BAD_URLS);
        assert_refused(update(&node, own, bad).await, Code::InvalidArgument, BAD_URLS);
    }
    let taken = "etcdserver: Peer URLs already exists";
    assert_refused(add(&node, &peer_url(0), true).await, Code::FailedPrecondition, taken);
    let added = add(&node, " http://127.0.0.1:77 ", true).await.expect("added");
    assert_eq!(added.header.expect("a header").revision, 0, "as etcd");
    let learner = added.member.expect("the one added");
    assert_eq!((learner.name.as_str(), learner.is_learner), ("", true));
    assert_eq!(learner.peer_urls, ["http://127.0.0.1:77"]);
    assert_eq!(added.members.len(), 2);
    let many = "etcdserver: too many learner members in cluster";
    let refused = add(&node, "http://127.0.0.1:78", true).await;
    assert_refused(refused, Code::FailedPrecondition, many);
    let behind = "etcdserver: can only promote a learner member which is in sync with leader";
    assert_refused(promote(&node, learner.id).await, Code::FailedPrecondition, behind);
    update(&node, learner.id, "http://127.0.0.1:79").await.expect("updated");
    let refused = update(&node, learner.id, &peer_url(0)).await;
    assert_refused(refused, Code::FailedPrecondition, taken);
    assert_eq!(remove(&node, learner.id).await.expect("removed").members.len(), 1);
    assert_refused(remove(&node, learner.id).await, Code::NotFound, NOT_FOUND);
    // The same URL again is another member.
    let again = add(&node, "http://127.0.0.1:77", true).await.expect("added");
    assert_ne!(again.member.expect("the one added").id, learner.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_joins_through_a_follower_serves_little_and_is_promoted() {
    let network = MemoryNetwork::new();
    let nodes = support::cluster_on(&network, 3, "").await;
    nodes[0].put("a", "1").await;
    let (_, followers) = by_office(&nodes).await;
    let added = add(followers[0], &peer_url(3), true).await.expect("added");
    let id = added.member.expect("the one added").id;
    let fourth = support::join(&network, 4, id).await;
    let known = list(followers[1]).await.into_iter().find(|member| member.id == id);
    assert_eq!(known.expect("listed").name, "n3");
    let put = pb::PutRequest { key: "a".into(), ..Default::default() };
    let refused = fourth.kv().put(put).await;
    assert_refused(refused, Code::FailedPrecondition, NOT_FOR_LEARNERS);
    let mut range = pb::RangeRequest { key: "a".into(), ..Default::default() };
    let refused = fourth.kv().range(range.clone()).await;
    assert_refused(refused, Code::FailedPrecondition, NOT_FOR_LEARNERS);
    let refused = fourth.cluster().member_list(pb::MemberListRequest::default()).await;
    assert_refused(refused, Code::FailedPrecondition, NOT_FOR_LEARNERS);
    let refused = fourth.kv().range_stream(range.clone()).await;
    assert_refused(refused, Code::FailedPrecondition, NOT_FOR_LEARNERS);
    range.serializable = true;
    fourth.kv().range(range).await.expect("a local read");
    let status = fourth.maintenance().status(pb::StatusRequest {}).await.expect("told");
    assert!(status.into_inner().is_learner);
    let target_id = id;
    let (leader, followers) = by_office(&nodes).await;
    let refused = leader.maintenance().move_leader(pb::MoveLeaderRequest { target_id }).await;
    let text = "etcdserver: bad leader transferee";
    assert_refused(refused, Code::FailedPrecondition, text);
    let promoted = promote(followers[0], id).await.expect("promoted");
    assert!(promoted.members.iter().all(|member| !member.is_learner));
    eventually("a voter serves", || async { fourth.get("a").await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_removed_hands_over_first_and_its_name_is_forgotten() {
    let nodes = support::cluster(3).await;
    let (leader, others) = by_office(&nodes).await;
    let id = leader.member.ids().member_id;
    let term = leader.member.leadership().term;
    let left = remove(leader, id).await.expect("removed").members;
    assert!(left.iter().all(|member| member.id != id), "{left:?}");
    assert_eq!(list(others[0]).await.len(), 2);
    others[0].put("a", "1").await;
    let now = others[0].member.leadership();
    assert_eq!(now.term, term + 1, "one election: the office was handed over");
    let said = |node: &Node| node.member.reader().members().len();
    eventually("the name is gone", || async { (said(others[1]) == 2).then_some(()) }).await;
    let told = tokio::time::timeout(support::PATIENCE, leader.member.consensus().removed());
    told.await.expect("the one removed hears of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_removes_itself_and_hears_of_it() {
    let nodes = support::cluster(3).await;
    let (_, followers) = by_office(&nodes).await;
    let id = followers[0].member.ids().member_id;
    remove(followers[0], id).await.expect("removed");
    let told = tokio::time::timeout(support::PATIENCE, followers[0].member.consensus().removed());
    told.await.expect("the one removed hears of it");
    assert_eq!(list(followers[1]).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downgrade_is_validated_noted_and_cancelled() {
    use pb::downgrade_request::DowngradeAction::{Cancel, Enable, Validate};
    let node = one().await;
    let ask = |action: pb::downgrade_request::DowngradeAction, version: &str| {
        let (action, version) = (action as i32, version.to_owned());
        let mut client = node.maintenance();
        async move { client.downgrade(pb::DowngradeRequest { action, version }).await }
    };
    let format = "etcdserver: wrong downgrade target version format";
    assert_refused(ask(Validate, "x").await, Code::InvalidArgument, format);
    let target = "etcdserver: invalid downgrade target version";
    assert_refused(ask(Enable, "3.5.0").await, Code::InvalidArgument, target);
    let answer = ask(Validate, "3.6.0").await.expect("it could be done").into_inner();
    assert_eq!(answer.version, "3.7");
    assert!(answer.header.expect("a header").revision > 0, "as etcd");
    ask(Cancel, "").await.expect("nothing to cancel is no error, as in etcd");
    ask(Enable, "3.6").await.expect("noted");
    let under_way = "etcdserver: cluster has a downgrade job in progress";
    assert_refused(ask(Validate, "3.6").await, Code::FailedPrecondition, under_way);
    assert_refused(ask(Enable, "3.6.0").await, Code::FailedPrecondition, under_way);
    let told = || async {
        let status = node.maintenance().status(pb::StatusRequest {}).await.expect("told");
        status.into_inner().downgrade_info.expect("always there")
    };
    let target_version = "3.6.0".to_owned();
    assert_eq!(told().await, pb::DowngradeInfo { enabled: true, target_version });
    ask(Cancel, "").await.expect("cancelled");
    assert_eq!(told().await, pb::DowngradeInfo::default());
    let request = pb::DowngradeRequest { action: 7, version: String::new() };
    let refused = node.maintenance().downgrade(request).await;
    assert_refused(refused, Code::Unknown, "etcdserver: unknown method");
}
