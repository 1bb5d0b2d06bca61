//! The table and the checks of the configuration, row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn read_line(line: &str) -> Result<Resolved, String> {
    read(&words(line), &BTreeMap::new()).map_err(|error| error.text)
}

fn config_of(line: &str) -> ServerConfig {
    read_line(line).unwrap_or_else(|error| panic!("{line}: {error}")).config
}

#[test]
fn no_flags_give_etcds_defaults() {
    let config = config_of("");
    assert_eq!(config.name, "default");
    assert_eq!(config.data_dir.to_str(), Some("default.etcd"));
    assert_eq!(config.initial_cluster.to_string(), "default=http://localhost:2380");
    assert_eq!(config.listen_client_urls[0].authority(), "localhost:2379");
    assert_eq!(config.request_timeout(), Duration::from_secs(7));
    assert_eq!(config.min_lease_ttl_s(), 2);
    assert_eq!(config.max_request_bytes, 1_572_864);
    assert_eq!(config.quota_backend_bytes, 2 * 1024 * 1024 * 1024);
    assert_eq!(config.auto_compaction, AutoCompaction::Off);
    assert!(read_line("").expect("defaults are valid").warnings.is_empty());
}

#[test]
fn both_spellings_and_one_dash_are_read() {
    for line in ["--name a", "--name=a", "-name a", "-name=a"] {
        assert_eq!(config_of(line).name, "a", "{line}");
    }
    for line in ["--pre-vote", "--pre-vote=true", "-pre-vote=1", "--strict-reconfig-check"] {
        assert!(read_line(line).is_ok(), "{line}");
    }
}

/// A line, and the text that refuses it.
type Refusals = &'static [(&'static str, &'static str)];

#[rustfmt::skip]
const WRONG_VALUES: Refusals = &[
    ("--bogus", "flag provided but not defined: -bogus"),
    (
        "--listen-client-url http://127.0.0.1:1",
        "flag provided but not defined: -listen-client-url; did you mean --listen-client-urls?",
    ),
    ("--name", "flag needs an argument: -name"),
    ("extra", "\"extra\" is not a valid flag"),
    ("--pre-vote=maybe", "invalid boolean value \"maybe\" for -pre-vote: parse error"),
    (
        "--heartbeat-interval=abc",
        "invalid value \"abc\" for flag -heartbeat-interval: parse error",
    ),
    (
        "--quota-backend-bytes=8GiB",
        "invalid value \"8GiB\" for flag -quota-backend-bytes: parse error",
    ),
    (
        "--quota-backend-bytes=99999999999999999999",
        "invalid value \"99999999999999999999\" for flag -quota-backend-bytes: \
         value out of range",
    ),
    (
        "--grpc-keepalive-interval=-5s",
        "invalid value \"-5s\" for flag -grpc-keepalive-interval: parse error",
    ),
    ("--heartbeat-interval=0", "--heartbeat-interval must be >0 (set to 0ms)"),
    (
        "--election-timeout=100",
        "--election-timeout[100ms] should be at least as 5 times as \
         --heartbeat-interval[100ms]",
    ),
    (
        "--election-timeout=60000",
        "--election-timeout[60000ms] is too long, and should be set less than 50000ms",
    ),
    (
        "--listen-client-urls=foo",
        "invalid value \"foo\" for flag -listen-client-urls: URL scheme must be http, https, \
         unix, or unixs: foo",
    ),
    (
        "--listen-peer-urls=http://127.0.0.1:1/x",
        "invalid value \"http://127.0.0.1:1/x\" for flag -listen-peer-urls: URL must not \
         contain a path: http://127.0.0.1:1/x",
    ),
    (
        "--listen-client-urls=https://127.0.0.1:2379",
        "TLS key/cert (--cert-file, --key-file) must be provided for client url \
         https://127.0.0.1:2379 with HTTPS scheme",
    ),
    (
        "--listen-client-urls=http://example.com:2379",
        "expected IP in URL for binding (http://example.com:2379)",
    ),
    (
        "--listen-client-urls=http://0.0.0.0:2379",
        "--advertise-client-urls is required when --listen-client-urls is set explicitly",
    ),
];

#[rustfmt::skip]
const WRONG_COMBINATIONS: Refusals = &[
    ("--cert-file=a.pem", "KeyFile and CertFile must both be present[key: , cert: a.pem]"),
    (
        "--listen-peer-urls=https://127.0.0.1:2380",
        "cannot listen on TLS for 127.0.0.1:2380: KeyFile and CertFile are not presented",
    ),
    (
        "--discovery-srv=example.com",
        "--discovery-srv is refused: discovery by DNS is not supported; give --initial-cluster or \
         --discovery-endpoints",
    ),
    (
        "--initial-cluster=a=http://localhost:2380",
        "couldn't find local name \"default\" in the initial cluster configuration",
    ),
    (
        "--initial-cluster=default=http://127.0.0.1:9999",
        "--initial-cluster has default=http://127.0.0.1:9999 but missing from \
         --initial-advertise-peer-urls=http://localhost:2380",
    ),
    (
        "--initial-cluster=default=http://localhost:2380,b=http://localhost:2380",
        "initial cluster b=http://localhost:2380,default=http://localhost:2380 has duplicate url",
    ),
    (
        "--initial-cluster-state=foo",
        "invalid value \"foo\" for flag -initial-cluster-state: \
         invalid value; it is \"new\" or \"existing\"",
    ),
    ("--auto-compaction-mode=other", "unknown auto-compaction-mode \"other\""),
    (
        "--auto-compaction-retention=-1",
        "error parsing CompactionRetention: time: missing unit in duration \"-1\"",
    ),
    ("--log-level=loud", "unrecognized level: \"loud\""),
    (
        "--max-request-bytes=99999999999",
        "--max-request-bytes must be between 1 and 67108864 (set to 99999999999)",
    ),
    ];

