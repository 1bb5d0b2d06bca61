//! Keep-alive and time-to-live: answered by the leader, asked for by everybody else.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::BoxFuture;
use proto::etcdserverpb::{
    LeaseCheckpoint, LeaseCheckpointRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use proto::log::command;
use proto::peer::ask_leader_request::Request as Question;
use proto::peer::ask_leader_response::Response as Answered;
use proto::peer::refusal::Reason;
use proto::peer::{AskLeaderRequest, AskLeaderResponse, Refusal};
use proto::status::EtcdError;
use store::LeaseId;

use super::Leases;
use super::deadlines::Renewal;
use crate::errors::ServeError;
use crate::member::Member;

/// How long a member waits before it asks for the leader again. *Source*: etcd.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Compat: etcd's word for a lease that does not exist, in a time-to-live answer.
const TTL_OF_MISSING_S: i64 = -1;

/// Why this member did not answer as the leader.
enum NotAnswered {
    /// It does not lead, or not yet; somebody may.
    NotLeading,
    Failed(ServeError),
}

impl From<ServeError> for NotAnswered {
    fn from(error: ServeError) -> Self {
        NotAnswered::Failed(error)
    }
}

impl Leases {
    /// Renews a lease, here or at the leader: its time in seconds, 0 when it does not exist.
    pub(crate) async fn keep_alive(&self, member: &Member, id: LeaseId) -> Result<i64, ServeError> {
        let asked = async {
            loop {
                match self.renew_here(member, id).await {
                    Ok(ttl_s) => return Ok(ttl_s),
                    Err(NotAnswered::Failed(error)) => return Err(error),
                    Err(NotAnswered::NotLeading) => {}
                }
                let question = Question::LeaseKeepAlive(LeaseKeepAliveRequest { id: id.0 });
                if let Some(Answered::LeaseKeepAlive(answer)) = ask(member, question).await? {
                    return Ok(answer.ttl);
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        };
        within_request_timeout(member, asked).await
    }

    /// What is left of a lease, here or at the leader; the header is the caller's.
    pub(crate) async fn time_to_live(
        &self,
        member: &Member,
        request: LeaseTimeToLiveRequest,
    ) -> Result<LeaseTimeToLiveResponse, ServeError> {
        let asked = async {
            loop {
                match self.time_to_live_here(member, &request).await {
                    Ok(answer) => return Ok(answer),
                    Err(NotAnswered::Failed(error)) => return Err(error),
                    Err(NotAnswered::NotLeading) => {}
                }
                let question = Question::LeaseTimeToLive(request);
                if let Some(Answered::LeaseTimeToLive(answer)) = ask(member, question).await? {
                    return Ok(answer);
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        };
        within_request_timeout(member, asked).await
    }

    async fn renew_here(&self, member: &Member, id: LeaseId) -> Result<i64, NotAnswered> {
        self.confirm_office(member).await?;
        loop {
            let changed = self.changed.notified();
            let Some(lease) = member.reader().lease(id) else { return Ok(0) };
            let now = self.clock.now();
            let (answer, term, (handed_out, uncleared)) = {
                let deadlines = self.deadlines.lock();
                (deadlines.may_renew(id, now), deadlines.term(), deadlines.checkpointed(id))
            };
            match answer {
                Renewal::NotLeading | Renewal::Unknown => return Err(NotAnswered::NotLeading),
                // Compat: the renewal of an expired lease waits until it is revoked.
                Renewal::Expired | Renewal::Checkpointing => changed.await,
                Renewal::Renewed => {
                    if lease.remaining_ttl_s > 0 || uncleared {
                        clear_checkpoint(member, id, term.unwrap_or(0)).await?;
                    }
                    let renewed = self.deadlines.lock().renew(id, handed_out, self.clock.now());
                    match renewed {
                        Renewal::Renewed => {
                            self.renewed.fetch_add(1, Ordering::Relaxed);
                            return Ok(lease.granted_ttl_s);
                        }
                        // The remaining time was handed out anew meanwhile.
                        Renewal::Checkpointing => {}
                        _ => return Err(NotAnswered::NotLeading),
                    }
                }
            }
        }
    }

    async fn time_to_live_here(
        &self,
        member: &Member,
        request: &LeaseTimeToLiveRequest,
    ) -> Result<LeaseTimeToLiveResponse, NotAnswered> {
        self.confirm_office(member).await?;
        let id = LeaseId(request.id);
        let mut answer = LeaseTimeToLiveResponse { id: id.0, ..Default::default() };
        let Some(lease) = member.reader().lease(id) else {
            answer.ttl = TTL_OF_MISSING_S;
            return Ok(answer);
        };
        let remaining = self.deadlines.lock().remaining(id, self.clock.now());
        let remaining = remaining.ok_or(NotAnswered::NotLeading)?;
        answer.ttl = i64::try_from(remaining.as_secs()).unwrap_or(i64::MAX);
        answer.granted_ttl = lease.granted_ttl_s;
        if request.keys {
            answer.keys = member.reader().lease_keys(id);
        }
        Ok(answer)
    }

    /// Makes sure, by a fresh word of a quorum, that this member leads and knows all leases.
    async fn confirm_office(&self, member: &Member) -> Result<(), NotAnswered> {
        if !member.leadership().is_leader {
            return Err(NotAnswered::NotLeading);
        }
        member.read_index().await.map_err(ServeError::from)?;
        match member.leadership().is_leader {
            true => Ok(()),
            false => Err(NotAnswered::NotLeading),
        }
    }
}

async fn clear_checkpoint(member: &Member, id: LeaseId, term: u64) -> Result<(), ServeError> {
    let cleared = LeaseCheckpoint { id: id.0, remaining_ttl: 0 };
    let request = LeaseCheckpointRequest { checkpoints: vec![cleared] };
    member.propose_fenced(command::Request::LeaseCheckpoint(request), term).await.map(drop)
}

/// Asks the leader once; `None` when nobody answered and it may be tried again.
async fn ask(member: &Member, question: Question) -> Result<Option<Answered>, ServeError> {
    if member.leadership().is_leader {
        return Ok(None);
    }
    let Ok(AskLeaderResponse { response, .. }) = member.consensus().ask_leader(question).await
    else {
        return Ok(None);
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

async fn within_request_timeout<T>(
    member: &Member,
    asked: impl Future<Output = Result<T, ServeError>>,
) -> Result<T, ServeError> {
    match tokio::time::timeout(member.config().request_timeout(), asked).await {
        Ok(answer) => answer,
        Err(_) if member.leadership().leader.is_none() => Err(EtcdError::NoLeader.into()),
        Err(_) => Err(EtcdError::Timeout.into()),
    }
}

/// Answers what followers ask this member as the leader.
///
/// Invariant: consensus, which belongs to the member, does not hold the member.
pub(crate) struct LeaderDoor(pub(crate) Weak<Member>);

impl raft::LeaderCalls for LeaderDoor {
    fn answer(&self, request: AskLeaderRequest) -> BoxFuture<'_, AskLeaderResponse> {
        Box::pin(async move {
            let Some(member) = self.0.upgrade() else {
                let response = Some(refusal(Reason::Stopping, "the member stops"));
                return AskLeaderResponse { log_id: None, response };
            };
            let response = match request.request {
                Some(
                    question @ (Question::MemberAdd(_)
                    | Question::MemberRemove(_)
                    | Question::MemberUpdate(_)
                    | Question::MemberPromote(_)),
                ) => return crate::members::answer(&member, &question).await,
                question => respond(&member, question).await.unwrap_or_else(not_answered),
            };
            AskLeaderResponse { log_id: None, response: Some(response) }
        })
    }
}

async fn respond(member: &Member, question: Option<Question>) -> Result<Answered, NotAnswered> {
    match question {
        Some(Question::LeaseKeepAlive(request)) => {
            let ttl = member.leases().renew_here(member, LeaseId(request.id)).await?;
            let header = None;
            Ok(Answered::LeaseKeepAlive(LeaseKeepAliveResponse { header, id: request.id, ttl }))
        }
        Some(Question::LeaseTimeToLive(request)) => {
            let answer = member.leases().time_to_live_here(member, &request).await?;
            Ok(Answered::LeaseTimeToLive(answer))
        }
        _ => Ok(refusal(Reason::Unspecified, "this question is not known here")),
    }
}

fn not_answered(why: NotAnswered) -> Answered {
    match why {
        NotAnswered::NotLeading => refusal(Reason::NotLeader, "does not lead"),
        NotAnswered::Failed(error) => Answered::Error(error.to_string()),
    }
}

fn refusal(reason: Reason, detail: &str) -> Answered {
    let detail = detail.to_owned();
    Answered::Refusal(Refusal { reason: reason.into(), detail, ..Default::default() })
}
