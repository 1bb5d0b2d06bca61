//! What applying an entry answers: replicated data, the same on every member.
//!
//! It must not know status codes of any transport: a door maps [`ApplyError`] to its own.

use proto::status::EtcdError;
use proto::{etcdserverpb, spliced};
use thiserror::Error;

use crate::event::RevisionEvents;
use crate::types::{Digest, LeaseId, Revision};

/// Who builds the answers of ranges and previous values: only the member that proposed the entry
/// needs them. State and digest do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Build everything.
    Materialise,
    /// Leave out what costs reads: ranges inside transactions, and previous values.
    Skip,
}

/// A command that was refused. Part of the replicated result: every member comes to the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.message())]
pub struct ApplyError(pub EtcdError);

impl From<EtcdError> for ApplyError {
    fn from(error: EtcdError) -> Self {
        Self(error)
    }
}

/// What a command answers. Headers inside carry a revision only; the door fills in the rest.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// A put was made.
    Put(spliced::PutResponse),
    /// Keys were deleted, maybe none.
    DeleteRange(spliced::DeleteRangeResponse),
    /// A transaction took one of its branches.
    Txn(spliced::TxnResponse),
    /// The history is compacted, logically; rows go later.
    Compaction,
    /// A lease exists.
    LeaseGrant {
        /// Its id.
        id: LeaseId,
        /// *Units*: seconds.
        ttl: i64,
    },
    /// A lease and its keys are gone.
    LeaseRevoke,
    /// Remaining times are recorded.
    LeaseCheckpoint,
    /// Alarms, by member and kind: those asked for, or those changed.
    Alarm(etcdserverpb::AlarmResponse),
    /// A member's name and client URLs are recorded.
    MemberAttributes,
    /// A downgrade is noted, or none is.
    Downgrade,
    /// The state machine version is raised, or was as high already.
    StateMachineVersion,
    /// Users, roles or the switch are as they were asked to be, or a token is given.
    Auth(AuthEffect),
}

/// What those who keep tokens must know of a command.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthEffect {
    /// Nothing.
    Other,
    /// The tokens of this user end.
    UserEnded(String),
    /// All tokens end.
    Disabled,
    /// A token begins.
    Token {
        /// Whose it is.
        username: String,
        /// The token, whole.
        token: String,
    },
}

/// Never shows a token.
impl std::fmt::Debug for AuthEffect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AuthEffect::Other => f.write_str("Other"),
            AuthEffect::UserEnded(name) => write!(f, "UserEnded({name:?})"),
            AuthEffect::Disabled => f.write_str("Disabled"),
            AuthEffect::Token { username, .. } => write!(f, "Token of {username:?}"),
        }
    }
}

/// The result of one command of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The answer, or why there is none. A refused command has changed nothing.
    pub result: Result<Response, ApplyError>,
    /// The store's revision right after the command.
    pub revision: Revision,
}

/// The result of one entry.
#[derive(Clone, Debug, PartialEq)]
pub struct AppliedBatch {
    /// One per command, in order.
    pub outcomes: Vec<Outcome>,
    /// The revisions the entry made, rising by one, each with its changes.
    pub events: Vec<RevisionEvents>,
    /// The state digest after the entry.
    pub digest: Digest,
    /// The store's revision after the entry.
    pub revision: Revision,
}
