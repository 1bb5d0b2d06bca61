//! From an engine's rows to a root: the index and the attachments are rebuilt by one ordered scan.
//!
//! Invariant checked here: no change is above the stored revision, names and values agree, and
//! leases that values speak of exist. A store that breaks one is damaged and does not open.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use proto::authpb::{Role, User};
use proto::log::MemberAttributes;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::engine::{Checkpoint, Direction, Engine, Space};
use crate::error::StorageError;
use crate::index::{At, HistoryRow, KeyState};
use crate::key_value;
use crate::layout::{AuthRow, read_alarm_name, read_auth_name, read_lease_name, read_name};
use crate::limits::STATE_MACHINE_VERSION;
use crate::records::{
    COMPACTION_NAME, CompactionRecord, DOWNGRADE_NAME, LeaseRecord, MEMBERSHIP_NAME,
    MembershipRecord, REMOVED_NAME, RemovedRecord, STATE_NAME, StateRecord,
};
use crate::root::{AppliedState, Root, StoredMembership};
use crate::types::{Digest, LeaseId, LogId, MemberId, Revision, RowRevision};

/// Reads everything an engine holds.
pub(crate) fn open(engine: Arc<dyn Engine>) -> Result<Root, StorageError> {
    let mut root = Root::empty(engine.clone());
    if let Some(record) = record::<StateRecord>(&*engine, STATE_NAME)? {
        if record.state_machine_version > STATE_MACHINE_VERSION {
            return Err(StorageError::Unsupported(format!(
                "the state is of state machine version {}, this release has {}",
                record.state_machine_version, STATE_MACHINE_VERSION
            )));
        }
        root.adopt(&record);
    }
    if let Some(record) = record::<CompactionRecord>(&*engine, COMPACTION_NAME)? {
        root.finished = record.finished;
    }
    root.membership = record::<MembershipRecord>(&*engine, MEMBERSHIP_NAME)?.map(membership);
    if let Some(record) = record::<RemovedRecord>(&*engine, REMOVED_NAME)? {
        root.removed = record.member_ids.into_iter().map(MemberId).collect();
    }
    if let Some(row) = engine.get(Space::Meta, DOWNGRADE_NAME)? {
        let target = String::from_utf8(row.to_vec()).map_err(|_| {
            StorageError::Damaged("the target of a downgrade is no text".to_owned())
        })?;
        root.downgrade_target = Some(target);
    }
    if root.finished > root.compacted || root.compacted > root.revision {
        return Err(StorageError::Damaged(format!(
            "revision {}, compacted {}, finished {}",
            root.revision, root.compacted, root.finished
        )));
    }
    each_row(&*engine, Space::Leases, &mut |name, row| {
        let record: LeaseRecord = codec::decode("a lease", row)?;
        root.leases.set(read_lease_name(name)?, record);
        Ok(())
    })?;
    each_row(&*engine, Space::Alarms, &mut |name, _| {
        root.alarms.insert_mut(read_alarm_name(name)?);
        Ok(())
    })?;
    each_row(&*engine, Space::Members, &mut |_, row| {
        let attributes = MemberAttributes::decode(row)
            .map_err(|error| StorageError::Damaged(format!("member attributes: {error}")))?;
        root.members.insert_mut(MemberId(attributes.member_id), attributes);
        Ok(())
    })?;
    read_users(&mut root)?;
    read_history(&mut root)?;
    Ok(root)
}

/// The last applied position that a crash now would leave.
pub(crate) fn durable_applied(engine: &dyn Engine) -> Result<Option<LogId>, StorageError> {
    let Some(row) = engine.persisted(Space::Meta, STATE_NAME)? else { return Ok(None) };
    Ok(codec::decode::<StateRecord>("state", &row)?.applied())
}

/// How far a checkpoint is applied: what a member that installs it will find.
pub(crate) fn applied_in(checkpoint: &dyn Checkpoint) -> Result<AppliedState, StorageError> {
    let mut applied = AppliedState::default();
    if let Some(row) = checkpoint.get(Space::Meta, STATE_NAME)? {
        let record: StateRecord = codec::decode("state", &row)?;
        applied.log_id = record.applied();
        applied.digest = Digest(record.digest);
    }
    if let Some(row) = checkpoint.get(Space::Meta, MEMBERSHIP_NAME)? {
        applied.membership = Some(membership(codec::decode("membership", &row)?));
    }
    Ok(applied)
}

fn membership(record: MembershipRecord) -> StoredMembership {
    let MembershipRecord { term, index, bytes } = record;
    let log_id = (index > 0).then_some(LogId { term, index });
    StoredMembership { log_id, bytes: bytes.into() }
}

fn record<T: DeserializeOwned>(
    engine: &dyn Engine,
    name: &[u8],
) -> Result<Option<T>, StorageError> {
    let what = String::from_utf8_lossy(name);
    engine.get(Space::Meta, name)?.map(|row| codec::decode(&what, &row)).transpose()
}

/// Takes a row, or refuses it.
type VisitRow<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), StorageError>;

/// Visits all rows of a space in order, until one is refused.
fn each_row(engine: &dyn Engine, space: Space, visit: VisitRow<'_>) -> Result<(), StorageError> {
    let mut result = Ok(());
    engine.scan(space, &[], None, Direction::Ascending, &mut |name, row| {
        result = visit(name, row);
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result
}

fn read_users(root: &mut Root) -> Result<(), StorageError> {
    let damaged = |error| StorageError::Damaged(format!("a user or role: {error}"));
    let engine = root.engine.clone();
    each_row(&*engine, Space::Auth, &mut |row_name, row| {
        let row = Bytes::copy_from_slice(row);
        match read_auth_name(row_name)? {
            (AuthRow::User, name) => root.auth.set_user(name, User::decode(row).map_err(damaged)?),
            (AuthRow::Role, name) => root.auth.set_role(name, Role::decode(row).map_err(damaged)?),
        }
        Ok(())
    })
}

/// Rebuilds the index, then attaches the keys whose newest value names a lease.
fn read_history(root: &mut Root) -> Result<(), StorageError> {
    let engine = root.engine.clone();
    let mut leased: Vec<(RowRevision, Bytes, LeaseId)> = Vec::new();
    each_row(&*engine, Space::KeyValues, &mut |name, row| {
        let (at, tombstone) = read_name(name)?;
        let kv = key_value::read(row)?;
        // Compat: a restore that raised the revision leaves an empty row at it.
        let speaks = !tombstone && !row.is_empty();
        if at.main.0 > root.revision || (speaks && kv.mod_revision != at.main.0) {
            return Err(StorageError::Damaged(format!(
                "change {at} speaks of revision {}, the store is at {}",
                kv.mod_revision, root.revision
            )));
        }
        let state = (!tombstone).then_some(KeyState {
            created: Revision(kv.create_revision),
            modified: at,
            version: kv.version,
        });
        if kv.lease != 0 && !tombstone {
            leased.push((at, Bytes::copy_from_slice(kv.key), LeaseId(kv.lease)));
        }
        root.index.restore(kv.key, HistoryRow { at, state });
        Ok(())
    })?;
    for (at, key, lease) in leased {
        if root.index.get(&key, At::Latest).is_some_and(|state| state.modified == at) {
            if !root.leases.contains(lease) {
                return Err(StorageError::Damaged(format!(
                    "change {at} is attached to lease {lease}, which does not exist"
                )));
            }
            root.leases.attach(&key, lease);
        }
    }
    Ok(())
}
