//! The disks of all members, and what a power cut in this moment would leave on them.
//!
//! Invariant checked: an entry that a member applies would survive on a majority.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use raft::log::{MemoryLogFiles, RecordKind, inspect_files};
use store::LogId;
use store::engine::MemoryEngines;

/// What outlives a member's processes.
#[derive(Default)]
pub(crate) struct Disk {
    /// The log directory; a crash puts another in its place, so that ghosts write nowhere.
    pub(crate) files: Mutex<MemoryLogFiles>,
    /// The generations of the state.
    pub(crate) engines: MemoryEngines,
}

/// The disks, by member.
pub(crate) struct Disks(pub(crate) Vec<Disk>);

impl Disks {
    pub(crate) fn new(members: usize) -> Self {
        Self((0..members).map(|_| Disk::default()).collect())
    }

    /// Whether the entry would survive on a majority if all members lost power now, each unsynced
    /// sector with them.
    pub(crate) fn check(&self, log_id: LogId) -> Result<(), String> {
        let mut holders = 0;
        for (member, disk) in self.0.iter().enumerate() {
            let left = disk.files.lock().fork(|| false);
            let held = holds(&left, log_id);
            let held =
                held.map_err(|error| format!("a power cut would ruin m{member}'s log: {error}"))?;
            holders += usize::from(held);
        }
        if holders <= self.0.len() / 2 {
            return Err(format!("entry {log_id} was applied but is durable on {holders} members"));
        }
        Ok(())
    }
}

fn holds(files: &MemoryLogFiles, log_id: LogId) -> Result<bool, String> {
    // The log counts from 0, everyone outside it from 1.
    let index = log_id.index - 1;
    let mut terms = BTreeMap::new();
    let report = inspect_files(files, |record| {
        if record.kind == RecordKind::Entry
            && let Some(position) = record.position
        {
            terms.insert(position.index, position.term);
        }
    });
    let report = report.map_err(|error| error.to_string())?;
    let purged = report.purged.is_some_and(|purged| purged.index >= index);
    let kept = report.entries.contains(&index) && terms.get(&index) == Some(&log_id.term);
    Ok(purged || kept)
}
