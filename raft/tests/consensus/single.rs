//! One member alone: it leads at once, keeps what it answered, and comes back as it was.

use crate::cluster::{Cluster, eventually};

#[tokio::test(start_paused = true)]
async fn a_sole_voter_leads_at_once_and_answers() {
    let mut cluster = Cluster::new(1);
    let start = tokio::time::Instant::now();
    cluster.start_all().await;
    cluster.leader().await;
    assert!(start.elapsed().as_millis() < 100, "{:?}", start.elapsed());
    assert_eq!(cluster.put(0, "a", "1").await, Ok(2));
    assert_eq!(cluster.put(0, "a", "2").await, Ok(3));
    assert_eq!(cluster.get(0, "a").await.as_deref(), Some("2"));
    assert_eq!(*cluster.nodes[0].heard.revisions.lock(), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_killed_member_has_everything_it_answered() {
    let mut cluster = Cluster::started(1).await;
    for number in 0..100 {
        cluster.put(0, "key", &number.to_string()).await.expect("accepted");
    }
    cluster.kill(0).await;
    cluster.start(0).await.expect("the member starts again");
    cluster.leader().await;
    assert_eq!(cluster.get(0, "key").await.as_deref(), Some("99"));
    assert_eq!(cluster.put(0, "key", "more").await, Ok(102));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_member_has_flushed_and_refuses_later_proposals() {
    let mut cluster = Cluster::started(1).await;
    cluster.put(0, "key", "value").await.expect("accepted");
    let consensus = cluster.consensus(0).clone();
    cluster.stop(0).await;
    assert_eq!(
        consensus.propose(crate::cluster::put("late", "")).await,
        Err(engram_raft::ProposeError::Stopped)
    );
    cluster.nodes[0].engines.crash();
    cluster.start(0).await.expect("the member starts again");
    assert_eq!(crate::cluster::get(cluster.reader(0), "key").as_deref(), Some("value"));
}

#[tokio::test(start_paused = true)]
async fn many_proposals_at_once_share_entries() {
    let cluster = Cluster::started(1).await;
    let before = cluster.consensus(0).metrics();
    let proposals = (0..1000).map(|number| {
        let consensus = cluster.consensus(0).clone();
        async move { consensus.propose(crate::cluster::put(&format!("k{number}"), "v")).await }
    });
    let outcomes = futures::future::join_all(proposals).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let after = cluster.consensus(0).metrics();
    assert_eq!(after.applied_commands - before.applied_commands, 1000);
    assert!(after.applied_entries - before.applied_entries < 10, "{after:?}");
    assert_eq!((after.pending_commands, after.pending_bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn state_is_flushed_and_the_log_is_cut_below_it() {
    let mut cluster = Cluster::new(1);
    cluster.nodes[0].config.retention.flush_bytes = 1000;
    cluster.nodes[0].config.retention.keep_entries = 5;
    cluster.start_all().await;
    cluster.leader().await;
    for number in 0..200 {
        cluster.put(0, &format!("key{number}"), "value").await.expect("accepted");
    }
    eventually("a cut log", || {
        let metrics = cluster.consensus(0).metrics();
        assert!(metrics.cut_index <= metrics.flushed_index);
        (metrics.cut_index > 0).then_some(())
    })
    .await;
    cluster.kill(0).await;
    cluster.start(0).await.expect("the member starts again");
    assert_eq!(cluster.get(0, "key199").await.as_deref(), Some("value"));
}
