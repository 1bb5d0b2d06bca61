//! The single writer: applies entries, publishes roots, compacts between entries.
//!
//! Order: an entry's rows and its applied position are one engine batch; the root is published
//! after it is written; events and answers leave after that. A failed write leaves the last root
//! published, and the member stops. No clock, no randomness, no threads of its own.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use proto::log::Batch;

use crate::apply::{Applied, Applying};
use crate::codec;
use crate::engine::{Engine, Space, WriteBatch};
use crate::error::StorageError;
use crate::index::Compaction;
use crate::layout::{put_name, tombstone_name};
use crate::open;
use crate::outcome::{Answers, AppliedBatch};
use crate::reader::Reader;
use crate::records::{COMPACTION_NAME, CompactionRecord};
use crate::root::{AppliedState, Root};
use crate::types::{LogId, MemberId, Revision};

/// What can be chosen about a store. Nothing yet; none of it may change what entries do.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StoreOptions {}

/// What a step of the physical compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactProgress {
    /// There was nothing to do.
    Idle,
    /// Rows were removed; there may be more: call again.
    Working {
        /// How many rows this step removed.
        rows: usize,
    },
    /// Everything that a compaction at this revision removes is gone.
    Finished {
        /// The compacted revision.
        revision: Revision,
        /// How many rows this step removed.
        rows: usize,
    },
}

/// See the module's page. One per member; [`Reader`]s are handed out from it.
pub struct Store {
    root: Arc<Root>,
    published: Arc<ArcSwap<Root>>,
    /// The physical compaction under way. After a restart it begins anew, which finds nothing to do
    /// where it had been.
    compaction: Option<Compaction>,
}

impl Store {
    /// Opens what an engine holds, and rebuilds the key index from it.
    ///
    /// *Errors*: the engine's, and damage: rows that contradict each other.
    pub fn open(engine: Arc<dyn Engine>, _options: StoreOptions) -> Result<Self, StorageError> {
        let root = Arc::new(open::open(engine)?);
        let published = Arc::new(ArcSwap::new(root.clone()));
        let compaction = unfinished(&root);
        Ok(Self { root, published, compaction })
    }

    /// Takes another generation of state, as a received snapshot brings it. Readers follow.
    ///
    /// *Errors*: those of [`Store::open`]; then the generation before stays.
    pub fn install(&mut self, engine: Arc<dyn Engine>) -> Result<(), StorageError> {
        let root = Arc::new(open::open(engine)?);
        self.compaction = unfinished(&root);
        self.publish(root);
        Ok(())
    }

    /// A reader of the last published state; it follows later ones.
    pub fn reader(&self) -> Reader {
        Reader::new(self.published.clone())
    }

    /// How far the log is applied.
    pub fn applied(&self) -> AppliedState {
        self.root.applied_state()
    }

    /// Applies the batch of the entry `log_id`, whose index must be the next one.
    ///
    /// *Errors*: this member's storage, or an entry for a newer release; nothing of the entry is
    /// visible then, and the member stops. What a command did wrong is in its [`crate::Outcome`].
    /// *Durability*: none until [`Store::flush`]; the log has the entry.
    pub fn apply(
        &mut self,
        log_id: LogId,
        batch: &Batch,
        answers: Answers,
    ) -> Result<AppliedBatch, StorageError> {
        let mut applying = self.begin(log_id, answers);
        let outcomes = applying.batch(batch)?;
        let events = self.commit(applying.finish())?;
        let Root { digest, revision, .. } = *self.root;
        Ok(AppliedBatch { outcomes, events, digest, revision: Revision(revision) })
    }

    /// Applies an entry without commands: only the position and the digest move.
    pub fn apply_blank(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let applying = self.begin(log_id, Answers::Skip);
        self.commit(applying.finish()).map(drop)
    }

    /// Applies an entry that changes the membership, which is opaque here but for who is in it
    /// (what others once said of themselves is forgotten) and who `left` with it, for good.
    pub fn apply_membership(
        &mut self,
        log_id: LogId,
        membership: Bytes,
        members: &[MemberId],
        left: &[MemberId],
    ) -> Result<(), StorageError> {
        let mut applying = self.begin(log_id, Answers::Skip);
        applying.membership(membership, members, left);
        self.commit(applying.finish()).map(drop)
    }

    /// Makes everything applied durable.
    pub fn flush(&self) -> Result<(), StorageError> {
        self.root.engine.flush()
    }

    /// The last entry that survives a crash now: the log may be purged up to it.
    pub fn durable_applied(&self) -> Result<Option<LogId>, StorageError> {
        open::durable_applied(&*self.root.engine)
    }

    /// Does a bounded part of the physical compaction, between entries.
    ///
    /// *Units*: about `rows_max` rows are removed. A crash between steps only costs looking again.
    pub fn compact_step(&mut self, rows_max: usize) -> Result<CompactProgress, StorageError> {
        let target = Revision(self.root.compacted);
        if self.root.finished >= target.0 {
            return Ok(CompactProgress::Idle);
        }
        let mut compaction = match self.compaction.take() {
            Some(compaction) if compaction.at() == target => compaction,
            _ => Compaction::new(target),
        };
        let mut root = (*self.root).clone();
        let mut batch = WriteBatch::new();
        let dropped = root.index.compact(&mut compaction, rows_max.max(1));
        for row in &dropped {
            match row.tombstone {
                true => batch.delete(Space::KeyValues, tombstone_name(row.at).to_vec()),
                false => batch.delete(Space::KeyValues, put_name(row.at).to_vec()),
            }
        }
        let rows = dropped.len();
        let done = compaction.is_done();
        if done {
            root.finished = target.0;
            let record = CompactionRecord { finished: target.0 };
            batch.put(Space::Meta, COMPACTION_NAME, codec::encode(&record));
        }
        // Order: readers that miss a row look at the published root, which has the compacted
        // revision already.
        root.engine.write(batch)?;
        self.compaction = (!done).then_some(compaction);
        self.publish(Arc::new(root));
        Ok(match done {
            true => CompactProgress::Finished { revision: target, rows },
            false => CompactProgress::Working { rows },
        })
    }

    fn begin(&self, log_id: LogId, answers: Answers) -> Applying {
        Applying::new((*self.root).clone(), log_id, answers)
    }

    fn commit(&mut self, applied: Applied) -> Result<Vec<crate::RevisionEvents>, StorageError> {
        let Applied { root, batch, events } = applied;
        root.engine.write(batch)?;
        self.publish(Arc::new(root));
        Ok(events)
    }

    fn publish(&mut self, root: Arc<Root>) {
        self.root = root.clone();
        self.published.store(root);
    }
}

/// What a restart finds to be compacted still.
fn unfinished(root: &Root) -> Option<Compaction> {
    (root.finished < root.compacted).then(|| Compaction::new(Revision(root.compacted)))
}
