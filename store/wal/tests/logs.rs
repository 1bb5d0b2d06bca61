//! Whole logs: what is read of them, and what is made of damage.

extern crate engram_etcd_wal as etcd_wal;

use std::io::Cursor;

use bytes::Bytes;
use etcd_wal::{
    Entry, HardState, Segment, SegmentName, SnapshotMark, Survey, Tail, WalError, entries,
    record_kind, seal, survey,
};
use prost::Message as _;

fn entry(index: u64, term: u64, data: &str) -> (i64, Bytes) {
    let data = Bytes::copy_from_slice(data.as_bytes());
    let entry = Entry { index, term, data, ..Entry::default() };
    (record_kind::ENTRY, entry.encode_to_vec().into())
}

fn state(term: u64, commit: u64) -> (i64, Bytes) {
    let state = HardState { term, vote: 9, commit };
    (record_kind::STATE, state.encode_to_vec().into())
}

fn mark(index: u64) -> (i64, Bytes) {
    (record_kind::SNAPSHOT, SnapshotMark { index, term: 1 }.encode_to_vec().into())
}

/// How each file begins: the checksum before it, and whose it is.
fn head() -> [(i64, Bytes); 2] {
    let metadata = Bytes::from_static(&[8, 9, 16, 77]);
    [(record_kind::CHECKSUM, Bytes::new()), (record_kind::METADATA, metadata)]
}

fn file(crc: &mut u32, records: &[(i64, Bytes)]) -> Vec<u8> {
    seal(crc, &[&head()[..], records].concat())
}

/// Two files: five entries, the fourth and fifth of which a later leader replaced, then one more.
fn log() -> Vec<Vec<u8>> {
    let mut crc = 0;
    let first = [
        (record_kind::SNAPSHOT, Bytes::new()),
        entry(1, 1, "one"),
        state(1, 1),
        entry(2, 1, "two"),
        entry(3, 1, "three"),
        entry(4, 1, "never"),
        entry(5, 1, "never either"),
        entry(4, 2, "four"),
        state(2, 3),
        mark(2),
        mark(4),
    ];
    let second = [state(2, 3), entry(5, 2, "five"), entry(6, 2, "six")];
    vec![file(&mut crc, &first), file(&mut crc, &second)]
}

fn segments(files: &[Vec<u8>]) -> Vec<Segment<Cursor<Vec<u8>>>> {
    let segment = |(sequence, bytes): (usize, &Vec<u8>)| Segment {
        shown: format!("file {sequence}"),
        name: SegmentName { sequence: sequence as u64, first_index: 0 },
        bytes: bytes.len() as u64,
        content: Cursor::new(bytes.clone()),
    };
    files.iter().enumerate().map(segment).collect()
}

fn read(files: &[Vec<u8>], after: u64) -> Result<(Survey, Tail), WalError> {
    let mut segments = segments(files);
    Ok((survey(&mut segments)?, entries(&mut segments, after)?))
}

fn texts(tail: &Tail) -> Vec<(u64, &str)> {
    let text = |entry: &'_ Entry| entry.index;
    let data = tail.entries.iter().map(|entry| std::str::from_utf8(&entry.data).expect("text"));
    tail.entries.iter().map(text).zip(data).collect()
}

#[test]
fn a_later_leader_replaces_what_an_earlier_one_wrote() {
    let (survey, tail) = read(&log(), 1).expect("sound");
    assert_eq!(texts(&tail), [(2, "two"), (3, "three"), (4, "four"), (5, "five"), (6, "six")]);
    assert_eq!((tail.term_before, tail.last_index), (Some(1), 6));
    assert_eq!((survey.node_id, survey.cluster_id, survey.torn), (9, 77, None));
    assert_eq!(survey.hard_state, HardState { term: 2, vote: 9, commit: 3 });
    // The mark at 4 is above the commit: its snapshot was never finished.
    assert_eq!(survey.snapshot.map(|mark| mark.index), Some(2));
}

#[test]
fn what_comes_after_the_end_is_nothing() {
    for after in [6, 7, u64::MAX] {
        let (_, tail) = read(&log(), after).expect("sound");
        assert_eq!((tail.entries.len(), tail.last_index), (0, 6));
    }
}

#[test]
fn zeros_that_are_written_ahead_end_a_file() {
    let mut files = log();
    for file in &mut files {
        file.resize(file.len() + 4096, 0);
    }
    assert_eq!(texts(&read(&files, 0).expect("sound").1).len(), 6);
}

#[test]
fn a_cut_end_loses_whole_entries_alone() {
    let files = log();
    let (_, whole) = read(&files, 0).expect("sound");
    for length in 0..files[1].len() {
        let cut = [files[0].clone(), files[1][..length].to_vec()];
        let (survey, tail) = read(&cut, 0).expect("a torn end is no damage");
        assert!(tail.entries.len() < whole.entries.len(), "cut at {length}");
        assert_eq!(tail.entries[..4], whole.entries[..4], "cut at {length}");
        let is_boundary = survey.torn.is_none();
        assert!(is_boundary || survey.torn.is_some_and(|torn| torn.offset < length as u64));
    }
}

