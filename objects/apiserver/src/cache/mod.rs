//! The watch cache of one resource: what gets, lists and watches are answered from.
//!
//! Filled by a list and a watch of the storage under one key prefix, and kept by one task. Reads
//! take a snapshot, which costs no more than a pointer; watchers read the same recent changes from
//! one ring, each at its own pace, so that none holds up another and none costs memory of its own.
//!
//! Invariants:
//! - A snapshot is the state of the store under the prefix at one revision.
//! - A list without a `resourceVersion` shows every write that was answered before it began, also
//!   writes of other API servers: it asks the store for its revision and waits until the watch has
//!   passed it.
//! - A watcher sees every change it asked for, once, in order; or it is ended.
//! - An object's bytes exist once, whatever the number of watchers and lists that send them.
//!
//! Must not know: HTTP; how a kind looks; how selectors are written.

mod error;
mod fill;
mod limits;
mod list;
mod object;
mod query;
mod recent;
mod scan;
mod snapshot;
mod state;
mod token;
mod watcher;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use error::CacheError;
pub use object::{Decode, Extract, Object, ObjectError, Shape};
pub(crate) use query::parsed_as_uint;
pub use query::{ListQuery, Listed, Match, Selection, WatchQuery};
pub use watcher::{WatchEvent, WatchedObject, Watcher};

use self::query::parse_resource_version;
use self::state::Shared;
use crate::storage::{Revision, Storage, Stored};

/// The watch cache of one resource.
pub struct Cache {
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({} at {})", self.shared.shape.prefix, self.passed())
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.close();
    }
}

impl Cache {
    /// Starts the cache's task on the current runtime. The cache fills itself from then on, and
    /// stops when the last `Arc` of it is dropped; its watchers end then.
    #[must_use]
    pub fn start(storage: Arc<dyn Storage>, shape: Shape) -> Arc<Cache> {
        let shared = Arc::new(Shared::new(storage, shape));
        let task = tokio::spawn(fill::run(Arc::clone(&shared)));
        Arc::new(Cache { shared, task })
    }

    /// How this resource's objects are read and named.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shared.shape
    }

    /// Reads a stored value as this resource's object.
    pub fn read(&self, stored: &Stored) -> Result<Arc<Object>, CacheError> {
        Object::read(self.shape(), stored)
            .map_err(|error| CacheError::Corrupt { message: error.to_string() })
    }

    /// The object as the cache has it now, however old that is: a first guess for a write.
    #[must_use]
    pub fn peek(&self, namespace: Option<&str>, name: &str) -> Option<Arc<Object>> {
        let key = self.shape().key(namespace, name);
        let place = key.strip_prefix(&self.shape().prefix)?;
        self.shared.look(|state| state.snapshot.get(place).cloned())
    }

    /// One object. `resource_version` unset: the newest, linearizable; `0`: as it is cached; else
    /// not older than that.
    pub async fn get(
        &self,
        namespace: Option<&str>,
        name: &str,
        resource_version: Option<&str>,
    ) -> Result<Option<Arc<Object>>, CacheError> {
        let asked = parse_resource_version(resource_version)?;
        let unset = matches!(resource_version, None | Some(""));
        if unset || !self.is_ready() {
            return self.get_stored(namespace, name).await;
        }
        self.wait_passed(asked).await?;
        Ok(self.peek(namespace, name))
    }

    async fn get_stored(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Arc<Object>>, CacheError> {
        let key = self.shape().key(namespace, name);
        let Some(stored) = self.shared.storage.get(&key).await?.stored else { return Ok(None) };
        match self.peek(namespace, name) {
            Some(cached) if cached.revision() == stored.revision => Ok(Some(cached)),
            _ => self.read(&stored).map(Some),
        }
    }

    /// A list.
    pub async fn list(&self, query: ListQuery) -> Result<Listed, CacheError> {
        list::list(&self.shared, &query).await
    }

    /// A watch.
    ///
    /// *Errors*: a `resourceVersion` that is no number; a cache that is not filled in time. All
    /// else, such as an expired revision, is an event of the watch.
    pub async fn watch(&self, query: WatchQuery) -> Result<Watcher, CacheError> {
        watcher::open(&self.shared, query).await
    }

    /// Waits until the cache has passed a revision: verbs wait for their own writes, so that a list
    /// on this server that follows shows them without another round.
    ///
    /// *Errors*: [`CacheError::TooLargeResourceVersion`] after three seconds.
    pub async fn wait_passed(&self, revision: Revision) -> Result<(), CacheError> {
        self.shared.wait_passed(revision).await
    }

    /// The revision the cache has passed.
    #[must_use]
    pub fn passed(&self) -> Revision {
        self.shared.passed()
    }

    /// How many objects are cached.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.look(|state| state.snapshot.len())
    }

    /// Whether the cache has been filled.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.look(|state| state.ready)
    }

    /// Waits until it is.
    ///
    /// *Errors*: [`CacheError::NotReady`] after three seconds.
    pub async fn ready(&self) -> Result<(), CacheError> {
        self.shared.wait_ready().await
    }

    /// Tells that history up to a revision is gone: pages at older ones end with 410, as they would
    /// without a cache.
    pub fn compacted(&self, revision: Revision) {
        self.shared.compacted(revision);
    }
}
