//! Previous values, and answers in fragments.

use crate::support::{self, Client, Op, World, all_from, all_names, key};
use engram_watch::Limits;
use proto::etcdserverpb::{WatchCreateRequest, WatchResponse};

fn previous(answers: &[WatchResponse]) -> Vec<Option<Vec<u8>>> {
    let events = answers.iter().flat_map(|answer| &answer.events);
    events.map(|event| event.prev_kv.as_ref().map(|kv| kv.value.to_vec())).collect()
}

fn with_previous(request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest { prev_kv: true, ..request }
}

fn fragmented(request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest { fragment: true, ..request }
}

fn changes(world: &World) {
    world.put("a", "1");
    world.put("a", "2");
    world.delete("a");
    world.put("a", "3");
}

const PREVIOUS: [Option<&[u8]>; 4] = [None, Some(b"1"), Some(b"2"), None];

fn heard_previous(client: &mut Client) -> Vec<Option<Vec<u8>>> {
    previous(&client.read_all())
}

#[test]
fn previous_values_come_live_and_from_history() {
    let world = World::default();
    let mut live = world.client();
    live.create(with_previous(key("a")));
    live.create(key("a"));
    changes(&world);
    let mut late = world.client();
    late.create(with_previous(all_from(2)));
    let expected: Vec<_> = PREVIOUS.iter().map(|value| value.map(<[u8]>::to_vec)).collect();
    assert_eq!(heard_previous(&mut late), expected);
    let answers = live.read_all();
    let of = |id: i64| -> Vec<WatchResponse> {
        answers.iter().filter(|answer| answer.watch_id == id).cloned().collect()
    };
    assert_eq!(previous(&of(0)), expected);
    assert_eq!(previous(&of(1)), [None, None, None, None]);
}

#[test]
fn a_previous_value_is_the_whole_key_value() {
    let world = World::default();
    let mut client = world.client();
    client.create(with_previous(key("a")));
    world.put("a", "1");
    world.put("a", "2");
    let answers = client.read_all();
    let kv = answers[2].events[0].prev_kv.as_ref().expect("a previous value");
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 2, 1));
}

#[test]
fn a_compacted_previous_value_is_left_out() {
    let world = World::default();
    let mut client = world.client();
    client.create(with_previous(key("a")));
    changes(&world);
    world.ledger.compact(3);
    // The value before revision 3 is gone, the one before revision 4 stands at the compact
    // revision.
    assert_eq!(heard_previous(&mut client), [None, None, Some(b"2".to_vec()), None]);
}

#[test]
fn small_deletes_of_large_values_stay_within_the_bound() {
    let limits = Limits { queue_bytes_max: 64 * 1024, ..Limits::default() };
    let world = World::new(limits.clone());
    let (mut reader, mut stalled) = (world.client(), world.client());
    for client in [&reader, &stalled] {
        client.create(with_previous(key("a")));
    }
    for _ in 0..40 {
        world.commit(&[Op::Put("a", vec![1; 20_000])]);
        world.delete("a");
        assert!(world.hub.counters().pending_bytes <= 2 * limits.queue_bytes_max as u64);
        reader.read_all();
    }
    let heard = heard_previous(&mut stalled);
    assert_eq!(heard.len(), 80);
    assert!(
        heard
            .iter()
            .skip(1)
            .step_by(2)
            .all(|value| value.as_ref().is_some_and(|v| v.len() == 20_000))
    );
}

#[test]
fn large_answers_are_split_for_those_who_asked() {
    let limits = Limits { fragment_bytes_max: 600, ..Limits::default() };
    let world = World::new(limits);
    let (mut live, mut late, mut whole) = (world.client(), world.client(), world.client());
    live.create(fragmented(all_from(0)));
    whole.create(all_from(0));
    let keys = ["a", "b", "c", "d", "e", "f", "g"];
    let large: Vec<Op> = keys.iter().map(|key| Op::Put(key, vec![7; 150])).collect();
    world.commit(&large);
    late.create(fragmented(all_from(2)));
    for client in [&mut live, &mut late] {
        let answers = client.read_all();
        let (last, others) = answers[1..].split_last().expect("several answers");
        assert!(others.len() >= 2);
        assert!(others.iter().all(|answer| answer.fragment));
        assert!(!last.fragment);
        assert_eq!(all_names(&answers), keys.map(|key| (2, key.to_owned())));
        for answer in &answers {
            assert!(prost::Message::encoded_len(answer) < 600);
        }
    }
    let answers = whole.read_all();
    assert_eq!(answers.len(), 2);
    assert!(!answers[1].fragment);
}

#[test]
fn a_single_event_above_the_bound_is_one_answer() {
    let limits = Limits { fragment_bytes_max: 100, ..Limits::default() };
    let world = World::new(limits);
    let mut client = world.client();
    client.create(fragmented(all_from(0)));
    world.commit(&[Op::Put("a", vec![7; 500])]);
    let answers = client.read_all();
    assert_eq!(answers.len(), 2);
    assert!(!answers[1].fragment);
}

#[test]
fn several_revisions_of_one_entry_come_in_one_answer() {
    let world = World::default();
    let mut client = world.client();
    client.create(key("a"));
    let put = |value: &str| world.ledger.commit(&[Op::Put("a", value.into())]).expect("a change");
    world.hub.publish(&[put("1"), put("2"), put("3")]);
    let answers = client.read_all();
    assert_eq!(answers.len(), 2);
    assert_eq!(all_names(&answers).len(), 3);
    assert_eq!(support::header(&answers[1]), 4);
}
