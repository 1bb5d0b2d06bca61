//! A damaged log is refused, a torn one is cut, and nothing in between is guessed.
//!
//! Must not know: openraft.

use std::sync::Arc;

use bytes::Bytes;

use crate::support::{Hand, OWNER, Plain, SMALL, entry};
use engram_raft::log::{Log, LogEntry, LogError, LogFiles, MemoryLogFiles, Owner};

/// Three synced groups, the last of them not yet told of.
fn three_groups() -> (MemoryLogFiles, Vec<Plain>) {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    for index in 1..=3 {
        hand.append(vec![entry(1, index, 40)]);
        hand.sync();
    }
    let all = hand.all();
    (files, all)
}

const FIRST: &str = "0000000000000001.log";

/// Groups begin at 512, 1024 and 1536: header 48, record header 9, position 16, entry 56 bytes.
const GROUP_BYTES: usize = 48 + 9 + 16 + 16 + 40;

#[test]
fn any_flipped_bit_of_a_group_that_a_later_one_tells_of_is_damage() {
    let (files, _) = three_groups();
    for group in [512, 1024] {
        for at in group..group + GROUP_BYTES {
            let copy = files.fork(|| true);
            copy.damage(FIRST, at, 0x10);
            let refused = Hand::open(&copy).err();
            let Some(LogError::Damaged { file, offset, .. }) = refused else {
                panic!("byte {at}: {refused:?}");
            };
            assert_eq!((file.as_str(), offset), (FIRST, group as u64), "byte {at}");
        }
    }
}

#[test]
fn a_flipped_bit_of_the_last_group_cuts_it_while_nothing_tells_of_its_sync() {
    let (files, all) = three_groups();
    for at in 1536..1536 + GROUP_BYTES {
        let copy = files.fork(|| true);
        copy.damage(FIRST, at, 0x01);
        let hand = Hand::open(&copy).expect("a torn tail is no damage");
        assert_eq!(hand.all(), all[..2], "byte {at}");
    }
}

#[test]
fn a_flipped_bit_of_the_last_group_is_damage_once_the_mark_tells_of_it() {
    let (files, _) = three_groups();
    let mut hand = Hand::open(&files).expect("a sound log");
    hand.append(vec![entry(1, 4, 40)]);
    hand.sync();
    hand.driver.tell_when_idle();
    drop(hand);
    for at in 2048..2048 + GROUP_BYTES {
        let copy = files.fork(|| true);
        copy.damage(FIRST, at, 0x80);
        let refused = Hand::open(&copy).err();
        assert!(matches!(refused, Some(LogError::Damaged { .. })), "byte {at}: {refused:?}");
    }
}

#[test]
fn a_write_torn_at_any_offset_is_cut_and_the_log_goes_on() {
    let (files, all) = three_groups();
    let before = files.bytes(FIRST).expect("the segment");
    let mut hand = Hand::open(&files).expect("a sound log");
    hand.append(vec![entry(1, 4, 600), entry(1, 5, 600)]);
    hand.sync();
    drop(hand);
    let after = files.bytes(FIRST).expect("the segment");
    let end = after.iter().rposition(|byte| *byte != 0).expect("some bytes") + 1;
    for torn_at in 2048..end {
        let copy = files.fork(|| true);
        let mut torn = before.clone();
        torn[..torn_at].copy_from_slice(&after[..torn_at]);
        copy.place(FIRST, torn);
        let mut hand = Hand::open(&copy).expect("a torn tail is no damage");
        assert_eq!(hand.all(), all, "torn at {torn_at}");
        let durable = hand.append(vec![entry(2, 4, 30)]);
        hand.sync();
        assert!(durable.load(std::sync::atomic::Ordering::Acquire));
        let again = Hand::open(&copy.fork(|| false)).expect("a sound log");
        assert_eq!(again.all().last(), Some(&entry(2, 4, 30)), "torn at {torn_at}");
    }
}

