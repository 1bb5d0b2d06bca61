//! Every RPC that the client port knows, with the state of its implementation.
//!
//! Invariant: exactly the methods of etcd's services, of gRPC health and reflection; a test holds
//! this table against the `.proto` files and the page `docs/compatibility/etcd.md` against it.

/// The shape of a call, in the words of `grpc_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CallType {
    Unary,
    ServerStream,
    BidiStream,
}

impl CallType {
    /// As metrics name it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            CallType::Unary => "unary",
            CallType::ServerStream => "server_stream",
            CallType::BidiStream => "bidi_stream",
        }
    }
}

/// The service that a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Kv,
    Watch,
    Lease,
    Cluster,
    Maintenance,
    Auth,
    Lock,
    Election,
    Health,
    Reflection,
    ReflectionAlpha,
}

impl Service {
    /// The full gRPC name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Service::Kv => "etcdserverpb.KV",
            Service::Watch => "etcdserverpb.Watch",
            Service::Lease => "etcdserverpb.Lease",
            Service::Cluster => "etcdserverpb.Cluster",
            Service::Maintenance => "etcdserverpb.Maintenance",
            Service::Auth => "etcdserverpb.Auth",
            Service::Lock => "v3lockpb.Lock",
            Service::Election => "v3electionpb.Election",
            Service::Health => "grpc.health.v1.Health",
            Service::Reflection => "grpc.reflection.v1.ServerReflection",
            Service::ReflectionAlpha => "grpc.reflection.v1alpha.ServerReflection",
        }
    }
}

/// How far an RPC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It works; the test that shows it.
    Works(&'static str),
    /// It works in part; what is missing, and the test.
    #[expect(dead_code, reason = "every RPC works; the page knows how to say otherwise")]
    Partly(&'static str, &'static str),
}

/// One RPC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method {
    pub(crate) service: Service,
    pub(crate) name: &'static str,
    pub(crate) call_type: CallType,
    pub(crate) state: State,
}

impl Method {
    /// Whether a member without a vote serves it; of ranges, only those that ask nobody else.
    ///
    /// *Source*: etcd.
    pub(crate) fn is_served_by_learners(&self) -> bool {
        matches!(
            (self.service, self.name),
            (Service::Kv, "Range") | (Service::Maintenance, "Status" | "Snapshot")
        )
    }
}

use CallType::{BidiStream, ServerStream, Unary};
use State::{Partly, Works};

const fn row(service: Service, name: &'static str, call_type: CallType, state: State) -> Method {
    Method { service, name, call_type, state }
}

const REFLECTED: &str = "doors: services_describe_themselves";

