//! A process's view of its log directory: the memory files, or a disk that lies about syncs.
//!
//! Must not know: what is written.

use std::io;
use std::sync::Arc;

use raft::log::{LogFile, LogFiles, MemoryLogFiles};

/// The files as a process should see them.
pub(crate) fn seen(files: MemoryLogFiles, lies: bool) -> Arc<dyn LogFiles> {
    if lies { Arc::new(Lying(files)) } else { Arc::new(files) }
}

/// Syncs of this disk do nothing and succeed.
#[derive(Debug)]
struct Lying(MemoryLogFiles);

#[derive(Debug)]
struct LyingFile(Box<dyn LogFile>);

impl LogFiles for Lying {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(LyingFile(self.0.open(name)?)))
    }

    fn create(&self, name: &str, length_bytes: u64) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(LyingFile(self.0.create(name, length_bytes)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read_file(name)
    }

    fn write_file(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.0.write_file(name, content)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

impl LogFile for LyingFile {
    fn length_bytes(&self) -> io::Result<u64> {
        self.0.length_bytes()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
