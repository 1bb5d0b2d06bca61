//! The hub over a real store in memory: what is applied is what is heard.

use std::sync::Arc;

use crate::support::{Client, all_from, all_names, key};
use bytes::Bytes;
use engram_watch::{Hub, Limits};
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, WatchCreateRequest, WatchResponse,
};
use proto::log::command::Request;
use proto::log::{Batch, Command};
use store::engine::Memory;
use store::{Answers, CompactProgress, LogId, Store, StoreOptions};

struct Member {
    store: Store,
    hub: Hub,
    index: u64,
}

impl Member {
    fn new() -> Self {
        let store =
            Store::open(Arc::new(Memory::new()), StoreOptions::default()).expect("memory works");
        let hub = Hub::new(Arc::new(store.reader()), Limits::default());
        Self { store, hub, index: 0 }
    }

    /// Applies one entry with these requests, and publishes it.
    fn apply(&mut self, requests: Vec<Request>) {
        self.index += 1;
        let command = |request| Command { header: None, request: Some(request) };
        let commands = requests.into_iter().map(command).collect();
        let batch = Batch { state_machine_version: 1, commands };
        let at = LogId { term: 1, index: self.index };
        let applied = self.store.apply(at, &batch, Answers::Skip).expect("memory works");
        self.hub.publish(&applied.events);
    }

    /// Compacts, also physically.
    fn compact(&mut self, revision: i64) {
        self.apply(vec![Request::Compaction(CompactionRequest { revision, physical: false })]);
        while self.store.compact_step(1).expect("memory works") != CompactProgress::Idle {}
    }

    fn client(&self) -> Client {
        let (control, output) = self.hub.open_stream();
        Client { control, output }
    }
}

fn put(key: &'static str, value: &'static str) -> Request {
    let (key, value) = (Bytes::from_static(key.as_bytes()), Bytes::from_static(value.as_bytes()));
    Request::Put(PutRequest { key, value, ..PutRequest::default() })
}

fn delete(key: &'static str) -> Request {
    let key = Bytes::from_static(key.as_bytes());
    Request::DeleteRange(DeleteRangeRequest { key, ..DeleteRangeRequest::default() })
}

fn with_previous(request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest { prev_kv: true, ..request }
}

fn events(answers: &[WatchResponse]) -> Vec<proto::mvccpb::Event> {
    answers.iter().flat_map(|answer| answer.events.clone()).collect()
}

#[test]
fn live_and_late_watchers_hear_the_same() {
    let mut member = Member::new();
    let mut live = member.client();
    live.create(with_previous(all_from(0)));
    member.apply(vec![put("a", "1"), put("b", "1"), put("a", "2")]);
    member.apply(vec![delete("a"), delete("nothing"), put("c", "1")]);
    let mut late = member.client();
    late.create(with_previous(all_from(1)));
    let (live, late) = (events(&live.read_all()), events(&late.read_all()));
    assert_eq!(live.len(), 5);
    assert_eq!(live, late);
    let previous = |place: usize| live[place].prev_kv.as_ref().map(|kv| kv.value.to_vec());
    assert_eq!((previous(2), previous(3)), (Some(b"1".to_vec()), Some(b"2".to_vec())));
    assert_eq!((previous(0), previous(4)), (None, None));
}

#[test]
fn a_delete_at_the_compact_revision_is_heard_from_there() {
    let mut member = Member::new();
    member.apply(vec![put("a", "1"), put("b", "1")]);
    member.apply(vec![delete("a"), put("b", "2")]);
    member.compact(4);
    let mut client = member.client();
    client.create(all_from(4));
    client.create(all_from(3));
    let answers = client.read_all();
    let heard: Vec<_> = answers.iter().filter(|answer| answer.watch_id == 0).cloned().collect();
    assert_eq!(all_names(&heard), [(4, "a".into()), (5, "b".into())]);
    let canceled = answers.iter().find(|answer| answer.watch_id == 1 && answer.canceled);
    assert_eq!(canceled.expect("3 is compacted").compact_revision, 4);
}

#[test]
fn a_newer_generation_of_state_is_caught_up_with() {
    let mut behind = Member::new();
    behind.apply(vec![put("a", "1")]);
    let mut client = behind.client();
    client.create(key("a"));
    client.create(WatchCreateRequest { start_revision: 6, ..key("a") });
    client.read_all();
    let engine = Arc::new(Memory::new());
    let mut ahead = Store::open(engine.clone(), StoreOptions::default()).expect("memory works");
    for index in 1..=4 {
        let commands = vec![Command { header: None, request: Some(put("a", "again")) }];
        let batch = Batch { state_machine_version: 1, commands };
        ahead.apply(LogId { term: 1, index }, &batch, Answers::Skip).expect("memory works");
    }
    drop(ahead);
    behind.store.install(engine).expect("memory works");
    behind.hub.installed(behind.store.reader().revision());
    let answers = client.read_all();
    assert!(answers.iter().all(|answer| answer.watch_id == 0));
    let revisions: Vec<i64> = all_names(&answers).into_iter().map(|(at, _)| at).collect();
    assert_eq!(revisions, [3, 4, 5]);
}
