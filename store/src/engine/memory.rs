//! The engine in memory: persistent maps, so that a snapshot, a flush and a checkpoint are clones.
//!
//! Durability is played: [`Memory::crash`] returns to what was last flushed. Simulation and tests
//! run on it, and `--ephemeral` members.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rpds::RedBlackTreeMapSync;

use super::{
    Checkpoint, CheckpointFile, CheckpointSink, Direction, Engine, EngineSizes, Engines, Operation,
    Space, Visitor, WriteBatch,
};
use crate::error::StorageError;

/// The file of a checkpoint that holds a space's rows: key length, key, value length, value. A
/// space without rows has no file.
fn file_of(space: Space) -> String {
    format!("{}.rows", space.name())
}

type Rows = RedBlackTreeMapSync<Bytes, Bytes>;

/// All spaces at one moment. A clone is cheap and never changes.
#[derive(Clone)]
struct Image {
    spaces: [Rows; Space::ALL.len()],
    bytes: u64,
}

impl Default for Image {
    fn default() -> Self {
        Self { spaces: std::array::from_fn(|_| Rows::new_sync()), bytes: 0 }
    }
}

/// Faults to come: each counts the operations left until one fails. Simulation only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The write that fails: 1 is the next one. 0: none.
    pub write: u64,
    /// The flush that fails: 1 is the next one. 0: none.
    pub flush: u64,
}

/// See the module's page. Clones share the same contents.
#[derive(Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    current: Image,
    flushed: Image,
    faults: Faults,
}

impl Memory {
    /// An empty engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses everything that was not flushed, as a power cut would.
    pub fn crash(&self) {
        let mut state = self.lock();
        state.current = state.flushed.clone();
    }

    /// Sets the faults to come, in place of those set before.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the engine's state")
    }

    fn image(&self) -> Image {
        self.lock().current.clone()
    }

    fn of_image(image: Image) -> Self {
        let state = State { flushed: image.clone(), current: image, faults: Faults::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

/// Counts one operation down; true when it is the one that fails.
fn is_due(operations_left: &mut u64) -> bool {
    let due = *operations_left == 1;
    *operations_left = operations_left.saturating_sub(1);
    due
}

impl Engine for Memory {
    fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        let mut state = self.lock();
        if is_due(&mut state.faults.write) {
            return Err(StorageError::Injected("write"));
        }
        for operation in batch.operations() {
            state.current.apply(operation);
        }
        Ok(())
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.lock().current.get(space, key))
    }

    fn multi_get(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let image = self.image();
        Ok(keys.iter().map(|key| image.get(space, key)).collect())
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: Option<&[u8]>,
        direction: Direction,
        visit: Visitor<'_>,
    ) -> Result<(), StorageError> {
        let image = self.image();
        let mut rows = image.range(space, from, to);
        let mut next = || match direction {
            Direction::Ascending => rows.next(),
            Direction::Descending => rows.next_back(),
        };
        while let Some((key, value)) = next() {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StorageError> {
        let mut state = self.lock();
        if is_due(&mut state.faults.flush) {
            return Err(StorageError::Injected("flush"));
        }
        state.flushed = state.current.clone();
        Ok(())
    }

    fn persisted(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.lock().flushed.get(space, key))
    }

    fn checkpoint(&self, _dir: &Path) -> Result<Box<dyn Checkpoint>, StorageError> {
        self.flush()?;
        let image = self.image();
        let contents = image.encode();
        let files = contents.iter().map(|(name, bytes)| described(name, bytes)).collect();
        Ok(Box::new(MemoryCheckpoint { image, contents, files }))
    }

    fn reclaim(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn sizes(&self) -> EngineSizes {
        let bytes = self.lock().current.bytes;
        EngineSizes { total_bytes: bytes, in_use_bytes: bytes }
    }
}

impl Image {
    fn get(&self, space: Space, key: &[u8]) -> Option<Bytes> {
        self.spaces[space.number()].get(key).cloned()
    }

    fn range<'a>(
        &'a self,
        space: Space,
        from: &'a [u8],
        to: Option<&'a [u8]>,
    ) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Bytes)> {
        let end = to.map_or(Bound::Unbounded, |to| Bound::Excluded(to.max(from)));
        self.spaces[space.number()].range::<[u8], _>((Bound::Included(from), end))
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Put { space, key, value } => {
                self.remove(*space, key);
                self.bytes += (key.len() + value.len()) as u64;
                self.spaces[space.number()].insert_mut(key.clone(), value.clone());
            }
            Operation::Delete { space, key } => self.remove(*space, key),
            Operation::DeleteRange { space, from, to } => {
                let gone: Vec<Bytes> =
                    self.range(*space, from, Some(to)).map(|(key, _)| key.clone()).collect();
                for key in gone {
                    self.remove(*space, &key);
                }
            }
        }
    }

    fn remove(&mut self, space: Space, key: &[u8]) {
        let rows = &mut self.spaces[space.number()];
        if let Some(value) = rows.get(key) {
            self.bytes -= (key.len() + value.len()) as u64;
            rows.remove_mut(key);
        }
    }

    /// The files of the image, by name.
    fn encode(&self) -> BTreeMap<String, Bytes> {
        let mut files = BTreeMap::new();
        for space in Space::ALL {
            let mut out = BytesMut::new();
            for (key, value) in &self.spaces[space.number()] {
                out.put_u64(key.len() as u64);
                out.put_slice(key);
                out.put_u64(value.len() as u64);
                out.put_slice(value);
            }
            if !out.is_empty() {
                files.insert(file_of(space), out.freeze());
            }
        }
        files
    }

    /// The image that these files encode; `None` when they encode none.
    fn decode(files: BTreeMap<String, Bytes>) -> Option<Self> {
        let mut image = Image::default();
        for (name, mut bytes) in files {
            let space = Space::ALL.into_iter().find(|space| file_of(*space) == name)?;
            while bytes.has_remaining() {
                let key = take_string(&mut bytes)?;
                let value = take_string(&mut bytes)?;
                image.apply(&Operation::Put { space, key, value });
            }
        }
        Some(image)
    }
}

