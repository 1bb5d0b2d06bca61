//! The engine suite on RocksDB, alone and mirrored by the in-memory engine.
//!
//! A crash is played by copying the files while the engine runs, which is what a killed process
//! leaves; one test really kills a process. Neither takes the page cache away: a power cut is not
//! tested here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use engram_store_rocks::{Rocks, RocksEngines, RocksOptions};
use store::StorageError;
use store::engine::conformance::Subject;
use store::engine::{Engine, Engines, Memory, Mirror, Space, WriteBatch};
use tempfile::TempDir;

fn small() -> RocksOptions {
    RocksOptions {
        block_cache_bytes: 1 << 20,
        write_buffer_bytes: 1 << 20,
        open_files_max: 64,
        background_jobs: 2,
    }
}

struct Member {
    directory: TempDir,
    engines: RocksEngines,
    names: AtomicU32,
}

impl Member {
    fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let engines = RocksEngines::new(directory.path().join("state"), small());
        Self { directory, engines, names: AtomicU32::new(0) }
    }

    fn new_path(&self, what: &str) -> PathBuf {
        let name = self.names.fetch_add(1, Ordering::Relaxed);
        self.directory.path().join(format!("{what}-{name}"))
    }
}

impl Subject for Member {
    fn engines(&self) -> &dyn Engines {
        &self.engines
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.new_path("checkpoint")
    }

    fn crash(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        let left = self.new_path("state");
        // The root of the generations that are running, wherever the last crash took them.
        let root = newest_state(self.directory.path(), &left);
        copy_at_one_moment(&root, &left);
        drop(engine);
        self.engines = RocksEngines::new(left, small());
        self.engines.open_current().expect("opens after a crash")
    }

    fn loses_all_unflushed(&self) -> bool {
        true
    }
}

fn newest_state(directory: &Path, except: &Path) -> PathBuf {
    let number = |path: &PathBuf| {
        let name = path.file_name().expect("a listed file has a name").to_string_lossy();
        name.strip_prefix("state").map(|rest| rest.trim_start_matches('-').parse().unwrap_or(-1))
    };
    let listed = fs::read_dir(directory).expect("lists");
    let paths = listed.map(|entry| entry.expect("lists").path()).filter(|path| path != except);
    let state: Option<(i64, PathBuf)> = paths.filter_map(|path| Some((number(&path)?, path))).max();
    state.expect("the member has run").1
}

/// Copies until no background job changed the files meanwhile: a copy has no single moment
/// otherwise.
fn copy_at_one_moment(from: &Path, to: &Path) {
    for _ in 0..1000 {
        let before = listing(from);
        copy_directory(from, to);
        if listing(from) == before {
            return;
        }
        fs::remove_dir_all(to).expect("removes");
    }
    panic!("{} never rests", from.display());
}

/// The names and lengths of all files below a directory.
fn listing(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("lists") {
        let path = entry.expect("lists").path();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => files.extend(listing(&path)),
            Ok(metadata) => files.push((path, metadata.len())),
            Err(_) => files.push((path, u64::MAX)),
        }
    }
    files.sort();
    files
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir(to).expect("creates");
    for entry in fs::read_dir(from).expect("lists") {
        let (from, to) =
            (entry.as_ref().expect("lists").path(), to.join(entry.expect("lists").file_name()));
        if from.is_dir() {
            copy_directory(&from, &to);
        } else {
            // A background job may remove a file between the listing and the copy.
            let _ = fs::copy(&from, &to);
        }
    }
}

store::engine_conformance!(Member::new());

mod mirrored {
    use super::*;

    /// The checks that need no restart run on both engines at once.
    struct Both {
        rocks: Member,
    }

    impl Engines for Both {
        fn open_current(&self) -> Result<Arc<dyn Engine>, StorageError> {
            let rocks = self.rocks.engines.open_current()?;
            Ok(Arc::new(Mirror::new(rocks, Arc::new(Memory::new()))))
        }

        fn receive(&self) -> Result<Box<dyn store::engine::CheckpointSink>, StorageError> {
            self.rocks.engines.receive()
        }
    }

    impl Subject for Both {
        fn engines(&self) -> &dyn Engines {
            self
        }

        fn checkpoint_path(&self) -> PathBuf {
            self.rocks.checkpoint_path()
        }

        fn crash(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
            engine
        }

        fn loses_all_unflushed(&self) -> bool {
            false
        }
    }

    store::engine_conformance!(Both { rocks: Member::new() };
        batch_applies_in_order, batch_spans_spaces, reads_see_the_last_write,
        scan_is_ordered_both_ways, scan_respects_its_bounds, scan_stops_when_told,
        delete_range_is_half_open, empty_keys_and_values_are_rows,
        persisted_lags_behind_until_a_flush, checkpoint_holds_the_state_of_its_moment,
        reclaim_keeps_every_row,
    );
}

