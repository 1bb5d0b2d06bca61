//! From given texts to one checked `ServerConfig`. Pure; etcd's checks and texts.
//! Must not know: files and sockets. Whether a port is free is found out when it is bound.

use std::path::PathBuf;
use std::time::Duration;

use super::listeners::Urls;
use super::text::{duration_problem, go_bool, go_duration};
use super::tls::TlsSettings;
use super::values::Values;
use super::{
    ConfigError, DiscoverySettings, Endpoint, Flag, Given, InitialCluster, SpanSettings, Treatment,
    discovery, gates, logs, spans,
};
use crate::auth::AuthTokenOptions;
use crate::limits::{
    ELECTION_TIMEOUT_MS_MAX, QUOTA_BYTES_ADVISED_MAX, QUOTA_BYTES_DEFAULT,
    REQUEST_BYTES_ADVISED_MAX, REQUEST_BYTES_CEILING,
};

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

/// Options of the listening sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketOptions {
    /// Share the port with other processes that want the same.
    pub reuse_port: bool,
}

/// `--enable-log-rotation`: when a log file is put aside, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRotation {
    /// Size at which it is put aside, in bytes.
    pub bytes_max: u64,
    /// Files put aside are removed after this many days; 0 keeps them.
    pub age_days_max: u64,
    /// How many files put aside are kept; 0 keeps all.
    pub files_max: usize,
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
    /// Client listeners for HTTP alone; when there is one, the others serve gRPC alone.
    pub listen_client_http_urls: Vec<Endpoint>,
    /// Client URLs as clients dial them.
    pub advertise_client_urls: Vec<Endpoint>,
    /// Peer listeners; never empty.
    pub listen_peer_urls: Vec<Endpoint>,
    /// Peer URLs as peers dial them.
    pub advertise_peer_urls: Vec<Endpoint>,
    /// Listeners for metrics and health only.
    pub listen_metrics_urls: Vec<Endpoint>,
    /// Certificates and their rules.
    pub tls: TlsSettings,
    /// Options of the listening sockets.
    pub sockets: SocketOptions,
    /// Where the founding members find each other; `None` when they are all named.
    pub discovery: Option<DiscoverySettings>,
    /// The founding members; with `discovery`, this one alone until they are found.
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
    /// How long a client must wait between pings while a call is open; never zero.
    pub keepalive_min_time: Duration,
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
    /// When the log file is put aside; `None` for never.
    pub log_rotation: Option<LogRotation>,
    /// Unary calls that take longer are logged; `None` for never.
    pub slow_call: Option<Duration>,
    /// Detail of the metrics.
    pub metrics: MetricsDetail,
    /// Whether the JSON gateway is served.
    pub enable_grpc_gateway: bool,
    /// Where calls are told to a collector; `None` when that is switched off.
    pub spans: Option<SpanSettings>,
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
    /// The configuration file that was read.
    pub config_file: Option<String>,
}

