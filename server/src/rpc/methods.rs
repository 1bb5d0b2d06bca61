//! Every RPC that the client port knows, with the state of its implementation.
//!
//! Invariant: exactly the methods of etcd's services, of gRPC health and reflection; a test holds
//! this table against the `.proto` files, and `compatibility` makes the page of it.

use crate::compatibility::{Standing, better, partly, same};

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

/// One RPC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method {
    pub(crate) service: Service,
    pub(crate) name: &'static str,
    pub(crate) call_type: CallType,
    /// How far it is, and what shows it.
    pub(crate) standing: Standing,
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

const fn row(
    service: Service,
    name: &'static str,
    call_type: CallType,
    standing: Standing,
) -> Method {
    Method { service, name, call_type, standing }
}

/// Calls with a request and an answer.
const fn unary(service: Service, name: &'static str, standing: Standing) -> Method {
    row(service, name, Unary, standing)
}

const DIFF: &str = "suite diff";
const AUTH: &str = "suite auth";
const GATEWAY: &str = "suite gateway";
const ETCDCTL: &str = "suite etcdctl";
const SNAPSHOTS: &str = "suite snapshots";
const DRILLS: &str = "suite drills";
const BAD_INPUT: &str = "suite bad-input";
const REFLECTED: &str = "services/doors::services_describe_themselves";
const HEALTHY: &str = "services/doors::health_is_told_over_grpc";
const LOCKED: &str = "services/coordination::a_lock_is_held_by_one_at_a_time";
const LED: &str = "services/coordination::a_leader_says_its_word_and_resigns";
const LEARNED: &str =
    "services/members::a_learner_joins_through_a_follower_serves_little_and_is_promoted";
const REFUSED: &str = "services/members::refusals_have_etcds_words_and_codes";

