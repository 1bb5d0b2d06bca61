//! Applying one entry: commands in order, on a copy of the root, into one engine batch.
//!
//! Invariants: total and deterministic: any command that decodes has an outcome, the same on every
//! member, and a refused command changes nothing. Only the disk, an unknown command or a higher
//! state machine version can fail an entry; then nothing of it is visible. Reads inside the entry
//! see its earlier writes.

mod auth;
mod delete;
mod lease;
mod maintenance;
mod put;
mod txn;

use bytes::Bytes;
use proto::log::{Batch, Command, CommandHeader, command};
use proto::status::EtcdError;

use crate::codec;
use crate::digest::DigestChain;
use crate::engine::{Space, WriteBatch};
use crate::error::StorageError;
use crate::event::{Event, EventKind, RevisionEvents};
use crate::index::KeyState;
use crate::key_value::{self, KeyValueView};
use crate::layout::{put_name, tombstone_name};
use crate::limits::STATE_MACHINE_VERSION;
use crate::outcome::{Answers, ApplyError, Outcome, Response};
use crate::records::{MEMBERSHIP_NAME, MembershipRecord, STATE_NAME};
use crate::root::{Root, StoredMembership};
use crate::types::{LeaseId, LogId, MemberId, Revision, RowRevision};
use crate::view::{PendingRows, View, ViewError};

/// Why a command has no response.
enum Refusal {
    /// It has an error for an outcome.
    Outcome(EtcdError),
    /// The member stops.
    Storage(StorageError),
}

impl From<EtcdError> for Refusal {
    fn from(error: EtcdError) -> Self {
        Self::Outcome(error)
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<ViewError> for Refusal {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Compacted => Self::Outcome(EtcdError::Compacted),
            ViewError::FutureRevision => Self::Outcome(EtcdError::FutureRevision),
            ViewError::Missing(at) => Self::Storage(StorageError::Damaged(format!(
                "the index names change {at}, the engine does not have it"
            ))),
            ViewError::Storage(error) => Self::Storage(error),
        }
    }
}

/// An entry being applied.
pub(crate) struct Applying {
    root: Root,
    log_id: LogId,
    answers: Answers,
    digest: DigestChain,
    batch: WriteBatch,
    /// The puts of this entry: what the engine does not have yet.
    pending: PendingRows,
    /// The changes of the command at hand: all of one revision, the next one.
    changes: Vec<Event>,
    events: Vec<RevisionEvents>,
}

/// An entry ready to be written: the engine batch, and the root to publish once it is written.
pub(crate) struct Applied {
    pub(crate) root: Root,
    pub(crate) batch: WriteBatch,
    pub(crate) events: Vec<RevisionEvents>,
}

impl Applying {
    /// Begins the entry `log_id` on top of `root`. Invariant: it follows the last applied one.
    pub(crate) fn new(root: Root, log_id: LogId, answers: Answers) -> Self {
        let last = root.applied.map_or(0, |applied| applied.index);
        assert_eq!(log_id.index, last + 1, "entries are applied once and in order");
        Self {
            log_id,
            answers,
            digest: DigestChain::new(root.digest, log_id),
            batch: WriteBatch::new(),
            pending: PendingRows::new(),
            changes: Vec::new(),
            events: Vec::new(),
            root,
        }
    }

    /// Applies every command of a batch.
    pub(crate) fn batch(&mut self, batch: &Batch) -> Result<Vec<Outcome>, StorageError> {
        check_version(batch.state_machine_version)?;
        batch.commands.iter().map(|command| self.command(command)).collect()
    }

    /// Takes over a membership, forgets the attributes of whoever is not part of it, and notes who
    /// left.
    pub(crate) fn membership(&mut self, bytes: Bytes, members: &[MemberId], left: &[MemberId]) {
        self.digest.membership(&bytes);
        self.forget_members_but(members);
        self.note_removed(left);
        let LogId { term, index } = self.log_id;
        let record = MembershipRecord { term, index, bytes: bytes.to_vec() };
        self.batch.put(Space::Meta, MEMBERSHIP_NAME, codec::encode(&record));
        self.root.membership = Some(StoredMembership { log_id: Some(self.log_id), bytes });
    }

    /// Ends the entry: the state row joins the batch.
    pub(crate) fn finish(mut self) -> Applied {
        let root = &mut self.root;
        root.applied = Some(self.log_id);
        root.digest = self.digest.finish(&[
            root.revision as u64,
            root.compacted as u64,
            u64::from(root.state_machine_version),
            u64::from(root.auth.enabled),
            root.auth.revision,
        ]);
        self.batch.put(Space::Meta, STATE_NAME, codec::encode(&root.record()));
        Applied { root: self.root, batch: self.batch, events: self.events }
    }

