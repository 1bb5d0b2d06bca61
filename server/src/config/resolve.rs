//! From given texts to one checked `ServerConfig`. Pure; etcd's checks and texts.
//! Must not know: files and sockets. Whether a port is free is found out when it is bound.

use std::path::PathBuf;
use std::time::Duration;

use super::text::{go_bool, go_duration};
use super::{ConfigError, Endpoint, Flag, Given, InitialCluster, Treatment};
use crate::auth::AuthTokenOptions;
use crate::limits::{ELECTION_TIMEOUT_MS_MAX, QUOTA_BYTES_DEFAULT, REQUEST_BYTES_CEILING};

/// Whether a member founds a cluster or joins one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// `new`
    New,
    /// `existing`
    Existing,
}

/// How old history is dropped without a client asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoCompaction {
    /// Never.
    Off,
    /// Keep what is younger than this.
    Periodic(Duration),
    /// Keep this many revisions.
    Revisions(i64),
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Console,
}

/// `--metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsDetail {
    /// etcd leaves latency histograms out; we do not.
    Basic,
    /// Everything.
    Extensive,
}

/// Everything one member is told at its start. All values are checked.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Human-readable name.
    pub name: String,
    /// Data directory.
    pub data_dir: PathBuf,
    /// Directory of the Raft log, when it is not inside the data directory.
    pub wal_dir: Option<PathBuf>,
    /// Client listeners; never empty.
    pub listen_client_urls: Vec<Endpoint>,
    /// Client URLs as clients dial them.
    pub advertise_client_urls: Vec<Endpoint>,
    /// Peer listeners; never empty.
    pub listen_peer_urls: Vec<Endpoint>,
    /// Peer URLs as peers dial them.
    pub advertise_peer_urls: Vec<Endpoint>,
    /// Listeners for metrics and health only.
    pub listen_metrics_urls: Vec<Endpoint>,
    /// The founding members.
    pub initial_cluster: InitialCluster,
    /// Found or join.
    pub initial_cluster_state: ClusterState,
    /// Goes into the cluster id.
    pub initial_cluster_token: String,
    /// Whether changes of the members are refused that would end the quorum.
    pub strict_reconfig_check: bool,
    /// Most members without a vote.
    pub max_learners: usize,
    /// Whether this member forgets all others and goes on alone.
    pub force_new_cluster: bool,
    /// Raft heartbeat.
    pub heartbeat_interval: Duration,
    /// Raft election timeout.
    pub election_timeout: Duration,
    /// Log entries between snapshots.
    pub snapshot_count: u64,
    /// State size at which writes are refused, in bytes.
    pub quota_backend_bytes: u64,
    /// Largest request, in bytes.
    pub max_request_bytes: usize,
    /// Most operations of one transaction.
    pub max_txn_ops: usize,
    /// Most streams of one connection.
    pub max_concurrent_streams: u32,
    /// Pings of idle client connections; `None` when switched off.
    pub keepalive_interval: Option<Duration>,
    /// Patience with those pings; `None` when switched off.
    pub keepalive_timeout: Option<Duration>,
    /// Period of progress notifications.
    pub watch_progress_interval: Duration,
    /// Dropping of old history.
    pub auto_compaction: AutoCompaction,
    /// Level of the log: `debug`, `info`, `warn`, `error`.
    pub log_level: String,
    /// Format of the log.
    pub log_format: LogFormat,
    /// Where the log goes: `default`, `stderr`, `stdout` or a path.
    pub log_outputs: Vec<String>,
    /// Detail of the metrics.
    pub metrics: MetricsDetail,
    /// Client listeners for HTTP alone; when there are any, the others speak only gRPC.
    pub listen_client_http_urls: Vec<Endpoint>,
    /// Whether the JSON gateway is served.
    pub enable_grpc_gateway: bool,
    /// Whether `/debug/pprof/` is served.
    pub enable_pprof: bool,
    /// Origins that browsers may ask from; empty or `*` for all.
    pub cors: Vec<String>,
    /// Host names that clients without TLS may call us by; empty or `*` for all.
    pub host_whitelist: Vec<String>,
    /// How clients say again who they are.
    pub auth_token: AuthTokenOptions,
    /// How long a simple token lives after its last use.
    pub auth_token_ttl: Duration,
    /// The work of hashing a password, as a power of two.
    pub bcrypt_cost: u32,
}

