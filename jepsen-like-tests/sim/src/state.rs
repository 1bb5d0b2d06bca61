//! A process's view of its engines: every write is shown to the observer before it is made.
//!
//! Must not know: what rows mean.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use store::StorageError;
use store::engine::{
    Checkpoint, CheckpointFile, CheckpointSink, Direction, Engine, EngineSizes, Engines,
    MemoryEngines, Operation, Space, Visitor, WriteBatch,
};

use crate::observer::Observer;
use crate::random::Dice;

/// The generations of a member, observed.
pub(crate) struct ObservedEngines {
    inner: MemoryEngines,
    observer: Arc<Observer>,
    /// Set: rows get lost.
    careless: Option<Arc<Mutex<Dice>>>,
}

impl ObservedEngines {
    pub(crate) fn new(
        inner: MemoryEngines,
        observer: &Arc<Observer>,
        careless: Option<Dice>,
    ) -> Self {
        let careless = careless.map(|dice| Arc::new(Mutex::new(dice)));
        Self { inner, observer: Arc::clone(observer), careless }
    }

    fn observed(&self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        let observer = Arc::clone(&self.observer);
        Arc::new(Observed { engine, observer, careless: self.careless.clone() })
    }
}

impl Engines for ObservedEngines {
    fn open_current(&self) -> Result<Arc<dyn Engine>, StorageError> {
        Ok(self.observed(self.inner.open_current()?))
    }

    fn receive(&self) -> Result<Box<dyn CheckpointSink>, StorageError> {
        let engines = Self {
            inner: self.inner.clone(),
            observer: Arc::clone(&self.observer),
            careless: self.careless.clone(),
        };
        Ok(Box::new(ObservedSink { sink: self.inner.receive()?, engines }))
    }
}

struct ObservedSink {
    sink: Box<dyn CheckpointSink>,
    engines: ObservedEngines,
}

impl CheckpointSink for ObservedSink {
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.sink.write(name, offset, bytes)
    }

    fn finish(
        self: Box<Self>,
        expected: &[CheckpointFile],
    ) -> Result<Arc<dyn Engine>, StorageError> {
        if self.engines.observer.is_dead() {
            return Err(StorageError::Injected("the process is gone"));
        }
        Ok(self.engines.observed(self.sink.finish(expected)?))
    }
}

struct Observed {
    engine: Arc<dyn Engine>,
    observer: Arc<Observer>,
    careless: Option<Arc<Mutex<Dice>>>,
}

impl Engine for Observed {
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        self.observer.look();
        match &self.careless {
            Some(dice) => self.engine.write(with_a_loss(batch, &mut dice.lock())),
            None => self.engine.write(batch),
        }
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.engine.get(space, key)
    }

    fn multi_get(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StorageError> {
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

/// The batch, now and then without its last key-value row.
fn with_a_loss(batch: WriteBatch, dice: &mut Dice) -> WriteBatch {
    let is_row =
        |operation: &Operation| matches!(operation, Operation::Put { space: Space::KeyValues, .. });
    let Some(lost) = batch.operations().iter().rposition(is_row) else { return batch };
    if !dice.chance(20) {
        return batch;
    }
    let mut left = WriteBatch::new();
    for (place, operation) in batch.operations().iter().cloned().enumerate() {
        match operation {
            _ if place == lost => {}
            Operation::Put { space, key, value } => left.put(space, key, value),
            Operation::Delete { space, key } => left.delete(space, key),
            Operation::DeleteRange { space, from, to } => left.delete_range(space, from, to),
        }
    }
    left
}
