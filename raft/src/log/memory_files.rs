//! Log files in memory that fail as disks do: for simulation and tests.
//!
//! Invariants: a crash keeps every synced byte; each sector written since the last sync is kept or
//! lost by the seed, on its own; names follow the directory's last sync. Errors come at the call
//! they were ordered for and ever after: a disk that failed once is not trusted again.
//!
//! Must not know: what the bytes mean.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{LogFile, LogFiles};

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// A directory that outlives the log that uses it, as a disk outlives a process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryLogFiles {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default, Clone)]
struct Disk {
    names: BTreeMap<String, u64>,
    /// The names as the directory's last sync left them.
    synced_names: BTreeMap<String, u64>,
    contents: BTreeMap<u64, Content>,
    next_content: u64,
    calls: u64,
    fail_from_call: Option<u64>,
}

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    /// What sectors held at the last sync, where they were written since.
    overwritten: BTreeMap<usize, Vec<u8>>,
    /// What sectors hold on the disk that a failed sync was to write. They read as written, later
    /// syncs take them for clean, and a crash brings the old bytes back, unless they are written
    /// again.
    lost: BTreeMap<usize, Vec<u8>>,
}

impl MemoryLogFiles {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The machine loses power: each sector not synced is kept or lost as `keep` says.
    pub fn crash(&self, mut keep: impl FnMut() -> bool) {
        let mut disk = self.disk();
        disk.names = disk.synced_names.clone();
        disk.fail_from_call = None;
        for content in disk.contents.values_mut() {
            for (sector, old) in std::mem::take(&mut content.overwritten) {
                if !keep() {
                    content.restore(sector, &old);
                }
            }
            for (sector, old) in std::mem::take(&mut content.lost) {
                content.restore(sector, &old);
            }
        }
    }

    /// What a crash now would leave to the next process, on a disk of its own: the process that
    /// still writes here is not seen any more.
    #[must_use]
    pub fn fork(&self, keep: impl FnMut() -> bool) -> Self {
        let left = Self { disk: Arc::new(Mutex::new(self.disk().clone())) };
        left.crash(keep);
        left
    }

    /// Every call after the next `calls` writes and syncs fails.
    pub fn fail_after(&self, calls: u64) {
        let mut disk = self.disk();
        disk.fail_from_call = Some(disk.calls + calls);
    }

    /// Calls succeed again, as after a restart of the process while the machine runs on: what a
    /// failed sync lost is still read as if it had been written.
    pub fn heal(&self) {
        self.disk().fail_from_call = None;
    }

    /// Flips the bits of `mask` in one byte, as bit rot would.
    pub fn damage(&self, name: &str, offset: usize, mask: u8) {
        let mut disk = self.disk();
        if let Some(content) = disk.content_of(name) {
            content.bytes[offset] ^= mask;
        }
    }

    /// A file's bytes as they are now.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.disk().content_of(name).map(|content| content.bytes.clone())
    }

    /// Puts a whole file in place, synced.
    pub fn place(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk();
        let id = disk.add(bytes);
        disk.names.insert(name.to_owned(), id);
        disk.synced_names.insert(name.to_owned(), id);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn restore(&mut self, sector: usize, old: &[u8]) {
        let at = sector * SECTOR_BYTES;
        self.bytes[at..at + old.len()].copy_from_slice(old);
    }
}

impl Disk {
    fn add(&mut self, bytes: Vec<u8>) -> u64 {
        let id = self.next_content;
        self.next_content += 1;
        self.contents.insert(id, Content { bytes, ..Content::default() });
        id
    }

    fn content_of(&mut self, name: &str) -> Option<&mut Content> {
        let id = self.names.get(name)?;
        self.contents.get_mut(id)
    }

    /// Counts a call that changes the disk.
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.fail_from_call {
            Some(from) if self.calls > from => Err(io::Error::other("injected disk error")),
            _ => Ok(()),
        }
    }
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {name}"))
}

