//! What creating and canceling answers, in etcd's words and order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{self, Op, World, all_from, header, key, names, now, range};
use bytes::Bytes;
use engram_watch::Limits;
use proto::etcdserverpb::WatchCreateRequest;

fn revised(start_revision: i64, request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest { start_revision, ..request }
}

fn with_id(watch_id: i64, request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest { watch_id, ..request }
}

#[test]
fn created_comes_first_and_events_follow() {
    let world = World::default();
    let mut client = world.client();
    client.create(key("a"));
    world.put("a", "1");
    world.put("b", "1");
    let answers = client.read_all();
    assert_eq!(answers.len(), 2);
    assert!(answers[0].created && !answers[0].canceled && answers[0].events.is_empty());
    assert_eq!((answers[0].watch_id, header(&answers[0])), (0, 1));
    assert_eq!((names(&answers[1]), header(&answers[1])), (vec![(2, "a".into())], 2));
    assert!(!answers[1].created && !answers[1].fragment);
}

#[test]
fn automatic_ids_start_at_zero_and_skip_taken_ones() {
    let world = World::default();
    let mut client = world.client();
    client.create(key("a"));
    client.create(with_id(1, key("a")));
    client.create(key("a"));
    client.create(with_id(7, key("a")));
    client.create(key("a"));
    let ids: Vec<i64> = client.read_all().iter().map(|answer| answer.watch_id).collect();
    assert_eq!(ids, [0, 1, 2, 7, 3]);
}

