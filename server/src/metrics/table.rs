//! etcd's series that are told here, and those that are not, with the reason.
//! Must not know: values.

use crate::compatibility::{Counts, State};

/// etcd's series that every member tells from the first scrape on.
const TOLD: &[&str] = &[
    "etcd_cluster_version",
    "etcd_debugging_auth_revision",
    "etcd_debugging_lease_granted_total",
    "etcd_debugging_lease_renewed_total",
    "etcd_debugging_lease_revoked_total",
    "etcd_debugging_lease_ttl_total",
    "etcd_debugging_mvcc_compact_revision",
    "etcd_debugging_mvcc_current_revision",
    "etcd_debugging_mvcc_events_total",
    "etcd_debugging_mvcc_keys_total",
    "etcd_debugging_mvcc_pending_events_total",
    "etcd_debugging_mvcc_slow_watcher_total",
    "etcd_debugging_mvcc_total_put_size_in_bytes",
    "etcd_debugging_mvcc_watch_stream_total",
    "etcd_debugging_mvcc_watcher_total",
    "etcd_debugging_server_lease_expired_total",
    "etcd_disk_backend_commit_duration_seconds",
    "etcd_disk_backend_defrag_duration_seconds",
    "etcd_disk_backend_snapshot_duration_seconds",
    "etcd_disk_defrag_inflight",
    "etcd_disk_wal_fsync_duration_seconds",
    "etcd_mvcc_db_total_size_in_bytes",
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_mvcc_delete_total",
    "etcd_mvcc_hash_duration_seconds",
    "etcd_mvcc_hash_rev_duration_seconds",
    "etcd_mvcc_put_total",
    "etcd_mvcc_range_total",
    "etcd_mvcc_txn_total",
    "etcd_network_active_peers",
    "etcd_network_client_grpc_received_bytes_total",
    "etcd_network_client_grpc_sent_bytes_total",
    "etcd_network_disconnected_peers_total",
    "etcd_network_known_peers",
    "etcd_network_peer_received_bytes_total",
    "etcd_network_peer_round_trip_time_seconds",
    "etcd_network_peer_sent_bytes_total",
    "etcd_network_peer_sent_failures_total",
    "etcd_network_snapshot_send_failures",
    "etcd_network_snapshot_send_inflights_total",
    "etcd_network_snapshot_send_success",
    "etcd_network_snapshot_send_total_duration_seconds",
    "etcd_server_apply_duration_seconds",
    "etcd_server_has_leader",
    "etcd_server_health_failures",
    "etcd_server_health_success",
    "etcd_server_heartbeat_send_failures_total",
    "etcd_server_id",
    "etcd_server_is_leader",
    "etcd_server_is_learner",
    "etcd_server_leader_changes_seen_total",
    "etcd_server_proposals_applied_total",
    "etcd_server_proposals_committed_total",
    "etcd_server_proposals_failed_total",
    "etcd_server_proposals_pending",
    "etcd_server_quota_backend_bytes",
    "etcd_server_range_duration_seconds",
    "etcd_server_read_indexes_failed_total",
    "etcd_server_request_duration_seconds",
    "etcd_server_slow_apply_total",
    "etcd_server_slow_read_indexes_total",
    "etcd_server_version",
    "grpc_server_handled_total",
    "grpc_server_handling_seconds",
    "grpc_server_started_total",
    "os_fd_limit",
    "os_fd_used",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
];

/// etcd's series that are told once there is something to tell, as in etcd.
const LATER: &[(&str, &str)] = &[
    ("etcd_server_client_requests_total", "with the first request"),
    ("etcd_server_healthcheck", "with the first look at `/livez` or `/readyz`"),
    ("etcd_server_healthchecks_total", "with the first look at `/livez` or `/readyz`"),
];

