//! Agrees on the order of commands, makes the log durable, and hands each committed batch to the
//! store exactly once.
//!
//! The way of a command: [`Consensus::propose`] → the batcher joins what waits into one entry → the
//! core appends and replicates it → a quorum stores it → the apply task gives it to the store, then
//! to the [`Publisher`], and only then the proposer is answered. A follower hands its commands to
//! the leader in one hop and answers from its own applying.
//!
//! Invariants: openraft's types stay behind [`Consensus`]; nothing here blocks the runtime that
//! beats hearts; every wait has a deadline and every queue a bound (`limits`).
//! Must not know: clients, watches, what a key is.

mod admission;
mod apply;
mod apply_latency;
mod apply_task;
mod batcher;
mod blocking;
mod config;
mod consensus;
mod convert;
mod digest;
mod errors;
mod force_new;
mod handler;
mod identity;
mod leadership;
mod lifecycle;
mod limits;
mod local_identity;
pub mod log;
mod machine;
mod membership;
mod membership_change;
mod memory_network;
mod metrics;
mod network;
mod parts;
mod peer;
mod read_index;
mod receiving;
mod removal;
mod restore;
mod retention;
mod runtime;
mod snapshot;
mod start;
pub mod types;
mod vote_check;
mod waiters;

pub use apply_latency::ApplyTimes;
pub use config::{Bootstrap, InitialMember, MemberConfig, MembershipRules, Retention, Timing};
pub use consensus::{Consensus, Member};
pub use digest::Corruption;
pub use errors::{
    MembershipError, PeerError, ProposeError, ReadIndexError, StartError, TransferError,
};
pub use identity::{
    ClusterId, DataMark, Identity, IdentityError, added_member_id, cluster_id, static_member_id,
};
pub use leadership::Leadership;
pub use membership_change::MemberChange;
pub use memory_network::MemoryNetwork;
pub use metrics::RaftMetrics;
pub use parts::{Parts, Publisher, RuntimeChoice};
pub use peer::{Answer, Answers, Lane, LeaderCalls, PeerAddress, PeerHandler, Transport};
pub use restore::{RestorePlan, Restored, bind_restored, restored};

/// openraft over this system's types and state machine.
pub(crate) type Raft = openraft::Raft<types::TypeConfig, machine::Machine>;
