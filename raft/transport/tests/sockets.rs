//! Three members over real sockets and threads: the production runtime in one process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engram_raft_transport as raft_transport;
use proto::etcdserverpb::PutRequest;
use proto::log::{Command, command};
use raft::log::MemoryLogFiles;
use raft::{
    Bootstrap, Consensus, InitialMember, MemberConfig, MembershipRules, Parts, Publisher,
    Retention, RuntimeChoice, Timing, Transport as _,
};
use raft_transport::TonicTransport;
use store::engine::MemoryEngines;
use store::{AppliedBatch, MemberId, Reader, Revision};
use tokio::net::TcpListener;

struct Nobody;

impl Publisher for Nobody {
    fn publish(&self, _batch: &AppliedBatch) {}
    fn installed(&self, _revision: Revision) {}
}

async fn listeners(count: usize) -> Vec<TcpListener> {
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
    }
    listeners
}

fn cluster_of(listeners: &[TcpListener]) -> Vec<InitialMember> {
    let address = |listener: &TcpListener| listener.local_addr().expect("bound");
    let member = |(number, listener): (usize, &TcpListener)| InitialMember {
        name: format!("m{number}"),
        peer_urls: vec![format!("http://{}", address(listener))],
    };
    listeners.iter().enumerate().map(member).collect()
}

async fn start(
    number: usize,
    cluster: &[InitialMember],
    listener: TcpListener,
) -> (Consensus, Reader) {
    let config = MemberConfig {
        name: format!("m{number}"),
        cluster_token: "sockets".to_owned(),
        initial_cluster: cluster.to_vec(),
        bootstrap: Bootstrap::New,
        rules: MembershipRules::default(),
        force_new_cluster: false,
        timing: Timing::default(),
        retention: Retention::default(),
        log_limits: raft::log::LogLimits::default(),
        bootstrap_timeout: Duration::from_millis(100),
        seed: number as u64 + 1,
    };
    let parts = Parts {
        engines: Arc::new(MemoryEngines::new()),
        log_files: Arc::new(MemoryLogFiles::new()),
        transport: Arc::new(TonicTransport::new()),
        publisher: Arc::new(Nobody),
        snapshot_dir: PathBuf::new(),
        runtime: RuntimeChoice::Dedicated,
    };
    let (consensus, reader) = Consensus::start(config, parts).await.expect("the member starts");
    let handler = consensus.peer_handler();
    let listener = listener.into_std().expect("a std listener");
    consensus.runtime().spawn(async move {
        let listener = TcpListener::from_std(listener).expect("a tokio listener");
        let incoming = raft_transport::tcp_incoming(vec![listener]);
        raft_transport::serve(incoming, handler, std::future::pending()).await
    });
    (consensus, reader)
}

async fn leader(members: &[(Consensus, Reader)]) -> usize {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let leads = |member: &(Consensus, Reader)| member.0.leadership().is_leader;
        if let Some(leader) = members.iter().position(leads) {
            return leader;
        }
        assert!(Instant::now() < deadline, "no leader in half a minute");
        let mut changes = members[0].0.leadership_changes();
        drop(tokio::time::timeout(Duration::from_millis(20), changes.changed()).await);
    }
}

fn put(key: &str) -> Command {
    let request =
        PutRequest { key: key.to_owned().into(), value: "v".into(), ..Default::default() };
    Command { header: None, request: Some(command::Request::Put(request)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_agree_over_sockets_and_hand_over_on_a_clean_stop() {
    let listeners = listeners(3).await;
    let cluster = cluster_of(&listeners);
    let mut members = Vec::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        members.push(start(number, &cluster, listener).await);
    }
    let first = leader(&members).await;
    for number in 0..30 {
        let (consensus, reader) = &members[number % 3];
        let outcome = consensus.propose(put(&format!("k{number}"))).await.expect("accepted");
        assert!(reader.revision() >= outcome.revision);
        members[(number + 1) % 3].0.read_index().await.expect("confirmed");
        assert!(members[(number + 1) % 3].1.revision() >= outcome.revision);
    }
    let began = Instant::now();
    let (stopped, _) = members.remove(first);
    stopped.shutdown().await;
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    leader(&members).await;
    members[0].0.propose(put("after")).await.expect("accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_run_is_told_from_one_that_does_not_answer() {
    let listeners = listeners(2).await;
    let cluster = cluster_of(&listeners);
    let mut listeners = listeners.into_iter();
    let running = listeners.next().expect("two");
    let (consensus, _) = start(0, &cluster[..1], running).await;
    drop(listeners);
    let transport = TonicTransport::new();
    let hello = |urls: &[String]| {
        let address = raft::PeerAddress { member_id: MemberId(0), peer_urls: urls.to_vec() };
        let peer = transport.peer(&address, raft::Lane::Requests);
        async move { peer.hello(proto::peer::HelloRequest { header: None }).await }
    };
    let answer = hello(&cluster[0].peer_urls).await.expect("the member answers");
    assert_eq!(answer.member_id, consensus.ids().1.0);
    let nobody = hello(&cluster[1].peer_urls).await.expect_err("nobody answers");
    assert!(matches!(nobody, raft::PeerError::Unreachable(_)), "{nobody:?}");
    // A call that names another member than the one it reaches is refused.
    let address =
        raft::PeerAddress { member_id: MemberId(1), peer_urls: cluster[0].peer_urls.clone() };
    let peer = transport.peer(&address, raft::Lane::Heartbeat);
    let header = proto::peer::PeerHeader {
        cluster_id: answer.cluster_id,
        from_member_id: 7,
        to_member_id: 1,
        from_identity: vec![1; 16].into(),
        to_identity: Default::default(),
    };
    let vote = proto::peer::VoteRequest { header: Some(header), ..Default::default() };
    let refused = peer.vote(vote).await.expect_err("the identity does not match");
    assert!(matches!(refused, raft::PeerError::Identity(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_forwarded_proposals_leave_the_connection_whole() {
    let listeners = listeners(3).await;
    let cluster = cluster_of(&listeners);
    let mut members = Vec::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        members.push(start(number, &cluster, listener).await);
    }
    let leader = leader(&members).await;
    let (follower, _) = &members[(leader + 1) % 3];
    for round in 0..30 {
        let proposals = (0..100).map(|number| {
            let follower = follower.clone();
            async move { follower.propose(put(&format!("{round}-{number}"))).await }
        });
        let outcomes = futures::future::join_all(proposals).await;
        assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|o| o.is_err()));
    }
}
