//! The log's files and openraft's log storage over them.
//!
//! This is a first, volatile form: entries live in memory and survive a restart of the member inside
//! one process only.

mod memory;

use std::io;
use std::sync::Arc;

pub use memory::{MemoryFiles, MemoryLog};

/// The files of a member's log directory.
pub trait LogFiles: Send + Sync {
    /// The whole content of a small file; `None` when there is no such file.
    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Replaces a small file atomically. *Durability*: on return.
    fn write_file(&self, name: &str, content: &[u8]) -> io::Result<()>;

    /// The entries.
    fn memory_log(&self) -> MemoryLog;
}

/// Opens the log.
///
/// *Errors*: the log is damaged or cannot be read.
pub fn open(files: &Arc<dyn LogFiles>) -> io::Result<MemoryLog> {
    Ok(files.memory_log())
}
