//! A process's view of its engines: every write is shown to the observer before it is made.
//!
//! Must not know: what rows mean.

use std::sync::Arc;

use parking_lot::Mutex;
use store::StorageError;
use store::engine::{
    Attendant, Attended, CheckpointFile, CheckpointSink, Engine, Engines, MemoryEngines, Operation,
    Space, WriteBatch,
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
        Arc::new(Attended::new(engine, Onlooker { observer, careless: self.careless.clone() }))
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

    fn discard(&mut self, name: &str) -> Result<(), StorageError> {
        self.sink.discard(name)
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

/// Who is shown every write.
struct Onlooker {
    observer: Arc<Observer>,
    careless: Option<Arc<Mutex<Dice>>>,
}

impl Attendant for Onlooker {
    fn before_write(&self, batch: WriteBatch) -> WriteBatch {
        self.observer.look();
        match &self.careless {
            Some(dice) => with_a_loss(batch, &mut dice.lock()),
            None => batch,
        }
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
