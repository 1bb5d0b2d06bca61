//! Watchers that start in the past, or fall behind, and read history.

use crate::support::{Client, Op, World, all_from, all_names, header, key, names, range};
use engram_watch::Limits;
use proto::etcdserverpb::WatchCreateRequest;

fn world_with_history(last: i64, limits: Limits) -> World {
    let world = World::new(limits);
    for revision in 2..=last {
        world.put(if revision % 2 == 0 { "even" } else { "odd" }, &revision.to_string());
    }
    world
}

fn revisions(answers: &[proto::etcdserverpb::WatchResponse]) -> Vec<i64> {
    all_names(answers).into_iter().map(|(revision, _)| revision).collect()
}

#[test]
fn a_start_in_the_past_hears_everything_since_under_the_current_revision() {
    let world = world_with_history(10, Limits::default());
    let mut client = world.client();
    client.create(all_from(4));
    let answers = client.read_all();
    assert!(answers[0].created);
    assert_eq!(header(&answers[0]), 10);
    assert_eq!(revisions(&answers), (4..=10).collect::<Vec<_>>());
    assert!(answers[1..].iter().all(|answer| header(answer) == 10));
    world.put("even", "11");
    let live = client.read_all();
    assert_eq!((revisions(&live), header(&live[0])), (vec![11], 11));
    assert_eq!(world.hub.counters().slow_watchers, 0);
}

#[test]
fn an_answer_from_the_past_has_at_most_the_revisions_of_one_read() {
    let limits = Limits { catch_up_revisions_max: 1000, ..Limits::default() };
    let world = world_with_history(2501, limits);
    let mut client = world.client();
    client.create(all_from(1));
    let answers = client.read_all();
    let sizes: Vec<usize> = answers[1..].iter().map(|answer| answer.events.len()).collect();
    assert!(sizes.iter().all(|size| *size <= 1000), "{sizes:?}");
    assert_eq!(revisions(&answers), (2..=2501).collect::<Vec<_>>());
}

#[test]
fn the_compact_revision_itself_can_be_watched() {
    let world = world_with_history(10, Limits::default());
    world.ledger.compact(6);
    let mut client = world.client();
    client.create(all_from(6));
    assert_eq!(revisions(&client.read_all()), [6, 7, 8, 9, 10]);
}

#[test]
fn a_compacted_start_is_created_then_canceled_without_reason_and_revision() {
    let world = world_with_history(10, Limits::default());
    world.ledger.compact(6);
    let mut client = world.client();
    client.create(all_from(5));
    let answers = client.read_all();
    assert_eq!(answers.len(), 2);
    assert!(answers[0].created && !answers[0].canceled);
    assert_eq!((answers[0].watch_id, header(&answers[0])), (0, 10));
    let canceled = &answers[1];
    assert!(canceled.canceled && !canceled.created && canceled.cancel_reason.is_empty());
    assert_eq!((canceled.watch_id, canceled.compact_revision, header(canceled)), (0, 6, 0));
    client.cancel(0);
    assert!(client.read().is_none(), "it is gone");
    assert_eq!(world.hub.counters().watchers, 0);
}

#[test]
fn a_compacted_watcher_does_not_disturb_others_of_its_stream() {
    let world = world_with_history(10, Limits::default());
    world.ledger.compact(6);
    let mut client = world.client();
    client.create(all_from(9));
    client.create(all_from(2));
    client.create(all_from(7));
    let answers = client.read_all();
    let of = |id| answers.iter().filter(move |answer| answer.watch_id == id).cloned();
    assert_eq!(revisions(&of(0).collect::<Vec<_>>()), [9, 10]);
    assert_eq!(of(1).next_back().expect("answers").compact_revision, 6);
    assert_eq!(revisions(&of(2).collect::<Vec<_>>()), [7, 8, 9, 10]);
}

#[test]
fn a_start_at_the_next_revision_is_live_at_once() {
    let world = world_with_history(5, Limits::default());
    let mut client = world.client();
    client.create(all_from(6));
    assert_eq!(world.hub.counters().slow_watchers, 0);
    world.put("even", "6");
    assert_eq!(revisions(&client.read_all()), [6]);
    assert_eq!(world.ledger.reads(), 0);
}

#[test]
fn what_is_published_during_catch_up_follows_it() {
    let limits = Limits { catch_up_revisions_max: 3, ..Limits::default() };
    let world = world_with_history(12, limits);
    let mut client = world.client();
    client.create(all_from(2));
    let mut answers = Vec::new();
    for _ in 0..60 {
        answers.extend(client.read());
        if world.ledger.current() < 30 {
            world.put("odd", "more");
        }
    }
    answers.extend(client.read_all());
    assert_eq!(revisions(&answers), (2..=30).collect::<Vec<_>>());
}

#[test]
fn many_watchers_share_one_read() {
    let world = world_with_history(50, Limits::default());
    let mut client = world.client();
    for _ in 0..100 {
        client.create(all_from(2));
    }
    let answers = client.read_all();
    assert_eq!(all_names(&answers).len(), 100 * 49);
    assert!(world.ledger.reads() <= 101, "{} reads", world.ledger.reads());
    let mut idle = world.client();
    idle.create(all_from(2));
    idle.create(range("e", "f"));
    idle.read_all();
}

