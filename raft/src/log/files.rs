//! The files of a log directory: the seam between the log and a disk.
//!
//! Invariants: a file has its full length from its creation on, so that a sync never has to write a
//! new length; names are flat. An implementation may lose what was not synced, tear it at any
//! sector and fail at any call; the log above assumes nothing else. A failed sync is never
//! repeated: the kernel may have dropped the pages it could not write and report success the second
//! time.
//!
//! Must not know: what the bytes mean.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A log directory.
pub trait LogFiles: Debug + Send + Sync {
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>>;

    /// Makes a file of `length_bytes` zero bytes.
    ///
    /// *Durability*: the zeros are on disk when it returns; the name is after
    /// [`Self::sync_directory`].
    fn create(&self, name: &str, length_bytes: u64) -> io::Result<Box<dyn LogFile>>;

    /// Renames, over an existing file if there is one; durable after [`Self::sync_directory`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; durable after [`Self::sync_directory`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    fn sync_directory(&self) -> io::Result<()>;

    /// The whole content of a small file; `None` when there is no such file.
    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Replaces a small file atomically.
    ///
    /// *Durability*: on return.
    fn write_file(&self, name: &str, content: &[u8]) -> io::Result<()>;

    /// The directory in words, for messages to people.
    fn describe(&self) -> String;
}

/// One file of a log directory.
pub trait LogFile: Debug + Send + Sync {
    /// The file's length in bytes.
    fn length_bytes(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`; an end of file before that is an error.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, within the file's length.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written to this file durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the file system, locked against a second process while this value lives.
#[derive(Debug)]
pub struct RealLogFiles {
    directory: PathBuf,
    /// Held for its lock.
    _lock: File,
}

const LOCK_NAME: &str = "LOCK";

/// Bytes written at a time when a file is filled with zeros.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

impl RealLogFiles {
    /// Makes the directory if need be and locks it.
    ///
    /// *Errors*: `WouldBlock` when another process holds it; everything else is the file system's.
    pub fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        // The directory's own name must outlive a power cut as its files do.
        if let Some(parent) = directory.canonicalize()?.parent() {
            File::open(parent)?.sync_all()?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(LOCK_NAME))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("{} is in use by another process", directory.display()),
            ),
            std::fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    /// Opens the directory for reading only, without the lock: for offline tools.
    pub fn open_read_only(directory: &Path) -> io::Result<Self> {
        let lock = File::open(directory)?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl LogFiles for RealLogFiles {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            if let Some(name) = name.to_str().filter(|name| *name != LOCK_NAME) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let path = self.path(name);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        // An offline tool may have no right to write; the log itself fails at its first write then.
        let file = file.or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => File::open(&path),
            _ => Err(error),
        })?;
        Ok(Box::new(RealLogFile(file)))
    }

    fn create(&self, name: &str, length_bytes: u64) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path(name))?;
        let mut offset = 0;
        while offset < length_bytes {
            let part =
                ZEROS.len().min(usize::try_from(length_bytes - offset).unwrap_or(usize::MAX));
            file.write_all_at(&ZEROS[..part], offset)?;
            offset += part as u64;
        }
        file.sync_all()?;
        Ok(Box::new(RealLogFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.path(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write_file(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = format!("{name}.new");
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).open(self.path(&new))?;
        file.write_all_at(content, 0)?;
        file.sync_all()?;
        self.rename(&new, name)?;
        self.sync_directory()
    }

    fn describe(&self) -> String {
        self.directory.display().to_string()
    }
}

#[derive(Debug)]
struct RealLogFile(File);

impl LogFile for RealLogFile {
    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::{LogFiles, RealLogFiles};

    #[test]
    fn a_directory_in_use_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let first = RealLogFiles::open(directory.path()).expect("the first takes it");
        let second = RealLogFiles::open(directory.path()).expect_err("it is locked");
        assert!(second.to_string().contains("in use by another process"), "{second}");
        drop(first);
        RealLogFiles::open(directory.path()).expect("the lock went with its owner");
    }

    #[test]
    fn a_new_file_has_its_full_length_in_zeros() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let files = RealLogFiles::open(directory.path()).expect("a directory");
        let file = files.create("a", 100_000).expect("a file");
        let mut tail = [1; 16];
        file.read_at(&mut tail, 100_000 - 16).expect("within the file");
        assert_eq!((file.length_bytes().expect("a length"), tail), (100_000, [0; 16]));
        assert_eq!(files.list().expect("a list"), ["a"]);
    }
}
