//! One run: random actions on the store and on the model, every answer compared.

use std::sync::Arc;

use proto::etcdserverpb::RangeRequest;
use proto::log::command::Request;
use proto::log::{Batch, Command};
use proto::spliced::RangeResponse;
use store::engine::Engine;
use store::{
    Answers, CompactProgress, Event, EventKind, EventLimits, LeaseId, LogId, ReadError, Revision,
    RevisionEvents, can_be_paged,
};

use super::model::Model;
use super::requests::Action;
use super::session::{Session, open};

/// Loses what an engine has not flushed; false when it cannot.
pub type Crash<'a> = &'a mut dyn FnMut() -> bool;

/// Runs `actions` on a fresh engine.
pub fn run(engine: Arc<dyn Engine>, crash: Crash<'_>, actions: &[Action]) {
    let mut run = Run { session: Session::new(engine), model: Model::new(), entries: Vec::new() };
    for action in actions {
        run.action(action, crash);
    }
    run.compare_leases();
    run.session.reopen();
    run.compare_leases();
    run.compare_all_revisions();
    while run.session.compact_step(2) != CompactProgress::Idle {}
    run.compare_all_revisions();
    run.session.reopen();
    run.compare_all_revisions();
}

struct Run {
    session: Session,
    model: Model,
    entries: Vec<(LogId, Batch)>,
}

impl Run {
    fn action(&mut self, action: &Action, crash: Crash<'_>) {
        match action {
            Action::Entry(requests) => self.entry(requests),
            Action::Range(request) => self.range(request),
            Action::Stream(request, page) => self.stream(request, *page),
            Action::ReadTxn(txn) => {
                let mut model = self.model.clone();
                let expected = model.apply(&Request::Txn(txn.clone())).result;
                let answer = self.session.reader().read_txn(txn);
                match (answer, expected) {
                    (Ok(answer), Ok(store::Response::Txn(expected))) => {
                        assert_eq!(answer, expected);
                    }
                    (Err(error), Err(expected)) => assert_eq!(error.etcd(), Some(expected.0)),
                    other => panic!("{other:?}"),
                }
            }
            Action::Events(below) => self.events(self.model.revision() - below),
            Action::HashKv(below) => self.hash_kv(self.model.revision() - below),
            Action::Step(rows) => drop(self.session.compact_step(*rows)),
            Action::Restart => self.session.reopen(),
            Action::Flush => self.session.store.flush().expect("the engine works"),
            Action::Crash => self.crash(crash),
        }
    }

    fn entry(&mut self, requests: &[Request]) {
        let commands: Vec<Command> = requests
            .iter()
            .map(|request| Command { header: None, request: Some(request.clone()) })
            .collect();
        let batch = Batch { state_machine_version: 1, commands: commands.clone() };
        self.entries.push((self.session.next, batch));
        let before = self.model.changes.len();
        let expected: Vec<_> = requests.iter().map(|request| self.model.apply(request)).collect();
        let applied = self.session.apply_commands(commands);
        assert_eq!(applied.outcomes, expected);
        assert_eq!(applied.revision, Revision(self.model.revision()));
        self.compare_events(&applied.events, before);
    }

    fn range(&self, request: &RangeRequest) {
        compare(self.session.reader().range(request), self.model.range(request));
    }

    fn stream(&self, request: &RangeRequest, page: usize) {
        let request = RangeRequest {
            sort_order: 0,
            sort_target: 0,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
            ..request.clone()
        };
        assert!(can_be_paged(&request));
        let reader = self.session.reader();
        let merged = reader.range_cursor(&request).and_then(|mut cursor| {
            let mut merged = RangeResponse::default();
            while !cursor.is_done() {
                let next = reader.range_page(&mut cursor, page)?;
                assert!(next.kvs.len() <= page && next.header.is_some() == cursor.is_done());
                merged.kvs.extend(next.kvs);
                merged = RangeResponse { kvs: merged.kvs, ..next };
            }
            Ok(merged)
        });
        compare(merged, self.model.range(&request));
    }

    fn events(&self, from: i64) {
        let limits = EventLimits { revisions_max: usize::MAX, bytes_max: usize::MAX };
        let events = self.session.reader().events(Revision(from), Revision(i64::MAX), limits);
        if from < self.model.compacted {
            assert!(matches!(events, Err(ReadError::Compacted { .. })));
            return;
        }
        // A transaction that no door lets through may change a key twice; of these the compaction,
        // made exactly at its revision, keeps the last.
        let from = match self.changed_twice(from) && from == self.model.compacted {
            true => from + 1,
            false => from,
        };
        let first = self.model.changes.partition_point(|change| change.main < from);
        let events = events.expect("the revisions are kept");
        let skipped = events.partition_point(|events| events.revision.0 < from);
        self.compare_events(&events[skipped..], first);
    }

