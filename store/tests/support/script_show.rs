//! How answers of the store look in golden scripts.
//!
//! A key-value is `key=value [create_revision mod_revision vVERSION]`, with its lease if it has
//! one.

use std::fmt::Write as _;

use proto::etcdserverpb::{AlarmMember, RangeRequest, ResponseHeader};
use proto::spliced::response_op;
use proto::spliced::{EncodedKeyValue, RangeResponse, TxnResponse};
use store::{EventKind, LeaseId, LeaseInfo, Outcome, Reader, Response, RevisionEvents, Store};

/// What readers can see of the present.
pub fn contents(store: &Store) -> String {
    let reader = store.reader();
    let all = RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() };
    let mut out = leases(&reader) + &super::script_auth::users(&reader);
    show_range(&mut out, reader.range(&all).expect("the present is kept")).expect("to a string");
    out
}

pub fn show_outcome(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    match &outcome.result {
        Err(error) => writeln!(out, "error: {error}"),
        Ok(Response::Txn(txn)) => show_txn(out, "", txn),
        Ok(Response::Put(put)) => {
            writeln!(out, "put at {}", revision(&put.header))?;
            put.prev_kv.iter().try_for_each(|kv| show_kv(out, "  before: ", kv))
        }
        Ok(Response::DeleteRange(gone)) => {
            writeln!(out, "deleted {} at {}", gone.deleted, revision(&gone.header))?;
            gone.prev_kvs.iter().try_for_each(|kv| show_kv(out, "  before: ", kv))
        }
        Ok(Response::Alarm(alarms)) => {
            let shown = |alarm: &AlarmMember| {
                format!(" {}:{}", alarm.member_id, alarm.alarm().as_str_name())
            };
            let list: String = alarms.alarms.iter().map(shown).collect();
            writeln!(out, "alarms{list} at {}", revision(&alarms.header))
        }
        Ok(Response::LeaseGrant { id, ttl }) => writeln!(out, "lease {} for {ttl}s", id.0),
        Ok(other) => writeln!(out, "{other:?} at {}", outcome.revision),
    }
}

pub fn show_txn(out: &mut String, indent: &str, txn: &TxnResponse) -> std::fmt::Result {
    let branch = if txn.succeeded { "then" } else { "else" };
    writeln!(out, "{indent}{branch} at {}", revision(&txn.header))?;
    let indent = format!("{indent}  ");
    for operation in &txn.responses {
        match &operation.response {
            Some(response_op::Response::ResponseTxn(txn)) => show_txn(out, &indent, txn)?,
            Some(response_op::Response::ResponsePut(put)) => {
                writeln!(out, "{indent}put at {}", revision(&put.header))?;
                let before = format!("{indent}  before: ");
                put.prev_kv.iter().try_for_each(|kv| show_kv(out, &before, kv))?;
            }
            Some(response_op::Response::ResponseDeleteRange(gone)) => {
                writeln!(out, "{indent}deleted {} at {}", gone.deleted, revision(&gone.header))?;
                let before = format!("{indent}  before: ");
                gone.prev_kvs.iter().try_for_each(|kv| show_kv(out, &before, kv))?;
            }
            Some(response_op::Response::ResponseRange(range)) => {
                let mut text = String::new();
                show_range(&mut text, range.clone())?;
                text.lines().try_for_each(|line| writeln!(out, "{indent}{line}"))?;
            }
            None => writeln!(out, "{indent}nothing")?,
        }
    }
    Ok(())
}

pub fn show_range(out: &mut String, range: RangeResponse) -> std::fmt::Result {
    range.kvs.iter().try_for_each(|kv| show_kv(out, "", kv))?;
    let more = if range.more { " more" } else { "" };
    match range.header {
        Some(header) => writeln!(out, "count={}{more} at {}", range.count, header.revision),
        None => writeln!(out, "--"),
    }
}

pub fn show_kv(out: &mut String, prefix: &str, kv: &EncodedKeyValue) -> std::fmt::Result {
    let kv = kv.view().expect("answers hold encoded key-values");
    let (key, value) = (kv.key.escape_ascii(), kv.value.escape_ascii());
    write!(out, "{prefix}{key}={value}")?;
    write!(out, " [{} {} v{}]", kv.create_revision, kv.mod_revision, kv.version)?;
    match kv.lease {
        0 => writeln!(out),
        lease => writeln!(out, " lease {lease}"),
    }
}

pub fn show_events(out: &mut String, events: &RevisionEvents) -> std::fmt::Result {
    for event in events.events.iter() {
        let kind = match (event.kind, event.created) {
            (EventKind::Put, true) => "create",
            (EventKind::Put, false) => "modify",
            (EventKind::Delete, _) => "delete",
        };
        let prefix = format!("@{} {kind} ", events.revision);
        show_kv(out, &prefix, &EncodedKeyValue(event.kv.clone()))?;
    }
    Ok(())
}

pub fn leases(reader: &Reader) -> String {
    let line = |lease: LeaseInfo| {
        let keys = reader.lease_keys(lease.id);
        let keys: String = keys.iter().map(|key| format!(" {}", key.escape_ascii())).collect();
        let LeaseId(id) = lease.id;
        format!("lease {id}: {}s, {}s left:{keys}\n", lease.granted_ttl_s, lease.remaining_ttl_s)
    };
    reader.leases().into_iter().map(line).collect()
}

pub fn revision(header: &Option<ResponseHeader>) -> i64 {
    header.as_ref().expect("answers have a header").revision
}
