//! Members in this process, over memory engines, memory logs and a memory network, with real client
//! ports: what a test sees is what any etcd client sees.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engram_server as server;
use proto::etcdserverpb as pb;
use raft::log::MemoryLogFiles;
use raft::{MemoryNetwork, RuntimeChoice};
use server::clock::{Clock, Moment, SystemClock};
use server::config::{self, Endpoint};
use server::{Member, MemberParts};
use services::etcdserverpb::cluster_client::ClusterClient;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use services::etcdserverpb::watch_client::WatchClient;
use services::v3electionpb::election_client::ElectionClient;
use services::v3lockpb::lock_client::LockClient;
use store::engine::MemoryEngines;
use tonic::transport::Channel;

/// Long enough for a loaded machine; nothing waits this long when things work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One member with its client port.
pub(crate) struct Node {
    pub(crate) member: Arc<Member>,
    pub(crate) address: String,
    pub(crate) channel: Channel,
}

impl Node {
    pub(crate) fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }

    pub(crate) fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone())
    }

    pub(crate) fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel.clone())
    }

    pub(crate) fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone())
    }

    pub(crate) fn lock(&self) -> LockClient<Channel> {
        LockClient::new(self.channel.clone())
    }

    pub(crate) fn election(&self) -> ElectionClient<Channel> {
        ElectionClient::new(self.channel.clone())
    }

    pub(crate) fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone())
    }

    pub(crate) async fn put(&self, key: &str, value: &str) -> i64 {
        self.put_with_lease(key, value, 0).await
    }

    pub(crate) async fn put_with_lease(&self, key: &str, value: &str, lease: i64) -> i64 {
        let request = pb::PutRequest {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
            lease,
            ..Default::default()
        };
        let answer = self.kv().put(request).await.expect("a put is accepted").into_inner();
        answer.header.expect("a header").revision
    }

    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let request = pb::RangeRequest { key: key.to_owned().into(), ..Default::default() };
        let answer = self.kv().range(request).await.expect("a range is answered").into_inner();
        let kv = answer.kvs.into_iter().next()?;
        Some(String::from_utf8_lossy(&kv.value).into_owned())
    }
}

/// A clock that goes only when it is told to.
#[derive(Default)]
pub(crate) struct SteppedClock(std::sync::Mutex<Duration>);

impl SteppedClock {
    /// Lets time pass.
    pub(crate) fn step(&self, by: Duration) {
        *self.0.lock().expect("no holder panics") += by;
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Moment {
        Moment(*self.0.lock().expect("no holder panics"))
    }
}

/// What outlives a member that is stopped and started again, and its clock.
pub(crate) struct Ground {
    engines: Arc<MemoryEngines>,
    log_files: Arc<MemoryLogFiles>,
    clock: Arc<dyn Clock>,
}

impl Ground {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let (engines, log_files) = (MemoryEngines::new(), MemoryLogFiles::new());
        Ground { engines: Arc::new(engines), log_files: Arc::new(log_files), clock }
    }

    /// The same disks under another clock.
    pub(crate) fn under(self, clock: Arc<dyn Clock>) -> Self {
        Ground { clock, ..self }
    }
}

/// One member alone on this ground, ready.
pub(crate) async fn one_on(ground: &Ground) -> Node {
    one_on_with(ground, "").await
}

/// One member alone on this ground with more flags, ready.
pub(crate) async fn one_on_with(ground: &Ground, flags: &str) -> Node {
    let member = start_on(&MemoryNetwork::new(), 1, 0, flags, ground).await;
    member.ready().await.expect("the member gets ready");
    serve(member).await
}

/// One member alone, ready.
pub(crate) async fn one() -> Node {
    one_with("").await
}

/// One member alone with more flags, ready.
pub(crate) async fn one_with(flags: &str) -> Node {
    let mut nodes = cluster_with(1, flags).await;
    nodes.remove(0)
}

/// Several members, ready.
pub(crate) async fn cluster(size: usize) -> Vec<Node> {
    cluster_with(size, "").await
}

/// Several members with more flags, ready.
pub(crate) async fn cluster_with(size: usize, flags: &str) -> Vec<Node> {
    cluster_on(&MemoryNetwork::new(), size, flags).await
}

