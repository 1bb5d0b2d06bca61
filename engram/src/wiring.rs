//! One member from its configuration to its end: storage, log, peers and doors, joined.
//!
//! Order of the start: data directory and its lock → ports → consensus → peers' listener →
//! ready → clients' listener. Order of the end: clients hear it, leadership is handed over, the
//! state is flushed. What runs beside the member starts last and ends first.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use server::clock::SystemClock;
use server::config::{Endpoint, ServerConfig, SocketOptions};
use server::tls::{Side, Tls};
use server::{Listener, Member, MemberParts, Reserved};
use store::StorageError;
use store::engine::{Engine, Engines as _};
use tokio::task::JoinSet;

use crate::data_dir::DataDir;
use crate::peers::Peers;
use crate::signals::EndSignals;
use crate::{discovery, file_limit, start_lines};

/// What runs beside a member, from when its clients are served until before it stops.
#[async_trait::async_trait]
pub(crate) trait Beside: Send {
    /// Called once, when clients are served; dropped when the member is to end meanwhile.
    async fn start(&mut self, member: &Arc<Member>, began: Instant);
    /// Called before the member stops.
    async fn stop(&mut self);
}

/// How one member lives in this process.
#[derive(Default)]
pub(crate) struct Life {
    /// Standard input belongs to a parent: when it ends, so does this process.
    pub(crate) has_parent: bool,
    /// What runs beside it.
    pub(crate) beside: Option<Box<dyn Beside>>,
}

/// Threads that serve clients. Consensus, the log and the engine have their own.
const CLIENT_THREADS: usize = 2;
/// Compat: etcd's words, which operators look for.
const REMOVED: &str = "the member has been permanently removed from the cluster";
const CONSENSUS_ENDED: &str = "consensus ended by itself";
/// How long reads that are under way in the blocking pool may hold the end up.
const LAST_READS: Duration = Duration::from_millis(100);

/// How tools open a stopped member's state.
pub(crate) const STATES: cluster_tools::util::States =
    cluster_tools::util::States { read: open_state, write: write_state };

fn write_state(directory: &Path) -> Result<Arc<dyn Engine>, StorageError> {
    store_rocks::RocksEngines::new(directory, store_rocks::RocksOptions::default()).open_current()
}

/// Opens a stopped member's state for reading alone, from its state directory.
fn open_state(directory: &Path) -> Result<Arc<dyn Engine>, StorageError> {
    store_rocks::RocksEngines::new(directory, store_rocks::RocksOptions::default()).open_read_only()
}

impl Life {
    /// Runs the member until a signal. *Errors*: it could not start, or its storage failed.
    pub(crate) fn run(mut self, config: ServerConfig) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CLIENT_THREADS)
            .thread_name("clients")
            .enable_all()
            .build()
            .context("cannot start the threads that serve clients")?;
        let ended = runtime.block_on(self.live(config));
        runtime.shutdown_timeout(LAST_READS);
        ended
    }

    async fn live(&mut self, mut config: ServerConfig) -> Result<()> {
        let began = Instant::now();
        let mut signals = EndSignals::new().context("cannot listen for signals")?;
        let data_dir = DataDir::open(&config.data_dir)?;
        let tls = load_tls(&config)?;
        let mut ports = Ports::reserve(&config, tls)?;
        start_lines::starting(&config, &data_dir);
        tokio::select! {
            found = discovery::find(&mut config, &data_dir) => found?,
            signal = signals.next() => {
                tracing::info!(signal, "received signal; shutting down");
                return Ok(());
            }
        }
        let member = start(&config, &data_dir, &ports.tls).await?;
        let peer_ports = std::mem::take(&mut ports.peers);
        let peers = Peers::serve(&member, peer_ports, ports.tls.peers.as_ref())?;
        let mut doors = JoinSet::new();
        let ended = self.serve(&member, ports, &mut doors, &mut signals, began).await;
        match &ended {
            Ok(reason) => {
                tracing::info!(signal = reason, "received signal; shutting down");
                start_lines::closing(member.config());
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "stopping"),
        }
        let stop = async {
            if let Some(beside) = &mut self.beside {
                beside.stop().await;
            }
            member.stop().await;
        };
        tokio::select! {
            () = stop => {}
            signal = signals.again() => bail!("{signal} again: stopped without waiting"),
        }
        while doors.join_next().await.is_some() {}
        peers.stop().await;
        start_lines::closed(member.config());
        ended.map(drop)
    }

    /// Opens the doors one after the other and waits for the reason to close them.
    async fn serve(
        &mut self,
        member: &Arc<Member>,
        ports: Ports,
        doors: &mut JoinSet<std::io::Result<()>>,
        signals: &mut EndSignals,
        began: Instant,
    ) -> Result<&'static str> {
        let limit = file_limit::connections_max();
        let clients_tls = ports.tls.clients.clone();
        let listen = |ports, whom| listen(ports, whom, clients_tls.as_ref(), limit);
        let metrics = listen(ports.metrics, "metrics")?;
        doors.spawn(server::serve_metrics(Arc::clone(member), metrics));
        tokio::select! {
            ready = member.ready() => if let Err(error) = ready {
                // A failed disk ends consensus first: that is the reason, not what it led to.
                let failed = member.consensus().failure();
                return Err(failed.map_or_else(|| error.into(), ended_by_itself))
                    .context("the member did not get ready");
            },
            end = reason_to_end(member, self.has_parent, signals) => return match end {
                Ok(REMOVED) => bail!(REMOVED),
                end => end,
            },
        }
        let clients = listen(ports.clients, "clients")?;
        let http = listen(ports.http, "clients")?;
        doors.spawn(server::serve_clients(Arc::clone(member), clients));
        if !http.is_empty() {
            doors.spawn(server::serve_client_http(Arc::clone(member), http));
        }
        start_lines::serving(member);
        let took = began.elapsed();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let address = joined(&member.config().listen_client_urls);
        tracing::info!(took_ms, address, "ready to serve client requests");
        let end = reason_to_end(member, self.has_parent, signals);
        let Some(beside) = &mut self.beside else { return end.await };
        let mut end = std::pin::pin!(end);
        tokio::select! {
            () = beside.start(member, began) => {}
            end = &mut end => return end,
        }
        end.await
    }
}

