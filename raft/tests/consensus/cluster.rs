//! A cluster in one process: members over memory engines, memory logs and a memory network, all on
//! the test's paused, single-threaded runtime.
//!
//! Time passes only while everybody waits, so a test takes milliseconds and `eventually` may be
//! generous.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engram_raft::log::{LogLimits, MemoryLogFiles};
use engram_raft::{
    Bootstrap, Consensus, InitialMember, MemberConfig, MembershipRules, MemoryNetwork, Parts,
    ProposeError, Publisher, Retention, RuntimeChoice, StartError, Timing, static_member_id,
};
use parking_lot::Mutex;
use proto::etcdserverpb::{PutRequest, RangeRequest};
use proto::log::{Command, command};
use store::engine::MemoryEngines;
use store::{AppliedBatch, MemberId, Outcome, Reader, Response, Revision};
use tokio::time::Instant;

use crate::wire::Wire;

/// What a member's publisher heard.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) revisions: Mutex<Vec<i64>>,
    pub(crate) installs: Mutex<Vec<i64>>,
}

impl Publisher for Heard {
    fn publish(&self, batch: &AppliedBatch) {
        self.revisions.lock().extend(batch.events.iter().map(|events| events.revision.0));
    }

    fn installed(&self, revision: Revision) {
        self.installs.lock().push(revision.0);
    }
}

/// One member: what outlives its process, and the process.
pub(crate) struct Node {
    pub(crate) id: MemberId,
    pub(crate) config: MemberConfig,
    pub(crate) engines: MemoryEngines,
    pub(crate) files: MemoryLogFiles,
    pub(crate) heard: Arc<Heard>,
    pub(crate) running: Option<(Consensus, Reader)>,
    starts: u64,
}

pub(crate) struct Cluster {
    pub(crate) network: MemoryNetwork,
    pub(crate) wire: Arc<Wire>,
    pub(crate) nodes: Vec<Node>,
}

impl Cluster {
    /// Members that have not started.
    pub(crate) fn new(size: usize) -> Self {
        let names: Vec<String> = (0..size).map(|number| format!("m{number}")).collect();
        let member = |name: &String| InitialMember {
            name: name.clone(),
            peer_urls: vec![format!("http://{name}:2380")],
        };
        let initial_cluster: Vec<InitialMember> = names.iter().map(member).collect();
        let nodes = initial_cluster.iter().map(|member| Node {
            id: static_member_id(&member.peer_urls, "test"),
            config: MemberConfig {
                name: member.name.clone(),
                cluster_token: "test".to_owned(),
                initial_cluster: initial_cluster.clone(),
                bootstrap: Bootstrap::New,
                rules: MembershipRules::default(),
                force_new_cluster: false,
                timing: Timing::default(),
                retention: Retention::default(),
                // Small: a file in memory takes its whole length.
                log_limits: LogLimits { segment_bytes: 256 << 10, ..LogLimits::default() },
                bootstrap_timeout: Duration::from_secs(1),
                seed: 0,
            },
            engines: MemoryEngines::new(),
            files: MemoryLogFiles::new(),
            heard: Arc::default(),
            running: None,
            starts: 0,
        });
        let (network, wire) = (MemoryNetwork::new(), Arc::default());
        Self { network, wire, nodes: nodes.collect() }
    }

    /// Members that run, with a leader.
    pub(crate) async fn started(size: usize) -> Self {
        let mut cluster = Self::new(size);
        cluster.start_all().await;
        cluster.leader().await;
        cluster
    }

    pub(crate) async fn start_all(&mut self) {
        for number in 0..self.nodes.len() {
            self.start(number).await.expect("the member starts");
        }
    }

    pub(crate) async fn start(&mut self, number: usize) -> Result<(), StartError> {
        let peer_urls = self.nodes[number].config.this_member()?.peer_urls.clone();
        self.start_at(number, &peer_urls).await
    }

