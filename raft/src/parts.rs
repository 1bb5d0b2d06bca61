//! What the composition root hands to a member: storage, files, transport, listener and runtime.
//!
//! Must not know: which implementation stands behind a part.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use store::engine::Engines;
use store::{AppliedBatch, Revision};

use crate::log::LogFiles;
use crate::peer::Transport;

/// Where the consensus core runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// On a runtime and threads of its own, apart from those that serve clients, so that no request
    /// can delay a heartbeat. For production.
    Dedicated,
    /// On the caller's runtime, without any thread. For simulation and tests on a seeded,
    /// single-threaded runtime.
    Caller {
        /// How long a sync of the log takes, on that runtime's clock.
        sync_takes: Duration,
    },
}

/// Hears about every change of the state, in order.
///
/// *Order*: called by the apply task after the store holds the batch and before any proposer is
/// answered. It must not block.
pub trait Publisher: Send + Sync {
    /// A batch was applied; its events follow the previous call's without a gap.
    fn publish(&self, batch: &AppliedBatch);

    /// The whole state was replaced by a snapshot that ends at `revision`.
    fn installed(&self, revision: Revision);
}

/// The parts of one member.
#[derive(Clone)]
pub struct Parts {
    /// The generations of this member's state.
    pub engines: Arc<dyn Engines>,
    /// The files of the log directory.
    pub log_files: Arc<dyn LogFiles>,
    /// The way to the peers.
    pub transport: Arc<dyn Transport>,
    /// Who hears about changes.
    pub publisher: Arc<dyn Publisher>,
    /// Where checkpoints are made while a snapshot is sent; on the file system of the engines.
    pub snapshot_dir: PathBuf,
    /// Where the consensus core runs.
    pub runtime: RuntimeChoice,
}
