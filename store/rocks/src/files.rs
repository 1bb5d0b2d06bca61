//! Files and directories, with the syncs that make a change of them survive a power cut.
//!
//! It knows nothing of databases.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use store::StorageError;
use store::engine::CheckpointFile;

/// *Units*: bytes read at a time when a file is summed up.
const READ_BYTES: usize = 256 << 10;

/// Syncs a directory: the names in it.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StorageError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| StorageError::file("sync", path, error))
}

/// Creates a directory with its parents. *Durability*: the last name only.
pub(crate) fn create_directory(path: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(path).map_err(|error| StorageError::file("create", path, error))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Removes a directory with all it holds; a missing one is fine.
pub(crate) fn remove_directory(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(StorageError::file("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Removes a file; a missing one is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(StorageError::file("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Replaces a small file: after a crash it holds the old bytes or the new ones. *Durability*: on
/// return.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let new = path.with_extension("new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| StorageError::file("write", &new, error))?;
    rename(&new, path)
}

/// Renames within one directory. *Durability*: on return.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StorageError> {
    fs::rename(from, to).map_err(|error| StorageError::file("rename", from, error))?;
    to.parent().map_or(Ok(()), sync_directory)
}

/// A file's bytes; `None` when there is no such file.
pub(crate) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::file("read", path, error)),
    }
}

/// The plain files of a directory, sorted by name.
pub(crate) fn list_files(directory: &Path) -> Result<Vec<PathBuf>, StorageError> {
    list(directory, |kind| kind.is_file())
}

/// The directories in a directory, sorted by name.
pub(crate) fn list_directories(directory: &Path) -> Result<Vec<PathBuf>, StorageError> {
    list(directory, |kind| kind.is_dir())
}

fn list(
    directory: &Path,
    wanted: impl Fn(fs::FileType) -> bool,
) -> Result<Vec<PathBuf>, StorageError> {
    let refused = |error| StorageError::file("list", directory, error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        if wanted(entry.file_type().map_err(refused)?) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads a whole file and describes it.
pub(crate) fn describe(path: &Path) -> Result<CheckpointFile, StorageError> {
    let refused = |error| StorageError::file("read", path, error);
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| StorageError::Engine(format!("odd file name {}", path.display())))?;
    let mut file = File::open(path).map_err(refused)?;
    let mut part = vec![0; READ_BYTES];
    let (mut bytes, mut crc32c) = (0, 0);
    loop {
        let length = file.read(&mut part).map_err(refused)?;
        if length == 0 {
            return Ok(CheckpointFile { name: name.to_owned(), bytes, crc32c });
        }
        bytes += length as u64;
        crc32c = crc32c::crc32c_append(crc32c, &part[..length]);
    }
}

/// Whether a name is a plain file name, safe to join to a directory.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.bytes().all(plain)
}
