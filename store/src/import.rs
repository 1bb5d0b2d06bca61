//! A state from outside, written into an empty engine: the counterpart of an export.
//!
//! Invariants: what is imported passes the checks that a store makes when it opens, or nothing can
//! be opened: the row that says where the state stands is written last. The digest covers all that
//! was imported, so that members made from different files are found out.
//!
//! Must not know: files, nor whose format the rows come from.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use proto::authpb::{Role, User};
use proto::etcdserverpb::AlarmMember;

use crate::codec;
use crate::digest::DigestChain;
use crate::engine::{Engine, Space, WriteBatch};
use crate::error::StorageError;
use crate::key_value;
use crate::layout::{alarm_name, lease_name, read_name, role_name, user_name};
use crate::leases::LeaseInfo;
use crate::records::{
    COMPACTION_NAME, CompactionRecord, LeaseRecord, MEMBERSHIP_NAME, MembershipRecord, STATE_NAME,
};
use crate::root::Root;
use crate::store::{Store, StoreOptions};
use crate::types::{Digest, LogId, MemberId, Revision};

/// *Units*: bytes of rows written at a time.
const BATCH_BYTES: usize = 4 << 20;

/// Where an imported history stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportedHead {
    /// The revision that reads below are refused at, if it was ever compacted.
    pub compacted: Option<Revision>,
    /// The compacted revision whose superseded rows are gone, if any.
    pub finished: Option<Revision>,
    /// Whether calls must come from a user.
    pub auth_enabled: bool,
    /// The revision of users and roles; 0: as in a fresh store.
    pub auth_revision: u64,
}

/// See the module's page. Dropped unfinished, it leaves an engine that nothing opens.
pub struct Import {
    engine: Arc<dyn Engine>,
    root: Root,
    batch: WriteBatch,
    digest: DigestChain,
    newest: i64,
}

impl Import {
    /// Begins an import into an engine without rows, for a log whose entries up to `applied` are
    /// given up, with the membership that they brought.
    ///
    /// *Errors*: the engine holds something.
    pub fn new(
        engine: Arc<dyn Engine>,
        applied: LogId,
        membership: Bytes,
    ) -> Result<Self, StorageError> {
        let mut root = Root::empty(Arc::clone(&engine));
        if engine.get(Space::Meta, STATE_NAME)?.is_some() {
            return Err(StorageError::Engine("there is a state already".to_owned()));
        }
        root.applied = Some(applied);
        let mut digest = DigestChain::new(Digest::default(), applied);
        digest.membership(&membership);
        let mut import = Self { engine, root, batch: WriteBatch::new(), digest, newest: 0 };
        let LogId { term, index } = applied;
        let record = MembershipRecord { term, index, bytes: membership.to_vec() };
        import.batch.put(Space::Meta, MEMBERSHIP_NAME, codec::encode(&record));
        Ok(import)
    }

    /// Takes over a change, by its name, in the order of names.
    ///
    /// *Errors*: `Damaged`: the name is none, or the value is not in the form in which etcd and
    /// this store write it.
    pub fn change(&mut self, name: &[u8], value: &[u8]) -> Result<(), StorageError> {
        let (at, tombstone) = read_name(name)?;
        let kv = key_value::read(value)?;
        let damaged = |what: &str| Err(StorageError::Damaged(format!("change {at} {what}")));
        if kv.encode().0 != value {
            return damaged("is not in the canonical form");
        }
        // A mark without a key only holds a place: etcd's restore raises the revision by one.
        if !tombstone && !value.is_empty() && kv.mod_revision != at.main.0 {
            return damaged("speaks of another revision");
        }
        if !value.is_empty() && kv.key.is_empty() {
            return damaged("has no key");
        }
        self.newest = self.newest.max(at.main.0);
        self.put(Space::KeyValues, name, Bytes::copy_from_slice(value))
    }

    /// Takes over a lease.
    pub fn lease(&mut self, lease: LeaseInfo) -> Result<(), StorageError> {
        let LeaseInfo { id, granted_ttl_s, remaining_ttl_s } = lease;
        let record = LeaseRecord { granted_ttl_s, remaining_ttl_s };
        self.put(Space::Leases, &lease_name(id), codec::encode(&record))
    }

    /// Takes over an active alarm.
    pub fn alarm(&mut self, alarm: &AlarmMember) -> Result<(), StorageError> {
        let name = alarm_name(MemberId(alarm.member_id), alarm.alarm);
        self.put(Space::Alarms, &name, Bytes::new())
    }

    /// Takes over a user, with the hash of its password.
    pub fn user(&mut self, user: &User) -> Result<(), StorageError> {
        check_name("a user", &user.name)?;
        self.put(Space::Auth, &user_name(&user.name), user.encode_to_vec().into())
    }

    /// Takes over a role.
    pub fn role(&mut self, role: &Role) -> Result<(), StorageError> {
        check_name("a role", &role.name)?;
        self.put(Space::Auth, &role_name(&role.name), role.encode_to_vec().into())
    }

    /// Writes where the state stands, makes all of it durable, and opens it once to check it.
    ///
    /// *Errors*: rows that contradict each other or the head.
    pub fn finish(mut self, head: ImportedHead) -> Result<Store, StorageError> {
        let compacted = head.compacted.max(head.finished);
        if let Some(compacted) = compacted {
            self.root.compacted = compacted.0;
        }
        // Compat: etcd's current revision is that of the newest row, or the compacted one when a
        // compaction took the newest rows.
        self.root.revision = self.root.revision.max(self.newest).max(self.root.compacted);
        self.root.auth.enabled = head.auth_enabled;
        self.root.auth.revision = self.root.auth.revision.max(head.auth_revision);
        if let Some(finished) = head.finished {
            let record = CompactionRecord { finished: finished.0 };
            self.batch.put(Space::Meta, COMPACTION_NAME, codec::encode(&record));
        }
        let record = self.root.record();
        let numbers = [
            record.revision.cast_unsigned(),
            record.compacted.cast_unsigned(),
            u64::from(record.auth_enabled),
            record.auth_revision,
        ];
        self.root.digest = self.digest.finish(&numbers);
        self.batch.put(Space::Meta, STATE_NAME, codec::encode(&self.root.record()));
        self.engine.write(self.batch)?;
        self.engine.flush()?;
        Store::open(self.engine, StoreOptions::default())
    }

    fn put(&mut self, space: Space, name: &[u8], value: Bytes) -> Result<(), StorageError> {
        self.digest.put(space, name, &value);
        self.batch.put(space, Bytes::copy_from_slice(name), value);
        if self.batch.bytes() >= BATCH_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), StorageError> {
        self.engine.write(std::mem::take(&mut self.batch))
    }
}

fn check_name(what: &str, name: &[u8]) -> Result<(), StorageError> {
    let damaged = |_| StorageError::Damaged(format!("the name of {what} is no text"));
    std::str::from_utf8(name).map(drop).map_err(damaged)
}
