//! The types openraft is instantiated with, and their translation to the messages that cross nodes.
//!
//! Invariants: one leader per term (`leader_id_std`), as etcd's clients read `raft_term`; a batch
//! is encoded once, where it is proposed, and the same bytes are stored, sent and digested; what
//! crosses nodes or outlives a release is a message of `proto::log`, never serde.
//! Must not know: files, sockets, the store.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use openraft::OptionalSend;
use openraft::entry::RaftEntry as _;
use openraft::impls::{TokioRuntime, leader_id_std};
use openraft::vote::{RaftLeaderId as _, RaftVote as _};
use openraft_rt::deterministic_rng::DeterministicRng;
use prost::Message as _;
use proto::log;

use crate::membership::{decode_membership, encode_membership};

/// openraft's runtime: tokio, with randomness that flows from the member's seed.
///
/// Tasks that openraft spawns must be born in a scope of it: see `DeterministicRng::scope`.
pub type Runtime = DeterministicRng<TokioRuntime>;

/// The types of this system's Raft.
#[derive(Debug, Clone, Copy, Default, Eq, PartialEq, Ord, PartialOrd)]
pub struct TypeConfig;

impl openraft::RaftTypeConfig for TypeConfig {
    type D = EncodedBatch;
    type R = ();
    type NodeId = u64;
    type Node = PeerNode;
    type Term = u64;
    type LeaderId = leader_id_std::LeaderId<u64, u64>;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = Runtime;
    type Responder<T>
        = Callback<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// A term: what identifies a leader whose office is established.
pub type CommittedLeaderId =
    <leader_id_std::LeaderId<u64, u64> as openraft::vote::RaftLeaderId>::Committed;
/// openraft's position of an entry.
pub type RaftLogId = openraft::LogId<CommittedLeaderId>;
/// A vote, cast or won.
pub type Vote = openraft::Vote<leader_id_std::LeaderId<u64, u64>>;
/// An entry of the log.
pub type Entry = openraft::Entry<CommittedLeaderId, Payload>;
/// What an entry says.
pub type Payload = openraft::EntryPayload<EncodedBatch, u64, PeerNode>;
/// Who belongs to the cluster.
pub type Membership = openraft::Membership<u64, PeerNode>;
/// Who belongs to the cluster, and since which entry.
pub type StoredMembership = openraft::StoredMembership<CommittedLeaderId, u64, PeerNode>;
/// What the core reports about itself.
pub type Metrics = openraft::RaftMetrics<TypeConfig>;
/// What a snapshot covers.
pub type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, u64, PeerNode>;

/// Where a member is reached by its peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PeerNode {
    /// Peer URLs, in the order of the configuration.
    pub peer_urls: Vec<String>,
}

/// A batch of commands as one entry carries it: the encoded bytes, decoded when first looked at.
#[derive(Clone)]
pub struct EncodedBatch(Arc<EncodedBatchInner>);

struct EncodedBatchInner {
    bytes: Bytes,
    decoded: OnceLock<Result<log::Batch, prost::DecodeError>>,
}

impl EncodedBatch {
    /// Encodes `batch`, and keeps it so that the proposer never decodes its own words.
    pub fn encode(batch: log::Batch) -> Self {
        let bytes = Bytes::from(batch.encode_to_vec());
        Self(Arc::new(EncodedBatchInner { bytes, decoded: OnceLock::from(Ok(batch)) }))
    }

    /// Takes bytes from the log or from a peer; they are looked at when applied.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(Arc::new(EncodedBatchInner { bytes, decoded: OnceLock::new() }))
    }

    /// The encoded batch.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The batch.
    ///
    /// *Errors*: the bytes are no batch. An entry of the log was checked when it was proposed, so
    /// this means damage.
    pub fn batch(&self) -> Result<&log::Batch, &prost::DecodeError> {
        self.0.decoded.get_or_init(|| log::Batch::decode(self.0.bytes.clone())).as_ref()
    }
}

