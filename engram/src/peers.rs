//! The listener for peers, on the runtime of consensus.

use std::io;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use server::tls::Side;
use server::{Member, Reserved};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::file_limit;

/// The listener for peers, until it is stopped or dropped.
pub(crate) struct Peers {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl Peers {
    /// Begins to answer peers. Consensus has checked with them before that nobody else is us.
    pub(crate) fn serve(
        member: &Member,
        ports: Vec<Reserved>,
        tls: Option<&Arc<Side>>,
    ) -> Result<Self> {
        let runtime = member.consensus().runtime();
        let _on_it = runtime.enter();
        let connections = file_limit::peer_connections_max();
        let listeners = ports.into_iter().map(|port| port.listen_with(tls, connections));
        let listeners =
            listeners.collect::<Result<Vec<_>, _>>().context("cannot listen for peers")?;
        for url in &member.config().listen_peer_urls {
            tracing::info!(address = url.authority(), "serving peer traffic");
        }
        let incoming = server::incoming_peers(listeners, raft_transport::prepare);
        let (stop, stopped) = oneshot::channel();
        let handler = member.peer_handler();
        let serving = raft_transport::serve(incoming, handler, async {
            // A dropped sender stops it as well.
            drop(stopped.await);
        });
        Ok(Peers { stop, serving: runtime.spawn(serving) })
    }

    /// Closes the listener and its connections.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        // Its runtime may be gone already, and the task with it.
        drop(self.serving.await);
    }
}
