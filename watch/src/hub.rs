//! The place where applied events meet watchers.
//!
//! Invariants
//! - `published` never falls; a watcher that is live hears every later revision it wants.
//! - Published ≤ applied: history shows a revision before it is published here.
//! - One publish is atomic to joins: a watcher becomes live before it or after it, never within.
//! - The work of a publish is bounded by its events, the groups they hit and those groups' streams;
//!   it waits for no client and reads no history.
//!
//! It must not know how answers are read, only that a full queue makes its stream fall behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use store::{Revision, RevisionEvents};

use crate::batch::Encoder;
use crate::control::WatchControl;
use crate::counters::{self, Counters};
use crate::groups::{Group, GroupId, Groups};
use crate::history::History;
use crate::limits::{CLOSE_SLICE, Limits};
use crate::output::WatchOutput;
use crate::queue::Item;
use crate::response;
use crate::stream::{Push, State, Stream, StreamId};
use crate::watcher::{Mode, Recheck, Serial, Watcher};

/// Tells watchers what was applied. Cloning gives another handle of the same hub.
#[derive(Clone)]
pub struct Hub {
    pub(crate) shared: Arc<Shared>,
}

/// What the hub, its streams' controls and their outputs share.
pub(crate) struct Shared {
    pub(crate) history: Arc<dyn History>,
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<counters::Live>,
    pub(crate) registry: Mutex<Registry>,
}

/// What the hub's lock guards.
pub(crate) struct Registry {
    pub(crate) published: Revision,
    groups: Groups,
    streams: BTreeMap<StreamId, Arc<Stream>>,
    /// Watchers whose start is not reached, by start.
    future: BTreeMap<(Revision, Serial), (Arc<Stream>, i64)>,
    serials: u64,
}

impl Hub {
    /// A hub without streams, whose next revision is the one after history's current.
    ///
    /// *Shape*: batches that history showed already are skipped when they are published late.
    pub fn new(history: Arc<dyn History>, limits: Limits) -> Self {
        limits.assert_sound();
        let registry = Registry {
            published: history.revision(),
            groups: Groups::default(),
            streams: BTreeMap::new(),
            future: BTreeMap::new(),
            serials: 0,
        };
        let counters = Arc::default();
        Self {
            shared: Arc::new(Shared { history, limits, counters, registry: Mutex::new(registry) }),
        }
    }

    /// Tells the watchers what one applied entry changed. Called by the apply task, in order, after
    /// the state shows it and before its replies wake. Never waits for a client.
    ///
    /// *Shape*: revisions rise by one. Known ones are skipped; after a gap all watchers read
    /// history.
    pub fn publish(&self, events: &[RevisionEvents]) {
        let Some(newest) = events.last() else { return };
        let applied = self.shared.history.revision();
        assert!(newest.revision <= applied, "published {} > applied {applied}", newest.revision);
        let mut registry = self.shared.registry.lock();
        let known = events.partition_point(|known| known.revision <= registry.published);
        let fresh = &events[known..];
        let Some(first) = fresh.first() else { return };
        let before = Revision(first.revision.0 - 1);
        if before > registry.published {
            registry.jump(before, &self.shared);
        }
        for pair in fresh.windows(2) {
            assert_eq!(pair[0].revision.0 + 1, pair[1].revision.0, "a revision is skipped");
        }
        registry.fan_out(fresh, &self.shared);
        registry.published = newest.revision;
        registry.release_future();
    }

    /// The state was replaced by a newer one, up to `revision`, whose events were not published.
    /// All watchers read history from where they were; those whose start is still ahead stay
    /// silent.
    ///
    /// *Shape*: a revision that was published already changes nothing.
    pub fn installed(&self, revision: Revision) {
        let applied = self.shared.history.revision();
        assert!(revision <= applied, "installed {revision} > applied {applied}");
        let mut registry = self.shared.registry.lock();
        if revision > registry.published {
            registry.jump(revision, &self.shared);
            registry.release_future();
        }
    }

