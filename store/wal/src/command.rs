//! An entry of etcd's log as a command of ours.
//!
//! Invariant: what changes keys, leases, alarms, users or roles is taken over whole, with who asked
//! and under which revision of users; what tells of etcd's own members and versions is not, since a
//! cluster that is made of the data has members of its own.

use prost::Message as _;
use proto::etcdserverpb::{InternalRaftRequest, LeaseGrantRequest};
use proto::log::command::Request;
use proto::log::{Command, CommandHeader};

use crate::error::WalError;
use crate::record::{Entry, entry_kind};

/// The least a lease lives. *Units*: seconds. Compat: etcd raises what is less when it applies; the
/// figure follows from its election timeout, and this one from the default of that.
const LEASE_TTL_MIN_S: i64 = 2;

/// `None`: the entry changes nothing that is kept here.
///
/// *Errors*: a request that etcd 3.7 does not know.
pub fn command(entry: &Entry) -> Result<Option<Command>, WalError> {
    match entry.kind {
        entry_kind::NORMAL if entry.data.is_empty() => return Ok(None),
        entry_kind::NORMAL => {}
        entry_kind::CONF_CHANGE => return Ok(None),
        other => return Err(odd(entry, &format!("is of the unknown kind {other}"))),
    }
    let request = InternalRaftRequest::decode(entry.data.clone())
        .map_err(|error| odd(entry, &format!("holds no request: {error}")))?;
    let header = request.header.clone().unwrap_or_default();
    let header = CommandHeader {
        id: 0,
        username: header.username,
        auth_revision: header.auth_revision,
        fence_term: 0,
    };
    if let Some(request) = change(&request) {
        return Ok(Some(Command { header: Some(header), request: Some(request) }));
    }
    match changes_nothing(&request) {
        true => Ok(None),
        false => Err(odd(entry, "holds a request that etcd 3.7 does not know")),
    }
}

fn odd(entry: &Entry, what: &str) -> WalError {
    WalError::Entries(format!("entry {} {what}", entry.index))
}

/// Compat: in etcd's order, where a request names several.
fn change(request: &InternalRaftRequest) -> Option<Request> {
    let InternalRaftRequest {
        put,
        delete_range,
        txn,
        compaction,
        lease_grant,
        lease_revoke,
        lease_checkpoint,
        alarm,
        ..
    } = request.clone();
    let grant = |grant: LeaseGrantRequest| LeaseGrantRequest {
        ttl: grant.ttl.max(LEASE_TTL_MIN_S),
        ..grant
    };
    None.or(put.map(Request::Put))
        .or(delete_range.map(Request::DeleteRange))
        .or(txn.map(Request::Txn))
        .or(compaction.map(Request::Compaction))
        .or(lease_grant.map(grant).map(Request::LeaseGrant))
        .or(lease_revoke.map(Request::LeaseRevoke))
        .or(lease_checkpoint.map(Request::LeaseCheckpoint))
        .or(alarm.map(Request::Alarm))
        .or_else(|| auth_change(request))
}

fn auth_change(request: &InternalRaftRequest) -> Option<Request> {
    let InternalRaftRequest {
        auth_enable,
        auth_disable,
        auth_user_add,
        auth_user_delete,
        auth_user_change_password,
        auth_user_grant_role,
        auth_user_revoke_role,
        auth_role_add,
        auth_role_grant_permission,
        auth_role_revoke_permission,
        auth_role_delete,
        ..
    } = request.clone();
    None.or(auth_enable.map(Request::AuthEnable))
        .or(auth_disable.map(Request::AuthDisable))
        .or(auth_user_add.map(Request::AuthUserAdd))
        .or(auth_user_delete.map(Request::AuthUserDelete))
        .or(auth_user_change_password.map(Request::AuthUserChangePassword))
        .or(auth_user_grant_role.map(Request::AuthUserGrantRole))
        .or(auth_user_revoke_role.map(Request::AuthUserRevokeRole))
        .or(auth_role_add.map(Request::AuthRoleAdd))
        .or(auth_role_grant_permission.map(Request::AuthRoleGrantPermission))
        .or(auth_role_revoke_permission.map(Request::AuthRoleRevokePermission))
        .or(auth_role_delete.map(Request::AuthRoleDelete))
}

/// What only reads, makes a token, or tells of etcd's members and versions.
fn changes_nothing(request: &InternalRaftRequest) -> bool {
    request.range.is_some()
        || request.auth_status.is_some()
        || request.authenticate.is_some()
        || request.auth_user_get.is_some()
        || request.auth_user_list.is_some()
        || request.auth_role_get.is_some()
        || request.auth_role_list.is_some()
        || request.cluster_version_set.is_some()
        || request.cluster_member_attr_set.is_some()
        || request.downgrade_info_set.is_some()
        || request.downgrade_version_test.is_some()
}

#[cfg(test)]
mod tests {
    use proto::etcdserverpb::{PutRequest, RequestHeader};

    use super::*;

    fn entry(request: &InternalRaftRequest) -> Entry {
        Entry { index: 5, term: 1, data: request.encode_to_vec().into(), ..Entry::default() }
    }

    #[test]
    fn who_asked_goes_with_the_request() {
        let put = PutRequest { key: "k".into(), ..PutRequest::default() };
        let header = RequestHeader { id: 3, username: "ann".to_owned(), auth_revision: 7 };
        let request = InternalRaftRequest {
            header: Some(header),
            put: Some(put.clone()),
            ..InternalRaftRequest::default()
        };
        let command = command(&entry(&request)).expect("known").expect("a change");
        let header = command.header.expect("a header");
        assert_eq!((header.username.as_str(), header.auth_revision, header.id), ("ann", 7, 0));
        assert_eq!(command.request, Some(Request::Put(put)));
    }

    #[test]
    fn a_short_lease_lives_as_long_as_etcd_lets_it() {
        let grant = LeaseGrantRequest { id: 1, ttl: 1 };
        let request =
            InternalRaftRequest { lease_grant: Some(grant), ..InternalRaftRequest::default() };
        let command = command(&entry(&request)).expect("known").expect("a change");
        let grant = LeaseGrantRequest { id: 1, ttl: 2 };
        assert_eq!(command.request, Some(Request::LeaseGrant(grant)));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let nothing = InternalRaftRequest { id: 7, ..InternalRaftRequest::default() };
        assert!(command(&entry(&nothing)).is_err());
        let other = Entry { kind: 2, ..entry(&nothing) };
        assert!(command(&other).is_err());
        let cut = Entry { data: vec![0x22, 0x7f].into(), ..entry(&nothing) };
        assert!(command(&cut).is_err());
        let blank = Entry { data: Default::default(), ..entry(&nothing) };
        assert_eq!(command(&blank).expect("a leader's first entry"), None);
    }
}
