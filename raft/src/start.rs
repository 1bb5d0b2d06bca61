//! How a member comes to life: identity, state, log, core, tasks.
//!
//! Invariants: a member without data asks its peers before it founds a cluster, and before its own
//! port opens; every founding member writes the same first entry; nothing is served before the
//! state is opened.
//! Must not know: which parts it is given.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use openraft::SnapshotPolicy;
use proto::peer;
use store::{MemberId, Reader, Store, StoreOptions};
use tokio::sync::watch;

use crate::admission::Admission;
use crate::apply::{Applier, ApplyCounters};
use crate::apply_task::ApplyTask;
use crate::batcher::Batcher;
use crate::blocking::Blocking;
use crate::config::{Bootstrap, MemberConfig};
use crate::consensus::{Consensus, Core};
use crate::digest::Digests;
use crate::errors::StartError;
use crate::force_new::force_new_cluster;
use crate::identity::{ClusterId, DataMark, IDENTITY_FILE, Identity};
use crate::leadership::{self, Contact, Leadership};
use crate::local_identity::{KnownPeers, LocalIdentity};
use crate::log::{self, Drive, LogLimits, Owner, RaftLog, RunningLog};
use crate::machine::{Flusher, LocalSnapshot, Machine};
use crate::network::{Addresses, Network};
use crate::parts::{Parts, RuntimeChoice};
use crate::peer::{Lane, PeerAddress};
use crate::read_index::ReadIndex;
use crate::receiving::Receiving;
use crate::removal::{self, Removal};
use crate::retention::{self, SnapshotsUnderWay};
use crate::runtime::RaftThread;
use crate::types::Runtime;
use crate::vote_check::check_vote;
use crate::waiters::Waiters;
use crate::{Raft, limits};

impl Consensus {
    /// Starts a member, from its data or anew.
    ///
    /// On return the state is open and peers may call [`Consensus::peer_handler`]; there need not
    /// be a leader yet.
    ///
    /// *Errors*: [`StartError`]; nothing keeps running.
    pub async fn start(
        config: MemberConfig,
        parts: Parts,
    ) -> Result<(Consensus, Reader), StartError> {
        let thread = match parts.runtime {
            RuntimeChoice::Dedicated => Some(RaftThread::start()?),
            RuntimeChoice::Caller { .. } => None,
        };
        let seed = config.seed;
        let starting = Runtime::scope(seed, start_in_scope(config, parts));
        let started = match &thread {
            Some(thread) => {
                let started = thread.handle().spawn(starting).await;
                started.map_err(|error| StartError::Consensus(error.to_string()))?
            }
            None => starting.await,
        };
        match started {
            Ok((consensus, reader)) => {
                *consensus.core.thread.lock() = thread;
                Ok((consensus, reader))
            }
            Err(error) => {
                if let Some(thread) = thread {
                    thread.stop().await;
                }
                Err(error)
            }
        }
    }
}

async fn start_in_scope(
    config: MemberConfig,
    parts: Parts,
) -> Result<(Consensus, Reader), StartError> {
    let identity = Arc::new(establish_identity(&config, &parts).await?);
    let blocking = match parts.runtime {
        RuntimeChoice::Dedicated => Blocking::Threads,
        RuntimeChoice::Caller { .. } => Blocking::Inline,
    };
    let state = open_state(&parts, blocking).await?;
    let apply = state.apply.clone();
    let started = start_on(config, parts, identity, state).await;
    if started.is_err() {
        // Its thread closes the database, and must have done so before the program may end.
        apply.stop().await;
    }
    started
}

/// Starts on an opened state.
async fn start_on(
    config: MemberConfig,
    parts: Parts,
    identity: Arc<LocalIdentity>,
    state: State,
) -> Result<(Consensus, Reader), StartError> {
    let blocking = state.blocking;
    let applied = state.reader.applied();
    let (log, running_log) =
        open_log(&identity, &parts, config.log_limits, applied, blocking).await?;
    if config.force_new_cluster {
        let peer_urls = config.this_member()?.peer_urls.clone();
        force_new_cluster(&log, identity.member_id(), peer_urls, applied).await?;
    } else {
        check_vote(&log, identity.member_id(), applied).await?;
    }
    let addresses = Addresses::default();
    let network = Network {
        addresses: addresses.clone(),
        transport: Arc::clone(&parts.transport),
        identity: Arc::clone(&identity),
        digests: Arc::clone(&state.digests),
        under_way: state.snapshots_under_way.clone(),
    };
    let local = LocalSnapshot::new(state.reader.clone(), parts.snapshot_dir.clone(), blocking);
    let machine = Machine::new(state.apply.clone(), state.flusher.clone(), local);
    let id = identity.member_id().0;
    let raft_config = Arc::new(core_config(&config)?);
    let raft = Raft::new(id, raft_config, network, log, machine).await;
    let raft = raft.map_err(|error| StartError::Consensus(error.to_string()))?;
    found_cluster(&config, &raft).await?;
    let reader = state.reader.clone();
    let core = assemble(config, parts, identity, state, raft, running_log, addresses);
    Ok((Consensus { core }, reader))
}