const CHILD_DIRECTORY: &str = "ENGRAM_TEST_CHILD_DIRECTORY";

/// Not a test of its own: what the killed process of the next test does.
#[test]
fn child_of_the_killed_process_test() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let engine = Rocks::open(Path::new(&directory), &small()).expect("opens");
    for number in 0..2000_u32 {
        let mut batch = WriteBatch::new();
        for space in Space::ALL {
            batch.put(space, "last", number.to_be_bytes().to_vec());
            batch.put(space, number.to_be_bytes().to_vec(), vec![b'v'; 600]);
        }
        engine.write(batch).expect("writes");
        if number == 700 {
            engine.flush().expect("flushes");
        }
    }
    std::process::abort();
}

/// Two thousand batches overflow the small write buffer: RocksDB flushes by itself on the way.
#[test]
fn a_killed_process_leaves_a_prefix_in_all_spaces() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("db");
    let myself = std::env::current_exe().expect("a test knows its program");
    let status = Command::new(myself)
        .args(["--exact", "child_of_the_killed_process_test", "--nocapture"])
        .env(CHILD_DIRECTORY, &path)
        .output()
        .expect("runs")
        .status;
    assert!(!status.success(), "the child aborts");
    let engine = Rocks::open(&path, &small()).expect("opens");
    let last = engine.get(Space::Meta, b"last").expect("reads").expect("700 batches were flushed");
    let written = u32::from_be_bytes(last[..].try_into().expect("four bytes"));
    assert!(written >= 700, "{written}");
    for space in Space::ALL {
        assert_eq!(engine.get(space, b"last").expect("reads").as_ref(), Some(&last), "{space:?}");
        for (number, there) in [(written, true), (written + 1, false)] {
            let row = engine.get(space, &number.to_be_bytes()).expect("reads");
            assert_eq!(row.is_some(), there, "{space:?} {number} of {written}");
        }
    }
}

#[test]
fn a_generation_opens_once() {
    let member = Member::new();
    let engine = member.engines.open_current().expect("opens");
    assert!(member.engines.open_current().is_err());
    let stranger = RocksEngines::new(member.directory.path().join("state"), small());
    assert!(stranger.open_current().is_err());
    drop(engine);
    member.engines.open_current().expect("opens again");
}

#[test]
fn a_lost_pointer_is_damage_and_not_a_fresh_start() {
    let member = Member::new();
    let engine = member.engines.open_current().expect("opens");
    let mut batch = WriteBatch::new();
    batch.put(Space::Meta, "a", "1");
    engine.write(batch).expect("writes");
    drop(engine);
    fs::remove_file(member.directory.path().join("state/CURRENT")).expect("removes");
    assert!(matches!(member.engines.open_current(), Err(StorageError::Damaged(_))));
}

#[test]
fn a_lost_database_is_damage_and_not_a_fresh_start() {
    let member = Member::new();
    drop(member.engines.open_current().expect("opens"));
    fs::remove_dir_all(member.directory.path().join("state/1")).expect("removes");
    assert!(member.engines.open_current().is_err());
}

#[test]
fn leftovers_of_a_broken_off_install_go_at_the_next_open() {
    let member = Member::new();
    drop(member.engines.open_current().expect("opens"));
    let state = member.directory.path().join("state");
    fs::create_dir_all(state.join("2")).expect("creates");
    fs::create_dir_all(state.join("receiving")).expect("creates");
    fs::write(state.join("receiving/000001.sst"), b"half").expect("writes");
    drop(member.engines.open_current().expect("opens"));
    assert!(state.join("1").exists());
    assert!(!state.join("2").exists() && !state.join("receiving").exists());
}

#[test]
fn a_replaced_generation_goes_with_its_last_reader() {
    let member = Member::new();
    let old = member.engines.open_current().expect("opens");
    let checkpoint = old.checkpoint(&member.checkpoint_path()).expect("checkpoints");
    let mut sink = member.engines.receive().expect("receives");
    for file in checkpoint.files() {
        let bytes = checkpoint.read(&file.name, 0, usize::MAX).expect("reads");
        sink.write(&file.name, 0, &bytes).expect("receives");
    }
    let _new = sink.finish(checkpoint.files()).expect("installs");
    let first = member.directory.path().join("state/1");
    assert!(first.exists());
    drop(old);
    assert!(!first.exists());
}

#[test]
fn file_names_that_leave_the_directory_are_refused() {
    let member = Member::new();
    let _engine = member.engines.open_current().expect("opens");
    let mut sink = member.engines.receive().expect("receives");
    for name in ["../CURRENT", "", ".", "..", "/etc/passwd", "a/b", ".hidden", "a\0b"] {
        let refused = sink.write(name, 0, b"x");
        assert!(matches!(refused, Err(StorageError::Received(_))), "{name:?}");
    }
}
