//! What a request adds to the state, for the quota.
//!
//! Compat: etcd's costs; what writes no key costs nothing and is never refused.

use proto::etcdserverpb::{PutRequest, RequestOp, TxnRequest, request_op};
use proto::log::command;

/// What a key costs beside its bytes. *Source*: etcd.
const KEY_OVERHEAD_BYTES: u64 = 256;
/// What a lease costs. *Source*: etcd.
const LEASE_BYTES: u64 = 64;

/// The bytes that a request may add; 0 for one that only reads or removes.
pub(crate) fn cost_bytes(request: &command::Request) -> u64 {
    match request {
        command::Request::Put(put) => put_bytes(put),
        command::Request::Txn(txn) => txn_bytes(txn),
        command::Request::LeaseGrant(_) => LEASE_BYTES,
        _ => 0,
    }
}

fn put_bytes(put: &PutRequest) -> u64 {
    KEY_OVERHEAD_BYTES + (put.key.len() + put.value.len()) as u64
}

/// The dearer branch; which one is taken is not known yet.
fn txn_bytes(txn: &TxnRequest) -> u64 {
    let branch = |operations: &[RequestOp]| operations.iter().map(operation_bytes).sum::<u64>();
    branch(&txn.success).max(branch(&txn.failure))
}

fn operation_bytes(operation: &RequestOp) -> u64 {
    match &operation.request {
        Some(request_op::Request::RequestPut(put)) => put_bytes(put),
        Some(request_op::Request::RequestTxn(txn)) => txn_bytes(txn),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_writes_costs() {
        let put = PutRequest { key: "abc".into(), value: "1234".into(), ..Default::default() };
        assert_eq!(cost_bytes(&command::Request::Put(put.clone())), 263);
        let nested = RequestOp { request: Some(request_op::Request::RequestPut(put)) };
        let inner = TxnRequest { failure: vec![nested.clone(), nested], ..Default::default() };
        let nested = RequestOp { request: Some(request_op::Request::RequestTxn(inner)) };
        let outer = TxnRequest { success: vec![nested], ..Default::default() };
        assert_eq!(cost_bytes(&command::Request::Txn(outer)), 526);
        assert_eq!(cost_bytes(&command::Request::DeleteRange(Default::default())), 0);
    }
}
