//! The RocksDB engine under the store.
//!
//! Invariants:
//! - RocksDB's own log is off for every write and every flush names all column families at once:
//!   what is on disk is the result of a prefix of the written batches, and the Raft log replays the
//!   rest;
//! - a member's generation is swapped as a whole, by one renamed pointer file.
//!
//! It must not know revisions, messages or the Raft log: only `store::engine`'s traits. Nothing
//! outside this crate names rocksdb.

mod checkpoint;
mod database;
mod engine;
mod engines;
mod files;
mod options;

pub use engine::Rocks;
pub use engines::RocksEngines;
pub use options::RocksOptions;