#[test]
fn a_cut_in_the_middle_is_damage() {
    let files = log();
    let mut taken = 0;
    for length in 0..files[0].len() {
        let cut = [files[0][..length].to_vec(), files[1].clone()];
        match read(&cut, 0) {
            Err(_) => {}
            // Nothing at all before the second file: it begins a log of its own, with entry 5.
            Ok((_, tail)) => panic!("cut at {length}: {tail:?}"),
        }
        taken += 1;
    }
    assert!(taken > 100, "the file is long enough to be cut often");
}

#[test]
fn a_length_that_was_zeroed_is_damage() {
    let files = log();
    let mut crc = 0;
    let begin = file(&mut crc, &[]).len();
    let mut zeroed = files.clone();
    zeroed[1][begin..begin + 8].fill(0);
    assert!(error(&zeroed, 0).contains("overwritten"));
}

/// Everything that a restarted member would go by.
fn outcome(files: &[Vec<u8>]) -> Option<(Vec<Entry>, u64, u64)> {
    let (survey, tail) = read(files, 0).ok()?;
    let commit = survey.hard_state.commit;
    (survey.torn.is_none() && commit <= tail.last_index).then_some((
        tail.entries,
        commit,
        survey.node_id,
    ))
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let files = log();
    let sound = outcome(&files).expect("sound");
    for number in [0, 1] {
        for at in 0..files[number].len() {
            for bit in 0..8 {
                let mut flipped = files.clone();
                flipped[number][at] ^= 1 << bit;
                if let Some(other) = outcome(&flipped) {
                    // Padding, and the kind of a record that says the same twice.
                    assert_eq!(other.0, sound.0, "file {number} at {at} bit {bit}");
                    assert_eq!(other.2, sound.2, "file {number} at {at} bit {bit}");
                }
            }
        }
    }
}

#[test]
fn a_torn_sector_ends_the_last_file_alone() {
    let long = "x".repeat(3000);
    let mut crc = 0;
    let head = [(record_kind::SNAPSHOT, Bytes::new()), entry(1, 1, "one"), state(1, 1)];
    let first = file(&mut crc, &head);
    let second = file(&mut crc, &[entry(2, 1, "two"), entry(3, 1, &long)]);
    let mut torn = second.clone();
    torn[1024..1536].fill(0);
    let files = [first.clone(), torn.clone()];
    let (survey, tail) = read(&files, 0).expect("a write that was never finished");
    assert_eq!(texts(&tail), [(1, "one"), (2, "two")]);
    assert!(survey.torn.is_some());
    // With a file after it, it was finished once.
    let third = file(&mut crc, &[entry(4, 1, "four")]);
    assert!(read(&[first.clone(), torn, third], 0).is_err());
    // Damage that is no empty sector is damage.
    let mut altered = second;
    altered[1024..1535].fill(b'y');
    assert!(read(&[first, altered], 0).is_err());
}

fn error(files: &[Vec<u8>], after: u64) -> String {
    read(files, after).expect_err("damaged").to_string()
}

#[test]
fn gaps_are_named() {
    let mut crc = 0;
    let first = file(&mut crc, &[entry(1, 1, "one"), entry(3, 1, "three")]);
    assert!(error(&[first], 0).contains("entry 3 comes where 2 is missing"));
    let mut crc = 0;
    let late = file(&mut crc, &[entry(7, 1, "seven")]);
    assert!(error(std::slice::from_ref(&late), 3).contains("entry 7 comes where 4 is missing"));
    assert!(read(&[late], 6).is_ok());
    let mut missing = segments(&log());
    missing[1].name.sequence = 2;
    let error = survey(&mut missing).expect_err("a file is missing").to_string();
    assert!(error.contains("between file 0 and file 1"), "{error}");
    assert!(survey(&mut segments(&[])).is_err(), "no file at all");
}

#[test]
fn files_of_others_are_refused() {
    let mut other = log();
    // A file of another log: its chain begins elsewhere.
    let mut crc = 7;
    other[1] = file(&mut crc, &[entry(5, 2, "five")]);
    assert!(error(&other, 0).contains("does not go on"));
    // The same chain, another member.
    let mut crc = 0;
    let first = file(&mut crc, &[entry(1, 1, "one")]);
    let stranger = [
        (record_kind::CHECKSUM, Bytes::new()),
        (record_kind::METADATA, Bytes::from_static(&[8, 10, 16, 77])),
    ];
    let second = seal(&mut crc, &stranger);
    assert!(error(&[first, second], 0).contains("several members"));
    assert!(error(&[b"a text that is no log at all".to_vec()], 0).contains("whose"));
    assert!(error(&[vec![1, 0, 0, 0, 0, 0, 0, 0, 0xff]], 0).contains("no record"));
}

#[test]
fn terms_never_fall() {
    let mut crc = 0;
    let file = file(&mut crc, &[entry(1, 3, "one"), entry(2, 2, "two")]);
    assert!(error(&[file], 0).contains("earlier term"));
}
