//! What every engine must do, as checks that run on any of them.
//!
//! [`engine_conformance!`](crate::engine_conformance) makes one test of each check. They talk to
//! the traits and to nothing behind them; what a power cut does to the disk below an engine is not
//! tested here.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::{
    Checkpoint, CheckpointFile, CheckpointSink, Direction, Engine, Engines, Space, WriteBatch,
};
use crate::error::StorageError;

/// A member on the engine under test, starting empty. Removed with the value.
pub trait Subject {
    /// The member's generations.
    fn engines(&self) -> &dyn Engines;
    /// A path at which a checkpoint can be made, different at each call.
    fn checkpoint_path(&self) -> PathBuf;
    /// Ends the engine's process without warning and starts it again: what was not flushed may be
    /// gone.
    fn crash(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine>;
    /// Whether a crash loses all that was not flushed, so that its loss can be asserted.
    fn loses_all_unflushed(&self) -> bool;
}

/// Makes a test of each check: `engine_conformance!(expression that makes a fresh Subject)`.
#[macro_export]
macro_rules! engine_conformance {
    ($subject:expr) => {
        $crate::engine_conformance!($subject;
            batch_applies_in_order, batch_spans_spaces, reads_see_the_last_write,
            scan_is_ordered_both_ways, scan_respects_its_bounds, scan_stops_when_told,
            scan_sees_one_moment, scan_visitor_may_use_the_engine, delete_range_is_half_open,
            empty_keys_and_values_are_rows, persisted_lags_behind_until_a_flush,
            crash_keeps_what_was_flushed, crash_never_splits_a_batch,
            checkpoint_holds_the_state_of_its_moment, checkpoint_reads_in_pieces,
            checkpoint_is_received_elsewhere, altered_checkpoint_is_refused,
            incomplete_checkpoint_is_refused, discarded_file_is_not_received,
            unfinished_sink_changes_nothing,
            install_replaces_and_old_readers_go_on, install_survives_a_crash,
            reclaim_keeps_every_row, sizes_follow_the_rows,
        );
    };
    ($subject:expr; $($check:ident),+ $(,)?) => {
        $(
            #[test]
            fn $check() {
                $crate::engine::conformance::$check(&mut $subject);
            }
        )+
    };
}

fn open(subject: &dyn Subject) -> Arc<dyn Engine> {
    subject.engines().open_current().expect("opens")
}

fn put(engine: &dyn Engine, space: Space, rows: &[(&str, &str)]) {
    let mut batch = WriteBatch::new();
    for (key, value) in rows {
        batch.put(space, key.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
    engine.write(batch).expect("writes");
}

fn get(engine: &dyn Engine, space: Space, key: &str) -> Option<String> {
    text(engine.get(space, key.as_bytes()).expect("reads"))
}

fn text(value: Option<Bytes>) -> Option<String> {
    value.map(|value| String::from_utf8(value.to_vec()).expect("the checks write text"))
}

fn keys(
    engine: &dyn Engine,
    space: Space,
    from: &str,
    to: Option<&str>,
    direction: Direction,
) -> Vec<String> {
    let mut keys = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        keys.push(String::from_utf8(key.to_vec()).expect("the checks write text"));
        ControlFlow::Continue(())
    };
    let to = to.map(str::as_bytes);
    engine.scan(space, from.as_bytes(), to, direction, &mut visit).expect("scans");
    keys
}

fn all_keys(engine: &dyn Engine, space: Space) -> Vec<String> {
    keys(engine, space, "", None, Direction::Ascending)
}

/// Later operations of a batch win over earlier ones.
pub fn batch_applies_in_order(subject: &mut dyn Subject) {
    let engine = open(subject);
    let mut batch = WriteBatch::new();
    batch.put(Space::Meta, "a", "1");
    batch.put(Space::Meta, "a", "2");
    batch.put(Space::Meta, "b", "1");
    batch.delete(Space::Meta, "b");
    batch.delete(Space::Meta, "c");
    batch.put(Space::Meta, "c", "1");
    batch.put(Space::Meta, "d", "1");
    batch.delete_range(Space::Meta, "d", "e");
    batch.put(Space::Meta, "e", "1");
    batch.delete_range(Space::Meta, "z", "a");
    engine.write(batch).expect("writes");
    assert_eq!(get(&*engine, Space::Meta, "a").as_deref(), Some("2"));
    assert_eq!(all_keys(&*engine, Space::Meta), ["a", "c", "e"]);
}

/// One batch writes to all spaces, and they do not mix.
pub fn batch_spans_spaces(subject: &mut dyn Subject) {
    let engine = open(subject);
    let mut batch = WriteBatch::new();
    for space in Space::ALL {
        batch.put(space, "key", space.name());
    }
    engine.write(batch).expect("writes");
    for space in Space::ALL {
        assert_eq!(get(&*engine, space, "key").as_deref(), Some(space.name()));
    }
}

/// `get` and `multi_get` agree, keep the order of the asked keys, and see the last write.
pub fn reads_see_the_last_write(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::Leases, &[("a", "1"), ("b", "2")]);
    put(&*engine, Space::Leases, &[("a", "3")]);
    let asked: [&[u8]; 4] = [b"b", b"missing", b"a", b"b"];
    let found = engine.multi_get(Space::Leases, &asked).expect("reads");
    let found: Vec<Option<String>> = found.into_iter().map(text).collect();
    assert_eq!(found, [Some("2".into()), None, Some("3".into()), Some("2".into())]);
    assert_eq!(engine.multi_get(Space::Leases, &[]).expect("reads"), Vec::<Option<Bytes>>::new());
    assert_eq!(get(&*engine, Space::Meta, "a"), None);
}

/// Rows come in the order of their bytes, in both directions, flushed or not.
pub fn scan_is_ordered_both_ways(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::KeyValues, &[("b", "1"), ("ab", "1"), ("", "1")]);
    engine.flush().expect("flushes");
    put(&*engine, Space::KeyValues, &[("a", "1"), ("c", "1"), ("aa", "1")]);
    let mut expected = ["", "a", "aa", "ab", "b", "c"];
    assert_eq!(all_keys(&*engine, Space::KeyValues), expected);
    expected.reverse();
    assert_eq!(keys(&*engine, Space::KeyValues, "", None, Direction::Descending), expected);
}

