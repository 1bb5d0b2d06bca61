//! What a door refuses before it proposes: pure checks of a request alone, with etcd's errors in
//! etcd's order.
//!
//! Invariant: apply is total without them. They must not look at the state, nor at who asks.

use std::collections::{BTreeMap, BTreeSet};

use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{
    DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use proto::status::EtcdError;

use crate::limits::{LEASE_TTL_MAX_S, TXN_DEPTH_MAX};

/// Checks a range.
///
/// *Errors*: `EmptyKey`; `InvalidSortOption` for an order or target of no name.
pub fn check_range(request: &RangeRequest) -> Result<(), EtcdError> {
    check_key(&request.key)?;
    let known = SortOrder::try_from(request.sort_order).is_ok()
        && SortTarget::try_from(request.sort_target).is_ok();
    if known { Ok(()) } else { Err(EtcdError::InvalidSortOption) }
}

/// Checks a put.
///
/// *Errors*: `EmptyKey`; `ValueProvided` and `LeaseProvided` beside the flag that ignores them.
pub fn check_put(request: &PutRequest) -> Result<(), EtcdError> {
    check_key(&request.key)?;
    if request.ignore_value && !request.value.is_empty() {
        return Err(EtcdError::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(EtcdError::LeaseProvided);
    }
    Ok(())
}

/// Checks a delete. *Errors*: `EmptyKey`.
pub fn check_delete(request: &DeleteRangeRequest) -> Result<(), EtcdError> {
    check_key(&request.key)
}

/// Checks a lease grant. *Errors*: `LeaseTtlTooLarge`.
pub fn check_lease_grant(request: &LeaseGrantRequest) -> Result<(), EtcdError> {
    match request.ttl > LEASE_TTL_MAX_S {
        true => Err(EtcdError::LeaseTtlTooLarge),
        false => Ok(()),
    }
}

/// Checks a transaction with all that is nested in it, both branches.
///
/// `operations_max` bounds each list; what a level takes (its longest list) is missing below it.
///
/// *Errors*: `TooManyOps` (also for nesting deeper than [`TXN_DEPTH_MAX`]); `EmptyKey` and what the
/// other checks say; `KeyNotFound` for an empty operation; `DuplicateKey` when a branch puts a key
/// twice, or puts what it deletes.
pub fn check_txn(request: &TxnRequest, operations_max: usize) -> Result<(), EtcdError> {
    check_shape(request, operations_max, TXN_DEPTH_MAX)?;
    // After the shape, which bounds the work.
    check_overlaps(&request.success)?;
    check_overlaps(&request.failure)?;
    Ok(())
}

/// Whether neither branch can write: such a transaction needs no log entry.
///
/// Compat: etcd sends any nested transaction through the log; here it is enough that nothing
/// writes.
pub fn is_read_only(request: &TxnRequest) -> bool {
    let reads = |operation: &RequestOp| match &operation.request {
        Some(Request::RequestRange(_)) | None => true,
        Some(Request::RequestTxn(txn)) => is_read_only(txn),
        Some(Request::RequestPut(_) | Request::RequestDeleteRange(_)) => false,
    };
    request.success.iter().all(reads) && request.failure.iter().all(reads)
}

/// Whether every range asks for a serializable read: then a read-only transaction needs no read
/// index.
pub fn is_serializable(request: &TxnRequest) -> bool {
    let serializable = |operation: &RequestOp| match &operation.request {
        Some(Request::RequestRange(range)) => range.serializable,
        Some(Request::RequestTxn(txn)) => is_serializable(txn),
        _ => false,
    };
    request.success.iter().all(serializable) && request.failure.iter().all(serializable)
}

/// Whether a range is wanted in the order of its keys, rising: the one that costs nothing.
pub fn is_key_order(request: &RangeRequest) -> bool {
    request.sort_target == i32::from(SortTarget::Key)
        && request.sort_order != i32::from(SortOrder::Descend)
}

fn check_key(key: &[u8]) -> Result<(), EtcdError> {
    if key.is_empty() { Err(EtcdError::EmptyKey) } else { Ok(()) }
}

fn check_shape(
    request: &TxnRequest,
    operations_max: usize,
    depth_max: usize,
) -> Result<(), EtcdError> {
    let lists = [request.compare.len(), request.success.len(), request.failure.len()];
    let longest = lists.into_iter().max().unwrap_or(0);
    let left = operations_max.checked_sub(longest).ok_or(EtcdError::TooManyOps)?;
    let below = depth_max.checked_sub(1).ok_or(EtcdError::TooManyOps)?;
    request.compare.iter().try_for_each(|compare| check_key(&compare.key))?;
    request
        .success
        .iter()
        .chain(&request.failure)
        .try_for_each(|operation| check_operation(operation, left, below))
}

fn check_operation(
    operation: &RequestOp,
    operations_max: usize,
    depth_max: usize,
) -> Result<(), EtcdError> {
    match &operation.request {
        Some(Request::RequestRange(range)) => check_range(range),
        Some(Request::RequestPut(put)) => check_put(put),
        Some(Request::RequestDeleteRange(delete)) => check_delete(delete),
        Some(Request::RequestTxn(txn)) => check_shape(txn, operations_max, depth_max),
        // Compat: etcd's word for an operation without content.
        None => Err(EtcdError::KeyNotFound),
    }
}

/// What a list of operations may write.
#[derive(Default)]
struct Writes {
    puts: BTreeSet<Vec<u8>>,
    deletes: Intervals,
}

impl Writes {
    /// Adds a put, which nothing else at hand may put or delete.
    fn put(&mut self, key: &[u8], may_be_put: bool) -> Result<(), EtcdError> {
        let twice = !may_be_put && self.puts.contains(key);
        if twice || self.deletes.contains(key) {
            return Err(EtcdError::DuplicateKey);
        }
        self.puts.insert(key.to_vec());
        Ok(())
    }
}

/// Compat: etcd takes this list's deletes, then the nested transactions in order, then this list's
/// puts. The two branches of one nested transaction may put the same key; deletes may overlap
/// deletes; and the deletes of a nested transaction only count against what comes after it.
fn check_overlaps(operations: &[RequestOp]) -> Result<Writes, EtcdError> {
    let mut writes = Writes::default();
    for operation in operations {
        if let Some(Request::RequestDeleteRange(delete)) = &operation.request {
            writes.deletes.add(&delete.key, &delete.range_end);
        }
    }
    for operation in operations {
        if let Some(Request::RequestTxn(txn)) = &operation.request {
            let then = check_overlaps(&txn.success)?;
            let or_else = check_overlaps(&txn.failure)?;
            for key in &then.puts {
                writes.put(key, false)?;
            }
            for key in &or_else.puts {
                writes.put(key, then.puts.contains(key))?;
            }
            writes.deletes.join(then.deletes);
            writes.deletes.join(or_else.deletes);
        }
    }
    for operation in operations {
        if let Some(Request::RequestPut(put)) = &operation.request {
            writes.put(&put.key, false)?;
        }
    }
    Ok(writes)
}

/// Intervals of keys, merged where they touch: start to end, exclusive.
///
/// Compat: etcd takes an end of `"\0"` literally here, so that a delete of everything from a key on
/// overlaps nothing; apply has no trouble with what this lets through.
#[derive(Default)]
struct Intervals(BTreeMap<Vec<u8>, Vec<u8>>);

impl Intervals {
    fn add(&mut self, key: &[u8], range_end: &[u8]) {
        let end = match range_end {
            [] => [key, b"\0"].concat(),
            end => end.to_vec(),
        };
        if key < end.as_slice() {
            self.insert(key.to_vec(), end);
        }
    }

    fn insert(&mut self, mut start: Vec<u8>, mut end: Vec<u8>) {
        while let Some((other, other_end)) = self.0.range(..=end.clone()).next_back() {
            if *other_end < start {
                break;
            }
            let other = other.clone();
            let other_end = self.0.remove(&other).expect("it was just found");
            start = start.min(other);
            end = end.max(other_end);
        }
        self.0.insert(start, end);
    }

    fn join(&mut self, others: Intervals) {
        for (start, end) in others.0 {
            self.insert(start, end);
        }
    }

    fn contains(&self, key: &[u8]) -> bool {
        let before =
            self.0.range::<[u8], _>((std::ops::Bound::Unbounded, std::ops::Bound::Included(key)));
        before.into_iter().next_back().is_some_and(|(_, end)| key < end.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn op(request: Request) -> RequestOp {
        RequestOp { request: Some(request) }
    }

    fn nested(depth: usize) -> TxnRequest {
        (1..depth).fold(TxnRequest::default(), |inner, _| TxnRequest {
            success: vec![op(Request::RequestTxn(inner))],
            ..TxnRequest::default()
        })
    }

    #[test]
    fn nesting_is_bounded_before_a_decoder_would_refuse_it() {
        assert_eq!(check_txn(&nested(TXN_DEPTH_MAX), 128), Ok(()));
        assert_eq!(check_txn(&nested(TXN_DEPTH_MAX + 1), 128), Err(EtcdError::TooManyOps));
        let deep = nested(TXN_DEPTH_MAX);
        let command = proto::log::Command {
            header: None,
            request: Some(proto::log::command::Request::Txn(deep)),
        };
        let batch = proto::log::Batch { state_machine_version: 1, commands: vec![command] };
        let bytes = prost::Message::encode_to_vec(&batch);
        let read: proto::log::Batch = prost::Message::decode(&bytes[..]).expect("not too deep");
        assert_eq!(read, batch);
    }

    #[test]
    fn an_empty_operation_has_etcds_word() {
        let txn = TxnRequest { failure: vec![RequestOp::default()], ..TxnRequest::default() };
        assert_eq!(check_txn(&txn, 128), Err(EtcdError::KeyNotFound));
    }

    #[test]
    fn the_count_is_looked_at_before_the_operations() {
        let txn = TxnRequest { success: vec![RequestOp::default(); 129], ..TxnRequest::default() };
        assert_eq!(check_txn(&txn, 128), Err(EtcdError::TooManyOps));
    }

    #[test]
    fn reading_and_serializable_transactions_are_told() {
        let range = |serializable| {
            let key = "k".into();
            op(Request::RequestRange(RangeRequest { key, serializable, ..Default::default() }))
        };
        let txn = |success, failure| TxnRequest { compare: Vec::new(), success, failure };
        let put = op(Request::RequestPut(PutRequest::default()));
        let inner = op(Request::RequestTxn(txn(vec![put.clone()], Vec::new())));
        assert!(is_read_only(&txn(vec![range(true)], vec![range(false)])));
        assert!(!is_read_only(&txn(vec![range(true)], vec![put])));
        assert!(!is_read_only(&txn(Vec::new(), vec![inner])));
        assert!(is_serializable(&txn(vec![range(true)], vec![range(true)])));
        assert!(!is_serializable(&txn(vec![range(true)], vec![range(false)])));
    }

    proptest! {
        #[test]
        fn merged_intervals_hold_what_the_single_ones_held(
            deletes in prop::collection::vec(("[a-d]{1,2}", "[a-d]{0,2}"), 0..8),
            probe in "[a-d]{1,3}",
        ) {
            let mut merged = Intervals::default();
            for (key, end) in &deletes {
                merged.add(key.as_bytes(), end.as_bytes());
            }
            let held = deletes.iter().any(|(key, end)| match end.as_str() {
                "" => *key == probe,
                end => key.as_str() <= probe.as_str() && probe.as_str() < end,
            });
            prop_assert_eq!(merged.contains(probe.as_bytes()), held);
            let ends: Vec<_> = merged.0.iter().collect();
            prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
