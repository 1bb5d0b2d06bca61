//! A log that was lost, or put back from an older day, below a state that is newer.
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

/// Holds the vote against the state. Whoever applied an entry of a term has heard of its leader, so
/// there must be a vote; and in that term, or one before it, nobody else may get one any more.
///
/// *Errors*: no vote is left: what this member promised is lost.
pub(crate) async fn check_vote(
    log: &RaftLog,
    member: MemberId,
    applied: LogId,
) -> Result<(), StartError> {
    let mut log = log.clone();
    match log.read_vote().await? {
        _ if applied.term == 0 => Ok(()),
        None => Err(StartError::Log(format!(
            "there is no vote in it, but the state was applied up to {applied}: the log was lost, \
             and what this member voted with it; it must be replaced"
        ))),
        Some(voted) if voted.leader_id.term < applied.term => {
            tracing::warn!(
                %applied, voted = voted.leader_id.term,
                "the log is older than the state: its vote is raised to the state's term"
            );
            Ok(log.save_vote(&vote(applied.term, member.0, false)).await?)
        }
        Some(_) => Ok(()),
    }
}