/// The lower bound is inclusive, the upper exclusive; a backward range is empty.
pub fn scan_respects_its_bounds(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::KeyValues, &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
    for direction in [Direction::Ascending, Direction::Descending] {
        let range = |from, to| {
            let mut keys = keys(&*engine, Space::KeyValues, from, to, direction);
            keys.sort();
            keys
        };
        assert_eq!(range("b", Some("d")), ["b", "c"]);
        assert_eq!(range("bb", Some("cc")), ["c"]);
        assert_eq!(range("c", None), ["c", "d"]);
        assert_eq!(range("c", Some("c")), [""; 0]);
        assert_eq!(range("d", Some("a")), [""; 0]);
    }
}

/// A visitor that breaks is not called again.
pub fn scan_stops_when_told(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::KeyValues, &[("a", "1"), ("b", "1"), ("c", "1")]);
    let mut seen = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    engine.scan(Space::KeyValues, b"", None, Direction::Ascending, &mut visit).expect("scans");
    assert_eq!(seen, 2);
}

/// Writes during a scan are not seen by it.
pub fn scan_sees_one_moment(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::KeyValues, &[("a", "1"), ("c", "1")]);
    let mut seen = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        put(&*engine, Space::KeyValues, &[("b", "2"), ("c", "2"), ("d", "2")]);
        seen.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    engine.scan(Space::KeyValues, b"", None, Direction::Ascending, &mut visit).expect("scans");
    assert_eq!(seen, [(b"a".to_vec(), b"1".to_vec()), (b"c".to_vec(), b"1".to_vec())]);
    assert_eq!(get(&*engine, Space::KeyValues, "c").as_deref(), Some("2"));
}

/// A visitor may read, scan and flush.
pub fn scan_visitor_may_use_the_engine(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::KeyValues, &[("a", "b"), ("b", "a")]);
    let mut visit = |_: &[u8], value: &[u8]| {
        assert!(engine.get(Space::KeyValues, value).expect("reads").is_some());
        assert_eq!(all_keys(&*engine, Space::KeyValues).len(), 2);
        engine.flush().expect("flushes");
        ControlFlow::Continue(())
    };
    engine.scan(Space::KeyValues, b"", None, Direction::Descending, &mut visit).expect("scans");
}

/// `delete_range` takes its first key and leaves its end, flushed rows included.
pub fn delete_range_is_half_open(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::KeyValues, &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
    put(&*engine, Space::Meta, &[("c", "1")]);
    engine.flush().expect("flushes");
    put(&*engine, Space::KeyValues, &[("bb", "1")]);
    let mut batch = WriteBatch::new();
    batch.delete_range(Space::KeyValues, "b", "d");
    engine.write(batch).expect("writes");
    assert_eq!(all_keys(&*engine, Space::KeyValues), ["a", "d"]);
    assert_eq!(all_keys(&*engine, Space::Meta), ["c"]);
    let engine = subject.crash(engine);
    let left = all_keys(&*engine, Space::KeyValues);
    assert!(left == ["a", "d"] || left == ["a", "b", "c", "d"], "{left:?}");
}

