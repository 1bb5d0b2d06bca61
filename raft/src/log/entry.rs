//! What the log asks of an entry.
//!
//! Must not know: which consensus library the entries are for.

use bytes::Bytes;

/// An entry as the log keeps it: cached as it is, encoded once when it is written.
pub trait LogEntry: Clone + Send + Sync + 'static {
    /// The term of the leader that made it.
    fn term(&self) -> u64;

    /// Its index.
    fn index(&self) -> u64;

    /// Its bytes on disk.
    fn encode(&self) -> Vec<u8>;

    /// About how many bytes it holds in memory; for the cache's bound.
    fn bytes(&self) -> usize;

    /// The entry these bytes are, or `None` when they are of a release this one does not know.
    fn decode(bytes: Bytes) -> Option<Self>;
}
