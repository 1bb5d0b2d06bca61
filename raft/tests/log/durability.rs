//! What the log said is durable is there after any crash, and nothing that was never written is.
//!
//! Must not know: openraft.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Hand, Plain, entry};
use bytes::Bytes;
use engram_raft::log::{LogFiles, MemoryLogFiles, Position};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append { count: u64, length: usize },
    Sync,
    Idle,
    Truncate { back: u64 },
    Purge { share: u64 },
    Vote(u8),
    Commit,
    Crash { keep: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..5u64, 0..1500usize).prop_map(|(count, length)| Step::Append { count, length }),
        6 => Just(Step::Sync),
        1 => Just(Step::Idle),
        1 => (0..4u64).prop_map(|back| Step::Truncate { back }),
        1 => (0..100u64).prop_map(|share| Step::Purge { share }),
        1 => any::<u8>().prop_map(Step::Vote),
        1 => Just(Step::Commit),
        2 => any::<u64>().prop_map(|keep| Step::Crash { keep }),
    ]
}

/// What a log must hold: all that was asked for, and the part of it that was reported durable.
#[derive(Default)]
struct Model {
    asked: Vec<Plain>,
    durable: Vec<Plain>,
    /// Every state the log went through since the last sync: a crash may leave any of them.
    since_sync: Vec<Vec<Plain>>,
    purged: u64,
    vote: Option<u8>,
    durable_vote: Option<u8>,
    term: u64,
}

impl Model {
    fn next_index(&self) -> u64 {
        self.asked.last().map_or(self.purged, |last| last.index) + 1
    }

    fn synced(&mut self) {
        self.durable = self.asked.clone();
        self.since_sync.clear();
        self.durable_vote = self.vote;
    }

    fn changed(&mut self) {
        self.since_sync.push(self.asked.clone());
    }
}

fn ignore() -> engram_raft::log::Done {
    Box::new(|_| ())
}

/// What is found after a crash is what was promised, or a later state; the model goes on from it.
fn check_after_crash(hand: &Hand, model: &mut Model) -> Result<(), TestCaseError> {
    let found = hand.all();
    let explained = found == model.durable || model.since_sync.contains(&found);
    prop_assert!(explained, "found {} entries", found.len());
    if model.durable_vote.is_some() {
        let vote = hand.log.vote().map(|vote| vote[0]);
        prop_assert!(vote == model.durable_vote || vote == model.vote);
    }
    model.vote = hand.log.vote().map(|vote| vote[0]);
    model.asked = found;
    model.term += 1;
    model.synced();
    Ok(())
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    let mut model = Model { term: 1, ..Model::default() };
    let mut waiting: Vec<Arc<AtomicBool>> = Vec::new();
    for step in steps {
        match step {
            Step::Append { count, length } => {
                let from = model.next_index();
                let entries: Vec<_> =
                    (from..from + count).map(|index| entry(model.term, index, length)).collect();
                for entry in &entries {
                    model.asked.push(entry.clone());
                    model.changed();
                }
                waiting.push(hand.append(entries));
            }
            Step::Sync => {
                hand.sync();
                model.synced();
                prop_assert!(waiting.drain(..).all(|durable| durable.load(Ordering::Acquire)));
            }
            Step::Idle => hand.driver.tell_when_idle(),
            Step::Truncate { back } => {
                let keep = model.asked.len().saturating_sub(back as usize);
                model.asked.truncate(keep);
                let last = model.next_index() - 1;
                hand.log.truncate_after(Some(last)).expect("an open log");
                model.term += 1;
                model.changed();
            }
            Step::Purge { share } => {
                let upto = model.asked.len() as u64 * share / 100;
                if let Some(last) = upto.checked_sub(1).map(|at| model.asked[at as usize].clone()) {
                    let position = Position { term: last.term, index: last.index };
                    hand.log.purge(position).expect("an open log");
                    hand.sync();
                    model.asked.drain(..upto as usize);
                    model.purged = last.index;
                    model.synced();
                    waiting.clear();
                }
            }
            Step::Vote(vote) => {
                let bytes = Bytes::from(vec![vote; 18]);
                hand.log.save_vote(bytes, ignore()).expect("an open log");
                model.vote = Some(vote);
            }
            Step::Commit => {
                if let Some(last) = model.asked.last() {
                    let at = Position { term: last.term, index: last.index };
                    hand.log.save_committed(at).expect("an open log");
                }
            }
            Step::Crash { mut keep } => {
                files = files.fork(|| {
                    keep = keep.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    keep & 1 == 1
                });
                hand = Hand::open(&files).expect("a crash is no damage");
                waiting.clear();
                check_after_crash(&hand, &mut model)?;
            }
        }
        prop_assert_eq!(&hand.all(), &model.asked);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_its_model_through_any_crash(steps in prop::collection::vec(step(), 1..60)) {
        run(steps)?;
    }
}

#[test]
fn nothing_is_acknowledged_before_its_sync() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    let durable = hand.append(vec![entry(1, 1, 10)]);
    assert!(!durable.load(Ordering::Acquire));
    assert_eq!(hand.all(), [entry(1, 1, 10)], "readable at once");
    hand.sync();
    assert!(durable.load(Ordering::Acquire));
}

