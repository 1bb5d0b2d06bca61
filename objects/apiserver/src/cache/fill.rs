//! The cache's one task: reads everything once, then follows the store's watch for ever.
//!
//! The way of a change: a batch of the watch → each value read as an object → applied to a copy of
//! the snapshot → swapped in, with the events for watchers. A lost watch is opened again from the
//! revision after the last one seen, so that nothing is missed; when that one was compacted away,
//! everything is read again and watchers of before are ended.
//!
//! Must not know: readers and watchers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::limits::{ASK_AGAIN, FILL_PAGE, IDLE_PROGRESS, RETRY_PAUSE, RETRY_PAUSE_MAX};
use super::recent::{Event, Kind};
use super::snapshot::Snapshot;
use super::state::{Shared, Step};
use super::{Object, ObjectError};
use crate::storage::{
    Batch, Change, ChangeKind, Page, Revision, StorageError, Stored, WatchFrom, Watching,
};

/// Runs until it is aborted.
pub(super) async fn run(shared: Arc<Shared>) {
    let prefix = shared.shape.prefix.clone();
    let mut pause = RETRY_PAUSE;
    loop {
        match read_all(&shared).await {
            Ok((snapshot, revision)) => shared.fill(snapshot, revision),
            Err(error) => {
                tracing::warn!(%error, prefix, "the cache could not be filled");
                wait(&mut pause).await;
                continue;
            }
        }
        pause = RETRY_PAUSE;
        let error = follow(&shared).await;
        tracing::warn!(%error, prefix, "the cache is filled again");
    }
}

/// Waits before another try, the next time longer.
async fn wait(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(RETRY_PAUSE_MAX);
}

/// Everything under the prefix, at one revision.
async fn read_all(shared: &Shared) -> Result<(Snapshot, Revision), StorageError> {
    let prefix = &shared.shape.prefix;
    let (mut objects, mut revision, mut start) = (Vec::new(), Revision::NONE, None::<String>);
    loop {
        let page = Page { prefix, start: start.as_deref(), limit: FILL_PAGE, revision };
        let answer = shared.storage.page(page).await?;
        revision = answer.revision;
        start = answer.items.last().map(|last| format!("{}\0", last.key));
        objects.extend(answer.items.iter().filter_map(|stored| read(shared, stored)));
        if !answer.more {
            return Ok((Snapshot::of_sorted(objects), revision));
        }
    }
}

fn read(shared: &Shared, stored: &Stored) -> Option<Arc<Object>> {
    let read = Object::read(&shared.shape, stored);
    read.inspect_err(report).ok()
}

/// A value that no API server can have written: somebody has to look at it.
fn report(error: &ObjectError) {
    tracing::error!(%error, "a stored object is left out");
}

/// Follows the watch over losses; ends when changes are lost for good.
async fn follow(shared: &Shared) -> StorageError {
    let mut pause = RETRY_PAUSE;
    loop {
        let revision = shared.passed().next();
        let from = WatchFrom { prefix: &shared.shape.prefix, revision };
        let error = match shared.storage.watch(from).await {
            Ok(watching) => {
                let mut follower = Follower::new(shared, watching);
                let error = follower.run().await;
                if follower.heard {
                    pause = RETRY_PAUSE;
                }
                error
            }
            Err(error) => error,
        };
        if matches!(error, StorageError::Compacted { .. }) {
            return error;
        }
        tracing::debug!(%error, prefix = shared.shape.prefix, "the watch is opened again");
        wait(&mut pause).await;
    }
}

/// One watch that is followed.
struct Follower<'a> {
    shared: &'a Shared,
    watching: Watching,
    /// Since when an answer to a request for progress is awaited.
    asked: Option<Instant>,
    /// Somebody asked after that: its answer may be too early for them.
    again: bool,
    /// Something came: the store is there.
    heard: bool,
}

impl<'a> Follower<'a> {
    fn new(shared: &'a Shared, watching: Watching) -> Self {
        Follower { shared, watching, asked: None, again: false, heard: false }
    }

    async fn run(&mut self) -> StorageError {
        loop {
            tokio::select! {
                batch = self.watching.next() => match batch {
                    Some(Ok(batch)) => self.apply(&batch),
                    Some(Err(error)) => return error,
                    None => return StorageError::unavailable("the watch ended"),
                },
                () = self.shared.wanted.notified() => self.ask(),
                () = tokio::time::sleep(IDLE_PROGRESS) => self.ask(),
            }
        }
    }

    fn ask(&mut self) {
        match self.asked {
            Some(since) if since.elapsed() < ASK_AGAIN => self.again = true,
            _ => {
                self.asked = Some(Instant::now());
                self.again = false;
                self.watching.request_progress();
            }
        }
    }

    fn apply(&mut self, batch: &Batch) {
        self.heard = true;
        if batch.progress.is_some() {
            self.asked = None;
            if self.again {
                self.ask();
            }
        }
        let mut snapshot = self.shared.look(|state| state.snapshot.clone());
        let mut events = Vec::with_capacity(batch.changes.len());
        for change in &batch.changes {
            events.extend(apply(self.shared, &mut snapshot, change));
        }
        let last = batch.changes.last().map_or(Revision::NONE, |change| change.revision);
        let passed = last.max(batch.progress.unwrap_or(Revision::NONE));
        self.shared.advance(Step { snapshot, events, passed });
    }
}

/// Applies one change; none if there is nothing to tell of it.
fn apply(shared: &Shared, snapshot: &mut Snapshot, change: &Change) -> Option<Arc<Event>> {
    if change.kind == ChangeKind::Deleted {
        return delete(shared, snapshot, change);
    }
    let stored = Stored {
        key: change.key.clone(),
        value: change.value.clone(),
        revision: change.revision,
        create_revision: change.revision,
    };
    let object = read(shared, &stored)?;
    let previous = snapshot.insert(Arc::clone(&object));
    let kind = if previous.is_some() { Kind::Modified } else { Kind::Added };
    Some(Event::new(kind, object, previous))
}

fn delete(shared: &Shared, snapshot: &mut Snapshot, change: &Change) -> Option<Arc<Event>> {
    let place = change.key.strip_prefix(&shared.shape.prefix)?;
    let previous = snapshot.remove(place)?;
    let last = Arc::new(previous.at_revision(change.revision));
    Some(Event::new(Kind::Deleted, last, Some(previous)))
}
