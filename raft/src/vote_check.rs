//! A log that was lost, or put back from an older day, below a state that is newer; or one that has
//! entries and not the vote that they came with.
//!
//! Invariant: no member starts that may have voted in a term and does not know it; openraft takes a
//! vote that is older than its last entry for a bug of its own.
//! Must not know: where the log and the state lie.

use openraft::RaftLogReader as _;
use openraft::storage::RaftLogStorage as _;
use store::{LogId, MemberId};

use crate::errors::StartError;
use crate::log::RaftLog;
use crate::types::vote;

/// Holds the vote against the log's own entries and against the state. Whoever has an entry of a
/// term has heard of its leader, so there must be a vote; and in that term, or one before it,
/// nobody else may get one any more.
///
/// *Errors*: no vote is left, or none that its own entries could have come with: what this member
/// promised is lost.
pub(crate) async fn check_vote(
    log: &RaftLog,
    member: MemberId,
    applied: LogId,
) -> Result<(), StartError> {
    let mut log = log.clone();
    let last = log.get_log_state().await?.last_log_id;
    let last_term = last.as_ref().map_or(0, |last| last.leader_id.term);
    match log.read_vote().await? {
        None if applied.term > 0 => Err(StartError::Log(format!(
            "there is no vote in it, but the state was applied up to {applied}: the log was lost, \
             and what this member voted with it; it must be replaced"
        ))),
        // A state that is ahead may have cut the log at its own place, which is of a later term.
        voted if last_term > applied.term.max(voted.map_or(0, |vote| vote.leader_id.term)) => {
            let voted = voted.map_or("there is no vote".to_owned(), |vote| {
                format!("the last vote is of term {}", vote.leader_id.term)
            });
            Err(StartError::Log(format!(
                "{voted} in it, but its last entry is of term {last_term}: what this member voted \
                 was lost; it must be replaced"
            )))
        }
        Some(voted) if voted.leader_id.term < applied.term => {
            tracing::warn!(
                %applied, voted = voted.leader_id.term,
                "the log is older than the state: its vote is raised to the state's term"
            );
            Ok(log.save_vote(&vote(applied.term, member.0, false)).await?)
        }
        _ => Ok(()),
    }
}
