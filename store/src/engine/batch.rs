//! A batch of writes: what an engine applies as one atom.
//!
//! Operations take effect in the order in which they were added: a later one wins over an earlier
//! one.

use bytes::Bytes;

use super::Space;

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sets a key.
    Put {
        /// The space.
        space: Space,
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The space.
        space: Space,
        /// The key.
        key: Bytes,
    },
    /// Removes all keys with `from <= key < to`.
    DeleteRange {
        /// The space.
        space: Space,
        /// The first key, inclusive.
        from: Bytes,
        /// The end, exclusive. Not after `from`: nothing is removed.
        to: Bytes,
    },
}

/// Writes that become visible, and durable, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    operations: Vec<Operation>,
    bytes: usize,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, space: Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.operations.push(Operation::Put { space, key, value });
    }

    /// Removes a key, if it is there.
    pub fn delete(&mut self, space: Space, key: impl Into<Bytes>) {
        let key = key.into();
        self.bytes += key.len();
        self.operations.push(Operation::Delete { space, key });
    }

    /// Removes all keys with `from <= key < to`.
    pub fn delete_range(&mut self, space: Space, from: impl Into<Bytes>, to: impl Into<Bytes>) {
        let (from, to) = (from.into(), to.into());
        self.bytes += from.len() + to.len();
        self.operations.push(Operation::DeleteRange { space, from, to });
    }

    /// The writes, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The number of writes.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// *Units*: bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