fn load_tls(config: &ServerConfig) -> Result<Tls> {
    let clients: Vec<Endpoint> =
        [&config.listen_client_urls, &config.listen_client_http_urls, &config.listen_metrics_urls]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
    let tls = Tls::load(&config.tls, &config.data_dir, &clients, &config.listen_peer_urls)
        .context("cannot set up TLS")?;
    if let Some(side) = &tls.peers {
        tracing::info!("tls-info" = side.shown(), "starting with peer TLS");
    }
    if let Some(side) = &tls.clients {
        tracing::info!("tls-info" = side.shown(), "starting with client TLS");
    }
    Ok(tls)
}

async fn start(config: &ServerConfig, data_dir: &DataDir, tls: &Tls) -> Result<Arc<Member>> {
    let options = store_rocks::RocksOptions::default();
    let log_dir = config.wal_dir.clone().unwrap_or_else(|| data_dir.log());
    let parts = MemberParts {
        engines: Arc::new(store_rocks::RocksEngines::new(data_dir.state(), options)),
        log_files: log_files(log_dir)?,
        snapshot_dir: data_dir.fresh_snapshots()?,
        transport: Arc::new(raft_transport::TonicTransport::with_tls(
            tls.peers.clone().map(|side| Arc::new(move || side.dialling()) as Arc<_>),
        )),
        runtime: raft::RuntimeChoice::Dedicated,
        clock: SystemClock::shared(),
        seed: rand::random(),
        tuning: server::Tuning::default(),
        onlooker: None,
    };
    Member::start(config.clone(), parts).await.context("cannot start the member")
}

/// The files of the Raft log.
fn log_files(directory: PathBuf) -> Result<Arc<dyn raft::log::LogFiles>> {
    let shown = directory.display().to_string();
    let files = raft::log::RealLogFiles::open(&directory);
    Ok(Arc::new(files.with_context(|| format!("cannot open the log directory {shown}"))?))
}

/// The ports of a member, taken before anything else is touched, and their TLS.
struct Ports {
    clients: Vec<Reserved>,
    http: Vec<Reserved>,
    peers: Vec<Reserved>,
    metrics: Vec<Reserved>,
    tls: Tls,
}

impl Ports {
    fn reserve(config: &ServerConfig, tls: Tls) -> Result<Self> {
        let options = config.sockets;
        Ok(Ports {
            clients: reserve(&config.listen_client_urls, "listen-client-urls", options)?,
            peers: reserve(&config.listen_peer_urls, "listen-peer-urls", options)?,
            http: reserve(&config.listen_client_http_urls, "listen-client-http-urls", options)?,
            metrics: reserve(&config.listen_metrics_urls, "listen-metrics-urls", options)?,
            tls,
        })
    }
}

fn reserve(urls: &[Endpoint], flag: &str, options: SocketOptions) -> Result<Vec<Reserved>> {
    let reserved = server::reserve_all(urls, options);
    reserved.map_err(|(url, error)| {
        anyhow::Error::new(error).context(format!("cannot listen on {url} (--{flag})"))
    })
}

fn listen(
    ports: Vec<Reserved>,
    whom: &str,
    tls: Option<&Arc<Side>>,
    connections_max: usize,
) -> Result<Vec<Listener>> {
    let listeners = ports.into_iter().map(|port| port.listen_with(tls, connections_max));
    listeners.collect::<Result<_, _>>().with_context(|| format!("cannot listen for {whom}"))
}

fn joined(urls: &[Endpoint]) -> String {
    urls.iter().map(|url| url.text.as_str()).collect::<Vec<_>>().join(",")
}

/// Waits for a signal, the parent's end, the end of consensus or this member's removal.
async fn reason_to_end(
    member: &Member,
    has_parent: bool,
    signals: &mut EndSignals,
) -> Result<&'static str> {
    tokio::select! {
        signal = signals.next() => Ok(signal),
        () = parent_ends(has_parent) => Ok("the parent ended"),
        () = member.consensus().stopped() => {
            let failure = member.consensus().failure();
            Err(ended_by_itself(failure.unwrap_or_else(|| "see the log".to_owned())))
        }
        () = member.consensus().removed() => {
            tracing::warn!(error = REMOVED, "server error");
            tracing::warn!("data-dir used by this member must be removed");
            Ok(REMOVED)
        }
    }
}

fn ended_by_itself(reason: String) -> anyhow::Error {
    anyhow::Error::msg(reason).context(CONSENSUS_ENDED)
}

async fn parent_ends(has_parent: bool) {
    if !has_parent {
        return std::future::pending().await;
    }
    let (sender, ended) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: a read of standard input cannot be abandoned, and nobody waits for it.
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        drop(sender);
    });
    // The channel's end is the news.
    drop(ended.await);
}
