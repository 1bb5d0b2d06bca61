//! etcd's Lease service.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use proto::log::command;
use proto::status::EtcdError;
use services::etcdserverpb::lease_server::Lease;
use store::auth::Call;
use store::{LeaseId, Response, validate};
use tonic::{Request, Response as Answer, Status, Streaming};

use super::kv::mismatched;
use crate::auth::Caller;
use crate::doors::StreamEnd;
use crate::errors::status;
use crate::member::Member;

/// The Lease service of one member.
pub(crate) struct LeaseDoor(pub(crate) Arc<Member>);

type KeepAlives = Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Lease for LeaseDoor {
    async fn lease_grant(
        &self,
        request: Request<LeaseGrantRequest>,
    ) -> Result<Answer<LeaseGrantResponse>, Status> {
        let (caller, mut request) = (Caller::of(&request), request.into_inner());
        if let Err(refused) = validate::check_lease_grant(&request) {
            // Compat: etcd asks first who it is, then whether there is room.
            self.0.authorize(&caller, Call::LeaseGrant).await?;
            let full = self.0.reader().check_alarms(&command::Request::LeaseGrant(request));
            return Err(status(full.err().unwrap_or(refused)));
        }
        request.ttl = request.ttl.max(self.0.config().min_lease_ttl_s());
        while request.id == 0 {
            request.id = self.0.new_lease_id().0;
        }
        let outcome = self.0.propose(&caller, command::Request::LeaseGrant(request)).await?;
        let Response::LeaseGrant { id, ttl } = outcome.response else { return Err(mismatched()) };
        Ok(Answer::new(LeaseGrantResponse {
            header: Some(self.0.header_at(outcome.revision)),
            id: id.0,
            ttl,
            error: String::new(),
        }))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Answer<LeaseRevokeResponse>, Status> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        let outcome = self.0.propose(&caller, command::Request::LeaseRevoke(request)).await?;
        Ok(Answer::new(LeaseRevokeResponse { header: Some(self.0.header_at(outcome.revision)) }))
    }

    type LeaseKeepAliveStream = KeepAlives;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Answer<KeepAlives>, Status> {
        let stream = OpenKeepAlive {
            member: Arc::clone(&self.0),
            caller: Caller::of(&request),
            end: StreamEnd::of(&self.0, request.metadata()),
            requests: request.into_inner(),
        };
        Ok(Answer::new(Box::pin(futures::stream::unfold(Some(stream), OpenKeepAlive::step))))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Answer<LeaseTimeToLiveResponse>, Status> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        let call = Call::LeaseTimeToLive { id: LeaseId(request.id), keys: request.keys };
        let users = self.0.reader().auth_revision();
        self.0.authorize(&caller, call).await?;
        let mut answer = self.0.leases().time_to_live(&self.0, request).await?;
        // Compat: keys that were listed while users changed are not told.
        let reader = self.0.reader();
        if request.keys && reader.auth_enabled() && reader.auth_revision() != users {
            return Err(status(EtcdError::AuthOldRevision));
        }
        answer.header = Some(self.0.header());
        Ok(Answer::new(answer))
    }

    async fn lease_leases(
        &self,
        request: Request<LeaseLeasesRequest>,
    ) -> Result<Answer<LeaseLeasesResponse>, Status> {
        self.0.authorize(&Caller::of(&request), Call::LeaseLeases).await?;
        let ids = self.0.leases().in_order_of_expiry(self.0.reader());
        let leases = ids.into_iter().map(|LeaseId(id)| LeaseStatus { id }).collect();
        Ok(Answer::new(LeaseLeasesResponse { header: Some(self.0.header()), leases }))
    }
}

/// One keep-alive stream: requests are answered one after the other, as etcd does.
struct OpenKeepAlive {
    member: Arc<Member>,
    caller: Caller,
    end: StreamEnd,
    requests: Streaming<LeaseKeepAliveRequest>,
}

type Step = Option<(Result<LeaseKeepAliveResponse, Status>, Option<OpenKeepAlive>)>;

impl OpenKeepAlive {
    async fn step(stream: Option<Self>) -> Step {
        let mut stream = stream?;
        match stream.next().await {
            Ok(Some(answer)) => Some((Ok(answer), Some(stream))),
            Ok(None) => None,
            Err(end) => Some((Err(end), None)),
        }
    }

    async fn next(&mut self) -> Result<Option<LeaseKeepAliveResponse>, Status> {
        let renewed = async {
            let Some(request) = self.requests.message().await? else { return Ok(None) };
            // Order: the header is filled before the renewal, so that its revision is never above
            // a revision at which the lease was already gone.
            let header = Some(self.member.header());
            let id = request.id;
            let call = Call::LeaseKeepAlive(LeaseId(id));
            self.member.authorize(&self.caller, call).await?;
            let ttl = self.member.leases().keep_alive(&self.member, LeaseId(id)).await?;
            Ok(Some(LeaseKeepAliveResponse { header, id, ttl }))
        };
        tokio::select! {
            biased;
            end = self.end.reached() => Err(end),
            answer = renewed => answer,
        }
    }
}