impl PartialEq for EncodedBatch {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl fmt::Debug for EncodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch of {} bytes", self.0.bytes.len())
    }
}

impl fmt::Display for EncodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl serde::Serialize for EncodedBatch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.bytes)
    }
}

impl<'de> serde::Deserialize<'de> for EncodedBatch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        Ok(Self::from_bytes(Bytes::from(bytes)))
    }
}

type OnCommit = Box<dyn FnOnce(RaftLogId) + Send>;
type OnComplete<T> = Box<dyn FnOnce(Option<T>) + Send>;

/// What openraft calls when an entry is committed, and when it is applied or given up.
///
/// Invariant: the second call happens exactly once: with `None` when openraft drops the entry
/// without a word (it stopped).
pub struct Callback<T> {
    on_commit: Option<OnCommit>,
    on_complete: Option<OnComplete<T>>,
}

impl<T> Callback<T> {
    /// Calls `on_commit` at most once, `on_complete` exactly once.
    pub fn new(
        on_commit: impl FnOnce(RaftLogId) + Send + 'static,
        on_complete: impl FnOnce(Option<T>) + Send + 'static,
    ) -> Self {
        Self { on_commit: Some(Box::new(on_commit)), on_complete: Some(Box::new(on_complete)) }
    }
}

impl<T> Drop for Callback<T> {
    fn drop(&mut self) {
        if let Some(on_complete) = self.on_complete.take() {
            on_complete(None);
        }
    }
}

impl<T: OptionalSend + 'static> openraft::raft::responder::Responder<TypeConfig, T>
    for Callback<T>
{
    fn on_commit(&mut self, log_id: RaftLogId) {
        if let Some(on_commit) = self.on_commit.take() {
            on_commit(log_id);
        }
    }

    fn on_complete(mut self, result: T) {
        if let Some(on_complete) = self.on_complete.take() {
            on_complete(Some(result));
        }
    }
}

/// The message form of an entry that crosses nodes or lies in the log.
pub fn entry_to_message(entry: &Entry) -> log::Entry {
    use log::entry::Payload as Message;
    let payload = match &entry.payload {
        Payload::Blank => Message::Blank(log::Blank {}),
        Payload::Normal(batch) => Message::Batch(batch.bytes().clone()),
        Payload::Membership(membership) => Message::Membership(encode_membership(membership)),
    };
    log::Entry {
        term: entry.log_id.leader_id.term,
        index: entry.log_id.index,
        payload: Some(payload),
    }
}

/// The entry a message stands for. `None` when it has no payload this release knows, or a
/// membership it cannot read: a newer member wrote it, and this one must not guess.
pub fn entry_from_message(message: log::Entry) -> Option<Entry> {
    use log::entry::Payload as Message;
    let payload = match message.payload? {
        Message::Blank(_) => Payload::Blank,
        Message::Batch(bytes) => Payload::Normal(EncodedBatch::from_bytes(bytes)),
        Message::Membership(bytes) => Payload::Membership(decode_membership(&bytes)?),
    };
    Some(Entry::new(log_id(message.term, message.index), payload))
}

/// The position `(term, index)`.
pub fn log_id(term: u64, index: u64) -> RaftLogId {
    RaftLogId::new_term_index(term, index)
}

/// openraft's form of a position outside the core. openraft counts entries from 0, everyone else
/// (the store, status, metrics) from 1, as etcd does; 0 there means "none".
pub fn from_store(outside: store::LogId) -> RaftLogId {
    debug_assert!(outside.index > 0, "positions outside the core count from 1");
    log_id(outside.term, outside.index.saturating_sub(1))
}

/// The form of openraft's position outside the core: see [`from_store`].
pub fn to_store(log_id: &RaftLogId) -> store::LogId {
    store::LogId { term: log_id.leader_id.term, index: log_id.index + 1 }
}

/// The vote for `node_id` in `term`; `committed` when it won.
pub fn vote(term: u64, node_id: u64, committed: bool) -> Vote {
    Vote::from_leader_id(leader_id_std::LeaderId::new(term, node_id), committed)
}