/// Several members whose leases go by this clock, ready.
pub(crate) async fn cluster_under(clock: &Arc<SteppedClock>, size: usize) -> Vec<Node> {
    let network = MemoryNetwork::new();
    let mut started = Vec::new();
    for at in 0..size {
        let ground = Ground::new(Arc::clone(clock) as _);
        started.push(start_on(&network, size, at, "", &ground).await);
    }
    served(started).await
}

/// Several members on a network that more may join.
pub(crate) async fn cluster_on(network: &MemoryNetwork, size: usize, flags: &str) -> Vec<Node> {
    let mut started = Vec::new();
    for at in 0..size {
        started.push(start(network, size, at, flags).await);
    }
    served(started).await
}

async fn served(started: Vec<Arc<Member>>) -> Vec<Node> {
    let mut nodes = Vec::new();
    for member in started {
        member.ready().await.expect("the member gets ready");
        nodes.push(serve(member).await);
    }
    nodes
}

async fn start(network: &MemoryNetwork, size: usize, at: usize, flags: &str) -> Arc<Member> {
    start_on(network, size, at, flags, &Ground::new(SystemClock::shared())).await
}

/// The peer URL of a member by its number.
pub(crate) fn peer_url(at: usize) -> String {
    format!("http://127.0.0.1:{}", 1000 + at)
}

/// The last of `size` members, added to the others before under this id; ready.
pub(crate) async fn join(network: &MemoryNetwork, size: usize, id: u64) -> Node {
    let (flags, ground) = ("--initial-cluster-state existing", Ground::new(SystemClock::shared()));
    let member = start_as(network, size, size - 1, flags, &ground, store::MemberId(id)).await;
    member.ready().await.expect("the member gets ready");
    serve(member).await
}

async fn start_on(
    network: &MemoryNetwork,
    size: usize,
    at: usize,
    flags: &str,
    ground: &Ground,
) -> Arc<Member> {
    let id = raft::static_member_id(&[peer_url(at)], "etcd-cluster");
    start_as(network, size, at, flags, ground, id).await
}

async fn start_as(
    network: &MemoryNetwork,
    size: usize,
    at: usize,
    flags: &str,
    ground: &Ground,
    id: store::MemberId,
) -> Arc<Member> {
    let urls: Vec<String> = (0..size).map(peer_url).collect();
    let cluster: Vec<String> = (0..size).map(|at| format!("n{at}={}", urls[at])).collect();
    let own = &urls[at];
    let line = format!(
        "--name n{at} --listen-peer-urls {own} --initial-advertise-peer-urls {own} \
         --initial-cluster {} --heartbeat-interval 20 --election-timeout 200 {flags}",
        cluster.join(",")
    );
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let config = config::read(&words, &BTreeMap::new()).expect("valid flags").config;
    let parts = MemberParts {
        engines: Arc::clone(&ground.engines) as _,
        log_files: Arc::clone(&ground.log_files) as _,
        snapshot_dir: std::env::temp_dir(),
        transport: network.transport(id, std::slice::from_ref(own)),
        runtime: RuntimeChoice::Caller { sync_takes: Duration::from_millis(1) },
        clock: Arc::clone(&ground.clock),
        seed: at as u64 + 1,
        tuning: server::Tuning::default(),
        onlooker: None,
    };
    let member = Member::start(config, parts).await.expect("the member starts");
    network.attach(id, member.peer_handler());
    member
}

async fn serve(member: Arc<Member>) -> Node {
    let any_port = Endpoint::read("http://127.0.0.1:0").expect("a valid URL");
    let listener = server::reserve(&any_port).expect("a free port").listen().expect("listens");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(server::serve_clients(Arc::clone(&member), vec![listener]));
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a valid URL");
    let channel = endpoint.connect().await.expect("the port is open");
    Node { member, address, channel }
}

/// Asks again until the answer is there.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        pause.tick().await;
    }
}

/// One HTTP/1.1 request; the code and the body.
pub(crate) async fn http(address: &str, method: &str, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the port is open");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, body.to_owned())
}