/// Every RPC. The first proof is the strongest.
#[rustfmt::skip]
pub(crate) const METHODS: &[Method] = &[
    unary(Service::Kv, "Range", same(&[DIFF, GATEWAY, ETCDCTL, AUTH])),
    row(Service::Kv, "RangeStream", ServerStream, better(
        "sort order `NONE` on another target than the key is refused as every other sort is, so \
         that the client asks for a Range; etcd streams it in the order of keys",
        &[DIFF, AUTH, "services/kv::a_range_stream_merges_to_the_range"])),
    unary(Service::Kv, "Put", same(&[DIFF, GATEWAY, ETCDCTL, AUTH])),
    unary(Service::Kv, "DeleteRange", same(&[DIFF, GATEWAY, ETCDCTL, AUTH])),
    unary(Service::Kv, "Txn", partly(
        "nesting ends at 32 levels; better: a put that keeps what the same transaction deleted \
         does not end the member",
        &[DIFF, GATEWAY, ETCDCTL, AUTH])),
    unary(Service::Kv, "Compact",
        same(&[DIFF, GATEWAY, ETCDCTL, "services/kv::compaction_hides_old_revisions"])),
    row(Service::Watch, "Watch", BidiStream, better(
        "ends within a second when its user may not read any more",
        &[DIFF, GATEWAY, ETCDCTL,
          "services/watch::requests_on_one_stream_are_answered_in_their_order",
          "services/auth_advisories::a_watch_ends_within_a_second_of_its_right"])),
    unary(Service::Lease, "LeaseGrant", same(&[DIFF, GATEWAY, ETCDCTL, AUTH])),
    unary(Service::Lease, "LeaseRevoke", same(&[DIFF, GATEWAY, ETCDCTL, AUTH])),
    row(Service::Lease, "LeaseKeepAlive", BidiStream, same(&[DIFF, GATEWAY, ETCDCTL, AUTH])),
    unary(Service::Lease, "LeaseTimeToLive", better(
        "the time that is left survives elections and restarts; etcd's does when a gate is on",
        &[DIFF, GATEWAY, ETCDCTL, AUTH,
          "services/lease::a_new_leader_of_three_goes_on_with_the_time_that_was_left"])),
    unary(Service::Lease, "LeaseLeases", same(&[DIFF, GATEWAY, ETCDCTL, AUTH])),
    unary(Service::Cluster, "MemberAdd", same(&[LEARNED, REFUSED, DRILLS, ETCDCTL])),
    unary(Service::Cluster, "MemberRemove", same(&[
        "services/members::a_leader_that_is_removed_hands_over_first_and_its_name_is_forgotten",
        "services/members::a_follower_removes_itself_and_hears_of_it", DRILLS, ETCDCTL])),
    unary(Service::Cluster, "MemberUpdate", better(
        "peer URLs that cannot be read, or none, are refused",
        &[REFUSED, ETCDCTL, "suite ctl"])),
    unary(Service::Cluster, "MemberList",
        same(&[ETCDCTL, "services/maintenance::the_member_list_names_this_member", LEARNED])),
    unary(Service::Cluster, "MemberPromote", same(&[LEARNED, REFUSED, DRILLS, ETCDCTL])),
    unary(Service::Maintenance, "Alarm", better(
        "CORRUPT is raised within an election timeout, by comparing all the time",
        &["services/maintenance::alarms_are_set_listed_and_cleared", AUTH, GATEWAY, ETCDCTL,
          "services/corruption::the_member_that_differs_is_named_and_writes_are_refused_until_it_is_cleared"])),
    unary(Service::Maintenance, "Status",
        same(&[ETCDCTL, "services/maintenance::status_tells_what_clients_parse"])),
    unary(Service::Maintenance, "Defragment", better(
        "reads and writes go on meanwhile",
        &[GATEWAY, ETCDCTL, "services/maintenance::defragment_has_no_header"])),
    unary(Service::Maintenance, "Hash", better(
        "equal on members with the same last entry; etcd's covers its whole file",
        &["services/snapshot::members_answer_the_same_hash"])),
    unary(Service::Maintenance, "HashKV", same(&[DIFF, GATEWAY, ETCDCTL, AUTH])),
    row(Service::Maintenance, "Snapshot", ServerStream,
        same(&[SNAPSHOTS, ETCDCTL, "services/snapshot::a_snapshot_is_a_database_with_all_that_is_kept"])),
    unary(Service::Maintenance, "MoveLeader", same(&[
        "services/maintenance::leadership_moves_to_the_named_member",
        "services/maintenance::a_lone_leader_cannot_move_its_office", DRILLS, ETCDCTL])),
    unary(Service::Maintenance, "Downgrade", partly(
        "`ENABLE` is noted and shown by Status; versions stay, since the files are not etcd's. \
         The way back to etcd is a snapshot",
        &["services/members::a_downgrade_is_validated_noted_and_cancelled", ETCDCTL])),
    unary(Service::Auth, "AuthEnable", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "AuthDisable", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "AuthStatus",
        same(&[AUTH, ETCDCTL, GATEWAY, "services/auth::the_switch_is_told_to_anybody"])),
    unary(Service::Auth, "Authenticate", better(
        "an unknown user takes as long as a wrong password",
        &[AUTH, ETCDCTL, GATEWAY, "services/auth::a_password_gives_a_token"])),
    unary(Service::Auth, "UserAdd", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "UserGet", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "UserList", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "UserDelete", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "UserChangePassword", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "UserGrantRole", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "UserRevokeRole", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "RoleAdd", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "RoleGet", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "RoleList", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "RoleDelete", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "RoleGrantPermission", same(&[AUTH, ETCDCTL])),
    unary(Service::Auth, "RoleRevokePermission", same(&[AUTH, ETCDCTL])),
    unary(Service::Lock, "Lock", same(&[LOCKED,
        "services/coordination::the_end_of_a_lease_gives_the_lock_to_the_next"])),
    unary(Service::Lock, "Unlock", same(&[LOCKED, GATEWAY])),
    unary(Service::Election, "Campaign", same(&[LED])),
    unary(Service::Election, "Proclaim", same(&[LED])),
    unary(Service::Election, "Leader", same(&[LED, GATEWAY])),
    row(Service::Election, "Observe", ServerStream,
        same(&["services/coordination::an_observer_hears_each_leader_and_each_word"])),
    unary(Service::Election, "Resign", same(&[LED])),
    unary(Service::Health, "Check", same(&[HEALTHY, GATEWAY, BAD_INPUT])),
    unary(Service::Health, "List", same(&[HEALTHY, GATEWAY])),
    row(Service::Health, "Watch", ServerStream, same(&[HEALTHY, BAD_INPUT])),
    row(Service::Reflection, "ServerReflectionInfo", BidiStream,
        better("etcd has none", &[REFLECTED])),
    row(Service::ReflectionAlpha, "ServerReflectionInfo", BidiStream,
        better("etcd has none", &[REFLECTED])),
];

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
}
