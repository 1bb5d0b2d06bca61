//! What a cache's readers and its one writer share.
//!
//! Invariants: only the cache's task writes; snapshot, recent changes and `passed` change together,
//! under one lock that is held for no longer than it takes to swap pointers; word of a change goes
//! out after the lock is free, and never before what it speaks of can be read.
//!
//! Must not know: who reads.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use super::limits::{ASK_AGAIN, FRESH_TIMEOUT, RETRY_AFTER_SECONDS, STATES_MAX};
use super::recent::{Event, Recent};
use super::snapshot::Snapshot;
use super::{CacheError, Shape};
use crate::storage::{Revision, Storage};

/// The shared parts of a cache.
pub(super) struct Shared {
    pub(super) shape: Shape,
    pub(super) storage: Arc<dyn Storage>,
    state: RwLock<State>,
    /// The revision that was passed: the state of `state`, for waiting.
    passed: watch::Sender<Revision>,
    /// Raised with every change and every new life, for watchers to wait on.
    moved: watch::Sender<u64>,
    /// Somebody waits for a revision: the task asks the store for progress.
    pub(super) wanted: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    /// Raised when the cache was filled anew: watchers of an earlier life have missed changes.
    pub(super) life: u64,
    pub(super) ready: bool,
    pub(super) closed: bool,
    pub(super) passed: Revision,
    pub(super) snapshot: Snapshot,
    pub(super) recent: Recent,
    /// Earlier states, and from which to which revision each was the state.
    earlier: VecDeque<(Revision, Revision, Snapshot)>,
    /// Since when the present one is.
    since: Revision,
    compacted: Revision,
}

/// Changes that were applied to a copy of the snapshot.
pub(super) struct Step {
    pub(super) snapshot: Snapshot,
    pub(super) events: Vec<Arc<Event>>,
    /// What the watch has passed now, if it says so.
    pub(super) passed: Revision,
}

impl Shared {
    pub(super) fn new(storage: Arc<dyn Storage>, shape: Shape) -> Self {
        let state = State {
            life: 0,
            ready: false,
            closed: false,
            passed: Revision::NONE,
            snapshot: Snapshot::default(),
            recent: Recent::new(Revision::NONE, 0),
            earlier: VecDeque::new(),
            since: Revision::NONE,
            compacted: Revision::NONE,
        };
        Shared {
            shape,
            storage,
            state: RwLock::new(state),
            passed: watch::Sender::new(Revision::NONE),
            moved: watch::Sender::new(0),
            wanted: Notify::new(),
        }
    }

    /// Looks at the state. Nothing that takes long may be done in it.
    pub(super) fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        at(&self.state.read())
    }

    /// Word of every change from now on.
    pub(super) fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Begins a new life with everything that there is at a revision.
    pub(super) fn fill(&self, snapshot: Snapshot, revision: Revision) {
        let mut state = self.state.write();
        state.life += 1;
        state.ready = true;
        state.passed = revision;
        state.since = revision;
        state.snapshot = snapshot;
        state.earlier.clear();
        state.recent = Recent::new(revision, state.recent.end());
        drop(state);
        self.tell(revision);
    }

    /// Goes on by some changes.
    pub(super) fn advance(&self, step: Step) {
        let mut state = self.state.write();
        if let Some(first) = step.events.first() {
            let until = Revision(first.object.revision().0.saturating_sub(1));
            let before = std::mem::replace(&mut state.snapshot, step.snapshot);
            let since = state.since;
            state.earlier.push_back((since, until, before));
            if state.earlier.len() > STATES_MAX {
                state.earlier.pop_front();
            }
            state.since = step.events.last().map_or(since, |last| last.object.revision());
        }
        state.passed = state.passed.max(step.passed);
        let passed = state.passed;
        for event in step.events {
            state.recent.push(event);
        }
        drop(state);
        self.tell(passed);
    }

    /// Ends all watchers: the cache goes away.
    pub(super) fn close(&self) {
        self.state.write().closed = true;
        self.moved.send_modify(|count| *count += 1);
    }

    pub(super) fn compacted(&self, revision: Revision) {
        let mut state = self.state.write();
        state.compacted = state.compacted.max(revision);
        state.earlier.retain(|(_, until, _)| *until >= revision);
    }

    fn tell(&self, passed: Revision) {
        self.passed.send_replace(passed);
        self.moved.send_modify(|count| *count += 1);
    }

    pub(super) fn passed(&self) -> Revision {
        *self.passed.borrow()
    }

    /// Waits until the watch has passed a revision.
    ///
    /// *Errors*: not within three seconds.
    pub(super) async fn wait_passed(&self, revision: Revision) -> Result<(), CacheError> {
        let mut passed = self.passed.subscribe();
        let end = tokio::time::Instant::now() + FRESH_TIMEOUT;
        loop {
            if *passed.borrow_and_update() >= revision {
                return Ok(());
            }
            self.wanted.notify_one();
            let waiting = passed.wait_for(|passed| *passed >= revision);
            if tokio::time::timeout(ASK_AGAIN, waiting).await.is_ok() {
                return Ok(());
            }
            if tokio::time::Instant::now() >= end {
                return Err(CacheError::TooLargeResourceVersion {
                    asked: revision,
                    current: self.passed(),
                    retry_after_seconds: RETRY_AFTER_SECONDS,
                });
            }
        }
    }

    /// Waits until the cache was filled.
    ///
    /// *Errors*: not within three seconds.
    pub(super) async fn wait_ready(&self) -> Result<(), CacheError> {
        let mut moved = self.moved();
        let ready = async {
            while !self.look(|state| state.ready) {
                // The sender lives as long as `self`.
                let _ = moved.changed().await;
            }
        };
        tokio::time::timeout(FRESH_TIMEOUT, ready).await.map_err(|_| CacheError::NotReady)
    }
}

impl State {
    /// The state at exactly this revision, if it is still here.
    pub(super) fn at(&self, revision: Revision) -> Option<Snapshot> {
        if revision > self.passed || revision < self.compacted || !self.ready {
            return None;
        }
        if revision >= self.since {
            return Some(self.snapshot.clone());
        }
        let found =
            self.earlier.iter().rfind(|(since, until, _)| (*since..=*until).contains(&revision))?;
        Some(found.2.clone())
    }
}