#[test]
fn a_torn_tail_is_told() {
    let (files, _) = three_groups();
    assert!(!Hand::open(&files).expect("a sound log").torn);
    files.damage(FIRST, 1536 + 60, 0xff);
    assert!(Hand::open(&files).expect("a torn log").torn);
}

#[test]
fn another_members_log_is_refused_by_name() {
    let (files, _) = three_groups();
    let stranger = Owner { cluster_id: OWNER.cluster_id, member_id: 0xbad };
    let refused = Hand::open_as(&files, stranger).err().expect("a foreign log").to_string();
    assert!(refused.contains("belongs to member 9 of cluster 7"), "{refused}");
    assert!(refused.contains("--data-dir"), "{refused}");
}

#[test]
fn a_vote_that_is_gone_is_damage_and_no_older_one_takes_its_place() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    let vote = |text: &'static str| bytes::Bytes::from_static(text.as_bytes());
    for (index, text) in [(1, "for one"), (2, "for another")] {
        hand.log.save_vote(vote(text), Box::new(drop)).expect("taken");
        hand.sync();
        if index == 1 {
            hand.append(vec![entry(1, 1, 40)]);
            hand.sync();
        }
    }
    hand.driver.tell_when_idle();
    drop(hand);
    let whole = files.bytes(FIRST).expect("the segment");
    // The votes' groups: each begins at a sector, the entry's between them, the mark after them.
    for group in [512, 1536] {
        assert_eq!(whole[group + 48 + 4], 2, "a group with a vote");
        for fill in [0, 0xff] {
            let copy = files.fork(|| true);
            let mut lost = whole.clone();
            lost[group..group + 512].fill(fill);
            copy.place(FIRST, lost);
            let refused = Hand::open(&copy).err();
            let Some(LogError::Damaged { offset, .. }) = refused else {
                panic!("the vote at {group} is lost: {refused:?}");
            };
            assert_eq!(offset, group as u64);
        }
    }
    let hand = Hand::open(&files).expect("a sound log");
    assert_eq!(hand.log.vote(), Some(vote("for another")));
}

#[test]
fn damage_says_which_file_where_and_what_to_do() {
    let (files, _) = three_groups();
    files.damage(FIRST, 512 + 70, 1);
    let refused = Hand::open(&files).err().expect("damage").to_string();
    for part in [FIRST, "offset 512", "must be replaced"] {
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn a_later_format_is_refused_and_named() {
    let (files, _) = three_groups();
    let mut bytes = files.bytes(FIRST).expect("the segment");
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..60]).to_le_bytes();
    bytes[60..64].copy_from_slice(&crc);
    files.place(FIRST, bytes);
    let refused = Hand::open(&files).err();
    assert!(matches!(refused, Some(LogError::Format { found: 2, .. })), "{refused:?}");
}

#[test]
fn a_missing_segment_in_the_middle_is_damage() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    for index in 1..=40 {
        hand.append(vec![entry(1, index, 1000)]);
        hand.sync();
    }
    drop(hand);
    files.remove("0000000000000002.log").expect("there are several segments");
    assert!(matches!(Hand::open(&files).err(), Some(LogError::Damaged { .. })));
}

/// Makes `bytes` carry the checksum of what they cover, at `at`.
fn seal(bytes: &mut [u8], covered: std::ops::Range<usize>, at: usize) {
    let crc = crc32c::crc32c(&bytes[covered]).to_le_bytes();
    bytes[at..at + 4].copy_from_slice(&crc);
}

#[test]
fn a_sound_group_with_a_record_of_a_later_release_is_refused_not_cut() {
    let (files, _) = three_groups();
    let mut bytes = files.bytes(FIRST).expect("the segment");
    let (group, record, end) = (1536, 1536 + 48, 1536 + GROUP_BYTES);
    bytes[record + 4] = 99;
    let kind_and_payload = [&[99], &bytes[record + 9..end]].concat();
    let crc = crc32c::crc32c(&kind_and_payload).to_le_bytes();
    bytes[record + 5..record + 9].copy_from_slice(&crc);
    seal(&mut bytes, record..end, group + 36);
    seal(&mut bytes, group..group + 44, group + 44);
    files.place(FIRST, bytes);
    let refused = Hand::open(&files).err();
    assert!(matches!(refused, Some(LogError::Damaged { offset: 1536, .. })), "{refused:?}");
}

