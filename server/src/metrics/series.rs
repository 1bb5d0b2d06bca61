//! The series of one member, read from its rooms when they are asked for.
//!
//! Compat: names, labels, types and meanings are etcd's, also where a custom is broken: some of
//! its `_total` are gauges. Must not know: the text format.

use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::Snapshot;
use super::page::Page;
use super::process::Process;
use crate::member::Member;
use crate::version::{CLUSTER_VERSION, ENGRAM_VERSION, ETCD_VERSION};

/// Writes what there is to tell about a member, but calls and peers.
pub(super) fn write(member: &Member, page: &mut Page) {
    raft(member, page);
    versions(member, page);
    storage(member, page);
    applied(member, page);
    watchers(member, page);
    health(member, page);
    clients(member, page);
    process(page);
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn raft(member: &Member, page: &mut Page) {
    let (leadership, metrics) = (member.leadership(), member.metrics());
    let raft = member.consensus().metrics();
    let has_leader = u64::from(leadership.leader.is_some());
    page.gauge("etcd_server_has_leader", "1 when a leader is known", has_leader);
    let is_leader = u64::from(leadership.is_leader);
    page.gauge("etcd_server_is_leader", "1 when this member leads", is_leader);
    let is_learner = u64::from(member.is_learner());
    page.gauge("etcd_server_is_learner", "1 when this member does not vote", is_learner);
    let changes = load(&metrics.leader_changes);
    page.counter("etcd_server_leader_changes_seen_total", "Changes of the leader seen", changes);
    let help = "Index up to which proposals are committed";
    page.gauge("etcd_server_proposals_committed_total", help, raft.committed_index);
    let help = "Index up to which proposals are applied";
    page.gauge("etcd_server_proposals_applied_total", help, raft.applied_index);
    page.gauge("etcd_server_proposals_pending", "Proposals under way", raft.pending_commands);
    let failed = load(&metrics.proposals_failed);
    page.counter("etcd_server_proposals_failed_total", "Proposals without an answer", failed);
    let failed = load(&metrics.read_indexes_failed);
    let help = "Reads that could not be confirmed by the leader";
    page.counter("etcd_server_read_indexes_failed_total", help, failed);
    let slow = load(&metrics.read_indexes_slow);
    let help = "Reads whose confirmation took too long";
    page.counter("etcd_server_slow_read_indexes_total", help, slow);
    page.gauge("engram_raft_term", "The newest term known", raft.term);
    page.gauge("engram_raft_last_log_index", "The newest log entry", raft.last_log_index);
    page.gauge("engram_raft_flushed_index", "Entries flushed to disk", raft.flushed_index);
    page.gauge("engram_raft_cut_index", "Entries that the log begins after", raft.cut_index);
    page.gauge("engram_raft_pending_bytes", "Bytes of proposals under way", raft.pending_bytes);
    let help = "How often a peer's state differed at the same position; not zero is corruption";
    page.counter("engram_raft_digest_mismatches_total", help, raft.digest_mismatches);
    let commands = raft.applied_commands;
    page.counter("engram_raft_applied_commands_total", "Commands applied", commands);
    page.counter("engram_raft_applied_entries_total", "Entries applied", raft.applied_entries);
    let syncs = Snapshot::doubling(1_000, &raft.sync_counts, raft.sync_total_ns);
    let help = "Time of one sync of the Raft log";
    page.histogram("etcd_disk_wal_fsync_duration_seconds", help, &syncs);
    applying(&raft, page);
}

fn applying(raft: &raft::RaftMetrics, page: &mut Page) {
    let commits = Snapshot::doubling(1_000, &raft.apply.coarse_counts, raft.apply.total_ns);
    let help = "Time until a round of log entries was in the state: computed and committed";
    page.histogram("etcd_disk_backend_commit_duration_seconds", help, &commits);
    let rounds = Snapshot::doubling(100, &raft.apply.fine_counts, raft.apply.total_ns);
    let labels = [("op", "Batch"), ("success", "true"), ("version", "v3")];
    let help = "Time until a round of log entries was applied; they are not applied one by one";
    page.family("etcd_server_apply_duration_seconds", help, "histogram")
        .histogram(&labels, &rounds);
    let help = "Rounds that took longer than 100 ms to apply";
    page.counter("etcd_server_slow_apply_total", help, raft.apply.slow);
}

fn versions(member: &Member, page: &mut Page) {
    let mut told = |name: &str, help: &str, label: &str, value: &str| {
        page.family(name, help, "gauge").sample("", &[(label, value)], 1);
    };
    let id = format!("{:x}", member.ids().member_id);
    told("etcd_server_id", "This member's id", "server_id", &id);
    told("etcd_server_version", "The version spoken", "server_version", ETCD_VERSION);
    // Compat: etcd shows it without the last number.
    let cluster = CLUSTER_VERSION.rsplit_once('.').map_or(CLUSTER_VERSION, |(minor, _)| minor);
    told("etcd_cluster_version", "The cluster version", "cluster_version", cluster);
    told("engram_build_info", "Our own version", "version", ENGRAM_VERSION);
}

fn storage(member: &Member, page: &mut Page) {
    let reader = member.reader();
    let sizes = reader.sizes();
    let quota = member.config().quota_backend_bytes;
    page.gauge("etcd_server_quota_backend_bytes", "The quota of the state", quota);
    let help = "Bytes of the state on disk";
    page.gauge("etcd_mvcc_db_total_size_in_bytes", help, sizes.total_bytes);
    let help = "Bytes that would remain after a compaction of all files";
    page.gauge("etcd_mvcc_db_total_size_in_use_in_bytes", help, sizes.in_use_bytes);
    page.gauge("etcd_debugging_mvcc_keys_total", "Keys that exist", reader.key_count());
    let revision = reader.revision().0;
    page.gauge("etcd_debugging_mvcc_current_revision", "The current revision", revision);
    let compacted = reader.compacted_revision().0;
    page.gauge("etcd_debugging_mvcc_compact_revision", "The compacted revision", compacted);
    page.gauge("engram_leases", "Leases that exist", reader.leases().len());
    let help = "The revision of users and roles";
    page.gauge("etcd_debugging_auth_revision", help, reader.auth_revision());
}

fn applied(member: &Member, page: &mut Page) {
    let (counts, calls) = (member.applied_counts(), member.calls());
    let ranges = calls.handled("/etcdserverpb.KV/Range");
    page.counter("etcd_mvcc_range_total", "Ranges that this member answered", ranges);
    page.counter("etcd_mvcc_put_total", "Puts applied", load(&counts.puts));
    page.counter("etcd_mvcc_delete_total", "Keys deleted", load(&counts.deletes));
    page.counter("etcd_mvcc_txn_total", "Revisions of several changes", load(&counts.txns));
    let help = "Bytes of the keys and values put since the start";
    page.gauge("etcd_debugging_mvcc_total_put_size_in_bytes", help, load(&counts.put_bytes));
    let granted = load(&counts.leases_granted);
    page.counter("etcd_debugging_lease_granted_total", "Leases granted", granted);
    let revoked = load(&counts.leases_revoked);
    page.counter("etcd_debugging_lease_revoked_total", "Leases revoked", revoked);
    let renewed = member.leases().renewed();
    page.counter("etcd_debugging_lease_renewed_total", "Renewals answered as leader", renewed);
    let expired = member.leases().expired_total();
    page.counter("etcd_debugging_server_lease_expired_total", "Leases that ended here", expired);
    let ttls = counts.lease_ttls.snapshot();
    page.histogram("etcd_debugging_lease_ttl_total", "Times that leases were granted for", &ttls);
}

fn watchers(member: &Member, page: &mut Page) {
    let watch = member.hub().counters();
    page.gauge("etcd_debugging_mvcc_watch_stream_total", "Open streams", watch.streams);
    page.gauge("etcd_debugging_mvcc_watcher_total", "Watchers", watch.watchers);
    let help = "Watchers that read history because they are behind";
    page.gauge("etcd_debugging_mvcc_slow_watcher_total", help, watch.slow_watchers);
    let help = "Events that wait to be sent";
    page.gauge("etcd_debugging_mvcc_pending_events_total", help, watch.pending_events);
    page.counter("etcd_debugging_mvcc_events_total", "Events sent", watch.events_total);
    page.gauge("engram_watch_pending_bytes", "Bytes that wait to be sent", watch.pending_bytes);
    page.counter("engram_watch_overflows_total", "Queues that ran full", watch.overflows_total);
}

fn health(member: &Member, page: &mut Page) {
    let metrics = member.metrics();
    let passed = load(&metrics.health_passed);
    page.counter("etcd_server_health_success", "Health checks that passed", passed);
    let failed = load(&metrics.health_failed);
    page.counter("etcd_server_health_failures", "Health checks that failed", failed);
    let checks = metrics.checks.lock().clone();
    let help = "The newest result of each check";
    let mut family = page.family("etcd_server_healthcheck", help, "gauge");
    for ((group, name), counts) in &checks {
        family.sample("", &[("name", name), ("type", group)], u64::from(counts.passes));
    }
    let help = "Checks behind livez and readyz";
    let mut family = page.family("etcd_server_healthchecks_total", help, "counter");
    for ((group, name), counts) in &checks {
        for (status, count) in [("error", counts.failed), ("success", counts.passed)] {
            family.sample("", &[("name", name), ("status", status), ("type", group)], count);
        }
    }
}

fn clients(member: &Member, page: &mut Page) {
    let traffic = member.traffic();
    let sent = load(&traffic.sent_bytes);
    page.counter("etcd_network_client_grpc_sent_bytes_total", "Bytes sent to clients", sent);
    let received = load(&traffic.received_bytes);
    let help = "Bytes received from clients";
    page.counter("etcd_network_client_grpc_received_bytes_total", help, received);
    let help = "Requests by the version of the client";
    let mut family = page.family("etcd_server_client_requests_total", help, "counter");
    for (version, unary, stream) in member.metrics().clients.all() {
        for (kind, count) in [("stream", stream), ("unary", unary)] {
            family.sample("", &[("client_api_version", &version), ("type", kind)], count);
        }
    }
}

fn process(page: &mut Page) {
    let Some(process) = Process::read() else { return };
    page.counter("process_cpu_seconds_total", "Processor time", process.cpu_seconds);
    page.gauge("process_resident_memory_bytes", "Resident memory", process.resident_bytes);
    page.gauge("process_virtual_memory_bytes", "Virtual memory", process.virtual_bytes);
    page.gauge("process_open_fds", "Open file descriptors", process.open_fds);
    page.gauge("process_max_fds", "Most open file descriptors", process.max_fds);
    page.gauge("process_start_time_seconds", "Start, since 1970", process.start_time_s);
    page.gauge("os_fd_used", "Open file descriptors", process.open_fds);
    page.gauge("os_fd_limit", "Most open file descriptors", process.max_fds);
}
