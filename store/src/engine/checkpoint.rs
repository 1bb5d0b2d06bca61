//! A consistent copy of an engine, as named files that can be sent, and the place where one is
//! received.
//!
//! Neither side knows how the bytes travel.

use std::sync::Arc;

use bytes::Bytes;

use super::{Engine, Space};
use crate::error::StorageError;

/// One file of a checkpoint: its name and what its bytes must add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFile {
    /// A plain file name: no separators.
    pub name: String,
    /// *Units*: bytes.
    pub bytes: u64,
    /// CRC-32C of the whole file.
    pub crc32c: u32,
}

/// A finished, unchanging copy of an engine. Dropping it removes its files.
pub trait Checkpoint: Send + Sync {
    /// The files, sorted by name.
    fn files(&self) -> &[CheckpointFile];

    /// Up to `bytes_max` bytes of a file from `offset`; empty at and after its end.
    fn read(&self, name: &str, offset: u64, bytes_max: usize) -> Result<Bytes, StorageError>;

    /// A row of the copy: what a member that installs it will find.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError>;
}

/// Receives the files of a checkpoint into a generation that is not current yet.
///
/// A sink may outlive the connection that fills it: what is there stays until the sink is dropped.
///
/// *Cancellation*: dropping the sink removes what was received.
pub trait CheckpointSink: Send {
    /// Writes bytes of a file at `offset`; files come into being by the first write (an empty one
    /// too).
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Removes a file that is not wanted any more; one that never came is fine.
    fn discard(&mut self, name: &str) -> Result<(), StorageError>;

    /// Compares what was received with the announced files, makes it durable and current, and opens
    /// it.
    ///
    /// *Errors*: [`StorageError::Received`] when a file is missing, superfluous, short or altered:
    /// the current generation stays. *Durability*: on return the new generation is current, also
    /// after a crash.
    fn finish(
        self: Box<Self>,
        expected: &[CheckpointFile],
    ) -> Result<Arc<dyn Engine>, StorageError>;
}
