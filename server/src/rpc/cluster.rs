//! etcd's Cluster service: the list of members, and its changes.

use std::sync::Arc;

use proto::etcdserverpb as pb;
use proto::peer::ask_leader_request::Request as Question;
use proto::peer::ask_leader_response::Response as Answered;
use proto::status::EtcdError;
use services::etcdserverpb::cluster_server::Cluster;
use store::auth::Call;
use tonic::{Request, Response as Answer, Status};

use super::kv::mismatched;
use crate::auth::Caller;
use crate::errors::{ServeError, status};
use crate::member::Member;
use crate::members;

/// The Cluster service of one member.
pub(crate) struct ClusterDoor(pub(crate) Arc<Member>);

impl ClusterDoor {
    async fn change<T>(
        &self,
        request: Request<T>,
        question: fn(T) -> Question,
    ) -> Result<Answered, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        members::change(&self.0, question(request.into_inner())).await.map_err(refusal)
    }

    fn header(&self) -> Option<pb::ResponseHeader> {
        Some(self.0.header_without_revision())
    }
}

/// Compat: etcd hands this one error out in its clients' form, which has no code on the wire.
fn refusal(error: ServeError) -> Status {
    match error {
        ServeError::Etcd(error @ EtcdError::MemberNotEnoughStarted) => {
            Status::unknown(error.message())
        }
        other => other.into(),
    }
}

#[tonic::async_trait]
impl Cluster for ClusterDoor {
    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Answer<pb::MemberAddResponse>, Status> {
        // Compat: etcd reads them before it asks who wants this.
        members::read_peer_urls(&request.get_ref().peer_urls).map_err(status)?;
        match self.change(request, Question::MemberAdd).await? {
            Answered::MemberAdd(answer) => {
                Ok(Answer::new(pb::MemberAddResponse { header: self.header(), ..answer }))
            }
            _ => Err(mismatched()),
        }
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Answer<pb::MemberRemoveResponse>, Status> {
        match self.change(request, Question::MemberRemove).await? {
            Answered::MemberRemove(answer) => {
                Ok(Answer::new(pb::MemberRemoveResponse { header: self.header(), ..answer }))
            }
            _ => Err(mismatched()),
        }
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Answer<pb::MemberUpdateResponse>, Status> {
        match self.change(request, Question::MemberUpdate).await? {
            Answered::MemberUpdate(answer) => {
                Ok(Answer::new(pb::MemberUpdateResponse { header: self.header(), ..answer }))
            }
            _ => Err(mismatched()),
        }
    }

    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Answer<pb::MemberListResponse>, Status> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        if request.linearizable {
            self.0.read_index().await.map_err(ServeError::from)?;
        }
        self.0.authorize(&caller, Call::MemberList).await?;
        let members = members::list(&self.0);
        Ok(Answer::new(pb::MemberListResponse { header: self.header(), members }))
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Answer<pb::MemberPromoteResponse>, Status> {
        match self.change(request, Question::MemberPromote).await? {
            Answered::MemberPromote(answer) => {
                Ok(Answer::new(pb::MemberPromoteResponse { header: self.header(), ..answer }))
            }
            _ => Err(mismatched()),
        }
    }
}