    /// Opens a stream: requests go into the control, answers come out of the output. Dropping the
    /// output closes the stream; dropping the control leaves its watchers as they are.
    pub fn open_stream(&self) -> (WatchControl, WatchOutput) {
        let mut registry = self.shared.registry.lock();
        let id = registry.next_serial();
        let stream = Arc::new(Stream::new(id, &self.shared.limits, &self.shared.counters));
        registry.streams.insert(id, Arc::clone(&stream));
        drop(registry);
        self.shared.counters.streams.add(1);
        let control = WatchControl::new(Arc::clone(&self.shared), Arc::clone(&stream));
        (control, WatchOutput::new(Arc::clone(&self.shared), stream))
    }

    /// The revision up to which watchers were told.
    pub fn published(&self) -> Revision {
        self.shared.registry.lock().published
    }

    /// Plain numbers for metrics.
    pub fn counters(&self) -> Counters {
        self.shared.counters.snapshot()
    }

    /// Says the periodic progress on all streams at once. Servers spread the load instead, by
    /// [`WatchControl::tick_progress`] with a jitter of their own.
    pub fn tick_progress(&self) {
        for stream in self.streams() {
            self.shared.tick_progress(&stream);
        }
    }

    /// Asks each watcher's [`Recheck`] again and cancels those that are refused, with its reason.
    pub fn recheck(&self) {
        for stream in self.streams() {
            let asked: Vec<(i64, Serial, Recheck)> = {
                let state = stream.state.lock();
                let asks = state.watchers.iter().filter_map(|(id, watcher)| {
                    Some((*id, watcher.serial, Arc::clone(watcher.recheck.as_ref()?)))
                });
                asks.collect()
            };
            for (id, serial, recheck) in asked {
                if let Err(reason) = recheck() {
                    self.shared.revoke(&stream, id, serial, reason);
                }
            }
        }
    }

    fn streams(&self) -> Vec<Arc<Stream>> {
        self.shared.registry.lock().streams.values().cloned().collect()
    }
}

impl Shared {
    pub(crate) fn tick_progress(&self, stream: &Stream) {
        let registry = self.registry.lock();
        stream.state.lock().tick_progress(registry.published, &self.limits);
        drop(registry);
        stream.wake.notify_one();
    }

    /// Cancels a watcher because its client may not see it any more.
    fn revoke(&self, stream: &Arc<Stream>, id: i64, serial: Serial, reason: String) {
        let mut registry = self.registry.lock();
        let mut state = stream.state.lock();
        if state.watchers.get(&id).is_none_or(|watcher| watcher.serial != serial) {
            return;
        }
        registry.remove(stream, &mut state, id);
        // Its queued events are gone; a queued progress would claim that it had them.
        state.drop_progress();
        let notice = response::canceled(id, reason, registry.published);
        state.queue.push(Item::Notice(notice));
        drop(state);
        stream.wake.notify_one();
    }

    /// Removes a stream and all it has, in slices so that publishing gets its turn.
    pub(crate) fn close(&self, stream: &Arc<Stream>) {
        self.registry.lock().streams.remove(&stream.id);
        stream.state.lock().closed = true;
        stream.requests.close();
        loop {
            let mut registry = self.registry.lock();
            let mut state = stream.state.lock();
            let ids: Vec<i64> = state.watchers.keys().copied().take(CLOSE_SLICE).collect();
            if ids.is_empty() {
                while state.queue.pop().is_some() {}
                break;
            }
            ids.into_iter().for_each(|id| {
                registry.remove(stream, &mut state, id);
            });
        }
        self.counters.streams.sub(1);
    }
}

