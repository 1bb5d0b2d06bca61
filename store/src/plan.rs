//! Which branches a transaction takes: decided for the whole tree before any of its operations
//! runs.
//!
//! Invariant: all comparisons, those of nested transactions too, see the state before the
//! transaction, and all checks of the taken branches are made before any write. So a transaction
//! fails whole or not at all, and alike on every member, whoever builds the answers (etcd #18667).

use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{PutRequest, RequestOp, TxnRequest};
use proto::status::EtcdError;

use crate::compare;
use crate::types::LeaseId;
use crate::view::{View, ViewError};

/// The taken branch of a transaction and of those nested in that branch.
pub(crate) struct Plan<'t> {
    /// Whether the comparisons held.
    pub(crate) succeeded: bool,
    /// The operations of the taken branch.
    pub(crate) operations: &'t [RequestOp],
    /// One for each nested transaction among `operations`, in order.
    pub(crate) nested: Vec<Plan<'t>>,
}

impl<'t> Plan<'t> {
    /// Makes all comparisons.
    pub(crate) fn of(view: &View<'_>, txn: &'t TxnRequest) -> Result<Self, ViewError> {
        let succeeded = compare::all_hold(view, &txn.compare)?;
        let operations: &[RequestOp] = if succeeded { &txn.success } else { &txn.failure };
        let mut nested = Vec::new();
        for operation in operations {
            if let Some(Request::RequestTxn(txn)) = &operation.request {
                nested.push(Plan::of(view, txn)?);
            }
        }
        Ok(Self { succeeded, operations, nested })
    }

    /// Finds what would go wrong in the taken branches, in the order of their operations.
    pub(crate) fn check(&self, view: &View<'_>) -> Result<(), EtcdError> {
        let mut nested = self.nested.iter();
        for operation in self.operations {
            match &operation.request {
                Some(Request::RequestRange(range)) => check_range(view, range.revision)?,
                Some(Request::RequestPut(put)) => check_put(view, put)?,
                Some(Request::RequestTxn(_)) => {
                    nested.next().expect("each nested transaction has a plan").check(view)?;
                }
                Some(Request::RequestDeleteRange(_)) | None => {}
            }
        }
        Ok(())
    }
}

/// Compat: etcd: unlike outside of a transaction, a negative revision is not "now" but below the
/// history, once there is a compacted one.
fn check_range(view: &View<'_>, revision: i64) -> Result<(), EtcdError> {
    match revision {
        0 => Ok(()),
        _ if revision > view.revision => Err(EtcdError::FutureRevision),
        _ if revision < view.root.compacted => Err(EtcdError::Compacted),
        _ => Ok(()),
    }
}

/// Compat: etcd 3.7 finds an unknown lease before a missing key, alone and in transactions.
pub(crate) fn check_put(view: &View<'_>, put: &PutRequest) -> Result<(), EtcdError> {
    if put.lease != 0 && !view.root.leases.contains(LeaseId(put.lease)) {
        return Err(EtcdError::LeaseNotFound);
    }
    if (put.ignore_value || put.ignore_lease) && view.state(&put.key).is_none() {
        return Err(EtcdError::KeyNotFound);
    }
    Ok(())
}
