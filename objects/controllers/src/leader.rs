//! Leader election by a Lease: of several processes one works, the others stand by.
//!
//! Invariants: nobody's clock is compared with another's: a Lease has run out when it did not
//! change for its duration as seen from here. A leader that cannot renew stops working before
//! others may begin. Every step is a compare-and-set on the Lease's resourceVersion.
//!
//! Must not know: what the leader does.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::{Client, Resource};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::is_not_found;

/// The Lease's name in `kube-system`.
pub const LEASE_NAME: &str = "engram-controllers";
const LEASE_NAMESPACE: &str = "kube-system";

/// What the elected agree on.
#[derive(Debug, Clone)]
pub struct Election {
    /// Who this process is.
    pub identity: String,
    /// For how long a holder that does not renew keeps the Lease. At least 3 seconds.
    pub duration: Duration,
}

impl Election {
    /// Until when a holder must have renewed, or stop: two thirds, as Kubernetes has it.
    fn renew_deadline(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// How often the Lease is looked at.
    fn period(&self) -> Duration {
        self.duration * 2 / 15
    }
}

/// Waits for the Lease, runs `work` with a token that is cancelled when the Lease is lost or at
/// `shutdown`, gives the Lease back, and returns when `work` has.
pub async fn lead<F, W>(client: Client, election: Election, shutdown: CancellationToken, work: F)
where
    F: FnOnce(CancellationToken) -> W,
    W: Future<Output = ()>,
{
    let api = Api::<Lease>::namespaced(client, LEASE_NAMESPACE);
    let mut candidate = Candidate { api, election, seen: None };
    loop {
        match candidate.try_hold().await {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "the lease was not looked at"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(candidate.election.period()) => {}
        }
    }
    tracing::info!(identity = candidate.election.identity, "leading");
    let token = shutdown.child_token();
    let keep = async {
        candidate.keep(&token).await;
        token.cancel();
    };
    tokio::join!(work(token.clone()), keep);
    candidate.release().await;
}

struct Candidate {
    api: Api<Lease>,
    election: Election,
    /// The Lease's resourceVersion and when it was first seen here.
    seen: Option<(String, Instant)>,
}

impl Candidate {
    /// Renews until the deadline is missed or `stop`.
    async fn keep(&mut self, stop: &CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.election.period()) => {}
            }
            let deadline = renewed + self.election.renew_deadline();
            match tokio::time::timeout_at(deadline, self.try_hold()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return tracing::warn!("the lease was taken by another"),
                Ok(Err(error)) => tracing::debug!(%error, "the lease was not renewed"),
                Err(_) => {}
            }
            if renewed.elapsed() >= self.election.renew_deadline() {
                return tracing::warn!("the lease could not be renewed in time");
            }
        }
    }

    /// Takes or renews the Lease if that is allowed; whether it is held now.
    async fn try_hold(&mut self) -> Result<bool, kube::Error> {
        let lease = match self.api.get(LEASE_NAME).await {
            Ok(lease) => lease,
            Err(error) if is_not_found(&error) => return self.create().await,
            Err(error) => return Err(error),
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let mine = holder == self.election.identity;
        if !mine && !holder.is_empty() && !self.ran_out(&lease, &spec) {
            return Ok(false);
        }
        let mut wanted = lease;
        wanted.spec = Some(self.held(&spec, mine));
        match self.api.replace(LEASE_NAME, &PostParams::default(), &wanted).await {
            Ok(_) => Ok(true),
            Err(error) if crate::error::is_conflict(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn ran_out(&mut self, lease: &Lease, spec: &LeaseSpec) -> bool {
        let version = lease.meta().resource_version.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => {
                self.seen = Some((version, Instant::now()));
                Instant::now()
            }
        };
        let seconds = spec.lease_duration_seconds.unwrap_or_default();
        since.elapsed() >= Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    async fn create(&self) -> Result<bool, kube::Error> {
        let lease = Lease {
            metadata: ObjectMeta { name: Some(LEASE_NAME.into()), ..ObjectMeta::default() },
            spec: Some(self.held(&LeaseSpec::default(), false)),
        };
        match self.api.create(&PostParams::default(), &lease).await {
            Ok(_) => Ok(true),
            Err(error) if crate::error::is_already_exists(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn held(&self, before: &LeaseSpec, mine: bool) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let transitions = before.lease_transitions.unwrap_or_default();
        let first = before.holder_identity.is_none();
        LeaseSpec {
            holder_identity: Some(self.election.identity.clone()),
            lease_duration_seconds: i32::try_from(self.election.duration.as_secs()).ok(),
            acquire_time: if mine { before.acquire_time.clone() } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if mine || first { transitions } else { transitions + 1 }),
            ..before.clone()
        }
    }

    /// Lets the next one begin at once. A failure only makes it wait.
    async fn release(&self) {
        let Ok(mut lease) = self.api.get(LEASE_NAME).await else { return };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(self.election.identity.as_str()) {
            return;
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        let _ = self.api.replace(LEASE_NAME, &PostParams::default(), &lease).await;
    }
}