/// etcd's series that have no counterpart.
const NOT_TOLD: &[(&str, &str)] = &[
    ("etcd_debugging_disk_backend_commit_*", "phases of a bbolt commit"),
    ("etcd_debugging_mvcc_db_compaction_*", "compaction works in bounded steps of its own"),
    ("etcd_debugging_mvcc_index_compaction_*", "the index is not compacted in one go"),
    ("etcd_debugging_server_watch_send_loop_*", "there is no such loop"),
    ("etcd_debugging_snap_*, etcd_snap_*", "there are no v2 snapshots"),
    ("etcd_debugging_store_*", "there is no v2 store"),
    ("etcd_disk_wal_write_*", "only syncs of the log are timed"),
    ("etcd_grpc_proxy_*", "there is no proxy"),
    ("etcd_mvcc_db_open_read_transactions", "reads hold no transaction"),
    ("etcd_network_peer_received_failures_total", "a broken message ends its connection"),
    ("etcd_network_snapshot_receive_*", "the sender times the whole way"),
    ("etcd_server_feature_enabled", "feature gates have no counterpart"),
    ("etcd_server_go_version, go_*, promhttp_*", "there is no Go runtime"),
    ("etcd_server_learner_promote_*", "not counted"),
    ("etcd_server_snapshot_apply_in_progress_total", "installing does not block the member"),
    ("grpc_server_msg_*", "messages of streams are not counted"),
    ("process_network_*, process_virtual_memory_max_bytes", "the system tells them"),
];

/// Those that etcd's published alerts and dashboards read.
const MIXIN: &[&str] = &[
    "etcd_disk_backend_commit_duration_seconds",
    "etcd_disk_wal_fsync_duration_seconds",
    "etcd_mvcc_db_total_size_in_bytes",
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_network_client_grpc_received_bytes_total",
    "etcd_network_client_grpc_sent_bytes_total",
    "etcd_network_peer_received_bytes_total",
    "etcd_network_peer_round_trip_time_seconds",
    "etcd_network_peer_sent_bytes_total",
    "etcd_network_peer_sent_failures_total",
    "etcd_server_has_leader",
    "etcd_server_leader_changes_seen_total",
    "etcd_server_proposals_applied_total",
    "etcd_server_proposals_committed_total",
    "etcd_server_proposals_failed_total",
    "etcd_server_proposals_pending",
    "etcd_server_quota_backend_bytes",
    "grpc_server_handled_total",
    "grpc_server_handling_seconds",
    "grpc_server_started_total",
    "process_resident_memory_bytes",
];

/// How many series are how.
pub(crate) fn counts() -> Counts {
    let mut counts = Counts::default();
    TOLD.iter().for_each(|_| counts.add(State::Same));
    LATER.iter().for_each(|_| counts.add(State::Same));
    NOT_TOLD.iter().for_each(|_| counts.add(State::Missing));
    counts
}

/// The part of `docs/compatibility/etcd.md` about metrics.
pub(crate) fn tables() -> String {
    let mut page = String::from(
        "\n## Metrics\n\n\
         Names, labels and types are etcd's. *mixin*: etcd's published alerts and dashboards read \
         it;\n\
         every expression of them is evaluated by a real Prometheus in `suite metrics`. That a \
         series\n\
         is there on three members from the first scrape is shown for all by\n\
         `services/gateway::every_series_of_the_page_is_told_from_the_first_scrape`, and that \
         none of\n\
         the real etcd's is left out of this table by `suite gateway`. Latency histograms are \
         told with\n\
         `--metrics basic` too. Times of ranges, hashes, snapshots and defragmentation are \
         those of\n\
         the whole call. Series of our own begin with `engram_`.\n\n\
         | series of etcd | mixin | state | note |\n|---|---|---|---|\n",
    );
    for name in TOLD {
        let mixin = if MIXIN.contains(name) { "yes" } else { "" };
        page.push_str(&format!("| `{name}` | {mixin} | same | |\n"));
    }
    for (name, when) in LATER {
        page.push_str(&format!("| `{name}` | | same | {when}, as in etcd |\n"));
    }
    for (names, why) in NOT_TOLD {
        let names: Vec<String> = names.split(", ").map(|name| format!("`{name}`")).collect();
        page.push_str(&format!("| {} | | missing | {why} |\n", names.join(", ")));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{MIXIN, TOLD};

    #[test]
    fn all_that_the_mixin_reads_is_told_from_the_first_scrape() {
        let path = "/../jepsen-like-tests/harness/src/metrics/expressions.rs";
        let path = format!("{}{path}", env!("CARGO_MANIFEST_DIR"));
        let expressions = std::fs::read_to_string(path).expect("the expressions are there");
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut read: Vec<_> = expressions
            .split(|c: char| !is_part(c))
            .map(|word| word.trim_end_matches("_bucket"))
            .filter(|word| {
                ["etcd_", "grpc_server_", "process_"].iter().any(|p| word.starts_with(p))
            })
            .collect();
        read.sort_unstable();
        read.dedup();
        assert_eq!(read, MIXIN);
        assert!(MIXIN.iter().all(|name| TOLD.contains(name)));
    }
}
