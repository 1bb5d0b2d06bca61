//! The calls members make to each other, and the seam over which they travel.
//!
//! A remote peer is used through the same trait a member serves: [`PeerHandler`]. A transport joins
//! the two ends, over sockets in production, in memory in tests.
//!
//! Invariants: answers of an append stream come in the order of its requests; a handler checks the
//! identities of each call, so a transport need not be trusted with them.
//! Must not know: sockets, gRPC, openraft.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use proto::peer;
use store::MemberId;

use crate::errors::PeerError;

/// The answer to a call, when it comes.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, PeerError>>;

/// The answers to a stream of requests, in their order.
pub type Answers<T> = BoxStream<'static, Result<T, PeerError>>;

/// Which of a peer's connections a call takes, so that none waits behind another's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Heartbeats, votes and the confirmation of reads: small and urgent.
    Heartbeat,
    /// Replication of the log.
    Log,
    /// Snapshots: large and patient.
    Snapshot,
    /// Commands and questions that a follower hands to the leader.
    Requests,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its id; 0 while it is not known (only for [`PeerHandler::hello`]).
    pub member_id: MemberId,
    /// Its peer URLs, tried in turn.
    pub peer_urls: Vec<String>,
}

/// The way to the peers.
pub trait Transport: Send + Sync {
    /// A handle on one lane to a peer. Connects when first used, and again whenever it must; a peer
    /// that does not run yet is normal.
    fn peer(&self, address: &PeerAddress, lane: Lane) -> Arc<dyn PeerHandler>;
}

/// What one member can ask another.
///
/// *Errors*: [`PeerError`] says whether the call may have been handled.
/// *Cancellation*: dropping a future abandons the call; the peer may still handle it.
pub trait PeerHandler: Send + Sync {
    /// Replicates entries. The first request carries the header.
    fn append(
        &self,
        requests: BoxStream<'static, peer::AppendRequest>,
    ) -> Answer<'_, Answers<peer::AppendResponse>>;

    /// One append without a stream.
    fn heartbeat(&self, request: peer::AppendRequest) -> Answer<'_, peer::AppendResponse>;

    /// Asks for a vote.
    fn vote(&self, request: peer::VoteRequest) -> Answer<'_, peer::VoteResponse>;

    /// Asks whether a vote would be granted, without any effect.
    fn pre_vote(&self, request: peer::VoteRequest) -> Answer<'_, peer::VoteResponse>;

    /// Sends a whole snapshot; answered when it is installed.
    fn snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Answer<'_, peer::SnapshotResponse>;

    /// Tells the peer that the leader gives its office up.
    fn transfer_leader(
        &self,
        request: peer::TransferLeaderRequest,
    ) -> Answer<'_, peer::TransferLeaderResponse>;

    /// Hands a command to the leader. Answered when it is applied there.
    fn propose(&self, request: peer::ProposeRequest) -> Answer<'_, peer::ProposeResponse>;

    /// Asks the leader how far a read must have applied.
    fn read_index(&self, request: peer::ReadIndexRequest) -> Answer<'_, peer::ReadIndexResponse>;

    /// Asks the leader what only it can answer.
    fn ask_leader(&self, request: peer::AskLeaderRequest) -> Answer<'_, peer::AskLeaderResponse>;

    /// Asks who the peer is and what it knows about the asker.
    fn hello(&self, request: peer::HelloRequest) -> Answer<'_, peer::HelloResponse>;
}

/// Answers calls that only a leader can answer, of which this room knows nothing (leases, members).
pub trait LeaderCalls: Send + Sync {
    /// Answers `request`, whose identities were checked. Refuses when this member does not lead.
    fn answer(&self, request: peer::AskLeaderRequest) -> BoxFuture<'_, peer::AskLeaderResponse>;
}
