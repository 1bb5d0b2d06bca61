//! What the store asks of a key-value engine: atomic batches, ordered reads, and honest durability.
//!
//! Invariants every engine holds (checked by the conformance suite):
//! - a [`WriteBatch`] is visible as a whole or not at all, over all spaces;
//! - after a crash the state is the result of a prefix of the written batches, at least up to the
//!   last [`Engine::flush`]; never a part of a batch, never one space ahead of another;
//! - reads see every batch written before them; a scan sees one moment.
//!
//! An engine knows bytes only: no revisions, no messages, no log.

mod attended;
mod batch;
mod checkpoint;
#[cfg(feature = "conformance")]
pub mod conformance;
mod memory;
#[cfg(feature = "conformance")]
mod mirror;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub use attended::{Attendant, Attended};
pub use batch::{Operation, WriteBatch};
pub use checkpoint::{Checkpoint, CheckpointFile, CheckpointSink};
pub use memory::{Faults, Memory, MemoryEngines};
#[cfg(feature = "conformance")]
pub use mirror::Mirror;

use crate::error::StorageError;

/// A separate ordered key space of an engine. Its number is part of the disk format: never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Space {
    /// Applied position, membership, digest, revisions: a handful of small rows.
    Meta = 0,
    /// The history of keys.
    KeyValues = 1,
    /// Leases.
    Leases = 2,
    /// Member attributes.
    Members = 3,
    /// Alarms.
    Alarms = 4,
    /// Users, roles and the auth switch.
    Auth = 5,
}

impl Space {
    /// Every space, in the order of their numbers.
    pub const ALL: [Space; 6] =
        [Space::Meta, Space::KeyValues, Space::Leases, Space::Members, Space::Alarms, Space::Auth];

    /// The space's name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Space::Meta => "meta",
            Space::KeyValues => "key_values",
            Space::Leases => "leases",
            Space::Members => "members",
            Space::Alarms => "alarms",
            Space::Auth => "auth",
        }
    }

    /// The space's number: its place in [`Space::ALL`].
    pub const fn number(self) -> usize {
        self as usize
    }
}

/// What a scan calls with each key and value, until it breaks.
pub type Visitor<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key up.
    Ascending,
    /// From the largest key down.
    Descending,
}

/// How much room an engine takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineSizes {
    /// *Units*: bytes of all live files (or of all entries, in memory).
    pub total_bytes: u64,
    /// *Units*: bytes, an estimate of what would remain after [`Engine::reclaim`].
    pub in_use_bytes: u64,
}

/// A key-value engine with several ordered spaces. Shared by one writer and any number of readers.
///
/// *Errors*: any [`StorageError`] stops the member; a retry never helps.
pub trait Engine: Send + Sync {
    /// Applies a batch atomically. *Durability*: none until [`Engine::flush`]; visible on return.
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError>;

    /// The value of a key.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// The values of many keys, in the order of `keys`; not necessarily of one moment.
    fn multi_get(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StorageError>;

    /// Visits the rows with `from <= key < to` (`None`: no upper end) at one moment, until the
    /// visitor breaks.
    ///
    /// The visitor may read from the engine and write to it; it does not see those writes.
    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: Option<&[u8]>,
        direction: Direction,
        visit: Visitor<'_>,
    ) -> Result<(), StorageError>;

    /// Makes every batch written before the call durable, all spaces together. *Durability*: on
    /// return.
    fn flush(&self) -> Result<(), StorageError>;

    /// The value of a key as a crash at this moment would leave it.
    fn persisted(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// Writes a consistent copy of everything to `dir`, which must not exist but whose parent must.
    /// `Memory` ignores `dir`. The copy holds at least the batches written before the call, and
    /// flushes them.
    ///
    /// *Shape*: the directory belongs to the returned checkpoint and is removed when that is
    /// dropped; one that a crash left behind is the caller's to remove.
    fn checkpoint(&self, dir: &Path) -> Result<Box<dyn Checkpoint>, StorageError>;

    /// Gives the room of deleted and overwritten rows back to the file system (Defragment). Slow.
    fn reclaim(&self) -> Result<(), StorageError>;

    /// The room taken. Cheap: may be asked for on every request; a few MiB behind the truth.
    fn sizes(&self) -> EngineSizes;
}

/// A member's generations of engines: one is current, a received checkpoint replaces it as a whole.
pub trait Engines: Send + Sync {
    /// Opens the current generation, or creates the first, empty one. Removes leftovers of
    /// broken-off installs.
    ///
    /// *Errors*: also when the current generation is already open.
    fn open_current(&self) -> Result<Arc<dyn Engine>, StorageError>;

    /// Starts to receive a checkpoint as the next generation. A sink dropped unfinished leaves
    /// nothing.
    fn receive(&self) -> Result<Box<dyn CheckpointSink>, StorageError>;
}
