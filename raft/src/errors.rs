//! What can go wrong in this room, by who can do something about it.
//!
//! Invariant: a caller can always tell "certainly not accepted" from "outcome unknown"; nothing
//! that may have been committed is ever reported as refused.
//! Must not know: gRPC. The door maps [`EtcdError`] to the wire.

use proto::status::EtcdError;
use store::MemberId;

/// Why a member could not be started. The process must end; a person must look.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// A peer already knows this member as started: its data directory was lost.
    ///
    /// Compat: etcd, the same words.
    #[error("member {0:x} has already been bootstrapped")]
    AlreadyBootstrapped(u64),
    /// The data directory holds a log but no identity, or an identity that cannot be read.
    #[error("identity of the data directory: {0}")]
    Identity(String),
    /// The cluster to be joined does not know this member, or no peer answered.
    ///
    /// Compat: etcd's words.
    #[error("{0}")]
    Join(String),
    /// The log or the identity file cannot be read or written.
    #[error("log: {0}")]
    Log(String),
    /// The state cannot be read or written.
    #[error(transparent)]
    Storage(#[from] store::StorageError),
    /// The consensus core refused to start.
    #[error("consensus: {0}")]
    Consensus(String),
    /// A file or thread could not be made.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Why a proposal has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// No leader is known that a quorum follows. Not accepted; a retry helps after an election.
    #[error("no leader")]
    NoLeader,
    /// Too much waits already. Not accepted; a retry helps later.
    #[error("too many requests")]
    TooManyRequests,
    /// The command is larger than the log takes. Not accepted; a retry does not help.
    #[error("request is too large")]
    TooLarge,
    /// The leader lost its office while the command was on its way: outcome unknown.
    #[error("leader changed, outcome unknown")]
    LeaderChanged,
    /// The deadline passed: outcome unknown.
    #[error("timed out, outcome unknown")]
    TimedOut,
    /// The deadline passed while the leader could not be reached: outcome unknown.
    #[error("timed out after the connection to the leader was lost, outcome unknown")]
    ConnectionLost,
    /// This member stops or has stopped. Outcome unknown when the command had been handed over.
    #[error("member stopped")]
    Stopped,
}

impl ProposeError {
    /// The error etcd reports for it; message and code are in `proto::status`.
    pub fn etcd_error(self) -> EtcdError {
        match self {
            Self::NoLeader => EtcdError::NoLeader,
            Self::TooManyRequests => EtcdError::TooManyRequests,
            Self::TooLarge => EtcdError::RequestTooLarge,
            Self::LeaderChanged => EtcdError::TimeoutDueToLeaderFail,
            Self::TimedOut => EtcdError::Timeout,
            Self::ConnectionLost => EtcdError::TimeoutDueToConnectionLost,
            Self::Stopped => EtcdError::Stopped,
        }
    }

    /// Whether the command may be, or may still become, committed.
    pub fn is_outcome_unknown(self) -> bool {
        matches!(self, Self::LeaderChanged | Self::TimedOut | Self::ConnectionLost | Self::Stopped)
    }
}

/// Why a linearizable read cannot be served. Retrying is always safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadIndexError {
    /// No leader is known that a quorum follows.
    #[error("no leader")]
    NoLeader,
    /// No quorum confirmed the leader, or the local state did not catch up, before the deadline.
    #[error("timed out")]
    TimedOut,
    /// The leader changed while it was asked.
    #[error("leader changed")]
    LeaderChanged,
    /// This member stops or has stopped.
    #[error("member stopped")]
    Stopped,
}

impl ReadIndexError {
    /// The error etcd reports for it; message and code are in `proto::status`.
    pub fn etcd_error(self) -> EtcdError {
        match self {
            Self::NoLeader => EtcdError::NoLeader,
            Self::TimedOut => EtcdError::Timeout,
            Self::LeaderChanged => EtcdError::LeaderChanged,
            Self::Stopped => EtcdError::Stopped,
        }
    }
}

