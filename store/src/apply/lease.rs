//! Leases: granted, revoked, checkpointed. Times come with the commands; there is no clock here.

use proto::etcdserverpb::{LeaseCheckpointRequest, LeaseGrantRequest, LeaseRevokeRequest};
use proto::status::EtcdError;

use super::{Applying, Refusal};
use crate::codec;
use crate::engine::Space;
use crate::layout::lease_name;
use crate::limits::LEASE_TTL_MAX_S;
use crate::outcome::Response;
use crate::records::LeaseRecord;
use crate::types::LeaseId;

impl Applying {
    /// The door picks an id for 0 and raises the time to its minimum before it proposes. Any other
    /// id is legal, a negative one too.
    pub(super) fn lease_grant(&mut self, grant: &LeaseGrantRequest) -> Result<Response, Refusal> {
        let id = LeaseId(grant.id);
        if id == LeaseId(0) {
            return Err(EtcdError::LeaseNotFound.into());
        }
        if grant.ttl > LEASE_TTL_MAX_S {
            return Err(EtcdError::LeaseTtlTooLarge.into());
        }
        if self.root.leases.contains(id) {
            return Err(EtcdError::LeaseExists.into());
        }
        self.set_lease(id, LeaseRecord { granted_ttl_s: grant.ttl, remaining_ttl_s: 0 });
        Ok(Response::LeaseGrant { id, ttl: grant.ttl })
    }

    /// The keys go in sorted order, in one revision; no keys, no revision.
    pub(super) fn lease_revoke(
        &mut self,
        revoke: &LeaseRevokeRequest,
    ) -> Result<Response, Refusal> {
        let id = LeaseId(revoke.id);
        if !self.root.leases.contains(id) {
            return Err(EtcdError::LeaseNotFound.into());
        }
        for key in self.root.leases.keys(id) {
            self.write_tombstone(&key);
        }
        self.root.leases.remove(id);
        self.delete_row(Space::Leases, &lease_name(id));
        Ok(Response::LeaseRevoke)
    }

    /// Records what time is left; 0 is the full time again. A lease revoked meanwhile is passed
    /// over.
    pub(super) fn lease_checkpoint(
        &mut self,
        checkpoint: &LeaseCheckpointRequest,
    ) -> Result<Response, Refusal> {
        for checkpoint in &checkpoint.checkpoints {
            let id = LeaseId(checkpoint.id);
            if let Some(lease) = self.root.leases.get(id) {
                let granted_ttl_s = lease.granted_ttl_s;
                let remaining_ttl_s = checkpoint.remaining_ttl.min(granted_ttl_s).max(0);
                self.set_lease(id, LeaseRecord { granted_ttl_s, remaining_ttl_s });
            }
        }
        Ok(Response::LeaseCheckpoint)
    }

    fn set_lease(&mut self, id: LeaseId, record: LeaseRecord) {
        self.root.leases.set(id, record);
        self.write_row(Space::Leases, &lease_name(id), codec::encode(&record));
    }
}
