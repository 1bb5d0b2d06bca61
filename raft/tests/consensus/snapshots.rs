//! A member that is too far behind for the log is brought up by a snapshot.

use std::time::Duration;

use crate::cluster::{Cluster, eventually, passes, put};
use crate::wire::Sent;

/// Members that flush and cut early, so that a short absence is already too long for the log.
async fn forgetful(size: usize) -> Cluster {
    let mut cluster = Cluster::new(size);
    for node in &mut cluster.nodes {
        node.config.retention.flush_bytes = 2000;
        node.config.retention.keep_entries = 5;
        node.config.retention.keep_bytes = 20_000;
    }
    cluster.start_all().await;
    cluster.leader().await;
    cluster
}

async fn write_until_cut(cluster: &Cluster, leader: usize, beyond: u64) {
    let mut number = 0;
    while cluster.consensus(leader).metrics().cut_index <= beyond {
        assert!(number < 10_000, "the log is never cut");
        cluster.put(leader, &format!("key{number}"), "some value").await.expect("accepted");
        number += 1;
        if number % 50 == 0 {
            passes(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_far_behind_catches_up_by_a_snapshot_while_writes_go_on() {
    let mut cluster = forgetful(3).await;
    let leader = cluster.leader().await;
    let behind = cluster.follower().await;
    cluster.put(leader, "before", "1").await.expect("accepted");
    cluster.assert_alike().await;
    let seen = cluster.consensus(behind).metrics().last_log_index;
    cluster.kill(behind).await;
    write_until_cut(&cluster, leader, seen + 10).await;
    cluster.start(behind).await.expect("the member starts again");
    let writer = cluster.consensus(leader).clone();
    let writes = tokio::spawn(async move {
        for number in 0..200 {
            writer.propose(put(&format!("during{number}"), "value")).await.expect("accepted");
        }
    });
    writes.await.expect("no panic");
    cluster.assert_alike().await;
    assert_eq!(cluster.get(behind, "during199").await.as_deref(), Some("value"));
    let heard = cluster.nodes[behind].heard.installs.lock().clone();
    assert!(!heard.is_empty(), "no snapshot was installed");
    // After the install, revisions go on without a gap.
    let revisions = cluster.nodes[behind].heard.revisions.lock().clone();
    let after: Vec<i64> =
        revisions.into_iter().skip_while(|revision| *revision <= heard[0]).collect();
    assert!(after.windows(2).all(|pair| pair[1] == pair[0] + 1), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_dies_after_an_install_comes_back_with_what_it_installed() {
    let mut cluster = forgetful(3).await;
    let leader = cluster.leader().await;
    let behind = cluster.follower().await;
    cluster.assert_alike().await;
    let seen = cluster.consensus(behind).metrics().last_log_index;
    cluster.kill(behind).await;
    write_until_cut(&cluster, leader, seen + 10).await;
    cluster.start(behind).await.expect("the member starts again");
    eventually("an install", || {
        (!cluster.nodes[behind].heard.installs.lock().is_empty()).then_some(())
    })
    .await;
    let installed = cluster.nodes[behind].heard.installs.lock()[0];
    cluster.kill(behind).await;
    cluster.start(behind).await.expect("the member starts again");
    assert!(cluster.reader(behind).revision().0 >= installed);
    cluster.put(leader, "after", "value").await.expect("accepted");
    cluster.assert_alike().await;
}

/// A cluster of three in which a member is too far behind for the log, and the snapshot it needs
/// has several pieces in one file.
async fn one_far_behind() -> (Cluster, usize, usize) {
    let mut cluster = forgetful(3).await;
    let leader = cluster.leader().await;
    let behind = cluster.follower().await;
    cluster.assert_alike().await;
    let seen = cluster.consensus(behind).metrics().last_log_index;
    cluster.kill(behind).await;
    let large = "x".repeat(700_000);
    for number in 0..5 {
        cluster.put(leader, &format!("large{number}"), &large).await.expect("accepted");
    }
    write_until_cut(&cluster, leader, seen + 10).await;
    (cluster, leader, behind)
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_whose_connection_breaks_goes_on_where_it_stopped() {
    let (mut cluster, _, behind) = one_far_behind().await;
    cluster.wire.break_after_pieces(2);
    cluster.start(behind).await.expect("the member starts again");
    cluster.assert_alike().await;
    let sent = cluster.wire.sent();
    let [Sent { bytes: first, whole: false, total }, Sent { bytes: second, whole: true, .. }] =
        sent[..]
    else {
        panic!("one broken transfer and one whole: {sent:?}")
    };
    assert!(first >= 1 << 20 && second >= 1 << 20, "{sent:?}");
    assert_eq!(first + second, total, "nothing was sent twice: {sent:?}");
    assert!(!cluster.nodes[behind].heard.installs.lock().is_empty(), "it was installed");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_a_later_state_goes_on_with_the_files_that_are_the_same() {
    let (mut cluster, leader, behind) = one_far_behind().await;
    cluster.wire.break_after_pieces(2);
    cluster.start(behind).await.expect("the member starts again");
    eventually("a broken transfer", || cluster.wire.sent().first().copied()).await;
    // The files with keys and positions are others now.
    cluster.put(leader, "later", "value").await.expect("accepted");
    cluster.assert_alike().await;
    let sent = cluster.wire.sent();
    let last = sent.last().expect("one is whole");
    assert!(last.whole && last.bytes <= last.total, "{sent:?}");
    assert_eq!(cluster.get(behind, "later").await.as_deref(), Some("value"));
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_is_altered_on_its_way_is_sent_again() {
    let (mut cluster, _, behind) = one_far_behind().await;
    cluster.wire.alter_piece(3);
    cluster.start(behind).await.expect("the member starts again");
    cluster.assert_alike().await;
    let sent = cluster.wire.sent();
    assert!(sent.len() >= 2 && !sent[0].whole && sent[sent.len() - 1].whole, "{sent:?}");
}
