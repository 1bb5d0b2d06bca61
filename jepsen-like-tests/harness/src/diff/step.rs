//! One step of a conversation, and the call that it is.
//!
//! Must not know: how steps are drawn or sent.

use proto::etcdserverpb::{
    AuthenticateRequest, CompactionRequest, DeleteRangeRequest, HashKvRequest, LeaseGrantRequest,
    LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    PutRequest, RangeRequest, TxnRequest, WatchCreateRequest,
};
use proto::v3electionpb::LeaderRequest;

use super::call::Call;

/// One step of the conversation.
#[derive(Debug, Clone)]
pub enum Step {
    /// `KV.Range`.
    Range(RangeRequest),
    /// `KV.Put`.
    Put(PutRequest),
    /// `KV.DeleteRange`.
    Delete(DeleteRangeRequest),
    /// `KV.Txn`.
    Txn(TxnRequest),
    /// `KV.Compact`.
    Compact(CompactionRequest),
    /// `Lease.LeaseGrant`.
    Grant(LeaseGrantRequest),
    /// `Lease.LeaseRevoke`.
    Revoke(LeaseRevokeRequest),
    /// `Lease.LeaseTimeToLive`.
    TimeToLive(LeaseTimeToLiveRequest),
    /// `Lease.LeaseLeases`.
    Leases,
    /// One renewal on a stream of its own.
    KeepAlive(i64),
    /// A watch on the stream with this number.
    Watch(usize, WatchCreateRequest),
    /// Cancels a watch on the stream with this number.
    Cancel(usize, i64),
    /// `Maintenance.HashKV`, at a quiet point.
    HashKv(i64),
    /// `KV.RangeStream`, its pieces merged.
    RangeStream(RangeRequest),
    /// Any other call.
    Other(Call),
    /// A call that may wait until those before it in its queue are gone: the queue's name, and
    /// the place that the call takes.
    Queue(Call, Place),
    /// `Election.Observe`, if somebody leads.
    Observe(LeaderRequest),
    /// `Auth.Authenticate` of a user with a password.
    Login(&'static str, String),
    /// `Maintenance.MoveLeader`.
    MoveLeader(Move),
}

/// A place in the queue of a lock or an election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What the keys of the whole queue begin with.
    pub queue: Vec<u8>,
    /// The key of this place.
    pub key: Vec<u8>,
}

/// Who is asked to move the leader, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// A member that does not lead.
    NotLeading,
    /// The leader, to itself.
    ToItself,
    /// The leader, to a member that is none.
    ToNobody,
    /// The leader, to the learner that was added last.
    ToLearner,
    /// The leader, to the member after it.
    ToNext,
}

impl Step {
    /// The one call that the step consists of; `None` where it is more, or a stream.
    #[must_use]
    pub fn call(&self) -> Option<Call> {
        Some(match self {
            Step::Range(request) => Call::new("etcdserverpb.KV/Range", request),
            Step::Put(request) => Call::new("etcdserverpb.KV/Put", request),
            Step::Delete(request) => Call::new("etcdserverpb.KV/DeleteRange", request),
            Step::Txn(request) => Call::new("etcdserverpb.KV/Txn", request),
            Step::Compact(request) => Call::new("etcdserverpb.KV/Compact", request),
            Step::RangeStream(request) => Call::new("etcdserverpb.KV/RangeStream", request),
            Step::Grant(request) => Call::new("etcdserverpb.Lease/LeaseGrant", request),
            Step::Revoke(request) => Call::new("etcdserverpb.Lease/LeaseRevoke", request),
            Step::TimeToLive(request) => Call::new("etcdserverpb.Lease/LeaseTimeToLive", request),
            Step::Leases => Call::new("etcdserverpb.Lease/LeaseLeases", &LeaseLeasesRequest {}),
            Step::KeepAlive(id) => {
                let request = LeaseKeepAliveRequest { id: *id };
                Call::new("etcdserverpb.Lease/LeaseKeepAlive", &request)
            }
            Step::HashKv(revision) => {
                let request = HashKvRequest { revision: *revision };
                Call::new("etcdserverpb.Maintenance/HashKV", &request)
            }
            Step::Observe(request) => Call::new("v3electionpb.Election/Observe", request),
            Step::Login(name, password) => {
                let (name, password) = ((*name).to_owned(), password.clone());
                let request = AuthenticateRequest { name, password };
                Call::new("etcdserverpb.Auth/Authenticate", &request)
            }
            Step::Other(call) | Step::Queue(call, _) => call.clone(),
            Step::Watch(..) | Step::Cancel(..) | Step::MoveLeader(_) => return None,
        })
    }

    /// The RPC it makes.
    #[must_use]
    pub fn rpc(&self) -> &'static str {
        match self {
            Step::Watch(..) | Step::Cancel(..) => "etcdserverpb.Watch/Watch",
            Step::MoveLeader(_) => "etcdserverpb.Maintenance/MoveLeader",
            other => other.call().map_or("", |call| call.rpc),
        }
    }
}
