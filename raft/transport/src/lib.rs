//! The peer transport over tonic: heartbeats, log and snapshots on connections of their own.
//!
//! [`TonicTransport`] is the calling side, [`serve`] the listening side; both speak
//! `engram.peer.Peer` over HTTP/2, so that a plain TCP proxy may stand between two members.
//!
//! Invariants: a dead connection is noticed within seconds (HTTP/2 pings, TCP user timeout); a call
//! that certainly never reached its peer is told from one that may have.
//! Must not know: openraft, what a call means. Identities are checked by the handler.

mod client;
mod connect;
mod limits;
mod server;
mod status;

pub use client::TonicTransport;
pub use connect::{PeerTls, prepare};
pub use server::{PeerService, serve, tcp_incoming};
