//! A plain history kept in a list, and clients that read without a runtime.
//!
//! Invariant: `Ledger` keeps everything, so that tests can compare with it; what a compaction makes
//! unreadable is only refused to the hub.
#![allow(missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use engram_watch::{History, Hub, Limits, WatchControl, WatchOutput};
use prost::Message;
use proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use proto::mvccpb::KeyValue;
use store::{Event, EventKind, EventLimits, LeaseId, ReadError, Revision, RevisionEvents};

#[derive(Clone, Debug)]
pub enum Op {
    Put(&'static str, Vec<u8>),
    Delete(&'static str),
}

#[derive(Default)]
struct Book {
    revisions: Vec<RevisionEvents>,
    values: BTreeMap<Bytes, Vec<(i64, Option<KeyValue>)>>,
    compacted: i64,
    reads: usize,
}

/// The history: revision 1 is empty, as in a fresh store.
#[derive(Default)]
pub struct Ledger {
    book: Mutex<Book>,
    during_read: Mutex<Vec<Meanwhile>>,
}

/// Something that happens while a client reads history.
pub type Meanwhile = Box<dyn FnOnce() + Send>;

impl Ledger {
    /// Applies the operations as one revision. Deletes of missing keys change nothing.
    pub fn commit(&self, ops: &[Op]) -> Option<RevisionEvents> {
        let mut book = self.book.lock().expect("no test panics with the book");
        let revision = book.revisions.len() as i64 + 2;
        let events: Vec<Event> = ops.iter().filter_map(|op| book.apply(op, revision)).collect();
        if events.is_empty() {
            return None;
        }
        let events = RevisionEvents { revision: Revision(revision), events: events.into() };
        book.revisions.push(events.clone());
        Some(events)
    }

    pub fn compact(&self, revision: i64) {
        let mut book = self.book.lock().expect("no test panics with the book");
        book.compacted = book.compacted.max(revision);
    }

    pub fn current(&self) -> i64 {
        self.book.lock().expect("no test panics with the book").revisions.len() as i64 + 1
    }

    pub fn compacted(&self) -> i64 {
        self.book.lock().expect("no test panics with the book").compacted
    }

    /// Lets something happen in the middle of the next read of events.
    pub fn during_read(&self, meanwhile: Meanwhile) {
        self.during_read.lock().expect("no test panics with the list").push(meanwhile);
    }

    /// How often events were read.
    pub fn reads(&self) -> usize {
        self.book.lock().expect("no test panics with the book").reads
    }

    /// All events of `from..=to`, whatever is compacted.
    pub fn all(&self, from: i64, to: i64) -> Vec<RevisionEvents> {
        let book = self.book.lock().expect("no test panics with the book");
        let wanted = |events: &&RevisionEvents| (from..=to).contains(&events.revision.0);
        book.revisions.iter().filter(wanted).cloned().collect()
    }

    /// The value of a key at a revision, whatever is compacted.
    pub fn value(&self, key: &[u8], revision: i64) -> Option<KeyValue> {
        let book = self.book.lock().expect("no test panics with the book");
        let history = book.values.get(key)?;
        let (_, value) = history.iter().rev().find(|(at, _)| *at <= revision)?;
        value.clone()
    }
}

impl Book {
    fn apply(&mut self, op: &Op, revision: i64) -> Option<Event> {
        let key = match op {
            Op::Put(key, _) | Op::Delete(key) => Bytes::from_static(key.as_bytes()),
        };
        let history = self.values.entry(key.clone()).or_default();
        let before = history.last().and_then(|(_, value)| value.clone());
        let (kind, value, stored) = match op {
            Op::Put(_, value) => {
                let create_revision = before.as_ref().map_or(revision, |kv| kv.create_revision);
                let version = before.as_ref().map_or(1, |kv| kv.version + 1);
                let kv = KeyValue {
                    key: key.clone(),
                    value: value.clone().into(),
                    create_revision,
                    mod_revision: revision,
                    version,
                    lease: 0,
                };
                (EventKind::Put, kv.clone(), Some(kv))
            }
            Op::Delete(_) => {
                before.as_ref()?;
                let key = key.clone();
                (
                    EventKind::Delete,
                    KeyValue { key, mod_revision: revision, ..KeyValue::default() },
                    None,
                )
            }
        };
        history.push((revision, stored));
        let created = kind == EventKind::Put && before.is_none();
        Some(Event { kind, key, kv: value.encode_to_vec().into(), created, lease: LeaseId(0) })
    }
}

impl History for Ledger {
    fn revision(&self) -> Revision {
        Revision(self.current())
    }

    fn compacted_revision(&self) -> Revision {
        Revision(self.compacted())
    }

    fn events(
        &self,
        from: Revision,
        to: Revision,
        limits: EventLimits,
    ) -> Result<Vec<RevisionEvents>, ReadError> {
        self.book.lock().expect("no test panics with the book").reads += 1;
        let compact_revision = self.compacted_revision();
        if from < compact_revision {
            return Err(ReadError::Compacted { compact_revision });
        }
        let meanwhile =
            std::mem::take(&mut *self.during_read.lock().expect("no test panics with the list"));
        meanwhile.into_iter().for_each(|happens| happens());
        let (mut found, mut bytes) = (Vec::new(), 0);
        for events in self.all(from.0, to.0) {
            if found.len() == limits.revisions_max || bytes >= limits.bytes_max {
                break;
            }
            bytes += events.events.iter().map(|event| event.kv.len()).sum::<usize>();
            found.push(events);
        }
        Ok(found)
    }

    fn value_at(&self, key: &[u8], revision: Revision) -> Result<Option<Bytes>, ReadError> {
        let compact_revision = self.compacted_revision();
        if revision < compact_revision {
            return Err(ReadError::Compacted { compact_revision });
        }
        Ok(self.value(key, revision.0).map(|kv| kv.encode_to_vec().into()))
    }
}

/// A hub over a ledger.
pub struct World {
    pub ledger: Arc<Ledger>,
    pub hub: Hub,
}

impl World {
    pub fn new(limits: Limits) -> Self {
        let ledger = Arc::new(Ledger::default());
        Self { hub: Hub::new(Arc::clone(&ledger) as Arc<dyn History>, limits), ledger }
    }

    /// Applies and publishes one revision, and gives it.
    pub fn commit(&self, ops: &[Op]) -> i64 {
        let events = self.ledger.commit(ops).expect("the operations change something");
        self.hub.publish(std::slice::from_ref(&events));
        events.revision.0
    }

    pub fn put(&self, key: &'static str, value: &str) -> i64 {
        self.commit(&[Op::Put(key, value.as_bytes().to_vec())])
    }

    pub fn delete(&self, key: &'static str) -> i64 {
        self.commit(&[Op::Delete(key)])
    }

    pub fn client(&self) -> Client {
        let (control, output) = self.hub.open_stream();
        Client { control, output }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// One stream.
pub struct Client {
    pub control: WatchControl,
    pub output: WatchOutput,
}

impl Client {
    pub fn create(&self, request: WatchCreateRequest) {
        now(self.control.create(request)).expect("there is room for the answer");
    }

    pub fn cancel(&self, id: i64) {
        now(self.control.cancel(id)).expect("there is room for the answer");
    }

    pub fn progress(&self) {
        now(self.control.progress()).expect("there is room for the answer");
    }

    /// The next answer, if there is one without anything else happening.
    pub fn read(&mut self) -> Option<WatchResponse> {
        let spliced = now(self.output.next())??;
        let bytes = spliced.encode_to_vec();
        assert_eq!(bytes.len(), spliced.encoded_len());
        Some(WatchResponse::decode(&bytes[..]).expect("an answer is a plain WatchResponse"))
    }

    pub fn read_all(&mut self) -> Vec<WatchResponse> {
        std::iter::from_fn(|| self.read()).collect()
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Polls a future for as long as it wakes itself; `None` when it waits for others.
pub fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut future = pin!(future);
    while flag.0.swap(false, Ordering::SeqCst) {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(value);
        }
    }
    None
}

/// A request for one key, from now.
pub fn key(key: &'static str) -> WatchCreateRequest {
    WatchCreateRequest { key: Bytes::from_static(key.as_bytes()), ..WatchCreateRequest::default() }
}

/// A request for `[start, end)`, from now.
pub fn range(start: &'static str, end: &'static str) -> WatchCreateRequest {
    WatchCreateRequest { range_end: Bytes::from_static(end.as_bytes()), ..key(start) }
}

/// A request for every key, from a revision.
pub fn all_from(start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest { start_revision, ..range("\0", "\0") }
}

/// The revision of the header.
pub fn header(answer: &WatchResponse) -> i64 {
    answer.header.as_ref().expect("every answer has a header").revision
}

/// (mod revision, key) of the events.
pub fn names(answer: &WatchResponse) -> Vec<(i64, String)> {
    let kvs = answer.events.iter().map(|event| event.kv.as_ref().expect("events have a kv"));
    kvs.map(|kv| (kv.mod_revision, String::from_utf8_lossy(&kv.key).into_owned())).collect()
}

/// (mod revision, key) of the events of all answers.
pub fn all_names(answers: &[WatchResponse]) -> Vec<(i64, String)> {
    answers.iter().flat_map(names).collect()
}