/// Why the leadership did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// This member does not lead.
    #[error("not leader")]
    NotLeader,
    /// The chosen member is unknown or does not vote.
    #[error("bad leader transferee")]
    BadTransferee,
    /// No voter is in reach that could take over.
    #[error("unhealthy cluster")]
    Unhealthy,
    /// The chosen member did not take over in time.
    #[error("leader transfer took too long")]
    TimedOut,
    /// This member stops or has stopped.
    #[error("member stopped")]
    Stopped,
}

impl TransferError {
    /// The error etcd reports for it; message and code are in `proto::status`.
    pub fn etcd_error(self) -> EtcdError {
        match self {
            Self::NotLeader => EtcdError::NotLeader,
            Self::BadTransferee => EtcdError::BadLeaderTransferee,
            Self::Unhealthy => EtcdError::Unhealthy,
            Self::TimedOut => EtcdError::Timeout,
            Self::Stopped => EtcdError::Stopped,
        }
    }
}

/// Why a change of the membership was refused or has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// The member is not part of the cluster.
    #[error("member not found")]
    NotFound,
    /// The member is part of the cluster already.
    #[error("member ID already exist")]
    IdExists,
    /// A peer URL is used by another member.
    #[error("Peer URLs already exists")]
    PeerUrlsExist,
    /// Only a learner can be promoted.
    #[error("can only promote a learner member")]
    NotLearner,
    /// The learner lags too far behind the leader.
    #[error("can only promote a learner member which is in sync with leader")]
    LearnerNotReady,
    /// There are as many learners as there may be.
    #[error("too many learner members in cluster")]
    TooManyLearners,
    /// The change would leave no voter.
    #[error("re-configuration failed due to not enough started members")]
    NotEnoughStarted,
    /// The voters in reach would be too few to decide. A retry helps when more are back.
    #[error("unhealthy cluster")]
    OutOfReach,
    /// Another change is under way. A retry helps later.
    #[error("unhealthy cluster")]
    Busy,
    /// No leader is known that a quorum follows.
    #[error("no leader")]
    NoLeader,
    /// The deadline passed: outcome unknown.
    #[error("timed out, outcome unknown")]
    TimedOut,
    /// This member stops or has stopped.
    #[error("member stopped")]
    Stopped,
}

impl MembershipError {
    /// The error etcd reports for it; message and code are in `proto::status`.
    pub fn etcd_error(&self) -> EtcdError {
        match self {
            Self::NotFound => EtcdError::MemberNotFound,
            Self::IdExists => EtcdError::MemberExists,
            Self::PeerUrlsExist => EtcdError::PeerUrlExists,
            Self::NotLearner => EtcdError::MemberNotLearner,
            Self::LearnerNotReady => EtcdError::LearnerNotReady,
            Self::NotEnoughStarted => EtcdError::MemberNotEnoughStarted,
            Self::TooManyLearners => EtcdError::TooManyLearners,
            Self::Busy | Self::OutOfReach => EtcdError::Unhealthy,
            Self::NoLeader => EtcdError::NoLeader,
            Self::TimedOut => EtcdError::Timeout,
            Self::Stopped => EtcdError::Stopped,
        }
    }
}

/// Why a call to a peer has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The peer cannot be reached: the call was certainly not handled.
    #[error("peer is unreachable: {0}")]
    Unreachable(String),
    /// The connection broke or the deadline passed: the call may have been handled.
    #[error("no answer from peer: {0}")]
    NoAnswer(String),
    /// The peer belongs to another cluster, is another member, or does not know the caller.
    #[error("peer refused the identity: {0}")]
    Identity(String),
    /// The peer stops, or cannot handle the call now. It was not handled.
    #[error("peer refused: {0}")]
    Refused(String),
}

impl PeerError {
    /// Whether the peer certainly did nothing about the call.
    pub fn is_certainly_not_handled(&self) -> bool {
        !matches!(self, Self::NoAnswer(_))
    }

    /// The refusal of a call that names the wrong cluster or member.
    pub fn wrong_member(expected: MemberId, found: MemberId) -> Self {
        Self::Identity(format!("call for member {:x} reached member {:x}", found.0, expected.0))
    }
}
