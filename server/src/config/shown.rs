//! Which test or suite shows a flag at work, for the page of flags.
//!
//! Invariant: each flag stands in the table and is named by the source of what shows it; a test
//! holds it, and `cargo xtask tidy` that the test is there. Must not know: what a flag does.

/// What shows something, and the flags that it is started with.
pub(super) const SHOWN: &[(&str, &[&str])] = &[
    (
        "binary/config::kubeadms_static_pod_starts_unchanged",
        &[
            "name",
            "data-dir",
            "advertise-client-urls",
            "cert-file",
            "key-file",
            "client-cert-auth",
            "trusted-ca-file",
            "peer-cert-file",
            "peer-key-file",
            "peer-client-cert-auth",
            "peer-trusted-ca-file",
            "initial-advertise-peer-urls",
            "initial-cluster",
            "listen-client-urls",
            "listen-peer-urls",
            "listen-metrics-urls",
            "feature-gates",
        ],
    ),
    (
        "binary/config::a_configuration_file_stands_alone_and_http_has_a_port_of_its_own",
        &["config-file", "listen-client-http-urls"],
    ),
    ("binary/config::lines_for_people_are_parted_by_tabs", &["log-format"]),
    ("binary/config::a_healthy_run_logs_etcds_lines_and_no_error", &["log-outputs", "log-level"]),
    ("binary/config::kwokctls_arguments_start_unchanged", &["auto-compaction-retention"]),
    ("binary/tls::clients_come_over_unix_sockets_and_auto_tls", &["auto-tls"]),
    ("binary/tls::who_is_let_in_and_what_the_others_hear_is_as_with_etcd", &["client-crl-file"]),
    ("binary/tls::a_stranger_among_peers_is_rejected_with_etcds_line", &["peer-cert-allowed-cn"]),
    (
        "binary/tls::peers_with_certificates_of_their_own_making_find_each_other",
        &["peer-auto-tls", "self-signed-cert-validity"],
    ),
    ("suite auth", &["auth-token", "bcrypt-cost"]),
    ("services/auth::tokens_end_by_time_and_with_their_user", &["auth-token-ttl"]),
    ("suite rounds", &["heartbeat-interval", "election-timeout"]),
    ("suite drills", &["initial-cluster-state", "initial-cluster-token", "snapshot-count"]),
    (
        "services/kv::requests_above_the_limits_are_refused_as_etcd_refuses_them",
        &["max-request-bytes"],
    ),
    (
        "services/maintenance::a_full_member_raises_the_alarm_and_still_deletes",
        &["quota-backend-bytes"],
    ),
    (
        "services/watch::an_idle_watcher_is_told_the_revision_periodically",
        &["watch-progress-notify-interval"],
    ),
    (
        "services/gateway::the_gateway_and_the_profiler_are_switched_by_their_flags",
        &["enable-grpc-gateway", "enable-pprof"],
    ),
    ("services/gateway::unknown_hosts_and_origins_are_kept_out", &["cors", "host-whitelist"]),
];

/// What shows a flag.
pub(super) fn by(flag: &str) -> Option<&'static str> {
    SHOWN.iter().find(|(_, flags)| flags.contains(&flag)).map(|(proof, _)| *proof)
}

#[cfg(test)]
mod tests {
    use super::super::{Flag, Treatment};
    use super::SHOWN;
    use std::path::Path;

    fn source(proof: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let files: Vec<_> = match proof.strip_prefix("suite ") {
            Some(suite) => {
                let folder = root.join("jepsen-like-tests/harness/src").join(suite);
                let entries = std::fs::read_dir(folder).expect("a suite has a folder");
                entries.map(|entry| entry.expect("an entry").path()).collect()
            }
            None => {
                let file = proof.split("::").next().expect("a file").to_owned() + ".rs";
                ["server/tests", "engram/tests"].map(|tests| root.join(tests).join(&file)).into()
            }
        };
        files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect()
    }

    #[test]
    fn what_is_said_to_show_a_flag_names_it() {
        for (proof, flags) in SHOWN {
            let text = source(proof);
            assert!(!text.is_empty(), "{proof} has no source");
            for name in *flags {
                let flag = Flag::find(name).expect("a flag of the table");
                assert!(matches!(flag.treatment, Treatment::Honoured(_)), "{name}");
                assert!(text.contains(name), "{proof} does not name --{name}");
            }
        }
    }
}
