//! The table of every flag of etcd 3.7 and what Engram does with it.
//!
//! Invariant: one row per flag, names unique; the page `docs/compatibility/flags.md` is generated
//! from this table and a test compares them. Must not know: how a value is used.

/// How a flag's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true`/`false`; the flag alone means true.
    Bool,
    /// An unsigned 64-bit number.
    Unsigned,
    /// A signed 64-bit number.
    Signed,
    /// A duration in Go's form, for instance `1h15m`.
    Duration,
    /// A comma separated list of URLs.
    Urls,
    /// `name=bool,…`: feature gates.
    Gates,
    /// Any text or none; the flag alone is enough.
    Anything,
}

/// What Engram does with a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It works; the text says what it does.
    Honoured(&'static str),
    /// It is accepted and has no effect; one warning with this reason is logged when it is given
    /// with another value than its default.
    Ignored(&'static str),
    /// Any value but the default stops the start, with this reason.
    Refused(&'static str),
}

/// One flag of etcd.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Without dashes, for instance `data-dir`.
    pub name: &'static str,
    /// How its value is read.
    pub kind: Kind,
    /// etcd's default, as text; empty when there is none.
    pub default: &'static str,
    /// What Engram does with it.
    pub treatment: Treatment,
}

impl Flag {
    /// The row of a name without dashes.
    pub fn find(name: &str) -> Option<&'static Flag> {
        FLAGS.iter().find(|flag| flag.name == name)
    }

    /// The environment variable of the flag, for instance `ETCD_DATA_DIR`.
    pub fn variable(&self) -> String {
        format!("ETCD_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }
}

const fn works(name: &'static str, kind: Kind, default: &'static str, what: &'static str) -> Flag {
    Flag { name, kind, default, treatment: Treatment::Honoured(what) }
}

const fn ignored(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Flag {
    Flag { name, kind, default, treatment: Treatment::Ignored(why) }
}

const fn refused(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Flag {
    Flag { name, kind, default, treatment: Treatment::Refused(why) }
}

/// Compat: etcd takes these as switches, with any value.
const fn long_gone(name: &'static str) -> Flag {
    Flag { name, kind: Kind::Anything, default: "", treatment: Treatment::Ignored(LONG_GONE) }
}

use Kind::{Bool, Duration, Gates, Signed, Text, Unsigned, Urls};

const NO_DISCOVERY: &str =
    "discovery by DNS is not supported; give --initial-cluster or --discovery-endpoints";
const V2_DISCOVERY: &str = "v2 discovery is gone from etcd too";
const NO_BBOLT: &str = "there is no bbolt file";
const PEERS_WATCHED: &str = "peer connections are watched by HTTP/2 pings and TCP_USER_TIMEOUT";
const LOG_ROTATION: &str = "{\"maxsize\": 100, \"maxage\": 0, \"maxbackups\": 0, \
    \"localtime\": false, \"compress\": false}";
const DIGESTS: &str = "members compare their state digest all the time";
const OWN_STEPS: &str = "compaction works in bounded steps of its own";
const LONG_GONE: &str = "an old flag that etcd ignores as well";

/// Every flag of etcd 3.7.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    works("name", Text, "default", "Human-readable name of this member."),
    works("data-dir", Text, "", "Data directory; `<name>.etcd` when not given."),
    works("wal-dir", Text, "",
        "Directory of the Raft log; inside the data directory when not given."),
    works("snapshot-count", Unsigned, "10000", "Log entries kept for members that lag behind; then they get a snapshot."),
    works("heartbeat-interval", Unsigned, "100", "Heartbeat interval in milliseconds."),
    works("election-timeout", Unsigned, "1000",
        "Election timeout in milliseconds; at least five heartbeats."),
    ignored("initial-election-tick-advance", Bool, "true",
        "a sole voter triggers its election at once; others wait one timeout"),
    works("listen-peer-urls", Urls, "http://localhost:2380", "Where peers are listened to."),
    works("listen-client-urls", Urls, "http://localhost:2379",
        "Where clients are listened to, gRPC and HTTP on one port."),
    works("listen-client-http-urls", Urls, "",
        "Client listeners for HTTP alone; the other client listeners then speak only gRPC."),
    ignored("max-snapshots", Unsigned, "5", "snapshots are kept while a peer needs them"),
    ignored("max-wals", Unsigned, "5", "log segments are recycled"),
    ignored("memory-mlock", Bool, "false", "there is no memory-mapped database file"),
    works("quota-backend-bytes", Signed, "0",
        "Size of the state at which writes are refused, in bytes; 0 means 2 GiB."),
    ignored("backend-bbolt-freelist-type", Text, "map", NO_BBOLT),
    ignored("backend-batch-interval", Duration, "0s", NO_BBOLT),
    ignored("backend-batch-limit", Unsigned, "0", NO_BBOLT),
    works("max-txn-ops", Unsigned, "128",
        "Most operations in one transaction, counted through nesting."),
    works("max-request-bytes", Unsigned, "1572864", "Largest client request in bytes."),
    works("max-concurrent-streams", Unsigned, "4294967295",
        "Most concurrent streams of one connection."),
    works("grpc-keepalive-min-time", Duration, "5s",
        "Clients that ping more often are told `too_many_pings` and disconnected, by grpc-go's rules; \
         as with etcd not on TLS ports that serve HTTP too."),
    works("grpc-keepalive-interval", Duration, "2h",
        "How often an idle connection is pinged, at least 1s; 0 disables."),
    works("grpc-keepalive-timeout", Duration, "20s",
        "How long an answer to that ping may take; 0 disables."),
    works("socket-reuse-port", Bool, "false",
        "Set SO_REUSEPORT: the port may be bound by more than one process."),
    works("socket-reuse-address", Bool, "false",
        "Set SO_REUSEADDR on listeners; here it is always set."),
    works("enable-grpc-gateway", Bool, "true", "The JSON gateway under `/v3/`."),
    ignored("raft-read-timeout", Duration, "5s", PEERS_WATCHED),
    ignored("raft-write-timeout", Duration, "5s", PEERS_WATCHED),
    works("feature-gates", Gates, "",
        "`Name=true,…`; the names of etcd 3.7. What the lease, hash and corruption gates switch on is \
         always on, the others have no counterpart."),
    works("initial-advertise-peer-urls", Urls, "http://localhost:2380",
        "This member's peer URLs as others dial them."),
    works("initial-cluster", Text, "", "Founding members, `name=url,name=url`."),
    works("initial-cluster-state", Text, "new", "`new`, or `existing` for a member that joins."),
    works("initial-cluster-token", Text, "etcd-cluster",
        "Goes into the cluster id, so that two clusters never mix."),
    works("advertise-client-urls", Urls, "http://localhost:2379",
        "This member's client URLs as clients dial them."),
    refused("discovery", Text, "", V2_DISCOVERY),
    works("discovery-token", Text, "",
        "Names the cluster whose founding members find each other through --discovery-endpoints; also its --initial-cluster-token."),
    works("discovery-endpoints", Text, "",
        "The etcd or Engram through which they do, comma separated: etcd's v3 discovery, also among members of both."),
    works("discovery-dial-timeout", Duration, "2s", "How long connecting to it may take."),
    works("discovery-request-timeout", Duration, "5s", "How long a request to it may take."),
    works("discovery-keepalive-time", Duration, "2s", "How often it is pinged, at least 10s as with etcd."),
    works("discovery-keepalive-timeout", Duration, "6s",
        "How long the answer to such a ping may take."),
    works("discovery-insecure-transport", Bool, "true",
        "Speak in the clear to endpoints without a scheme, unless files for TLS are given."),
    works("discovery-insecure-skip-tls-verify", Bool, "false", "Believe whoever answers."),
    works("discovery-cert", Text, "", "Certificate shown to it, PEM."),
    works("discovery-key", Text, "", "Its key, PEM."),
    works("discovery-cacert", Text, "", "CAs of it, PEM; the system's when not given."),
    works("discovery-user", Text, "", "Whom to ask it as."),
    works("discovery-password", Text, "", "That user's password."),
    refused("discovery-fallback", Text, "exit", V2_DISCOVERY),
    refused("discovery-proxy", Text, "", V2_DISCOVERY),
    refused("discovery-srv", Text, "", NO_DISCOVERY),
    refused("discovery-srv-name", Text, "", NO_DISCOVERY),
    works("strict-reconfig-check", Bool, "true",
        "Changes of the members are refused that would leave too few started or reachable voters."),
    ignored("pre-vote", Bool, "true", "pre-vote is always on"),
    works("auto-compaction-retention", Text, "0", "How much history is kept; 0 keeps all."),
    works("auto-compaction-mode", Text, "periodic",
        "`periodic` (a duration) or `revision` (a count)."),
    ignored("v2-deprecation", Text, "write-only", "there is no v2 store; etcd has one default"),
    works("cert-file", Text, "", "Certificate for clients with its chain, PEM; read again when it changes."),
    works("key-file", Text, "", "Its key, PEM."),
    works("client-cert-auth", Bool, "false",
        "Clients must show a certificate of --trusted-ca-file (or of the system's CAs)."),
    works("client-cert-file", Text, "",
        "Checked as etcd checks it; used by nothing: this member does not dial clients."),
    works("client-key-file", Text, "", "Its key."),
    works("client-crl-file", Text, "",
        "Revoked client certificates, DER (as etcd) or PEM; read again when it changes."),
    works("client-cert-allowed-hostname", Text, "",
        "Only clients whose certificate is valid for one of these names are let in."),
    works("trusted-ca-file", Text, "",
        "CAs of clients, PEM; clients must then show a certificate."),
    works("auto-tls", Bool, "false",
        "Make a certificate for clients, in `<data-dir>/fixtures/client`, when no file is given."),
    works("peer-cert-file", Text, "", "Certificate for peers with its chain, PEM; read again when it changes."),
    works("peer-key-file", Text, "", "Its key, PEM."),
    works("peer-client-cert-auth", Bool, "false",
        "Peers must show a certificate of --peer-trusted-ca-file."),
    works("peer-client-cert-file", Text, "",
        "Certificate shown when dialling peers; --peer-cert-file when not given."),
    works("peer-client-key-file", Text, "", "Its key."),
    works("peer-trusted-ca-file", Text, "",
        "CAs of peers, PEM; the system's when not given. Dialling peers must then show a certificate."),
    works("peer-cert-allowed-cn", Text, "",
        "Only peers whose certificate has one of these common names are let in or dialled."),
    works("peer-cert-allowed-hostname", Text, "",
        "Only peers whose certificate is valid for one of these names are let in or dialled."),
    works("peer-auto-tls", Bool, "false",
        "Make a certificate for peers, in `<data-dir>/fixtures/peer`; peers are then not verified, as in etcd."),
    works("self-signed-cert-validity", Unsigned, "1",
        "Years that a certificate of --auto-tls and --peer-auto-tls is valid."),
    works("peer-crl-file", Text, "",
        "Revoked peer certificates, DER (as etcd) or PEM; read again when it changes."),
    works("cipher-suites", Text, "",
        "Suites of TLS 1.2 by name: ECDHE with AES-GCM or ChaCha20 (also the default); others are refused. \
         Those of 1.3 are always on, as in etcd."),
    works("tls-min-version", Text, "TLS1.2", "`TLS1.2` or `TLS1.3`."),
    works("tls-max-version", Text, "", "`TLS1.2` or `TLS1.3`; the newest when empty."),
    works("peer-skip-client-san-verification", Bool, "false",
        "Do not compare a dialling peer's address with the names in its certificate."),
    works("cors", Text, "*", "Origins that browsers may ask from, comma separated; `*` for all."),
    works("host-whitelist", Text, "*",
        "Host names that HTTP clients without TLS may use, comma separated; `*` for all."),
    works("auth-token", Text, "simple",
        "`simple`, or `jwt` with `pub-key`, `priv-key`, `sign-method` and `ttl`."),
    works("bcrypt-cost", Unsigned, "10", "Work of hashing a password, 4 to 31."),
    works("auth-token-ttl", Unsigned, "300",
        "Seconds that a simple token lives after its last use."),
    works("enable-pprof", Bool, "false",
        "Serves `/debug/pprof/`; there is no Go runtime to profile, so only `cmdline` has content."),
    works("metrics", Text, "basic",
        "`basic` or `extensive`; latency histograms are exported in both."),
    works("listen-metrics-urls", Urls, "",
        "More listeners for /metrics and the health paths only."),
    works("logger", Text, "zap", "`zap` and nothing else; here the name alone."),
    works("log-outputs", Text, "default",
        "`default`, `stderr`, `stdout` or files; `systemd/journal` is standard error, which systemd keeps."),
    works("log-level", Text, "info", "debug, info, warn, error, panic or fatal."),
    works("log-format", Text, "json", "`json` or `console`."),
    works("enable-log-rotation", Bool, "false",
        "Put the one file of --log-outputs aside when it is full, as --log-rotation-config-json says."),
    works("log-rotation-config-json", Text, LOG_ROTATION,
        "`maxsize` in MiB, `maxage` in days, `maxbackups`; `localtime` and `compress` are refused."),
    works("warning-unary-request-duration", Duration, "300ms",
        "A unary call that takes longer is logged as `request stats`."),
    works("enable-distributed-tracing", Bool, "false",
        "Tell an OpenTelemetry collector of client calls, as etcd does: one span for each, by the names of otelgrpc."),
    works("distributed-tracing-address", Text, "localhost:4317",
        "The collector, for OTLP over gRPC in the clear; one that is away slows nothing."),
    works("distributed-tracing-service-name", Text, "etcd", "`service.name` of the spans."),
    works("distributed-tracing-instance-id", Text, "", "`service.instance.id` of the spans."),
    works("distributed-tracing-sampling-rate", Signed, "0",
        "Of how many calls in a million; a caller that sends `traceparent` decides for its own."),
    ignored("corrupt-check-time", Duration, "0s", DIGESTS),
    ignored("compact-hash-check-time", Duration, "1m", DIGESTS),
    ignored("compaction-batch-limit", Unsigned, "1000", OWN_STEPS),
    works("watch-progress-notify-interval", Duration, "10m",
        "How often an idle watcher with progress_notify is told the revision."),
    ignored("warning-apply-duration", Duration, "100ms",
        "slow applies are seen in the latency histograms"),
    ignored("bootstrap-defrag-threshold-megabytes", Unsigned, "0",
        "there is no file to defragment at the start"),
    works("max-learners", Unsigned, "1", "Most members without a vote."),
    ignored("compaction-sleep-interval", Duration, "10ms", OWN_STEPS),
    ignored("downgrade-check-time", Duration, "5s", "downgrade is not supported"),
    ignored("snapshot-catchup-entries", Unsigned, "5000",
        "the log kept for slow members is bounded in bytes"),
    works("force-new-cluster", Bool, "false",
        "A member of a lost quorum forgets all others and goes on alone with its data."),
    ignored("unsafe-no-fsync", Bool, "false", "the log is always synced"),
    works("config-file", Text, "",
        "etcd's YAML file; flags and variables given beside it do not count, as in etcd."),
    long_gone("cluster-active-size"),
    long_gone("cluster-remove-delay"),
    long_gone("cluster-sync-interval"),
    long_gone("config"),
    long_gone("force"),
    long_gone("max-result-buffer"),
    long_gone("max-retry-attempts"),
    long_gone("peer-heartbeat-interval"),
    long_gone("peer-election-timeout"),
    long_gone("retry-interval"),
    long_gone("snapshot"),
    long_gone("v"),
    long_gone("vv"),
];

/// The page `docs/compatibility/flags.md`.
pub fn flags_page() -> String {
    let mut page = String::from(
        "# Flags of etcd 3.7 in `engram server`\n\n\
         Generated from the table in `server/src/config/flags.rs`; a test compares them.\n\
         Every flag is also read from its variable (`ETCD_DATA_DIR` for `--data-dir`); a flag\n\
         wins over its variable. An ignored flag is named in one warning; a refused one stops\n\
         the start unless it has its default value. That each is read and treated as its row\n\
         says is shown by \
         `config/tests::an_ignored_flag_is_named_in_one_warning_and_only_when_it_differs`\n\
         and its neighbours; *shown by* names a test in which the flag does its work, and is \
         empty\n\
         where only the reading is tested.\n\n\
         | flag | default | state | note | shown by |\n|---|---|---|---|---|\n",
    );
    for flag in FLAGS {
        let (state, note) = match flag.treatment {
            Treatment::Honoured(what) => ("honoured", what),
            Treatment::Ignored(why) => ("ignored", why),
            Treatment::Refused(why) => ("refused", why),
        };
        let default = match flag.default {
            "" => String::new(),
            value => format!("`{value}`"),
        };
        let shown = super::shown::by(flag.name).map(|proof| format!("`{proof}`"));
        let shown = shown.unwrap_or_default();
        page.push_str(&format!("| `--{}` | {default} | {state} | {note} | {shown} |\n", flag.name));
    }
    page
}
