//! An engine with somebody beside it who is called before it is asked: to look, to lose what is to
//! be written, to change rows under a read.
//!
//! For tests and the simulation. Must not know: who that is.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{Checkpoint, Direction, Engine, EngineSizes, Space, Visitor, WriteBatch};
use crate::error::StorageError;

/// Who is called before an engine is asked.
pub trait Attendant: Send + Sync {
    /// Before a write; returns what is written in its place.
    fn before_write(&self, batch: WriteBatch) -> WriteBatch {
        batch
    }

    /// Before rows of a space are read.
    fn before_read(&self, _space: Space) {}
}

/// See the module's page.
pub struct Attended<A> {
    engine: Arc<dyn Engine>,
    attendant: A,
}

impl<A: Attendant> Attended<A> {
    /// Puts somebody beside an engine.
    pub fn new(engine: Arc<dyn Engine>, attendant: A) -> Self {
        Self { engine, attendant }
    }
}

impl<A: Attendant> Engine for Attended<A> {
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        self.engine.write(self.attendant.before_write(batch))
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.attendant.before_read(space);
        self.engine.get(space, key)
    }

    fn multi_get(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.attendant.before_read(space);
        self.engine.multi_get(space, keys)
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: Option<&[u8]>,
        direction: Direction,
        visit: Visitor<'_>,
    ) -> Result<(), StorageError> {
        self.attendant.before_read(space);
        self.engine.scan(space, from, to, direction, visit)
    }

    fn flush(&self) -> Result<(), StorageError> {
        self.engine.flush()
    }

    fn persisted(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.engine.persisted(space, key)
    }

    fn checkpoint(&self, dir: &Path) -> Result<Box<dyn Checkpoint>, StorageError> {
        self.engine.checkpoint(dir)
    }

    fn reclaim(&self) -> Result<(), StorageError> {
        self.engine.reclaim()
    }

    fn sizes(&self) -> EngineSizes {
        self.engine.sizes()
    }
}
