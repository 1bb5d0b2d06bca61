//! etcd's Lock service: a lock is the first place in its name's queue.
//!
//! Compat: as etcd's, a lock is no fence: who holds it must still check the revision of its key,
//! for its lease may have ended meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use services::v3lockpb::lock_server::Lock;
use tonic::{Request, Response as Answer, Status};

use super::waiting::{Waiting, untyped};
use crate::coordination::{OwnClient, Place, prefix_of};
use crate::member::Member;

/// The Lock service of one member.
pub(crate) struct LockDoor(pub(crate) Arc<Member>);

#[tonic::async_trait]
impl Lock for LockDoor {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Answer<LockResponse>, Status> {
        lock(&self.0, request).await.map(Answer::new).map_err(untyped)
    }

    async fn unlock(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Answer<UnlockResponse>, Status> {
        let (client, request) = OwnClient::of(&self.0, request);
        let header = client.delete(request.key).await.map_err(untyped)?;
        Ok(Answer::new(UnlockResponse { header }))
    }
}

async fn lock(member: &Arc<Member>, request: Request<LockRequest>) -> Result<LockResponse, Status> {
    let (client, request) = OwnClient::of(member, request);
    let lease = client.session(request.lease).await?;
    let prefix = prefix_of(&request.name);
    let taken = Place::take(&client, &prefix, lease, Bytes::new()).await?;
    let key = taken.place.key.clone();
    if taken.first.is_none_or(|first| first == taken.place.made_at) {
        return Ok(LockResponse { header: Some(taken.header), key });
    }
    let waiting = Waiting::new(client, taken.place);
    waiting.until(waiting.place.wait_for_turn(&waiting.client, &prefix)).await?;
    // The lease may have ended while others had their turn.
    let found = waiting.until(waiting.client.first(waiting.place.read())).await?;
    waiting.done();
    match found.first {
        Some(_) => Ok(LockResponse { header: Some(found.header), key }),
        None => Err(Status::unknown("mutex: session is expired")),
    }
}