fn described(name: &str, bytes: &Bytes) -> CheckpointFile {
    let crc32c = crc32c::crc32c(bytes);
    CheckpointFile { name: name.to_owned(), bytes: bytes.len() as u64, crc32c }
}

fn take_string(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_u64().ok()?).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

struct MemoryCheckpoint {
    image: Image,
    contents: BTreeMap<String, Bytes>,
    files: Vec<CheckpointFile>,
}

impl Checkpoint for MemoryCheckpoint {
    fn files(&self) -> &[CheckpointFile] {
        &self.files
    }

    fn read(&self, name: &str, offset: u64, bytes_max: usize) -> Result<Bytes, StorageError> {
        let Some(bytes) = self.contents.get(name) else {
            return Err(StorageError::Engine(format!("the checkpoint has no file {name:?}")));
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(bytes_max).min(bytes.len());
        Ok(bytes.slice(start..end))
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.image.get(space, key))
    }
}

/// The generations of a member in memory. Clones share them: a clone kept aside survives the
/// member's "process", and hands its engine to the next one.
#[derive(Clone, Default)]
pub struct MemoryEngines {
    current: Arc<Mutex<Memory>>,
}

impl MemoryEngines {
    /// A member that never ran.
    pub fn new() -> Self {
        Self::default()
    }

    /// The engine of the current generation, to crash it or to set faults.
    pub fn current(&self) -> Memory {
        self.current.lock().expect("no code panics while it holds the pointer").clone()
    }

    /// Loses everything that was not flushed. The engine of the lost process is cut off: what it
    /// may still write goes nowhere.
    pub fn crash(&self) {
        let mut current = self.current.lock().expect("no code panics while it holds the pointer");
        let flushed = current.lock().flushed.clone();
        *current = Memory::of_image(flushed);
    }
}

impl Engines for MemoryEngines {
    fn open_current(&self) -> Result<Arc<dyn Engine>, StorageError> {
        Ok(Arc::new(self.current()))
    }

    fn receive(&self) -> Result<Box<dyn CheckpointSink>, StorageError> {
        Ok(Box::new(MemorySink { engines: self.clone(), received: BTreeMap::new() }))
    }
}

struct MemorySink {
    engines: MemoryEngines,
    received: BTreeMap<String, BytesMut>,
}

impl CheckpointSink for MemorySink {
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let received = self.received.entry(name.to_owned()).or_default();
        let start = usize::try_from(offset)
            .ok()
            .filter(|start| *start <= received.len())
            .ok_or_else(|| StorageError::Received(format!("a gap before offset {offset}")))?;
        received.truncate(start);
        received.put_slice(bytes);
        Ok(())
    }

    fn discard(&mut self, name: &str) -> Result<(), StorageError> {
        self.received.remove(name);
        Ok(())
    }

    fn finish(
        self: Box<Self>,
        expected: &[CheckpointFile],
    ) -> Result<Arc<dyn Engine>, StorageError> {
        let received = self.received.into_iter().map(|(name, bytes)| (name, bytes.freeze()));
        let received: BTreeMap<String, Bytes> = received.collect();
        let mut expected = expected.to_vec();
        expected.sort_by(|one, other| one.name.cmp(&other.name));
        let matches = received.iter().map(|(name, bytes)| described(name, bytes)).eq(expected);
        let image = Image::decode(received)
            .filter(|_| matches)
            .ok_or_else(|| StorageError::Received("the rows differ from the announced".into()))?;
        let memory = Memory::of_image(image);
        let mut current = self.engines.current.lock().expect("no code panics while it holds it");
        *current = memory.clone();
        Ok(Arc::new(memory))
    }
}
