//! How a member learns that it was removed: the leader sends it nothing any more, so it asks.
//!
//! Invariant: only the word of a proven leader about committed members counts. Its own state is no
//! proof: a snapshot may be older than the entry that added it.
//! Must not know: what is done about it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use openraft::async_runtime::WatchReceiver as _;
use proto::peer::{HelloRequest, HelloResponse, PeerHeader};
use store::MemberId;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use crate::consensus::{Consensus, Core};
use crate::peer::{Lane, PeerAddress};

/// A peer says who it is and whom it knows within this time.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// What is known about this member's removal.
pub(crate) struct Removal {
    known: watch::Sender<bool>,
    look: Notify,
}

impl Default for Removal {
    fn default() -> Self {
        Self { known: watch::Sender::new(false), look: Notify::new() }
    }
}

impl Removal {
    /// There is reason to ask now.
    pub(crate) fn look_now(&self) {
        self.look.notify_one();
    }
}

impl Consensus {
    /// Resolves when this member is known to have been removed from the cluster, which is for ever.
    pub async fn removed(&self) {
        let mut known = self.core.removal.known.subscribe();
        if known.wait_for(|removed| *removed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Asks the peers while this member hears of no leader, or does not find itself among the members.
/// Ends with the member, or when it was removed.
pub(crate) async fn watch_for_removal(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(core.config.timing.election_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            () = core.stopped() => return,
            () = core.removal.look.notified() => true,
            _ = ticks.tick() => is_in_doubt(&core),
        };
        if asked && is_removed(&core).await {
            core.removal.known.send_replace(true);
            return;
        }
    }
}

fn is_in_doubt(core: &Core) -> bool {
    let own = core.identity.member_id();
    let alone = {
        let metrics = core.metrics.borrow_watched();
        let members = metrics.membership_config.membership();
        if members.get_node(&own.0).is_none() && members.nodes().next().is_some() {
            return true;
        }
        crate::leadership::is_sole_voter(&metrics)
    };
    !alone && core.leadership().leader.is_none()
}

async fn is_removed(core: &Core) -> bool {
    let identity = core.identity.identity();
    let (cluster, own) = (identity.cluster_id.0, identity.member_id);
    let header = PeerHeader { cluster_id: cluster, from_member_id: own.0, ..Default::default() };
    let questions = peers(core, own).into_iter().map(|peer_urls| {
        let address = PeerAddress { member_id: MemberId(0), peer_urls };
        let peer = core.transport.peer(&address, Lane::Requests);
        let question = HelloRequest { header: Some(header.clone()) };
        async move { tokio::time::timeout(ANSWER_MAX, peer.hello(question)).await.ok()?.ok() }
    });
    let answers = join_all(questions).await;
    answers.into_iter().flatten().any(|answer| is_without(&answer, cluster, own))
}

fn is_without(answer: &HelloResponse, cluster: u64, own: MemberId) -> bool {
    let proven = answer.cluster_id == cluster && answer.leads && answer.members_committed;
    proven && answer.members.iter().all(|member| member.member_id != own.0)
}

/// Where the others are, by the newest membership and by what this member was told at its start.
fn peers(core: &Core, own: MemberId) -> BTreeSet<Vec<String>> {
    let metrics = core.metrics.borrow_watched();
    let nodes = metrics.membership_config.nodes().filter(|(id, _)| **id != own.0);
    let known = nodes.map(|(_, node)| node.peer_urls.clone());
    let config = &core.config;
    let told = config.initial_cluster.iter().filter(|member| member.name != config.name);
    known.chain(told.map(|member| member.peer_urls.clone())).collect()
}
