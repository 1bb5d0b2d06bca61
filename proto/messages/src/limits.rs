//! How deep a transaction may nest and still be decoded wherever it travels.
//!
//! prost refuses a message that nests deeper than 100 levels. A transaction takes two levels per
//! nesting (`TxnRequest`, `RequestOp`), and the log, the peers' envelopes and the answers each put
//! it a few levels deeper than the client did. A transaction that decodes at the client's door but
//! not in the log would stop every member, so the door refuses what exceeds
//! [`TXN_NESTING_MAX`], which leaves room for every envelope.
//!
//! Invariant: a transaction within the limit decodes in every message of this crate that can hold
//! it, and so does its answer (tested with the deepest one).
//!
//! Must not know: how a transaction is checked otherwise.

use crate::etcdserverpb::{RequestOp, TxnRequest, request_op};

/// The most transactions inside one another, the outermost included.
///
/// Compat: etcd bounds the depth only by its budget of operations per transaction.
pub const TXN_NESTING_MAX: usize = 40;

/// Whether `txn` nests no deeper than [`TXN_NESTING_MAX`].
#[must_use]
pub fn txn_nesting_allowed(txn: &TxnRequest) -> bool {
    nests_within(txn, TXN_NESTING_MAX)
}

fn nests_within(txn: &TxnRequest, levels: usize) -> bool {
    levels > 0 && txn.success.iter().chain(&txn.failure).all(|op| op_within(op, levels - 1))
}

fn op_within(op: &RequestOp, levels: usize) -> bool {
    match &op.request {
        Some(request_op::Request::RequestTxn(txn)) => nests_within(txn, levels),
        _ => true,
    }
}
