//! Who may take part: wiped members, second copies and foreign clusters may not.

use std::time::Duration;

use crate::cluster::{Cluster, passes};
use engram_raft::StartError;
use engram_raft::log::MemoryLogFiles;
use store::engine::MemoryEngines;

fn wipe(cluster: &mut Cluster, number: usize) {
    cluster.nodes[number].engines = MemoryEngines::new();
    cluster.nodes[number].files = MemoryLogFiles::new();
}

#[tokio::test(start_paused = true)]
async fn a_wiped_member_is_told_that_it_was_bootstrapped() {
    let mut cluster = Cluster::started(3).await;
    let wiped = cluster.follower().await;
    cluster.put(wiped, "key", "value").await.expect("accepted");
    cluster.kill(wiped).await;
    wipe(&mut cluster, wiped);
    let error = cluster.start(wiped).await.expect_err("refused");
    let id = cluster.nodes[wiped].id;
    assert!(matches!(error, StartError::AlreadyBootstrapped(_)));
    assert_eq!(error.to_string(), format!("member {id} has already been bootstrapped"));
}

#[tokio::test(start_paused = true)]
async fn a_wiped_member_that_starts_unseen_gets_no_votes_and_gives_none() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let wiped = cluster.follower().await;
    cluster.put(leader, "key", "value").await.expect("accepted");
    cluster.kill(wiped).await;
    wipe(&mut cluster, wiped);
    // Nobody answers its question, so it believes that it founds the cluster.
    cluster.isolate(wiped);
    cluster.start(wiped).await.expect("it starts");
    cluster.network.mend_all();
    passes(Duration::from_secs(20)).await;
    assert!(cluster.consensus(leader).leadership().is_leader);
    assert_eq!(cluster.consensus(wiped).leadership().leader, None);
    assert_eq!(cluster.reader(wiped).revision().0, 1);
    cluster.put(leader, "key", "again").await.expect("two of three still agree");
}

#[tokio::test(start_paused = true)]
async fn members_of_clusters_with_another_token_do_not_hear_each_other() {
    let mut cluster = Cluster::new(3);
    cluster.nodes[2].config.cluster_token = "other".to_owned();
    cluster.start_all().await;
    let leader = cluster.leader().await;
    assert_ne!(leader, 2);
    cluster.put(leader, "key", "value").await.expect("accepted");
    passes(Duration::from_secs(20)).await;
    assert_eq!(cluster.consensus(2).leadership().leader, None);
    assert!(cluster.consensus(leader).leadership().is_leader);
}

#[tokio::test(start_paused = true)]
async fn a_data_directory_keeps_its_identity_whatever_the_configuration_says() {
    let mut cluster = Cluster::started(1).await;
    let ids = cluster.consensus(0).ids();
    cluster.put(0, "key", "value").await.expect("accepted");
    cluster.kill(0).await;
    cluster.nodes[0].config.cluster_token = "renamed".to_owned();
    cluster.start(0).await.expect("the member starts again");
    assert_eq!(cluster.consensus(0).ids(), ids);
    assert_eq!(cluster.get(0, "key").await.as_deref(), Some("value"));
}