    /// Starts a member where it listens under these URLs.
    pub(crate) async fn start_at(
        &mut self,
        number: usize,
        peer_urls: &[String],
    ) -> Result<(), StartError> {
        let network = self.network.clone();
        let node = &mut self.nodes[number];
        node.starts += 1;
        let mut config = node.config.clone();
        config.seed = 1000 * (number as u64 + 1) + node.starts;
        let parts = Parts {
            engines: Arc::new(node.engines.clone()),
            log_files: Arc::new(node.files.clone()),
            transport: self.wire.over(network.transport(node.id, peer_urls)),
            publisher: Arc::clone(&node.heard) as Arc<dyn Publisher>,
            snapshot_dir: PathBuf::new(),
            runtime: RuntimeChoice::Caller { sync_takes: Duration::from_millis(1) },
        };
        let (consensus, reader) = Consensus::start(config, parts).await?;
        network.attach(node.id, consensus.peer_handler());
        node.running = Some((consensus, reader));
        Ok(())
    }

    /// Ends a member without a word, and loses what was not flushed.
    pub(crate) async fn kill(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        self.network.detach(node.id);
        node.engines.crash();
        node.files = node.files.fork(|| false);
        let (consensus, _) = node.running.take().expect("the member runs");
        consensus.kill().await;
    }

    /// Ends a member cleanly.
    pub(crate) async fn stop(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let (consensus, _) = node.running.take().expect("the member runs");
        consensus.shutdown().await;
        self.network.detach(node.id);
    }

    pub(crate) fn consensus(&self, number: usize) -> &Consensus {
        &self.nodes[number].running.as_ref().expect("the member runs").0
    }

    pub(crate) fn reader(&self, number: usize) -> &Reader {
        &self.nodes[number].running.as_ref().expect("the member runs").1
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|number| self.nodes[*number].running.is_some())
    }

    /// The number of the member that leads, once one does.
    pub(crate) async fn leader(&self) -> usize {
        eventually("a leader", || {
            self.running().find(|number| self.consensus(*number).leadership().is_leader)
        })
        .await
    }

    /// A member that does not lead.
    pub(crate) async fn follower(&self) -> usize {
        let leader = self.leader().await;
        self.running().find(|number| *number != leader).expect("there are others")
    }

    pub(crate) fn isolate(&self, number: usize) {
        let others = self.nodes.iter().map(|node| node.id);
        let id = self.nodes[number].id;
        self.network.isolate(id, others.filter(|other| *other != id));
    }

    pub(crate) async fn put(
        &self,
        number: usize,
        key: &str,
        value: &str,
    ) -> Result<i64, ProposeError> {
        let outcome = self.consensus(number).propose(put(key, value)).await?;
        Ok(put_revision(&outcome))
    }

    /// A linearizable read.
    pub(crate) async fn get(&self, number: usize, key: &str) -> Option<String> {
        self.consensus(number).read_index().await.expect("a quorum confirms the read");
        get(self.reader(number), key)
    }

    /// Waits until all running members have applied as much, and compares their states.
    pub(crate) async fn assert_alike(&self) {
        let digests = eventually("members alike", || {
            let mut states: Vec<_> =
                self.running().map(|number| self.reader(number).digest_at_applied()).collect();
            let first = states[0];
            states.retain(|state| state.0 != first.0);
            states.is_empty().then_some(first)
        })
        .await;
        for number in self.running() {
            assert_eq!(self.reader(number).digest_at_applied(), digests, "member {number}");
            assert_eq!(self.consensus(number).metrics().digest_mismatches, 0);
        }
    }
}

/// Polls until there is something, for a minute of the paused clock.
pub(crate) async fn eventually<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} within a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lets the paused clock run on: nothing waits in real time.
pub(crate) async fn passes(virtual_time: Duration) {
    tokio::time::sleep(virtual_time).await;
}

pub(crate) fn put(key: &str, value: &str) -> Command {
    let request = PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ..Default::default()
    };
    Command { header: None, request: Some(command::Request::Put(request)) }
}

pub(crate) fn put_revision(outcome: &Outcome) -> i64 {
    assert!(matches!(outcome.result, Ok(Response::Put(_))), "{outcome:?}");
    outcome.revision.0
}

pub(crate) fn get(reader: &Reader, key: &str) -> Option<String> {
    use prost::Message as _;
    let request = RangeRequest { key: key.to_owned().into(), ..Default::default() };
    let response = reader.range(&request).expect("the read is served");
    let bytes = response.encode_to_vec();
    let response = proto::etcdserverpb::RangeResponse::decode(&bytes[..]).expect("an answer");
    let kv = response.kvs.into_iter().next()?;
    Some(String::from_utf8(kv.value.to_vec()).expect("text"))
}
