//! The watchers of one client stream and what waits to be handed to it.
//!
//! Invariants
//! - A watcher that is not live has nothing queued: falling behind empties the queue of events.
//! - A queued progress is preceded by all events it speaks of: what removes events from the queue
//!   removes progress too.
//! - `subscriptions` lists the live watchers, `behind` every announced watcher that is behind (and
//!   stale names, which are skipped), `not_live` counts those of the other modes.
//!
//! It must not know the hub: whoever changes subscriptions holds the hub's lock and tells the
//! groups.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use proto::spliced::WatchResponse;
use store::Revision;
use tokio::sync::{Notify, Semaphore};

use crate::batch::Batch;
use crate::counters;
use crate::groups::GroupId;
use crate::limits::Limits;
use crate::queue::{Item, Queue};
use crate::response;
use crate::watcher::{Mode, Serial, Watcher};

/// Names a stream for good.
pub(crate) type StreamId = u64;

/// One client stream, shared by the hub, its control and its output.
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) state: Mutex<State>,
    /// Wakes the output when something came to be handed out.
    pub(crate) wake: Notify,
    /// Room for answers to requests.
    pub(crate) requests: Arc<Semaphore>,
}

/// What a stream's lock guards.
pub(crate) struct State {
    pub(crate) queue: Queue,
    pub(crate) watchers: BTreeMap<i64, Watcher>,
    pub(crate) subscriptions: BTreeMap<GroupId, Vec<i64>>,
    pub(crate) behind: VecDeque<(i64, Serial)>,
    pub(crate) closed: bool,
    not_live: usize,
    /// No watcher's asked start is above this; recomputed when it stands in the way.
    start_max: Revision,
    next_id: i64,
    counters: Arc<counters::Live>,
}

/// What the output does next.
pub(crate) enum Step {
    /// Hand this out.
    Answer(WatchResponse),
    /// Hand the batch to these watchers: (id, wants fragments).
    Deliver(Vec<(i64, bool)>, Arc<Batch>),
    /// Read history for those that are behind.
    CatchUp,
    /// Wait.
    Nothing,
}

/// What became of a pushed batch.
pub(crate) enum Push {
    /// It is queued, and the output may sleep.
    Wake,
    /// It is queued behind others, or nobody wants it any more.
    Quiet,
    /// It does not fit: the stream has to fall behind.
    Full,
}

impl Stream {
    /// A stream without watchers.
    pub(crate) fn new(id: StreamId, limits: &Limits, counters: &Arc<counters::Live>) -> Self {
        let requests = Arc::new(Semaphore::new(limits.control_responses_max));
        let state = State {
            queue: Queue::new(Arc::clone(&requests), Arc::clone(counters)),
            watchers: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            behind: VecDeque::new(),
            closed: false,
            not_live: 0,
            start_max: Revision(0),
            next_id: 0,
            counters: Arc::clone(counters),
        };
        Self { id, state: Mutex::new(state), wake: Notify::new(), requests }
    }
}

impl State {
    /// The id for a new watcher: the asked one, or for 0 the next that is free.
    pub(crate) fn free_id(&mut self, asked: i64) -> Option<i64> {
        if asked != 0 {
            return (!self.watchers.contains_key(&asked)).then_some(asked);
        }
        while self.watchers.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Some(self.next_id - 1)
    }

    /// Adds a watcher, which is not live yet.
    pub(crate) fn add(&mut self, id: i64, watcher: Watcher) {
        self.start_max = self.start_max.max(watcher.start);
        self.not_live += 1;
        self.counters.watchers.add(1);
        if watcher.mode == Mode::Behind {
            self.counters.slow_watchers.add(1);
        }
        self.watchers.insert(id, watcher);
    }

    /// Makes a watcher live in `group`, from `next` on.
    pub(crate) fn go_live(&mut self, id: i64, group: GroupId, next: Revision) {
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        if watcher.mode == Mode::Behind {
            self.counters.slow_watchers.sub(1);
        }
        watcher.mode = Mode::Live(group);
        watcher.next = next;
        self.not_live -= 1;
        self.subscriptions.entry(group).or_default().push(id);
    }

