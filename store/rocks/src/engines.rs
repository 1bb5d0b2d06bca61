//! A member's generations: `<root>/<number>/` each a whole database, and a pointer file that names
//! the current.
//!
//! Invariants:
//! - the pointer is replaced by one rename, after everything it points to is durable;
//! - a database that should be there and is not is damage, never a fresh start;
//! - what is not current is a leftover, and is removed at the next open.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use store::StorageError;
use store::engine::{CheckpointFile, CheckpointSink, Engine, Engines};

use crate::engine::Rocks;
use crate::files;
use crate::options::{Existence, RocksOptions};

/// The pointer file: `generation <number> <crc32c of the number's digits, in hexadecimal>\n`.
const POINTER: &str = "CURRENT";
/// The directory, beside the generations, that a checkpoint is received into.
const RECEIVING: &str = "receiving";

/// See the module's page. Clones share the same generations.
#[derive(Clone)]
pub struct RocksEngines {
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    options: RocksOptions,
    /// The open current generation, to retire it when another takes its place.
    current: Mutex<Weak<Rocks>>,
    /// Held by the one sink there may be.
    receiving: Mutex<Weak<()>>,
}

impl RocksEngines {
    /// The generations under `root` (`<data-dir>/state`), which is created when a generation is
    /// first opened.
    pub fn new(root: impl Into<PathBuf>, options: RocksOptions) -> Self {
        let shared = Shared {
            root: root.into(),
            options,
            current: Mutex::default(),
            receiving: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl RocksEngines {
    /// The current generation as a stopped member left it; nothing is written, moved or removed.
    ///
    /// *Errors*: there is no generation, or it cannot be read.
    pub fn open_read_only(&self) -> Result<Arc<dyn Engine>, StorageError> {
        let shared = &self.shared;
        let generation = shared.read_pointer()?.ok_or_else(|| {
            StorageError::Damaged(format!("{} is missing", shared.root.join(POINTER).display()))
        })?;
        Ok(Arc::new(shared.open(generation, Existence::ReadOnly)?))
    }
}

impl Engines for RocksEngines {
    fn open_current(&self) -> Result<Arc<dyn Engine>, StorageError> {
        let shared = &self.shared;
        let mut current = shared.current.lock().expect("no code panics while it holds the pointer");
        if current.strong_count() > 0 {
            return Err(StorageError::Engine("the current generation is already open".into()));
        }
        files::create_directory(&shared.root)?;
        let engine = Arc::new(match shared.read_pointer()? {
            Some(generation) => {
                shared.remove_leftovers(generation)?;
                shared.open(generation, Existence::Required)?
            }
            None => shared.open_first()?,
        });
        *current = Arc::downgrade(&engine);
        Ok(engine)
    }

    fn receive(&self) -> Result<Box<dyn CheckpointSink>, StorageError> {
        let mut receiving =
            self.shared.receiving.lock().expect("no code panics while it holds the guard");
        if receiving.strong_count() > 0 {
            return Err(StorageError::Received("another one is being received".into()));
        }
        let guard = Arc::new(());
        *receiving = Arc::downgrade(&guard);
        let directory = self.shared.root.join(RECEIVING);
        files::remove_directory(&directory)?;
        files::create_directory(&directory)?;
        Ok(Box::new(RocksSink { shared: Arc::clone(&self.shared), directory, _guard: guard }))
    }
}

impl Shared {
    fn directory(&self, generation: u64) -> PathBuf {
        self.root.join(generation.to_string())
    }

    fn open(&self, generation: u64, existence: Existence) -> Result<Rocks, StorageError> {
        Rocks::open_as(&self.directory(generation), &self.options, existence)
    }

    /// Opens generation 1 of a member that has no pointer yet.
    ///
    /// Order: database, then pointer. A crash between them leaves an empty database without a
    /// pointer; one with rows means that the pointer was lost, and guessing would take the member
    /// back in time.
    fn open_first(&self) -> Result<Rocks, StorageError> {
        let engine = self.open(1, Existence::Created)?;
        let others = self.generations()?.into_iter().any(|generation| generation != 1);
        if others || !engine.is_empty() {
            let path = self.root.join(POINTER);
            return Err(StorageError::Damaged(format!("{} is missing", path.display())));
        }
        self.write_pointer(1)?;
        Ok(engine)
    }

    fn generations(&self) -> Result<Vec<u64>, StorageError> {
        let directories = files::list_directories(&self.root)?;
        let number = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok();
        Ok(directories.iter().filter_map(number).collect())
    }

    fn remove_leftovers(&self, current: u64) -> Result<(), StorageError> {
        for generation in self.generations()?.into_iter().filter(|other| *other != current) {
            files::remove_directory(&self.directory(generation))?;
        }
        files::remove_directory(&self.root.join(RECEIVING))
    }

    fn read_pointer(&self) -> Result<Option<u64>, StorageError> {
        let path = self.root.join(POINTER);
        let Some(bytes) = files::read_file(&path)? else { return Ok(None) };
        parse_pointer(&bytes)
            .map(Some)
            .ok_or_else(|| StorageError::Damaged(format!("{} is unreadable", path.display())))
    }

    fn write_pointer(&self, generation: u64) -> Result<(), StorageError> {
        files::replace_file(&self.root.join(POINTER), pointer_text(generation).as_bytes())
    }

    /// Makes a received directory the next generation, and the current one.
    ///
    /// Order: directory durable under its number, opened once, then the pointer.
    fn install(&self, received: &Path) -> Result<Arc<Rocks>, StorageError> {
        let mut current = self.current.lock().expect("no code panics while it holds the pointer");
        let newest = self.generations()?.into_iter().chain(self.read_pointer()?).max();
        let generation = newest.unwrap_or(0) + 1;
        files::rename(received, &self.directory(generation))?;
        let engine = self.open(generation, Existence::Required).inspect_err(|_| {
            // The next open removes what cannot be removed now.
            let _ = files::remove_directory(&self.directory(generation));
        })?;
        self.write_pointer(generation)?;
        if let Some(replaced) = current.upgrade() {
            replaced.retire();
        }
        let engine = Arc::new(engine);
        *current = Arc::downgrade(&engine);
        Ok(engine)
    }
}

fn pointer_text(generation: u64) -> String {
    let digits = generation.to_string();
    format!("generation {digits} {:08x}\n", crc32c::crc32c(digits.as_bytes()))
}

fn parse_pointer(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let generation = text.strip_prefix("generation ")?.split(' ').next()?.parse().ok()?;
    (pointer_text(generation) == text).then_some(generation)
}

/// Receives a checkpoint into the directory beside the generations.
struct RocksSink {
    shared: Arc<Shared>,
    directory: PathBuf,
    _guard: Arc<()>,
}

impl CheckpointSink for RocksSink {
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        if !files::is_plain_name(name) {
            return Err(StorageError::Received(format!("unacceptable file name {name:?}")));
        }
        let path = self.directory.join(name);
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .and_then(|file| file.write_all_at(bytes, offset))
            .map_err(|error| StorageError::file("write", &path, error))
    }

    fn discard(&mut self, name: &str) -> Result<(), StorageError> {
        // A name that was never written to: there is no such file.
        if !files::is_plain_name(name) {
            return Ok(());
        }
        files::remove_file(&self.directory.join(name))
    }

    fn finish(
        self: Box<Self>,
        expected: &[CheckpointFile],
    ) -> Result<Arc<dyn Engine>, StorageError> {
        verify(&self.directory, expected)?;
        for path in files::list_files(&self.directory)? {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|error| StorageError::file("sync", &path, error))?;
        }
        files::sync_directory(&self.directory)?;
        let engine = self.shared.install(&self.directory)?;
        Ok(engine)
    }
}

impl Drop for RocksSink {
    fn drop(&mut self) {
        // After an install the directory has another name; what cannot be removed is removed at the
        // next open.
        let _ = files::remove_directory(&self.directory);
    }
}

/// Reads every received file again and compares it with what was announced.
fn verify(directory: &Path, expected: &[CheckpointFile]) -> Result<(), StorageError> {
    let mut expected = expected.to_vec();
    expected.sort_by(|one, other| one.name.cmp(&other.name));
    let received: Vec<CheckpointFile> = files::list_files(directory)?
        .iter()
        .map(|path| files::describe(path))
        .collect::<Result<_, _>>()?;
    if received == expected {
        return Ok(());
    }
    let differs = |file: &&CheckpointFile| !received.contains(file);
    let name = expected.iter().find(differs).map_or("a superfluous file", |file| &file.name);
    Err(StorageError::Received(format!("{name} differs from what was announced")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_bytes_are_golden() {
        assert_eq!(pointer_text(7), "generation 7 b6547e0b\n");
        assert_eq!(parse_pointer(pointer_text(7).as_bytes()), Some(7));
    }

    #[test]
    fn damaged_pointer_is_refused() {
        for text in
            ["", "generation", "generation 7", "generation 8 b6547e0b\n", "generation x 0\n"]
        {
            assert_eq!(parse_pointer(text.as_bytes()), None, "{text:?}");
        }
    }
}
