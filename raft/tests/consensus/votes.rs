//! What a member promised when it voted: kept over a crash, and never guessed when it is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engram_raft::StartError;
use engram_raft::log::{Log, LogEntry, LogFiles, LogLimits, MemoryLogFiles, Owner};
use prost::Message as _;
use proto::peer;
use store::engine::MemoryEngines;

use crate::cluster::{Cluster, passes};

/// An entry as it stands in the log.
#[derive(Clone)]
struct Raw {
    term: u64,
    index: u64,
    message: Bytes,
}

impl LogEntry for Raw {
    fn term(&self) -> u64 {
        self.term
    }

    fn index(&self) -> u64 {
        self.index
    }

    fn encode(&self) -> Vec<u8> {
        self.message.to_vec()
    }

    fn bytes(&self) -> usize {
        self.message.len()
    }

    fn decode(message: Bytes) -> Option<Self> {
        let entry = proto::log::Entry::decode(message.clone()).ok()?;
        Some(Raw { term: entry.term, index: entry.index, message })
    }
}

/// The same directory with the same entries, and `vote` in the place of every vote.
fn with_vote(files: &MemoryLogFiles, owner: Owner, vote: Option<Bytes>) -> MemoryLogFiles {
    let limits = LogLimits { segment_bytes: 256 << 10, ..LogLimits::default() };
    let open = |files: MemoryLogFiles| {
        let (log, driver, _) = Log::<Raw>::open(Arc::new(files), owner, limits).expect("sound");
        (log, driver)
    };
    let left = MemoryLogFiles::new();
    for name in files.list().expect("a list").iter().filter(|name| !name.ends_with(".log")) {
        if let Some(content) = files.read_file(name).expect("read") {
            left.write_file(name, &content).expect("written");
        }
    }
    let (before, _driver) = open(files.fork(|| true));
    let entries = before.read(before.first_index(), u64::MAX, usize::MAX).expect("sound entries");
    assert!(entries.iter().any(|entry| entry.term > 0), "a log with entries of a leader");
    let (log, mut driver) = open(left.clone());
    if let Some(vote) = vote {
        log.save_vote(vote, Box::new(drop)).expect("taken");
    }
    log.append(entries, Box::new(drop)).expect("they follow one another");
    driver.step_untimed();
    driver.tell_when_idle();
    left
}

/// Asks a member for its vote in another's name. *Shape*: whether it was given.
async fn asks(cluster: &Cluster, candidate: usize, voter: usize, term: u64) -> bool {
    let hello = async |number: usize| {
        let handler = cluster.consensus(number).peer_handler();
        handler.hello(peer::HelloRequest::default()).await.expect("an answer")
    };
    let (of, to) = (hello(candidate).await, hello(voter).await);
    let header = peer::PeerHeader {
        cluster_id: of.cluster_id,
        from_member_id: of.member_id,
        to_member_id: to.member_id,
        from_identity: of.identity,
        to_identity: to.identity,
    };
    let request = peer::VoteRequest {
        header: Some(header),
        vote: Some(peer::Vote { term, voted_for: of.member_id, committed: false }),
        last_log_id: Some(peer::LogId { term: term - 1, index: 1000 }),
        leadership_transfer: true,
    };
    let answer = cluster.consensus(voter).peer_handler().vote(request).await.expect("an answer");
    answer.vote_granted
}

#[tokio::test(start_paused = true)]
async fn one_vote_in_a_term_is_kept_over_a_crash_and_none_is_given_once_it_is_lost() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let voter = cluster.follower().await;
    let third = 3 - leader - voter;
    cluster.put(leader, "key", "value").await.expect("accepted");
    cluster.assert_alike().await;
    cluster.isolate(voter);
    passes(Duration::from_secs(5)).await;
    let term = cluster.consensus(voter).leadership().term + 50;
    assert!(asks(&cluster, leader, voter, term).await, "nobody has its vote yet");
    assert!(!asks(&cluster, third, voter, term).await, "a second vote in one term");
    cluster.kill(voter).await;
    cluster.start(voter).await.expect("the member starts again");
    cluster.isolate(voter);
    assert!(!asks(&cluster, third, voter, term).await, "a second vote in one term");
    // Its entries are there, and what it voted is not; nor is there a state that tells of a term.
    let (cluster_id, id) = cluster.consensus(voter).ids();
    let owner = Owner { cluster_id: cluster_id.0, member_id: id.0 };
    cluster.kill(voter).await;
    let sound = cluster.nodes[voter].files.clone();
    let old = vote_of(0);
    for (vote, told) in [(None, "there is no vote in it"), (Some(old), "is of term 0 in it")] {
        cluster.nodes[voter].files = with_vote(&sound, owner, vote);
        cluster.nodes[voter].engines = MemoryEngines::new();
        let refused = cluster.start(voter).await.expect_err("it must not vote again");
        assert!(matches!(refused, StartError::Log(_)), "{refused:?}");
        let refused = refused.to_string();
        assert!(refused.contains(told) && refused.contains("must be replaced"), "{refused}");
    }
    cluster.network.mend_all();
    cluster.put(leader, "key", "again").await.expect("two of three still agree");
}

/// A vote as a member writes it for itself: version 1, term, whom, whether it leads.
fn vote_of(term: u64) -> Bytes {
    [&[1][..], &term.to_le_bytes(), &7u64.to_le_bytes(), &[0]].concat().into()
}
