//! One member: consensus, state, watches and the leader's time, joined.
//!
//! Invariants: what is published to watchers is what was applied, in that order; a proposal's
//! answer follows the publishing of its events; everything ends when `stop` is called.
//! Must not know: gRPC and HTTP, files, sockets.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message as _;
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::{AlarmMember, AlarmRequest, AlarmType, RangeRequest, TxnRequest};
use proto::log::{Command, CommandHeader, MemberAttributes, command};
use proto::spliced;
use proto::status::EtcdError;
use raft::{Consensus, Leadership, ReadIndexError};
use store::auth::Call;
use store::{LeaseId, Reader, Response, Revision, StorageError, validate};
use tokio::sync::{Semaphore, watch as channel};

use crate::auth::{Auth, Caller, Identity, SimpleTokens};
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::doors::Traffic;
use crate::errors::ServeError;
use crate::lease::{LeaderDoor, Leases, keep_time};
use crate::limits::LARGE_RANGES_MAX;
use crate::metrics::Metrics;
use crate::metrics::calls::Calls;
use crate::metrics::counts::AppliedCounts;
use crate::peer_meter::{MeteredHandler, MeteredTransport, PeerMeters};
use crate::publish::Publishing;
use crate::quota::cost_bytes;
use crate::random::Numbers;
use crate::snapshot::Snapshots;
use crate::spans::Spans;
use crate::tuning::Tuning;

/// The ids in every answer's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// The cluster's.
    pub cluster_id: u64,
    /// This member's.
    pub member_id: u64,
}

/// What the composition root hands over.
pub struct MemberParts {
    /// Engines, log files and the way to the peers.
    pub engines: Arc<dyn store::engine::Engines>,
    /// The files of the log.
    pub log_files: Arc<dyn raft::log::LogFiles>,
    /// A directory for snapshots under way, on the engines' file system.
    pub snapshot_dir: PathBuf,
    /// The way to the peers.
    pub transport: Arc<dyn raft::Transport>,
    /// Where consensus runs.
    pub runtime: raft::RuntimeChoice,
    /// The clock of leases and compaction.
    pub clock: Arc<dyn Clock>,
    /// Where all randomness of this member comes from.
    pub seed: u64,
    /// What no flag sets.
    pub tuning: Tuning,
    /// Who stands between what is applied and those who are told; nobody but in simulation.
    pub onlooker: Option<Onlooker>,
}

/// Takes the publisher of a member, which tells watchers and the leader's time, and gives the one
/// that consensus tells in its place.
pub type Onlooker = Box<dyn FnOnce(Arc<dyn raft::Publisher>) -> Arc<dyn raft::Publisher> + Send>;

/// One running member.
pub struct Member {
    config: ServerConfig,
    ids: Ids,
    consensus: Consensus,
    reader: Reader,
    publishing: Arc<Publishing>,
    numbers: Numbers,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    peers: Arc<PeerMeters>,
    traffic: Arc<Traffic>,
    large_ranges: Semaphore,
    pub(crate) snapshots: Snapshots,
    auth: Auth,
    /// None unless an operator wants them.
    spans: Option<Spans>,
    stop: channel::Sender<bool>,
    /// True while there has been no leader for several election timeouts.
    pub(crate) leaderless: channel::Sender<bool>,
}

/// An applied command.
pub(crate) struct Applied {
    pub(crate) response: Response,
    pub(crate) revision: Revision,
}

