//! etcd's Lock and Election services: known, refused.

use std::pin::Pin;

use futures::Stream;
use proto::{v3electionpb, v3lockpb};
use services::v3electionpb::election_server::Election;
use services::v3lockpb::lock_server::Lock;
use tonic::{Request, Response as Answer, Status};

use super::not_yet;

/// The Lock service.
pub(crate) struct LockDoor;

#[tonic::async_trait]
impl Lock for LockDoor {
    async fn lock(
        &self,
        _: Request<v3lockpb::LockRequest>,
    ) -> Result<Answer<v3lockpb::LockResponse>, Status> {
        not_yet("Lock")
    }

    async fn unlock(
        &self,
        _: Request<v3lockpb::UnlockRequest>,
    ) -> Result<Answer<v3lockpb::UnlockResponse>, Status> {
        not_yet("Unlock")
    }
}

/// The Election service.
pub(crate) struct ElectionDoor;

type Leaders = Pin<Box<dyn Stream<Item = Result<v3electionpb::LeaderResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Election for ElectionDoor {
    async fn campaign(
        &self,
        _: Request<v3electionpb::CampaignRequest>,
    ) -> Result<Answer<v3electionpb::CampaignResponse>, Status> {
        not_yet("Campaign")
    }

    async fn proclaim(
        &self,
        _: Request<v3electionpb::ProclaimRequest>,
    ) -> Result<Answer<v3electionpb::ProclaimResponse>, Status> {
        not_yet("Proclaim")
    }

    async fn leader(
        &self,
        _: Request<v3electionpb::LeaderRequest>,
    ) -> Result<Answer<v3electionpb::LeaderResponse>, Status> {
        not_yet("Leader")
    }

    type ObserveStream = Leaders;

    async fn observe(
        &self,
        _: Request<v3electionpb::LeaderRequest>,
    ) -> Result<Answer<Leaders>, Status> {
        not_yet("Observe")
    }

    async fn resign(
        &self,
        _: Request<v3electionpb::ResignRequest>,
    ) -> Result<Answer<v3electionpb::ResignResponse>, Status> {
        not_yet("Resign")
    }
}