#[test]
fn a_disk_error_is_final_and_no_sync_is_tried_again() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    hand.append(vec![entry(1, 1, 10)]);
    files.fail_after(1);
    hand.sync();
    files.crash(|| true);
    let refused = hand.log.append([entry(1, 2, 10)], ignore()).expect_err("the log has failed");
    assert!(refused.to_string().contains("disk failed"), "{refused}");
    let again = hand.log.save_vote(Bytes::from_static(b"v"), ignore());
    assert!(again.is_err(), "the disk is well again, the log is not");
}

#[test]
fn an_entry_that_does_not_follow_is_refused() {
    let files = MemoryLogFiles::new();
    let hand = Hand::open(&files).expect("a new log");
    hand.append(vec![entry(1, 5, 10)]);
    let hole = hand.log.append([entry(1, 7, 10)], ignore());
    assert!(hole.is_err());
    assert_eq!(hand.all().len(), 1);
}

#[test]
fn purged_segments_are_used_again_and_their_old_records_are_not_read() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    for index in 1..=200u64 {
        hand.append(vec![entry(1, index, 1000)]);
        hand.sync();
        if index % 10 == 0 {
            hand.log.purge(Position { term: 1, index: index - 2 }).expect("an open log");
            hand.sync();
        }
    }
    let names = files.list().expect("a list");
    assert!(names.len() <= 6, "two segments, spares, no more: {names:?}");
    let again = Hand::open(&files.fork(|| false)).expect("a sound log");
    assert_eq!(again.all(), [entry(1, 199, 1000), entry(1, 200, 1000)]);
}

#[test]
fn reads_are_bounded_in_bytes_but_give_at_least_one_entry() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    hand.append((1..=10).map(|index| entry(1, index, 500)).collect());
    hand.sync();
    assert_eq!(hand.log.read(1, 11, 1100).expect("entries").len(), 2);
    assert_eq!(hand.log.read(1, 11, 1).expect("entries").len(), 1);
    assert_eq!(hand.log.read(20, 30, 1).expect("no entries").len(), 0);
}

#[test]
fn an_entry_longer_than_a_segment_gets_a_segment_of_its_length() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    hand.append(vec![entry(1, 1, 10), entry(1, 2, 100_000), entry(1, 3, 10)]);
    hand.sync();
    let again = Hand::open(&files.fork(|| false)).expect("a sound log");
    assert_eq!(again.all(), [entry(1, 1, 10), entry(1, 2, 100_000), entry(1, 3, 10)]);
}

/// A failed sync may leave bytes that read well and are on no disk, and the next sync says that all
/// is well.
#[test]
fn what_a_failed_sync_lost_is_written_again_after_a_restart() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    hand.append(vec![entry(1, 1, 10)]);
    files.fail_after(1);
    hand.sync();
    drop(hand);
    files.heal();
    let mut hand = Hand::open(&files).expect("the process restarts, the machine runs on");
    assert_eq!(hand.all(), [entry(1, 1, 10)], "it reads as if it had been written");
    let durable = hand.append(vec![entry(1, 2, 10)]);
    hand.sync();
    assert!(durable.load(Ordering::Acquire));
    let again = Hand::open(&files.fork(|| false)).expect("a sound log");
    assert_eq!(again.all(), [entry(1, 1, 10), entry(1, 2, 10)]);
}

#[test]
fn whoever_waits_hears_of_it_when_the_driver_goes_away() {
    let files = MemoryLogFiles::new();
    let Hand { log, driver, .. } = Hand::open(&files).expect("a new log");
    let heard = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&heard);
    let done = Box::new(move |result: std::io::Result<()>| {
        raised.store(result.is_err(), Ordering::Release);
    });
    log.append([entry(1, 1, 10)], done).expect("an open log");
    drop(driver);
    assert!(heard.load(Ordering::Acquire));
    assert!(log.append([entry(1, 2, 10)], ignore()).is_err());
}

#[test]
fn entries_that_a_state_flushed_further_than_the_log_has_overruled_are_dropped() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    hand.append((1..=9).map(|index| entry(7, index, 10)).collect());
    hand.sync();
    let applied = |term, index| Position { term, index };
    assert!(!hand.log.drop_overruled(applied(7, 5)).expect("nothing to do"), "the same entry");
    assert!(!hand.log.drop_overruled(applied(8, 12)).expect("nothing to do"), "a hole, no strife");
    assert_eq!(hand.all().len(), 9);
    // The leader of term 8 wrote another entry 6; a crash took it from this log, not from the
    // state.
    assert!(hand.log.drop_overruled(applied(8, 6)).expect("a log that works"));
    hand.append(vec![entry(8, 7, 10)]);
    hand.sync();
    let files = files.fork(|| false);
    let hand = Hand::open(&files).expect("a sound log");
    assert_eq!(hand.all(), [entry(8, 7, 10)]);
    assert_eq!(hand.log.ends().0, Some(applied(8, 6)));
}