impl Member {
    /// Starts the consensus of a member and its tasks on the current runtime.
    ///
    /// *Durability*: on return the member takes part in the cluster; it may not know a leader yet.
    /// *Errors*: those of the consensus' start; nothing runs then.
    pub async fn start(
        config: ServerConfig,
        parts: MemberParts,
    ) -> Result<Arc<Self>, raft::StartError> {
        let peers = Arc::new(PeerMeters::default());
        let auth =
            Auth::open(&config).map_err(|error| raft::StartError::Config(error.to_string()))?;
        let (clock, tuning) = (Arc::clone(&parts.clock), &parts.tuning);
        let publishing = Arc::new(Publishing::new(clock, config.auth_token_ttl, tuning));
        let publisher = Arc::clone(&publishing) as Arc<dyn raft::Publisher>;
        let spans = config.spans.as_ref().map(Spans::open).transpose();
        let spans = spans.map_err(raft::StartError::Config)?;
        let raft_parts = raft::Parts {
            engines: parts.engines,
            log_files: parts.log_files,
            snapshot_dir: parts.snapshot_dir.clone(),
            transport: Arc::new(MeteredTransport::new(parts.transport, Arc::clone(&peers))),
            publisher: match parts.onlooker {
                Some(onlooker) => onlooker(publisher),
                None => publisher,
            },
            runtime: parts.runtime,
        };
        let raft_config = raft_config(&config, &parts.tuning, parts.seed);
        let (consensus, reader) = Consensus::start(raft_config, raft_parts).await?;
        publishing.open(&reader, parts.tuning.watch_limits);
        let (cluster_id, member_id) = consensus.ids();
        let member = Arc::new(Member {
            ids: Ids { cluster_id: cluster_id.0, member_id: member_id.0 },
            metrics: Metrics::new(),
            peers,
            traffic: Arc::default(),
            large_ranges: Semaphore::new(LARGE_RANGES_MAX),
            snapshots: Snapshots::new(parts.snapshot_dir),
            auth,
            spans,
            numbers: Numbers::new(parts.seed),
            clock: parts.clock,
            stop: channel::Sender::new(false),
            leaderless: channel::Sender::new(false),
            config,
            consensus,
            reader,
            publishing,
        });
        member.consensus.serve_leader_calls(Arc::new(LeaderDoor(Arc::downgrade(&member))));
        tokio::spawn(keep_time(Arc::clone(&member)));
        tokio::spawn(crate::tasks::count_leaders(Arc::clone(&member)));
        tokio::spawn(crate::tasks::watch_for_leaders(Arc::clone(&member)));
        tokio::spawn(crate::tasks::compact_by_itself(Arc::clone(&member)));
        tokio::spawn(crate::tasks::raise_corruption(Arc::clone(&member)));
        Ok(member)
    }

    /// Waits until there is a leader and this member's own name and URLs are in the state.
    ///
    /// *Errors*: the member was stopped.
    pub async fn ready(&self) -> Result<(), ServeError> {
        let attributes = MemberAttributes {
            member_id: self.ids.member_id,
            name: self.config.name.clone(),
            client_urls: self.config.advertise_client_urls.iter().map(|u| u.text.clone()).collect(),
        };
        loop {
            let confirmed = self.read_index().await;
            if confirmed == Err(ReadIndexError::Stopped) {
                return Err(EtcdError::Stopped.into());
            }
            if confirmed.is_ok() {
                if self.reader.members().contains(&attributes) {
                    return Ok(());
                }
                let said = command::Request::MemberAttributes(attributes.clone());
                match self.propose(&Caller::member(), said).await {
                    Ok(_) => return Ok(()),
                    Err(ServeError::Etcd(EtcdError::Stopped)) => {
                        return Err(EtcdError::Stopped.into());
                    }
                    Err(error) => tracing::debug!(%error, "own attributes are not published yet"),
                }
            }
            if *self.stop.borrow() {
                return Err(EtcdError::Stopped.into());
            }
        }
    }

    /// Hands leadership over and stops. *Durability*: everything acknowledged stays.
    pub async fn stop(&self) {
        if self.stop.send_replace(true) {
            return;
        }
        self.consensus.shutdown().await;
        if let Some(spans) = &self.spans {
            spans.close().await;
        }
    }

    /// Ends without a word to anybody, as a process that is killed. *Durability*: what is on the
    /// disks by then.
    pub async fn kill(&self) {
        self.stop.send_replace(true);
        self.consensus.kill().await;
    }

    /// A receiver that turns true when the member stops.
    pub(crate) fn stopped(&self) -> channel::Receiver<bool> {
        self.stop.subscribe()
    }

    /// What the member was told at its start.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// The ids in every header.
    pub fn ids(&self) -> Ids {
        self.ids
    }

    /// The consensus this member takes part in.
    pub fn consensus(&self) -> &Consensus {
        &self.consensus
    }

    /// The state as of the last applied batch.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Who leads, as far as this member can prove it.
    pub fn leadership(&self) -> Leadership {
        self.consensus.leadership()
    }

    /// Whether this member only receives the log.
    pub fn is_learner(&self) -> bool {
        self.consensus.is_learner()
    }

    pub(crate) fn hub(&self) -> &watch::Hub {
        self.publishing.hub()
    }

    pub(crate) fn leases(&self) -> &Leases {
        self.publishing.leases()
    }

    pub(crate) fn simple_tokens(&self) -> &SimpleTokens {
        self.publishing.tokens()
    }

    /// Changes whenever users, roles or the switch may have changed.
    pub(crate) fn auth_changes(&self) -> channel::Receiver<u64> {
        self.publishing.auth_changes()
    }

