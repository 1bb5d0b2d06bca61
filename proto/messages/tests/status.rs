//! Every row of etcd's error table: the code's number and the exact text.
//!
//! The table here is written apart from the one under test, as pairs of what a client sees.

use std::collections::HashSet;

use proto::status::EtcdError::{self, *};

/// (error, gRPC's number, text after the common prefix)
const EXPECTED: &[(EtcdError, i32, &str)] = &[
    (Canceled, 1, "request canceled"),
    (WatchCanceled, 1, "watch canceled"),
    (AuthFailed, 3, "authentication failed, invalid user ID or password"),
    (AuthOldRevision, 3, "revision of auth store is old"),
    (DuplicateKey, 3, "duplicate key given in txn request"),
    (EmptyKey, 3, "key is not provided"),
    (InvalidAuthMgmt, 3, "invalid auth management"),
    (InvalidClientApiVersion, 3, "invalid client api version"),
    (InvalidDowngradeTargetVersion, 3, "invalid downgrade target version"),
    (InvalidSortOption, 3, "invalid sort option"),
    (KeyNotFound, 3, "key not found"),
    (LeaseProvided, 3, "lease is provided"),
    (MemberBadUrls, 3, "given member URLs are invalid"),
    (PermissionNotGiven, 3, "permission not given"),
    (RequestTooLarge, 3, "request is too large"),
    (RoleEmpty, 3, "role name is empty"),
    (TooManyOps, 3, "too many operations in txn request"),
    (UserEmpty, 3, "user name is empty"),
    (ValueProvided, 3, "value is provided"),
    (WrongDowngradeVersionFormat, 3, "wrong downgrade target version format"),
    (DeadlineExceeded, 4, "context deadline exceeded"),
    (LeaseNotFound, 5, "requested lease not found"),
    (MemberNotFound, 5, "member not found"),
    (PermissionDenied, 7, "permission denied"),
    (NoSpace, 8, "mvcc: database space exceeded"),
    (TooManyRequests, 8, "too many requests"),
    (AuthNotEnabled, 9, "authentication is not enabled"),
    (BadLeaderTransferee, 9, "bad leader transferee"),
    (ClusterIdMismatch, 9, "cluster ID mismatch"),
    (ClusterVersionUnavailable, 9, "cluster version not found during downgrade"),
    (DowngradeInProcess, 9, "cluster has a downgrade job in progress"),
    (LearnerNotReady, 9, "can only promote a learner member which is in sync with leader"),
    (LeaseExists, 9, "lease already exists"),
    (MemberExists, 9, "member ID already exist"),
    (MemberNotEnoughStarted, 9, "re-configuration failed due to not enough started members"),
    (MemberNotLearner, 9, "can only promote a learner member"),
    (NoInflightDowngrade, 9, "no inflight downgrade job"),
    (NotCapable, 9, "not capable"),
    (NotLeader, 9, "not leader"),
    (NotSupportedForLearner, 9, "rpc not supported for learner"),
    (PeerUrlExists, 9, "Peer URLs already exists"),
    (PermissionNotGranted, 9, "permission is not granted to the role"),
    (RoleAlreadyExists, 9, "role name already exists"),
    (RoleNotFound, 9, "role name not found"),
    (RoleNotGranted, 9, "role is not granted to the user"),
    (RootRoleNotExist, 9, "root user does not have root role"),
    (RootUserNotExist, 9, "root user does not exist"),
    (TooManyLearners, 9, "too many learner members in cluster"),
    (UserAlreadyExists, 9, "user name already exists"),
    (UserNotFound, 9, "user name not found"),
    (Compacted, 11, "mvcc: required revision has been compacted"),
    (FutureRevision, 11, "mvcc: required revision is a future revision"),
    (LeaseTtlTooLarge, 11, "too large lease TTL"),
    (LeaderChanged, 14, "leader changed"),
    (NoLeader, 14, "no leader"),
    (Stopped, 14, "server stopped"),
    (Timeout, 14, "request timed out"),
    (TimeoutDueToConnectionLost, 14, "request timed out, possibly due to connection lost"),
    (TimeoutDueToLeaderFail, 14, "request timed out, possibly due to previous leader failure"),
    (TimeoutWaitAppliedIndex, 14, "request timed out, waiting for the applied index took too long"),
    (Unhealthy, 14, "unhealthy cluster"),
    (Corrupt, 15, "corrupt cluster"),
    (InvalidAuthToken, 16, "invalid auth token"),
];

#[test]
fn each_row_has_its_code_and_text() {
    for (error, code, text) in EXPECTED {
        assert_eq!(error.code() as i32, *code, "{error:?}");
        assert_eq!(error.message(), format!("etcdserver: {text}"), "{error:?}");
        assert_eq!(error.to_string(), error.message());
    }
}

#[test]
fn no_row_is_missing_on_either_side() {
    let expected: HashSet<EtcdError> = EXPECTED.iter().map(|row| row.0).collect();
    let all: HashSet<EtcdError> = EtcdError::ALL.iter().copied().collect();
    assert_eq!(expected, all);
    assert_eq!(EXPECTED.len(), 63);
    assert_eq!(EtcdError::ALL.len(), 63);
}

#[test]
fn texts_are_unique_and_lead_back_to_their_error() {
    let texts: HashSet<&str> = EtcdError::ALL.iter().map(|error| error.message()).collect();
    assert_eq!(texts.len(), EtcdError::ALL.len());
    for error in EtcdError::ALL {
        assert_eq!(EtcdError::from_message(error.message()), Some(*error));
    }
}

#[test]
fn a_text_that_is_not_exact_is_no_error_of_the_table() {
    for text in ["", "key not found", "etcdserver: ", "etcdserver: Key not found", "no leader "] {
        assert_eq!(EtcdError::from_message(text), None, "{text:?}");
    }
}

#[test]
fn the_reason_of_a_compacted_watch_is_the_compacted_error() {
    assert_eq!(proto::status::WATCH_COMPACTED, Compacted.message());
}
