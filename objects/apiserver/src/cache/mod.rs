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
