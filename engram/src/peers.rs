//! The listener for peers, on the runtime of consensus.

use std::io;

use anyhow::{Context as _, Result};
use server::{Member, Reserved};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The listener for peers, until it is stopped or dropped.
pub(crate) struct Peers {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl Peers {
    /// Begins to answer peers. Consensus has checked with them before that nobody else is us.
    pub(crate) fn serve(member: &Member, ports: Vec<Reserved>) -> Result<Self> {
        let runtime = member.consensus().runtime();
        let _on_it = runtime.enter();
        let listeners = ports.into_iter().map(Reserved::listen).collect::<Result<_, _>>();
        let listeners = listeners.context("cannot listen for peers")?;
        let (stop, stopped) = oneshot::channel();
        let handler = member.peer_handler();
        let serving = raft_transport::serve(listeners, handler, async {
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