/// An empty key is a key and an empty value a value.
pub fn empty_keys_and_values_are_rows(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::Alarms, &[("", ""), ("a", "")]);
    assert_eq!(get(&*engine, Space::Alarms, "").as_deref(), Some(""));
    engine.flush().expect("flushes");
    let engine = subject.crash(engine);
    assert_eq!(all_keys(&*engine, Space::Alarms), ["", "a"]);
}

/// `persisted` answers from the last flush, for every space.
pub fn persisted_lags_behind_until_a_flush(subject: &mut dyn Subject) {
    let engine = open(subject);
    let persisted = |space| text(engine.persisted(space, b"a").expect("reads"));
    put(&*engine, Space::Meta, &[("a", "1")]);
    put(&*engine, Space::KeyValues, &[("a", "1")]);
    assert_eq!((persisted(Space::Meta), persisted(Space::KeyValues)), (None, None));
    engine.flush().expect("flushes");
    put(&*engine, Space::Meta, &[("a", "2")]);
    let first = Some("1".to_owned());
    assert_eq!((persisted(Space::Meta), persisted(Space::KeyValues)), (first.clone(), first));
    let mut batch = WriteBatch::new();
    batch.delete(Space::KeyValues, "a");
    engine.write(batch).expect("writes");
    assert_eq!(persisted(Space::KeyValues).as_deref(), Some("1"));
    engine.flush().expect("flushes");
    engine.flush().expect("flushes nothing");
    assert_eq!((persisted(Space::Meta).as_deref(), persisted(Space::KeyValues)), (Some("2"), None));
}

/// After a crash every flushed row is there, and `persisted` had told the truth.
pub fn crash_keeps_what_was_flushed(subject: &mut dyn Subject) {
    let engine = open(subject);
    for space in Space::ALL {
        put(&*engine, space, &[("kept", "1")]);
    }
    engine.flush().expect("flushes");
    put(&*engine, Space::Meta, &[("lost", "1"), ("kept", "2")]);
    let promised = text(engine.persisted(Space::Meta, b"kept").expect("reads"));
    let engine = subject.crash(engine);
    for space in Space::ALL {
        assert!(get(&*engine, space, "kept").is_some(), "{space:?}");
    }
    assert_eq!(get(&*engine, Space::Meta, "kept"), promised);
    if subject.loses_all_unflushed() {
        assert_eq!(get(&*engine, Space::Meta, "lost"), None);
    }
}

/// After a crash the spaces hold the rows of one prefix of the batches.
pub fn crash_never_splits_a_batch(subject: &mut dyn Subject) {
    let mut engine = open(subject);
    let mut written = 0_u32;
    for round in 0..4 {
        for _ in 0..25 {
            let mut batch = WriteBatch::new();
            for space in Space::ALL {
                batch.put(space, "last", written.to_be_bytes().to_vec());
                batch.put(space, format!("row {written:04}"), vec![b'v'; 512]);
            }
            engine.write(batch).expect("writes");
            written += 1;
            if written.is_multiple_of(10 + round) {
                engine.flush().expect("flushes");
            }
        }
        engine = subject.crash(engine);
        let last = engine.get(Space::Meta, b"last").expect("reads").expect("it was flushed");
        written = u32::from_be_bytes(last[..].try_into().expect("four bytes")) + 1;
        for space in Space::ALL {
            assert_eq!(engine.get(space, b"last").expect("reads").as_ref(), Some(&last));
            assert_eq!(all_keys(&*engine, space).len(), written as usize + 1, "{space:?}");
        }
    }
}

/// A checkpoint does not follow later writes, holds unflushed rows, and has its files sorted by
/// name.
pub fn checkpoint_holds_the_state_of_its_moment(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::Meta, &[("a", "1")]);
    engine.flush().expect("flushes");
    put(&*engine, Space::Meta, &[("b", "1")]);
    let checkpoint = engine.checkpoint(&subject.checkpoint_path()).expect("checkpoints");
    put(&*engine, Space::Meta, &[("a", "2"), ("c", "1")]);
    engine.flush().expect("flushes");
    let held = |key: &[u8]| text(checkpoint.get(Space::Meta, key).expect("reads"));
    assert_eq!((held(b"a"), held(b"b"), held(b"c")), (Some("1".into()), Some("1".into()), None));
    assert!(checkpoint.files().is_sorted_by(|one, other| one.name < other.name));
    assert!(!checkpoint.files().is_empty());
    assert!(engine.persisted(Space::Meta, b"b").expect("reads").is_some());
}

