//! The storage the API server stands on: etcd's semantics, and no more than any etcd v3 offers.
//!
//! Invariants:
//! - Keys are paths that begin with `/` and are relative to the prefix of the storage: an object of
//!   `/registry/pods/default/web` is `/pods/default/web` here.
//! - A write happens only when the key is still at the revision the caller names; nothing is
//!   written blindly, and a write whose outcome is unknown is told as such and never repeated.
//! - A revision is the store's: one number space for all resources, shared by all API servers.
//! - A watch delivers every change from its first revision on, once, in order, or ends with an
//!   error.
//!
//! Must not know: Kubernetes kinds, JSON, HTTP. Values are bytes.

mod compaction;
mod error;
mod etcd;
mod memory;
pub mod suite;
#[cfg(test)]
pub(crate) mod testing;
mod types;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use compaction::{CompactionRound, Compactor};
pub use error::{Outcome, StorageError};
pub use etcd::{EtcdOptions, EtcdStorage, GrpcService, ServiceError};
pub use memory::MemoryStorage;
pub use types::{
    Batch, Change, ChangeKind, Got, Page, PageAnswer, Revision, Stored, WatchFrom, Watching,
    WatchingParts, Written,
};

/// What the API server asks of its storage.
///
/// *Cancellation*: dropping the future of a read has no effect; dropping that of a write leaves it
/// unknown whether it happened.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// The newest state of a key, linearizable.
    async fn get(&self, key: &str) -> Result<Got, StorageError>;

    /// Part of a key range in key order, all of it at one revision.
    ///
    /// *Errors*: [`StorageError::Compacted`] and [`StorageError::FutureRevision`] about the
    /// revision that was asked for.
    async fn page(&self, page: Page<'_>) -> Result<PageAnswer, StorageError>;

    /// Writes a key that does not exist; with `ttl` the store removes it that long afterwards, or
    /// a little later.
    async fn create(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError>;

    /// Replaces the value of a key that is at revision `expected`.
    async fn replace(
        &self,
        key: &str,
        expected: Revision,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError>;

    /// Removes a key that is at revision `expected`; [`Written::Done`] has the deletion's revision.
    async fn delete_if(&self, key: &str, expected: Revision) -> Result<Written, StorageError>;

    /// Opens a watch of all keys under a prefix. See [`Watching`].
    async fn watch(&self, watch: WatchFrom<'_>) -> Result<Watching, StorageError>;

    /// The newest revision, linearizable: no smaller than that of any write that was answered
    /// before the call. Calls at the same time share one read.
    async fn current_revision(&self) -> Result<Revision, StorageError>;

    /// Forgets the history below a revision.
    async fn compact(&self, revision: Revision) -> Result<(), StorageError>;

    /// Takes part in the agreement of all API servers of a store on who compacts next: see
    /// [`CompactionRound`].
    async fn compaction_round(
        &self,
        known: CompactionRound,
    ) -> Result<CompactionRound, StorageError>;
}