/// The opened state and those who work on it.
struct State {
    reader: Reader,
    apply: ApplyTask,
    applied: watch::Receiver<Option<store::LogId>>,
    flusher: Flusher,
    waiters: Waiters,
    digests: Arc<Digests>,
    counters: Arc<ApplyCounters>,
    snapshots_under_way: SnapshotsUnderWay,
    blocking: Blocking,
}

async fn open_state(parts: &Parts, blocking: Blocking) -> Result<State, StartError> {
    let engines = Arc::clone(&parts.engines);
    let opened = blocking.run(move || {
        let engine = engines.open_current()?;
        Store::open(Arc::clone(&engine), StoreOptions::default()).map(|store| (engine, store))
    });
    let (engine, store) = opened.await??;
    let reader = store.reader();
    let waiters = Waiters::default();
    let digests = Arc::new(Digests::default());
    let counters = Arc::new(ApplyCounters::default());
    let applier = Applier::new(
        store,
        waiters.clone(),
        Arc::clone(&parts.publisher),
        Arc::clone(&digests),
        Arc::clone(&counters),
    );
    let applied = applier.watch_applied();
    let apply = match parts.runtime {
        RuntimeChoice::Dedicated => ApplyTask::spawn(applier)?,
        RuntimeChoice::Caller { .. } => ApplyTask::inline(applier),
    };
    let flusher = Flusher::new(apply.clone(), engine, blocking);
    Ok(State {
        reader,
        apply,
        applied,
        flusher,
        waiters,
        digests,
        counters,
        snapshots_under_way: SnapshotsUnderWay::default(),
        blocking,
    })
}

/// Reads the log back, which takes a while when it is long, and starts what drives it.
async fn open_log(
    identity: &LocalIdentity,
    parts: &Parts,
    limits: LogLimits,
    applied: store::LogId,
    blocking: Blocking,
) -> Result<(RaftLog, RunningLog), StartError> {
    let files = Arc::clone(&parts.log_files);
    let owner =
        Owner { cluster_id: identity.identity().cluster_id.0, member_id: identity.member_id().0 };
    let drive = match parts.runtime {
        RuntimeChoice::Dedicated => Drive::Thread,
        RuntimeChoice::Caller { sync_takes } => Drive::Caller { sync_takes },
    };
    let opened = blocking.run(move || log::open(files, owner, limits, drive)).await?;
    let (log, running) = opened.map_err(|error| StartError::Log(error.to_string()))?;
    if applied.index > 0 && log.drop_overruled(applied)? {
        tracing::warn!(%applied, "the log ended in entries that the state had overruled: dropped");
    }
    Ok((log, running))
}

/// openraft, told what this system wants of it.
fn core_config(config: &MemberConfig) -> Result<openraft::Config, StartError> {
    let timing = config.timing;
    let election_max = timing.election_wait_max_ms();
    let core = openraft::Config {
        cluster_name: config.cluster_token.clone(),
        heartbeat_interval: timing.heartbeat_ms,
        election_timeout_min: timing.election_wait_min_ms(),
        election_timeout_max: election_max,
        // A member that cannot win must not raise the term and unseat a healthy leader.
        enable_pre_vote: Some(true),
        // A leader cut off from its quorum pauses its heartbeats, so that those who still hear it
        // can elect another.
        quorum_loss_probe_interval: Some(2 * election_max),
        // A restarted leader stands for election like everyone.
        enable_leader_restore: Some(false),
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        install_snapshot_timeout: 3_600_000,
        max_payload_entries: limits::APPEND_ENTRIES_MAX,
        // A first retry soon, then at most one a heartbeat: a peer that returns is found quickly.
        backoff: format!("10ms 20ms ...{}ms", timing.heartbeat_ms.max(20)),
        ..openraft::Config::default()
    };
    core.validate().map_err(|error| StartError::Config(error.to_string()))
}