/// Reads and checks all given values.
///
/// *Errors*: a refused flag, an unreadable value, or a combination that etcd refuses too.
pub fn resolve(mut given: Given) -> Result<Resolved, ConfigError> {
    let mut warnings = std::mem::take(&mut given.warnings);
    treat(&given, &mut warnings)?;
    let values = Values(&given);
    let timing = Timing::read(&values)?;
    let tls = TlsSettings::read(&values)?;
    let urls = Urls::read(&values, &tls, &mut warnings)?;
    gates::resolve(values.text("feature-gates"), &mut warnings)?;
    check_the_rest(&values, &mut warnings)?;
    let name = values.text("name").to_owned();
    let discovery = discovery::read(&values)?;
    let initial_cluster =
        initial_cluster(&values, &name, &urls.advertise_peer, discovery.is_some())?;
    let config = ServerConfig {
        data_dir: data_dir(&values, &name),
        wal_dir: Some(values.text("wal-dir")).filter(|dir| !dir.is_empty()).map(PathBuf::from),
        listen_client_urls: urls.listen_client,
        listen_client_http_urls: urls.listen_client_http,
        advertise_client_urls: urls.advertise_client,
        listen_peer_urls: urls.listen_peer,
        advertise_peer_urls: urls.advertise_peer,
        listen_metrics_urls: urls.listen_metrics,
        tls,
        sockets: SocketOptions { reuse_port: values.switch("socket-reuse-port") },
        discovery,
        initial_cluster,
        initial_cluster_state: cluster_state(values.text("initial-cluster-state"))?,
        initial_cluster_token: cluster_token(&values),
        strict_reconfig_check: values.switch("strict-reconfig-check"),
        max_learners: usize::try_from(values.number("max-learners")).unwrap_or(usize::MAX),
        force_new_cluster: values.switch("force-new-cluster"),
        heartbeat_interval: timing.heartbeat,
        election_timeout: timing.election,
        snapshot_count: values.number("snapshot-count"),
        quota_backend_bytes: quota(values.text("quota-backend-bytes"), &mut warnings),
        max_request_bytes: request_bytes(values.number("max-request-bytes"), &mut warnings)?,
        max_txn_ops: usize::try_from(values.number("max-txn-ops")).unwrap_or(usize::MAX),
        max_concurrent_streams: u32::try_from(values.number("max-concurrent-streams"))
            .map_err(|_| out_of_range("max-concurrent-streams"))?,
        keepalive_min_time: Some(values.duration("grpc-keepalive-min-time"))
            .filter(not_zero)
            .unwrap_or(PING_MIN_TIME_UNSET),
        keepalive_interval: keepalive_interval(&values),
        keepalive_timeout: Some(values.duration("grpc-keepalive-timeout")).filter(not_zero),
        watch_progress_interval: values.duration("watch-progress-notify-interval"),
        auto_compaction: auto_compaction(
            values.text("auto-compaction-mode"),
            values.text("auto-compaction-retention"),
        )?,
        log_level: logs::level(values.text("log-level"))?,
        log_format: logs::format(values.text("log-format"))?,
        log_rotation: logs::rotation(&values)?,
        log_outputs: logs::outputs(&values)?,
        slow_call: Some(values.duration("warning-unary-request-duration")).filter(not_zero),
        metrics: metrics_detail(values.text("metrics"))?,
        enable_grpc_gateway: values.switch("enable-grpc-gateway"),
        spans: spans::read(&values)?,
        enable_pprof: values.switch("enable-pprof"),
        cors: origins(&values)?,
        host_whitelist: values.list("host-whitelist"),
        auth_token: AuthTokenOptions::read(values.text("auth-token"), &mut warnings)
            .map_err(|error| ConfigError::unusable(error.to_string()))?,
        auth_token_ttl: auth_token_ttl(values.number("auth-token-ttl")),
        bcrypt_cost: bcrypt_cost(values.number("bcrypt-cost"), &mut warnings),
        name,
    };
    Ok(Resolved { config, warnings, config_file: None })
}

/// Values that nothing here depends on and that etcd checks all the same.
fn check_the_rest(values: &Values<'_>, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    if values.duration("compact-hash-check-time").is_zero() {
        return Err(ConfigError::unusable("--compact-hash-check-time must be >0 (set to 0s)"));
    }
    if values.text("discovery-fallback") == "proxy" {
        return Err(ConfigError::unusable(
            "v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"",
        ));
    }
    for retired in ["max-snapshots", "v2-deprecation"] {
        if values.0.get(retired).is_some() {
            warnings.push(format!("--{retired} is deprecated and scheduled for removal in 3.8"));
        }
    }
    logs::check_logger(values.text("logger"))
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
                let text = format!("--{} is refused: {why}", flag.name);
                return Err(ConfigError::unusable(text));
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

/// Compat: an origin must have the form of a URL with a port.
fn origins(values: &Values<'_>) -> Result<Vec<String>, ConfigError> {
    let text = values.text("cors");
    if !matches!(text, "" | "*") {
        Endpoint::read_list(text)?;
    }
    Ok(values.list("cors"))
}

/// *Source*: grpc-go, when etcd sets nothing because of a zero.
const PING_MIN_TIME_UNSET: Duration = Duration::from_secs(5 * 60);
/// *Source*: grpc-go: servers do not ping more often.
const PING_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Compat: a zero in one of the two switches both off.
fn keepalive_interval(values: &Values<'_>) -> Option<Duration> {
    let interval = Some(values.duration("grpc-keepalive-interval")).filter(not_zero)?;
    not_zero(&values.duration("grpc-keepalive-timeout")).then(|| interval.max(PING_INTERVAL_MIN))
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
        let wrong = |text: String| Err(ConfigError::unusable(text));
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

fn initial_cluster(
    values: &Values<'_>,
    name: &str,
    advertise_peer: &[Endpoint],
    others_are_discovered: bool,
) -> Result<InitialCluster, ConfigError> {
    let given = values.text("initial-cluster");
    let cluster = if given.is_empty() || others_are_discovered {
        let own: Vec<_> = advertise_peer.iter().map(|url| format!("{name}={url}")).collect();
        InitialCluster::read(&own.join(","))?
    } else {
        InitialCluster::read(given)?
    };
    cluster.check(name, advertise_peer)?;
    Ok(cluster)
}

/// Compat: the token of a discovery is that of the cluster.
fn cluster_token(values: &Values<'_>) -> String {
    let discovery = Some(values.text("discovery-token")).filter(|token| !token.is_empty());
    discovery.unwrap_or(values.text("initial-cluster-token")).to_owned()
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
            "invalid value {other:?} for flag -initial-cluster-state: invalid value; it is \"new\" \
             or \"existing\""
        ))),
    }
}