#[test]
fn a_revision_larger_than_every_bound_is_not_split() {
    let limits = Limits {
        catch_up_bytes_max: 64,
        response_bytes_max: 64,
        queue_bytes_max: 64,
        ..Limits::default()
    };
    let world = World::new(limits);
    let keys = ["a", "b", "c", "d", "e"];
    let large: Vec<Op> = keys.iter().map(|key| Op::Put(key, vec![7; 100])).collect();
    let mut live = world.client();
    live.create(all_from(0));
    world.commit(&large);
    world.commit(&large);
    let mut late = world.client();
    late.create(all_from(2));
    for client in [&mut live, &mut late] {
        let answers = client.read_all();
        let sizes: Vec<usize> = answers[1..].iter().map(|answer| answer.events.len()).collect();
        assert_eq!(sizes, [5, 5]);
    }
}

fn drain_slowly(client: &mut Client) -> Vec<i64> {
    let mut heard = Vec::new();
    while let Some(answer) = client.read() {
        heard.extend(names(&answer).into_iter().map(|(revision, _)| revision));
    }
    heard
}

#[test]
fn a_slow_reader_holds_a_bounded_queue_and_loses_nothing() {
    let limits = Limits { queue_bytes_max: 4096, ..Limits::default() };
    let world = World::new(limits.clone());
    let mut client = world.client();
    client.create(all_from(0));
    for _ in 0..5000 {
        world.put("a", "some value");
        assert!(world.hub.counters().pending_bytes <= limits.queue_bytes_max as u64);
    }
    assert_eq!(world.hub.counters().slow_watchers, 1);
    assert_eq!(world.hub.counters().overflows_total, 1, "a reader behind costs nothing more");
    assert_eq!(drain_slowly(&mut client), (2..=5001).collect::<Vec<_>>());
    assert_eq!(world.hub.counters().slow_watchers, 0);
}

#[test]
fn a_slow_reader_overtaken_by_compaction_is_canceled() {
    let limits = Limits { queue_items_max: 2, ..Limits::default() };
    let world = World::new(limits);
    let mut client = world.client();
    client.create(all_from(0));
    for _ in 0..10 {
        world.put("a", "v");
    }
    world.ledger.compact(11);
    let answers = client.read_all();
    assert!(answers[0].created);
    assert!(answers[1].canceled && answers[1].compact_revision == 11);
    assert_eq!(answers.len(), 2);
}

#[test]
fn a_watcher_that_missed_nothing_survives_compaction() {
    let limits = Limits { queue_items_max: 2, ..Limits::default() };
    let world = World::new(limits);
    let mut client = world.client();
    client.create(key("quiet"));
    client.create(key("noisy"));
    client.read_all();
    for _ in 0..2 {
        world.put("noisy", "v");
    }
    world.ledger.compact(3);
    // Overflow: both fall behind, the quiet one at what it loses now.
    let both = world.commit(&[Op::Put("noisy", vec![]), Op::Put("quiet", vec![])]);
    let answers = client.read_all();
    let quiet: Vec<_> = answers.iter().filter(|answer| answer.watch_id == 0).collect();
    assert_eq!(quiet.len(), 1);
    assert_eq!(names(quiet[0]), [(both, "quiet".into())]);
}

#[test]
fn a_thousand_stalled_streams_do_not_grow_the_queues() {
    let limits =
        Limits { queue_bytes_max: 8 * 1024, hub_queue_bytes_max: 1024 * 1024, ..Limits::default() };
    let world = World::new(limits.clone());
    let stalled: Vec<Client> = (0..1000).map(|_| world.client()).collect();
    stalled.iter().for_each(|client| client.create(all_from(0)));
    let mut reader = world.client();
    reader.create(all_from(0));
    reader.read();
    for _ in 0..200 {
        let revision = world.put("a", "a value of some bytes");
        assert_eq!(revisions(&reader.read_all()), [revision], "a reader that reads is not slowed");
        let pending = world.hub.counters().pending_bytes as usize;
        assert!(pending <= limits.hub_queue_bytes_max + limits.queue_bytes_max, "{pending}");
    }
    assert_eq!(world.hub.counters().slow_watchers, 1000);
    assert_eq!(world.hub.counters().pending_events, 0);
}

#[test]
fn many_watchers_of_one_stream_are_all_served() {
    let world = World::default();
    let mut client = world.client();
    for _ in 0..1000 {
        client.create(key("a"));
        assert!(client.read().expect("created").created);
    }
    world.put("a", "v");
    assert_eq!(world.hub.counters().pending_events, 1, "one queued batch serves all of them");
    let answers = client.read_all();
    assert_eq!(answers.len(), 1000);
    assert_eq!(world.hub.counters().events_total, 1000);
}

#[test]
fn catching_up_and_live_watchers_of_a_stream_take_turns() {
    let limits = Limits { catch_up_revisions_max: 2, ..Limits::default() };
    let world = world_with_history(100, limits);
    let mut client = world.client();
    client.create(key("live"));
    client.create(WatchCreateRequest { start_revision: 2, ..key("even") });
    client.read();
    client.read();
    let live = world.put("live", "v");
    let heard: Vec<i64> =
        (0..4).flat_map(|_| client.read()).flat_map(|answer| revisions(&[answer])).collect();
    assert!(heard.contains(&live), "{heard:?}");
}
