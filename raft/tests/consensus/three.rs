//! Three members: election, forwarding, linearizable reads, failures, transfer.

use std::time::Duration;

use crate::cluster::{Cluster, eventually, passes, put, put_revision};
use engram_raft::{ProposeError, ReadIndexError, Timing, TransferError};
use futures::future::join_all;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn one_leader_is_elected_and_everyone_knows_it() {
    let cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let leader_id = cluster.nodes[leader].id;
    for number in 0..3 {
        eventually("a known leader", || {
            (cluster.consensus(number).leadership().leader == Some(leader_id)).then_some(())
        })
        .await;
    }
    let leaders = (0..3).filter(|number| cluster.consensus(*number).leadership().is_leader).count();
    assert_eq!(leaders, 1);
    assert_eq!(cluster.consensus(0).ids().0, cluster.consensus(2).ids().0);
    assert_eq!(cluster.consensus(1).members().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn any_member_takes_proposals_and_reads_its_own_writes() {
    let cluster = Cluster::started(3).await;
    for round in 0..5 {
        for number in 0..3 {
            let value = format!("{round}-{number}");
            cluster.put(number, "key", &value).await.expect("accepted");
            // Read your write: without any further round.
            assert_eq!(crate::cluster::get(cluster.reader(number), "key"), Some(value.clone()));
            let other = (number + 1) % 3;
            assert_eq!(cluster.get(other, "key").await, Some(value));
        }
    }
    cluster.assert_alike().await;
    let heard = cluster.nodes[2].heard.revisions.lock().clone();
    assert_eq!(heard, (2..17).collect::<Vec<i64>>());
}

#[tokio::test(start_paused = true)]
async fn a_follower_answers_with_the_rows_it_was_asked_for() {
    let cluster = Cluster::started(3).await;
    let follower = cluster.follower().await;
    cluster.put(follower, "key", "before").await.expect("accepted");
    let mut command = put("key", "after");
    if let Some(proto::log::command::Request::Put(put)) = &mut command.request {
        put.prev_kv = true;
    }
    let outcome = cluster.consensus(follower).propose(command).await.expect("accepted");
    let Ok(store::Response::Put(response)) = outcome.result else { panic!("{outcome:?}") };
    assert!(response.prev_kv.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_others_elect_a_leader_when_it_dies_and_it_comes_back_as_a_follower() {
    let mut cluster = Cluster::started(3).await;
    let first = cluster.leader().await;
    cluster.put(first, "key", "one").await.expect("accepted");
    cluster.kill(first).await;
    let start = Instant::now();
    let second = cluster.leader().await;
    assert_ne!(first, second);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(cluster.get(second, "key").await.as_deref(), Some("one"));
    cluster.put(second, "key", "two").await.expect("accepted");
    cluster.start(first).await.expect("the member starts again");
    assert_eq!(cluster.get(first, "key").await.as_deref(), Some("two"));
    cluster.assert_alike().await;
}

#[tokio::test(start_paused = true)]
async fn an_isolated_leader_says_so_and_accepts_nothing() {
    let cluster = Cluster::started(3).await;
    let old = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|number| *number != old).collect();
    cluster.isolate(old);
    let stale = cluster.consensus(old).clone();
    let proposal = tokio::spawn(async move { stale.propose(put("key", "lost")).await });
    let stale = cluster.consensus(old).clone();
    let read = tokio::spawn(async move { stale.read_index().await });
    let new = eventually("a leader among the others", || {
        others.iter().copied().find(|number| cluster.consensus(*number).leadership().is_leader)
    })
    .await;
    cluster.put(new, "key", "kept").await.expect("accepted");
    eventually("an isolated leader without office", || {
        cluster.consensus(old).leadership().leader.is_none().then_some(())
    })
    .await;
    let outcome = proposal.await.expect("no panic");
    assert!(outcome.is_err_and(ProposeError::is_outcome_unknown));
    assert_eq!(read.await.expect("no panic"), Err(ReadIndexError::NoLeader));
    cluster.network.mend_all();
    assert_eq!(cluster.get(old, "key").await.as_deref(), Some("kept"));
    cluster.assert_alike().await;
}

#[tokio::test(start_paused = true)]
async fn an_isolated_followers_term_does_not_grow() {
    let cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let term = cluster.consensus(follower).leadership().term;
    cluster.isolate(follower);
    passes(Duration::from_secs(60)).await;
    assert_eq!(cluster.consensus(follower).leadership().term, term);
    assert_eq!(cluster.consensus(follower).leadership().leader, None);
    cluster.network.mend_all();
    eventually("the same leader again", || {
        let known = cluster.consensus(follower).leadership().leader;
        (known == Some(cluster.nodes[leader].id)).then_some(())
    })
    .await;
    assert!(cluster.consensus(leader).leadership().is_leader);
    assert_eq!(cluster.consensus(leader).leadership().term, term);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_reaches_only_one_follower_gives_way_to_one_that_reaches_all() {
    // Quorum loss of OmniPaxos: the leader still reaches a follower, that one reaches everybody.
    let cluster = Cluster::started(5).await;
    let leader = cluster.leader().await;
    let hub = cluster.follower().await;
    for one in 0..5 {
        for other in 0..5 {
            if one != other && one != hub && other != hub {
                cluster.network.cut(cluster.nodes[one].id, cluster.nodes[other].id);
            }
        }
    }
    let start = Instant::now();
    eventually("the hub as leader", || cluster.consensus(hub).leadership().is_leader.then_some(()))
        .await;
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    cluster.put(leader, "key", "value").await.expect("accepted through the hub");
}

#[tokio::test(start_paused = true)]
async fn the_leadership_moves_to_the_member_asked_for() {
    let cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let target = cluster.follower().await;
    let to = cluster.nodes[target].id;
    let start = Instant::now();
    cluster.consensus(leader).transfer_leader(Some(to)).await.expect("the leadership moves");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!(cluster.leader().await, target);
    cluster.put(leader, "key", "value").await.expect("accepted");
    let refused = cluster.consensus(leader).transfer_leader(None).await;
    assert_eq!(refused, Err(TransferError::NotLeader));
    let nobody = cluster.consensus(target).transfer_leader(Some(store::MemberId(1))).await;
    assert_eq!(nobody, Err(TransferError::BadTransferee));
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_hands_the_leadership_over_before_it_ends() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let start = Instant::now();
    cluster.stop(leader).await;
    assert!(start.elapsed() < Duration::from_millis(1000), "{:?}", start.elapsed());
    let next = cluster.leader().await;
    assert!(start.elapsed() < Duration::from_millis(1000), "{:?}", start.elapsed());
    cluster.put(next, "key", "value").await.expect("accepted");
}

#[tokio::test(start_paused = true)]
async fn proposals_survive_a_change_of_leader_without_being_doubled() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let consensus = cluster.consensus(follower).clone();
    let proposals = (0..200).map(|number| {
        let consensus = consensus.clone();
        tokio::spawn(async move { consensus.propose(put(&format!("k{number}"), "v")).await })
    });
    let proposals: Vec<_> = proposals.collect();
    tokio::task::yield_now().await;
    cluster.kill(leader).await;
    let outcomes = join_all(proposals).await;
    cluster.leader().await;
    cluster.assert_alike().await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let key = format!("k{number}");
        let stored = cluster.get(follower, &key).await.is_some();
        outcome.expect("no panic").unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(stored, "{key} was answered and is not there");
    }
    let revisions = cluster.nodes[follower].heard.revisions.lock().clone();
    assert_eq!(revisions.len(), 200, "each proposal is applied once");
}

#[tokio::test(start_paused = true)]
async fn what_a_leader_took_to_its_grave_is_proposed_to_the_next_in_time() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    cluster.wire.lose_entries(true);
    let written = cluster.consensus(leader).metrics().last_log_index;
    let consensus = cluster.consensus(follower).clone();
    let start = Instant::now();
    let proposal = tokio::spawn(async move { consensus.propose(put("key", "value")).await });
    eventually("an entry in the leader's log", || {
        (cluster.consensus(leader).metrics().last_log_index > written).then_some(())
    })
    .await;
    cluster.kill(leader).await;
    cluster.wire.lose_entries(false);
    let outcome = proposal.await.expect("no panic").expect("the next leader takes it");
    let timeout = Timing::default().request_timeout();
    assert!(start.elapsed() < timeout, "{:?} of {timeout:?}", start.elapsed());
    cluster.start(leader).await.expect("the member starts");
    cluster.assert_alike().await;
    assert_eq!(cluster.get(follower, "key").await.as_deref(), Some("value"));
    let revisions = cluster.nodes[follower].heard.revisions.lock().clone();
    assert_eq!(revisions, [put_revision(&outcome)], "it was written once");
}

#[tokio::test(start_paused = true)]
async fn load_on_all_members_is_batched_and_all_are_alike() {
    let cluster = Cluster::started(3).await;
    let before = cluster.consensus(0).metrics().applied_entries;
    let proposals = (0..3000).map(|number| {
        let consensus = cluster.consensus(number % 3).clone();
        async move { consensus.propose(put(&format!("k{}", number % 100), "v")).await }
    });
    let outcomes = join_all(proposals).await;
    assert!(outcomes.iter().all(Result::is_ok));
    cluster.assert_alike().await;
    let entries = cluster.consensus(0).metrics().applied_entries - before;
    assert!(entries < 300, "{entries} entries for 3000 commands");
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_everybody_does_not_go_back_in_time() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let mut last = 0;
    for number in 0..50 {
        last = cluster.put(leader, "key", &number.to_string()).await.expect("accepted");
    }
    cluster.assert_alike().await;
    for number in 0..3 {
        cluster.kill(number).await;
    }
    for number in 0..3 {
        cluster.start(number).await.expect("the member starts again");
    }
    for number in 0..3 {
        let wait = Duration::from_secs(30);
        cluster.consensus(number).wait_for_recovery(wait).await.expect("recovered");
        assert_eq!(cluster.reader(number).revision().0, last);
    }
}
