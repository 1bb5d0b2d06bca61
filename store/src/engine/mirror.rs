//! Two engines side by side: every write goes to both, every answer must be the same.
//!
//! For tests: it panics when the engines differ. Files and sizes are the first engine's.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, RwLock};

use bytes::Bytes;

use super::{Checkpoint, Direction, Engine, EngineSizes, Space, Visitor, WriteBatch};
use crate::error::StorageError;

/// See the module's page.
pub struct Mirror {
    first: Arc<dyn Engine>,
    second: Arc<dyn Engine>,
    /// Written batches reach both engines before anyone compares them.
    order: RwLock<()>,
}

impl Mirror {
    /// Mirrors two engines that hold the same rows. Nothing else may write to them.
    pub fn new(first: Arc<dyn Engine>, second: Arc<dyn Engine>) -> Self {
        Self { first, second, order: RwLock::new(()) }
    }

    fn compare<T: PartialEq + std::fmt::Debug>(
        &self,
        question: &str,
        ask: impl Fn(&dyn Engine) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let _order = self.order.read().expect("a difference was found before");
        let (first, second) = (ask(&*self.first)?, ask(&*self.second)?);
        assert_eq!(first, second, "the engines differ: {question}");
        Ok(first)
    }
}

impl Engine for Mirror {
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        let _order = self.order.write().expect("a difference was found before");
        self.first.write(batch.clone())?;
        self.second.write(batch)
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.compare("get", |engine| engine.get(space, key))
    }

    fn multi_get(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.compare("multi_get", |engine| engine.multi_get(space, keys))
    }

    /// Both scans run to their end before the visitor sees the first row.
    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: Option<&[u8]>,
        direction: Direction,
        visit: Visitor<'_>,
    ) -> Result<(), StorageError> {
        let rows = self.compare("scan", |engine| {
            let mut rows = Vec::new();
            engine.scan(space, from, to, direction, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })?;
            Ok(rows)
        })?;
        let _ = rows.iter().try_for_each(|(key, value)| visit(key, value));
        Ok(())
    }

    fn flush(&self) -> Result<(), StorageError> {
        let _order = self.order.write().expect("a difference was found before");
        self.first.flush()?;
        self.second.flush()
    }

    fn persisted(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.compare("persisted", |engine| engine.persisted(space, key))
    }

    fn checkpoint(&self, dir: &Path) -> Result<Box<dyn Checkpoint>, StorageError> {
        let _order = self.order.write().expect("a difference was found before");
        // A checkpoint flushes: the second engine must stay as durable as the first.
        self.second.flush()?;
        self.first.checkpoint(dir)
    }

    fn reclaim(&self) -> Result<(), StorageError> {
        let _order = self.order.write().expect("a difference was found before");
        self.first.reclaim()?;
        self.second.reclaim()?;
        // The first may have flushed on the way.
        self.first.flush()?;
        self.second.flush()
    }

    fn sizes(&self) -> EngineSizes {
        self.first.sizes()
    }
}
