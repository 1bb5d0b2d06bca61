//! A compaction that happens in the middle of a read: between the look at the index and the look at
//! the rows, every time, by an engine that is told what to do before it answers.

extern crate engram_store as store;

mod support;

use std::sync::{Arc, Mutex};

use proto::etcdserverpb::request_op::Request as Operation;
use proto::etcdserverpb::{CompactionRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
use proto::log::command::Request;
use store::engine::{Attendant, Attended, Memory, Space};
use store::{CompactProgress, EventLimits, ReadError, Reader, Revision};
use support::session::Session;

type Deed = Box<dyn FnOnce() + Send>;

/// Does a deed before the next read of a key-value.
#[derive(Clone, Default)]
struct Meddler(Arc<Mutex<Option<Deed>>>);

impl Attendant for Meddler {
    fn before_read(&self, space: Space) {
        if space == Space::KeyValues {
            let deed = self.0.lock().expect("deeds do not panic").take();
            deed.into_iter().for_each(|deed| deed());
        }
    }
}

/// A reader of two keys, put at 2 and 3 and again at 4 and 5. Before it gets to a row, both are put
/// once more, and all is compacted, at 5, which was the present when the read began, or at 7.
fn reader(compacted: i64) -> Reader {
    let meddler = Meddler::default();
    let engine = Attended::new(Arc::new(Memory::new()), meddler.clone());
    let mut session = Session::new(Arc::new(engine));
    for value in ["1", "2"] {
        session.apply(vec![put("a", value), put("b", value)]);
    }
    let reader = session.reader();
    let deed = move || {
        session.apply(vec![put("a", "3"), put("b", "3")]);
        let compaction = CompactionRequest { revision: compacted, physical: false };
        session.apply(vec![Request::Compaction(compaction)]);
        while session.compact_step(1) != CompactProgress::Idle {}
    };
    *meddler.0.lock().expect("nobody panicked") = Some(Box::new(deed));
    reader
}

fn put(key: &'static str, value: &'static str) -> Request {
    Request::Put(PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() })
}

fn both(revision: i64) -> RangeRequest {
    RangeRequest { key: "a".into(), range_end: "c".into(), revision, ..RangeRequest::default() }
}

fn is_compacted<T>(result: Result<T, ReadError>, at: i64) -> bool {
    matches!(result, Err(ReadError::Compacted { compact_revision }) if compact_revision.0 == at)
}

#[test]
fn a_range_of_the_present_is_made_again() {
    let range = reader(7).range(&both(0)).expect("the present is always there");
    let values: Vec<_> = range.kvs.iter().map(|kv| kv.decode().expect("encoded").value).collect();
    assert_eq!(values, ["3", "3"]);
    assert_eq!(range.header.map(|header| header.revision), Some(7));
}

#[test]
fn a_range_of_what_is_kept_is_not_disturbed() {
    let range = reader(5).range(&both(5)).expect("the compacted revision itself is kept");
    let values: Vec<_> = range.kvs.iter().map(|kv| kv.decode().expect("encoded").value).collect();
    assert_eq!(values, ["2", "2"]);
}

#[test]
fn a_range_of_the_past_is_refused() {
    for (compacted, revision) in [(5, 3), (5, 4), (7, 3), (7, 5)] {
        let range = reader(compacted).range(&both(revision));
        assert!(is_compacted(range, compacted), "{revision}, compacted at {compacted}");
    }
}

#[test]
fn a_value_of_the_past_is_refused() {
    for compacted in [5, 7] {
        assert!(is_compacted(reader(compacted).value_at(b"a", Revision(3)), compacted));
    }
}

#[test]
fn pages_of_the_past_are_refused() {
    let reader = reader(7);
    let mut cursor = reader.range_cursor(&both(0)).expect("it needs no row");
    assert!(is_compacted(reader.range_page(&mut cursor, 1), 7));
}

#[test]
fn a_transaction_that_looks_at_the_past_is_refused() {
    let operation = RequestOp { request: Some(Operation::RequestRange(both(3))) };
    let txn = TxnRequest { success: vec![operation], ..TxnRequest::default() };
    for compacted in [5, 7] {
        assert!(is_compacted(reader(compacted).read_txn(&txn), compacted));
    }
}

#[test]
fn events_of_the_past_are_refused() {
    let limits = EventLimits { revisions_max: usize::MAX, bytes_max: usize::MAX };
    for compacted in [5, 7] {
        let events = reader(compacted).events(Revision(2), Revision(4), limits);
        assert!(is_compacted(events, compacted));
    }
}

#[test]
fn a_hash_of_the_past_is_refused_and_one_of_the_present_made_again() {
    for compacted in [5, 7] {
        assert!(is_compacted(reader(compacted).hash_kv(Revision(4)), compacted));
    }
    for compacted in [5, 7] {
        let reader = reader(compacted);
        let hash = reader.hash_kv(Revision(0)).expect("the present is always there");
        assert_eq!((hash.compact_revision, hash.hash_revision), (Revision(compacted), Revision(7)));
        assert_eq!(reader.hash_kv(Revision(0)).expect("as before"), hash);
    }
}
