//! Who leads, as far as this member can prove it now.
//!
//! The one place that answers the question: a leader counts as one only while a quorum acknowledged
//! it within the lease, a follower names a leader only while it hears from it. openraft's isolated
//! leader does not step down by itself, so its own state is no proof.
//!
//! Must not know: who asks (keep-alive, expiry, status, health, metrics, reads and proposals all
//! do).

use std::time::Duration;

use parking_lot::Mutex;
use store::MemberId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Timing;
use crate::types::{Metrics, TypeConfig};
use openraft::ServerState;

/// Who leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The leader a quorum follows; `None` when there is no proof of one.
    pub leader: Option<MemberId>,
    /// The newest term this member knows.
    pub term: u64,
    /// Whether this member is that leader.
    pub is_leader: bool,
}

/// A follower's memory of the last sign of life of a leader.
#[derive(Default)]
pub(crate) struct Contact {
    last: Mutex<Option<(u64, u64, Instant)>>,
}

impl Contact {
    /// The leader of `term` was heard and accepted just now.
    pub(crate) fn heard(&self, term: u64, leader: u64) {
        *self.last.lock() = Some((term, leader, Instant::now()));
    }

    fn age(&self, term: u64, leader: u64) -> Option<Duration> {
        let last = *self.last.lock();
        last.filter(|(heard_term, heard, _)| (*heard_term, *heard) == (term, leader))
            .map(|(_, _, at)| at.elapsed())
    }
}

/// Derives the leadership from what the core reports and what was heard.
pub(crate) fn derive(metrics: &Metrics, contact: &Contact, timing: Timing) -> Leadership {
    let term = metrics.current_term;
    let nobody = Leadership { leader: None, term, is_leader: false };
    let Some(leader) = metrics.current_leader else { return nobody };
    let is_leader = metrics.state == ServerState::Leader && leader == metrics.id;
    let proven = if is_leader {
        is_sole_voter(metrics) || is_acknowledged(metrics, timing.lease())
    } else {
        let patience = timing.patience();
        leader != metrics.id && contact.age(term, leader).is_some_and(|age| age < patience)
    };
    if !proven {
        return nobody;
    }
    Leadership { leader: Some(MemberId(leader)), term, is_leader }
}

/// Whether this member is the only one whose vote counts.
pub(crate) fn is_sole_voter(metrics: &Metrics) -> bool {
    let mut voters = metrics.membership_config.voter_ids();
    voters.next() == Some(metrics.id) && voters.next().is_none()
}

fn is_acknowledged(metrics: &Metrics, lease: Duration) -> bool {
    use openraft::Instant as _;
    let acked = metrics.last_quorum_acked.map(openraft::metrics::SerdeInstant::into_inner);
    acked.is_some_and(|at| at.elapsed() < lease)
}

/// Keeps `changes` at the derived leadership: looks when the core reports and, because proofs
/// expire in silence, once each `interval`. Ends with the core.
pub(crate) async fn observe(
    mut metrics: MetricsWatch,
    contact: std::sync::Arc<Contact>,
    timing: Timing,
    interval: Duration,
    changes: watch::Sender<Leadership>,
) {
    use openraft::async_runtime::WatchReceiver as _;
    loop {
        let now = derive(&metrics.borrow_watched(), &contact, timing);
        changes.send_if_modified(|before| std::mem::replace(before, now) != now);
        if let Ok(Err(_)) = tokio::time::timeout(interval, metrics.changed()).await {
            break;
        }
    }
    changes.send_modify(|last| *last = Leadership { leader: None, is_leader: false, ..*last });
}

/// The core's report, as it changes.
pub(crate) type MetricsWatch = openraft::alias::WatchReceiverOf<TypeConfig, Metrics>;