    fn command(&mut self, command: &Command) -> Result<Outcome, StorageError> {
        let request = command.request.as_ref().ok_or_else(|| {
            unsupported("the log holds a command that this release does not know")
        })?;
        let result = match self.admit(command.header.as_ref(), request) {
            Ok(()) => self.request(request),
            Err(refusal) => Err(refusal.into()),
        };
        let result = match result {
            Ok(response) => Ok(response),
            Err(Refusal::Outcome(error)) => {
                assert!(self.changes.is_empty(), "a refused command has changed nothing");
                Err(ApplyError(error))
            }
            Err(Refusal::Storage(error)) => return Err(error),
        };
        self.commit_changes();
        Ok(Outcome { result, revision: Revision(self.root.revision) })
    }

    /// The conditions in the command's header. Compat: alarms come before permissions.
    ///
    /// A fenced command of another term is refused with `NotLeader`: its proposer no longer leads,
    /// and what it wanted (an expired lease revoked, times recorded) may be untrue by now.
    fn admit(
        &self,
        header: Option<&CommandHeader>,
        request: &command::Request,
    ) -> Result<(), EtcdError> {
        let fence_term = header.map_or(0, |header| header.fence_term);
        if fence_term != 0 && fence_term != self.log_id.term {
            return Err(EtcdError::NotLeader);
        }
        self.root.check_alarms(request)?;
        self.permit(header, request)
    }

    fn request(&mut self, request: &command::Request) -> Result<Response, Refusal> {
        use command::Request;
        match request {
            Request::Put(put) => self.put(put),
            Request::DeleteRange(delete) => self.delete_range(delete),
            Request::Txn(txn) => self.txn(txn),
            Request::Compaction(compaction) => self.compaction(compaction),
            Request::LeaseGrant(grant) => self.lease_grant(grant),
            Request::LeaseRevoke(revoke) => self.lease_revoke(revoke),
            Request::LeaseCheckpoint(checkpoint) => self.lease_checkpoint(checkpoint),
            Request::Alarm(alarm) => Ok(self.alarm(alarm)),
            Request::MemberAttributes(attributes) => Ok(self.member_attributes(attributes)),
            Request::StateMachineVersion(raise) => {
                check_version(raise.version)?;
                let version = &mut self.root.state_machine_version;
                *version = raise.version.max(*version);
                Ok(Response::StateMachineVersion)
            }
            Request::Downgrade(downgrade) => self.downgrade(downgrade),
            Request::AuthEnable(_)
            | Request::AuthDisable(_)
            | Request::Authenticate(_)
            | Request::AuthUserAdd(_)
            | Request::AuthUserDelete(_)
            | Request::AuthUserChangePassword(_)
            | Request::AuthUserGrantRole(_)
            | Request::AuthUserRevokeRole(_)
            | Request::AuthRoleAdd(_)
            | Request::AuthRoleDelete(_)
            | Request::AuthRoleGrantPermission(_)
            | Request::AuthRoleRevokePermission(_) => self.auth_change(request),
        }
    }

    /// The view of an operation: with the writes of this entry, and of this command.
    fn view(&self) -> View<'_> {
        let revision = self.visible_revision();
        View { root: &self.root, pending: &self.pending, revision, oldest: None }
    }

    /// The revision a read in this command sees, and answers.
    fn visible_revision(&self) -> i64 {
        self.root.revision + i64::from(!self.changes.is_empty())
    }

    fn next_row(&self) -> RowRevision {
        let sub =
            u32::try_from(self.changes.len()).expect("a command changes fewer than 2^31 keys");
        RowRevision::new(self.root.revision + 1, sub)
    }

    /// Writes a key: row, index, lease, digest, event.
    fn write_put(&mut self, key: &[u8], value: &[u8], lease: LeaseId) {
        let at = self.next_row();
        let KeyState { created, version, .. } = self.root.index.put(key, at);
        let row = KeyValueView {
            key,
            create_revision: created.0,
            mod_revision: at.main.0,
            version,
            value,
            lease: lease.0,
        }
        .encode()
        .0;
        let name = put_name(at);
        self.digest.put(Space::KeyValues, &name, &row);
        self.batch.put(Space::KeyValues, Bytes::copy_from_slice(&name), row.clone());
        if version > 1 || lease != LeaseId(0) {
            self.root.leases.attach(key, lease);
        }
        self.pending.push((at, row.clone()));
        self.changes.push(Event {
            kind: EventKind::Put,
            key: key_value::key_of(&row, key),
            kv: row,
            created: created == at.main,
            lease,
        });
    }

    /// Deletes a key that is live: row, index, lease, digest, event.
    fn write_tombstone(&mut self, key: &[u8]) {
        let at = self.next_row();
        self.root.index.tombstone(key, at).expect("callers delete live keys only");
        let row = KeyValueView { key, ..KeyValueView::default() }.encode().0;
        let name = tombstone_name(at);
        self.digest.put(Space::KeyValues, &name, &row);
        self.batch.put(Space::KeyValues, Bytes::copy_from_slice(&name), row);
        self.root.leases.attach(key, LeaseId(0));
        let kv = key_value::deleted(key, at.main.0);
        self.changes.push(Event {
            kind: EventKind::Delete,
            key: key_value::key_of(&kv, key),
            kv,
            created: false,
            lease: LeaseId(0),
        });
    }

    /// Sets a row outside of the key-values.
    fn write_row(&mut self, space: Space, name: &[u8], value: Bytes) {
        self.digest.put(space, name, &value);
        self.batch.put(space, Bytes::copy_from_slice(name), value);
    }

    /// Removes a row outside of the key-values.
    fn delete_row(&mut self, space: Space, name: &[u8]) {
        self.digest.delete(space, name);
        self.batch.delete(space, Bytes::copy_from_slice(name));
    }

    /// Ends a command: its changes, if any, become one revision.
    fn commit_changes(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        self.root.revision += 1;
        let revision = Revision(self.root.revision);
        let events = std::mem::take(&mut self.changes).into();
        self.events.push(RevisionEvents { revision, events });
    }
}

