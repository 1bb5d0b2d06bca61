//! Changing the members: what is checked before a step, and the way of a request to the leader.
//!
//! Invariants: one hop: whoever does not lead asks the leader, who never hands on; a request whose
//! outcome is unknown is never sent twice; a leader that is to go hands its office over first and
//! lets the next one remove it.
//! Must not know: gRPC.

use std::collections::HashMap;
use std::time::Duration;

use proto::etcdserverpb as pb;
use proto::log::MemberAttributes;
use proto::peer::ask_leader_request::Request as Question;
use proto::peer::ask_leader_response::Response as Answered;
use proto::peer::refusal::Reason;
use proto::peer::{AskLeaderResponse, LogId, Refusal};
use proto::status::EtcdError;
use raft::{MemberChange, MembershipError, PeerError, TransferError};
use store::MemberId;

use crate::config::Endpoint;
use crate::errors::ServeError;
use crate::member::Member;

/// How long a member waits before it asks for the leader again. *Source*: etcd.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Why nothing was changed.
enum NotDone {
    /// This member does not lead (any more); somebody may.
    NotLeading,
    Refused(ServeError),
}

impl From<EtcdError> for NotDone {
    fn from(error: EtcdError) -> Self {
        NotDone::Refused(error.into())
    }
}

impl From<MembershipError> for NotDone {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::NoLeader => NotDone::NotLeading,
            other => NotDone::Refused(other.etcd_error().into()),
        }
    }
}

/// All members: ids and peer URLs from the membership, names and client URLs from what they said of
/// themselves. In the order of their ids, as etcd's.
pub(crate) fn list(member: &Member) -> Vec<pb::Member> {
    let mut said = said(member);
    let members = member.consensus().members().into_iter().map(|known| {
        let said = said.remove(&known.id.0).unwrap_or_default();
        pb::Member {
            id: known.id.0,
            name: said.name,
            peer_urls: known.peer_urls,
            client_urls: said.client_urls,
            is_learner: known.is_learner,
        }
    });
    members.collect()
}

fn said(member: &Member) -> HashMap<u64, MemberAttributes> {
    member.reader().members().into_iter().map(|said| (said.member_id, said)).collect()
}