    fn changed_twice(&self, revision: i64) -> bool {
        let mut keys = std::collections::BTreeSet::new();
        let mut changes = self.model.changes.iter().filter(|change| change.main == revision);
        changes.any(|change| !keys.insert(&change.key))
    }

    /// Compares events with the model's changes from the given one on.
    fn compare_events(&self, events: &[RevisionEvents], first: usize) {
        let told = events.iter().flat_map(|one| {
            assert!(!one.events.is_empty());
            one.events.iter().map(|event| (one.revision.0, event))
        });
        let mut changes = self.model.changes[first..].iter();
        for (revision, event) in told {
            let change = changes.next().expect("no more events than changes");
            assert_eq!(revision, change.main);
            compare_event(event, change);
        }
        assert!(changes.next().is_none(), "no fewer events than changes");
    }

    fn hash_kv(&self, revision: i64) {
        let answer = self.session.reader().hash_kv(Revision(revision));
        if revision < 0 {
            assert_eq!(answer.expect("nothing is always kept").hash, crc32c::crc32c(b"key"));
            return;
        }
        let revision = if revision == 0 { self.model.revision() } else { revision };
        if revision < self.model.compacted {
            assert!(matches!(answer, Err(ReadError::Compacted { .. })));
            return;
        }
        let hash = answer.expect("the revision is kept");
        assert_eq!(hash.compact_revision.0, self.model.compacted);
        if let Some(hashed) = self.model.hashed(revision) {
            assert_eq!(hash.hash, crc32c::crc32c(&hashed));
        }
    }

    /// A crash, and the log's entries again: the same state comes of it.
    fn crash(&mut self, crash: Crash<'_>) {
        if !crash() {
            return;
        }
        let before = self.session.store.applied();
        self.session.store = open(self.session.engine.clone());
        let survived = self.session.store.applied().log_id.unwrap_or_default();
        let durable = self.session.store.durable_applied().expect("the engine works");
        assert_eq!(durable.unwrap_or_default(), survived, "what is durable is what survives");
        for (at, batch) in self.entries.iter().filter(|(at, _)| *at > survived) {
            self.session.store.apply(*at, batch, Answers::Skip).expect("the engine works");
        }
        assert_eq!(self.session.store.applied(), before);
    }

    fn compare_leases(&self) {
        let reader = self.session.reader();
        let leases = reader.leases();
        assert_eq!(leases.len(), self.model.leases.len());
        for (lease, (id, (granted, left))) in leases.iter().zip(&self.model.leases) {
            let LeaseId(told) = lease.id;
            assert_eq!((told, lease.granted_ttl_s, lease.remaining_ttl_s), (*id, *granted, *left));
            assert_eq!(reader.lease_keys(lease.id), self.model.lease_keys(*id));
        }
    }

    /// Every revision that is kept, read key by key and as a whole.
    fn compare_all_revisions(&self) {
        let reader = self.session.reader();
        for revision in self.model.compacted.max(1)..=self.model.revision() {
            let everything = RangeRequest {
                key: "\0".into(),
                range_end: "\0".into(),
                revision,
                ..RangeRequest::default()
            };
            self.range(&everything);
            self.range(&RangeRequest { count_only: true, ..everything });
            for change in &self.model.changes {
                let value = reader.value_at(&change.key, Revision(revision));
                let expected = self.model.keys_at(revision).get(&change.key);
                let value = value.expect("the revision is kept");
                assert_eq!(value, expected.map(prost::Message::encode_to_vec).map(Into::into));
            }
            self.hash_kv(revision);
        }
        self.events(self.model.compacted);
        assert_eq!(reader.key_count(), self.model.keys().len() as u64);
    }
}

fn compare(
    answer: Result<RangeResponse, ReadError>,
    expected: Result<RangeResponse, proto::status::EtcdError>,
) {
    match (answer, expected) {
        (Ok(answer), Ok(expected)) => assert_eq!(answer, expected),
        (Err(error), Err(expected)) => assert_eq!(error.etcd(), Some(expected)),
        other => panic!("{other:?}"),
    }
}

fn compare_event(event: &Event, change: &super::model::Change) {
    use prost::Message;
    use proto::mvccpb::KeyValue;

    assert_eq!(event.key, change.key);
    let expected = match &change.kv {
        Some(kv) => {
            assert_eq!(event.kind, EventKind::Put);
            assert_eq!(event.created, kv.create_revision == kv.mod_revision);
            assert_eq!(event.lease, LeaseId(kv.lease));
            kv.clone()
        }
        None => {
            assert_eq!(event.kind, EventKind::Delete);
            let key = change.key.clone();
            KeyValue { key, mod_revision: change.main, ..KeyValue::default() }
        }
    };
    assert_eq!(event.kv, expected.encode_to_vec());
}