fn check_version(version: u32) -> Result<(), StorageError> {
    match version <= STATE_MACHINE_VERSION {
        true => Ok(()),
        false => Err(unsupported(&format!(
            "the log asks for state machine version {version}, \
             this release has {STATE_MACHINE_VERSION}"
        ))),
    }
}

fn unsupported(why: &str) -> StorageError {
    StorageError::Unsupported(why.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proto::authpb::User;
    use proto::etcdserverpb::PutRequest;

    use super::*;
    use crate::engine::Memory;

    const FIRST: LogId = LogId { term: 3, index: 1 };

    fn put(header: Option<CommandHeader>) -> Command {
        let put = PutRequest { key: "k".into(), ..PutRequest::default() };
        Command { header, request: Some(command::Request::Put(put)) }
    }

    fn outcome(root: &Root, header: CommandHeader) -> Outcome {
        let batch = Batch { state_machine_version: 1, commands: vec![put(Some(header))] };
        let mut applying = Applying::new(root.clone(), FIRST, Answers::Materialise);
        applying.batch(&batch).expect("memory works").remove(0)
    }

    #[test]
    fn an_old_auth_revision_is_refused_while_auth_is_on() {
        let mut root = Root::empty(Arc::new(Memory::new()));
        root.auth.revision = 5;
        let roles = vec!["root".to_owned()];
        root.auth.set_user("ann", User { name: "ann".into(), roles, ..User::default() });
        let of = |auth_revision| {
            let username = "ann".to_owned();
            CommandHeader { username, auth_revision, ..CommandHeader::default() }
        };
        assert!(outcome(&root, of(4)).result.is_ok(), "auth is off");
        root.auth.enabled = true;
        assert_eq!(outcome(&root, of(4)).result, Err(ApplyError(EtcdError::AuthOldRevision)));
        assert!(outcome(&root, of(5)).result.is_ok());
    }

    #[test]
    fn a_fenced_command_of_another_term_is_refused() {
        let root = Root::empty(Arc::new(Memory::new()));
        let of = |fence_term| CommandHeader { fence_term, ..CommandHeader::default() };
        assert_eq!(outcome(&root, of(2)).result, Err(ApplyError(EtcdError::NotLeader)));
        assert!(outcome(&root, of(3)).result.is_ok());
        assert!(outcome(&root, of(0)).result.is_ok());
    }

    #[test]
    fn what_this_release_does_not_know_stops_the_member() {
        let root = Root::empty(Arc::new(Memory::new()));
        let raise = proto::log::StateMachineVersion { version: STATE_MACHINE_VERSION + 1 };
        let raise =
            Command { header: None, request: Some(command::Request::StateMachineVersion(raise)) };
        let unknown = Command { header: None, request: None };
        for (state_machine_version, commands) in [
            (STATE_MACHINE_VERSION + 1, vec![put(None)]),
            (STATE_MACHINE_VERSION, vec![put(None), unknown]),
            (STATE_MACHINE_VERSION, vec![raise]),
        ] {
            let batch = Batch { state_machine_version, commands };
            let mut applying = Applying::new(root.clone(), FIRST, Answers::Skip);
            let result = applying.batch(&batch);
            assert!(matches!(result, Err(StorageError::Unsupported(_))), "{result:?}");
        }
    }
}
