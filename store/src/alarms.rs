//! What raised alarms forbid, to everybody.
//!
//! Must not know: who asks.

use proto::etcdserverpb::request_op::Request as Operation;
use proto::etcdserverpb::{AlarmType, RequestOp, TxnRequest};
use proto::log::command;
use proto::status::EtcdError;

use crate::root::Root;

impl Root {
    /// Compat: etcd: with a full database what adds is refused, with a corrupt one whatever touches
    /// data.
    pub(crate) fn check_alarms(&self, request: &command::Request) -> Result<(), EtcdError> {
        use command::Request;
        if self.alarms.is_empty() {
            return Ok(());
        }
        if self.has_alarm(AlarmType::Corrupt.into()) {
            return match request {
                Request::Put(_)
                | Request::DeleteRange(_)
                | Request::Txn(_)
                | Request::Compaction(_)
                | Request::LeaseGrant(_)
                | Request::LeaseRevoke(_) => Err(EtcdError::Corrupt),
                _ => Ok(()),
            };
        }
        let adds = match request {
            Request::Put(_) | Request::LeaseGrant(_) => true,
            Request::Txn(txn) => puts_something(txn),
            _ => false,
        };
        match adds && self.has_alarm(AlarmType::Nospace.into()) {
            true => Err(EtcdError::NoSpace),
            false => Ok(()),
        }
    }
}

/// Whether either branch, however deep, holds a put.
fn puts_something(txn: &TxnRequest) -> bool {
    let puts = |operation: &RequestOp| match &operation.request {
        Some(Operation::RequestPut(_)) => true,
        Some(Operation::RequestTxn(txn)) => puts_something(txn),
        _ => false,
    };
    txn.success.iter().any(puts) || txn.failure.iter().any(puts)
}
