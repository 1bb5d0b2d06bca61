//! The series of one member, read from its rooms when they are asked for.
//!
//! Compat: names, labels and meanings are etcd's. A name that ends in `_total` is a counter whose
//! suffix the encoder adds; etcd's counters without that suffix are told as gauges, so that their
//! names stay.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::process::Process;
use crate::member::Member;
use crate::version::{CLUSTER_VERSION, ENGRAM_VERSION, ETCD_VERSION};

/// The collector of one member.
pub(crate) struct MemberSeries(pub(crate) Arc<Member>);

impl fmt::Debug for MemberSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberSeries({:x})", self.0.ids().member_id)
    }
}

impl Collector for MemberSeries {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page(encoder);
        self.raft(&mut page)?;
        self.storage(&mut page)?;
        self.watchers(&mut page)?;
        self.health(&mut page)?;
        self.network(&mut page)?;
        process(&mut page)
    }
}

type Told = Result<(), fmt::Error>;

impl MemberSeries {
    fn raft(&self, page: &mut Page<'_>) -> Told {
        let (member, leadership) = (&*self.0, self.0.leadership());
        let raft = member.consensus().metrics();
        let has_leader = u64::from(leadership.leader.is_some());
        page.gauge("etcd_server_has_leader", "1 when a leader is known", has_leader)?;
        let is_leader = u64::from(leadership.is_leader);
        page.gauge("etcd_server_is_leader", "1 when this member leads", is_leader)?;
        let is_learner = u64::from(member.is_learner());
        page.gauge("etcd_server_is_learner", "1 when this member does not vote", is_learner)?;
        let changes = member.metrics().leader_changes.load(Ordering::Relaxed);
        page.counter("etcd_server_leader_changes_seen", "Changes of the leader seen", changes)?;
        page.gauge(
            "etcd_server_proposals_committed_total",
            "Index up to which proposals are committed",
            raft.committed_index,
        )?;
        page.gauge(
            "etcd_server_proposals_applied_total",
            "Index up to which proposals are applied",
            raft.applied_index,
        )?;
        page.gauge("etcd_server_proposals_pending", "Proposals under way", raft.pending_commands)?;
        let failed = member.metrics().proposals_failed.load(Ordering::Relaxed);
        page.counter("etcd_server_proposals_failed", "Proposals without an answer", failed)?;
        page.gauge("engram_raft_term", "The newest term known", raft.term)?;
        page.gauge("engram_raft_last_log_index", "The newest log entry", raft.last_log_index)?;
        page.gauge("engram_raft_flushed_index", "Entries flushed to disk", raft.flushed_index)?;
        page.gauge(
            "engram_raft_pending_bytes",
            "Bytes of proposals under way",
            raft.pending_bytes,
        )?;
        page.counter(
            "engram_raft_digest_mismatches",
            "How often a peer's state differed at the same position; not zero is corruption",
            raft.digest_mismatches,
        )?;
        page.counter("engram_raft_applied_commands", "Commands applied", raft.applied_commands)?;
        page.counter("engram_raft_applied_entries", "Entries applied", raft.applied_entries)?;
        page.milliseconds_doubling(
            "etcd_disk_wal_fsync_duration_seconds",
            "Time of one sync of the Raft log",
            &raft.sync_counts,
            raft.sync_total_ns,
        )?;
        let id = [("server_id", format!("{:x}", member.ids().member_id))];
        page.labelled_gauge("etcd_server_id", "This member's id", &id, 1)?;
        let version = [("server_version", ETCD_VERSION.to_owned())];
        page.labelled_gauge("etcd_server_version", "The version spoken", &version, 1)?;
        let cluster = [("cluster_version", CLUSTER_VERSION.to_owned())];
        page.labelled_gauge("etcd_cluster_version", "The cluster version", &cluster, 1)?;
        let own = [("version", ENGRAM_VERSION.to_owned())];
        page.labelled_gauge("engram_build_info", "Our own version", &own, 1)
    }

    fn storage(&self, page: &mut Page<'_>) -> Told {
        let reader = self.0.reader();
        let sizes = reader.sizes();
        let quota = self.0.config().quota_backend_bytes;
        page.gauge("etcd_server_quota_backend_bytes", "The quota of the state", quota)?;
        page.gauge(
            "etcd_mvcc_db_total_size_in_bytes",
            "Bytes of the state on disk",
            sizes.total_bytes,
        )?;
        page.gauge(
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "Bytes that would remain after a compaction of all files",
            sizes.in_use_bytes,
        )?;
        page.gauge("etcd_debugging_mvcc_keys_total", "Keys that exist", reader.key_count())?;
        let revision = reader.revision().0;
        page.gauge("etcd_debugging_mvcc_current_revision", "The current revision", revision)?;
        let compacted = reader.compacted_revision().0;
        page.gauge("etcd_debugging_mvcc_compact_revision", "The compacted revision", compacted)?;
        let leases = reader.leases().len() as u64;
        page.gauge("engram_leases", "Leases that exist", leases)
    }

