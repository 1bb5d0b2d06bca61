//! etcd's Maintenance service.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use proto::etcdserverpb as pb;
use proto::log::command;
use proto::status::EtcdError;
use raft::TransferError;
use services::etcdserverpb::maintenance_server::Maintenance;
use store::auth::Call;
use store::{MemberId, Response, Revision};
use tonic::{Request, Response as Answer, Status};

use super::kv::mismatched;
use crate::auth::Caller;
use crate::errors::{ServeError, status};
use crate::member::Member;
use crate::snapshot;
use crate::version::{ETCD_VERSION, STORAGE_VERSION};

/// The Maintenance service of one member.
pub(crate) struct MaintenanceDoor(pub(crate) Arc<Member>);

type Snapshots = Pin<Box<dyn Stream<Item = Result<pb::SnapshotResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Maintenance for MaintenanceDoor {
    async fn alarm(
        &self,
        request: Request<pb::AlarmRequest>,
    ) -> Result<Answer<pb::AlarmResponse>, Status> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        let outcome = self.0.propose(&caller, command::Request::Alarm(request)).await?;
        let Response::Alarm(mut answer) = outcome.response else { return Err(mismatched()) };
        self.0.fill(&mut answer.header);
        Ok(Answer::new(answer))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Answer<pb::StatusResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Status).await?;
        Ok(Answer::new(member_status(&self.0)))
    }

    async fn defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<Answer<pb::DefragmentResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        tracing::info!("starting defragment");
        self.0.read_blocking(|reader| reader.reclaim()).await.map_err(ServeError::from)?;
        tracing::info!("finished defragment");
        // Compat: etcd answers without a header.
        Ok(Answer::new(pb::DefragmentResponse { header: None }))
    }

    async fn hash(
        &self,
        request: Request<pb::HashRequest>,
    ) -> Result<Answer<pb::HashResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        let revision = self.0.reader().revision();
        let hash = self.0.read_blocking(|reader| reader.hash()).await.map_err(ServeError::from)?;
        Ok(Answer::new(pb::HashResponse { header: Some(self.0.header_at(revision)), hash }))
    }

    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Answer<pb::HashKvResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        let revision = Revision(request.into_inner().revision);
        let current = self.0.reader().revision();
        let answer = self.0.read_blocking(move |reader| reader.hash_kv(revision)).await;
        let answer = answer.map_err(ServeError::from)?;
        Ok(Answer::new(pb::HashKvResponse {
            header: Some(self.0.header_at(current)),
            hash: answer.hash,
            compact_revision: answer.compact_revision.0,
            hash_revision: answer.hash_revision.0,
        }))
    }

    type SnapshotStream = Snapshots;

    async fn snapshot(
        &self,
        request: Request<pb::SnapshotRequest>,
    ) -> Result<Answer<Snapshots>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        Ok(Answer::new(Box::pin(snapshot::stream(&self.0).await?)))
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Answer<pb::MoveLeaderResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        let target = MemberId(request.into_inner().target_id);
        if !self.0.leadership().is_leader {
            return Err(status(EtcdError::NotLeader));
        }
        let consensus = self.0.consensus();
        let known = consensus.members().into_iter().any(|m| m.id == target && !m.is_learner);
        if !known {
            return Err(status(EtcdError::BadLeaderTransferee));
        }
        // Compat: a leader that is asked to keep its office has nothing to do.
        if target.0 != self.0.ids().member_id {
            consensus.transfer_leader(Some(target)).await.map_err(not_moved)?;
        }
        // Compat: etcd answers without a header.
        Ok(Answer::new(pb::MoveLeaderResponse { header: None }))
    }

    async fn downgrade(
        &self,
        request: Request<pb::DowngradeRequest>,
    ) -> Result<Answer<pb::DowngradeResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::Administration).await?;
        super::downgrade::downgrade(&self.0, request.get_ref()).await.map(Answer::new)
    }
}

/// Compat: etcd's word for an office that nobody took is in none of its tables.
fn not_moved(error: TransferError) -> Status {
    match error {
        TransferError::TimedOut => {
            Status::unknown("etcdserver: request timed out, leader transfer took too long")
        }
        other => ServeError::from(other).into(),
    }
}

fn member_status(member: &Member) -> pb::StatusResponse {
    let leadership = member.leadership();
    let raft = member.consensus().metrics();
    let sizes = member.reader().sizes();
    let mut errors = Vec::new();
    if leadership.leader.is_none() {
        errors.push(EtcdError::NoLeader.message().to_owned());
    }
    errors.extend(member.reader().alarms().iter().map(alarm_text));
    pb::StatusResponse {
        header: Some(member.header()),
        version: ETCD_VERSION.to_owned(),
        // Compat: etcdctl divides by it, so it is never 0.
        db_size: i64::try_from(sizes.total_bytes.max(1)).unwrap_or(i64::MAX),
        db_size_in_use: i64::try_from(sizes.in_use_bytes).unwrap_or(i64::MAX),
        leader: leadership.leader.map_or(0, |leader| leader.0),
        raft_index: raft.committed_index,
        raft_applied_index: raft.applied_index,
        raft_term: leadership.term,
        errors,
        is_learner: member.is_learner(),
        storage_version: STORAGE_VERSION.to_owned(),
        db_size_quota: i64::try_from(member.config().quota_backend_bytes).unwrap_or(i64::MAX),
        downgrade_info: Some(downgrade_info(member)),
    }
}

fn downgrade_info(member: &Member) -> pb::DowngradeInfo {
    match member.reader().downgrade_target() {
        Some(target_version) => pb::DowngradeInfo { enabled: true, target_version },
        None => pb::DowngradeInfo::default(),
    }
}

/// Compat: an alarm as Go prints the message; zero fields are left out.
fn alarm_text(alarm: &pb::AlarmMember) -> String {
    let kind = pb::AlarmType::try_from(alarm.alarm).map_or("", |kind| kind.as_str_name());
    let mut parts = Vec::new();
    if alarm.member_id != 0 {
        parts.push(format!("memberID:{}", alarm.member_id));
    }
    if alarm.alarm != 0 {
        parts.push(format!("alarm:{kind}"));
    }
    parts.join(" ")
}
