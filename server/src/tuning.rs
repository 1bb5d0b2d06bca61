//! Sizes and times that no flag sets. The defaults are what runs; simulation draws others, so that
//! the rare ways through the code are taken often.
//!
//! Must not know: flags.

use std::time::Duration;

use crate::limits::LEASE_CHECKPOINT_INTERVAL;

/// See the module's page.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// When the state is flushed and the log cut, but for the number of entries kept, which is a
    /// flag's.
    pub retention: raft::Retention,
    /// Sizes of the log's files.
    pub log_limits: raft::log::LogLimits,
    /// Bounds of the watches.
    pub watch_limits: watch::Limits,
    /// How often the remaining time of a long lease is written into the log.
    pub lease_checkpoint_interval: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            retention: raft::Retention::default(),
            log_limits: raft::log::LogLimits::default(),
            watch_limits: watch::Limits::default(),
            lease_checkpoint_interval: LEASE_CHECKPOINT_INTERVAL,
        }
    }
}
