//! The expressions of etcd's published alerts and dashboard (`contrib/mixin` of etcd), as facts.
//!
//! `{S}` stands for the selector of etcd's instances, `{D}` for a dashboard's selector, `{I}` for
//! the labels of an instance. Must not know: how they are evaluated.

/// The selector that the alerts are made with.
pub(super) const SELECTOR: &str = "job=~\".*etcd.*\"";
/// The selector of a dashboard after its variables are chosen.
pub(super) const DASHBOARD: &str = "job=\"test-etcd\", cluster=\"test\"";
/// The labels that tell instances apart.
pub(super) const INSTANCE: &str = "instance, pod";

/// What an alert's condition must be while all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calm {
    /// It does not fire.
    Quiet,
    /// It depends on how fast the machine is, or on hours of history: it is only evaluated.
    Open,
}

/// An alert: its name, what it looks at, its condition.
pub(super) type Alert = (&'static str, &'static str, &'static str, Calm);

use Calm::{Open, Quiet};

#[rustfmt::skip]
pub(super) const ALERTS: &[Alert] = &[
    ("etcdMembersDown", r#"max without (endpoint) (sum without ({I}) (up{{S}} == bool 0) or count without (To) (sum without ({I}) (rate(etcd_network_peer_sent_failures_total{{S}}[120s])) > 0.01))"#, "> 0", Quiet),
    ("etcdInsufficientMembers", r#"sum(up{{S}} == bool 1) without ({I})"#,
        r#"< ((count(up{{S}}) without ({I}) + 1) / 2)"#, Quiet),
    ("etcdNoLeader", r#"etcd_server_has_leader{{S}}"#, "== 0", Quiet),
    ("etcdHighNumberOfLeaderChanges", r#"increase((max without ({I}) (etcd_server_leader_changes_seen_total{{S}}) or 0*absent(etcd_server_leader_changes_seen_total{{S}}))[15m:1m])"#, ">= 4", Quiet),
    ("etcdHighNumberOfFailedGRPCRequests", r#"100 * sum(rate(grpc_server_handled_total{{S}, grpc_code=~"Unknown|FailedPrecondition|ResourceExhausted|Internal|Unavailable|DataLoss|DeadlineExceeded"}[5m])) without (grpc_type, grpc_code) / sum(rate(grpc_server_handled_total{{S}}[5m])) without (grpc_type, grpc_code)"#, "> 1", Quiet),
    ("etcdGRPCRequestsSlow", r#"histogram_quantile(0.99, sum(rate(grpc_server_handling_seconds_bucket{{S}, grpc_method!="Defragment", grpc_type="unary"}[5m])) without (grpc_type))"#, "> 0.15", Open),
    ("etcdMemberCommunicationSlow", r#"histogram_quantile(0.99, rate(etcd_network_peer_round_trip_time_seconds_bucket{{S}}[5m]))"#, "> 0.15", Open),
    ("etcdHighNumberOfFailedProposals", r#"rate(etcd_server_proposals_failed_total{{S}}[15m])"#, "> 5", Quiet),
    ("etcdHighFsyncDurations", r#"histogram_quantile(0.99, rate(etcd_disk_wal_fsync_duration_seconds_bucket{{S}}[5m]))"#, "> 0.5", Open),
    ("etcdHighCommitDurations", r#"histogram_quantile(0.99, rate(etcd_disk_backend_commit_duration_seconds_bucket{{S}}[5m]))"#, "> 0.25", Open),
    ("etcdDatabaseQuotaLowSpace", r#"(last_over_time(etcd_mvcc_db_total_size_in_bytes{{S}}[5m]) / last_over_time(etcd_server_quota_backend_bytes{{S}}[5m]))*100"#, "> 95", Quiet),
    ("etcdExcessiveDatabaseGrowth", r#"predict_linear(etcd_mvcc_db_total_size_in_bytes{{S}}[4h], 4*60*60)"#, r#"> etcd_server_quota_backend_bytes{{S}}"#, Open),
    ("etcdDatabaseHighFragmentationRatio", r#"(last_over_time(etcd_mvcc_db_total_size_in_use_in_bytes{{S}}[5m]) / last_over_time(etcd_mvcc_db_total_size_in_bytes{{S}}[5m]))"#, r#"< 0.5 and etcd_mvcc_db_total_size_in_use_in_bytes{{S}} > 104857600"#, Quiet),
];

/// The panels of the dashboard: title and expression.
#[rustfmt::skip]
pub(super) const PANELS: &[(&str, &str)] = &[
    ("Up", r#"sum(etcd_server_has_leader{{D}})"#),
    ("RPC rate", r#"sum(rate(grpc_server_started_total{{D},grpc_type="unary"}[1m]))"#),
    ("RPC failed rate", r#"sum(rate(grpc_server_handled_total{{D},grpc_type="unary",
        grpc_code=~"Unknown|FailedPrecondition|ResourceExhausted|Internal|Unavailable|DataLoss|DeadlineExceeded"}[1m]))"#),
    ("Watch streams", r#"sum(grpc_server_started_total{{D},grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}) - sum(grpc_server_handled_total{{D},grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"})"#),
    ("Lease streams", r#"sum(grpc_server_started_total{{D},grpc_service="etcdserverpb.Lease",grpc_type="bidi_stream"}) - sum(grpc_server_handled_total{{D},grpc_service="etcdserverpb.Lease",grpc_type="bidi_stream"})"#),
    ("DB size", r#"etcd_mvcc_db_total_size_in_bytes{{D}}"#),
    ("WAL fsync", r#"histogram_quantile(0.99, sum(rate(etcd_disk_wal_fsync_duration_seconds_bucket{{D}}[1m])) by (instance, le))"#),
    ("DB fsync", r#"histogram_quantile(0.99, sum(rate(etcd_disk_backend_commit_duration_seconds_bucket{{D}}[1m])) by (instance, le))"#),
    ("Memory", r#"process_resident_memory_bytes{{D}}"#),
    ("Client traffic in", r#"rate(etcd_network_client_grpc_received_bytes_total{{D}}[1m])"#),
    ("Client traffic out", r#"rate(etcd_network_client_grpc_sent_bytes_total{{D}}[1m])"#),
    ("Peer traffic in", r#"sum(rate(etcd_network_peer_received_bytes_total{{D}}[1m])) by (instance)"#),
    ("Peer traffic out", r#"sum(rate(etcd_network_peer_sent_bytes_total{{D}}[1m])) by (instance)"#),
    ("Leader elections per day", r#"changes(etcd_server_leader_changes_seen_total{{D}}[1d])"#),
    ("Peer round trip time", r#"histogram_quantile(0.99, sum by (instance, le) (rate(etcd_network_peer_round_trip_time_seconds_bucket{{D}}[1m])))"#),
    ("Proposals committed", r#"sum(rate(etcd_server_proposals_committed_total{{D}}[1m]))"#),
    ("Proposals pending", r#"sum(etcd_server_proposals_pending{{D}})"#),
    ("Proposals applied", r#"sum(rate(etcd_server_proposals_applied_total{{D}}[1m]))"#),
    ("Proposals failed", r#"sum(rate(etcd_server_proposals_failed_total{{D}}[1m]))"#),
];

/// An expression with its selectors filled in.
pub(super) fn filled(expression: &str) -> String {
    // Not by a formatting macro: the braces are PromQL's.
    expression.replace("{S}", SELECTOR).replace("{D}", DASHBOARD).replace("{I}", INSTANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_filled_in_between_promqls_own_braces() {
        assert_eq!(filled("up{{S}}"), "up{job=~\".*etcd.*\"}");
        assert_eq!(filled("a without ({I})"), "a without (instance, pod)");
        for (name, left, condition, _) in ALERTS {
            let whole = filled(&format!("{left} {condition}"));
            let open = whole.matches('{').count();
            assert_eq!(open, whole.matches('}').count(), "{name}: {whole}");
            assert!(!whole.contains("{S}") && !whole.contains("{{"), "{name}: {whole}");
        }
    }
}