/// Writes the first entry of a new cluster, the same on every founding member.
async fn found_cluster(config: &MemberConfig, raft: &Raft) -> Result<(), StartError> {
    let fatal = |error: String| StartError::Consensus(error);
    let initialized = raft.is_initialized().await.map_err(|error| fatal(error.to_string()))?;
    if initialized {
        // A sole voter need not wait out an election timeout; with others the call is harmless only
        // when they are gone, so it is not made.
        let sole = leadership::is_sole_voter(
            &openraft::async_runtime::WatchReceiver::borrow_watched(&raft.metrics()),
        );
        if sole {
            raft.trigger().elect(false).await.map_err(|error| fatal(error.to_string()))?;
        }
        return Ok(());
    }
    if config.bootstrap == Bootstrap::New {
        let nodes = config.initial_nodes();
        raft.initialize(nodes).await.map_err(|error| fatal(error.to_string()))?;
    }
    Ok(())
}

fn assemble(
    config: MemberConfig,
    parts: Parts,
    identity: Arc<LocalIdentity>,
    state: State,
    raft: Raft,
    log: RunningLog,
    addresses: Addresses,
) -> Arc<Core> {
    let admission = Admission::default();
    let batcher = Batcher::new(admission.clone(), state.waiters.clone(), state.reader);
    let contact = Arc::new(Contact::default());
    let (leadership_sender, leadership_changes) = watch::channel(Leadership::default());
    let observe = leadership::observe(
        raft.metrics(),
        Arc::clone(&contact),
        config.timing,
        Duration::from_millis(config.timing.heartbeat_ms),
        leadership_sender,
    );
    let (stop, _) = watch::channel(false);
    let core = Arc::new(Core {
        next_id: AtomicU64::new(config.seed),
        metrics: raft.metrics(),
        raft: raft.clone(),
        log: Arc::new(log),
        identity,
        transport: parts.transport,
        engines: parts.engines,
        waiters: state.waiters,
        admission,
        batcher: batcher.clone(),
        read_index: ReadIndex::default(),
        digests: state.digests,
        counters: state.counters,
        apply: state.apply,
        applied: state.applied,
        flusher: state.flusher,
        contact,
        leadership_changes,
        snapshots_under_way: state.snapshots_under_way,
        receiving: Arc::new(Receiving::of(raft.metrics())),
        changing: tokio::sync::Mutex::new(()),
        addresses,
        removal: Removal::default(),
        blocking: state.blocking,
        runtime: tokio::runtime::Handle::current(),
        leader_calls: OnceLock::new(),
        stopping: AtomicBool::new(false),
        stop,
        thread: parking_lot::Mutex::new(None),
        config,
    });
    tokio::spawn(observe);
    tokio::spawn(batcher.run(raft));
    tokio::spawn(core.read_index.clone().run(Arc::clone(&core)));
    tokio::spawn(retention::run(Arc::clone(&core)));
    tokio::spawn(removal::watch_for_removal(Arc::clone(&core)));
    core
}

/// Reads the identity of the data directory, or makes one after asking the peers.
async fn establish_identity(
    config: &MemberConfig,
    parts: &Parts,
) -> Result<LocalIdentity, StartError> {
    let known = KnownPeers::load(&parts.log_files)?;
    if let Some(bytes) = parts.log_files.read_file(IDENTITY_FILE)? {
        let identity =
            Identity::decode(&bytes).map_err(|error| StartError::Identity(error.to_string()))?;
        warn_about_other_ids(config, &identity);
        return Ok(LocalIdentity::new(identity, known));
    }
    if parts.log_files.list()?.iter().any(|name| name.ends_with(".log")) {
        let text = format!(
            "there is a log in {}, but no file {IDENTITY_FILE:?}: it was lost, and the member must \
             be replaced",
            parts.log_files.describe()
        );
        return Err(StartError::Identity(text));
    }
    let (cluster_id, member_id) = match config.bootstrap {
        Bootstrap::New => found(config, parts).await?,
        Bootstrap::Existing => join(config, parts).await?,
    };
    let identity = Identity { cluster_id, member_id, data_mark: new_mark(config.seed, member_id) };
    parts.log_files.write_file(IDENTITY_FILE, &identity.encode())?;
    Ok(LocalIdentity::new(identity, known))
}

/// Compat: etcd ignores the initial cluster of a member that has data; a person should know.
fn warn_about_other_ids(config: &MemberConfig, identity: &Identity) {
    if let Ok(ids) = config.static_ids()
        && config.bootstrap == Bootstrap::New
        && ids != (identity.cluster_id, identity.member_id)
    {
        tracing::warn!(
            cluster_id = %identity.cluster_id, member_id = %identity.member_id,
            "the data directory was made with another initial cluster, which stays in force"
        );
    }
}

