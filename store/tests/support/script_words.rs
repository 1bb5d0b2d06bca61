//! The words of the golden scripts: from a line's arguments to a request.

use std::error::Error;

use bytes::Bytes;
use goldenscript::ArgumentConsumer;
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op;
use proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, Compare, DeleteRangeRequest, LeaseCheckpoint,
    LeaseCheckpointRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest,
    RequestOp,
};
use proto::log::command::Request;
use proto::status::EtcdError;
use store::validate;

pub fn request(name: &str, args: &mut ArgumentConsumer<'_>) -> Result<Request, Box<dyn Error>> {
    Ok(match name {
        "put" => {
            let flags = |args: &mut ArgumentConsumer<'_>| -> Vec<String> {
                std::iter::from_fn(|| args.next_pos().map(str::to_owned)).collect()
            };
            let key = text(args)?;
            let value = text(args)?;
            let lease = number(args, "lease")?;
            let flags = flags(args);
            let has = |flag: &str| flags.iter().any(|given| given == flag);
            Request::Put(PutRequest {
                key,
                value,
                lease,
                prev_kv: has("prev"),
                ignore_value: has("ignore_value"),
                ignore_lease: has("ignore_lease"),
            })
        }
        "del" => {
            let key = text(args)?;
            let rest: Vec<&str> = std::iter::from_fn(|| args.next_pos()).collect();
            let (end, prev_kv) = match rest[..] {
                [] => ("", false),
                ["prev"] => ("", true),
                [end] => (end, false),
                [end, "prev"] => (end, true),
                _ => return Err("del KEY [END] [prev]".into()),
            };
            let range_end = Bytes::copy_from_slice(end.as_bytes());
            Request::DeleteRange(DeleteRangeRequest { key, range_end, prev_kv })
        }
        "compact" => Request::Compaction(CompactionRequest {
            revision: position(args, "REV")?,
            ..Default::default()
        }),
        "grant" => Request::LeaseGrant(LeaseGrantRequest {
            id: position(args, "ID")?,
            ttl: position(args, "TTL")?,
        }),
        "revoke" => Request::LeaseRevoke(LeaseRevokeRequest { id: position(args, "ID")? }),
        "checkpoint" => {
            let checkpoint = LeaseCheckpoint {
                id: position(args, "ID")?,
                remaining_ttl: position(args, "SECONDS")?,
            };
            Request::LeaseCheckpoint(LeaseCheckpointRequest { checkpoints: vec![checkpoint] })
        }
        "alarm" => {
            let action = args.next_pos().ok_or("which action?")?.to_uppercase();
            let kind = args.next_pos().unwrap_or("none").to_uppercase();
            let action = AlarmAction::from_str_name(&action).ok_or("no such action")?;
            let alarm = AlarmType::from_str_name(&kind).ok_or("no such alarm")?;
            let member_id = args.next_pos().map_or(Ok(0), str::parse)?;
            Request::Alarm(AlarmRequest { action: action.into(), member_id, alarm: alarm.into() })
        }
        other => return Err(format!("unknown command {other}").into()),
    })
}

pub fn range_request(args: &mut ArgumentConsumer<'_>) -> Result<RangeRequest, Box<dyn Error>> {
    let key = text(args)?;
    let word =
        |args: &mut ArgumentConsumer<'_>, key: &str| args.take_key(key).map(str::to_uppercase);
    let order = word(args, "order").unwrap_or("NONE".into());
    let target = word(args, "target").unwrap_or("KEY".into());
    let order = SortOrder::from_str_name(&order).map_or_else(|| order.parse(), |it| Ok(it.into()));
    let target =
        SortTarget::from_str_name(&target).map_or_else(|| target.parse(), |it| Ok(it.into()));
    let mut request = RangeRequest {
        key,
        limit: number(args, "limit")?,
        revision: number(args, "rev")?,
        sort_order: order?,
        sort_target: target?,
        min_mod_revision: number(args, "min_mod")?,
        max_mod_revision: number(args, "max_mod")?,
        min_create_revision: number(args, "min_create")?,
        max_create_revision: number(args, "max_create")?,
        ..Default::default()
    };
    while let Some(word) = args.next_pos() {
        match word {
            "keys_only" => request.keys_only = true,
            "count_only" => request.count_only = true,
            end => request.range_end = Bytes::copy_from_slice(end.as_bytes()),
        }
    }
    Ok(request)
}

pub fn compare(args: &mut ArgumentConsumer<'_>) -> Result<Compare, Box<dyn Error>> {
    let range_end = Bytes::copy_from_slice(args.take_key("end").unwrap_or("").as_bytes());
    let target = args.next_pos().ok_or("which target?")?.to_uppercase();
    let key = text(args)?;
    let result = match args.next_pos().ok_or("which result?")? {
        "eq" => CompareResult::Equal,
        "ne" => CompareResult::NotEqual,
        "gt" => CompareResult::Greater,
        "lt" => CompareResult::Less,
        other => return Err(format!("no such result: {other}").into()),
    };
    let target = CompareTarget::from_str_name(&target).ok_or("no such target")?;
    let operand = text(args)?;
    let as_number = || std::str::from_utf8(&operand).map(str::parse::<i64>);
    let target_union = match target {
        CompareTarget::Value => TargetUnion::Value(operand.clone()),
        CompareTarget::Version => TargetUnion::Version(as_number()??),
        CompareTarget::Create => TargetUnion::CreateRevision(as_number()??),
        CompareTarget::Mod => TargetUnion::ModRevision(as_number()??),
        CompareTarget::Lease => TargetUnion::Lease(as_number()??),
    };
    Ok(Compare {
        result: result.into(),
        target: target.into(),
        key,
        target_union: Some(target_union),
        range_end,
    })
}

pub fn operation(request: Request) -> Result<RequestOp, Box<dyn Error>> {
    let request = match request {
        Request::Put(put) => request_op::Request::RequestPut(put),
        Request::DeleteRange(delete) => request_op::Request::RequestDeleteRange(delete),
        Request::Txn(txn) => request_op::Request::RequestTxn(txn),
        other => return Err(format!("not in a transaction: {other:?}").into()),
    };
    Ok(RequestOp { request: Some(request) })
}

pub fn check(request: &Request) -> Result<(), EtcdError> {
    match request {
        Request::Put(put) => validate::check_put(put),
        Request::DeleteRange(delete) => validate::check_delete(delete),
        Request::Txn(txn) => validate::check_txn(txn, 8),
        Request::LeaseGrant(grant) => validate::check_lease_grant(grant),
        _ => Ok(()),
    }
}

pub fn text(args: &mut ArgumentConsumer<'_>) -> Result<Bytes, Box<dyn Error>> {
    let text = args.next_pos().ok_or("an argument is missing")?;
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

pub fn position(args: &mut ArgumentConsumer<'_>, what: &str) -> Result<i64, Box<dyn Error>> {
    Ok(args.next_pos().ok_or_else(|| format!("{what} is missing"))?.parse()?)
}

pub fn number<T: std::str::FromStr + Default>(
    args: &mut ArgumentConsumer<'_>,
    key: &str,
) -> Result<T, Box<dyn Error>>
where
    T::Err: Error + 'static,
{
    Ok(args.take_key(key).map(str::parse).transpose()?.unwrap_or_default())
}
