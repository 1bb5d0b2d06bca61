//! What this room reports about itself, in plain numbers.
//!
//! Must not know: names of metrics, who scrapes them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use store::MemberId;

use crate::consensus::Consensus;
use crate::types::to_store;
use openraft::async_runtime::WatchReceiver as _;

/// One look at a member's consensus. Positions count from 1; 0 means "none".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaftMetrics {
    /// The newest term this member knows.
    pub term: u64,
    /// Index of the newest entry in this member's log.
    pub last_log_index: u64,
    /// Index up to which this member knows entries to be committed.
    pub committed_index: u64,
    /// Index of the newest applied entry.
    pub applied_index: u64,
    /// Index up to which the state is flushed.
    pub flushed_index: u64,
    /// Index up to which the log is cut.
    pub cut_index: u64,
    /// Commands queued, not committed or not applied on this member.
    pub pending_commands: u64,
    /// Bytes of those commands.
    pub pending_bytes: u64,
    /// Entries applied since the start.
    pub applied_entries: u64,
    /// Commands applied since the start.
    pub applied_commands: u64,
    /// Bytes of batches applied since the start.
    pub applied_bytes: u64,
    /// How often a peer's state was found to differ at the same position. Not zero: corrupt data.
    pub digest_mismatches: u64,
    /// Syncs of the log by how long they took: below 1 ms doubling 13 times, and the rest.
    pub sync_counts: [u64; crate::log::SYNC_BUCKETS],
    /// Time all these syncs took together, in nanoseconds.
    pub sync_total_ns: u64,
    /// How long rounds of applying took; empty where the caller applies in place.
    pub apply: crate::apply_latency::ApplyTimes,
    /// On a leader: index up to which each other member has the log.
    pub replicated_index: BTreeMap<MemberId, u64>,
    /// Whether the consensus core runs. It does not after a storage error, and the process must
    /// end.
    pub is_running: bool,
}

impl Consensus {
    /// What this member's consensus reports now.
    pub fn metrics(&self) -> RaftMetrics {
        let core = &self.core;
        let metrics = core.metrics.borrow_watched();
        let index =
            |id: &Option<crate::types::RaftLogId>| id.as_ref().map_or(0, |id| to_store(id).index);
        let replication = metrics.replication.iter().flatten();
        RaftMetrics {
            term: metrics.current_term,
            last_log_index: metrics.last_log_index.map_or(0, |index| index + 1),
            committed_index: index(&metrics.local_committed),
            applied_index: core.applied_log_id().map_or(0, |applied| applied.index),
            flushed_index: index(&metrics.snapshot),
            cut_index: index(&metrics.purged),
            pending_commands: core.admission.commands() as u64,
            pending_bytes: core.admission.bytes() as u64,
            applied_entries: core.counters.entries.load(Ordering::Relaxed),
            applied_commands: core.counters.commands.load(Ordering::Relaxed),
            applied_bytes: core.counters.bytes.load(Ordering::Relaxed),
            digest_mismatches: core.digests.mismatches(),
            sync_counts: core.log.latency().counts(),
            sync_total_ns: u64::try_from(core.log.latency().total().as_nanos()).unwrap_or(u64::MAX),
            apply: core.counters.latency.times(),
            replicated_index: replication
                .filter(|(member, _)| **member != metrics.id)
                .map(|(member, matched)| (MemberId(*member), index(matched)))
                .collect(),
            is_running: metrics.running_state.is_ok(),
        }
    }

    /// Why the consensus core ended by itself: the file and the cause, in one line; none while it
    /// runs, or when it was asked to end.
    pub fn failure(&self) -> Option<String> {
        let metrics = self.core.metrics.borrow_watched();
        match metrics.running_state.as_ref().err()? {
            openraft::errors::Fatal::Stopped => None,
            fatal => Some(cause(&fatal.to_string()).to_owned()),
        }
    }

    /// Resolves when the consensus core has stopped, on request or after a storage error.
    pub async fn stopped(&self) {
        let mut metrics = self.core.metrics.clone();
        while metrics.borrow_watched().running_state.is_ok() {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The library puts before an error what it was doing, and the error's Rust type.
fn cause(text: &str) -> &str {
    text.rsplit_once("std::io::error::Error: ").map_or(text, |(_, cause)| cause)
}
