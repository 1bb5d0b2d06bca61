//! The fields that need a word of their own: another state or another proof than their RPC.
//!
//! Invariant: each row names fields that there are, and no field is named twice; tests hold it.

use super::{Standing, better, noted, partly, same};

/// Fields of one message.
pub(super) struct Row {
    pub(super) message: &'static str,
    pub(super) fields: &'static [&'static str],
    pub(super) standing: Standing,
}

const fn row(message: &'static str, fields: &'static [&'static str], standing: Standing) -> Row {
    Row { message, fields, standing }
}

const HEADER: &str = "services/kv::a_put_is_read_back_with_a_full_header";
const FRAGMENTS: &str = "hub/previous_and_fragments::large_answers_are_split_for_those_who_asked";
const ON_ONE_STREAM: &str = "services/watch::requests_on_one_stream_are_answered_in_their_order";

/// Every such field.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("ResponseHeader", &["cluster_id", "member_id", "raft_term"],
        noted("each cluster's own", &[HEADER])),
    row("ResponseHeader", &["revision"], same(&["suite diff", HEADER])),
    row("KeyValue", &["key", "create_revision", "mod_revision", "version", "value", "lease"],
        same(&["suite diff", "suite gateway"])),
    row("WatchRequest", &["create_request", "cancel_request", "progress_request"],
        same(&["suite diff", ON_ONE_STREAM])),
    row("WatchCreateRequest", &["progress_notify"],
        same(&["services/watch::an_idle_watcher_is_told_the_revision_periodically"])),
    row("WatchCreateRequest", &["fragment"], same(&[FRAGMENTS])),
    row("WatchResponse", &["fragment"], same(&[FRAGMENTS])),
    row("WatchResponse", &["events"], noted(
        "several revisions that were committed together may come in one answer",
        &["suite diff", "hub/previous_and_fragments::several_revisions_of_one_entry_come_in_one_answer"])),
    row("LeaseGrantResponse", &["error"], noted("never set, as in etcd", &["suite diff"])),
    row("HashKVResponse", &["hash", "compact_revision"], partly(
        "at a revision that was compacted at, what is there now is hashed; etcd keeps the hash \
         that it took then", &["suite diff"])),
    row("HashResponse", &["hash"], better(
        "equal on members with the same last entry",
        &["services/snapshot::members_answer_the_same_hash"])),
    row("StatusResponse", &["dbSize", "dbSizeInUse"], noted("of Engram's own files",
        &["services/maintenance::status_tells_what_clients_parse"])),
    row("DowngradeRequest", &["action"], partly("`ENABLE`, see the RPC",
        &["services/members::a_downgrade_is_validated_noted_and_cancelled"])),
    row("AuthUserAddRequest", &["password"], better(
        "with `no_password` it is thrown away; etcd keeps it in its log in clear",
        &["suite auth"])),
];

/// The row of a field that has one.
pub(super) fn find(message: &str, field: &str) -> Option<&'static Standing> {
    let row = ROWS.iter().find(|row| row.message == message && row.fields.contains(&field));
    row.map(|row| &row.standing)
}
