//! Which path of the gateway is which RPC, as etcd maps them.
//!
//! Invariant: every RPC of the descriptors has a path, but RangeStream and gRPC health, which etcd
//! does not map either; a test holds this. Must not know: what is behind a path.

/// One path and its RPC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) path: &'static str,
    /// The full name.
    pub(crate) service: &'static str,
    pub(crate) method: &'static str,
}

const fn row(path: &'static str, service: &'static str, method: &'static str) -> Path {
    Path { path, service, method }
}

const KV: &str = "etcdserverpb.KV";
const WATCH: &str = "etcdserverpb.Watch";
const LEASE: &str = "etcdserverpb.Lease";
const CLUSTER: &str = "etcdserverpb.Cluster";
const MAINTENANCE: &str = "etcdserverpb.Maintenance";
const AUTH: &str = "etcdserverpb.Auth";
const LOCK: &str = "v3lockpb.Lock";
const ELECTION: &str = "v3electionpb.Election";

/// Every path.
pub(crate) const PATHS: &[Path] = &[
    row("/v3/kv/range", KV, "Range"),
    row("/v3/kv/put", KV, "Put"),
    row("/v3/kv/deleterange", KV, "DeleteRange"),
    row("/v3/kv/txn", KV, "Txn"),
    row("/v3/kv/compaction", KV, "Compact"),
    row("/v3/watch", WATCH, "Watch"),
    row("/v3/lease/grant", LEASE, "LeaseGrant"),
    row("/v3/lease/revoke", LEASE, "LeaseRevoke"),
    row("/v3/kv/lease/revoke", LEASE, "LeaseRevoke"),
    row("/v3/lease/keepalive", LEASE, "LeaseKeepAlive"),
    row("/v3/lease/timetolive", LEASE, "LeaseTimeToLive"),
    row("/v3/kv/lease/timetolive", LEASE, "LeaseTimeToLive"),
    row("/v3/lease/leases", LEASE, "LeaseLeases"),
    row("/v3/kv/lease/leases", LEASE, "LeaseLeases"),
    row("/v3/cluster/member/add", CLUSTER, "MemberAdd"),
    row("/v3/cluster/member/remove", CLUSTER, "MemberRemove"),
    row("/v3/cluster/member/update", CLUSTER, "MemberUpdate"),
    row("/v3/cluster/member/list", CLUSTER, "MemberList"),
    row("/v3/cluster/member/promote", CLUSTER, "MemberPromote"),
    row("/v3/maintenance/alarm", MAINTENANCE, "Alarm"),
    row("/v3/maintenance/status", MAINTENANCE, "Status"),
    row("/v3/maintenance/defragment", MAINTENANCE, "Defragment"),
    row("/v3/maintenance/hash", MAINTENANCE, "Hash"),
    row("/v3/maintenance/hashkv", MAINTENANCE, "HashKV"),
    row("/v3/maintenance/snapshot", MAINTENANCE, "Snapshot"),
    row("/v3/maintenance/transfer-leadership", MAINTENANCE, "MoveLeader"),
    row("/v3/maintenance/downgrade", MAINTENANCE, "Downgrade"),
    row("/v3/auth/enable", AUTH, "AuthEnable"),
    row("/v3/auth/disable", AUTH, "AuthDisable"),
    row("/v3/auth/status", AUTH, "AuthStatus"),
    row("/v3/auth/authenticate", AUTH, "Authenticate"),
    row("/v3/auth/user/add", AUTH, "UserAdd"),
    row("/v3/auth/user/get", AUTH, "UserGet"),
    row("/v3/auth/user/list", AUTH, "UserList"),
    row("/v3/auth/user/delete", AUTH, "UserDelete"),
    row("/v3/auth/user/changepw", AUTH, "UserChangePassword"),
    row("/v3/auth/user/grant", AUTH, "UserGrantRole"),
    row("/v3/auth/user/revoke", AUTH, "UserRevokeRole"),
    row("/v3/auth/role/add", AUTH, "RoleAdd"),
    row("/v3/auth/role/get", AUTH, "RoleGet"),
    row("/v3/auth/role/list", AUTH, "RoleList"),
    row("/v3/auth/role/delete", AUTH, "RoleDelete"),
    row("/v3/auth/role/grant", AUTH, "RoleGrantPermission"),
    row("/v3/auth/role/revoke", AUTH, "RoleRevokePermission"),
    row("/v3/lock/lock", LOCK, "Lock"),
    row("/v3/lock/unlock", LOCK, "Unlock"),
    row("/v3/election/campaign", ELECTION, "Campaign"),
    row("/v3/election/proclaim", ELECTION, "Proclaim"),
    row("/v3/election/leader", ELECTION, "Leader"),
    row("/v3/election/observe", ELECTION, "Observe"),
    row("/v3/election/resign", ELECTION, "Resign"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::methods::METHODS;
    use std::collections::BTreeSet;

    #[test]
    fn every_rpc_that_etcd_maps_has_a_path() {
        let mapped: BTreeSet<_> = PATHS.iter().map(|path| (path.service, path.method)).collect();
        let served: BTreeSet<_> = METHODS
            .iter()
            .map(|method| (method.service.name(), method.name))
            .filter(|(service, method)| service.contains("pb.") && *method != "RangeStream")
            .collect();
        assert_eq!(mapped, served);
        let distinct: BTreeSet<_> = PATHS.iter().map(|path| path.path).collect();
        assert_eq!((distinct.len(), PATHS.len()), (51, 51));
    }
}
