//! A checkpoint of the database: a directory of hard links, described file by file.
//!
//! The directory belongs to the checkpoint and goes with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use bytes::Bytes;
use rocksdb::DB;
use store::StorageError;
use store::engine::{Checkpoint, CheckpointFile, Space};

use crate::database::{Database, engine_error};
use crate::files;
use crate::options::{Existence, RocksOptions, database_options, families};

/// Checksums of table files by name. They never change and their numbers are never reused in a
/// generation, so that each is read once, not at every checkpoint.
pub(crate) type Checksums = BTreeMap<String, CheckpointFile>;

/// See the module's page.
pub(crate) struct RocksCheckpoint {
    directory: PathBuf,
    files: Vec<CheckpointFile>,
    options: RocksOptions,
    /// Opened, for reading only, when a row is first asked for.
    opened: OnceLock<DB>,
}

impl RocksCheckpoint {
    pub(crate) fn make(
        database: &Database,
        directory: &Path,
        checksums: &Mutex<Checksums>,
        options: &RocksOptions,
    ) -> Result<Self, StorageError> {
        // With the default threshold (0) every family is flushed first, atomically: there is no log
        // to copy.
        rocksdb::checkpoint::Checkpoint::new(database.reads())
            .and_then(|checkpoint| checkpoint.create_checkpoint(directory))
            .map_err(engine_error)?;
        let mut made = Self {
            directory: directory.to_owned(),
            files: Vec::new(),
            options: *options,
            opened: OnceLock::new(),
        };
        made.files = made.describe(checksums)?;
        Ok(made)
    }

    fn describe(&self, checksums: &Mutex<Checksums>) -> Result<Vec<CheckpointFile>, StorageError> {
        let mut known = Checksums::new();
        let mut described = Vec::new();
        for path in files::list_files(&self.directory)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let seen =
                checksums.lock().expect("no code panics while it holds it").get(name).cloned();
            let file = seen.map_or_else(|| files::describe(&path), Ok)?;
            if name.ends_with(".sst") {
                known.insert(name.to_owned(), file.clone());
            }
            described.push(file);
        }
        *checksums.lock().expect("no code panics while it holds it") = known;
        Ok(described)
    }

    fn opened(&self) -> Result<&DB, StorageError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let database = database_options(&self.options, Existence::Required);
        let families = families(&RocksOptions { block_cache_bytes: 1 << 20, ..self.options });
        let db = DB::open_cf_descriptors_read_only(&database, &self.directory, families, false)
            .map_err(engine_error)?;
        Ok(self.opened.get_or_init(|| db))
    }
}

impl Checkpoint for RocksCheckpoint {
    fn files(&self) -> &[CheckpointFile] {
        &self.files
    }

    fn read(&self, name: &str, offset: u64, bytes_max: usize) -> Result<Bytes, StorageError> {
        let Some(file) = self.files.iter().find(|file| file.name == name) else {
            return Err(StorageError::Engine(format!("the checkpoint has no file {name:?}")));
        };
        let left = usize::try_from(file.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(bytes_max)];
        let path = self.directory.join(name);
        File::open(&path)
            .and_then(|opened| opened.read_exact_at(&mut bytes, offset))
            .map_err(|error| StorageError::file("read", &path, error))?;
        Ok(bytes.into())
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let db = self.opened()?;
        let family = db.cf_handle(space.name()).expect("every space's family is opened");
        let row = db.get_pinned_cf(family, key).map_err(engine_error)?;
        Ok(row.map(|row| Bytes::copy_from_slice(&row)))
    }
}

impl Drop for RocksCheckpoint {
    fn drop(&mut self) {
        drop(self.opened.take());
        // A directory that cannot be removed only takes room; its maker removes leftovers at the
        // next start.
        let _ = files::remove_directory(&self.directory);
    }
}
