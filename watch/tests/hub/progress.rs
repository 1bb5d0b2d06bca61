//! Progress: asked for and periodic, never ahead of events, never below a start.

use crate::support::{World, all_from, header, key, names};
use engram_watch::Limits;
use proto::etcdserverpb::WatchCreateRequest;

fn notified(request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest { progress_notify: true, ..request }
}

#[test]
fn a_request_is_answered_for_the_whole_stream() {
    let world = World::default();
    let mut client = world.client();
    client.create(key("a"));
    client.create(key("b"));
    world.put("c", "1");
    client.read_all();
    client.progress();
    let answers = client.read_all();
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].watch_id, header(&answers[0])), (-1, 2));
    assert!(answers[0].events.is_empty() && !answers[0].created && !answers[0].canceled);
}

#[test]
fn a_request_without_watchers_is_not_answered() {
    let world = World::default();
    let mut client = world.client();
    client.progress();
    assert!(client.read().is_none());
}

#[test]
fn progress_comes_behind_the_events_it_speaks_of() {
    let world = World::default();
    let mut client = world.client();
    client.create(key("a"));
    world.put("a", "1");
    client.progress();
    world.put("a", "2");
    let answers = client.read_all();
    let order: Vec<(i64, usize)> =
        answers[1..].iter().map(|answer| (header(answer), answer.events.len())).collect();
    assert_eq!(order, [(2, 1), (2, 0), (3, 1)]);
}

#[test]
fn a_stream_with_a_watcher_behind_says_nothing() {
    let world = World::default();
    world.put("a", "1");
    let mut client = world.client();
    client.create(key("b"));
    client.create(all_from(2));
    client.progress();
    let answers = client.read_all();
    assert!(answers.iter().all(|answer| answer.watch_id != -1));
    client.progress();
    assert_eq!(client.read().expect("all are live now").watch_id, -1);
}

#[test]
fn a_stream_with_a_start_ahead_says_nothing() {
    let world = World::default();
    let mut client = world.client();
    client.create(all_from(2));
    client.create(all_from(4));
    client.read_all();
    world.put("b", "2");
    client.progress();
    assert_eq!(names(&client.read_all()[0]).len(), 1);
    world.put("b", "3");
    client.progress();
    assert!(client.read_all().iter().all(|answer| answer.watch_id != -1), "3 is below the start");
    world.put("b", "4");
    client.read_all();
    client.progress();
    let answer = client.read().expect("all have started");
    assert_eq!((answer.watch_id, header(&answer)), (-1, 4));
}

#[test]
fn a_canceled_start_ahead_is_not_waited_for() {
    let world = World::default();
    let mut client = world.client();
    client.create(key("a"));
    client.create(all_from(100));
    client.cancel(1);
    client.read_all();
    client.progress();
    assert_eq!(client.read().expect("an answer").watch_id, -1);
}

#[test]
fn an_overflow_takes_queued_progress_along() {
    let world = World::new(Limits { queue_items_max: 2, ..Limits::default() });
    let mut client = world.client();
    client.create(key("a"));
    client.read_all();
    world.put("a", "2");
    client.progress();
    world.put("a", "3");
    world.put("a", "4");
    let answers = client.read_all();
    let mut newest = 0;
    for answer in &answers {
        assert!(!answer.events.is_empty(), "progress was queued behind events that are gone");
        newest = newest.max(names(answer).last().expect("events").0);
    }
    assert_eq!(newest, 4);
}

#[test]
fn a_tick_tells_idle_watchers_that_asked_for_it() {
    let world = World::default();
    let mut client = world.client();
    client.create(notified(key("a")));
    client.create(key("a"));
    client.read_all();
    world.put("b", "2");
    client.control.tick_progress();
    let answers = client.read_all();
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].watch_id, header(&answers[0])), (0, 2));
}

#[test]
fn a_tick_is_skipped_after_events() {
    let world = World::default();
    let mut client = world.client();
    client.create(notified(key("a")));
    world.put("a", "2");
    client.read_all();
    world.hub.tick_progress();
    assert!(client.read().is_none());
    world.hub.tick_progress();
    assert_eq!(header(&client.read().expect("progress")), 2);
}

#[test]
fn a_tick_is_skipped_after_events_from_history() {
    let world = World::default();
    world.put("a", "2");
    let mut client = world.client();
    client.create(notified(all_from(2)));
    client.read_all();
    world.hub.tick_progress();
    assert!(client.read().is_none());
    world.hub.tick_progress();
    assert_eq!(header(&client.read().expect("progress")), 2);
}

#[test]
fn ticks_do_not_pile_up_for_a_client_that_does_not_read() {
    let world = World::default();
    let mut client = world.client();
    client.create(notified(key("a")));
    client.read_all();
    (0..100).for_each(|_| world.hub.tick_progress());
    assert_eq!(client.read_all().len(), 1);
    world.hub.tick_progress();
    assert_eq!(client.read_all().len(), 1);
}

#[test]
fn a_tick_is_silent_while_behind_or_before_the_start() {
    let world = World::default();
    world.put("a", "2");
    let mut client = world.client();
    client.create(notified(all_from(2)));
    client.create(notified(all_from(3)));
    client.create(notified(all_from(9)));
    client.control.tick_progress();
    let answers = client.read_all();
    assert!(answers.iter().all(|answer| answer.created || !answer.events.is_empty()));
}

#[test]
fn an_id_used_again_does_not_get_the_progress_of_the_first() {
    let world = World::default();
    let mut client = world.client();
    client.create(WatchCreateRequest { watch_id: 5, ..notified(key("a")) });
    client.read_all();
    client.control.tick_progress();
    client.cancel(5);
    client.create(WatchCreateRequest { watch_id: 5, ..notified(key("a")) });
    let answers = client.read_all();
    assert_eq!(answers.len(), 2);
    assert!(answers[0].canceled && answers[1].created);
}
