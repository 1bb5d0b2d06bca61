//! The way to the peers, and the listener for them.

use std::sync::Arc;

use anyhow::{Result, bail};
use raft::{Lane, PeerAddress, PeerHandler, Transport};
use server::Member;
use server::config::ServerConfig;
use tokio::net::TcpListener;

/// A member that is alone has nobody to talk to.
struct Alone;

impl Transport for Alone {
    fn peer(&self, _: &PeerAddress, _: Lane) -> Arc<dyn PeerHandler> {
        unreachable!("a member that is alone never asks for a peer")
    }
}

/// The way to the peers.
pub(crate) fn transport(config: &ServerConfig) -> Result<Arc<dyn Transport>> {
    if config.initial_cluster.members.len() > 1 {
        bail!("clusters of more than one member are not there yet");
    }
    Ok(Arc::new(Alone))
}

/// The listener for peers, until it is dropped.
pub(crate) struct Peers;

impl Peers {
    /// Begins to answer peers.
    pub(crate) fn serve(_: &Arc<Member>, _: Vec<TcpListener>) -> Self {
        Peers
    }
}
