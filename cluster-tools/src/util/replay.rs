//! The end of a history applied: as entries of our own log, by the store itself.
//!
//! Invariants: the same history makes the same state and digest on every member that is made of it;
//! what etcd refused is refused again and changes nothing.

use proto::log::Batch;
use store::{Answers, LogId, StorageError, Store};

use super::etcd_log::Later;
use super::line;
use crate::ToolError;

/// Commands of one entry of ours. One has 1.5 MiB unless etcd was told otherwise.
const COMMANDS_MAX: usize = 64;

/// Applies what came later, after the entry that counts as applied. *Durability*: on return.
pub(super) fn replay(mut store: Store, applied: LogId, later: &Later) -> Result<Store, ToolError> {
    let damaged = |error: StorageError| ToolError::Damaged(error.to_string());
    let mut log_id = applied;
    for commands in later.commands.chunks(COMMANDS_MAX) {
        log_id.index += 1;
        let state_machine_version = store.reader().state_machine_version();
        let batch = Batch { state_machine_version, commands: commands.to_vec() };
        store.apply(log_id, &batch, Answers::Skip).map_err(damaged)?;
    }
    store.flush().map_err(damaged)?;
    Ok(store)
}

impl Later {
    /// Says what was taken from the log, and what was not.
    pub(super) fn tell(&self) -> Result<(), ToolError> {
        let (after, until) = self.between;
        if until > after {
            let commands = self.commands.len();
            line(format_args!(
                "etcd's database was behind its log: entries {}..{until} applied, {commands} commands",
                after + 1
            ))?;
        }
        if let Some(torn) = &self.torn {
            line(format_args!(
                "the log's last write, in {} at {}, is torn: it was never acknowledged, and is dropped",
                torn.file, torn.offset
            ))?;
        }
        if self.given_up > 0 {
            line(format_args!(
                "{} entries after {until} are left out: this member alone does not know whether they \
                 were committed. The directory of another member may have them as such",
                self.given_up
            ))?;
        }
        Ok(())
    }
}