impl LogFiles for MemoryLogFiles {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let id = *self.disk().names.get(name).ok_or_else(|| missing(name))?;
        Ok(Box::new(MemoryLogFile { disk: Arc::clone(&self.disk), id }))
    }

    fn create(&self, name: &str, length_bytes: u64) -> io::Result<Box<dyn LogFile>> {
        let mut disk = self.disk();
        disk.call()?;
        let length = usize::try_from(length_bytes).map_err(io::Error::other)?;
        let id = disk.add(vec![0; length]);
        disk.names.insert(name.to_owned(), id);
        Ok(Box::new(MemoryLogFile { disk: Arc::clone(&self.disk), id }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.call()?;
        let id = disk.names.remove(from).ok_or_else(|| missing(from))?;
        disk.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.call()?;
        disk.names.remove(name).map(drop).ok_or_else(|| missing(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.call()?;
        disk.synced_names = disk.names.clone();
        let kept: std::collections::BTreeSet<u64> = disk.names.values().copied().collect();
        disk.contents.retain(|id, _| kept.contains(id));
        Ok(())
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.bytes(name))
    }

    fn write_file(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.disk().call()?;
        self.place(name, content.to_vec());
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

#[derive(Debug)]
struct MemoryLogFile {
    disk: Arc<Mutex<Disk>>,
    id: u64,
}

impl MemoryLogFile {
    fn with<T>(
        &self,
        changes: bool,
        work: impl FnOnce(&mut Content) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if changes {
            disk.call()?;
        }
        let content = disk.contents.get_mut(&self.id).ok_or_else(|| missing("that was removed"))?;
        work(content)
    }
}

impl LogFile for MemoryLogFile {
    fn length_bytes(&self) -> io::Result<u64> {
        self.with(false, |content| Ok(content.bytes.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(false, |content| {
            let range = within(content, offset, buffer.len())?;
            buffer.copy_from_slice(&content.bytes[range]);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(true, |content| {
            let range = within(content, offset, bytes.len())?;
            for sector in range.start / SECTOR_BYTES..range.end.div_ceil(SECTOR_BYTES) {
                let start = sector * SECTOR_BYTES;
                let end = (start + SECTOR_BYTES).min(content.bytes.len());
                let on_disk = content.lost.remove(&sector);
                let old = on_disk.unwrap_or_else(|| content.bytes[start..end].to_vec());
                content.overwritten.entry(sector).or_insert(old);
            }
            content.bytes[range].copy_from_slice(bytes);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let called = self.disk.lock().unwrap_or_else(PoisonError::into_inner).call();
        self.with(false, |content| {
            let written = std::mem::take(&mut content.overwritten);
            if called.is_err() {
                content.lost.extend(written);
            }
            called
        })
    }
}

fn within(content: &Content, offset: u64, length: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(io::Error::other)?;
    let end = start.checked_add(length).filter(|end| *end <= content.bytes.len());
    end.map(|end| start..end).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::{LogFiles, MemoryLogFiles};

    #[test]
    fn a_crash_keeps_what_was_synced_and_tears_the_rest_by_sector() {
        let files = MemoryLogFiles::new();
        let file = files.create("a", 2048).expect("a file");
        files.sync_directory().expect("a sync");
        file.write_at(&[1; 512], 0).expect("a write");
        file.sync().expect("a sync");
        file.write_at(&[2; 1536], 0).expect("a write");
        let mut keep = [false, true, false].into_iter();
        files.crash(|| keep.next().unwrap_or(false));
        let bytes = files.bytes("a").expect("the file is there");
        assert_eq!((bytes[0], bytes[512], bytes[1024], bytes[1536]), (1, 2, 0, 0));
    }

    #[test]
    fn a_name_that_was_not_synced_is_gone_after_a_crash() {
        let files = MemoryLogFiles::new();
        files.create("a", 16).expect("a file");
        files.crash(|| true);
        assert!(files.list().expect("a list").is_empty());
    }

    #[test]
    fn an_ordered_error_stays() {
        let files = MemoryLogFiles::new();
        let file = files.create("a", 16).expect("a file");
        files.fail_after(1);
        file.write_at(b"x", 0).expect("the last good call");
        assert!(file.sync().is_err());
        assert!(file.write_at(b"x", 0).is_err());
    }
}
