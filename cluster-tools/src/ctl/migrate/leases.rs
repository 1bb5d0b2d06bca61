//! The source's leases, kept alive in the target as long as they live in the source.
//!
//! Invariant: a lease has the same id and the same time on both sides; the target's ends only after
//! the source's has ended. Afterwards the clients renew it themselves, by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proto::etcdserverpb as pb;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use super::BEAT;
use super::side::Side;
use crate::ToolError;

/// *Units*: seconds a lease gets in the target when the source has none of its id any more: the
/// deletion of its keys is on its way.
const ORPHAN_TTL_S: i64 = 60;

/// See the module's page.
#[derive(Default)]
pub(super) struct Leases {
    known: BTreeSet<i64>,
    renewed: Option<Instant>,
}

impl Leases {
    /// Takes over the leases that the target has already, so that none ends there by itself.
    pub(super) async fn adopt(&mut self, to: &Side) -> Result<(), ToolError> {
        let leases = to.lease().lease_leases(pb::LeaseLeasesRequest {}).await?.into_inner();
        self.known.extend(leases.leases.iter().map(|lease| lease.id));
        Ok(())
    }

    /// Grants a lease in the target, if it was not yet; 0: none is meant.
    pub(super) async fn ensure(
        &mut self,
        id: i64,
        from: &Side,
        to: &Side,
    ) -> Result<(), ToolError> {
        if id == 0 || self.known.contains(&id) {
            return Ok(());
        }
        let granted_s = time_to_live(from, id, false).await?.granted_ttl;
        let ttl = if granted_s > 0 { granted_s } else { ORPHAN_TTL_S };
        match to.lease().lease_grant(pb::LeaseGrantRequest { id, ttl }).await {
            Ok(_) => {}
            // An import, or a run before this one, brought it.
            Err(status) if status.code() == Code::FailedPrecondition => {}
            Err(status) => return Err(status.into()),
        }
        self.known.insert(id);
        Ok(())
    }

    /// Renews, unless it was done within the last beat.
    pub(super) async fn renew_when_due(&mut self, from: &Side, to: &Side) -> Result<(), ToolError> {
        match self.renewed {
            Some(at) if at.elapsed() < BEAT => Ok(()),
            _ => self.renew(from, to).await,
        }
    }

    /// Renews in the target what lives in the source, and ends what ended there.
    async fn renew(&mut self, from: &Side, to: &Side) -> Result<(), ToolError> {
        self.renewed = Some(Instant::now());
        let mut living: BTreeMap<i64, bool> = BTreeMap::new();
        for id in &self.known {
            living.insert(*id, time_to_live(from, *id, false).await?.ttl > 0);
        }
        let ended = living.iter().filter(|(_, lives)| !**lives).map(|(id, _)| *id);
        for id in ended.collect::<Vec<_>>() {
            // With keys on it, their deletion is still to be applied; it ends at a later beat.
            if time_to_live(to, id, true).await?.keys.is_empty() {
                let _ = to.lease().lease_revoke(pb::LeaseRevokeRequest { id }).await;
                self.known.remove(&id);
            }
        }
        let alive: Vec<_> = living.into_iter().filter(|(_, lives)| *lives).collect();
        if alive.is_empty() {
            return Ok(());
        }
        let requests = alive.into_iter().map(|(id, _)| pb::LeaseKeepAliveRequest { id });
        let requests: Vec<_> = requests.collect();
        Ok(to.channel().again(async || keep_alive(to, requests.clone()).await).await?)
    }
}

async fn keep_alive(to: &Side, requests: Vec<pb::LeaseKeepAliveRequest>) -> Result<(), Status> {
    let requests = tokio_stream::iter(requests);
    let mut answers = to.lease().lease_keep_alive(requests).await?.into_inner();
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok(())
}

async fn time_to_live(
    side: &Side,
    id: i64,
    keys: bool,
) -> Result<pb::LeaseTimeToLiveResponse, Status> {
    let request = pb::LeaseTimeToLiveRequest { id, keys };
    Ok(side.lease().lease_time_to_live(request).await?.into_inner())
}
