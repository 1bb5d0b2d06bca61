//! The words spoken on sockets, in the log and on disk: messages and the status table.
//!
//! What is here:
//! - etcd 3.7's published packages ([`etcdserverpb`], [`mvccpb`], [`authpb`], [`v3lockpb`],
//!   [`v3electionpb`], [`membershippb`], [`versionpb`]), generated from our own `.proto` files;
//! - [`spliced`]: wire-identical forms of the hot answers that carry already encoded key-values;
//! - [`log`] and [`peer`]: what the Raft log holds and what members say to each other;
//! - [`status`]: etcd's error table; [`metadata`]: the names of gRPC metadata.
//!
//! Invariants: field numbers and error texts are etcd's and never change; the log's messages only
//! grow together with the state-machine version (see `engram/log.proto`). Every `bytes` field is a
//! [`bytes::Bytes`] that shares the buffer it was decoded from: copy what goes into a long-lived
//! map, or a small key keeps a large buffer alive.
//!
//! Limits: decoding stops at 100 levels of nesting (prost's recursion limit); [`limits`] says what
//! that leaves for nested transactions.
//!
//! Must not know: sockets, gRPC libraries, the store, behaviour of any kind.

pub mod limits;
pub mod metadata;
pub mod spliced;
pub mod status;
pub mod versionpb;

/// etcd's request and answer messages.
///
/// # Source
/// etcd 3.7, package `etcdserverpb` (API messages and `raft_internal`).
#[allow(missing_docs, clippy::all)]
pub mod etcdserverpb {
    include!(concat!(env!("OUT_DIR"), "/etcdserverpb.rs"));
}

/// The stored key-value and its change events.
///
/// # Source
/// etcd 3.7, package `mvccpb`.
#[allow(missing_docs, clippy::all)]
pub mod mvccpb {
    include!(concat!(env!("OUT_DIR"), "/mvccpb.rs"));
}

/// Users, roles and permissions.
///
/// # Source
/// etcd 3.7, package `authpb`.
#[allow(missing_docs, clippy::all)]
pub mod authpb {
    include!(concat!(env!("OUT_DIR"), "/authpb.rs"));
}

/// The messages of the lock service.
///
/// # Source
/// etcd 3.7, package `v3lockpb`.
#[allow(missing_docs, clippy::all)]
pub mod v3lockpb {
    include!(concat!(env!("OUT_DIR"), "/v3lockpb.rs"));
}

/// The messages of the election service.
///
/// # Source
/// etcd 3.7, package `v3electionpb`.
#[allow(missing_docs, clippy::all)]
pub mod v3electionpb {
    include!(concat!(env!("OUT_DIR"), "/v3electionpb.rs"));
}

/// Membership as etcd keeps it in its own log and backend.
///
/// # Source
/// etcd 3.7, package `membershippb`.
#[allow(missing_docs, clippy::all)]
pub mod membershippb {
    include!(concat!(env!("OUT_DIR"), "/membershippb.rs"));
}

/// What the Raft log carries.
///
/// # Durability
/// These messages are persisted and replicated: their bytes are held by golden tests.
#[allow(missing_docs, clippy::all)]
pub mod log {
    include!(concat!(env!("OUT_DIR"), "/engram.log.rs"));
}

/// What members say to each other.
#[allow(missing_docs, clippy::all)]
pub mod peer {
    include!(concat!(env!("OUT_DIR"), "/engram.peer.rs"));
}
