//! etcd's answers as etcdctl's JSON documents.
//!
//! Compat: two shapes are mixed as they are in etcdctl 3.7: messages under their proto names, and
//! the client library's own structs, which embed the header (leases) or start with capitals
//! (watch).

use proto::authpb::Permission;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{
    AlarmMember, DeleteRangeResponse, HashKvResponse, LeaseTimeToLiveResponse, Member, PutResponse,
    RangeResponse, ResponseHeader, ResponseOp, StatusResponse, TxnResponse, WatchResponse,
};
use proto::mvccpb::{Event, KeyValue};

use super::{Doc, Object};

/// A header's fields.
pub(crate) fn header_fields(header: Option<&ResponseHeader>) -> Object {
    let header = header.copied().unwrap_or_default();
    Object::new()
        .some("cluster_id", header.cluster_id)
        .some("member_id", header.member_id)
        .some("revision", header.revision)
        .some("raft_term", header.raft_term)
}

/// An answer that begins with a header, like nearly all.
pub(crate) fn headed(header: Option<&ResponseHeader>) -> Object {
    match header {
        Some(header) => Object::new().with("header", header_fields(Some(header))),
        None => Object::new(),
    }
}

/// A key and its value.
pub(crate) fn key_value(kv: &KeyValue) -> Doc {
    Object::new()
        .some("key", Doc::bytes(&kv.key))
        .some("create_revision", kv.create_revision)
        .some("mod_revision", kv.mod_revision)
        .some("version", kv.version)
        .some("value", Doc::bytes(&kv.value))
        .some("lease", kv.lease)
        .into()
}

/// Get.
pub(crate) fn range(answer: &RangeResponse) -> Doc {
    headed(answer.header.as_ref())
        .some("kvs", Doc::list(&answer.kvs, key_value))
        .some("more", answer.more)
        .some("count", answer.count)
        .into()
}

/// Put.
pub(crate) fn put(answer: &PutResponse) -> Doc {
    headed(answer.header.as_ref()).some("prev_kv", answer.prev_kv.as_ref().map(key_value)).into()
}

/// Delete.
pub(crate) fn delete(answer: &DeleteRangeResponse) -> Doc {
    headed(answer.header.as_ref())
        .some("deleted", answer.deleted)
        .some("prev_kvs", Doc::list(&answer.prev_kvs, key_value))
        .into()
}

/// A transaction.
pub(crate) fn txn(answer: &TxnResponse) -> Doc {
    headed(answer.header.as_ref())
        .some("succeeded", answer.succeeded)
        .some("responses", Doc::list(&answer.responses, response_op))
        .into()
}

fn response_op(op: &ResponseOp) -> Doc {
    let inner = match &op.response {
        Some(Response::ResponseRange(answer)) => {
            Object::new().with("response_range", range(answer))
        }
        Some(Response::ResponsePut(answer)) => Object::new().with("response_put", put(answer)),
        Some(Response::ResponseDeleteRange(answer)) => {
            Object::new().with("response_delete_range", delete(answer))
        }
        Some(Response::ResponseTxn(answer)) => Object::new().with("response_txn", txn(answer)),
        None => Object::new(),
    };
    Object::new().with("Response", inner).into()
}

/// Events of a watch.
pub(crate) fn watch(answer: &WatchResponse) -> Doc {
    let events =
        if answer.events.is_empty() { Doc::Null } else { Doc::list(&answer.events, event) };
    Object::new()
        .with("Header", header_fields(answer.header.as_ref()))
        .with("Events", events)
        .with("CompactRevision", answer.compact_revision)
        .with("Canceled", answer.canceled)
        .with("Created", answer.created)
        .with("CancelReason", answer.cancel_reason.as_str())
        .into()
}

fn event(event: &Event) -> Doc {
    Object::new()
        .some("type", event.r#type)
        .some("kv", event.kv.as_ref().map(key_value))
        .some("prev_kv", event.prev_kv.as_ref().map(key_value))
        .into()
}

/// A member; with `hex`, its id as the other commands take it.
pub(crate) fn member(member: &Member, hex: bool) -> Doc {
    let id = if hex { Doc::from(format!("{:x}", member.id)) } else { Doc::from(member.id) };
    Object::new()
        .some("ID", id)
        .some("name", member.name.as_str())
        .some("peerURLs", member.peer_urls.as_slice())
        .some("clientURLs", member.client_urls.as_slice())
        .some("isLearner", member.is_learner)
        .into()
}

/// An answer about members.
pub(crate) fn members(
    header: Option<&ResponseHeader>,
    added: Option<&Member>,
    all: &[Member],
    hex: bool,
) -> Doc {
    let head = match header {
        Some(header) if hex => Object::new().with(
            "header",
            Object::new()
                .with("cluster_id", format!("{:x}", header.cluster_id))
                .with("member_id", format!("{:x}", header.member_id))
                .some("revision", header.revision)
                .some("raft_term", header.raft_term),
        ),
        header => headed(header),
    };
    head.some("member", added.map(|added| member(added, hex)))
        .some("members", Doc::list(all, |one| member(one, hex)))
        .into()
}

/// The status of a member.
pub(crate) fn status(answer: &StatusResponse) -> Doc {
    let downgrade = answer.downgrade_info.as_ref().map(|info| {
        Object::new()
            .some("enabled", info.enabled)
            .some("targetVersion", info.target_version.as_str())
    });
    headed(answer.header.as_ref())
        .some("version", answer.version.as_str())
        .some("dbSize", answer.db_size)
        .some("leader", answer.leader)
        .some("raftIndex", answer.raft_index)
        .some("raftTerm", answer.raft_term)
        .some("raftAppliedIndex", answer.raft_applied_index)
        .some("errors", answer.errors.as_slice())
        .some("dbSizeInUse", answer.db_size_in_use)
        .some("isLearner", answer.is_learner)
        .some("storageVersion", answer.storage_version.as_str())
        .some("dbSizeQuota", answer.db_size_quota)
        .some("downgradeInfo", downgrade)
        .into()
}

/// The hash of a member's history.
pub(crate) fn hash_kv(answer: &HashKvResponse) -> Doc {
    headed(answer.header.as_ref())
        .some("hash", answer.hash)
        .some("compact_revision", answer.compact_revision)
        .some("hash_revision", answer.hash_revision)
        .into()
}

/// Alarms.
pub(crate) fn alarms(header: Option<&ResponseHeader>, alarms: &[AlarmMember]) -> Doc {
    let one = |alarm: &AlarmMember| {
        Object::new().some("memberID", alarm.member_id).some("alarm", alarm.alarm).into()
    };
    headed(header).some("alarms", Doc::list(alarms, one)).into()
}

/// A role's permissions.
pub(crate) fn permissions(header: Option<&ResponseHeader>, all: &[Permission]) -> Doc {
    let one = |permission: &Permission| {
        Object::new()
            .some("permType", permission.perm_type)
            .some("key", Doc::bytes(&permission.key))
            .some("range_end", Doc::bytes(&permission.range_end))
            .into()
    };
    headed(header).some("perm", Doc::list(all, one)).into()
}

/// How long a lease has left.
pub(crate) fn time_to_live(answer: &LeaseTimeToLiveResponse) -> Doc {
    let keys = match answer.keys.is_empty() {
        true => Doc::Null,
        false => Doc::list(&answer.keys, |key| Doc::bytes(key)),
    };
    header_fields(answer.header.as_ref())
        .with("id", answer.id)
        .with("ttl", answer.ttl)
        .with("granted-ttl", answer.granted_ttl)
        .with("keys", keys)
        .into()
}
