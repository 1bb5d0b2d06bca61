//! etcd's Cluster service: the list of members. Members cannot be changed yet.

use std::collections::HashMap;
use std::sync::Arc;

use proto::etcdserverpb as pb;
use services::etcdserverpb::cluster_server::Cluster;
use store::auth::Call;
use tonic::{Request, Response as Answer, Status};

use super::not_yet;
use crate::auth::Caller;
use crate::errors::ServeError;
use crate::member::Member;

/// The Cluster service of one member.
pub(crate) struct ClusterDoor(pub(crate) Arc<Member>);

#[tonic::async_trait]
impl Cluster for ClusterDoor {
    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Answer<pb::MemberAddResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        not_yet("MemberAdd")
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Answer<pb::MemberRemoveResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        not_yet("MemberRemove")
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Answer<pb::MemberUpdateResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        not_yet("MemberUpdate")
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
        let header = Some(self.0.header_without_revision());
        Ok(Answer::new(pb::MemberListResponse { header, members: members(&self.0) }))
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Answer<pb::MemberPromoteResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        not_yet("MemberPromote")
    }
}

/// Ids and peer URLs come from the membership, names and client URLs from what members published.
fn members(member: &Member) -> Vec<pb::Member> {
    let mut published: HashMap<u64, _> =
        member.reader().members().into_iter().map(|said| (said.member_id, said)).collect();
    let mut members: Vec<pb::Member> = member
        .consensus()
        .members()
        .into_iter()
        .map(|known| {
            let said = published.remove(&known.id.0).unwrap_or_default();
            pb::Member {
                id: known.id.0,
                name: said.name,
                peer_urls: known.peer_urls,
                client_urls: said.client_urls,
                is_learner: known.is_learner,
            }
        })
        .collect();
    members.sort_by_key(|member| member.id);
    members
}