impl ServerConfig {
    /// How long a request may take before its outcome is unknown.
    /// *Source*: etcd: 5 s for queueing and the disk, and two elections.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.election_timeout
    }

    /// The smallest lease time in seconds. *Source*: etcd: 1.5 election timeouts, rounded up.
    pub fn min_lease_ttl_s(&self) -> i64 {
        let millis = self.election_timeout.as_millis() as u64 * 3 / 2;
        millis.div_ceil(1000) as i64
    }
}

/// A configuration and what is worth a warning.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The checked configuration.
    pub config: ServerConfig,
    /// One line each, for the log.
    pub warnings: Vec<String>,
}

/// Reads and checks all given values.
///
/// *Errors*: a refused flag, an unreadable value, or a combination that etcd refuses too.
pub fn resolve(mut given: Given) -> Result<Resolved, ConfigError> {
    let mut warnings = std::mem::take(&mut given.warnings);
    treat(&given, &mut warnings)?;
    let values = Values(&given);
    let timing = Timing::read(&values)?;
    let urls = Urls::read(&values, &mut warnings)?;
    let name = values.text("name").to_owned();
    let initial_cluster = initial_cluster(&values, &name, &urls.advertise_peer)?;
    let config = ServerConfig {
        data_dir: data_dir(&values, &name),
        wal_dir: Some(values.text("wal-dir")).filter(|dir| !dir.is_empty()).map(PathBuf::from),
        listen_client_urls: urls.listen_client,
        advertise_client_urls: urls.advertise_client,
        listen_peer_urls: urls.listen_peer,
        advertise_peer_urls: urls.advertise_peer,
        listen_metrics_urls: urls.listen_metrics,
        initial_cluster,
        initial_cluster_state: cluster_state(values.text("initial-cluster-state"))?,
        initial_cluster_token: values.text("initial-cluster-token").to_owned(),
        strict_reconfig_check: values.flag("strict-reconfig-check"),
        max_learners: usize::try_from(values.number("max-learners")).unwrap_or(usize::MAX),
        force_new_cluster: values.flag("force-new-cluster"),
        heartbeat_interval: timing.heartbeat,
        election_timeout: timing.election,
        snapshot_count: values.number("snapshot-count"),
        quota_backend_bytes: quota(values.text("quota-backend-bytes"), &mut warnings),
        max_request_bytes: request_bytes(values.number("max-request-bytes"))?,
        max_txn_ops: usize::try_from(values.number("max-txn-ops")).unwrap_or(usize::MAX),
        max_concurrent_streams: u32::try_from(values.number("max-concurrent-streams"))
            .map_err(|_| out_of_range("max-concurrent-streams"))?,
        keepalive_interval: Some(values.duration("grpc-keepalive-interval")).filter(not_zero),
        keepalive_timeout: Some(values.duration("grpc-keepalive-timeout")).filter(not_zero),
        watch_progress_interval: values.duration("watch-progress-notify-interval"),
        auto_compaction: auto_compaction(
            values.text("auto-compaction-mode"),
            values.text("auto-compaction-retention"),
        )?,
        log_level: log_level(values.text("log-level"))?,
        log_format: log_format(values.text("log-format"))?,
        log_outputs: values.text("log-outputs").split(',').map(str::to_owned).collect(),
        metrics: metrics_detail(values.text("metrics"))?,
        listen_client_http_urls: values.urls("listen-client-http-urls")?,
        enable_grpc_gateway: values.switch("enable-grpc-gateway"),
        enable_pprof: values.switch("enable-pprof"),
        cors: origins(values.text("cors"))?,
        host_whitelist: list(values.text("host-whitelist")),
        auth_token: AuthTokenOptions::read(values.text("auth-token"), &mut warnings)
            .map_err(|error| ConfigError::new(error.to_string()))?,
        auth_token_ttl: auth_token_ttl(values.number("auth-token-ttl")),
        bcrypt_cost: bcrypt_cost(values.number("bcrypt-cost"), &mut warnings),
        name,
    };
    Ok(Resolved { config, warnings })
}

