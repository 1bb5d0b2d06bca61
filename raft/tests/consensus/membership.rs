//! Members join, are promoted and leave while the cluster serves.

use std::time::Duration;

use crate::cluster::{Cluster, eventually, passes};
use engram_raft::{Bootstrap, InitialMember, MemberChange, MembershipError, added_member_id};

/// Prepares one more member, told that the cluster exists; it is not part of it yet.
fn newcomer(cluster: &mut Cluster) -> (usize, Vec<String>) {
    let number = cluster.nodes.len();
    let other = Cluster::new(number + 1);
    let mut node = other.nodes.into_iter().next_back().expect("one more");
    let urls = vec![format!("http://m{number}:2380")];
    node.id = added_member_id(&urls, "test", 1_700_000_000);
    node.config.bootstrap = Bootstrap::Existing;
    let member = InitialMember { name: node.config.name.clone(), peer_urls: urls.clone() };
    assert_eq!(node.config.initial_cluster.last(), Some(&member));
    cluster.nodes.push(node);
    (number, urls)
}

#[tokio::test(start_paused = true)]
async fn a_learner_catches_up_is_promoted_and_can_lead() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    for number in 0..20 {
        cluster.put(leader, "key", &number.to_string()).await.expect("accepted");
    }
    let (number, peer_urls) = newcomer(&mut cluster);
    let id = cluster.nodes[number].id;
    let consensus = cluster.consensus(leader).clone();
    let promote = MemberChange::Promote { id };
    assert_eq!(consensus.change_members(promote.clone()).await, Err(MembershipError::NotFound));
    let add = MemberChange::AddLearner { id, peer_urls };
    consensus.change_members(add.clone()).await.expect("added");
    assert_eq!(consensus.change_members(add).await, Err(MembershipError::IdExists));
    assert_eq!(
        consensus.change_members(promote.clone()).await,
        Err(MembershipError::LearnerNotReady)
    );
    cluster.start(number).await.expect("the newcomer starts");
    assert_eq!(cluster.consensus(number).ids().1, id);
    eventually("a learner that caught up", || {
        (crate::cluster::get(cluster.reader(number), "key").as_deref() == Some("19")).then_some(())
    })
    .await;
    assert!(consensus.members().iter().any(|member| member.id == id && member.is_learner));
    cluster.put(number, "key", "from the learner").await.expect("accepted");
    consensus.change_members(promote).await.expect("promoted");
    assert!(consensus.members().iter().all(|member| !member.is_learner));
    consensus.transfer_leader(Some(id)).await.expect("it takes the leadership");
    assert_eq!(cluster.leader().await, number);
    cluster.assert_alike().await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_member_is_no_part_of_the_quorum_any_more() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let removed = cluster.follower().await;
    let id = cluster.nodes[removed].id;
    let consensus = cluster.consensus(leader).clone();
    consensus.change_members(MemberChange::Remove { id }).await.expect("removed");
    assert_eq!(consensus.members().len(), 2);
    assert_eq!(
        consensus.change_members(MemberChange::Remove { id }).await,
        Err(MembershipError::NotFound)
    );
    cluster.kill(removed).await;
    cluster.put(leader, "key", "value").await.expect("accepted");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_removed_lets_another_lead() {
    let cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let id = cluster.nodes[leader].id;
    cluster.consensus(leader).change_members(MemberChange::Remove { id }).await.expect("removed");
    let next = eventually("another leader", || {
        (0..3).find(|number| *number != leader && cluster.consensus(*number).leadership().is_leader)
    })
    .await;
    cluster.put(next, "key", "value").await.expect("accepted");
    assert_eq!(cluster.consensus(next).members().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn changes_that_would_end_the_quorum_are_refused() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let dead = cluster.follower().await;
    let alive = (0..3).find(|number| *number != leader && *number != dead).expect("a third");
    cluster.kill(dead).await;
    passes(Duration::from_secs(5)).await;
    let consensus = cluster.consensus(leader).clone();
    // Of four, three must decide, and only two are there.
    let added = MemberChange::AddVoter {
        id: store::MemberId(99),
        peer_urls: vec!["http://nobody:2380".to_owned()],
    };
    assert_eq!(consensus.change_members(added).await, Err(MembershipError::NotEnoughStarted));
    let taken = MemberChange::AddLearner {
        id: store::MemberId(99),
        peer_urls: vec!["http://m0:2380".to_owned()],
    };
    assert_eq!(consensus.change_members(taken).await, Err(MembershipError::PeerUrlsExist));
    let id = cluster.nodes[alive].id;
    let not_leading = cluster.consensus(alive).change_members(MemberChange::Remove { id }).await;
    assert_eq!(not_leading, Err(MembershipError::NoLeader));
    // The dead one may go.
    let id = cluster.nodes[dead].id;
    consensus.change_members(MemberChange::Remove { id }).await.expect("removed");
}

#[tokio::test(start_paused = true)]
async fn peer_urls_change_without_a_vote() {
    let cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let id = cluster.nodes[follower].id;
    let peer_urls = vec!["http://moved:2380".to_owned()];
    let change = MemberChange::UpdatePeerUrls { id, peer_urls: peer_urls.clone() };
    cluster.consensus(leader).change_members(change).await.expect("updated");
    let members = cluster.consensus(leader).members();
    assert!(members.iter().any(|member| member.id == id && member.peer_urls == peer_urls));
    cluster.put(leader, "key", "value").await.expect("accepted");
}