    /// Makes a watcher behind that was waiting for its start.
    pub(crate) fn start_is_near(&mut self, id: i64, serial: Serial) -> bool {
        let Some(watcher) = self.watchers.get_mut(&id) else { return false };
        if watcher.serial != serial || watcher.mode != Mode::Future {
            return false;
        }
        watcher.mode = Mode::Behind;
        self.counters.slow_watchers.add(1);
        if watcher.announced {
            self.behind.push_back((id, serial));
        }
        true
    }

    /// Takes a live watcher out of its subscription. Gives the group when that was its last here.
    pub(crate) fn unsubscribe(&mut self, id: i64, group: GroupId) -> Option<GroupId> {
        let ids = self.subscriptions.get_mut(&group)?;
        ids.retain(|own| *own != id);
        if !ids.is_empty() {
            return None;
        }
        self.subscriptions.remove(&group);
        Some(group)
    }

    /// Puts a live watcher behind, from `next` on. Gives the group as [`State::unsubscribe`] does.
    pub(crate) fn demote(&mut self, id: i64, next: Revision) -> Option<GroupId> {
        let watcher = self.watchers.get_mut(&id)?;
        let Mode::Live(group) = watcher.mode else { return None };
        watcher.mode = Mode::Behind;
        watcher.next = next;
        self.not_live += 1;
        self.counters.slow_watchers.add(1);
        self.unsubscribe(id, group)
    }

    /// Removes a watcher. Gives it, and the group as [`State::unsubscribe`] does.
    pub(crate) fn remove(&mut self, id: i64) -> Option<(Watcher, Option<GroupId>)> {
        let watcher = self.watchers.remove(&id)?;
        self.counters.watchers.sub(1);
        let left = match watcher.mode {
            Mode::Live(group) => self.unsubscribe(id, group),
            Mode::Behind | Mode::Future => {
                self.not_live -= 1;
                None
            }
        };
        if watcher.mode == Mode::Behind {
            self.counters.slow_watchers.sub(1);
        }
        Some((watcher, left))
    }

    /// Queues a batch for a group's live watchers.
    pub(crate) fn push_batch(
        &mut self,
        group: GroupId,
        batch: &Arc<Batch>,
        limits: &Limits,
    ) -> Push {
        if self.closed || !self.subscriptions.contains_key(&group) {
            return Push::Quiet;
        }
        if self.queue.is_full_for(batch.weight_bytes, limits) {
            return Push::Full;
        }
        match self.queue.push(Item::Events(group, Arc::clone(batch))) {
            true => Push::Wake,
            false => Push::Quiet,
        }
    }

    /// Drops all queued events and progress; the watchers that lose some fall behind, each to the
    /// first event it loses. `pushing` did not fit. Gives the groups that have no watcher here now.
    pub(crate) fn overflow(&mut self, pushing: (GroupId, Revision)) -> Vec<GroupId> {
        let mut left = self.drop_events();
        left.extend(self.fall_behind(pushing.0, pushing.1));
        left
    }

    /// As [`State::overflow`], for all live watchers: those that lose nothing go on at `next`.
    pub(crate) fn fall_behind_all(&mut self, next: Revision) -> Vec<GroupId> {
        let mut left = self.drop_events();
        let rest: Vec<GroupId> = self.subscriptions.keys().copied().collect();
        left.extend(rest.into_iter().filter_map(|group| self.fall_behind(group, next)));
        left
    }

    fn drop_events(&mut self) -> Vec<GroupId> {
        let mut left = Vec::new();
        for item in self.queue.drain() {
            match &item {
                // Order: oldest first, so that the first loss of a group decides where it goes on.
                Item::Events(group, batch) => left.extend(self.fall_behind(*group, batch.first)),
                Item::WatcherProgress(id, serial, _) => self.progress_left(*id, *serial),
                Item::StreamProgress(_) => {}
                Item::Answer(_) | Item::Created(..) | Item::Notice(_) => {
                    self.queue.restore(item);
                    continue;
                }
            }
            self.queue.forget(&item);
        }
        left
    }

    fn fall_behind(&mut self, group: GroupId, first_lost: Revision) -> Option<GroupId> {
        for id in self.subscriptions.remove(&group)? {
            let watcher = self.watchers.get_mut(&id).expect("a subscription lists watchers");
            watcher.mode = Mode::Behind;
            watcher.next = watcher.next.max(first_lost);
            self.not_live += 1;
            self.counters.slow_watchers.add(1);
            if watcher.announced {
                self.behind.push_back((id, watcher.serial));
            }
        }
        Some(group)
    }

