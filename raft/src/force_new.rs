//! A member of a lost quorum goes on alone, with its data.
//!
//! Invariants: nothing of this member's log is dropped: a commit is noted without a sync, so after
//! a crash an entry that was acknowledged may not look committed; the new entry is durable before
//! the core starts; the term is one that nobody had.
//! Must not know: who asks for it. It is done before the core runs, so nobody else is in reach.

use std::collections::{BTreeMap, BTreeSet};

use openraft::RaftLogReader as _;
use openraft::entry::RaftEntry as _;
use openraft::storage::RaftLogStorage as _;
use store::MemberId;

use crate::errors::StartError;
use crate::log::RaftLog;
use crate::types::{Entry, Membership, Payload, PeerNode, from_store, log_id, vote};

/// Ends the log in a membership of this member alone.
///
/// *Errors*: of the log; nothing is lost then.
/// *Source*: etcd's `--force-new-cluster`, which drops what does not look committed.
pub(crate) async fn force_new_cluster(
    log: &RaftLog,
    member: MemberId,
    peer_urls: Vec<String>,
    applied: store::LogId,
) -> Result<(), StartError> {
    let mut log = log.clone();
    let ends = log.get_log_state().await?;
    let applied = (applied.index > 0).then(|| from_store(applied));
    let kept = ends.last_log_id.max(applied);
    if let Some(kept) = kept.filter(|_| ends.last_log_id < kept) {
        // The state is ahead of the log: the log begins anew above it.
        log.purge(kept).await?;
    }
    let voted = log.read_vote().await?.map_or(0, |vote| vote.leader_id.term);
    let newest = ends.last_log_id.max(kept).map_or(0, |last| last.leader_id.term);
    let term = voted.max(newest) + 1;
    let index = kept.map_or(0, |kept| kept.index + 1);
    let nodes = BTreeMap::from([(member.0, PeerNode { peer_urls })]);
    let alone = Membership::new(vec![BTreeSet::from([member.0])], nodes)
        .map_err(|error| StartError::Consensus(error.to_string()))?;
    log.save_vote(&vote(term, member.0, false)).await?;
    log.append_durably(Entry::new(log_id(term, index), Payload::Membership(alone))).await?;
    tracing::warn!(
        %member, term, index = index + 1,
        "forcing a new cluster: this member goes on alone, all others are forgotten; start it \
         without --force-new-cluster next time, and never start the others again"
    );
    Ok(())
}
