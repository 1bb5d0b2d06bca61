//! `Engine` over one RocksDB database.
//!
//! Durability is what [`Engine::flush`] returns for; dropping the engine cleanly flushes too
//! (RocksDB does), a killed process loses what was not flushed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rocksdb::{DBRawIterator, ReadOptions};
use store::StorageError;
use store::engine::{Checkpoint, Direction, Engine, EngineSizes, Space, Visitor, WriteBatch};

use crate::checkpoint::{Checksums, RocksCheckpoint};
use crate::database::{Database, engine_error};
use crate::files;
use crate::options::{Existence, RocksOptions};

/// *Units*: bytes written after which the known sizes are asked for again.
const SIZES_AFTER_BYTES: u64 = 1 << 20;

/// See the module's page.
pub struct Rocks {
    /// `None` only while the engine is being dropped.
    database: Option<Database>,
    options: RocksOptions,
    checksums: Arc<Mutex<Checksums>>,
    sizes: KnownSizes,
    /// Set when another generation took this one's place: its directory goes with its last reader.
    retired: AtomicBool,
}

/// The sizes as last asked for, and what was written since: asking RocksDB takes its lock.
#[derive(Default)]
struct KnownSizes {
    total_bytes: AtomicU64,
    in_use_bytes: AtomicU64,
    written_bytes: AtomicU64,
}

impl Rocks {
    /// Opens, or creates, the database in `path`. For tools and tests; a member goes through
    /// `RocksEngines`.
    pub fn open(path: &Path, options: &RocksOptions) -> Result<Self, StorageError> {
        Self::open_as(path, options, Existence::Created)
    }

    pub(crate) fn open_as(
        path: &Path,
        options: &RocksOptions,
        existence: Existence,
    ) -> Result<Self, StorageError> {
        let rocks = Self {
            database: Some(Database::open(path, options, existence)?),
            options: *options,
            checksums: Arc::default(),
            sizes: KnownSizes::default(),
            retired: AtomicBool::new(false),
        };
        rocks.measure()?;
        Ok(rocks)
    }

    /// Removes the engine's directory once the last reader has let go of it.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.database().is_empty()
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("the database is there until the engine is dropped")
    }

    fn measure(&self) -> Result<(), StorageError> {
        let sizes = self.database().sizes()?;
        self.sizes.total_bytes.store(sizes.total_bytes, Ordering::Relaxed);
        self.sizes.in_use_bytes.store(sizes.in_use_bytes, Ordering::Relaxed);
        self.sizes.written_bytes.store(0, Ordering::Relaxed);
        Ok(())
    }
}

impl Engine for Rocks {
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        self.database().write(&batch)?;
        let bytes = batch.bytes() as u64;
        let written = self.sizes.written_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if written >= SIZES_AFTER_BYTES {
            self.measure()?;
        }
        Ok(())
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let database = self.database();
        let row =
            database.reads().get_pinned_cf(database.family(space), key).map_err(engine_error)?;
        Ok(row.map(|row| Bytes::copy_from_slice(&row)))
    }

    fn multi_get(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let database = self.database();
        let keys = keys.iter().copied();
        let rows = database.reads().batched_multi_get_cf(database.family(space), keys, false);
        rows.into_iter()
            .map(|row| Ok(row.map_err(engine_error)?.map(|row| Bytes::copy_from_slice(&row))))
            .collect()
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: Option<&[u8]>,
        direction: Direction,
        visit: Visitor<'_>,
    ) -> Result<(), StorageError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let database = self.database();
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let mut rows = database.reads().raw_iterator_cf_opt(database.family(space), options);
        match direction {
            Direction::Ascending => rows.seek_to_first(),
            Direction::Descending => rows.seek_to_last(),
        }
        visit_rows(&mut rows, direction, visit)
    }

    fn flush(&self) -> Result<(), StorageError> {
        self.database().flush()?;
        self.measure()
    }

    fn persisted(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.database().persisted(space, key)
    }

    fn checkpoint(&self, dir: &Path) -> Result<Box<dyn Checkpoint>, StorageError> {
        let made = RocksCheckpoint::make(self.database(), dir, &self.checksums, &self.options)?;
        Ok(Box::new(made))
    }

    fn reclaim(&self) -> Result<(), StorageError> {
        self.database().flush()?;
        self.database().compact_all()?;
        self.measure()
    }

    fn sizes(&self) -> EngineSizes {
        let written = self.sizes.written_bytes.load(Ordering::Relaxed);
        EngineSizes {
            total_bytes: self.sizes.total_bytes.load(Ordering::Relaxed) + written,
            in_use_bytes: self.sizes.in_use_bytes.load(Ordering::Relaxed) + written,
        }
    }
}

fn visit_rows(
    rows: &mut DBRawIterator<'_>,
    direction: Direction,
    visit: Visitor<'_>,
) -> Result<(), StorageError> {
    while let Some((key, value)) = rows.item() {
        if visit(key, value).is_break() {
            break;
        }
        match direction {
            Direction::Ascending => rows.next(),
            Direction::Descending => rows.prev(),
        }
    }
    // An iterator that met a bad block just ends: only its status tells.
    rows.status().map_err(engine_error)
}

impl Drop for Rocks {
    fn drop(&mut self) {
        let Some(database) = self.database.take() else { return };
        let path = database.path().to_owned();
        drop(database);
        if self.retired.load(Ordering::Relaxed) {
            // What cannot be removed now is removed at the next open.
            let _ = files::remove_directory(&path);
        }
    }
}
