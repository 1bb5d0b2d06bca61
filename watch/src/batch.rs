//! A group's events of one or a few revisions, encoded once for all its watchers.
//!
//! Invariants: a batch never splits a revision; it becomes one answer. Without previous values it
//! is encoded when it is made. With them it is encoded by the first reader, in that reader's task,
//! since previous values are read from history; the bytes are kept for the others only if they fit
//! into what the batch is accounted for, or a small event of a large value would outgrow every
//! bound. What a batch holds alive is its own: events are cloned out of their revision.

use std::sync::{Arc, OnceLock};

use proto::mvccpb::event::EventType;
use proto::spliced::{EncodedEvents, EncodedEventsBuilder};
use store::{Event, EventKind, ReadError, Revision, RevisionEvents};

use crate::history::History;
use crate::limits::{
    BATCH_OVERHEAD_BYTES, DELETES_WITH_PREVIOUS_MAX, PREVIOUS_OF_DELETE_BYTES,
    PREVIOUS_OF_PUT_BYTES,
};

/// A group's events that are delivered together.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The revision of its first event.
    pub(crate) first: Revision,
    /// The revision of its last event.
    pub(crate) last: Revision,
    /// How many events it holds.
    pub(crate) events: usize,
    /// What queues account for it. *Units*: bytes.
    pub(crate) weight_bytes: usize,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Encoded(EncodedEvents),
    WithPrevious { events: Vec<(Revision, Event)>, encoded: OnceLock<EncodedEvents> },
}

impl Batch {
    /// The encoded events; reads previous values from history if that was not done yet.
    ///
    /// *Errors*: the member's storage failed. Compacted previous values are left out.
    pub(crate) fn encoded(&self, history: &dyn History) -> Result<EncodedEvents, ReadError> {
        let (events, cell) = match &self.body {
            Body::Encoded(encoded) => return Ok(encoded.clone()),
            Body::WithPrevious { events, encoded } => (events, encoded),
        };
        if let Some(encoded) = cell.get() {
            return Ok(encoded.clone());
        }
        let mut builder = EncodedEventsBuilder::with_capacity(self.weight_bytes);
        for (revision, event) in events {
            let previous = previous(history, *revision, event)?;
            builder.push(kind(event.kind), &event.kv, previous.as_deref());
        }
        let encoded = builder.finish();
        if encoded.len() <= self.weight_bytes {
            // A reader that was faster has set the same bytes.
            let _ = cell.set(encoded.clone());
        }
        Ok(encoded)
    }
}

fn previous(
    history: &dyn History,
    revision: Revision,
    event: &Event,
) -> Result<Option<bytes::Bytes>, ReadError> {
    if event.created {
        return Ok(None);
    }
    match history.value_at(&event.key, Revision(revision.0 - 1)) {
        Ok(value) => Ok(value),
        // Compat: etcd leaves the previous value out when it cannot be had any more.
        Err(ReadError::Compacted { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn kind(kind: EventKind) -> EventType {
    match kind {
        EventKind::Put => EventType::Put,
        EventKind::Delete => EventType::Delete,
    }
}

/// Names an event: the place of its revision, and its place within the revision.
pub(crate) type Pick = (u32, u32);

/// Makes batches of the same revisions for any number of groups.
pub(crate) struct Encoder<'a> {
    revisions: &'a [RevisionEvents],
    response_bytes_max: usize,
    /// Each event as encoded for the first group that wanted it; empty until there is one.
    encoded: Vec<Vec<Option<EncodedEvents>>>,
}

impl<'a> Encoder<'a> {
    /// An encoder of these revisions. Answers end with the revision that reaches the bound.
    pub(crate) fn new(revisions: &'a [RevisionEvents], response_bytes_max: usize) -> Self {
        Self { revisions, response_bytes_max, encoded: Vec::new() }
    }

    /// The batches of a group that wants the picked events, which are in order.
    pub(crate) fn batches(&mut self, picks: &[Pick], prev_kv: bool) -> Vec<Arc<Batch>> {
        let mut batches = Vec::new();
        let mut rest = picks;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.first_batch_len(rest, prev_kv));
            batches.push(Arc::new(self.batch(now, prev_kv)));
            rest = later;
        }
        batches
    }

    /// How many of the picks make one batch: whole revisions, until the bound is reached.
    fn first_batch_len(&self, picks: &[Pick], prev_kv: bool) -> usize {
        let (mut bytes, mut deletes) = (0, 0);
        for (place, pick) in picks.iter().enumerate() {
            let full = bytes >= self.response_bytes_max
                || (prev_kv && deletes >= DELETES_WITH_PREVIOUS_MAX);
            if full && picks[place - 1].0 != pick.0 {
                return place;
            }
            let event = self.event(*pick);
            bytes += weight(event, prev_kv);
            deletes += usize::from(event.kind == EventKind::Delete);
        }
        picks.len()
    }

    fn batch(&mut self, picks: &[Pick], prev_kv: bool) -> Batch {
        let (first, last) = (picks[0].0, picks[picks.len() - 1].0);
        let bytes: usize = picks.iter().map(|pick| weight(self.event(*pick), prev_kv)).sum();
        let body = match prev_kv {
            true => Body::WithPrevious {
                events: picks.iter().map(|pick| self.named(*pick)).collect(),
                encoded: OnceLock::new(),
            },
            false => Body::Encoded(self.join(picks)),
        };
        Batch {
            first: self.revisions[first as usize].revision,
            last: self.revisions[last as usize].revision,
            events: picks.len(),
            weight_bytes: bytes + BATCH_OVERHEAD_BYTES,
            body,
        }
    }

    fn join(&mut self, picks: &[Pick]) -> EncodedEvents {
        if let [single] = picks {
            return self.encode(*single);
        }
        let len = picks.iter().map(|pick| weight(self.event(*pick), false)).sum();
        let mut builder = EncodedEventsBuilder::with_capacity(len);
        for pick in picks {
            let encoded = self.encode(*pick);
            builder.push_encoded(&encoded);
        }
        builder.finish()
    }

    fn encode(&mut self, pick: Pick) -> EncodedEvents {
        if self.encoded.is_empty() {
            let none = |revision: &RevisionEvents| vec![None; revision.events.len()];
            self.encoded = self.revisions.iter().map(none).collect();
        }
        let (revision, place) = (pick.0 as usize, pick.1 as usize);
        let event = &self.revisions[revision].events[place];
        self.encoded[revision][place]
            .get_or_insert_with(|| EncodedEvents::one(kind(event.kind), &event.kv, None))
            .clone()
    }

    fn named(&self, pick: Pick) -> (Revision, Event) {
        (self.revisions[pick.0 as usize].revision, self.event(pick).clone())
    }

    fn event(&self, pick: Pick) -> &'a Event {
        &self.revisions[pick.0 as usize].events[pick.1 as usize]
    }
}

/// What an event counts for. *Units*: bytes; a guess where the previous value is not read yet.
fn weight(event: &Event, prev_kv: bool) -> usize {
    let encoded = EncodedEvents::one_len(kind(event.kind), &event.kv, None);
    match (prev_kv, event.kind) {
        (false, _) => encoded,
        (true, EventKind::Put) => 2 * encoded + PREVIOUS_OF_PUT_BYTES,
        (true, EventKind::Delete) => encoded + PREVIOUS_OF_DELETE_BYTES,
    }
}
