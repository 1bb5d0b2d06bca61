//! Random interleavings of everything, against the list of all events.
//!
//! Whatever happens, each watcher hears exactly the events it wants from its start on, in order and
//! a revision at a time, until it is canceled; progress never claims what was not heard; and once
//! clients read again, all of them are up to date and the hub holds nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::{self, Client, Ledger, Op, World, header};
use engram_watch::{Counters, Hub, Limits};
use proptest::prelude::*;
use prost::Message;
use proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use proto::mvccpb::{Event, KeyValue};
use store::{EventKind, Revision};

const KEYS: [&str; 6] = ["a", "aa", "ab", "b", "ba", "c"];
const RANGES: [(&str, &str); 8] = [
    ("a", ""),
    ("b", ""),
    ("c", ""),
    ("a", "b"),
    ("aa", "ba"),
    ("b", "\0"),
    ("\0", "\0"),
    ("x", "y"),
];
const STREAMS: usize = 3;

#[derive(Clone, Debug)]
struct Ask {
    range: usize,
    start: Option<i64>,
    prev_kv: bool,
    filter: Option<i32>,
    fragment: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// Revisions are applied; the hub is told when the second part says so, else later.
    Commit(Vec<Vec<(usize, bool, u8)>>, bool),
    Install(Vec<(usize, bool, u8)>),
    Compact(i64),
    Create(usize, Ask),
    Cancel(usize, i64),
    Read(usize, usize),
    Progress(usize),
    Tick,
    Reopen(usize),
    /// In the middle of the next read of history: revisions are applied and published, the stream
    /// asks for progress, and history may be compacted up to this far back.
    DuringRead(Vec<Vec<(usize, bool, u8)>>, usize, Option<i64>),
}

fn revision() -> impl Strategy<Value = Vec<(usize, bool, u8)>> {
    prop::collection::vec((0..KEYS.len(), prop::bool::weighted(0.3), 0u8..120), 1..5)
}

