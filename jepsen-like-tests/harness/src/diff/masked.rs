//! Answers as JSON with that taken out which [`super::mask::MASKS`] lists.
//!
//! Must not know: how answers are obtained.

use proto::etcdserverpb::RangeRequest;
use proto::etcdserverpb::range_request::SortTarget;
use serde_json::Value;

/// Numbers that each server counts for itself: only whether there are any.
const COUNTED: [&str; 8] = [
    "dbSize",
    "dbSizeInUse",
    "raftIndex",
    "raftAppliedIndex",
    "raftTerm",
    "remaining_bytes",
    "leader",
    "TTL",
];

/// Lists without an order of their own.
const UNORDERED: [&str; 4] = ["leases", "keys", "members", "alarms"];

/// Takes out what need not be equal in an answer to the RPC.
pub(crate) fn mask(rpc: &str, value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| mask(rpc, element)),
        Value::Object(fields) => {
            for drawn in ["cluster_id", "raft_term"] {
                fields.remove(drawn);
            }
            let counted: &[&str] = match rpc {
                "etcdserverpb.Maintenance/Status" | "etcdserverpb.Maintenance/Snapshot" => &COUNTED,
                "etcdserverpb.Lease/LeaseTimeToLive" => &["TTL"],
                "etcdserverpb.Maintenance/Hash" => &["hash"],
                _ => &[],
            };
            for (name, field) in fields.iter_mut() {
                if counted.contains(&name.as_str()) {
                    *field = sign(field);
                } else if name == "token" {
                    *field = Value::from(field.as_str().map(form));
                } else {
                    mask(rpc, field);
                }
            }
            for unordered in UNORDERED {
                if let Some(Value::Array(elements)) = fields.get_mut(unordered) {
                    elements.sort_by_key(Value::to_string);
                }
            }
        }
        // Compat: protojson puts one of two kinds of spaces behind its name, by the build.
        Value::String(text) if text.contains('\u{a0}') => *text = text.replace('\u{a0}', " "),
        _ => {}
    }
}

fn sign(number: &Value) -> Value {
    let number = match number {
        Value::String(text) => text.parse::<i128>().unwrap_or(0),
        other => other.as_i64().map_or(0, i128::from),
    };
    Value::from(number.signum() as i64)
}

/// What a token looks like.
pub(crate) fn form(token: &str) -> String {
    match token.split('.').collect::<Vec<_>>()[..] {
        [letters, index] if index.parse::<u64>().is_ok() => {
            let plain = letters.bytes().all(|byte| byte.is_ascii_alphabetic());
            format!("{} letters {plain} and an index", letters.len())
        }
        // The same header, its fields in another order.
        [_, _, _] => "a JWT".to_owned(),
        _ => format!("{} bytes", token.len()),
    }
}

/// Puts pairs that the sort does not tell apart in the order of their keys; where a limit cut the
/// answer, leaves only what was sorted by.
pub(crate) fn range(request: &RangeRequest, value: &mut Value) {
    let target = SortTarget::try_from(request.sort_target).unwrap_or(SortTarget::Key);
    if target == SortTarget::Key {
        return;
    }
    let Some(Value::Array(kvs)) = value.get_mut("kvs") else { return };
    let by = match target {
        SortTarget::Version => "version",
        SortTarget::Create => "create_revision",
        SortTarget::Mod => "mod_revision",
        _ => "value",
    };
    if request.limit > 0 {
        for kv in kvs.iter_mut() {
            *kv = kv.get(by).cloned().unwrap_or(Value::Null);
        }
        return;
    }
    for equals in kvs.chunk_by_mut(|one, next| one.get(by) == next.get(by)) {
        equals.sort_by_key(|kv| kv["key"].to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_counted_is_masked_in_its_own_rpc_only() {
        let answer = json!({"header": {"cluster_id": "5", "revision": "7"}, "TTL": "9"});
        let (mut one, mut other) = (answer.clone(), answer);
        mask("etcdserverpb.Lease/LeaseTimeToLive", &mut one);
        mask("etcdserverpb.Lease/LeaseGrant", &mut other);
        assert_eq!(one, json!({"header": {"revision": "7"}, "TTL": 1}));
        assert_eq!(other, json!({"header": {"revision": "7"}, "TTL": "9"}));
    }

    #[test]
    fn pairs_of_one_rank_have_no_order_and_others_have() {
        let request =
            RangeRequest { sort_target: SortTarget::Version as i32, ..RangeRequest::default() };
        let pair = |key: &str, version: &str| json!({"key": key, "version": version});
        let sorted = |pairs: Vec<Value>| {
            let mut value = json!({ "kvs": pairs });
            range(&request, &mut value);
            value
        };
        let one = sorted(vec![pair("a", "1"), pair("b", "1"), pair("c", "2")]);
        let two = sorted(vec![pair("b", "1"), pair("a", "1"), pair("c", "2")]);
        let three = sorted(vec![pair("c", "2"), pair("b", "1"), pair("a", "1")]);
        assert_eq!(one, two);
        assert_ne!(one, three);
    }

    #[test]
    fn an_unsorted_answer_in_another_order_is_a_difference() {
        let ranged = |keys: [&str; 2]| {
            let mut value = json!({ "kvs": keys.map(|key| json!({"key": key})) });
            range(&RangeRequest::default(), &mut value);
            mask("etcdserverpb.KV/Range", &mut value);
            value
        };
        assert_ne!(ranged(["a", "b"]), ranged(["b", "a"]));
    }
}
