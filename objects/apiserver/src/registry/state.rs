//! The compare-and-swap under every write: what an object is now, and the one way to change it.
//!
//! Invariants:
//! - A write names the revision it was made from; if that is no longer the object's, nothing
//!   happens and the caller begins again with what is there now.
//! - The first guess may come from the cache. A refusal that rests on it counts only after the
//!   storage has been asked.
//! - An object that is written as it is already is not written.

use std::time::Duration;

use bytes::Bytes;
use schema::Value;

use super::object;
use super::refusals;
use super::row::Resource;
use super::serving::Registry;
use crate::cache::Object;
use crate::status::Status;
use crate::storage::{Outcome, Revision, StorageError, Stored, Written};

/// How often a write begins again because others wrote before it.
const ATTEMPTS_MAX: usize = 1000;

/// An object as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Current {
    /// The stored form, without a resourceVersion.
    pub(super) value: Value,
    /// The revision.
    pub(super) revision: Revision,
}

/// A write under way.
pub(super) struct Writing<'a> {
    registry: &'a Registry,
    row: &'a Resource,
    verb: &'static str,
    key: String,
    namespace: String,
    name: String,
    /// What is there; none if nothing is.
    pub(super) current: Option<Current>,
    /// Whether `current` came from the storage.
    fresh: bool,
    attempts: usize,
}

/// How an attempt to write ended.
pub(super) enum Attempt {
    /// It is stored, or was so already, at this revision.
    Done(Revision),
    /// Somebody else wrote: begin again.
    Again,
}

impl Registry {
    /// Begins a write with the best guess of what is there.
    pub(super) async fn writing<'a>(
        &'a self,
        row: &'a Resource,
        verb: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<Writing<'a>, Status> {
        let mut writing = Writing {
            registry: self,
            row,
            verb,
            key: row.key(namespace, name),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            current: None,
            fresh: false,
            attempts: 0,
        };
        let cache = self.cache(row);
        match cache.peek(row.namespaced().then_some(namespace), name) {
            Some(object) => writing.current = Some(of_cached(&object)?),
            None => writing.read_again().await?,
        }
        Ok(writing)
    }

    /// Reads a stored value of a row.
    pub(super) fn read_stored(&self, row: &Resource, stored: &Stored) -> Result<Current, Status> {
        let object =
            self.cache(row).read(stored).map_err(|error| refusals::of_cache(row, "get", error))?;
        of_cached(&object)
    }

    /// The newest state of an object, from the storage.
    pub(super) async fn newest(
        &self,
        row: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Current>, Status> {
        let got = self
            .storage()
            .get(&row.key(namespace, name))
            .await
            .map_err(|error| refusals::of_storage(row, "get", &error))?;
        got.stored.map(|stored| self.read_stored(row, &stored)).transpose()
    }
}

fn of_cached(object: &Object) -> Result<Current, Status> {
    let mut value: Value = serde_json::from_slice(&object.json()).map_err(Status::internal)?;
    object::metadata_mut(&mut value).remove("resourceVersion");
    Ok(Current { value, revision: object.revision() })
}

impl Writing<'_> {
    /// Reads what is there from the storage.
    async fn read_again(&mut self) -> Result<(), Status> {
        self.current = self.registry.newest(self.row, &self.namespace, &self.name).await?;
        self.fresh = true;
        Ok(())
    }

    /// Whether a refusal on what was read must be thought over: it rested on the cache, and the
    /// storage has something else, which is `current` now.
    pub(super) async fn was_stale(&mut self) -> Result<bool, Status> {
        if self.fresh {
            return Ok(false);
        }
        let guess = self.current.as_ref().map(|current| current.revision);
        self.read_again().await?;
        Ok(guess != self.current.as_ref().map(|current| current.revision))
    }

    /// Writes the object in place of what was read, or as a new one.
    pub(super) async fn write(
        &mut self,
        object: &Value,
        dry_run: bool,
        ttl: Option<Duration>,
    ) -> Result<Attempt, Status> {
        if let Some(current) = self.current.as_ref().filter(|current| current.value == *object) {
            let revision = current.revision;
            // A guess of the cache that equals the new object may hide a newer state.
            let stale = self.was_stale().await?;
            return Ok(if stale { Attempt::Again } else { Attempt::Done(revision) });
        }
        if dry_run {
            if self.was_stale().await? {
                return Ok(Attempt::Again);
            }
            let revision = self.current.as_ref().map_or(Revision::NONE, |c| c.revision);
            return Ok(Attempt::Done(revision));
        }
        let bytes = Bytes::from(serde_json::to_vec(object).map_err(Status::internal)?);
        let storage = self.registry.storage();
        let written = match &self.current {
            Some(current) => storage.replace(&self.key, current.revision, bytes, ttl).await,
            None => storage.create(&self.key, bytes, ttl).await,
        };
        let attempt = self.settle(written, Some(object)).await?;
        if let Attempt::Done(revision) = attempt {
            self.current = Some(Current { value: object.clone(), revision });
            self.fresh = true;
        }
        Ok(attempt)
    }

    /// Removes what was read.
    pub(super) async fn delete(&mut self, dry_run: bool) -> Result<Attempt, Status> {
        let Some(current) = &self.current else { return Ok(Attempt::Again) };
        if dry_run {
            let revision = current.revision;
            let stale = self.was_stale().await?;
            return Ok(if stale { Attempt::Again } else { Attempt::Done(revision) });
        }
        let written = self.registry.storage().delete_if(&self.key, current.revision).await;
        self.settle(written, None).await
    }

    /// What became of a write, whose object is given unless it was a deletion.
    async fn settle(
        &mut self,
        written: Result<Written, StorageError>,
        object: Option<&Value>,
    ) -> Result<Attempt, Status> {
        match written {
            Ok(Written::Done { revision }) => Ok(Attempt::Done(revision)),
            Ok(Written::Changed { current, .. }) => {
                self.attempts += 1;
                if self.attempts >= ATTEMPTS_MAX {
                    return Err(Status::too_many_requests("too many writers of one object", 1));
                }
                self.fresh = true;
                let read = current.map(|stored| self.registry.read_stored(self.row, &stored));
                self.current = read.transpose()?;
                Ok(Attempt::Again)
            }
            Err(error @ StorageError::Unavailable { outcome: Outcome::Unknown, .. }) => {
                self.look(object, &error).await
            }
            Err(error) => Err(refusals::of_storage(self.row, self.verb, &error)),
        }
    }

    /// Looks whether a write whose outcome is not known happened. If it did not, it may still do
    /// so: it is not made again, but left to the client, who can tell whether that is harmless.
    async fn look(
        &mut self,
        object: Option<&Value>,
        error: &StorageError,
    ) -> Result<Attempt, Status> {
        let before = self.current.take();
        self.read_again().await?;
        let done = match (&self.current, object) {
            (Some(now), Some(object)) => (now.value == *object).then_some(now.revision),
            // Another object of the same name: the one that was to go is gone.
            (Some(now), None) => {
                let was = before.as_ref().map_or("", |b| object::text(&b.value, "uid"));
                (object::text(&now.value, "uid") != was).then_some(now.revision)
            }
            (None, Some(_)) => None,
            (None, None) => Some(before.map_or(Revision::NONE, |before| before.revision)),
        };
        done.map(Attempt::Done).ok_or_else(|| {
            let message = format!("the outcome of the {} is not known: {error}", self.verb);
            Status::timeout(&message, 1)
        })
    }
}
