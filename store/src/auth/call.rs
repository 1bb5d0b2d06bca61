//! What is asked for, as far as permissions are concerned: one variant for each kind of call.
//!
//! Invariant: whatever has no variant of its own is [`Call::Administration`], so that a call nobody
//! thought of needs root.
//! Must not know: who asks, and what is granted.

use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest};
use proto::log::command;

use crate::types::LeaseId;

/// A call, with the parts of it that decide who may make it.
#[derive(Clone, Copy, Debug)]
pub enum Call<'r> {
    /// Reads keys; also when they are streamed.
    Range(&'r RangeRequest),
    /// Watches keys: the request as it came. `[]` as the end of the range is one key, `[0]` is no
    /// end.
    Watch {
        /// The first key; never empty.
        key: &'r [u8],
        /// The end, in the words of a range.
        range_end: &'r [u8],
    },
    /// Writes a key.
    Put(&'r PutRequest),
    /// Deletes keys.
    DeleteRange(&'r DeleteRangeRequest),
    /// A tree of all of these.
    Txn(&'r TxnRequest),
    /// Grants a lease.
    LeaseGrant,
    /// Ends a lease and its keys.
    LeaseRevoke(LeaseId),
    /// Keeps a lease and its keys.
    LeaseKeepAlive(LeaseId),
    /// Asks for a lease's time.
    LeaseTimeToLive {
        /// The lease.
        id: LeaseId,
        /// Whether its keys are asked for too.
        keys: bool,
    },
    /// Lists all leases.
    LeaseLeases,
    /// Asks a member how it is.
    Status,
    /// Lists the members.
    MemberList,
    /// Lists alarms.
    AlarmList,
    /// Asks whether authentication is on.
    AuthStatus,
    /// Asks for a token.
    Authenticate,
    /// Reads a user.
    UserGet(&'r str),
    /// Reads a role.
    RoleGet(&'r str),
    /// Everything else: members, maintenance, compaction, users and roles.
    Administration,
}

impl<'r> Call<'r> {
    /// The call that a command of the log is.
    pub fn of(request: &'r command::Request) -> Self {
        use command::Request;
        match request {
            Request::Put(put) => Call::Put(put),
            Request::DeleteRange(delete) => Call::DeleteRange(delete),
            Request::Txn(txn) => Call::Txn(txn),
            Request::LeaseGrant(_) => Call::LeaseGrant,
            Request::LeaseRevoke(revoke) => Call::LeaseRevoke(LeaseId(revoke.id)),
            Request::Authenticate(_) => Call::Authenticate,
            Request::Alarm(alarm) if alarm.action == AlarmAction::Get as i32 => Call::AlarmList,
            _ => Call::Administration,
        }
    }
}
