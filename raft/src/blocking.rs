//! Where work that waits for a disk is done: on the blocking threads, or in place.
//!
//! Must not know: what the work is.

use std::io;

/// Runs blocking work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// On tokio's blocking threads, away from the runtime.
    Threads,
    /// In place: simulation has no threads, and its files do not block.
    Inline,
}

impl Blocking {
    /// Runs `work` to its end, also when the returned future is dropped.
    ///
    /// *Errors*: the runtime shuts down, or the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Self::Inline => Ok(work()),
            Self::Threads => tokio::task::spawn_blocking(work).await.map_err(io::Error::other),
        }
    }
}