#[test]
fn a_missing_first_segment_is_damage_while_nothing_was_purged() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    for index in 1..=20 {
        hand.append(vec![entry(1, index, 1000)]);
        hand.sync();
    }
    drop(hand);
    files.remove(FIRST).expect("the first segment");
    let refused = Hand::open(&files).err().expect("entries are missing").to_string();
    assert!(refused.contains("0000000000000002.log"), "{refused}");
}

#[test]
fn a_flipped_bit_of_a_header_is_damage_even_when_nothing_else_was_told() {
    let files = MemoryLogFiles::new();
    let mut hand = Hand::open(&files).expect("a new log");
    hand.append(vec![entry(1, 1, 40)]);
    hand.sync();
    for at in 0..64 {
        let copy = files.fork(|| true);
        copy.damage(FIRST, at, 0x10);
        let refused = Hand::open(&copy).err();
        assert!(matches!(refused, Some(LogError::Damaged { .. })), "byte {at}: {refused:?}");
    }
}

#[test]
fn a_torn_tail_is_told_once() {
    let (files, _) = three_groups();
    files.damage(FIRST, 1536 + 60, 0xff);
    assert!(Hand::open(&files).expect("a torn log").torn);
    assert!(!Hand::open(&files).expect("it was cut").torn, "the tail was erased");
}

#[test]
fn hostile_files_are_met_with_an_answer() {
    for fill in [0u8, 1, 0x47, 0xff] {
        for length in [0usize, 1, 63, 64, 511, 512, 513, 5000] {
            let files = MemoryLogFiles::new();
            files.place(FIRST, vec![fill; length]);
            let opened = Hand::open(&files).err();
            if fill == 0 || length == 0 {
                assert!(opened.is_none(), "nothing in it was ever synced: {opened:?}");
            } else {
                assert!(matches!(opened, Some(LogError::Damaged { offset: 0, .. })), "{opened:?}");
            }
        }
    }
}

/// An entry that calls itself another one in its bytes.
#[derive(Debug, Clone)]
struct Mistaken(Plain);

impl LogEntry for Mistaken {
    fn term(&self) -> u64 {
        self.0.term
    }

    fn index(&self) -> u64 {
        self.0.index
    }

    fn encode(&self) -> Vec<u8> {
        Plain { index: 2, ..self.0.clone() }.encode()
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        Plain::decode(bytes).map(Self)
    }
}

#[test]
fn an_entry_that_lies_in_the_place_of_another_is_not_handed_out() {
    let files = MemoryLogFiles::new();
    let open = || Log::<Mistaken>::open(Arc::new(files.clone()), OWNER, SMALL).expect("opens");
    let (log, mut driver, _) = open();
    for index in 1..=2 {
        log.append([Mistaken(entry(1, index, 40))], Box::new(|_| ())).expect("follows");
    }
    driver.step_untimed();
    drop((log, driver));
    let (log, _driver, _) = open();
    let refused = log.read(1, 2, usize::MAX).expect_err("it calls itself entry 2");
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(log.read(2, 3, usize::MAX).expect("that is entry 2").len(), 1);
}

#[test]
fn an_index_that_no_log_comes_to_is_not_taken() {
    let hand = Hand::open(&MemoryLogFiles::new()).expect("a new log");
    let beyond = Plain { term: 1, index: u64::MAX, payload: Vec::new() };
    let refused = hand.log.append([beyond], Box::new(|_| ()));
    assert_eq!(refused.expect_err("refused").kind(), std::io::ErrorKind::InvalidInput);
}
