//! What etcd keeps in its database: ten buckets, their rows read into types and written from them.
//!
//! | bucket | key | value |
//! |---|---|---|
//! | `key` | main i64 BE, `_`, sub i64 BE; `t` for a tombstone | `mvccpb.KeyValue` |
//! | `meta` | see [`meta`](self::names) | numbers, JSON, text |
//! | `lease` | id i64 BE | `leasepb.Lease` |
//! | `alarm` | `etcdserverpb.AlarmMember` | empty |
//! | `auth` | `authEnabled`, `authRevision` | one byte; u64 BE |
//! | `authUsers`, `authRoles` | name | `authpb.User`, `authpb.Role` |
//! | `members`, `members_removed` | id in hexadecimal | JSON; `removed` |
//! | `cluster` | `clusterVersion` | text |
//!
//! Invariant: what is written is what is read: a round trip keeps every row that is known here.

mod read;
mod summary;
mod write;

use proto::authpb::{Role, User};
use proto::etcdserverpb::AlarmMember;

pub use read::{Change, contents, each_change};
pub use summary::{Summary, summary};
pub use write::write;

/// The names of buckets, and of the rows of `meta`.
pub mod names {
    /// The history of keys.
    pub const KEY: &str = "key";
    /// Numbers of the whole.
    pub const META: &str = "meta";
    /// Leases.
    pub const LEASE: &str = "lease";
    /// Alarms.
    pub const ALARM: &str = "alarm";
    /// The switch and the revision of users and roles.
    pub const AUTH: &str = "auth";
    /// Users.
    pub const AUTH_USERS: &str = "authUsers";
    /// Roles.
    pub const AUTH_ROLES: &str = "authRoles";
    /// Members.
    pub const MEMBERS: &str = "members";
    /// Members that left.
    pub const MEMBERS_REMOVED: &str = "members_removed";
    /// The cluster's version.
    pub const CLUSTER: &str = "cluster";

    pub(crate) const CONSISTENT_INDEX: &[u8] = b"consistent_index";
    pub(crate) const TERM: &[u8] = b"term";
    pub(crate) const CONF_STATE: &[u8] = b"confState";
    pub(crate) const SCHEDULED: &[u8] = b"scheduledCompactRev";
    pub(crate) const FINISHED: &[u8] = b"finishedCompactRev";
    pub(crate) const STORAGE_VERSION: &[u8] = b"storageVersion";
    pub(crate) const AUTH_ENABLED: &[u8] = b"authEnabled";
    pub(crate) const AUTH_REVISION: &[u8] = b"authRevision";
    pub(crate) const CLUSTER_VERSION: &[u8] = b"clusterVersion";
}

/// A lease as etcd stores it.
///
/// *Source*: etcd's `leasepb.Lease`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Lease {
    /// Its id.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// *Units*: seconds, as granted.
    #[prost(int64, tag = "2")]
    pub ttl_s: i64,
    /// *Units*: seconds left at the last checkpoint; 0: none, the full time counts.
    #[prost(int64, tag = "3")]
    pub remaining_ttl_s: i64,
}

/// A member as etcd stores it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Empty until it was started.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// Whether it only receives the log.
    pub is_learner: bool,
}

/// Everything but the history of keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// The index of the last applied entry.
    pub consistent_index: u64,
    /// Its term.
    pub term: u64,
    /// The revision that the history is compacted at, if it ever was.
    pub scheduled_compaction: Option<i64>,
    /// The compacted revision whose superseded rows are all gone.
    pub finished_compaction: Option<i64>,
    /// etcd's version of the layout, as `3.7.0`; empty before 3.6.
    pub storage_version: String,
    /// The cluster's version, as `3.7.0`.
    pub cluster_version: String,
    /// By rising id, read as unsigned.
    pub leases: Vec<Lease>,
    /// Active alarms.
    pub alarms: Vec<AlarmMember>,
    /// Whether requests need permissions.
    pub auth_enabled: bool,
    /// The revision of users and roles; 0: the row is missing.
    pub auth_revision: u64,
    /// By name.
    pub users: Vec<User>,
    /// By name.
    pub roles: Vec<Role>,
    /// By id, as hexadecimal text.
    pub members: Vec<Member>,
    /// Ids that will not be used again.
    pub removed_members: Vec<u64>,
}

impl Contents {
    /// The revision that reads below are refused at; `None`: never compacted.
    pub fn compacted(&self) -> Option<i64> {
        self.scheduled_compaction.max(self.finished_compaction)
    }
}