    fn watchers(&self, page: &mut Page<'_>) -> Told {
        let watch = self.0.hub().counters();
        page.gauge("etcd_debugging_mvcc_watch_stream_total", "Open streams", watch.streams)?;
        page.gauge("etcd_debugging_mvcc_watcher_total", "Watchers", watch.watchers)?;
        page.gauge(
            "etcd_debugging_mvcc_slow_watcher_total",
            "Watchers that read history because they are behind",
            watch.slow_watchers,
        )?;
        page.gauge(
            "etcd_debugging_mvcc_pending_events_total",
            "Events that wait to be sent",
            watch.pending_events,
        )?;
        page.counter("etcd_debugging_mvcc_events", "Events sent", watch.events_total)?;
        page.gauge(
            "engram_watch_pending_bytes",
            "Bytes that wait to be sent",
            watch.pending_bytes,
        )?;
        page.counter("engram_watch_overflows", "Queues that ran full", watch.overflows_total)
    }

    fn health(&self, page: &mut Page<'_>) -> Told {
        let metrics = self.0.metrics();
        let passed = metrics.health_passed.load(Ordering::Relaxed);
        page.gauge("etcd_server_health_success", "Health checks that passed", passed)?;
        let failed = metrics.health_failed.load(Ordering::Relaxed);
        page.gauge("etcd_server_health_failures", "Health checks that failed", failed)?;
        let checks = metrics.checks.lock().clone();
        let mut family = page.0.encode_descriptor(
            "etcd_server_healthchecks",
            "Checks behind livez and readyz",
            None,
            MetricType::Counter,
        )?;
        for ((group, name), (failed, passed)) in &checks {
            for (status, count) in [("error", failed), ("success", passed)] {
                let labels = [("type", *group), ("name", *name), ("status", status)];
                family
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, u64, u64>(count, None)?;
            }
        }
        Ok(())
    }

    fn network(&self, page: &mut Page<'_>) -> Told {
        let traffic = self.0.traffic();
        let sent = traffic.sent_bytes.load(Ordering::Relaxed);
        page.counter("etcd_network_client_grpc_sent_bytes", "Bytes sent to clients", sent)?;
        let received = traffic.received_bytes.load(Ordering::Relaxed);
        page.counter("etcd_network_client_grpc_received_bytes", "Bytes from clients", received)
    }
}

fn process(page: &mut Page<'_>) -> Told {
    let Some(process) = Process::read() else { return Ok(()) };
    page.seconds("process_cpu_seconds", "Processor time", process.cpu_seconds)?;
    page.gauge("process_resident_memory_bytes", "Resident memory", process.resident_bytes)?;
    page.gauge("process_virtual_memory_bytes", "Virtual memory", process.virtual_bytes)?;
    page.gauge("process_open_fds", "Open file descriptors", process.open_fds)?;
    page.gauge("process_max_fds", "Most open file descriptors", process.max_fds)?;
    page.gauge("process_start_time_seconds", "Start, since 1970", process.start_time_s)
}

/// Writes single series.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge<V: prometheus_client::encoding::EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: V,
    ) -> Told {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn labelled_gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&'static str, String); 1],
        value: u64,
    ) -> Told {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        family.encode_family(labels)?.encode_gauge(&value)
    }

    /// `name` without `_total`.
    fn counter(&mut self, name: &str, help: &str, value: u64) -> Told {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }

    /// A histogram whose bucket `n` ends at 2^n ms, the last one unbounded.
    fn milliseconds_doubling(
        &mut self,
        name: &str,
        help: &str,
        counts: &[u64],
        total_ns: u64,
    ) -> Told {
        let bounds = (0..counts.len()).map(|at| match at + 1 {
            end if end == counts.len() => f64::MAX,
            _ => 0.001 * f64::powi(2.0, at as i32),
        });
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        let sum = total_ns as f64 / 1e9;
        let count = counts.iter().sum();
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        family.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    /// `name` without `_total`.
    fn seconds(&mut self, name: &str, help: &str, value: f64) -> Told {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, f64, u64>(&value, None)
    }
}
