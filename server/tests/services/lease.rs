//! The Lease service as a client sees it, alone and in a cluster.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Ground, Node, PATIENCE, SteppedClock, cluster, cluster_under, eventually, one, one_on,
};
use proto::etcdserverpb as pb;
use tokio_stream::StreamExt as _;
use tonic::Code;

async fn grant(node: &Node, id: i64, ttl: i64) -> pb::LeaseGrantResponse {
    let request = pb::LeaseGrantRequest { id, ttl };
    node.lease().lease_grant(request).await.expect("granted").into_inner()
}

async fn time_to_live(node: &Node, id: i64) -> pb::LeaseTimeToLiveResponse {
    let request = pb::LeaseTimeToLiveRequest { id, keys: true };
    node.lease().lease_time_to_live(request).await.expect("answered").into_inner()
}

async fn keep_alive(node: &Node, id: i64) -> i64 {
    let requests = tokio_stream::once(pb::LeaseKeepAliveRequest { id });
    let answers = node.lease().lease_keep_alive(requests).await.expect("opened");
    let answer = answers.into_inner().next().await.expect("an answer").expect("no error");
    assert_eq!(answer.id, id);
    answer.ttl
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_times_are_raised_and_large_ones_refused() {
    let node = one().await;
    for ttl in [-5, 0, 1] {
        assert_eq!(grant(&node, 0, ttl).await.ttl, 1, "1.5 elections, rounded up");
    }
    let request = pb::LeaseGrantRequest { id: 0, ttl: 9_000_000_001 };
    let refused = node.lease().lease_grant(request).await.expect_err("refused");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::OutOfRange, "etcdserver: too large lease TTL")
    );
    assert!(grant(&node, 0, 60).await.id > 0, "the member chooses a positive id");
    assert_eq!(grant(&node, 7, 60).await.id, 7);
    let again = node.lease().lease_grant(pb::LeaseGrantRequest { id: 7, ttl: 60 }).await;
    let refused = again.expect_err("refused");
    let text = "etcdserver: lease already exists";
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, text));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_lease_is_told_in_three_ways() {
    let node = one().await;
    let refused = node.lease().lease_revoke(pb::LeaseRevokeRequest { id: 9 }).await;
    assert_eq!(refused.expect_err("refused").code(), Code::NotFound);
    assert_eq!(keep_alive(&node, 9).await, 0);
    let answer = time_to_live(&node, 9).await;
    assert_eq!((answer.id, answer.ttl, answer.granted_ttl), (9, -1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_takes_its_keys_along_when_it_is_revoked() {
    let node = one().await;
    grant(&node, 5, 100).await;
    node.put_with_lease("b", "x", 5).await;
    node.put_with_lease("a", "x", 5).await;
    let answer = time_to_live(&node, 5).await;
    assert_eq!((answer.granted_ttl, answer.keys.len()), (100, 2));
    assert!((98..=100).contains(&answer.ttl), "{}", answer.ttl);
    let listed = node.lease().lease_leases(pb::LeaseLeasesRequest {}).await.expect("listed");
    assert_eq!(listed.into_inner().leases.iter().map(|l| l.id).collect::<Vec<_>>(), [5]);
    let revoked = node.lease().lease_revoke(pb::LeaseRevokeRequest { id: 5 }).await;
    assert_eq!(revoked.expect("revoked").into_inner().header.expect("a header").revision, 4);
    assert_eq!(node.get("a").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_lease_is_gone_with_its_keys() {
    let node = one().await;
    grant(&node, 5, 1).await;
    node.put_with_lease("a", "x", 5).await;
    eventually("the key is gone", || async { node.get("a").await.is_none().then_some(()) }).await;
    assert_eq!(time_to_live(&node, 5).await.ttl, -1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_kept_alive_stays() {
    let node = one().await;
    grant(&node, 5, 1).await;
    node.put_with_lease("a", "x", 5).await;
    let mut pause = tokio::time::interval(Duration::from_millis(300));
    for _ in 0..8 {
        pause.tick().await;
        assert_eq!(keep_alive(&node, 5).await, 1);
    }
    assert_eq!(node.get("a").await.as_deref(), Some("x"));
}

fn leader_of(nodes: &[Node]) -> Option<usize> {
    nodes.iter().position(|node| node.member.leadership().is_leader)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_member_keeps_leases_alive_through_the_leader() {
    let nodes = cluster(3).await;
    let leader = eventually("a leader", || async { leader_of(&nodes) }).await;
    let follower = &nodes[(leader + 1) % 3];
    grant(follower, 5, 60).await;
    assert_eq!(keep_alive(follower, 5).await, 60);
    assert_eq!(keep_alive(follower, 6).await, 0);
    assert!(time_to_live(follower, 5).await.ttl >= 58);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_keeps_time_for_the_leases_of_the_old_one() {
    let nodes = cluster(3).await;
    let leader = eventually("a leader", || async { leader_of(&nodes) }).await;
    grant(&nodes[leader], 5, 2).await;
    nodes[leader].put_with_lease("a", "x", 5).await;
    nodes[leader].member.stop().await;
    let other = &nodes[(leader + 1) % 3];
    let gone = eventually("the lease ends at the new leader", || async {
        other.member.reader().lease(store::LeaseId(5)).is_none().then_some(())
    });
    tokio::time::timeout(PATIENCE, gone).await.expect("in time");
    assert_eq!(other.get("a").await, None);
}

/// What the log says is left of a lease; 0: its whole time.
fn checkpointed(node: &Node, id: i64) -> i64 {
    let lease = node.member.reader().lease(store::LeaseId(id));
    lease.expect("the lease is there").remaining_ttl_s
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_remaining_time_survives_a_restart_and_a_renewal_clears_it() {
    let clock = Arc::new(SteppedClock::default());
    let ground = Ground::new(Arc::clone(&clock) as _);
    let node = one_on(&ground).await;
    grant(&node, 5, 1000).await;
    clock.step(Duration::from_secs(310));
    eventually("a checkpoint after 300 s", || async {
        (checkpointed(&node, 5) == 690).then_some(())
    })
    .await;
    node.member.stop().await;

    let clock = Arc::new(SteppedClock::default());
    let ground = ground.under(Arc::clone(&clock) as _);
    let node = one_on(&ground).await;
    let left = time_to_live(&node, 5).await;
    assert!((690..=692).contains(&left.ttl), "{} of 1000 s are left after the restart", left.ttl);
    assert_eq!(keep_alive(&node, 5).await, 1000);
    assert_eq!(checkpointed(&node, 5), 0, "cleared in the log before the renewal is answered");
    node.member.stop().await;

    let ground = ground.under(Arc::new(SteppedClock::default()));
    let left = time_to_live(&one_on(&ground).await, 5).await;
    assert!(left.ttl >= 1000, "a leader after the renewal gives it {} s", left.ttl);
}

/// Moves the office to the next member; who that is.
async fn move_office(nodes: &[Node]) -> usize {
    let leader = eventually("a leader", || async { leader_of(nodes) }).await;
    let next = (leader + 1) % nodes.len();
    let target_id = nodes[next].member.ids().member_id;
    let request = pb::MoveLeaderRequest { target_id };
    nodes[leader].maintenance().move_leader(request).await.expect("moved");
    next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_of_three_goes_on_with_the_time_that_was_left() {
    let clock = Arc::new(SteppedClock::default());
    let nodes = cluster_under(&clock, 3).await;
    grant(&nodes[0], 5, 1000).await;
    clock.step(Duration::from_secs(310));
    let all_have = |left_s: i64| {
        let nodes = &nodes;
        eventually("the checkpoint on every member", move || async move {
            nodes.iter().all(|node| checkpointed(node, 5) == left_s).then_some(())
        })
    };
    all_have(690).await;
    let leader = move_office(&nodes).await;
    let left = eventually("the new leader keeps time", || async {
        Some(time_to_live(&nodes[(leader + 1) % 3], 5).await.ttl).filter(|left| *left > 0)
    })
    .await;
    assert!((690..=692).contains(&left), "{left} of 1000 s are left at the new leader");
    // A renewal, asked from a follower, clears it for the leader after that.
    assert_eq!(keep_alive(&nodes[(leader + 1) % 3], 5).await, 1000);
    all_have(0).await;
    move_office(&nodes).await;
    let left = time_to_live(&nodes[0], 5).await.ttl;
    assert!(left >= 1000, "a leader after the renewal gives it {left} s");
}
