//! What waits in a stream to be handed out, in order, with its accounting.
//!
//! Invariants: `bytes` and `counted` are the sums over the items; the hub's gauges move with them
//! and are given back when the queue goes. Answers to requests are not counted here: each owns a
//! permit of the stream's semaphore until it leaves the queue, and waiting for one slows the client
//! alone.

use std::collections::VecDeque;
use std::sync::Arc;

use proto::spliced::WatchResponse;
use store::Revision;
use tokio::sync::Semaphore;

use crate::batch::Batch;
use crate::counters;
use crate::groups::GroupId;
use crate::limits::Limits;
use crate::watcher::Serial;

/// One thing to hand out.
pub(crate) enum Item {
    /// The answer to a request.
    Answer(WatchResponse),
    /// The answer that announces a watcher.
    Created(WatchResponse, Serial),
    /// Something the hub decided; at most one per watcher.
    Notice(WatchResponse),
    /// Events for the live watchers of a group.
    Events(GroupId, Arc<Batch>),
    /// A requested progress, for the whole stream.
    StreamProgress(Revision),
    /// A periodic progress, for one watcher.
    WatcherProgress(i64, Serial, Revision),
}

impl Item {
    fn answers_request(&self) -> bool {
        matches!(self, Item::Answer(_) | Item::Created(..) | Item::StreamProgress(_))
    }

    fn weight(&self) -> Weight {
        match self {
            Item::Events(_, batch) => {
                Weight { items: 1, events: batch.events, bytes: batch.weight_bytes }
            }
            Item::WatcherProgress(..) => Weight { items: 1, events: 0, bytes: 0 },
            _ => Weight { items: 0, events: 0, bytes: 0 },
        }
    }
}

struct Weight {
    items: usize,
    events: usize,
    bytes: usize,
}

/// The queue of one stream.
pub(crate) struct Queue {
    items: VecDeque<Item>,
    counted: usize,
    bytes: usize,
    requests: Arc<Semaphore>,
    counters: Arc<counters::Live>,
}

impl Queue {
    /// An empty queue. `requests` gets a permit back for each answer that leaves.
    pub(crate) fn new(requests: Arc<Semaphore>, counters: Arc<counters::Live>) -> Self {
        Self { items: VecDeque::new(), counted: 0, bytes: 0, requests, counters }
    }

    /// Appends. Says whether the queue was empty, so that its reader may sleep.
    pub(crate) fn push(&mut self, item: Item) -> bool {
        let weight = item.weight();
        self.counted += weight.items;
        self.bytes += weight.bytes;
        self.counters.pending_events.add(weight.events);
        self.counters.pending_bytes.add(weight.bytes);
        self.items.push_back(item);
        self.items.len() == 1
    }

    /// Takes the oldest item.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.forget(&item);
        Some(item)
    }

    /// Takes all items, in order. Those that stay are pushed again with [`Queue::restore`].
    pub(crate) fn drain(&mut self) -> Vec<Item> {
        self.items.drain(..).collect::<Vec<_>>()
    }

    /// Puts an item back that [`Queue::drain`] took; its accounting never changed.
    pub(crate) fn restore(&mut self, item: Item) {
        self.items.push_back(item);
    }

    /// Drops an item that [`Queue::drain`] took.
    pub(crate) fn forget(&mut self, item: &Item) {
        let weight = item.weight();
        self.counted -= weight.items;
        self.bytes -= weight.bytes;
        self.counters.pending_events.sub(weight.events);
        self.counters.pending_bytes.sub(weight.bytes);
        if item.answers_request() {
            self.requests.add_permits(1);
        }
    }

    /// Nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether `bytes` more would pass a bound. What is alone in the queue never does.
    pub(crate) fn is_full_for(&self, bytes: usize, limits: &Limits) -> bool {
        let hub_bytes = usize::try_from(self.counters.pending_bytes.get()).unwrap_or(usize::MAX);
        self.counted > 0
            && (self.bytes + bytes > limits.queue_bytes_max
                || self.counted >= limits.queue_items_max
                || hub_bytes > limits.hub_queue_bytes_max)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.counters.pending_bytes.sub(self.bytes);
        let events: usize = self.items.iter().map(|item| item.weight().events).sum();
        self.counters.pending_events.sub(events);
    }
}