#[test]
fn a_taken_id_is_refused() {
    let world = World::default();
    let mut client = world.client();
    client.create(with_id(5, key("a")));
    client.create(with_id(5, key("b")));
    let answer = &client.read_all()[1];
    assert!(answer.created && answer.canceled);
    assert_eq!(answer.watch_id, -1);
    assert_eq!(answer.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
    assert_eq!(header(answer), 1);
}

#[test]
fn an_empty_range_is_refused() {
    let world = World::default();
    let mut client = world.client();
    client.create(range("b", "a"));
    client.create(range("b", "b"));
    for answer in client.read_all() {
        assert!(answer.created && answer.canceled);
        assert_eq!((answer.watch_id, answer.compact_revision), (-1, 0));
        assert_eq!(answer.cancel_reason, "mvcc: watcher range is empty");
    }
}

#[test]
fn a_negative_start_is_refused_as_compacted() {
    let world = World::default();
    let mut client = world.client();
    client.create(revised(-1, key("a")));
    let answer = client.read().expect("an answer");
    assert!(answer.created && answer.canceled);
    assert_eq!((answer.watch_id, answer.compact_revision, header(&answer)), (-1, 0, 1));
    let reason = "etcdserver: mvcc: required revision has been compacted";
    assert_eq!(answer.cancel_reason, reason);
}

#[test]
fn an_empty_key_is_the_smallest_one() {
    let world = World::default();
    let mut client = world.client();
    client.create(key(""));
    client.read_all();
    world.put("a", "1");
    world.put("\0", "1");
    assert_eq!(names(&client.read_all()[0]), [(3, "\0".into())]);
}

#[test]
fn a_zero_byte_as_end_means_no_end() {
    let world = World::default();
    let mut client = world.client();
    client.create(range("b", "\0"));
    client.read_all();
    world.commit(&[Op::Put("a", vec![]), Op::Put("b", vec![]), Op::Put("zz", vec![])]);
    assert_eq!(names(&client.read_all()[0]), [(2, "b".into()), (2, "zz".into())]);
}

#[test]
fn an_end_is_exclusive() {
    let world = World::default();
    let mut client = world.client();
    client.create(range("a", "c"));
    client.read_all();
    world.commit(&[Op::Put("a", vec![]), Op::Put("b", vec![]), Op::Put("c", vec![])]);
    assert_eq!(names(&client.read_all()[0]), [(2, "a".into()), (2, "b".into())]);
}

#[test]
fn cancel_is_answered_and_ends_the_events() {
    let world = World::default();
    let mut client = world.client();
    client.create(key("a"));
    client.cancel(0);
    world.put("a", "1");
    let answers = client.read_all();
    assert_eq!(answers.len(), 2);
    let canceled = &answers[1];
    assert!(canceled.canceled && !canceled.created && canceled.cancel_reason.is_empty());
    assert_eq!((canceled.watch_id, header(canceled), canceled.compact_revision), (0, 1, 0));
}

#[test]
fn cancel_of_an_unknown_id_is_silent() {
    let world = World::default();
    let mut client = world.client();
    client.cancel(3);
    assert!(client.read().is_none());
}

#[test]
fn an_id_used_again_does_not_get_the_events_of_the_first() {
    let world = World::default();
    let mut client = world.client();
    client.create(with_id(5, key("a")));
    world.put("a", "1");
    client.cancel(5);
    client.create(with_id(5, key("a")));
    world.put("a", "2");
    let answers = client.read_all();
    let last_created = answers.iter().rposition(|answer| answer.created).expect("two of them");
    assert!(answers[..last_created].iter().all(|answer| answer.events.is_empty()));
    assert_eq!(names(&answers[last_created + 1]), [(3, "a".into())]);
}

#[test]
fn a_start_in_the_future_is_silent_until_it_is_reached() {
    let world = World::default();
    let mut client = world.client();
    client.create(revised(4, key("a")));
    client.read_all();
    world.put("a", "2");
    world.put("a", "3");
    assert!(client.read().is_none());
    world.put("a", "4");
    let answer = client.read().expect("revision 4");
    assert_eq!(names(&answer), [(4, "a".into())]);
}

#[test]
fn a_start_within_a_published_batch_is_not_preceded() {
    let world = World::default();
    let mut client = world.client();
    client.create(revised(4, key("a")));
    client.read_all();
    let put = |value: &str| world.ledger.commit(&[Op::Put("a", value.into())]).expect("a change");
    world.hub.publish(&[put("2"), put("3"), put("4"), put("5")]);
    let heard = support::all_names(&client.read_all());
    assert_eq!(heard, [(4, "a".into()), (5, "a".into())]);
}

#[test]
fn a_start_in_the_future_is_silent_across_an_installed_snapshot() {
    let world = World::default();
    let mut client = world.client();
    client.create(revised(6, key("a")));
    client.create(key("a"));
    client.read_all();
    for value in ["2", "3", "4"] {
        world.ledger.commit(&[Op::Put("a", value.into())]);
    }
    world.hub.installed(store::Revision(4));
    let answers = client.read_all();
    assert!(answers.iter().all(|answer| answer.watch_id == 1), "only the watcher from now hears");
    assert_eq!(support::all_names(&answers).len(), 3);
    world.put("a", "5");
    world.put("a", "6");
    let answers = client.read_all();
    let future: Vec<_> = answers.iter().filter(|answer| answer.watch_id == 0).collect();
    assert_eq!(future.len(), 1);
    assert_eq!(names(future[0]), [(6, "a".into())]);
}

#[test]
fn an_installed_snapshot_brings_no_old_events_back() {
    let world = World::default();
    let mut client = world.client();
    client.create(all_from(0));
    world.put("a", "2");
    assert_eq!(support::all_names(&client.read_all()).len(), 1);
    world.ledger.commit(&[Op::Put("a", b"3".to_vec())]);
    world.hub.installed(store::Revision(3));
    world.put("a", "4");
    let heard = support::all_names(&client.read_all());
    assert_eq!(heard, [(3, "a".into()), (4, "a".into())]);
}

#[test]
fn a_missed_batch_is_read_from_history() {
    let world = World::default();
    let mut client = world.client();
    client.create(all_from(0));
    client.read_all();
    world.ledger.commit(&[Op::Put("a", b"2".to_vec())]);
    world.put("a", "3");
    let heard = support::all_names(&client.read_all());
    assert_eq!(heard, [(2, "a".into()), (3, "a".into())]);
    assert_eq!(world.hub.counters().jumps_total, 1);
}

#[test]
fn a_batch_published_twice_is_heard_once() {
    let world = World::default();
    let mut client = world.client();
    client.create(all_from(0));
    let events = world.ledger.commit(&[Op::Put("a", vec![])]).expect("a change");
    world.hub.publish(std::slice::from_ref(&events));
    world.hub.publish(&[events]);
    assert_eq!(support::all_names(&client.read_all()), [(2, "a".into())]);
}

#[test]
fn filters_leave_kinds_out_and_a_filtered_batch_is_silent() {
    let world = World::default();
    let mut client = world.client();
    client.create(WatchCreateRequest { filters: vec![0], ..key("a") });
    client.create(WatchCreateRequest { filters: vec![1], ..key("a") });
    client.create(WatchCreateRequest { filters: vec![0, 1], ..key("a") });
    client.read_all();
    world.put("a", "2");
    world.delete("a");
    let heard: Vec<_> =
        client.read_all().iter().map(|answer| (answer.watch_id, names(answer))).collect();
    assert_eq!(heard, [(1, vec![(2, "a".into())]), (0, vec![(3, "a".into())])]);
}

#[test]
fn a_delete_names_key_and_revision_only() {
    let world = World::default();
    let mut client = world.client();
    client.create(key("a"));
    world.put("a", "2");
    world.delete("a");
    let answer = client.read_all().pop().expect("the delete");
    let event = &answer.events[0];
    let kv = event.kv.as_ref().expect("a kv");
    assert_eq!(event.r#type, 1);
    assert_eq!((&kv.key[..], kv.mod_revision), (&b"a"[..], 3));
    assert_eq!((kv.create_revision, kv.version, kv.value.len()), (0, 0, 0));
}

#[test]
fn one_watcher_too_many_is_refused() {
    let world = World::new(Limits { watchers_per_stream_max: 1, ..Limits::default() });
    let mut client = world.client();
    client.create(key("a"));
    client.create(key("a"));
    let answer = &client.read_all()[1];
    assert!(answer.created && answer.canceled && answer.watch_id == -1);
    assert_eq!(answer.cancel_reason, "etcdserver: too many requests");
}

#[test]
fn a_refusal_carries_the_callers_reason() {
    let world = World::default();
    let mut client = world.client();
    let reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    now(client.control.refuse(reason)).expect("room");
    let answer = client.read().expect("an answer");
    assert!(answer.created && answer.canceled && answer.watch_id == -1);
    assert_eq!(answer.cancel_reason, reason);
}

#[test]
fn recheck_cancels_those_that_are_refused_now() {
    let world = World::default();
    let mut client = world.client();
    let allowed = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&allowed);
    let recheck: engram_watch::Recheck = Arc::new(move || match asked.load(Ordering::SeqCst) {
        true => Ok(()),
        false => Err("no more".to_owned()),
    });
    now(client.control.create_checked(key("a"), recheck)).expect("room");
    client.create(key("a"));
    client.read_all();
    world.hub.recheck();
    assert!(client.read().is_none());
    world.put("a", "2");
    allowed.store(false, Ordering::SeqCst);
    client.progress();
    world.hub.recheck();
    let answers = client.read_all();
    assert_eq!(names(&answers[0]), [(2, "a".into())]);
    assert_eq!(answers[0].watch_id, 1);
    assert!(answers[1].canceled && answers[1].watch_id == 0);
    assert_eq!(answers[1].cancel_reason, "no more");
    assert_eq!(answers.len(), 2, "a progress would claim that the canceled one heard revision 2");
}

#[test]
fn a_client_that_does_not_read_waits_with_its_requests() {
    let world = World::new(Limits { control_responses_max: 2, ..Limits::default() });
    let mut client = world.client();
    client.create(key("a"));
    client.create(key("a"));
    assert!(now(client.control.create(key("a"))).is_none());
    assert_eq!(world.hub.counters().watchers, 2, "a request that waits has no effect");
    client.read().expect("the first created");
    client.create(key("a"));
    assert!(now(client.control.progress()).is_none());
    assert_eq!(client.read_all().len(), 2);
    // What needs no answer gives its room back.
    (0..9).for_each(|_| client.cancel(99));
    assert!(client.read().is_none());
}

#[test]
fn a_dropped_output_gives_everything_back() {
    let world = World::new(Limits { control_responses_max: 1, ..Limits::default() });
    let client = world.client();
    client.create(WatchCreateRequest { key: Bytes::from_static(b"a"), ..all_from(9) });
    world.put("a", "1");
    let other = world.client();
    other.create(all_from(0));
    world.put("a", "2");
    assert!(world.hub.counters().pending_bytes > 0);
    let control = other.control.clone();
    drop((client, other));
    let counters = world.hub.counters();
    assert_eq!((counters.streams, counters.watchers, counters.slow_watchers), (0, 0, 0));
    assert_eq!((counters.pending_events, counters.pending_bytes), (0, 0));
    now(control.create(key("a"))).expect("a closed stream answers nothing at once");
    assert_eq!(world.hub.counters().watchers, 0);
    world.put("a", "3");
}

#[test]
fn a_dropped_control_leaves_the_watchers() {
    let world = World::default();
    let support::Client { control, mut output } = world.client();
    now(control.create(key("a"))).expect("room");
    drop(control);
    world.put("a", "1");
    assert!(now(output.next()).flatten().expect("created").created);
    assert!(!now(output.next()).flatten().expect("events").events.is_empty());
}
