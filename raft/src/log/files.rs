//! The files of a log directory: the seam between the log and a disk.
//!
//! Invariants: a file has its full length from its creation on, so that a sync never has to write a
//! new length; names are flat. An implementation may lose what was not synced, tear it at any
//! sector and fail at any call; the log above assumes nothing else. A failed sync is never
//! repeated: the kernel may have dropped the pages it could not write and report success the second
//! time.
//!
//! An error of a real file names the file and what was tried: it is what a person gets to see.
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

/// Says which file it was, and what was tried with it ("open", "sync"); the kind stays.
fn told<'a>(action: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> io::Error + 'a {
    move |error| io::Error::new(error.kind(), format!("{}: {action}: {error}", path.display()))
}

impl LogFiles for RealLogFiles {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = std::fs::read_dir(&self.directory).map_err(told("list", &self.directory))?;
        for entry in entries {
            let name = entry.map_err(told("list", &self.directory))?.file_name();
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
        });
        let file = file.map_err(told("open", &path))?;
        Ok(Box::new(RealLogFile { file, path }))
    }

    fn create(&self, name: &str, length_bytes: u64) -> io::Result<Box<dyn LogFile>> {
        let path = self.path(name);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(told("create", &path))?;
        let mut offset = 0;
        while offset < length_bytes {
            let part =
                ZEROS.len().min(usize::try_from(length_bytes - offset).unwrap_or(usize::MAX));
            file.write_all_at(&ZEROS[..part], offset).map_err(told("write", &path))?;
            offset += part as u64;
        }
        file.sync_all().map_err(told("sync", &path))?;
        Ok(Box::new(RealLogFile { file, path }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let from = self.path(from);
        std::fs::rename(&from, self.path(to)).map_err(told("rename", &from))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        std::fs::remove_file(&path).map_err(told("remove", &path))
    }

    fn sync_directory(&self) -> io::Result<()> {
        let directory = File::open(&self.directory).map_err(told("open", &self.directory))?;
        directory.sync_all().map_err(told("sync", &self.directory))
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(name);
        match std::fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(told("read", &path)(error)),
        }
    }

    fn write_file(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = format!("{name}.new");
        let path = self.path(&new);
        let written = || {
            let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
            file.write_all_at(content, 0)?;
            file.sync_all()
        };
        written().map_err(told("write", &path))?;
        self.rename(&new, name)?;
        self.sync_directory()
    }

    fn describe(&self) -> String {
        self.directory.display().to_string()
    }
}

#[derive(Debug)]
struct RealLogFile {
    file: File,
    path: PathBuf,
}

impl LogFile for RealLogFile {
    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata().map_err(told("look at", &self.path))?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(told("read", &self.path))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset).map_err(told("write", &self.path))
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data().map_err(told("sync", &self.path))
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
    fn an_error_names_the_file_and_what_was_tried() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let files = RealLogFiles::open(directory.path()).expect("a directory");
        let missing = files.open("a").expect_err("there is none");
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
        let path = directory.path().join("a");
        let told = format!("{}: open: No such file", path.display());
        assert!(missing.to_string().starts_with(&told), "{missing}");
        let file = files.create("a", 10).expect("a file");
        let short = file.read_at(&mut [0; 11], 0).expect_err("it is shorter");
        assert!(short.to_string().starts_with(&format!("{}: read: ", path.display())), "{short}");
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
