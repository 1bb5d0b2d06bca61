//! The generated gRPC service traits and clients over Engram's messages.
//!
//! In every package, `…_server` modules hold the trait to implement and the tonic service around
//! it, `…_client` modules the client.
//!
//! Invariant: servers answer Range, RangeStream, Put, DeleteRange, Txn and Watch with the types of
//! [`proto::spliced`], clients get the plain types of the message packages; both are alike on the
//! wire. The messages themselves live in the crate `proto`.
//!
//! # Limits
//! tonic's defaults hold until they are set on a service or client: 4 MiB for a decoded message,
//! no limit for an encoded one.
//!
//! Must not know: what any call does.

/// The descriptors of etcd's services with everything they refer to: a `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Puts the client and the server generation of one package side by side.
macro_rules! package {
    ($file:literal) => {
        include!(concat!(env!("OUT_DIR"), "/clients/", $file));
        include!(concat!(env!("OUT_DIR"), "/servers/", $file));
    };
}

/// etcd's services: KV, Watch, Lease, Cluster, Maintenance, Auth.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod etcdserverpb {
    package!("etcdserverpb.rs");
}

/// etcd's lock service.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod v3lockpb {
    package!("v3lockpb.rs");
}

/// etcd's election service.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod v3electionpb {
    package!("v3electionpb.rs");
}

/// The service that members offer to each other.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod peer {
    package!("engram.peer.rs");
}
