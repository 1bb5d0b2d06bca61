//! Transactions: a plan, its checks, then the operations of the taken branches.

use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{RangeRequest, TxnRequest};
use proto::spliced;
use proto::spliced::response_op;

use super::{Applying, Refusal};
use crate::outcome::{Answers, Response};
use crate::plan::Plan;
use crate::range;

impl Applying {
    pub(super) fn txn(&mut self, txn: &TxnRequest) -> Result<Response, Refusal> {
        let plan = Plan::of(&self.view(), txn)?;
        plan.check(&self.view())?;
        let mut response = self.run(&plan)?;
        response.header = Some(range::header(self.visible_revision()));
        Ok(Response::Txn(response))
    }

    /// Compat: etcd leaves the revision in the header of a nested transaction at 0.
    fn run(&mut self, plan: &Plan<'_>) -> Result<spliced::TxnResponse, Refusal> {
        let mut responses = Vec::with_capacity(plan.operations.len());
        let mut nested = plan.nested.iter();
        for operation in plan.operations {
            let response = match &operation.request {
                Some(Request::RequestRange(range)) => self.txn_range(range)?,
                Some(Request::RequestPut(put)) => {
                    response_op::Response::ResponsePut(self.checked_put(put)?)
                }
                Some(Request::RequestDeleteRange(delete)) => {
                    response_op::Response::ResponseDeleteRange(self.checked_delete(delete)?)
                }
                Some(Request::RequestTxn(_)) => {
                    let plan = nested.next().expect("each nested transaction has a plan");
                    response_op::Response::ResponseTxn(self.run(plan)?)
                }
                None => {
                    responses.push(spliced::ResponseOp { response: None });
                    continue;
                }
            };
            responses.push(spliced::ResponseOp { response: Some(response) });
        }
        let header = Some(range::header(0));
        Ok(spliced::TxnResponse { header, succeeded: plan.succeeded, responses })
    }

    /// A range sees the transaction's earlier writes. It was checked, so it cannot fail but for the
    /// disk.
    fn txn_range(&self, request: &RangeRequest) -> Result<response_op::Response, Refusal> {
        let response = match self.answers {
            Answers::Materialise => range::range(&self.view(), request)?,
            Answers::Skip => spliced::RangeResponse::default(),
        };
        Ok(response_op::Response::ResponseRange(response))
    }
}
