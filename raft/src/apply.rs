//! Applies committed entries to the store: one after the other, each exactly once.
//!
//! Order: commit, store, publisher, then the replies; asserted where it happens.
//! Invariants: one owner of the store; the applied position rises by one entry at a time or jumps
//! by an install; nothing is answered that the publisher has not heard.
//! Must not know: how entries are committed or stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use store::{Answers, AppliedState, CompactProgress, LogId, MemberId, StorageError, Store};
use tokio::sync::watch;

use crate::apply_latency::ApplyLatency;
use crate::digest::Digests;
use crate::limits;
use crate::membership::{decode_membership, encode_membership};
use crate::parts::Publisher;
use crate::types::{Entry, Membership, Payload, TypeConfig, to_store};
use crate::waiters::Waiters;

/// An entry to apply, and openraft's wish to hear when it is done.
pub(crate) type ToApply = (Entry, Option<openraft::storage::ApplyResponder<TypeConfig>>);

/// What is known outside about the applying.
#[derive(Default)]
pub(crate) struct ApplyCounters {
    /// Bytes of batches applied since the start.
    pub(crate) bytes: AtomicU64,
    /// Entries applied since the start.
    pub(crate) entries: AtomicU64,
    /// Commands applied since the start.
    pub(crate) commands: AtomicU64,
    /// How long rounds of applying took.
    pub(crate) latency: ApplyLatency,
}

/// The owner of the store.
pub(crate) struct Applier {
    store: Store,
    waiters: Waiters,
    publisher: Arc<dyn Publisher>,
    digests: Arc<Digests>,
    counters: Arc<ApplyCounters>,
    /// Index of the newest applied entry; what local waits look at.
    applied: watch::Sender<Option<LogId>>,
    /// Whether physical compaction has work left.
    compacting: bool,
}

impl Applier {
    pub(crate) fn new(
        store: Store,
        waiters: Waiters,
        publisher: Arc<dyn Publisher>,
        digests: Arc<Digests>,
        counters: Arc<ApplyCounters>,
    ) -> Self {
        let state = store.applied();
        if let Some(log_id) = state.log_id {
            digests.applied(log_id, state.digest);
        }
        let (applied, _) = watch::channel(state.log_id);
        Self { store, waiters, publisher, digests, counters, applied, compacting: true }
    }

    /// The newest applied position, as it rises.
    pub(crate) fn watch_applied(&self) -> watch::Receiver<Option<LogId>> {
        self.applied.subscribe()
    }

    /// Position, membership and digest of the state.
    pub(crate) fn state(&self) -> AppliedState {
        self.store.applied()
    }

    /// A round of applying took this long.
    pub(crate) fn took(&self, time: std::time::Duration) {
        self.counters.latency.note(time);
    }

    /// The newest position a crash would leave.
    pub(crate) fn durable(&self) -> Result<Option<LogId>, StorageError> {
        self.store.durable_applied()
    }

    /// Applies entries in order and answers their proposers.
    ///
    /// *Errors*: the member must stop; entries before the failed one were applied and answered.
    pub(crate) fn apply(&mut self, entries: Vec<ToApply>) -> Result<(), StorageError> {
        for (entry, responder) in entries {
            self.apply_entry(&entry)?;
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    fn apply_entry(&mut self, entry: &Entry) -> Result<(), StorageError> {
        let log_id = to_store(&entry.log_id);
        let before = self.store.applied().log_id;
        // Invariant: applied index = previous + 1.
        assert!(
            before.is_none_or(|before| before.index + 1 == log_id.index),
            "entry {log_id} does not follow the applied {before:?}"
        );
        if before.is_none_or(|before| before.term < log_id.term) {
            self.waiters.begins(log_id.term);
        }
        match &entry.payload {
            Payload::Blank => {
                self.store.apply_blank(log_id)?;
                self.applied_to(log_id);
            }
            Payload::Membership(membership) => {
                let members: Vec<_> = membership.nodes().map(|(id, _)| MemberId(*id)).collect();
                let left = self.left(membership);
                let bytes = encode_membership(membership);
                self.store.apply_membership(log_id, bytes, &members, &left)?;
                self.applied_to(log_id);
            }
            Payload::Normal(encoded) => {
                let batch = encoded.batch().map_err(|error| {
                    StorageError::Damaged(format!("entry {log_id} is no batch: {error}"))
                })?;
                self.counters.bytes.fetch_add(encoded.bytes().len() as u64, Ordering::Relaxed);
                self.apply_batch(log_id, batch)?;
            }
        }
        self.counters.entries.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Who is in the applied membership, and not in the next one.
    fn left(&self, next: &Membership) -> Vec<MemberId> {
        let applied = self.store.applied().membership;
        let applied = applied.and_then(|stored| decode_membership(&stored.bytes));
        let gone = |id: &u64| next.get_node(id).is_none();
        let nodes = applied.iter().flat_map(|applied| applied.nodes());
        nodes.filter(|(id, _)| gone(id)).map(|(id, _)| MemberId(*id)).collect()
    }

    fn apply_batch(
        &mut self,
        log_id: LogId,
        batch: &proto::log::Batch,
    ) -> Result<(), StorageError> {
        let claims = self.waiters.claim(batch);
        let answers = if claims.wants_answers() { Answers::Materialise } else { Answers::Skip };
        let applied = self.store.apply(log_id, batch, answers)?;
        // Order: the store holds the batch before anyone hears of it, and watchers hear of it
        // before its proposer does.
        self.publisher.publish(&applied);
        self.applied_to(log_id);
        self.counters.commands.fetch_add(batch.commands.len() as u64, Ordering::Relaxed);
        self.compacting |= batch.commands.iter().any(is_compaction);
        claims.answer(log_id, applied.outcomes);
        Ok(())
    }

    /// Replaces the whole state.
    pub(crate) fn install(
        &mut self,
        engine: Arc<dyn store::engine::Engine>,
    ) -> Result<AppliedState, StorageError> {
        self.store.install(engine)?;
        let state = self.store.applied();
        if let Some(log_id) = state.log_id {
            self.digests.installed(log_id, state.digest);
            self.waiters.replaced(log_id.term);
        }
        self.publisher.installed(self.store.reader().revision());
        self.applied.send_replace(state.log_id);
        self.compacting = true;
        Ok(state)
    }

    /// One bounded step of physical compaction. Returns whether more is left.
    pub(crate) fn compact_step(&mut self) -> Result<bool, StorageError> {
        if self.compacting {
            let progress = self.store.compact_step(limits::COMPACT_ROWS_MAX)?;
            self.compacting = matches!(progress, CompactProgress::Working { .. });
            if let CompactProgress::Finished { revision, .. } = progress {
                tracing::info!("compact-revision" = revision.0, "finished scheduled compaction");
            }
        }
        Ok(self.compacting)
    }

    fn applied_to(&mut self, log_id: LogId) {
        let state = self.store.applied();
        debug_assert_eq!(state.log_id, Some(log_id), "the store is where it says");
        self.digests.applied(log_id, state.digest);
        self.applied.send_replace(Some(log_id));
    }
}

fn is_compaction(command: &proto::log::Command) -> bool {
    matches!(command.request, Some(proto::log::command::Request::Compaction(_)))
}
