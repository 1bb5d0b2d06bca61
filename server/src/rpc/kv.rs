//! etcd's KV service.

use std::sync::Arc;

use proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp,
    TxnRequest, request_op,
};
use proto::log::command;
use proto::spliced;
use proto::status::EtcdError;
use services::etcdserverpb::kv_server::Kv;
use store::auth::Call;
use store::{Response, Revision, validate};
use tonic::{Request, Response as Answer, Status};

use super::range_stream::{RangeStream, check_streamable};
use crate::auth::Caller;
use crate::errors::{ServeError, status};
use crate::member::Member;

/// The KV service of one member.
pub(crate) struct KvDoor(pub(crate) Arc<Member>);

type Served<T> = Result<Answer<T>, Status>;

#[tonic::async_trait]
impl Kv for KvDoor {
    async fn range(&self, request: Request<RangeRequest>) -> Served<spliced::RangeResponse> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        if !request.serializable && self.0.is_learner() {
            return Err(status(EtcdError::NotSupportedForLearner));
        }
        validate::check_range(&request).map_err(status)?;
        let mut answer = self.0.range(&caller, request).await?;
        self.0.fill(&mut answer.header);
        Ok(Answer::new(answer))
    }

    type RangeStreamStream = RangeStream;

    async fn range_stream(&self, request: Request<RangeRequest>) -> Served<RangeStream> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        validate::check_range(&request).map_err(status)?;
        check_streamable(&request)?;
        if !request.serializable {
            self.0.read_index().await.map_err(ServeError::from)?;
        }
        let identity = self.0.authorize(&caller, Call::Range(&request)).await?;
        Ok(Answer::new(RangeStream::open(Arc::clone(&self.0), identity, request)))
    }

    async fn put(&self, request: Request<PutRequest>) -> Served<spliced::PutResponse> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        validate::check_put(&request).map_err(status)?;
        let outcome = self.0.propose(&caller, command::Request::Put(request)).await?;
        let Response::Put(mut answer) = outcome.response else { return Err(mismatched()) };
        self.0.fill(&mut answer.header);
        Ok(Answer::new(answer))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Served<spliced::DeleteRangeResponse> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        validate::check_delete(&request).map_err(status)?;
        let outcome = self.0.propose(&caller, command::Request::DeleteRange(request)).await?;
        let Response::DeleteRange(mut answer) = outcome.response else { return Err(mismatched()) };
        self.0.fill(&mut answer.header);
        Ok(Answer::new(answer))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Served<spliced::TxnResponse> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        validate::check_txn(&request, self.0.config().max_txn_ops).map_err(status)?;
        let mut answer = if reads_only(&request) {
            self.0.read_txn(&caller, request).await?
        } else {
            let outcome = self.0.propose(&caller, command::Request::Txn(request)).await?;
            let Response::Txn(answer) = outcome.response else { return Err(mismatched()) };
            answer
        };
        self.0.fill(&mut answer.header);
        Ok(Answer::new(answer))
    }

    async fn compact(&self, request: Request<CompactionRequest>) -> Served<CompactionResponse> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        let (revision, physical) = (Revision(request.revision), request.physical);
        self.0.propose(&caller, command::Request::Compaction(request)).await?;
        if physical {
            self.0.wait_physically_compacted(revision).await?;
        }
        Ok(Answer::new(CompactionResponse { header: Some(self.0.header()) }))
    }
}

/// Compat: etcd sends every nested transaction through the log, whatever is in it.
fn reads_only(request: &TxnRequest) -> bool {
    let nested = |operation: &RequestOp| {
        matches!(operation.request, Some(request_op::Request::RequestTxn(_)))
    };
    let any_nested = request.success.iter().chain(&request.failure).any(nested);
    !any_nested && validate::is_read_only(request)
}

/// The store answered a command with another command's answer: a defect, never the client's fault.
pub(crate) fn mismatched() -> Status {
    Status::internal("the answer does not belong to the request")
}
