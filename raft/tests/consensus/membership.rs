//! Members join, are promoted and leave while the cluster serves.

use std::time::Duration;

use crate::cluster::{Cluster, eventually, passes};
use engram_raft::{
    Bootstrap, InitialMember, MemberChange, MembershipError, StartError, added_member_id,
};

/// Prepares one more member, told that the cluster exists; it is not part of it yet.
fn newcomer(cluster: &mut Cluster) -> (usize, Vec<String>) {
    let number = cluster.nodes.len();
    let other = Cluster::new(number + 1);
    let mut node = other.nodes.into_iter().next_back().expect("one more");
    let urls = vec![format!("http://m{number}:2380")];
    node.id = added_member_id(&urls, "test", 7, 7);
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
    let consensus = cluster.consensus(leader).clone();
    let taken = MemberChange::AddLearner {
        id: store::MemberId(99),
        peer_urls: vec!["http://m0:2380".to_owned()],
    };
    assert_eq!(consensus.change_members(taken).await, Err(MembershipError::PeerUrlsExist));
    cluster.kill(dead).await;
    passes(Duration::from_secs(5)).await;
    // Of four, three must decide, and only two are there. etcd calls that an unhealthy cluster.
    let added = MemberChange::AddVoter {
        id: store::MemberId(99),
        peer_urls: vec!["http://nobody:2380".to_owned()],
    };
    assert_eq!(consensus.change_members(added).await, Err(MembershipError::OutOfReach));
    // Nor may one of the two go: one of two would be left.
    let id = cluster.nodes[alive].id;
    let remove = MemberChange::Remove { id };
    assert_eq!(consensus.change_members(remove).await, Err(MembershipError::OutOfReach));
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

#[tokio::test(start_paused = true)]
async fn a_removed_follower_hears_of_it_now_and_after_a_restart() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let removed = cluster.follower().await;
    let id = cluster.nodes[removed].id;
    let change = MemberChange::Remove { id };
    cluster.consensus(leader).change_members(change).await.expect("removed");
    let told = |cluster: &Cluster| {
        let consensus = cluster.consensus(removed).clone();
        async move { tokio::time::timeout(Duration::from_secs(10), consensus.removed()).await }
    };
    told(&cluster).await.expect("it is told");
    cluster.stop(removed).await;
    cluster.start(removed).await.expect("it starts, and asks");
    told(&cluster).await.expect("it is told again");
    let stays = cluster.consensus(leader).clone();
    let never = tokio::time::timeout(Duration::from_secs(60), stays.removed()).await;
    assert!(never.is_err(), "a member of the cluster is not removed");
}

#[tokio::test(start_paused = true)]
async fn a_member_without_a_quorum_does_not_believe_that_it_was_removed() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    for number in (0..3).filter(|number| *number != leader) {
        cluster.kill(number).await;
    }
    let alone = cluster.consensus(leader).clone();
    let told = tokio::time::timeout(Duration::from_secs(60), alone.removed()).await;
    assert!(told.is_err(), "nobody can say so");
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_that_is_not_expected_is_refused_in_etcds_words() {
    let mut cluster = Cluster::started(3).await;
    let (number, peer_urls) = newcomer(&mut cluster);
    let refused = cluster.start(number).await.expect_err("nobody added it");
    assert!(matches!(&refused, StartError::Join(_)), "{refused}");
    assert!(refused.to_string().ends_with("member count is unequal"), "{refused}");
    let leader = cluster.leader().await;
    let id = store::MemberId(99);
    let peer_urls_of_another = vec!["http://another:2380".to_owned()];
    let add = MemberChange::AddLearner { id, peer_urls: peer_urls_of_another };
    cluster.consensus(leader).change_members(add).await.expect("added");
    let refused = cluster.start(number).await.expect_err("another was added");
    let text = "PeerURLs: no match found for existing member (63, [http://another:2380])";
    assert!(refused.to_string().ends_with(text), "{refused}");
    let moved = MemberChange::UpdatePeerUrls { id, peer_urls };
    cluster.consensus(leader).change_members(moved).await.expect("updated");
    cluster.nodes[number].id = id;
    cluster.start(number).await.expect("now it is the one");
    // Its data is lost, and it comes again.
    eventually("a learner that is known", || {
        (cluster.consensus(number).metrics().applied_index > 0).then_some(())
    })
    .await;
    cluster.kill(number).await;
    cluster.nodes[number].files = engram_raft::log::MemoryLogFiles::new();
    cluster.nodes[number].engines = store::engine::MemoryEngines::new();
    let refused = cluster.start(number).await.expect_err("it was here before");
    assert!(matches!(refused, StartError::AlreadyBootstrapped(99)), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_peers_are_lost_goes_on_alone_with_its_data() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    cluster.put(leader, "key", "kept").await.expect("accepted");
    cluster.assert_alike().await;
    for number in 0..3 {
        cluster.kill(number).await;
    }
    let left = (leader + 1) % 3;
    cluster.nodes[left].config.force_new_cluster = true;
    cluster.start(left).await.expect("it starts alone");
    assert_eq!(cluster.leader().await, left);
    assert_eq!(cluster.get(left, "key").await.as_deref(), Some("kept"));
    cluster.put(left, "key", "new").await.expect("accepted");
    assert_eq!(cluster.consensus(left).members().len(), 1);
    // It stays so without the flag.
    cluster.nodes[left].config.force_new_cluster = false;
    cluster.kill(left).await;
    cluster.start(left).await.expect("it starts again");
    cluster.leader().await;
    assert_eq!(cluster.get(left, "key").await.as_deref(), Some("new"));
    // One of the lost that comes back is told that it is no part of this.
    let lost = cluster.consensus(left).clone();
    cluster.start(leader).await.expect("it starts");
    let told = cluster.consensus(leader).clone();
    let told = tokio::time::timeout(Duration::from_secs(10), told.removed()).await;
    told.expect("it is told");
    assert!(lost.leadership().is_leader);
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_moved_is_found_at_its_new_address() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let moving = cluster.follower().await;
    let id = cluster.nodes[moving].id;
    cluster.stop(moving).await;
    let peer_urls = vec!["http://moved:2380".to_owned()];
    let change = MemberChange::UpdatePeerUrls { id, peer_urls: peer_urls.clone() };
    cluster.consensus(leader).change_members(change).await.expect("updated");
    cluster.network.move_away(id, &peer_urls);
    cluster.start_at(moving, &peer_urls).await.expect("the member starts");
    cluster.put(leader, "key", "value").await.expect("accepted");
    eventually("the follower that moved", || {
        let found = crate::cluster::get(cluster.reader(moving), "key");
        (found.as_deref() == Some("value")).then_some(())
    })
    .await;
}