/// *Source*: etcd.
const AUTH_TOKEN_TTL_S_DEFAULT: u64 = 300;
/// *Source*: etcd: bcrypt's bounds, and what it falls back to.
const BCRYPT_COSTS: std::ops::RangeInclusive<u64> = 4..=31;
const BCRYPT_COST_DEFAULT: u32 = 10;

fn auth_token_ttl(seconds: u64) -> Duration {
    Duration::from_secs(if seconds == 0 { AUTH_TOKEN_TTL_S_DEFAULT } else { seconds })
}

fn bcrypt_cost(given: u64, warnings: &mut Vec<String>) -> u32 {
    match u32::try_from(given) {
        Ok(cost) if BCRYPT_COSTS.contains(&given) => cost,
        _ => {
            warnings.push(format!(
                "use default bcrypt cost instead of the invalid given cost: {given} is not within \
                 {} and {}",
                BCRYPT_COSTS.start(),
                BCRYPT_COSTS.end()
            ));
            BCRYPT_COST_DEFAULT
        }
    }
}

/// Warns about ignored flags and refuses the refused ones.
fn treat(given: &Given, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    for (flag, value) in given.flags() {
        if same_as_default(flag, value) {
            continue;
        }
        match flag.treatment {
            Treatment::Honoured(_) => {}
            Treatment::Ignored(why) => {
                warnings.push(format!("--{} has no effect here: {why}", flag.name));
            }
            Treatment::Refused(why) => {
                return Err(ConfigError::new(format!("--{} is refused: {why}", flag.name)));
            }
        }
    }
    Ok(())
}

fn same_as_default(flag: &Flag, value: &str) -> bool {
    value == flag.default
        || matches!(flag.kind, super::Kind::Bool) && go_bool(value) == go_bool(flag.default)
        || matches!(flag.kind, super::Kind::Duration)
            && go_duration(value) == go_duration(flag.default)
}

/// Typed access to values whose form was checked when they were parsed.
struct Values<'a>(&'a Given);

