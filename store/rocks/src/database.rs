//! The one place that touches a writable RocksDB handle: writes without its log, flushes of all
//! families.
//!
//! Invariants: WriteOptions are made here and nowhere else, with the log off (one write with it on
//! would be replayed alone after a crash and break the prefix); every flush names every family
//! (`flush` and `flush_cf` flush a single one, atomic flush or not).

use std::path::{Path, PathBuf};

use rocksdb::{
    BottommostLevelCompaction, ColumnFamily, CompactOptions, DB, FlushOptions, ReadOptions,
    ReadTier, WriteOptions, properties,
};
use store::StorageError;
use store::engine::{EngineSizes, Operation, Space, WriteBatch};

use crate::options::{Existence, RocksOptions, database_options, families};

/// RocksDB's refusals, in its own words.
pub(crate) fn engine_error(error: rocksdb::Error) -> StorageError {
    StorageError::Engine(error.into_string())
}

/// An open, writable database.
pub(crate) struct Database {
    db: DB,
    path: PathBuf,
    write_options: WriteOptions,
}

impl Database {
    pub(crate) fn open(
        path: &Path,
        options: &RocksOptions,
        existence: Existence,
    ) -> Result<Self, StorageError> {
        let database = database_options(options, existence);
        let families = families(options);
        let opened = match existence {
            Existence::ReadOnly => {
                DB::open_cf_descriptors_read_only(&database, path, families, false)
            }
            Existence::Required | Existence::Created => {
                DB::open_cf_descriptors(&database, path, families)
            }
        };
        let db = opened.map_err(engine_error)?;
        let mut write_options = WriteOptions::default();
        write_options.disable_wal(true);
        Ok(Self { db, path: path.to_owned(), write_options })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, batch: &WriteBatch) -> Result<(), StorageError> {
        let mut writes = rocksdb::WriteBatch::default();
        for operation in batch.operations() {
            match operation {
                Operation::Put { space, key, value } => {
                    writes.put_cf(self.family(*space), key, value);
                }
                Operation::Delete { space, key } => writes.delete_cf(self.family(*space), key),
                // RocksDB refuses a range that ends before it begins, and with it the batch.
                Operation::DeleteRange { space, from, to } if from < to => {
                    writes.delete_range_cf(self.family(*space), from, to);
                }
                Operation::DeleteRange { .. } => {}
            }
        }
        self.db.write_opt(writes, &self.write_options).map_err(engine_error)
    }

    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        let unused = self.db.cf_handle(rocksdb::DEFAULT_COLUMN_FAMILY_NAME);
        let families: Vec<&ColumnFamily> =
            Space::ALL.iter().map(|space| self.family(*space)).chain(unused).collect();
        let families: Vec<&&ColumnFamily> = families.iter().collect();
        self.db.flush_cfs_opt(&families, &FlushOptions::default()).map_err(engine_error)
    }

    /// A point read that leaves out what only the memory holds. RocksDB offers it for point reads
    /// alone.
    pub(crate) fn persisted(
        &self,
        space: Space,
        key: &[u8],
    ) -> Result<Option<bytes::Bytes>, StorageError> {
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::Persisted);
        let row =
            self.db.get_pinned_cf_opt(self.family(space), key, &options).map_err(engine_error)?;
        Ok(row.map(|row| bytes::Bytes::copy_from_slice(&row)))
    }

    /// Rewrites every file, the lowest level included, so that nothing deleted or overwritten is
    /// left.
    pub(crate) fn compact_all(&self) -> Result<(), StorageError> {
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        options.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
        for space in Space::ALL {
            let everything: Option<&[u8]> = None;
            self.db.compact_range_cf_opt(self.family(space), everything, everything, &options);
        }
        // The call above has no result of its own.
        match self.database_number(properties::BACKGROUND_ERRORS)? {
            0 => Ok(()),
            errors => Err(StorageError::Engine(format!("{errors} failed background jobs"))),
        }
    }

    pub(crate) fn sizes(&self) -> Result<EngineSizes, StorageError> {
        let mut sizes = EngineSizes::default();
        for space in Space::ALL {
            let memory = self.family_number(space, properties::CUR_SIZE_ACTIVE_MEM_TABLE)?;
            sizes.total_bytes +=
                memory + self.family_number(space, properties::LIVE_SST_FILES_SIZE)?;
            sizes.in_use_bytes +=
                memory + self.family_number(space, properties::ESTIMATE_LIVE_DATA_SIZE)?;
        }
        sizes.in_use_bytes = sizes.in_use_bytes.min(sizes.total_bytes);
        Ok(sizes)
    }

    /// Whether no space has a row.
    pub(crate) fn is_empty(&self) -> bool {
        Space::ALL.iter().all(|space| {
            self.db.iterator_cf(self.family(*space), rocksdb::IteratorMode::Start).next().is_none()
        })
    }

    /// For reads only: writing and flushing go through this type's verbs.
    pub(crate) fn reads(&self) -> &DB {
        &self.db
    }

    pub(crate) fn family(&self, space: Space) -> &ColumnFamily {
        self.db.cf_handle(space.name()).expect("every space's family is opened with the database")
    }

    fn family_number(
        &self,
        space: Space,
        property: &rocksdb::properties::PropName,
    ) -> Result<u64, StorageError> {
        let number = self.db.property_int_value_cf(self.family(space), property);
        Ok(number.map_err(engine_error)?.unwrap_or(0))
    }

    fn database_number(
        &self,
        property: &rocksdb::properties::PropName,
    ) -> Result<u64, StorageError> {
        Ok(self.db.property_int_value(property).map_err(engine_error)?.unwrap_or(0))
    }
}
