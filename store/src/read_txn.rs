//! Transactions that only read: answered from a root, without the log.

use proto::etcdserverpb::TxnRequest;
use proto::etcdserverpb::request_op::Request;
use proto::spliced;
use proto::spliced::response_op::Response;
use proto::status::EtcdError;

use crate::plan::Plan;
use crate::range;
use crate::view::{View, ViewError};

/// Answers a transaction without writes; empty operations, which doors refuse, answer nothing.
pub(crate) fn read_txn(
    view: &View<'_>,
    txn: &TxnRequest,
) -> Result<spliced::TxnResponse, ViewError> {
    let plan = Plan::of(view, txn)?;
    plan.check(view).map_err(|error| match error {
        EtcdError::FutureRevision => ViewError::FutureRevision,
        _ => ViewError::Compacted,
    })?;
    let mut response = run(view, &plan)?;
    response.header = Some(range::header(view.revision));
    Ok(response)
}

fn run(view: &View<'_>, plan: &Plan<'_>) -> Result<spliced::TxnResponse, ViewError> {
    let mut nested = plan.nested.iter();
    let mut responses = Vec::with_capacity(plan.operations.len());
    for operation in plan.operations {
        let response = match &operation.request {
            Some(Request::RequestRange(request)) => {
                Some(Response::ResponseRange(range::range(view, request)?))
            }
            Some(Request::RequestTxn(_)) => {
                let plan = nested.next().expect("each nested transaction has a plan");
                Some(Response::ResponseTxn(run(view, plan)?))
            }
            Some(Request::RequestPut(_) | Request::RequestDeleteRange(_)) | None => None,
        };
        responses.push(spliced::ResponseOp { response });
    }
    let header = Some(range::header(0));
    Ok(spliced::TxnResponse { header, succeeded: plan.succeeded, responses })
}
