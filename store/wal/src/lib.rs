//! etcd's Raft log on disk: its files read, and its entries as commands of ours.
//!
//! - [`survey`] reads every record of the files once, checks the chain, and says how far it goes;
//! - [`entries`] reads what comes after a database's last entry;
//! - [`committed`] says how many of those a restarted etcd would apply;
//! - [`command`] makes of an entry what our own apply path takes.
//!
//! Invariants: what is damaged is an error and never a panic, but for the end of the last file,
//! which a crash may tear, as etcd has it; memory is bounded by the length of the files.
//!
//! Must not know: folders, etcd's database, our own log.

mod command;
mod committed;
mod error;
mod frame;
mod fuzz;
mod record;
mod seal;
mod segment;
mod walk;

pub use command::command;
pub use committed::{committed, names};
pub use error::WalError;
pub use fuzz::fuzz_read;
pub use record::{ConfChange, Entry, HardState, SnapshotMark, entry_kind, record_kind};
pub use seal::seal;
pub use segment::{Segment, SegmentName};
pub use walk::{Survey, Tail, Torn, entries, survey};
