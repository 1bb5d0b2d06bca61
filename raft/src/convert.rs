//! openraft's requests and answers as the messages of `proto::peer`, and back.
//!
//! Invariant: what a peer sends is checked here; a message that lacks what it must carry is an
//! error, never a default; terms and indexes leave room for those that must follow them.
//! Must not know: connections, identities.

use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use proto::peer;

use crate::errors::PeerError;
use crate::limits;
use crate::membership::{decode_membership, encode_membership};
use crate::types::{
    RaftLogId, SnapshotMeta, StoredMembership, TypeConfig, Vote, entry_from_message,
    entry_to_message, log_id, vote,
};

/// A message that lacks a part, or holds one that cannot be read.
pub(crate) fn malformed(what: &str) -> PeerError {
    PeerError::Refused(format!("malformed message: {what}"))
}

pub(crate) fn log_id_to_message(id: &RaftLogId) -> peer::LogId {
    peer::LogId { term: id.leader_id.term, index: id.index }
}

/// A place in a log as a peer names it.
///
/// *Errors*: it is beyond [`limits::TERM_MAX`] or [`limits::LOG_INDEX_MAX`].
fn log_id_from_message(message: &peer::LogId) -> Result<RaftLogId, PeerError> {
    check_term(message.term)?;
    check_index(message.index)?;
    Ok(log_id(message.term, message.index))
}

/// A place that may be left out.
fn some_log_id(message: Option<&peer::LogId>) -> Result<Option<RaftLogId>, PeerError> {
    message.map(log_id_from_message).transpose()
}

fn check_term(term: u64) -> Result<(), PeerError> {
    let sane = term <= limits::TERM_MAX;
    sane.then_some(()).ok_or_else(|| malformed(&format!("the term {term} is no cluster's")))
}

fn check_index(index: u64) -> Result<(), PeerError> {
    let sane = index <= limits::LOG_INDEX_MAX;
    sane.then_some(()).ok_or_else(|| malformed(&format!("the index {index} is in no log")))
}

pub(crate) fn vote_to_message(vote: &Vote) -> peer::Vote {
    peer::Vote {
        term: vote.leader_id.term,
        voted_for: vote.leader_id.voted_for,
        committed: vote.committed,
    }
}

pub(crate) fn vote_from_message(message: Option<&peer::Vote>) -> Result<Vote, PeerError> {
    let message = message.ok_or_else(|| malformed("no vote"))?;
    check_term(message.term)?;
    Ok(vote(message.term, message.voted_for, message.committed))
}

pub(crate) fn append_to_message(request: AppendEntriesRequest<TypeConfig>) -> peer::AppendRequest {
    peer::AppendRequest {
        header: None,
        sequence: 0,
        vote: Some(vote_to_message(&request.vote)),
        prev_log_id: request.prev_log_id.as_ref().map(log_id_to_message),
        entries: request.entries.iter().map(entry_to_message).collect(),
        leader_commit: request.leader_commit.as_ref().map(log_id_to_message),
        applied: None,
    }
}