    /// Drops queued progress, when a watcher it speaks for stops being live.
    pub(crate) fn drop_progress(&mut self) {
        for item in self.queue.drain() {
            match &item {
                Item::StreamProgress(_) => self.queue.forget(&item),
                Item::WatcherProgress(id, serial, _) => {
                    self.progress_left(*id, *serial);
                    self.queue.forget(&item);
                }
                _ => self.queue.restore(item),
            }
        }
    }

    fn progress_left(&mut self, id: i64, serial: Serial) {
        if let Some(watcher) = self.watchers.get_mut(&id).filter(|own| own.serial == serial) {
            watcher.progress_queued = false;
        }
    }

    /// Queues the answer to a progress request, if every watcher is live and has its start behind
    /// it.
    pub(crate) fn push_stream_progress(&mut self, published: Revision) -> bool {
        let due = !self.watchers.is_empty() && self.not_live == 0 && self.all_started(published);
        if due {
            self.queue.push(Item::StreamProgress(published));
        }
        due
    }

    fn all_started(&mut self, published: Revision) -> bool {
        if self.start_max > published {
            let starts = self.watchers.values().map(|watcher| watcher.start);
            self.start_max = starts.max().unwrap_or_default();
        }
        self.start_max <= published
    }

    /// Queues the periodic progress of those who asked for it and heard nothing since the last
    /// tick.
    pub(crate) fn tick_progress(&mut self, published: Revision, limits: &Limits) {
        for (id, watcher) in &mut self.watchers {
            if !watcher.progress_notify {
                continue;
            }
            let live = matches!(watcher.mode, Mode::Live(_));
            let due = watcher.idle && live && watcher.start <= published;
            watcher.idle = true;
            if due && !watcher.progress_queued && !self.queue.is_full_for(0, limits) {
                watcher.progress_queued = true;
                self.queue.push(Item::WatcherProgress(*id, watcher.serial, published));
            }
        }
    }

    /// What to do next; with `history_first` those that are behind go before the queue.
    pub(crate) fn step(&mut self, history_first: bool) -> Step {
        let behind = !self.behind.is_empty();
        if behind && (history_first || self.queue.is_empty()) {
            return Step::CatchUp;
        }
        while let Some(item) = self.queue.pop() {
            match item {
                Item::Answer(answer) | Item::Notice(answer) => return Step::Answer(answer),
                Item::Created(answer, serial) => {
                    self.announce(answer.watch_id, serial);
                    return Step::Answer(answer);
                }
                Item::Events(group, batch) => {
                    let targets = self.targets(group, batch.first);
                    if !targets.is_empty() {
                        return Step::Deliver(targets, batch);
                    }
                }
                Item::StreamProgress(revision) => {
                    return Step::Answer(response::progress(response::NO_WATCHER, revision));
                }
                Item::WatcherProgress(id, serial, revision) => {
                    if self.watchers.get(&id).is_some_and(|own| own.serial == serial) {
                        self.progress_left(id, serial);
                        return Step::Answer(response::progress(id, revision));
                    }
                }
            }
        }
        if behind { Step::CatchUp } else { Step::Nothing }
    }

    fn announce(&mut self, id: i64, serial: Serial) {
        let Some(watcher) = self.watchers.get_mut(&id).filter(|own| own.serial == serial) else {
            return;
        };
        watcher.announced = true;
        if watcher.mode == Mode::Behind {
            self.behind.push_back((id, serial));
        }
    }

    /// The live watchers of a group that were live before the batch was published.
    fn targets(&mut self, group: GroupId, first: Revision) -> Vec<(i64, bool)> {
        let Self { subscriptions, watchers, .. } = self;
        let ids = subscriptions.get(&group).map_or(&[][..], |ids| &ids[..]);
        let mut targets = Vec::with_capacity(ids.len());
        for id in ids {
            let watcher = watchers.get_mut(id).expect("a subscription lists watchers");
            if watcher.next <= first {
                watcher.idle = false;
                targets.push((*id, watcher.fragment));
            }
        }
        targets
    }
}
