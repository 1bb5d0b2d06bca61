//! Leases for objects that expire: one for many objects.
//!
//! Invariant: an object lives at least as long as it asked for, and at most a little longer.
//!
//! *Source*: kube-apiserver shares a lease for 60 s or a twentieth of the time to live, whichever
//! is less, and for 1,000 objects.
//!
//! Must not know: what expires.

use std::collections::HashMap;
use std::time::Duration;

use proto::etcdserverpb::LeaseGrantRequest;
use proto::status::EtcdError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::calls::Calls;
use crate::storage::StorageError;

const SHARED_SECONDS_MAX: u64 = 60;
const SHARED_OBJECTS_MAX: u32 = 1000;

/// The leases in use, by the time to live that was asked for.
#[derive(Default)]
pub(super) struct Leases {
    granted: Mutex<HashMap<u64, Lease>>,
}

struct Lease {
    id: i64,
    /// Until when further objects may be put on it.
    shared_until: Instant,
    objects: u32,
}

impl Leases {
    /// A lease that lasts for `ttl` from now.
    ///
    /// One caller grants and the others wait for it, or a burst of events would grant a lease each.
    pub(super) async fn lease(&self, calls: &Calls, ttl: Duration) -> Result<i64, StorageError> {
        let seconds = ttl.as_secs().max(1);
        let mut granted = self.granted.lock().await;
        let now = Instant::now();
        if let Some(lease) = granted.get_mut(&seconds)
            && now < lease.shared_until
            && lease.objects < SHARED_OBJECTS_MAX
        {
            lease.objects += 1;
            return Ok(lease.id);
        }
        let shared = (seconds / 20).min(SHARED_SECONDS_MAX);
        let ttl = i64::try_from(seconds + shared).unwrap_or(i64::MAX);
        let answer = calls.grant(LeaseGrantRequest { ttl, id: 0 }).await?;
        // Counted from before the grant: the store's time began later.
        let shared_until = now + Duration::from_secs(shared);
        granted.insert(seconds, Lease { id: answer.id, shared_until, objects: 1 });
        Ok(answer.id)
    }

    /// Uses a lease no more.
    pub(super) async fn forget(&self, id: i64) {
        self.granted.lock().await.retain(|_, lease| lease.id != id);
    }
}

/// Whether a write failed because its lease does not exist, so that nothing was written.
pub(super) fn is_gone(error: &StorageError) -> bool {
    let gone = EtcdError::LeaseNotFound.message();
    matches!(error, StorageError::Refused { reason } if reason == gone)
}