async fn found(config: &MemberConfig, parts: &Parts) -> Result<(ClusterId, MemberId), StartError> {
    let (cluster_id, member_id) = config.static_ids()?;
    for answer in ask_peers(config, parts, cluster_id, member_id).await {
        let same_cluster = answer.started && answer.cluster_id == cluster_id.0;
        if same_cluster && !answer.asker_identity.is_empty() {
            return Err(StartError::AlreadyBootstrapped(member_id.0));
        }
    }
    Ok((cluster_id, member_id))
}

/// Finds this member among those of the running cluster.
///
/// Compat: etcd's checks and words.
async fn join(config: &MemberConfig, parts: &Parts) -> Result<(ClusterId, MemberId), StartError> {
    config.this_member()?;
    let (_, static_id) = config.static_ids()?;
    let mut answers = ask_peers(config, parts, ClusterId(0), static_id).await;
    answers.retain(|answer| answer.started && !answer.members.is_empty());
    // A peer that lags may not know this member yet: the leader's word first, then whoever knows.
    answers.sort_by_key(|answer| (!answer.leads, matching(answer, config).is_err()));
    let Some(answer) = answers.first() else {
        let text = "cannot fetch cluster info from peer urls: could not retrieve cluster \
                    information from the given URLs";
        return Err(StartError::Join(text.to_owned()));
    };
    let member_id = matching(answer, config).map_err(|text| {
        StartError::Join(format!("error validating peerURLs {}: {text}", shown(answer)))
    })?;
    let cluster_id = ClusterId(answer.cluster_id);
    for answer in ask_peers(config, parts, cluster_id, member_id).await {
        if answer.cluster_id == cluster_id.0 && !answer.asker_identity.is_empty() {
            return Err(StartError::AlreadyBootstrapped(member_id.0));
        }
    }
    Ok((cluster_id, member_id))
}

/// The id that the cluster knows this member by: every member of the cluster must be in the
/// initial cluster, and no other.
fn matching(answer: &peer::HelloResponse, config: &MemberConfig) -> Result<MemberId, String> {
    if answer.members.len() != config.initial_cluster.len() {
        return Err("member count is unequal".to_owned());
    }
    let sorted = |urls: &[String]| {
        let mut urls = urls.to_vec();
        urls.sort_unstable();
        urls
    };
    let mut own = None;
    for known in &answer.members {
        let urls = sorted(&known.peer_urls);
        let told = config.initial_cluster.iter().find(|told| sorted(&told.peer_urls) == urls);
        let told = told.ok_or_else(|| {
            let (id, urls) = (known.member_id, known.peer_urls.join(" "));
            format!("PeerURLs: no match found for existing member ({id:x}, [{urls}])")
        })?;
        if told.name == config.name {
            own = Some(MemberId(known.member_id));
        }
    }
    own.ok_or_else(|| format!("member {:?} is not among them", config.name))
}

/// The running cluster as it is told to a person.
fn shown(answer: &peer::HelloResponse) -> String {
    let members = answer.members.iter().map(|member| {
        let (id, urls, learner) = (member.member_id, &member.peer_urls, member.is_learner);
        format!("&{{ID:{id:x} PeerURLs:[{}] IsLearner:{learner}}}", urls.join(" "))
    });
    let members = members.collect::<Vec<_>>().join(" ");
    format!("{{ClusterID:{:x} Members:[{members}]}}", answer.cluster_id)
}

/// What those peers say that answer within the bootstrap timeout.
async fn ask_peers(
    config: &MemberConfig,
    parts: &Parts,
    cluster_id: ClusterId,
    member_id: MemberId,
) -> Vec<peer::HelloResponse> {
    let others = config.initial_cluster.iter().filter(|member| member.name != config.name);
    let questions = others.map(|member| {
        let address = PeerAddress { member_id: MemberId(0), peer_urls: member.peer_urls.clone() };
        let peer = parts.transport.peer(&address, Lane::Requests);
        let header = peer::PeerHeader {
            cluster_id: cluster_id.0,
            from_member_id: member_id.0,
            ..Default::default()
        };
        async move {
            let question = peer.hello(peer::HelloRequest { header: Some(header) });
            tokio::time::timeout(config.bootstrap_timeout, question).await.ok()?.ok()
        }
    });
    join_all(questions).await.into_iter().flatten().collect()
}

/// Sixteen bytes that no other data directory has.
pub(crate) fn new_mark(seed: u64, member_id: MemberId) -> DataMark {
    use sha1::{Digest as _, Sha1};
    let mut hash = Sha1::new();
    hash.update(b"data mark");
    hash.update(seed.to_be_bytes());
    hash.update(member_id.0.to_be_bytes());
    let mut mark = [0; 16];
    mark.copy_from_slice(&hash.finalize()[..16]);
    DataMark(mark)
}