#[test]
fn wrong_lines_are_refused_with_a_text_that_names_the_flag() {
    for (line, text) in WRONG_VALUES.iter().chain(WRONG_COMBINATIONS) {
        assert_eq!(read_line(line).map(|_| ()), Err((*text).to_owned()), "{line}");
    }
}

#[test]
fn an_ignored_flag_is_named_in_one_warning_and_only_when_it_differs() {
    let warnings = read_line("--max-wals=5 --backend-batch-limit=7").expect("accepted").warnings;
    assert_eq!(warnings, ["--backend-batch-limit has no effect here: there is no bbolt file"]);
    let old = read_line("--experimental-watch-progress-notify-interval=5s").expect("accepted");
    assert_eq!(old.config.watch_progress_interval, Duration::from_secs(5));
    assert_eq!(old.warnings.len(), 1);
}

#[test]
fn a_flag_wins_over_its_variable_and_unknown_variables_are_warned_about() {
    let variables = [
        ("ETCD_NAME", "from-variable"),
        ("ETCD_DATA_DIR", "/tmp/x"),
        ("ETCD_DATE_DIR", "/tmp/y"),
        ("ETCD_INITIAL_CLUSTER", ""),
        ("HOME", "/root"),
    ];
    let environment = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let resolved = read(&words("--name a"), &environment).expect("valid");
    assert_eq!(resolved.config.name, "a");
    assert_eq!(resolved.config.data_dir.to_str(), Some("/tmp/x"));
    assert_eq!(
        resolved.warnings,
        [
            "unrecognized environment variable ETCD_DATE_DIR; did you mean ETCD_DATA_DIR?",
            "--name is given as a flag; ETCD_NAME is not read",
        ]
    );
    let environment = [("ETCD_MAX_TXN_OPS".to_owned(), "x".to_owned())].into();
    assert_eq!(
        read(&[], &environment).map(|_| ()).map_err(|error| error.text),
        Err("invalid value \"x\" for ETCD_MAX_TXN_OPS: parse error".to_owned())
    );
}

#[test]
fn a_static_cluster_of_three_is_read() {
    let config = config_of(
        "--name n2 --initial-advertise-peer-urls http://127.0.0.1:2 --listen-peer-urls \
         http://127.0.0.1:2 --initial-cluster n1=http://127.0.0.1:1,n2=http://127.0.0.1:2,\
         n3=http://127.0.0.1:3 --initial-cluster-token t --auto-compaction-retention 5m",
    );
    assert_eq!(config.initial_cluster.members.len(), 3);
    assert_eq!(config.initial_cluster_token, "t");
    assert_eq!(config.auto_compaction, AutoCompaction::Periodic(Duration::from_secs(300)));
}

#[test]
fn kubeadms_own_line_is_accepted_but_for_tls() {
    let line = "--advertise-client-urls=http://10.0.0.4:2379 --data-dir=/var/lib/etcd \
        --feature-gates=InitialCorruptCheck=true --initial-advertise-peer-urls=http://10.0.0.4:2380 \
        --initial-cluster=cp=http://10.0.0.4:2380 --listen-client-urls=http://127.0.0.1:2379,http://10.0.0.4:2379 \
        --listen-metrics-urls=http://127.0.0.1:2381 --listen-peer-urls=http://10.0.0.4:2380 \
        --name=cp --snapshot-count=10000 --watch-progress-notify-interval=5s";
    assert_eq!(config_of(line).listen_metrics_urls.len(), 1);
}

#[test]
fn the_table_has_one_row_per_flag_and_readable_defaults() {
    let names: BTreeSet<_> = FLAGS.iter().map(|flag| flag.name).collect();
    assert_eq!(names.len(), FLAGS.len());
    for flag in FLAGS.iter().filter(|flag| !flag.default.is_empty()) {
        let arg = format!("--{}={}", flag.name, flag.default);
        parse(&[arg], &BTreeMap::new()).unwrap_or_else(|error| panic!("{}: {error}", flag.name));
    }
}

#[test]
fn the_page_of_flags_is_generated_from_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compatibility/flags.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == flags_page(), "write this into docs/compatibility/flags.md:\n{}", flags_page());
}
