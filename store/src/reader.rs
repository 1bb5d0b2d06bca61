//! Reads of the last published state: cheap to clone, never in the writer's way.
//!
//! Invariant: each answer is of one root. Rows can be compacted away under an older root; a read
//! that may have missed some finds out by looking at the newest root afterwards, and is made again
//! there, or is refused as compacted when it named the revision.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use proto::etcdserverpb::{AlarmMember, RangeRequest, TxnRequest};
use proto::log::{MemberAttributes, command};
use proto::spliced;
use proto::status::EtcdError;

use crate::auth::{Asker, AuthState, Call, permit};
use crate::engine::{Checkpoint, EngineSizes};
use crate::error::StorageError;
use crate::event::{EventLimits, RevisionEvents};
use crate::export::{self, ExportedHead, VisitChange};
use crate::hash::{self, HashKv};
use crate::history;
use crate::leases::LeaseInfo;
use crate::limits::READ_ATTEMPTS_MAX;
use crate::open;
use crate::range;
use crate::read_error::ReadError;
use crate::read_txn;
use crate::root::{AppliedState, Root};
use crate::types::{Digest, LeaseId, LogId, Revision};
use crate::view::{View, ViewError};

/// See the module's page. Send and Sync; blocks only on the engine's own reads.
#[derive(Clone)]
pub struct Reader {
    published: Arc<ArcSwap<Root>>,
}

impl Reader {
    pub(crate) fn new(published: Arc<ArcSwap<Root>>) -> Self {
        Self { published }
    }

    pub(crate) fn root(&self) -> Arc<Root> {
        self.published.load_full()
    }

    /// The current revision; 1 for a fresh store. It never falls, but for an install of an older
    /// state.
    pub fn revision(&self) -> Revision {
        Revision(self.published.load().revision)
    }

    /// The revision the history is compacted at: reads below it are refused, at it they are not.
    /// -1: never.
    pub fn compacted_revision(&self) -> Revision {
        Revision(self.published.load().compacted)
    }

    /// The compacted revision whose superseded rows are all gone from this member. -1: none yet.
    pub fn physically_compacted_revision(&self) -> Revision {
        Revision(self.published.load().finished)
    }

    /// The index of the last applied entry; 0: none.
    pub fn applied_index(&self) -> u64 {
        self.applied().index
    }

    /// The last applied entry; term and index 0: none.
    pub fn applied(&self) -> LogId {
        self.published.load().applied.unwrap_or_default()
    }

    /// The last applied entry and the state digest after it, of one moment.
    pub fn digest_at_applied(&self) -> (LogId, Digest) {
        let root = self.published.load();
        (root.applied.unwrap_or_default(), root.digest)
    }

    /// The state machine version the cluster has agreed on: proposals are made for it.
    pub fn state_machine_version(&self) -> u32 {
        self.published.load().state_machine_version
    }

    /// Whether commands and reads must come from a user.
    pub fn auth_enabled(&self) -> bool {
        self.published.load().auth.enabled
    }

    /// The revision of users and roles.
    pub fn auth_revision(&self) -> u64 {
        self.published.load().auth.revision
    }

    /// Users and roles at this moment. A clone of a few pointers.
    pub fn auth(&self) -> AuthState {
        self.published.load().auth.clone()
    }

    /// Whether a user may make a call now; the auth revision of that moment.
    ///
    /// *Errors*: those of [`Reader::permit`], but never `AuthOldRevision`.
    pub fn permit_now(&self, username: &str, call: &Call<'_>) -> Result<u64, EtcdError> {
        let root = self.published.load();
        let auth_revision = root.auth.revision();
        let asker = Asker { username, auth_revision };
        permit(&root.auth, &root.leases, asker, call).map(|()| auth_revision)
    }

    /// Whether somebody may make a call now; nothing is asked while authentication is off.
    ///
    /// *Errors*: etcd's, by which its clients know what to do.
    pub fn permit(&self, asker: Asker<'_>, call: &Call<'_>) -> Result<(), EtcdError> {
        let root = self.published.load();
        permit(&root.auth, &root.leases, asker, call)
    }

    /// Whether a command is one that a raised alarm forbids to everybody.
    ///
    /// *Errors*: `NoSpace` and `Corrupt`.
    pub fn check_alarms(&self, request: &command::Request) -> Result<(), EtcdError> {
        self.published.load().check_alarms(request)
    }

    /// Answers a range. The header carries the current revision only.
    ///
    /// *Errors*: [`ReadError::Compacted`], [`ReadError::FutureRevision`], storage.
    pub fn range(&self, request: &RangeRequest) -> Result<spliced::RangeResponse, ReadError> {
        self.at_one_root(|view| range::range(view, request))
    }

    /// Answers a transaction that only reads ([`crate::validate::is_read_only`]).
    ///
    /// *Errors*: those of [`Reader::range`], and [`ReadError::Writes`].
    pub fn read_txn(&self, request: &TxnRequest) -> Result<spliced::TxnResponse, ReadError> {
        if !crate::validate::is_read_only(request) {
            return Err(ReadError::Writes);
        }
        self.at_one_root(|view| read_txn::read_txn(view, request))
    }

    /// What happened in `from..=to`, as far as the limits allow: at least one revision, if there is
    /// one.
    ///
    /// *Shape*: rising revisions, each whole; go on after the last one. `to` above the current
    /// revision is cut.
    /// *Errors*: [`ReadError::Compacted`] when `from` is below the compacted revision; at it is
    /// legal.
    pub fn events(
        &self,
        from: Revision,
        to: Revision,
        limits: EventLimits,
    ) -> Result<Vec<RevisionEvents>, ReadError> {
        self.refuse_compacted(from.0)?;
        let events = history::events(&self.root(), from, to, limits)?;
        // Rows may have gone while they were read.
        self.refuse_compacted(from.0)?;
        Ok(events)
    }