impl Registry {
    /// A number that was never given before.
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    /// Adds a watcher in the mode that its `next` asks for.
    pub(crate) fn add(
        &mut self,
        stream: &Arc<Stream>,
        state: &mut State,
        id: i64,
        watcher: Watcher,
    ) {
        let (next, serial) = (watcher.next, watcher.serial);
        let mode = match next.0 - self.published.0 {
            ..=0 => Mode::Behind,
            1 => {
                state.add(id, Watcher { mode: Mode::Future, ..watcher });
                return self.go_live(stream, state, id, next);
            }
            2.. => {
                self.future.insert((next, serial), (Arc::clone(stream), id));
                Mode::Future
            }
        };
        state.add(id, Watcher { mode, ..watcher });
    }

    /// Makes a watcher live from `next` on, which is the next revision to be published.
    pub(crate) fn go_live(
        &mut self,
        stream: &Arc<Stream>,
        state: &mut State,
        id: i64,
        next: Revision,
    ) {
        assert_eq!(next.0, self.published.0 + 1, "live watchers go on where publishing does");
        let Some(watcher) = state.watchers.get(&id) else { return };
        let group = self.groups.join(&watcher.interest, stream);
        state.go_live(id, group, next);
    }

    /// Puts a live watcher behind, from `next` on.
    pub(crate) fn demote(&mut self, stream: &Stream, state: &mut State, id: i64, next: Revision) {
        if let Some(group) = state.demote(id, next) {
            self.groups.leave(group, stream.id);
        }
    }

    /// Removes a watcher, whatever its mode.
    pub(crate) fn remove(&mut self, stream: &Stream, state: &mut State, id: i64) -> bool {
        let Some((watcher, left)) = state.remove(id) else { return false };
        if let Some(group) = left {
            self.groups.leave(group, stream.id);
        }
        if watcher.mode == Mode::Future {
            self.future.remove(&(watcher.next, watcher.serial));
        }
        true
    }

    fn fan_out(&mut self, fresh: &[RevisionEvents], shared: &Shared) {
        let mut encoder = Encoder::new(fresh, shared.limits.response_bytes_max);
        let mut left: Vec<(GroupId, StreamId)> = Vec::new();
        self.groups.matching(fresh, |group, picks| {
            let batches = encoder.batches(picks, group.interest.prev_kv);
            for stream in group.streams.values() {
                let push = |batch| push(stream, group, batch, shared, &mut left);
                batches.iter().for_each(push);
            }
        });
        for (group, stream) in left {
            self.groups.leave(group, stream);
        }
    }

    /// Goes on at `revision` without the events before it: whoever wants them reads history.
    fn jump(&mut self, revision: Revision, shared: &Shared) {
        shared.counters.jumps_total.add(1);
        let next = Revision(self.published.0 + 1);
        for stream in self.streams.values() {
            let left = stream.state.lock().fall_behind_all(next);
            for group in left {
                self.groups.leave(group, stream.id);
            }
            stream.wake.notify_one();
        }
        self.published = revision;
    }

    /// Hands those whose start has come near to their outputs, which make them live.
    fn release_future(&mut self) {
        while let Some(entry) = self.future.first_entry() {
            let (start, serial) = *entry.key();
            if start.0 > self.published.0 + 1 {
                return;
            }
            let (stream, id) = entry.remove();
            if stream.state.lock().start_is_near(id, serial) {
                stream.wake.notify_one();
            }
        }
    }
}

fn push(
    stream: &Arc<Stream>,
    group: &Group,
    batch: &Arc<crate::batch::Batch>,
    shared: &Shared,
    left: &mut Vec<(GroupId, StreamId)>,
) {
    let mut state = stream.state.lock();
    match state.push_batch(group.id, batch, &shared.limits) {
        Push::Quiet => {}
        Push::Wake => {
            drop(state);
            stream.wake.notify_one();
        }
        Push::Full => {
            shared.counters.overflows_total.add(1);
            let groups = state.overflow((group.id, batch.first));
            left.extend(groups.into_iter().map(|group| (group, stream.id)));
            drop(state);
            stream.wake.notify_one();
        }
    }
}