    /// Where calls are told to a collector; none unless an operator wants it.
    pub(crate) fn spans(&self) -> Option<&Spans> {
        self.spans.as_ref()
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// What went to the other members and came from them.
    pub(crate) fn peer_meters(&self) -> &PeerMeters {
        &self.peers
    }

    /// What answers the other members; what they send is counted.
    pub fn peer_handler(&self) -> Arc<dyn raft::PeerHandler> {
        Arc::new(MeteredHandler::new(self.consensus.peer_handler(), Arc::clone(&self.peers)))
    }

    /// What was applied on this member since its start.
    pub(crate) fn applied_counts(&self) -> &AppliedCounts {
        self.publishing.counts()
    }

    pub(crate) fn calls(&self) -> &Arc<Calls> {
        &self.metrics.calls
    }

    pub(crate) fn new_lease_id(&self) -> LeaseId {
        LeaseId(self.numbers.next_positive())
    }

    /// A number that nobody can foresee.
    pub(crate) fn new_nonce(&self) -> i64 {
        self.numbers.next_positive()
    }

    /// The period of progress notifications of one stream.
    /// Compat: etcd jitters it by up to a tenth, so that streams do not beat together.
    pub(crate) fn progress_period(&self) -> Duration {
        let period = self.config.watch_progress_interval.max(PROGRESS_PERIOD_MIN);
        let tenth = u64::try_from(period.as_millis() / 10).unwrap_or(u64::MAX).max(1);
        period + Duration::from_millis(self.numbers.next_positive().unsigned_abs() % tenth)
    }

    /// Waits until a local read sees everything that was committed before the call.
    pub(crate) async fn read_index(&self) -> Result<(), ReadIndexError> {
        let confirmed = self.consensus.read_index().await;
        if let Err(error) = &confirmed {
            let slow = matches!(error, ReadIndexError::TimedOut);
            self.metrics.read_indexes_failed.fetch_add(1, Ordering::Relaxed);
            self.metrics.read_indexes_slow.fetch_add(u64::from(slow), Ordering::Relaxed);
        }
        confirmed
    }

    /// Proposes a command that its caller may make and waits until it is applied here.
    ///
    /// *Errors*: those of [`Member::authorize`] and `RequestTooLarge` before anything happened; see
    /// `ServeError` for the rest.
    pub(crate) async fn propose(
        &self,
        caller: &Caller,
        request: command::Request,
    ) -> Result<Applied, ServeError> {
        let identity = match self.authorize_proposal(caller, Call::of(&request)).await {
            Err(ServeError::Etcd(refused)) => return Err(self.refusal(refused, &request).into()),
            decided => decided?,
        };
        let cost_bytes = cost_bytes(&request);
        if cost_bytes > 0 && self.is_full(cost_bytes) {
            self.raise_no_space().await?;
            return Err(EtcdError::NoSpace.into());
        }
        self.propose_as(&identity, request, 0).await
    }

    fn is_full(&self, cost_bytes: u64) -> bool {
        let total_bytes = self.reader.sizes().total_bytes;
        total_bytes.saturating_add(cost_bytes) >= self.config.quota_backend_bytes
    }

    /// Tells the whole cluster, through the log, that this member has no room: all refuse writes
    /// until somebody made room and cleared the alarm.
    async fn raise_no_space(&self) -> Result<(), ServeError> {
        self.raise(self.ids.member_id, AlarmType::Nospace).await
    }

    /// Raises an alarm about a member, unless it is raised.
    pub(crate) async fn raise(&self, member_id: u64, kind: AlarmType) -> Result<(), ServeError> {
        let alarm = kind as i32;
        let same = |raised: &AlarmMember| (raised.member_id, raised.alarm) == (member_id, alarm);
        if self.reader.alarms().iter().any(same) {
            return Ok(());
        }
        let quota_bytes = self.config.quota_backend_bytes;
        match kind {
            AlarmType::Nospace => tracing::warn!(quota_bytes, "the quota is used up"),
            _ => tracing::error!(
                member_id = format!("{member_id:x}"),
                "the data of this member is corrupt: it must be replaced; 0: of one of two members"
            ),
        }
        let action = AlarmAction::Activate as i32;
        let request = AlarmRequest { action, member_id, alarm };
        self.propose_fenced(command::Request::Alarm(request), 0).await.map(drop)
    }

    /// Proposes a command of this member's own that takes effect only in this term; 0: in any.
    pub(crate) async fn propose_fenced(
        &self,
        request: command::Request,
        fence_term: u64,
    ) -> Result<Applied, ServeError> {
        self.propose_as(&Identity::default(), request, fence_term).await
    }

    /// The one place where commands get their header; a follower hands it on as it is.
    pub(crate) async fn propose_as(
        &self,
        identity: &Identity,
        request: command::Request,
        fence_term: u64,
    ) -> Result<Applied, ServeError> {
        let mut command = Command { header: None, request: Some(request) };
        // Compat: etcd's own header counts, ours does not: the limit is the same byte.
        if command.encoded_len() + RAFT_HEADER_BYTES > self.config.max_request_bytes {
            return Err(EtcdError::RequestTooLarge.into());
        }
        command.header = Some(CommandHeader {
            id: 0,
            username: identity.username.as_ref().to_owned(),
            auth_revision: identity.auth_revision,
            fence_term,
        });
        let outcome = self.consensus.propose(command).await.inspect_err(|_| {
            self.metrics.proposals_failed.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(Applied { response: outcome.result?, revision: outcome.revision })
    }

    /// Answers a range whose shape was checked, if its caller may read it.
    pub(crate) async fn range(
        &self,
        caller: &Caller,
        request: RangeRequest,
    ) -> Result<spliced::RangeResponse, ServeError> {
        if !request.serializable {
            self.read_index().await?;
        }
        // Order: a grant or its end that was acknowledged before this read is seen by it.
        let identity = self.authorize(caller, Call::Range(&request)).await?;
        let large = !request.range_end.is_empty() && request.limit <= 0 && !request.count_only;
        let answer = if large {
            let _turn = self.large_ranges.acquire().await.map_err(|_| EtcdError::Stopped)?;
            self.read_blocking(move |reader| reader.range(&request)).await?
        } else {
            self.reader.range(&request)?
        };
        self.still_allowed(&identity)?;
        Ok(answer)
    }

    /// Answers a transaction that only reads, if its caller may read all of it.
    pub(crate) async fn read_txn(
        &self,
        caller: &Caller,
        request: TxnRequest,
    ) -> Result<spliced::TxnResponse, ServeError> {
        if !validate::is_serializable(&request) {
            self.read_index().await?;
        }
        let identity = self.authorize(caller, Call::Txn(&request)).await?;
        let answer = self.reader.read_txn(&request)?;
        self.still_allowed(&identity)?;
        Ok(answer)
    }

    /// Runs a long read where it keeps nobody waiting; in place on a single-threaded runtime.
    pub(crate) async fn read_blocking<T, E>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        use tokio::runtime::{Handle, RuntimeFlavor};
        if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            return read(&self.reader);
        }
        let reader = self.reader.clone();
        match tokio::task::spawn_blocking(move || read(&reader)).await {
            Ok(answer) => answer,
            Err(error) => Err(StorageError::Engine(format!("a read did not end: {error}")).into()),
        }
    }

    /// Waits until the rows that a compaction superseded are gone from this member.
    pub(crate) async fn wait_physically_compacted(
        &self,
        revision: Revision,
    ) -> Result<(), ServeError> {
        const LOOK_AGAIN: Duration = Duration::from_millis(10);
        let mut stopped = self.stopped();
        while self.reader.physically_compacted_revision() < revision {
            if tokio::time::timeout(LOOK_AGAIN, stopped.wait_for(|stopped| *stopped)).await.is_ok()
            {
                return Err(EtcdError::Stopped.into());
            }
        }
        Ok(())
    }
}

/// *Source*: etcd.
const PROGRESS_PERIOD_MIN: Duration = Duration::from_millis(100);

/// What etcd's envelope adds to a request beyond ours, so that the same request is the first one
/// that is too large. Compat: etcd measures its marshalled `InternalRaftRequest`.
const RAFT_HEADER_BYTES: usize = 13;

fn raft_config(config: &ServerConfig, tuning: &Tuning, seed: u64) -> raft::MemberConfig {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let initial_cluster = config
        .initial_cluster
        .members
        .iter()
        .map(|member| raft::InitialMember {
            name: member.name.clone(),
            peer_urls: member.peer_urls.iter().map(|url| url.text.clone()).collect(),
        })
        .collect();
    raft::MemberConfig {
        name: config.name.clone(),
        cluster_token: config.initial_cluster_token.clone(),
        initial_cluster,
        bootstrap: match config.initial_cluster_state {
            crate::config::ClusterState::New => raft::Bootstrap::New,
            crate::config::ClusterState::Existing => raft::Bootstrap::Existing,
        },
        rules: raft::MembershipRules {
            strict: config.strict_reconfig_check,
            learners_max: config.max_learners,
        },
        force_new_cluster: config.force_new_cluster,
        timing: raft::Timing {
            heartbeat_ms: millis(config.heartbeat_interval),
            election_ms: millis(config.election_timeout),
        },
        retention: raft::Retention { keep_entries: config.snapshot_count, ..tuning.retention },
        log_limits: tuning.log_limits,
        bootstrap_timeout: config.election_timeout,
        seed,
    }
}