/// Every RPC.
#[rustfmt::skip]
pub(crate) const METHODS: &[Method] = &[
    row(Service::Kv, "Range", Unary, Works("kv")),
    row(Service::Kv, "RangeStream", ServerStream, Works("kv: a_range_stream_merges_to_the_range")),
    row(Service::Kv, "Put", Unary, Works("kv")),
    row(Service::Kv, "DeleteRange", Unary, Works("kv")),
    row(Service::Kv, "Txn", Unary, Works("kv")),
    row(Service::Kv, "Compact", Unary, Works("kv: compaction_hides_old_revisions")),
    row(Service::Watch, "Watch", BidiStream, Works("watch")),
    row(Service::Lease, "LeaseGrant", Unary, Works("lease")),
    row(Service::Lease, "LeaseRevoke", Unary, Works("lease")),
    row(Service::Lease, "LeaseKeepAlive", BidiStream, Works("lease")),
    row(Service::Lease, "LeaseTimeToLive", Unary, Works("lease")),
    row(Service::Lease, "LeaseLeases", Unary, Works("lease")),
    row(Service::Cluster, "MemberAdd", Unary, Works("members")),
    row(Service::Cluster, "MemberRemove", Unary, Works("members")),
    row(Service::Cluster, "MemberUpdate", Unary, Works("members")),
    row(Service::Cluster, "MemberList", Unary,
        Works("maintenance: the_member_list_names_this_member")),
    row(Service::Cluster, "MemberPromote", Unary, Works("members")),
    row(Service::Maintenance, "Alarm", Unary,
        Works("maintenance: alarms_are_set_listed_and_cleared")),
    row(Service::Maintenance, "Status", Unary,
        Works("maintenance: status_tells_what_clients_parse")),
    row(Service::Maintenance, "Defragment", Unary, Works("maintenance: defragment_has_no_header")),
    row(Service::Maintenance, "Hash", Unary,
        Works("snapshot: members_answer_the_same_hash")),
    row(Service::Maintenance, "HashKV", Unary, Works("maintenance: hashes_answer")),
    row(Service::Maintenance, "Snapshot", ServerStream,
        Works("snapshot; harness: `snapshots`, with the real etcdutl and etcd")),
    row(Service::Maintenance, "MoveLeader", Unary,
        Works("maintenance: a_lone_leader_cannot_move_its_office")),
    row(Service::Maintenance, "Downgrade", Unary,
        Works("members: a_downgrade_is_validated_noted_and_cancelled")),
    row(Service::Auth, "AuthEnable", Unary, Works("auth")),
    row(Service::Auth, "AuthDisable", Unary, Works("auth")),
    row(Service::Auth, "AuthStatus", Unary, Works("auth: the_switch_is_told_to_anybody")),
    row(Service::Auth, "Authenticate", Unary, Works("auth: a_password_gives_a_token")),
    row(Service::Auth, "UserAdd", Unary, Works("auth")),
    row(Service::Auth, "UserGet", Unary, Works("auth")),
    row(Service::Auth, "UserList", Unary, Works("auth")),
    row(Service::Auth, "UserDelete", Unary, Works("auth")),
    row(Service::Auth, "UserChangePassword", Unary, Works("auth")),
    row(Service::Auth, "UserGrantRole", Unary, Works("auth")),
    row(Service::Auth, "UserRevokeRole", Unary, Works("auth")),
    row(Service::Auth, "RoleAdd", Unary, Works("auth")),
    row(Service::Auth, "RoleGet", Unary, Works("auth")),
    row(Service::Auth, "RoleList", Unary, Works("auth")),
    row(Service::Auth, "RoleDelete", Unary, Works("auth")),
    row(Service::Auth, "RoleGrantPermission", Unary, Works("auth")),
    row(Service::Auth, "RoleRevokePermission", Unary, Works("auth")),
    row(Service::Lock, "Lock", Unary,
        Works("coordination: a_lock_is_held_by_one_at_a_time")),
    row(Service::Lock, "Unlock", Unary,
        Works("coordination: a_lock_is_held_by_one_at_a_time")),
    row(Service::Election, "Campaign", Unary,
        Works("coordination: a_leader_says_its_word_and_resigns")),
    row(Service::Election, "Proclaim", Unary,
        Works("coordination: a_leader_says_its_word_and_resigns")),
    row(Service::Election, "Leader", Unary,
        Works("coordination: a_leader_says_its_word_and_resigns")),
    row(Service::Election, "Observe", ServerStream,
        Works("coordination: an_observer_hears_each_leader_and_each_word")),
    row(Service::Election, "Resign", Unary,
        Works("coordination: a_leader_says_its_word_and_resigns")),
    row(Service::Health, "Check", Unary, Works("doors: health_is_told_over_grpc")),
    row(Service::Health, "Watch", ServerStream, Works("doors: health_is_told_over_grpc")),
    row(Service::Reflection, "ServerReflectionInfo", BidiStream, Works(REFLECTED)),
    row(Service::ReflectionAlpha, "ServerReflectionInfo", BidiStream, Works(REFLECTED)),
];

/// The page `docs/compatibility/etcd.md`.
pub fn etcd_page() -> String {
    let mut page = String::from(
        "# RPCs of etcd 3.7 in Engram\n\n\
         Generated from the table in `server/src/rpc/methods.rs`; a test compares them and\n\
         another holds the table against the service descriptors. None is\n\
         missing. Tests are named by their module in `server/tests/services/`.\n\n\
         | service | RPC | state | what is missing | shown by |\n|---|---|---|---|---|\n",
    );
    for method in METHODS {
        let (state, missing, test) = match method.state {
            Works(test) => ("works", "", test),
            Partly(missing, test) => ("partly", missing, test),
        };
        let service = method.service.name();
        let name = method.name;
        page.push_str(&format!("| {service} | {name} | {state} | {missing} | {test} |\n"));
    }
    page.push_str(&crate::http::tables());
    page.push_str(&crate::metrics::tables());
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_has_exactly_the_rpcs_of_the_descriptors() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/messages/proto");
        let names = ["kv", "watch", "lease", "cluster", "maintenance", "auth", "lock", "election"];
        let files: Vec<String> = names.iter().map(|name| format!("etcd/{name}.proto")).collect();
        let set = protox::compile(&files, [root]).expect("our own files compile");
        let mut described = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                let full = format!("{}.{}", file.package(), service.name());
                for method in &service.method {
                    let call_type = match (method.client_streaming(), method.server_streaming()) {
                        (false, false) => "unary",
                        (false, true) => "server_stream",
                        _ => "bidi_stream",
                    };
                    described.insert((full.clone(), method.name().to_owned(), call_type));
                }
            }
        }
        let table: BTreeSet<_> = METHODS
            .iter()
            // gRPC's own services are described by their own crates.
            .filter(|method| !method.service.name().starts_with("grpc."))
            .map(|m| (m.service.name().to_owned(), m.name.to_owned(), m.call_type.label()))
            .collect();
        assert_eq!(table, described);
        assert_eq!(table.len(), 49);
    }

    #[test]
    fn the_page_of_rpcs_is_generated_from_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compatibility/etcd.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == etcd_page(),
            "write this into docs/compatibility/etcd.md:\n{}",
            etcd_page()
        );
    }
}