    /// The encoded `KeyValue` of a key at a revision; `None` when it did not exist then.
    ///
    /// *Errors*: [`ReadError::Compacted`], [`ReadError::FutureRevision`], storage.
    pub fn value_at(&self, key: &[u8], revision: Revision) -> Result<Option<Bytes>, ReadError> {
        self.at_one_root(|view| {
            let (_, at) = view.moment(revision.0)?;
            view.root.index.get(key, at).map(|state| view.row(state.modified)).transpose()
        })
    }

    /// etcd's `HashKV` up to a revision; 0: the current one. Reads everything: not for an async
    /// thread.
    ///
    /// *Errors*: [`ReadError::Compacted`], [`ReadError::FutureRevision`], storage.
    pub fn hash_kv(&self, revision: Revision) -> Result<HashKv, ReadError> {
        self.at_one_root(|view| {
            if revision.0 < 0 {
                return Ok(hash::hash_of_nothing(view.root, revision));
            }
            let (revision, _) = view.moment(revision.0)?;
            // The whole history counts, so any compaction meanwhile spoils it.
            view.looks_back_to(view.root.compacted);
            Ok(hash::hash_kv(view.root, revision)?)
        })
    }

    /// A checksum of all that is replicated: equal on members with the same last entry.
    ///
    /// *Errors*: those of [`Reader::hash_kv`]. Reads everything: not for an async thread.
    pub fn hash(&self) -> Result<u32, ReadError> {
        self.at_one_root(|view| {
            view.looks_back_to(view.root.compacted);
            Ok(hash::hash_state(view.root)?)
        })
    }

    /// Visits every kept change in the order of names, then tells all else, of one moment, whatever
    /// is written meanwhile. Reads everything: not for an async thread.
    ///
    /// *Errors*: the visitor's, and storage.
    pub fn export<E: From<StorageError>>(
        &self,
        visit: VisitChange<'_, E>,
    ) -> Result<ExportedHead, E> {
        export::export(&self.published, visit)
    }

    /// A lease; `None` when it does not exist.
    pub fn lease(&self, id: LeaseId) -> Option<LeaseInfo> {
        self.published.load().leases.get(id)
    }

    /// All leases, by rising id.
    pub fn leases(&self) -> Vec<LeaseInfo> {
        self.published.load().leases.all()
    }

    /// The keys of a lease, sorted.
    pub fn lease_keys(&self, id: LeaseId) -> Vec<Bytes> {
        self.published.load().leases.keys(id)
    }

    /// The active alarms, by member.
    pub fn alarms(&self) -> Vec<AlarmMember> {
        self.published.load().alarms_of(0)
    }

    /// The version that operators go back to, while they do.
    pub fn downgrade_target(&self) -> Option<String> {
        self.published.load().downgrade_target.clone()
    }

    /// What members said of themselves, by id.
    pub fn members(&self) -> Vec<MemberAttributes> {
        self.published.load().members.values().cloned().collect()
    }

    /// The room the engine takes.
    pub fn sizes(&self) -> EngineSizes {
        self.published.load().engine.sizes()
    }

    /// The number of keys that exist now.
    pub fn key_count(&self) -> u64 {
        self.published.load().index.live()
    }

    /// A consistent copy of everything, and how far *it* is applied, read from the finished copy.
    ///
    /// `dir` must not exist, its parent must (see [`crate::engine::Engine::checkpoint`]). Slow.
    pub fn checkpoint(
        &self,
        dir: &Path,
    ) -> Result<(Box<dyn Checkpoint>, AppliedState), StorageError> {
        let checkpoint = self.root().engine.checkpoint(dir)?;
        let applied = open::applied_in(&*checkpoint)?;
        Ok((checkpoint, applied))
    }

    /// Gives the room of removed rows back to the file system (Defragment). Slow.
    pub fn reclaim(&self) -> Result<(), StorageError> {
        self.root().engine.reclaim()
    }

    /// Reads from one root, and again from a newer one while the history was compacted under the
    /// read.
    pub(crate) fn at_one_root<T>(
        &self,
        read: impl Fn(&View<'_>) -> Result<T, ViewError>,
    ) -> Result<T, ReadError> {
        let oldest = Cell::new(0);
        for _ in 0..READ_ATTEMPTS_MAX {
            let root = self.root();
            let result = read(&View::of(&root, &oldest));
            // Order: rows go only after a root with their compacted revision is published. What a
            // compaction takes is nothing to those who read at or above its revision.
            let unharmed = self.published.load().compacted <= oldest.get().max(root.compacted);
            match result {
                Ok(answer) if unharmed => return Ok(answer),
                Err(ViewError::FutureRevision) => {
                    return Err(ReadError::FutureRevision { current: Revision(root.revision) });
                }
                Err(ViewError::Compacted) => {
                    let compact_revision = Revision(root.compacted);
                    return Err(ReadError::Compacted { compact_revision });
                }
                Err(ViewError::Storage(error)) => return Err(error.into()),
                Err(ViewError::Missing(at)) if unharmed => {
                    return Err(StorageError::Damaged(format!(
                        "the index names change {at}, the engine does not have it"
                    ))
                    .into());
                }
                Ok(_) | Err(ViewError::Missing(_)) => {}
            }
        }
        Err(ReadError::Compacted { compact_revision: self.compacted_revision() })
    }

    fn refuse_compacted(&self, revision: i64) -> Result<(), ReadError> {
        let compacted = self.published.load().compacted;
        match revision < compacted {
            true => Err(ReadError::Compacted { compact_revision: Revision(compacted) }),
            false => Ok(()),
        }
    }
}
