//! The Raft log: segmented append files of our own, outside any database.
//!
//! The bytes are drawn in `format`; the torn-tail rule is in `recover`; one driver carries all
//! waiting appends with one sync (`drive`); openraft's traits are in `storage`.
//!
//! Must not know: what a command means.

mod codec;
mod drive;
mod entry;
mod error;
mod files;
mod format;
mod fuzz;
mod handle;
mod inspect;
mod memory_files;
mod recover;
mod seal;
mod state;
mod storage;
mod wake;
mod writer;

pub use drive::{SYNC_BUCKETS, SyncLatency, on_runtime, on_thread};
pub use entry::LogEntry;
pub use error::LogError;
pub use files::{LogFile, LogFiles, RealLogFiles};
pub use format::{Owner, RecordKind};
pub use fuzz::{FUZZ_OWNER, fuzz_read};
pub use handle::{Done, Driver, Log, LogLimits};
pub use inspect::{InspectedRecord, Report, inspect, inspect_files, verify};
pub use memory_files::MemoryLogFiles;
pub use recover::TornTail;
pub use state::Position;
pub use storage::{Drive, RaftLog, RunningLog, open};