fn quota(text: &str, warnings: &mut Vec<String>) -> u64 {
    let bytes: i64 = text.parse().expect("the form was checked by parse");
    match u64::try_from(bytes) {
        Ok(0) => QUOTA_BYTES_DEFAULT,
        Ok(bytes) => {
            if bytes > QUOTA_BYTES_ADVISED_MAX {
                warnings.push(format!(
                    "quota exceeds the maximum value that etcd advises: {bytes} bytes, advised \
                     are at most {QUOTA_BYTES_ADVISED_MAX}"
                ));
            }
            bytes
        }
        // etcd: a negative quota switches the check off.
        Err(_) => {
            warnings.push("disabled backend quota: --quota-backend-bytes is negative".to_owned());
            u64::MAX
        }
    }
}

fn request_bytes(bytes: u64, warnings: &mut Vec<String>) -> Result<usize, ConfigError> {
    if bytes > REQUEST_BYTES_ADVISED_MAX {
        warnings.push(format!(
            "exceeded recommended request limit: --max-request-bytes is {bytes}, recommended are \
             at most {REQUEST_BYTES_ADVISED_MAX}"
        ));
    }
    if bytes == 0 || bytes > REQUEST_BYTES_CEILING {
        return Err(ConfigError::unusable(format!(
            "--max-request-bytes must be between 1 and {REQUEST_BYTES_CEILING} (set to {bytes})"
        )));
    }
    usize::try_from(bytes).map_err(|_| out_of_range("max-request-bytes"))
}

/// *Source*: etcd `parseCompactionRetention`: a number counts revisions or hours, all else is a
/// duration.
fn auto_compaction(mode: &str, retention: &str) -> Result<AutoCompaction, ConfigError> {
    let by_revision = match mode {
        "revision" => true,
        "periodic" => false,
        "" => return Err(ConfigError::unusable("undefined auto-compaction-mode")),
        other => {
            let text = format!("unknown auto-compaction-mode {other:?}");
            return Err(ConfigError::unusable(text));
        }
    };
    let retention = if retention.is_empty() { "0" } else { retention };
    let wrong =
        |why: String| ConfigError::unusable(format!("error parsing CompactionRetention: {why}"));
    let unreadable = || wrong(duration_problem(retention));
    match (retention.parse::<i64>(), by_revision) {
        (Ok(0), _) => Ok(AutoCompaction::Off),
        (Ok(count @ 1..), true) => Ok(AutoCompaction::Revisions(count)),
        (Ok(hours @ 1..), false) => {
            let seconds = hours.unsigned_abs().checked_mul(3600).filter(|s| *s <= GO_SECONDS_MAX);
            seconds.map(Duration::from_secs).map(AutoCompaction::Periodic).ok_or_else(unreadable)
        }
        // etcd takes a duration's nanoseconds for revisions; nobody means that.
        (Err(_), true) if go_duration(retention).is_some() => {
            Err(wrong(format!("{retention:?} is no number of revisions")))
        }
        _ => match go_duration(retention).ok_or_else(unreadable)? {
            Duration::ZERO => Ok(AutoCompaction::Off),
            period => Ok(AutoCompaction::Periodic(period)),
        },
    }
}

/// Go's durations end there, in seconds.
const GO_SECONDS_MAX: u64 = i64::MAX as u64 / 1_000_000_000;

fn metrics_detail(text: &str) -> Result<MetricsDetail, ConfigError> {
    match text {
        "basic" => Ok(MetricsDetail::Basic),
        "extensive" => Ok(MetricsDetail::Extensive),
        other => {
            Err(ConfigError::new(format!("invalid metrics type {other:?}: basic or extensive")))
        }
    }
}