/// The pieces of every file add up to its length and checksum, and reading past the end is empty.
pub fn checkpoint_reads_in_pieces(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::KeyValues, &[("a", "1"), ("b", "2")]);
    let checkpoint = engine.checkpoint(&subject.checkpoint_path()).expect("checkpoints");
    for file in checkpoint.files() {
        let bytes = read_all(&*checkpoint, file, 7);
        assert_eq!((bytes.len() as u64, crc32c::crc32c(&bytes)), (file.bytes, file.crc32c));
        assert!(checkpoint.read(&file.name, file.bytes, 7).expect("reads").is_empty());
        assert!(checkpoint.read(&file.name, u64::MAX, 7).expect("reads").is_empty());
    }
    assert!(checkpoint.read("no such file", 0, 7).is_err());
}

fn read_all(checkpoint: &dyn Checkpoint, file: &CheckpointFile, bytes_max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let part = checkpoint.read(&file.name, bytes.len() as u64, bytes_max).expect("reads");
        if part.is_empty() {
            return bytes;
        }
        bytes.extend_from_slice(&part);
    }
}

fn send(checkpoint: &dyn Checkpoint, sink: &mut dyn CheckpointSink) {
    for file in checkpoint.files() {
        let bytes = read_all(checkpoint, file, 64 << 10);
        for (number, part) in bytes.chunks(1000).enumerate() {
            sink.write(&file.name, number as u64 * 1000, part).expect("receives");
        }
        if bytes.is_empty() {
            sink.write(&file.name, 0, &[]).expect("receives");
        }
    }
}

/// Writes `rows`, checkpoints them and receives the checkpoint as the member's next generation.
fn pass_through_a_checkpoint(
    subject: &dyn Subject,
    engine: &dyn Engine,
    alter: impl FnOnce(&mut Vec<CheckpointFile>),
) -> Result<Arc<dyn Engine>, StorageError> {
    let checkpoint = engine.checkpoint(&subject.checkpoint_path()).expect("checkpoints");
    let mut sink = subject.engines().receive().expect("receives");
    send(&*checkpoint, &mut *sink);
    let mut files = checkpoint.files().to_vec();
    alter(&mut files);
    sink.finish(&files)
}

/// What one generation sends, another holds: every row of every space, and it goes on from there.
pub fn checkpoint_is_received_elsewhere(subject: &mut dyn Subject) {
    let engine = open(subject);
    for space in Space::ALL {
        put(&*engine, space, &[("a", space.name()), ("b", "")]);
    }
    let received = pass_through_a_checkpoint(subject, &*engine, |_| ()).expect("installs");
    for space in Space::ALL {
        assert_eq!(get(&*received, space, "a").as_deref(), Some(space.name()));
        assert_eq!(all_keys(&*received, space), ["a", "b"]);
    }
    put(&*received, Space::Meta, &[("c", "1")]);
    received.flush().expect("flushes");
    assert_eq!(all_keys(&*received, Space::Meta), ["a", "b", "c"]);
}

/// A file whose bytes differ from the announced checksum is refused, and the current generation
/// stays.
pub fn altered_checkpoint_is_refused(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::Meta, &[("a", "1")]);
    let refused = pass_through_a_checkpoint(subject, &*engine, |files| files[0].crc32c ^= 1);
    assert!(matches!(refused, Err(StorageError::Received(_))));
    engine.flush().expect("flushes");
    let engine = subject.crash(engine);
    assert_eq!(get(&*engine, Space::Meta, "a").as_deref(), Some("1"));
}

/// A missing file is refused.
pub fn incomplete_checkpoint_is_refused(subject: &mut dyn Subject) {
    let engine = open(subject);
    let missing = CheckpointFile { name: "zzz".to_owned(), bytes: 0, crc32c: 0 };
    let refused = pass_through_a_checkpoint(subject, &*engine, |files| files.push(missing));
    assert!(matches!(refused, Err(StorageError::Received(_))));
}

