//! A step of the conversation as a JSON request, in one of its many spellings.
//!
//! Invariant: the same seed gives the same text; every spelling means the same request.
//! Must not know: how it is sent.

use proto::etcdserverpb::compare::TargetUnion;
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::diff::generate::Step;

/// Writes requests.
pub(super) struct Speller {
    random: ChaCha8Rng,
}

impl Speller {
    pub(super) fn new(seed: u64) -> Self {
        Speller { random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Path and body; `None` for a step that the gateway has no path for.
    pub(super) fn request(&mut self, step: &Step) -> Option<(&'static str, String)> {
        Some(match step {
            Step::Range(range) => ("/v3/kv/range", self.range(range)),
            Step::Put(put) => ("/v3/kv/put", self.put(put)),
            Step::Delete(delete) => ("/v3/kv/deleterange", self.delete(delete)),
            Step::Txn(txn) => ("/v3/kv/txn", self.txn(txn)),
            Step::Compact(compact) => {
                let fields = vec![
                    self.number("revision", compact.revision),
                    self.flag("physical", compact.physical),
                ];
                ("/v3/kv/compaction", object(fields))
            }
            Step::Grant(grant) => {
                let fields = vec![self.number("TTL", grant.ttl), self.number("ID", grant.id)];
                ("/v3/lease/grant", object(fields))
            }
            Step::Revoke(revoke) => {
                let fields = vec![self.number("ID", revoke.id)];
                (self.pick(["/v3/lease/revoke", "/v3/kv/lease/revoke"]), object(fields))
            }
            Step::TimeToLive(asked) => {
                let fields = vec![self.number("ID", asked.id), self.flag("keys", asked.keys)];
                (self.pick(["/v3/lease/timetolive", "/v3/kv/lease/timetolive"]), object(fields))
            }
            Step::Leases => (
                self.pick(["/v3/lease/leases", "/v3/kv/lease/leases"]),
                self.pick(["", "{}"]).into(),
            ),
            Step::KeepAlive(id) => ("/v3/lease/keepalive", object(vec![self.number("ID", *id)])),
            Step::HashKv(revision) => {
                ("/v3/maintenance/hashkv", object(vec![self.number("revision", *revision)]))
            }
            Step::RangeStream(_) | Step::Watch(..) | Step::Cancel(..) => return None,
        })
    }

    /// The body of a request that is broken somewhere: a byte changed, lost, doubled or the end
    /// cut off.
    pub(super) fn broken(&mut self, body: &str) -> Vec<u8> {
        let mut bytes = body.as_bytes().to_vec();
        for _ in 0..self.random.random_range(1..3) {
            if bytes.is_empty() {
                return bytes;
            }
            let at = self.random.random_range(0..bytes.len());
            match self.random.random_range(0..5) {
                0 => drop(bytes.remove(at)),
                1 => bytes.truncate(at),
                2 => bytes.insert(at, bytes[at]),
                3 => {
                    bytes[at] = *b"{}[]\",:0-.eE\\tfn x"
                        .get(self.random.random_range(0..18))
                        .unwrap_or(&b' ')
                }
                _ => bytes[at] = self.random.random_range(b' '..=b'~'),
            }
        }
        bytes
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.random.random_range(0..count) == 0
    }

    fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.random.random_range(0..N)]
    }

    /// A field's name, its own or in camel case.
    fn name(&mut self, name: &str) -> String {
        if self.one_in(2) {
            return name.to_owned();
        }
        let mut camel = String::new();
        let mut upper = false;
        for character in name.chars() {
            match (character, std::mem::take(&mut upper)) {
                ('_', _) => upper = true,
                (character, true) => camel.push(character.to_ascii_uppercase()),
                (character, false) => camel.push(character),
            }
        }
        camel
    }

    fn field(&mut self, name: &str, value: String) -> String {
        let space = self.pick(["", " ", "\n\t"]);
        format!("\"{}\":{space}{value}", self.name(name))
    }

    fn number(&mut self, name: &str, value: i64) -> String {
        let value = match self.random.random_range(0..5) {
            0 if value.abs() < 1_000_000 => format!("{value}.0"),
            1 if value.abs() < 1_000_000 => format!("{value}0e-1"),
            // Beyond 2^53 a number would be read exactly too.
            2 => value.to_string(),
            _ => format!("\"{value}\""),
        };
        self.field(name, value)
    }

    fn flag(&mut self, name: &str, value: bool) -> String {
        self.field(name, value.to_string())
    }

