//! `engram server` as a quorum of processes, from etcd's flags.

use std::path::Path;
use std::time::{Duration, Instant};

use proto::etcdserverpb as pb;
use rustix::process::Signal;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::transport::Channel;

use crate::support::{PATIENCE, Process, free_ports};

/// A stopped leader is gone within this.
const END_WITHIN: Duration = Duration::from_millis(1500);

/// A leader that hands over has a successor within this.
const FOLLOWED_WITHIN: Duration = Duration::from_millis(500);

pub(crate) async fn quorum(folder: &Path, size: usize) -> Vec<Process> {
    let ports: Vec<u16> = (0..size).map(|_| free_ports()).collect();
    let names = ports.iter().enumerate();
    let cluster: Vec<String> =
        names.map(|(at, port)| format!("n{at}=http://127.0.0.1:{}", port + 1)).collect();
    let cluster = cluster.join(",");
    let starts = ports.iter().enumerate().map(|(at, port)| {
        let (data_dir, cluster) = (folder.join(format!("n{at}")), cluster.as_str());
        async move { Process::member(&data_dir, *port, &format!("n{at}"), cluster).await }
    });
    futures::future::join_all(starts).await
}

/// Where the member that leads is.
pub(crate) async fn leader(members: &[Process]) -> usize {
    let began = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    while began.elapsed() < PATIENCE {
        for (at, member) in members.iter().enumerate() {
            let mut client = MaintenanceClient::new(member.channel().await);
            let status = client.status(pb::StatusRequest {}).await.expect("told").into_inner();
            let own = status.header.expect("a header").member_id;
            if status.leader == own {
                return at;
            }
        }
        pause.tick().await;
    }
    panic!("no leader within {PATIENCE:?}");
}

#[tokio::test]
async fn a_leader_of_three_hands_over_and_ends_in_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut members = quorum(folder.path(), 3).await;
    members[0].put("a", "1").await;
    let mut old = members.remove(leader(&members).await);
    let (status, took) = old.end(Signal::TERM).await;
    assert!(status.success(), "{status}");
    assert!(took < END_WITHIN, "the leader took {took:?} to end");
    let began = Instant::now();
    members[0].put("a", "2").await;
    assert!(began.elapsed() < END_WITHIN, "no leader for {:?}", began.elapsed());
    assert_eq!(members[1].get("a").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn three_healthy_members_log_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut members = quorum(folder.path(), 3).await;
    for (at, member) in members.iter().enumerate() {
        member.put("a", &at.to_string()).await;
        let mut maintenance = MaintenanceClient::new(member.channel().await);
        maintenance.defragment(pb::DefragmentRequest {}).await.expect("it is done");
    }
    let compaction = pb::CompactionRequest { revision: 3, physical: true };
    members[0].kv().await.compact(compaction).await.expect("it is done");
    let led = leader(&members).await;
    members.swap(led, 2);
    // The leader last: it looks for a successor, and there is none any more.
    for member in &mut members {
        let (status, _) = member.end(Signal::TERM).await;
        assert!(status.success(), "{status}");
    }
    for at in 0..3 {
        let log = std::fs::read_to_string(folder.path().join(format!("n{at}.log")));
        let log = log.expect("a log");
        assert!(log.contains("closed etcd server"), "it is whole:\n{log}");
        let errors: Vec<_> =
            log.lines().filter(|line| line.contains(r#""level":"error""#)).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

/// What a member says of leader and term, over a connection that is there already.
async fn status(client: &mut MaintenanceClient<Channel>) -> (u64, u64) {
    let status = client.status(pb::StatusRequest {}).await.expect("told").into_inner();
    (status.leader, status.raft_term)
}

#[tokio::test]
async fn a_stopped_leader_is_followed_within_half_a_second_at_the_next_term() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut members = quorum(folder.path(), 3).await;
    let mut old = members.remove(leader(&members).await);
    let mut other = MaintenanceClient::new(members[0].channel().await);
    let (before, term) = status(&mut other).await;
    let began = Instant::now();
    old.signal(Signal::TERM);
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    let (took, next_term) = loop {
        let (now, term) = status(&mut other).await;
        if now != before && now != 0 {
            break (began.elapsed(), term);
        }
        assert!(began.elapsed() < PATIENCE, "nobody follows");
        pause.tick().await;
    };
    assert!(took < FOLLOWED_WITHIN, "the next leader took {took:?}");
    assert_eq!(next_term, term + 1);
    let ended = tokio::time::timeout(PATIENCE, old.child.wait()).await;
    let status = ended.expect("it ends").expect("it can be waited for");
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn five_members_go_on_without_two() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut members = quorum(folder.path(), 5).await;
    members[4].put("a", "1").await;
    for _ in 0..2 {
        let at = leader(&members).await;
        members.remove(at).kill().await;
        // The others elect one of them before they answer.
        leader(&members).await;
    }
    members[0].put("a", "2").await;
    assert_eq!(members[2].get("a").await.as_deref(), Some("2"));
}