fn ask() -> impl Strategy<Value = Ask> {
    let start = prop_oneof![Just(None), (-8i64..6).prop_map(Some)];
    let filter = prop_oneof![4 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(1))];
    (0..RANGES.len(), start, any::<bool>(), filter, any::<bool>()).prop_map(
        |(range, start, prev_kv, filter, fragment)| Ask { range, start, prev_kv, filter, fragment },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let commits = prop::collection::vec(revision(), 1..5);
    let meanwhile = prop::collection::vec(revision(), 0..4);
    prop_oneof![
        8 => (commits, prop::bool::weighted(0.8)).prop_map(|(all, told)| Step::Commit(all, told)),
        1 => revision().prop_map(Step::Install),
        1 => (0i64..6).prop_map(Step::Compact),
        5 => (0..STREAMS, ask()).prop_map(|(stream, ask)| Step::Create(stream, ask)),
        1 => (0..STREAMS, 0i64..4).prop_map(|(stream, id)| Step::Cancel(stream, id)),
        8 => (0..STREAMS, 1usize..6).prop_map(|(stream, count)| Step::Read(stream, count)),
        2 => (0..STREAMS).prop_map(Step::Progress),
        1 => Just(Step::Tick),
        1 => (0..STREAMS).prop_map(Step::Reopen),
        4 => (meanwhile, 0..STREAMS, prop::option::weighted(0.2, 0i64..6))
            .prop_map(|(all, stream, back)| Step::DuringRead(all, stream, back)),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (1usize..6, 300usize..3000, 1usize..6, 1usize..600, 1usize..4, 1usize..400).prop_map(
        |(queue_items_max, queue_bytes_max, revisions, bytes, watchers, response)| Limits {
            queue_items_max,
            queue_bytes_max,
            catch_up_revisions_max: revisions,
            catch_up_bytes_max: bytes,
            catch_up_watchers_max: watchers,
            response_bytes_max: response,
            fragment_bytes_max: 300,
            ..Limits::default()
        },
    )
}

/// What a watcher should have heard, as its client knows it.
struct Expected {
    ask: Ask,
    start: i64,
    /// The first revision of which nothing was heard.
    next: i64,
    pieces: Vec<Event>,
}

struct Stream {
    client: Client,
    /// Requests whose `created` was not read yet, in order: (ask, start, revision then).
    asked: Vec<(Ask, i64)>,
    watchers: BTreeMap<i64, Expected>,
    /// Every watcher that a request canceled.
    canceling: Vec<i64>,
}

impl Stream {
    fn new(world: &World) -> Self {
        Self {
            client: world.client(),
            asked: Vec::new(),
            watchers: BTreeMap::new(),
            canceling: Vec::new(),
        }
    }

    fn create(&mut self, world: &World, ask: Ask) {
        let start = match ask.start {
            None => 0,
            Some(distance) => (world.ledger.current() + distance).max(1),
        };
        let (key, end) = RANGES[ask.range];
        self.client.create(WatchCreateRequest {
            start_revision: start,
            prev_kv: ask.prev_kv,
            filters: ask.filter.into_iter().collect(),
            fragment: ask.fragment,
            progress_notify: true,
            ..support::range(key, end)
        });
        let published = world.hub.published().0;
        let next = if start == 0 { published + 1 } else { start };
        self.asked.push((ask, next));
    }

    fn hear(&mut self, ledger: &Ledger, answer: &WatchResponse) {
        let id = answer.watch_id;
        if answer.created {
            let (ask, start) = self.asked.remove(0);
            let pieces = Vec::new();
            let known = self.watchers.insert(id, Expected { ask, start, next: start, pieces });
            assert!(known.is_none(), "id {id} is used twice");
        } else if answer.compact_revision != 0 {
            let expected = self.watchers.remove(&id).expect("a known watcher");
            assert!(answer.canceled && header(answer) == 0);
            assert!(expected.next < answer.compact_revision, "nothing it needs was compacted");
            assert!(answer.compact_revision <= ledger.compacted());
        } else if answer.canceled {
            self.watchers.remove(&id).expect("a known watcher");
            let place = self.canceling.iter().position(|own| *own == id).expect("it was asked");
            self.canceling.remove(place);
        } else if answer.events.is_empty() {
            self.hear_progress(ledger, answer);
        } else {
            self.watchers.get_mut(&id).expect("a known watcher").hear(ledger, answer);
        }
    }

    fn hear_progress(&mut self, ledger: &Ledger, answer: &WatchResponse) {
        let revision = header(answer);
        let concerned = |id: &i64| answer.watch_id == -1 || *id == answer.watch_id;
        for (id, expected) in &mut self.watchers {
            // A canceled watcher's events are dropped at once, its client knows.
            if !concerned(id) || self.canceling.contains(id) {
                continue;
            }
            assert!(expected.start <= revision + 1, "progress below the start");
            assert!(expected.pieces.is_empty(), "progress within a revision");
            let missed = expected.wanted(ledger, revision);
            assert!(missed.is_empty(), "progress {revision} ahead of {missed:?}");
            expected.next = expected.next.max(revision + 1);
        }
    }
}

impl Expected {
    fn hear(&mut self, ledger: &Ledger, answer: &WatchResponse) {
        self.pieces.extend(answer.events.iter().cloned());
        assert!(self.ask.fragment || !answer.fragment, "fragments nobody asked for");
        if answer.fragment {
            return;
        }
        let heard = std::mem::take(&mut self.pieces);
        let newest = heard.last().and_then(|event| event.kv.as_ref()).expect("a kv").mod_revision;
        assert!((newest..=ledger.current()).contains(&header(answer)));
        let wanted = self.wanted(ledger, newest);
        assert_eq!(heard.len(), wanted.len(), "heard {heard:?} instead of {wanted:?}");
        for (heard, (revision, wanted)) in heard.iter().zip(wanted) {
            self.compare(ledger, heard, revision, &wanted);
        }
        self.next = newest + 1;
    }

    fn compare(&self, ledger: &Ledger, heard: &Event, revision: i64, wanted: &store::Event) {
        assert_eq!(heard.kv.as_ref().expect("a kv").encode_to_vec(), wanted.kv);
        assert_eq!(heard.r#type, i32::from(wanted.kind == EventKind::Delete));
        let previous: Option<KeyValue> = match self.ask.prev_kv && !wanted.created {
            true => ledger.value(&wanted.key, revision - 1),
            false => None,
        };
        if heard.prev_kv.is_none() && revision - 1 < ledger.compacted() {
            return;
        }
        assert_eq!(heard.prev_kv, previous);
    }

    /// What it wants of `next..=to`, event by event.
    fn wanted(&self, ledger: &Ledger, to: i64) -> Vec<(i64, store::Event)> {
        let (key, end) = RANGES[self.ask.range];
        let wants = |event: &store::Event| {
            let in_range = match end {
                "" => event.key == key,
                "\0" => &event.key[..] >= key.as_bytes(),
                end => (key.as_bytes()..end.as_bytes()).contains(&&event.key[..]),
            };
            let kind = i32::from(event.kind == EventKind::Delete);
            in_range && self.ask.filter != Some(kind)
        };
        let all = ledger.all(self.next, to);
        let named = all.iter().flat_map(|revision| {
            revision.events.iter().map(move |event| (revision.revision.0, event.clone()))
        });
        named.filter(|(_, event)| wants(event)).collect()
    }
}

struct Run {
    world: World,
    streams: Vec<Stream>,
    queue_bytes_bound: usize,
}

impl Run {
    fn new(limits: Limits) -> Self {
        // Beyond the limit, a queue may hold one batch that is alone too large.
        let queue_bytes_bound = STREAMS * (limits.queue_bytes_max + 64 * 1024);
        let world = World::new(limits);
        let streams = (0..STREAMS).map(|_| Stream::new(&world)).collect();
        Self { world, streams, queue_bytes_bound }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit(revisions, told) => {
                commit(&self.world.ledger, &revisions);
                if told {
                    tell(&self.world.ledger, &self.world.hub);
                }
            }
            Step::Install(ops) => {
                self.world.ledger.commit(&unique(&ops));
                self.world.hub.installed(Revision(self.world.ledger.current()));
            }
            Step::Compact(back) => {
                self.world.ledger.compact(self.world.hub.published().0 - back);
            }
            Step::Create(stream, ask) => self.streams[stream].create(&self.world, ask),
            Step::Cancel(stream, id) => {
                let before = self.world.hub.counters().watchers;
                self.streams[stream].client.cancel(id);
                if self.world.hub.counters().watchers < before {
                    self.streams[stream].canceling.push(id);
                }
            }
            Step::Read(stream, count) => (0..count).for_each(|_| {
                self.read(stream);
            }),
            Step::Progress(stream) => self.streams[stream].client.progress(),
            Step::Tick => self.world.hub.tick_progress(),
            Step::Reopen(stream) => self.streams[stream] = Stream::new(&self.world),
            Step::DuringRead(revisions, stream, back) => {
                let (ledger, hub) = (Arc::clone(&self.world.ledger), self.world.hub.clone());
                let control = self.streams[stream].client.control.clone();
                self.world.ledger.during_read(Box::new(move || {
                    commit(&ledger, &revisions);
                    tell(&ledger, &hub);
                    support::now(control.progress()).expect("there is room");
                    if let Some(back) = back {
                        ledger.compact(hub.published().0 - back);
                    }
                }));
            }
        }
        let pending = self.world.hub.counters().pending_bytes as usize;
        assert!(pending <= self.queue_bytes_bound, "{pending} bytes are queued");
    }

    fn read(&mut self, stream: usize) -> bool {
        let stream = &mut self.streams[stream];
        let Some(answer) = stream.client.read() else { return false };
        stream.hear(&self.world.ledger, &answer);
        true
    }

    /// All clients read all there is; then everything must have been heard.
    fn finish(mut self) {
        tell(&self.world.ledger, &self.world.hub);
        // A read may make something happen that concerns the others, also one that finds nothing.
        let mut before = 0;
        while before < self.world.ledger.current() {
            before = self.world.ledger.current();
            (0..STREAMS).for_each(|place| while self.read(place) {});
        }
        let published = self.world.hub.published().0;
        assert_eq!(published, self.world.ledger.current());
        for place in 0..STREAMS {
            let stream = &mut self.streams[place];
            assert!(stream.asked.is_empty() && stream.canceling.is_empty());
            for expected in stream.watchers.values() {
                let missed = expected.wanted(&self.world.ledger, published);
                assert!(missed.is_empty(), "never heard {missed:?}");
            }
            stream.client.progress();
            let due = !stream.watchers.is_empty()
                && stream.watchers.values().all(|expected| expected.start <= published);
            assert!(!due || stream.client.read().is_some(), "all are live and nobody says so");
        }
        let counters = self.world.hub.counters();
        assert_eq!((counters.slow_watchers, counters.pending_events), (0, 0));
        self.streams.clear();
        let Counters { events_total, overflows_total, jumps_total, .. } = counters;
        let idle = Counters { events_total, overflows_total, jumps_total, ..Counters::default() };
        assert_eq!(self.world.hub.counters(), idle);
    }
}

fn commit(ledger: &Ledger, revisions: &[Vec<(usize, bool, u8)>]) {
    for ops in revisions {
        ledger.commit(&unique(ops));
    }
}

/// Publishes what was not published yet.
fn tell(ledger: &Ledger, hub: &Hub) {
    hub.publish(&ledger.all(hub.published().0 + 1, ledger.current()));
}

fn unique(ops: &[(usize, bool, u8)]) -> Vec<Op> {
    let by_key: BTreeMap<usize, (bool, u8)> =
        ops.iter().map(|(key, deletes, size)| (*key, (*deletes, *size))).collect();
    let op = |(key, (deletes, size)): (usize, (bool, u8))| match deletes {
        true => Op::Delete(KEYS[key]),
        false => Op::Put(KEYS[key], vec![size; usize::from(size)]),
    };
    by_key.into_iter().map(op).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn every_watcher_hears_exactly_what_it_wants(
        limits in limits(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut run = Run::new(limits);
        steps.into_iter().for_each(|step| run.step(step));
        run.finish();
    }
}