/// A file that was discarded is as if it had never come, and may come again.
pub fn discarded_file_is_not_received(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::Meta, &[("a", "1")]);
    let checkpoint = engine.checkpoint(&subject.checkpoint_path()).expect("checkpoints");
    let mut sink = subject.engines().receive().expect("receives");
    sink.discard("never came").expect("is fine");
    sink.write("stale", 0, b"of another checkpoint").expect("receives");
    sink.write(&checkpoint.files()[0].name, 0, b"of another checkpoint").expect("receives");
    sink.discard("stale").expect("discards");
    sink.discard(&checkpoint.files()[0].name).expect("discards");
    send(&*checkpoint, &mut *sink);
    let received = sink.finish(checkpoint.files()).expect("installs");
    assert_eq!(get(&*received, Space::Meta, "a").as_deref(), Some("1"));
}

/// A sink that is dropped leaves nothing, and another one may follow.
pub fn unfinished_sink_changes_nothing(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::Meta, &[("a", "1")]);
    engine.flush().expect("flushes");
    let checkpoint = engine.checkpoint(&subject.checkpoint_path()).expect("checkpoints");
    let mut sink = subject.engines().receive().expect("receives");
    send(&*checkpoint, &mut *sink);
    drop(sink);
    let engine = subject.crash(engine);
    assert_eq!(all_keys(&*engine, Space::Meta), ["a"]);
    drop(checkpoint);
    pass_through_a_checkpoint(subject, &*engine, |_| ()).expect("a later one is received");
}

/// After an install the old generation still answers whoever holds it, and changes nothing of the
/// new one.
pub fn install_replaces_and_old_readers_go_on(subject: &mut dyn Subject) {
    let old = open(subject);
    put(&*old, Space::Meta, &[("a", "1")]);
    let new = pass_through_a_checkpoint(subject, &*old, |_| ()).expect("installs");
    put(&*old, Space::Meta, &[("old", "1")]);
    put(&*new, Space::Meta, &[("new", "1")]);
    assert_eq!(all_keys(&*old, Space::Meta), ["a", "old"]);
    assert_eq!(all_keys(&*new, Space::Meta), ["a", "new"]);
    drop(old);
    assert_eq!(all_keys(&*new, Space::Meta), ["a", "new"]);
}

/// The installed generation is the one found after a crash.
pub fn install_survives_a_crash(subject: &mut dyn Subject) {
    let old = open(subject);
    put(&*old, Space::Meta, &[("a", "1")]);
    let new = pass_through_a_checkpoint(subject, &*old, |_| ()).expect("installs");
    put(&*old, Space::Meta, &[("old", "1")]);
    old.flush().expect("flushes");
    drop(old);
    put(&*new, Space::Meta, &[("new", "1")]);
    new.flush().expect("flushes");
    let engine = subject.crash(new);
    assert_eq!(all_keys(&*engine, Space::Meta), ["a", "new"]);
}

/// Reclaiming room changes no row.
pub fn reclaim_keeps_every_row(subject: &mut dyn Subject) {
    let engine = open(subject);
    put(&*engine, Space::KeyValues, &[("a", "1"), ("b", "1"), ("c", "1")]);
    engine.flush().expect("flushes");
    let mut batch = WriteBatch::new();
    batch.delete(Space::KeyValues, "b");
    batch.put(Space::KeyValues, "c", "2");
    engine.write(batch).expect("writes");
    engine.reclaim().expect("reclaims");
    assert_eq!(all_keys(&*engine, Space::KeyValues), ["a", "c"]);
    assert_eq!(get(&*engine, Space::KeyValues, "c").as_deref(), Some("2"));
}

/// The sizes rise with rows and fall after rows are deleted and their room reclaimed.
pub fn sizes_follow_the_rows(subject: &mut dyn Subject) {
    let engine = open(subject);
    let empty = engine.sizes();
    for number in 0..64_u32 {
        let mut batch = WriteBatch::new();
        // Not compressible: a multiplicative walk over bytes.
        let value = (0..32_768_u32).map(|at| (at ^ number).wrapping_mul(2_654_435_761) >> 24);
        let value: Vec<u8> = value.map(|byte| u8::try_from(byte).expect("eight bits")).collect();
        batch.put(Space::KeyValues, format!("row {number}"), value);
        engine.write(batch).expect("writes");
    }
    engine.flush().expect("flushes");
    let full = engine.sizes();
    assert!(full.total_bytes > empty.total_bytes && full.in_use_bytes <= full.total_bytes);
    let mut batch = WriteBatch::new();
    batch.delete_range(Space::KeyValues, "row", "rox");
    engine.write(batch).expect("writes");
    engine.reclaim().expect("reclaims");
    assert!(engine.sizes().total_bytes < full.total_bytes, "{full:?}, {:?}", engine.sizes());
}
