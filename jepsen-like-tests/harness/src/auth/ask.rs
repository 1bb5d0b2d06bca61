//! What is asked, and by whom.

use proto::etcdserverpb as pb;

pub(super) use crate::diff::who::{PASSWORD_MARK, USERS, Who, password};

/// One call.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    AuthEnable,
    AuthDisable,
    AuthStatus,
    /// A user and a password.
    Authenticate(&'static str, String),
    UserAdd(pb::AuthUserAddRequest),
    UserGet(&'static str),
    UserList,
    UserDelete(&'static str),
    UserChangePassword(pb::AuthUserChangePasswordRequest),
    UserGrantRole(&'static str, &'static str),
    UserRevokeRole(&'static str, &'static str),
    RoleAdd(&'static str),
    RoleGet(&'static str),
    RoleList,
    RoleDelete(&'static str),
    RoleGrantPermission(pb::AuthRoleGrantPermissionRequest),
    RoleRevokePermission(pb::AuthRoleRevokePermissionRequest),
    Range(pb::RangeRequest),
    RangeStream(pb::RangeRequest),
    Put(pb::PutRequest),
    Delete(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
    Compact(i64),
    /// The first answer of a new watch.
    Watch(pb::WatchCreateRequest),
    LeaseGrant(i64),
    LeaseRevoke(i64),
    LeaseKeepAlive(i64),
    LeaseTimeToLive(i64, bool),
    LeaseLeases,
    Status,
    MemberList,
    MemberRemove,
    Alarm(pb::AlarmRequest),
    HashKv,
    Defragment,
    MoveLeader,
}

/// One call by somebody to one of the members.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) who: Who,
    pub(super) member: usize,
    pub(super) ask: Ask,
}
