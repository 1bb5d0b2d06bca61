//! The rows of the error table.
//!
//! Invariants: see the module above; the tests hold a second, independently written copy.
//!
//! Must not know: where an error arises.

use super::Code;

/// Writes the enum and its three look-ups from one list of rows.
macro_rules! table {
    ($($(#[doc = $doc:literal])+ $name:ident, $code:ident, $message:literal;)+) => {
        /// An error of etcd's API.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum EtcdError {
            $($(#[doc = $doc])+ $name,)+
        }

        impl EtcdError {
            /// Every error, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The gRPC code.
            #[must_use]
            pub const fn code(self) -> Code {
                match self {
                    $(Self::$name => Code::$code,)+
                }
            }

            /// The exact text by which clients know the error.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("etcdserver: ", $message),)+
                }
            }

            /// The error with this exact text, if there is one.
            #[must_use]
            pub fn from_message(message: &str) -> Option<Self> {
                match message.strip_prefix("etcdserver: ")? {
                    $($message => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

table! {
    /// A key is needed and none was given.
    EmptyKey, InvalidArgument, "key is not provided";
    /// The key that `ignore_value` or `ignore_lease` refers to does not exist, or an operation is
    /// empty.
    KeyNotFound, InvalidArgument, "key not found";
    /// `ignore_value` together with a value.
    ValueProvided, InvalidArgument, "value is provided";
    /// `ignore_lease` together with a lease.
    LeaseProvided, InvalidArgument, "lease is provided";
    /// More operations in a transaction than the member allows.
    TooManyOps, InvalidArgument, "too many operations in txn request";
    /// One branch of a transaction writes a key twice.
    DuplicateKey, InvalidArgument, "duplicate key given in txn request";
    /// The API version in the metadata cannot be read.
    InvalidClientApiVersion, InvalidArgument, "invalid client api version";
    /// An unknown sort order or target.
    InvalidSortOption, InvalidArgument, "invalid sort option";
    /// The asked revision is older than the compacted one.
    Compacted, OutOfRange, "mvcc: required revision has been compacted";
    /// The asked revision is newer than the current one.
    FutureRevision, OutOfRange, "mvcc: required revision is a future revision";
    /// The space quota is used up.
    NoSpace, ResourceExhausted, "mvcc: database space exceeded";
    /// No such lease.
    LeaseNotFound, NotFound, "requested lease not found";
    /// The asked lease id is taken.
    LeaseExists, FailedPrecondition, "lease already exists";
    /// The asked time to live is above 9,000,000,000 s.
    LeaseTtlTooLarge, OutOfRange, "too large lease TTL";
    /// The watch was ended by the server.
    WatchCanceled, Cancelled, "watch canceled";
    /// The member id is taken.
    MemberExists, FailedPrecondition, "member ID already exist";
    /// A peer URL belongs to another member.
    PeerUrlExists, FailedPrecondition, "Peer URLs already exists";
    /// The change would leave too few started members.
    MemberNotEnoughStarted, FailedPrecondition,
        "re-configuration failed due to not enough started members";
    /// A peer URL cannot be read.
    MemberBadUrls, InvalidArgument, "given member URLs are invalid";
    /// No such member.
    MemberNotFound, NotFound, "member not found";
    /// Only a learner can be promoted.
    MemberNotLearner, FailedPrecondition, "can only promote a learner member";
    /// The learner lags too far behind to be promoted.
    LearnerNotReady, FailedPrecondition,
        "can only promote a learner member which is in sync with leader";
    /// No further learner is allowed.
    TooManyLearners, FailedPrecondition, "too many learner members in cluster";
    /// The request is meant for another cluster.
    ClusterIdMismatch, FailedPrecondition, "cluster ID mismatch";
    /// The request exceeds the size limit.
    RequestTooLarge, InvalidArgument, "request is too large";
    /// Too much waits to be committed or applied; a later retry helps.
    TooManyRequests, ResourceExhausted, "too many requests";
    /// Authentication needs the user `root`.
    RootUserNotExist, FailedPrecondition, "root user does not exist";
    /// Authentication needs the user `root` to have the role `root`.
    RootRoleNotExist, FailedPrecondition, "root user does not have root role";
    /// The user exists.
    UserAlreadyExists, FailedPrecondition, "user name already exists";
    /// A user needs a name.
    UserEmpty, InvalidArgument, "user name is empty";
    /// No such user.
    UserNotFound, FailedPrecondition, "user name not found";
    /// The role exists.
    RoleAlreadyExists, FailedPrecondition, "role name already exists";
    /// No such role.
    RoleNotFound, FailedPrecondition, "role name not found";
    /// A role needs a name.
    RoleEmpty, InvalidArgument, "role name is empty";
    /// Wrong user or password.
    AuthFailed, InvalidArgument, "authentication failed, invalid user ID or password";
    /// A grant needs a permission.
    PermissionNotGiven, InvalidArgument, "permission not given";
    /// The user may not do this.
    PermissionDenied, PermissionDenied, "permission denied";
    /// The user does not have the role.
    RoleNotGranted, FailedPrecondition, "role is not granted to the user";
    /// The role does not have the permission.
    PermissionNotGranted, FailedPrecondition, "permission is not granted to the role";
    /// Authentication is off.
    AuthNotEnabled, FailedPrecondition, "authentication is not enabled";
    /// The token is unknown or has expired; authenticate again.
    InvalidAuthToken, Unauthenticated, "invalid auth token";
    /// The change would lock everybody out.
    InvalidAuthMgmt, InvalidArgument, "invalid auth management";
    /// Users or roles changed since the token was given; authenticate again.
    AuthOldRevision, InvalidArgument, "revision of auth store is old";
    /// No leader is known; a retry helps.
    NoLeader, Unavailable, "no leader";
    /// The member does not lead.
    NotLeader, FailedPrecondition, "not leader";
    /// The leader changed while the request was under way.
    LeaderChanged, Unavailable, "leader changed";
    /// The cluster version does not allow it yet.
    NotCapable, FailedPrecondition, "not capable";
    /// The member is going away.
    Stopped, Unavailable, "server stopped";
    /// The outcome is unknown: time ran out.
    Timeout, Unavailable, "request timed out";
    /// The outcome is unknown: time ran out, probably because the leader was lost.
    TimeoutDueToLeaderFail, Unavailable,
        "request timed out, possibly due to previous leader failure";
    /// The outcome is unknown: time ran out, probably because of the network.
    TimeoutDueToConnectionLost, Unavailable, "request timed out, possibly due to connection lost";
    /// This member applies too slowly to answer in time.
    TimeoutWaitAppliedIndex, Unavailable,
        "request timed out, waiting for the applied index took too long";
    /// A quorum was not connected long enough for a membership change.
    Unhealthy, Unavailable, "unhealthy cluster";
    /// A member holds damaged data; writes are refused.
    Corrupt, DataLoss, "corrupt cluster";
    /// A learner does not serve this.
    NotSupportedForLearner, FailedPrecondition, "rpc not supported for learner";
    /// The named member cannot become the leader.
    BadLeaderTransferee, FailedPrecondition, "bad leader transferee";
    /// The target version cannot be read.
    WrongDowngradeVersionFormat, InvalidArgument, "wrong downgrade target version format";
    /// The target is not exactly one minor version lower.
    InvalidDowngradeTargetVersion, InvalidArgument, "invalid downgrade target version";
    /// The cluster version is not known yet.
    ClusterVersionUnavailable, FailedPrecondition, "cluster version not found during downgrade";
    /// A downgrade is under way.
    DowngradeInProcess, FailedPrecondition, "cluster has a downgrade job in progress";
    /// There is no downgrade to cancel.
    NoInflightDowngrade, FailedPrecondition, "no inflight downgrade job";
    /// The caller gave up.
    Canceled, Cancelled, "request canceled";
    /// The caller's deadline passed.
    DeadlineExceeded, DeadlineExceeded, "context deadline exceeded";
}

impl std::fmt::Display for EtcdError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for EtcdError {}