    fn choice(&mut self, name: &str, value: i32, names: &[&str]) -> String {
        let named = usize::try_from(value).ok().and_then(|value| names.get(value));
        let value = match named {
            Some(named) if self.one_in(2) => format!("\"{named}\""),
            _ => value.to_string(),
        };
        self.field(name, value)
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> String {
        let url = self.one_in(4);
        let mut text = base64(bytes, url);
        if self.one_in(4) {
            text.truncate(text.trim_end_matches('=').len());
        }
        self.field(name, format!("\"{text}\""))
    }

    fn range(&mut self, range: &RangeRequest) -> String {
        const ORDERS: &[&str] = &["NONE", "ASCEND", "DESCEND"];
        let mut fields = vec![
            self.bytes("key", &range.key),
            self.bytes("range_end", &range.range_end),
            self.number("limit", range.limit),
            self.number("revision", range.revision),
            self.choice("sort_order", range.sort_order, ORDERS),
            self.flag("serializable", range.serializable),
            self.flag("keys_only", range.keys_only),
            self.flag("count_only", range.count_only),
            self.number("min_mod_revision", range.min_mod_revision),
            self.number("max_mod_revision", range.max_mod_revision),
            self.number("min_create_revision", range.min_create_revision),
            self.number("max_create_revision", range.max_create_revision),
        ];
        // By keys alone: equal pairs of another sort come in any order.
        if self.one_in(8) {
            fields.push("\"sort_target\":\"KEY\"".to_owned());
        }
        if self.one_in(8) {
            fields.push("\"unheard\":[{\"of\":\"\\u00e9\"},null]".to_owned());
        }
        object(fields)
    }

    fn put(&mut self, put: &PutRequest) -> String {
        let fields = vec![
            self.bytes("key", &put.key),
            self.bytes("value", &put.value),
            self.number("lease", put.lease),
            self.flag("prev_kv", put.prev_kv),
            self.flag("ignore_value", put.ignore_value),
            self.flag("ignore_lease", put.ignore_lease),
        ];
        object(fields)
    }

    fn delete(&mut self, delete: &DeleteRangeRequest) -> String {
        let fields = vec![
            self.bytes("key", &delete.key),
            self.bytes("range_end", &delete.range_end),
            self.flag("prev_kv", delete.prev_kv),
        ];
        object(fields)
    }

    fn txn(&mut self, txn: &TxnRequest) -> String {
        let compares: Vec<String> = txn.compare.iter().map(|one| self.compare(one)).collect();
        let mut branch = |operations: &[RequestOp]| {
            let operations: Vec<String> =
                operations.iter().map(|one| self.operation(one)).collect();
            format!("[{}]", operations.join(","))
        };
        let (success, failure) = (branch(&txn.success), branch(&txn.failure));
        format!(
            "{{\"compare\":[{}],\"success\":{success},\"failure\":{failure}}}",
            compares.join(",")
        )
    }

    fn operation(&mut self, operation: &RequestOp) -> String {
        let (name, value) = match &operation.request {
            Some(Op::RequestRange(range)) => ("request_range", self.range(range)),
            Some(Op::RequestPut(put)) => ("request_put", self.put(put)),
            Some(Op::RequestDeleteRange(delete)) => ("request_delete_range", self.delete(delete)),
            Some(Op::RequestTxn(txn)) => ("request_txn", self.txn(txn)),
            None => return "{}".to_owned(),
        };
        object(vec![self.field(name, value)])
    }

    fn compare(&mut self, compare: &Compare) -> String {
        const RESULTS: &[&str] = &["EQUAL", "GREATER", "LESS", "NOT_EQUAL"];
        const TARGETS: &[&str] = &["VERSION", "CREATE", "MOD", "VALUE", "LEASE"];
        let mut fields = vec![
            self.choice("result", compare.result, RESULTS),
            self.choice("target", compare.target, TARGETS),
            self.bytes("key", &compare.key),
            self.bytes("range_end", &compare.range_end),
        ];
        fields.extend(compare.target_union.as_ref().map(|target| match target {
            TargetUnion::Version(version) => self.number("version", *version),
            TargetUnion::CreateRevision(revision) => self.number("create_revision", *revision),
            TargetUnion::ModRevision(revision) => self.number("mod_revision", *revision),
            TargetUnion::Value(value) => self.bytes("value", value),
            TargetUnion::Lease(lease) => self.number("lease", *lease),
        }));
        object(fields)
    }
}

fn object(fields: Vec<String>) -> String {
    format!("{{{}}}", fields.join(","))
}

fn base64(bytes: &[u8], url: bool) -> String {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let alphabet = if url { URL } else { STANDARD };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let all = chunk
            .iter()
            .enumerate()
            .fold(0_u32, |all, (at, byte)| all | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            match at <= chunk.len() {
                true => text.push(char::from(alphabet[(all >> (18 - 6 * at) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_it_should_be() {
        assert_eq!(base64(b"foo", false), "Zm9v");
        assert_eq!(base64(b"fo", false), "Zm8=");
        assert_eq!(base64(&[0xfb, 0xff], true), "-_8=");
        assert_eq!(base64(b"", false), "");
    }

    #[test]
    fn every_spelling_is_json() {
        let mut speller = Speller::new(7);
        let put = PutRequest { key: "a".into(), lease: 12, ..PutRequest::default() };
        for _ in 0..200 {
            let (_, body) = speller.request(&Step::Put(put.clone())).expect("it has a path");
            let read: serde_json::Value = serde_json::from_str(&body).expect("it is JSON");
            assert!(read.is_object());
        }
    }
}
