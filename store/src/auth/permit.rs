//! The one function from a call to what it needs, held against what its caller is granted.
//!
//! Invariants: default deny: a call needs root unless it says otherwise; a tree needs what all its
//! parts need, whichever branch is taken and however deep it is; a range is checked in the words
//! in which it came, before anybody rewrites its end (GHSA-xg4h-6gfc-h4m8).
//! Compat: which error comes first is etcd's, text by text.

use proto::etcdserverpb::request_op::Request as Operation;
use proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RequestOp, TxnRequest};
use proto::status::EtcdError;

use super::state::{AuthState, ROOT};
use super::{Asker, Call};
use crate::leases::Leases;
use crate::types::LeaseId;

/// Whether `asker` may make `call` in this state. Nothing is asked while authentication is off.
pub(crate) fn permit(
    auth: &AuthState,
    leases: &Leases,
    asker: Asker<'_>,
    call: &Call<'_>,
) -> Result<(), EtcdError> {
    if !auth.enabled {
        return Ok(());
    }
    Permit { auth, leases, asker }.call(call)
}

struct Permit<'s> {
    auth: &'s AuthState,
    leases: &'s Leases,
    asker: Asker<'s>,
}

/// What is done with keys.
#[derive(Clone, Copy)]
enum Use {
    Read,
    Write,
}

type Permitted = Result<(), EtcdError>;

impl Permit<'_> {
    fn call(&self, call: &Call<'_>) -> Permitted {
        match *call {
            Call::Range(range) => self.keys(Use::Read, &range.key, &range.range_end),
            Call::Watch { key, range_end } => self.keys(Use::Read, key, range_end),
            Call::Put(put) => self.put(put),
            Call::DeleteRange(delete) => self.delete_range(delete),
            Call::Txn(txn) => self.txn(txn),
            Call::LeaseRevoke(id) | Call::LeaseKeepAlive(id) => {
                self.user()?;
                self.lease(Use::Write, id)
            }
            Call::LeaseTimeToLive { id, keys } => {
                self.user()?;
                if keys { self.lease(Use::Read, id) } else { Ok(()) }
            }
            Call::LeaseLeases => self.all_leases(),
            Call::LeaseGrant | Call::Status | Call::MemberList | Call::AlarmList => self.user(),
            Call::AuthStatus | Call::Authenticate => Ok(()),
            Call::UserGet(name) => match self.root() {
                Err(_) if name == self.asker.username => Ok(()),
                decided => decided,
            },
            Call::RoleGet(role) => match self.root() {
                Err(_) if self.has_role(role) => Ok(()),
                decided => decided,
            },
            Call::Administration => self.root(),
        }
    }

    /// Somebody, whoever it is. Compat: a certificate without a name is somebody, too.
    fn user(&self) -> Permitted {
        match self.asker.username.is_empty() && self.asker.auth_revision == 0 {
            true => Err(EtcdError::UserEmpty),
            false => Ok(()),
        }
    }

    /// Compat: the auth revision is not looked at: an older token of root still administers.
    fn root(&self) -> Permitted {
        if self.asker.username.is_empty() {
            return Err(EtcdError::UserEmpty);
        }
        let account = self.auth.account(self.asker.username).ok_or(EtcdError::UserNotFound)?;
        match account.has_role(ROOT) {
            true => Ok(()),
            false => Err(EtcdError::PermissionDenied),
        }
    }

    fn has_role(&self, role: &str) -> bool {
        self.auth.account(self.asker.username).is_some_and(|account| account.has_role(role))
    }

    fn keys(&self, what: Use, key: &[u8], range_end: &[u8]) -> Permitted {
        if self.asker.auth_revision == 0 {
            return Err(EtcdError::UserEmpty);
        }
        if self.asker.auth_revision < self.auth.revision {
            return Err(EtcdError::AuthOldRevision);
        }
        let account = self.auth.account(self.asker.username).ok_or(EtcdError::PermissionDenied)?;
        if account.has_role(ROOT) {
            return Ok(());
        }
        let granted = account.granted(self.auth);
        let covered = match what {
            Use::Read => granted.read.cover(key, range_end),
            Use::Write => granted.write.cover(key, range_end),
        };
        if covered { Ok(()) } else { Err(EtcdError::PermissionDenied) }
    }

    /// Besides its own key, a put ends what another's lease keeps, and may tell the value before
    /// (GHSA-x35m-3gp4-4fh5). Compat: a kept value or lease is not told, and needs nothing more.
    fn put(&self, put: &PutRequest) -> Permitted {
        self.keys(Use::Write, &put.key, &[])?;
        self.lease(Use::Write, LeaseId(put.lease))?;
        match put.prev_kv {
            true => self.keys(Use::Read, &put.key, &[]),
            false => Ok(()),
        }
    }

    fn delete_range(&self, delete: &DeleteRangeRequest) -> Permitted {
        self.keys(Use::Write, &delete.key, &delete.range_end)?;
        match delete.prev_kv {
            true => self.keys(Use::Read, &delete.key, &delete.range_end),
            false => Ok(()),
        }
    }

    fn txn(&self, txn: &TxnRequest) -> Permitted {
        for compare in &txn.compare {
            self.keys(Use::Read, &compare.key, &compare.range_end)?;
        }
        txn.success.iter().chain(&txn.failure).try_for_each(|operation| self.operation(operation))
    }

    fn operation(&self, operation: &RequestOp) -> Permitted {
        match &operation.request {
            Some(Operation::RequestRange(range)) => {
                self.keys(Use::Read, &range.key, &range.range_end)
            }
            Some(Operation::RequestPut(put)) => self.put(put),
            Some(Operation::RequestDeleteRange(delete)) => self.delete_range(delete),
            Some(Operation::RequestTxn(txn)) => self.txn(txn),
            None => Ok(()),
        }
    }

    /// All keys of a lease; one without keys, or that does not exist, needs nothing.
    fn lease(&self, what: Use, id: LeaseId) -> Permitted {
        if id == LeaseId(0) || self.root().is_ok() {
            return Ok(());
        }
        self.leases.keys(id).iter().try_for_each(|key| self.keys(what, key, &[]))
    }

    fn all_leases(&self) -> Permitted {
        self.user()?;
        if self.root().is_ok() {
            return Ok(());
        }
        self.leases.attached_keys().try_for_each(|key| self.keys(Use::Read, key, &[]))
    }
}