impl Values<'_> {
    fn text(&self, name: &str) -> &str {
        self.0.or_default(Flag::find(name).expect("the name is a row of the table"))
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().expect("the form was checked by parse")
    }

    fn flag(&self, name: &str) -> bool {
        go_bool(self.text(name)).expect("the form was checked by parse")
    }

    fn duration(&self, name: &str) -> Duration {
        go_duration(self.text(name)).expect("the form was checked by parse")
    }

    fn switch(&self, name: &str) -> bool {
        go_bool(self.text(name)).expect("the form was checked by parse")
    }

    fn urls(&self, name: &str) -> Result<Vec<Endpoint>, ConfigError> {
        match self.text(name) {
            "" => Ok(Vec::new()),
            text => Endpoint::read_list(text),
        }
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Compat: an origin must have the form of a URL with a port.
fn origins(text: &str) -> Result<Vec<String>, ConfigError> {
    if !matches!(text, "" | "*") {
        Endpoint::read_list(text)?;
    }
    Ok(list(text))
}

fn not_zero(duration: &Duration) -> bool {
    !duration.is_zero()
}

fn out_of_range(name: &str) -> ConfigError {
    ConfigError::new(format!("invalid value for flag -{name}: value out of range"))
}

struct Timing {
    heartbeat: Duration,
    election: Duration,
}

impl Timing {
    fn read(values: &Values<'_>) -> Result<Self, ConfigError> {
        let heartbeat = values.number("heartbeat-interval");
        let election = values.number("election-timeout");
        let wrong = |text: String| Err(ConfigError::new(text));
        if heartbeat == 0 {
            return wrong("--heartbeat-interval must be >0 (set to 0ms)".to_owned());
        }
        if election == 0 {
            return wrong("--election-timeout must be >0 (set to 0ms)".to_owned());
        }
        if heartbeat.saturating_mul(5) > election {
            return wrong(format!(
                "--election-timeout[{election}ms] should be at least as 5 times as \
                 --heartbeat-interval[{heartbeat}ms]"
            ));
        }
        if election > ELECTION_TIMEOUT_MS_MAX {
            return wrong(format!(
                "--election-timeout[{election}ms] is too long, and should be set less than \
                 {ELECTION_TIMEOUT_MS_MAX}ms"
            ));
        }
        Ok(Timing {
            heartbeat: Duration::from_millis(heartbeat),
            election: Duration::from_millis(election),
        })
    }
}

struct Urls {
    listen_client: Vec<Endpoint>,
    advertise_client: Vec<Endpoint>,
    listen_peer: Vec<Endpoint>,
    advertise_peer: Vec<Endpoint>,
    listen_metrics: Vec<Endpoint>,
}

impl Urls {
    fn read(values: &Values<'_>, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let listen_peer = values.urls("listen-peer-urls")?;
        let listen_client = values.urls("listen-client-urls")?;
        let listen_metrics = values.urls("listen-metrics-urls")?;
        for url in listen_peer.iter().chain(&listen_client).chain(&listen_metrics) {
            url.check_bindable()?;
        }
        let urls = Urls {
            advertise_client: advertised(values, "client", &listen_client, warnings)?,
            advertise_peer: advertised(values, "peer", &listen_peer, warnings)?,
            listen_client,
            listen_peer,
            listen_metrics,
        };
        urls.check_hosts()?;
        Ok(urls)
    }

    fn check_hosts(&self) -> Result<(), ConfigError> {
        let no_host = |url: &&Endpoint| url.host.is_empty();
        if let Some(url) = self.advertise_peer.iter().find(no_host) {
            return Err(ConfigError::new(format!(
                "--initial-advertise-peer-urls {:?} must be \"host:port\" (unexpected empty host \
                 ({url}))",
                joined(&self.advertise_peer)
            )));
        }
        if let Some(url) = self.advertise_client.iter().find(no_host) {
            return Err(ConfigError::new(format!(
                "--advertise-client-urls {:?} must be in the format \"host:port\", \
                 \"unix:/path/to/socket\" or \"unixs:/path/to/socket\" (unexpected empty host \
                 ({url}))",
                joined(&self.advertise_client)
            )));
        }
        Ok(())
    }
}

fn joined(urls: &[Endpoint]) -> String {
    urls.iter().map(|url| url.text.as_str()).collect::<Vec<_>>().join(",")
}

/// etcd refuses a listen flag without its advertise flag; where the listen URL can be dialled by
/// others it is taken, and said.
fn advertised(
    values: &Values<'_>,
    side: &str,
    listen: &[Endpoint],
    warnings: &mut Vec<String>,
) -> Result<Vec<Endpoint>, ConfigError> {
    let (listen_flag, advertise_flag) = match side {
        "client" => ("listen-client-urls", "advertise-client-urls"),
        _ => ("listen-peer-urls", "initial-advertise-peer-urls"),
    };
    if values.0.get(advertise_flag).is_some() || values.0.get(listen_flag).is_none() {
        return values.urls(advertise_flag);
    }
    if listen.iter().any(Endpoint::is_wildcard) {
        return Err(ConfigError::new(format!(
            "--{advertise_flag} is required when --{listen_flag} is set explicitly"
        )));
    }
    warnings.push(format!("--{advertise_flag} is not given; taken as {}", joined(listen)));
    Ok(listen.to_vec())
}

fn initial_cluster(
    values: &Values<'_>,
    name: &str,
    advertise_peer: &[Endpoint],
) -> Result<InitialCluster, ConfigError> {
    let given = values.text("initial-cluster");
    let cluster = if given.is_empty() {
        let own: Vec<_> = advertise_peer.iter().map(|url| format!("{name}={url}")).collect();
        InitialCluster::read(&own.join(","))?
    } else {
        InitialCluster::read(given)?
    };
    cluster.check(name, advertise_peer)?;
    Ok(cluster)
}

fn data_dir(values: &Values<'_>, name: &str) -> PathBuf {
    match values.text("data-dir") {
        "" => PathBuf::from(format!("{name}.etcd")),
        dir => PathBuf::from(dir),
    }
}

fn cluster_state(text: &str) -> Result<ClusterState, ConfigError> {
    match text {
        "new" => Ok(ClusterState::New),
        "existing" => Ok(ClusterState::Existing),
        other => Err(ConfigError::new(format!(
            "invalid value {other:?} for flag -initial-cluster-state: must be \"new\" or \
             \"existing\""
        ))),
    }
}

fn quota(text: &str, warnings: &mut Vec<String>) -> u64 {
    let bytes: i64 = text.parse().expect("the form was checked by parse");
    match u64::try_from(bytes) {
        Ok(0) => QUOTA_BYTES_DEFAULT,
        Ok(bytes) => bytes,
        // etcd: a negative quota switches the check off.
        Err(_) => {
            warnings.push("--quota-backend-bytes is negative: there is no quota".to_owned());
            u64::MAX
        }
    }
}

fn request_bytes(bytes: u64) -> Result<usize, ConfigError> {
    if bytes == 0 || bytes > REQUEST_BYTES_CEILING {
        return Err(ConfigError::new(format!(
            "--max-request-bytes must be between 1 and {REQUEST_BYTES_CEILING} (set to {bytes})"
        )));
    }
    usize::try_from(bytes).map_err(|_| out_of_range("max-request-bytes"))
}

fn auto_compaction(mode: &str, retention: &str) -> Result<AutoCompaction, ConfigError> {
    let wrong = || {
        ConfigError::new(format!(
            "error parsing CompactionRetention: invalid value {retention:?} for mode {mode:?}"
        ))
    };
    match mode {
        "revision" => match retention.parse::<i64>().map_err(|_| wrong())? {
            0 => Ok(AutoCompaction::Off),
            count if count < 0 => Err(wrong()),
            count => Ok(AutoCompaction::Revisions(count)),
        },
        "periodic" => {
            // A bare number means hours.
            let period = match retention.parse::<u64>() {
                Ok(hours) => hours.checked_mul(3600).map(Duration::from_secs).ok_or_else(wrong)?,
                Err(_) => go_duration(retention).ok_or_else(wrong)?,
            };
            Ok(if period.is_zero() {
                AutoCompaction::Off
            } else {
                AutoCompaction::Periodic(period)
            })
        }
        "" => Err(ConfigError::new("undefined auto-compaction-mode")),
        other => Err(ConfigError::new(format!("unknown auto-compaction-mode {other:?}"))),
    }
}

fn log_level(text: &str) -> Result<String, ConfigError> {
    match text {
        "debug" | "info" | "warn" | "error" => Ok(text.to_owned()),
        "dpanic" | "panic" | "fatal" => Ok("error".to_owned()),
        other => Err(ConfigError::new(format!("unrecognized level: {other:?}"))),
    }
}

fn log_format(text: &str) -> Result<LogFormat, ConfigError> {
    match text {
        "json" => Ok(LogFormat::Json),
        "console" => Ok(LogFormat::Console),
        other => Err(ConfigError::new(format!(
            "unknown log format: {other}, supported values json, console"
        ))),
    }
}

fn metrics_detail(text: &str) -> Result<MetricsDetail, ConfigError> {
    match text {
        "basic" => Ok(MetricsDetail::Basic),
        "extensive" => Ok(MetricsDetail::Extensive),
        other => {
            Err(ConfigError::new(format!("invalid metrics type {other:?}: basic or extensive")))
        }
    }
}