/// Makes a change, here or at the leader, and answers as the leader did; headers are the caller's.
///
/// *Errors*: etcd's; of these only the timeouts leave the outcome open.
pub(crate) async fn change(member: &Member, question: Question) -> Result<Answered, ServeError> {
    let asked = async {
        loop {
            if member.leadership().is_leader {
                match decide(member, &question).await {
                    Ok((_, answered)) => return Ok(answered),
                    Err(NotDone::Refused(error)) => return Err(error),
                    Err(NotDone::NotLeading) => {}
                }
            } else if let Some(answered) = ask(member, question.clone()).await? {
                return Ok(answered);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    };
    match tokio::time::timeout(member.config().request_timeout(), asked).await {
        Ok(answer) => answer,
        Err(_) if member.leadership().leader.is_none() => Err(EtcdError::NoLeader.into()),
        Err(_) => Err(EtcdError::Timeout.into()),
    }
}

/// Asks the leader once; `None` when certainly nothing was done and it may be tried again.
async fn ask(member: &Member, question: Question) -> Result<Option<Answered>, ServeError> {
    let response = match member.consensus().ask_leader(question).await {
        Ok(AskLeaderResponse { response, .. }) => response,
        Err(PeerError::NoAnswer(_)) => return Err(EtcdError::TimeoutDueToConnectionLost.into()),
        Err(_) => return Ok(None),
    };
    match response {
        Some(Answered::Error(text)) => match EtcdError::from_message(&text) {
            Some(error) => Err(error.into()),
            None => Err(ServeError::Storage(text)),
        },
        Some(Answered::Refusal(_)) | None => Ok(None),
        answered => Ok(answered),
    }
}

/// What a follower's question comes to on this member.
pub(crate) async fn answer(member: &Member, question: &Question) -> AskLeaderResponse {
    let (log_id, response) = match decide(member, question).await {
        Ok((log_id, answered)) => (Some(log_id), answered),
        Err(NotDone::Refused(error)) => (None, Answered::Error(error.to_string())),
        Err(NotDone::NotLeading) => {
            let reason = Reason::NotLeader.into();
            (None, Answered::Refusal(Refusal { reason, ..Default::default() }))
        }
    };
    AskLeaderResponse { log_id, response: Some(response) }
}

/// Checks and makes a change on the leader.
async fn decide(member: &Member, question: &Question) -> Result<(LogId, Answered), NotDone> {
    match question {
        Question::MemberAdd(request) => add(member, request).await,
        Question::MemberRemove(request) => {
            let log_id = remove(member, MemberId(request.id)).await?;
            let members = list(member);
            let answer = pb::MemberRemoveResponse { header: None, members };
            Ok((log_id, Answered::MemberRemove(answer)))
        }
        Question::MemberUpdate(request) => {
            let peer_urls = read_peer_urls(&request.peer_urls)?;
            let change = MemberChange::UpdatePeerUrls { id: MemberId(request.id), peer_urls };
            let log_id = make(member, change).await?;
            let members = list(member);
            let answer = pb::MemberUpdateResponse { header: None, members };
            Ok((log_id, Answered::MemberUpdate(answer)))
        }
        Question::MemberPromote(request) => {
            let log_id = promote(member, MemberId(request.id)).await?;
            let members = list(member);
            let answer = pb::MemberPromoteResponse { header: None, members };
            Ok((log_id, Answered::MemberPromote(answer)))
        }
        Question::LeaseKeepAlive(_) | Question::LeaseTimeToLive(_) => {
            unreachable!("questions about leases are answered elsewhere")
        }
    }
}

async fn add(
    member: &Member,
    request: &pb::MemberAddRequest,
) -> Result<(LogId, Answered), NotDone> {
    let peer_urls = read_peer_urls(&request.peer_urls)?;
    if !request.is_learner {
        check_started(member, Started::WithOneMore)?;
    }
    let consensus = member.consensus();
    let token = &member.config().initial_cluster_token;
    let (index, nonce) = (consensus.membership_index(), member.new_nonce());
    let id = raft::added_member_id(&peer_urls, token, index, nonce);
    let change = match request.is_learner {
        true => MemberChange::AddLearner { id, peer_urls },
        false => MemberChange::AddVoter { id, peer_urls },
    };
    let log_id = make(member, change).await?;
    let members = list(member);
    let added = members.iter().find(|member| member.id == id.0).cloned();
    let answer = pb::MemberAddResponse { header: None, member: added, members };
    Ok((log_id, Answered::MemberAdd(answer)))
}

async fn remove(member: &Member, id: MemberId) -> Result<LogId, NotDone> {
    let is_learner = member.consensus().members().iter().any(|m| m.id == id && m.is_learner);
    if !is_learner {
        check_started(member, Started::Without(id))?;
    }
    let change = MemberChange::Remove { id };
    if id.0 == member.ids().member_id {
        member.consensus().check_change(&change)?;
        return match member.consensus().transfer_leader(None).await {
            // The one who leads now is asked to remove this member.
            Ok(()) | Err(TransferError::NotLeader) => Err(NotDone::NotLeading),
            Err(error) => Err(error.etcd_error().into()),
        };
    }
    make(member, change).await
}

async fn promote(member: &Member, id: MemberId) -> Result<LogId, NotDone> {
    let change = MemberChange::Promote { id };
    // Compat: how far the learner is comes before how many are started.
    member.consensus().check_change(&change)?;
    check_started(member, Started::WithPromoted)?;
    make(member, change).await
}

async fn make(member: &Member, change: MemberChange) -> Result<LogId, NotDone> {
    let at = member.consensus().change_members(change).await?;
    Ok(LogId { term: at.term, index: at.index })
}

/// Which voters there will be.
#[derive(Clone, Copy)]
enum Started {
    WithOneMore,
    WithPromoted,
    Without(MemberId),
}

/// Most of the voters after the change must be started: they have said their name.
///
/// *Source*: etcd's strict reconfiguration check.
fn check_started(member: &Member, after: Started) -> Result<(), EtcdError> {
    if !member.config().strict_reconfig_check {
        return Ok(());
    }
    let said = said(member);
    let is_started = |id: u64| said.get(&id).is_some_and(|said| !said.name.is_empty());
    let stays = |id: MemberId| !matches!(after, Started::Without(gone) if gone == id);
    let voters = member.consensus().members().into_iter().filter(|m| !m.is_learner);
    let voters: Vec<u64> = voters.filter(|m| stays(m.id)).map(|m| m.id.0).collect();
    let started = voters.iter().filter(|id| is_started(**id)).count();
    let (voters, started) = match after {
        // One member alone may always add a second.
        Started::WithOneMore if (voters.len(), started) == (1, 1) => return Ok(()),
        Started::WithOneMore => (voters.len() + 1, started),
        Started::WithPromoted => (voters.len() + 1, started + 1),
        Started::Without(_) => (voters.len(), started),
    };
    if started > voters / 2 { Ok(()) } else { Err(EtcdError::MemberNotEnoughStarted) }
}

/// Peer URLs as they are kept: read, trimmed and sorted.
///
/// *Errors*: `MemberBadUrls`, also for none.
pub(crate) fn read_peer_urls(given: &[String]) -> Result<Vec<String>, EtcdError> {
    let read = given.iter().map(|url| Endpoint::read(url)).collect::<Result<Vec<_>, _>>();
    let mut urls = read.map_err(|_| EtcdError::MemberBadUrls)?;
    urls.sort();
    if urls.is_empty() {
        return Err(EtcdError::MemberBadUrls);
    }
    Ok(urls.into_iter().map(|url| url.text).collect())
}
