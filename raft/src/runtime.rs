//! The runtime of the consensus core: one thread of its own, apart from those that serve clients.
//!
//! Must not know: what runs on it.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A single-threaded runtime on an OS thread of its own; ends with [`RaftThread::stop`].
pub(crate) struct RaftThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<oneshot::Receiver<()>>,
}

impl RaftThread {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name("engram-raft".to_owned()).spawn(move || {
            // An error means that the owner is gone: a stop as well.
            drop(runtime.block_on(stopped));
            // Tasks that are left (connections of peers) are dropped; a blocked disk is not waited
            // for.
            runtime.shutdown_background();
            let _owner_is_gone = end.send(());
        })?;
        Ok(Self { handle, stop: Some(stop), ended: Some(ended) })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread and waits for it.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(ended) = self.ended.take() {
            drop(ended.await);
        }
    }
}