pub(crate) fn append_from_message(
    message: peer::AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, PeerError> {
    let prev_log_id = some_log_id(message.prev_log_id.as_ref())?;
    let first = prev_log_id.as_ref().map_or(0, |id| id.index + 1);
    let follow = message.entries.iter().zip(first..).all(|(entry, index)| entry.index == index);
    if !follow {
        return Err(malformed("entries that do not follow one another"));
    }
    message.entries.iter().try_for_each(|entry| check_term(entry.term))?;
    let entries = message.entries.into_iter().map(entry_from_message);
    let entries: Option<Vec<_>> = entries.collect();
    Ok(AppendEntriesRequest {
        vote: vote_from_message(message.vote.as_ref())?,
        prev_log_id,
        entries: entries.ok_or_else(|| malformed("an entry of an unknown kind"))?,
        leader_commit: some_log_id(message.leader_commit.as_ref())?,
    })
}

pub(crate) fn append_result_to_message(
    sequence: u64,
    result: &StreamAppendResult<TypeConfig>,
) -> peer::AppendResponse {
    use peer::append_response::Result as Message;
    let result = match result {
        Ok(matched) => Message::Matched(peer::AppendMatched {
            last_log_id: matched.as_ref().map(log_id_to_message),
        }),
        Err(StreamAppendError::Conflict(at)) => Message::Conflict(log_id_to_message(at)),
        Err(StreamAppendError::HigherVote(vote)) => Message::HigherVote(vote_to_message(vote)),
    };
    peer::AppendResponse { sequence, result: Some(result), applied: None }
}

pub(crate) fn append_result_from_message(
    message: &peer::AppendResponse,
) -> Result<StreamAppendResult<TypeConfig>, PeerError> {
    use peer::append_response::Result as Message;
    match message.result.as_ref().ok_or_else(|| malformed("no append result"))? {
        Message::Matched(matched) => Ok(Ok(some_log_id(matched.last_log_id.as_ref())?)),
        Message::Conflict(at) => Ok(Err(StreamAppendError::Conflict(log_id_from_message(at)?))),
        Message::HigherVote(vote) => {
            Ok(Err(StreamAppendError::HigherVote(vote_from_message(Some(vote))?)))
        }
    }
}

pub(crate) fn vote_request_to_message(request: &VoteRequest<TypeConfig>) -> peer::VoteRequest {
    peer::VoteRequest {
        header: None,
        vote: Some(vote_to_message(&request.vote)),
        last_log_id: request.last_log_id.as_ref().map(log_id_to_message),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(crate) fn vote_request_from_message(
    message: &peer::VoteRequest,
) -> Result<VoteRequest<TypeConfig>, PeerError> {
    let vote = vote_from_message(message.vote.as_ref())?;
    let mut request = VoteRequest::new(vote, some_log_id(message.last_log_id.as_ref())?);
    request.leadership_transfer = message.leadership_transfer;
    Ok(request)
}

pub(crate) fn vote_response_to_message(response: &VoteResponse<TypeConfig>) -> peer::VoteResponse {
    peer::VoteResponse {
        vote: Some(vote_to_message(&response.vote)),
        vote_granted: response.vote_granted,
        last_log_id: response.last_log_id.as_ref().map(log_id_to_message),
    }
}

pub(crate) fn vote_response_from_message(
    message: &peer::VoteResponse,
) -> Result<VoteResponse<TypeConfig>, PeerError> {
    let vote = vote_from_message(message.vote.as_ref())?;
    let last_log_id = some_log_id(message.last_log_id.as_ref())?;
    Ok(VoteResponse::new(vote, last_log_id, message.vote_granted))
}

pub(crate) fn transfer_to_message(
    request: &TransferLeaderRequest<TypeConfig>,
) -> peer::TransferLeaderRequest {
    peer::TransferLeaderRequest {
        header: None,
        from_leader: Some(vote_to_message(request.from_leader())),
        to_member_id: *request.to_node_id(),
        last_log_id: request.last_log_id().map(log_id_to_message),
    }
}

pub(crate) fn transfer_from_message(
    message: &peer::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, PeerError> {
    Ok(TransferLeaderRequest::new(
        vote_from_message(message.from_leader.as_ref())?,
        message.to_member_id,
        some_log_id(message.last_log_id.as_ref())?,
    ))
}

pub(crate) fn transfer_response_to_message(
    response: &TransferLeaderResponse<TypeConfig>,
) -> peer::TransferLeaderResponse {
    use peer::transfer_leader_response::Result as Message;
    let result = match response {
        Ok(()) => Message::Accepted(peer::TransferAccepted {}),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            Message::VoteChanged(peer::VoteChanged {
                expected: Some(vote_to_message(expected)),
                actual: Some(vote_to_message(actual)),
            })
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            Message::LogNotFlushed(peer::LogNotFlushed {
                expected: expected.as_ref().map(log_id_to_message),
                actual: actual.as_ref().map(log_id_to_message),
            })
        }
    };
    peer::TransferLeaderResponse { result: Some(result) }
}

pub(crate) fn transfer_response_from_message(
    message: &peer::TransferLeaderResponse,
) -> Result<TransferLeaderResponse<TypeConfig>, PeerError> {
    use peer::transfer_leader_response::Result as Message;
    match message.result.as_ref().ok_or_else(|| malformed("no transfer result"))? {
        Message::Accepted(_) => Ok(Ok(())),
        Message::VoteChanged(votes) => Ok(Err(TransferLeaderError::VoteChanged {
            expected: vote_from_message(votes.expected.as_ref())?,
            actual: vote_from_message(votes.actual.as_ref())?,
        })),
        Message::LogNotFlushed(logs) => Ok(Err(TransferLeaderError::LogNotFlushed {
            expected: some_log_id(logs.expected.as_ref())?,
            actual: some_log_id(logs.actual.as_ref())?,
        })),
    }
}

pub(crate) fn snapshot_membership(meta: &SnapshotMeta) -> peer::SnapshotMembership {
    peer::SnapshotMembership {
        log_id: meta.last_membership.log_id().as_ref().map(log_id_to_message),
        membership: encode_membership(meta.last_membership.membership()),
    }
}

pub(crate) fn snapshot_meta(begin: &peer::SnapshotBegin) -> Result<SnapshotMeta, PeerError> {
    let stored = begin.membership.as_ref().ok_or_else(|| malformed("no membership"))?;
    let membership =
        decode_membership(&stored.membership).ok_or_else(|| malformed("membership"))?;
    let since = some_log_id(stored.log_id.as_ref())?;
    let last = some_log_id(begin.last_log_id.as_ref())?;
    let vote = vote_from_message(begin.vote.as_ref())?;
    // The core takes it for the end of the world, and itself out of it.
    if last.as_ref().is_some_and(|last| last.leader_id.term > vote.leader_id.term) {
        return Err(malformed("a snapshot of a later term than its leader's"));
    }
    if since > last {
        return Err(malformed("a snapshot before its own membership"));
    }
    Ok(SnapshotMeta {
        last_log_id: last,
        last_membership: StoredMembership::new(since, membership),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::log;

    fn append(prev: Option<peer::LogId>, indexes: &[u64]) -> peer::AppendRequest {
        let payload = Some(log::entry::Payload::Blank(log::Blank {}));
        let entry = |index: &u64| log::Entry { term: 1, index: *index, payload: payload.clone() };
        peer::AppendRequest {
            vote: Some(peer::Vote { term: 1, voted_for: 2, committed: true }),
            prev_log_id: prev,
            entries: indexes.iter().map(entry).collect(),
            ..Default::default()
        }
    }

    fn refused(request: peer::AppendRequest) -> String {
        append_from_message(request).expect_err("refused").to_string()
    }

    #[test]
    fn numbers_after_which_none_could_follow_are_refused() {
        let last = peer::LogId { term: 1, index: u64::MAX };
        assert!(refused(append(Some(last), &[])).contains("in no log"));
        let term = peer::LogId { term: u64::MAX, index: 1 };
        assert!(refused(append(Some(term), &[])).contains("no cluster's"));
        let commit = peer::AppendRequest { leader_commit: Some(last), ..append(None, &[]) };
        assert!(refused(commit).contains("in no log"));
        let vote = peer::Vote { term: u64::MAX, voted_for: 2, committed: false };
        let ask = peer::VoteRequest { vote: Some(vote), ..Default::default() };
        assert!(vote_request_from_message(&ask).is_err());
        let begin = peer::SnapshotBegin {
            membership: Some(peer::SnapshotMembership::default()),
            last_log_id: Some(last),
            ..Default::default()
        };
        assert!(snapshot_meta(&begin).is_err());
    }

    #[test]
    fn entries_follow_what_is_before_them_and_one_another() {
        let prev = peer::LogId { term: 1, index: 4 };
        assert!(append_from_message(append(Some(prev), &[5, 6])).is_ok());
        assert!(append_from_message(append(None, &[0, 1])).is_ok());
        for indexes in [&[6, 7][..], &[5, 7], &[5, 5], &[u64::MAX]] {
            assert!(refused(append(Some(prev), indexes)).contains("follow"), "{indexes:?}");
        }
    }
}
