//! The messages of a log.
//!
//! *Source*: the published schemas of etcd's `walpb` and raft's `raftpb`.

use bytes::Bytes;

/// `walpb.Record`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Record {
    #[prost(int64, tag = "1")]
    pub(crate) kind: i64,
    /// The checksum of the data of all records up to this one.
    #[prost(uint32, tag = "2")]
    pub(crate) crc: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) data: Bytes,
}

/// What a record holds.
pub mod record_kind {
    /// Whose log it is.
    pub const METADATA: i64 = 1;
    /// An entry.
    pub const ENTRY: i64 = 2;
    /// What the member knew of terms and of what is committed.
    pub const STATE: i64 = 3;
    /// The checksum of the file before.
    pub const CHECKSUM: i64 = 4;
    /// A mark: the database had everything up to here.
    pub const SNAPSHOT: i64 = 5;
}

/// `etcdserverpb.Metadata`: whose log it is.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Metadata {
    #[prost(uint64, tag = "1")]
    pub(crate) node_id: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) cluster_id: u64,
}

/// `raftpb.Entry`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Entry {
    /// One of [`entry_kind`].
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The term of the leader that wrote it.
    #[prost(uint64, tag = "2")]
    pub term: u64,
    /// Its place in the log.
    #[prost(uint64, tag = "3")]
    pub index: u64,
    /// The request; empty in the first entry of a term.
    #[prost(bytes = "bytes", tag = "4")]
    pub data: Bytes,
}

/// What an entry carries.
pub mod entry_kind {
    /// A request.
    pub const NORMAL: i32 = 0;
    /// A change of the membership.
    pub const CONF_CHANGE: i32 = 1;
}

/// `raftpb.HardState`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct HardState {
    /// The latest term that was seen.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// Who was voted for in it.
    #[prost(uint64, tag = "2")]
    pub vote: u64,
    /// Entries up to it were known to be committed.
    #[prost(uint64, tag = "3")]
    pub commit: u64,
}

/// `walpb.Snapshot`: the database had everything up to here.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct SnapshotMark {
    /// The last entry in it.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// Its term.
    #[prost(uint64, tag = "2")]
    pub term: u64,
}

/// `raftpb.ConfChange`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ConfChange {
    /// 0 adds a voter, or makes a learner one; 1 removes; 2 updates; 3 adds a learner.
    #[prost(int32, tag = "2")]
    pub kind: i32,
    /// Whom it is about.
    #[prost(uint64, tag = "3")]
    pub node_id: u64,
}
