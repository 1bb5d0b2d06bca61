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
mod object;
mod query;
mod scan;

pub use error::CacheError;
pub use object::{Decode, Extract, Object, ObjectError, Shape};
pub use query::{ListQuery, Listed, Match, Selection, WatchQuery};

use std::sync::Arc;

use bytes::Bytes;

use crate::storage::{Revision, Storage, Stored};

/// What a watcher is told.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// An object came to be, or came to be selected.
    Added(WatchedObject),
    /// A selected object was changed.
    Modified(WatchedObject),
    /// An object was removed, or is no longer selected: its last selected state, with the revision
    /// at which it went away.
    Deleted(WatchedObject),
    /// Everything up to this revision was told; the flag is for the annotation
    /// `k8s.io/initial-events-end: "true"`.
    Bookmark {
        /// The revision.
        revision: Revision,
        /// Whether the initial events end here.
        initial_events_end: bool,
    },
    /// The watch cannot go on; the last event.
    Error(CacheError),
}

/// An object in a watch event, and the event's line, which all its watchers share.
#[derive(Debug, Clone)]
pub struct WatchedObject {
    object: Arc<Object>,
}

impl WatchedObject {
    /// The object.
    #[must_use]
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// The line of the JSON watch stream with the object as it is stored, made once for all
    /// watchers: `{"type":"ADDED","object":{…}}` and a line feed.
    #[must_use]
    pub fn line(&self) -> Bytes {
        self.object.json()
    }
}

/// A watch that is under way.
#[derive(Debug)]
pub struct Watcher {
    _private: (),
}

impl Watcher {
    /// The next event; none when the watch is over, because its time is up or because this watcher
    /// was too slow.
    ///
    /// *Cancellation*: safe, nothing is lost.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        None
    }
}

/// The watch cache of one resource.
pub struct Cache {
    shape: Shape,
}

impl Cache {
    /// Starts the cache's task on the current runtime. The cache fills itself from then on, and
    /// stops when the last `Arc` of it is dropped.
    #[must_use]
    pub fn start(_storage: Arc<dyn Storage>, shape: Shape) -> Arc<Cache> {
        Arc::new(Cache { shape })
    }

    /// How this resource's objects are read and named.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Reads a stored value as this resource's object.
    pub fn read(&self, stored: &Stored) -> Result<Arc<Object>, CacheError> {
        Object::read(&self.shape, stored)
            .map_err(|error| CacheError::Corrupt { message: error.to_string() })
    }

    /// The object as the cache has it now, however old that is: a first guess for a write.
    #[must_use]
    pub fn peek(&self, _namespace: Option<&str>, _name: &str) -> Option<Arc<Object>> {
        None
    }

    /// One object. `resource_version` unset: the newest, linearizable; `0`: as it is cached; else
    /// not older than that.
    pub async fn get(
        &self,
        _namespace: Option<&str>,
        _name: &str,
        _resource_version: Option<&str>,
    ) -> Result<Option<Arc<Object>>, CacheError> {
        Err(CacheError::NotReady)
    }

    /// A list.
    pub async fn list(&self, _query: ListQuery) -> Result<Listed, CacheError> {
        Err(CacheError::NotReady)
    }

    /// A watch. An expired revision is an event of the watch, not an error here.
    pub async fn watch(&self, _query: WatchQuery) -> Result<Watcher, CacheError> {
        Err(CacheError::NotReady)
    }

    /// Waits until the cache has passed a revision: verbs wait for their own writes, so that a list
    /// on this server that follows shows them without another round.
    ///
    /// *Errors*: [`CacheError::TooLargeResourceVersion`] after three seconds.
    pub async fn wait_passed(&self, _revision: Revision) -> Result<(), CacheError> {
        Err(CacheError::NotReady)
    }

    /// The revision the cache has passed.
    #[must_use]
    pub fn passed(&self) -> Revision {
        Revision::NONE
    }

    /// Whether the cache has been filled.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        false
    }

    /// Waits until it is.
    pub async fn ready(&self) {}

    /// Tells that history up to a revision is gone: pages at older ones end with 410, as they would
    /// without a cache.
    pub fn compacted(&self, _revision: Revision) {}
}
