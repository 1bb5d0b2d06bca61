//! The store's own tests again, on RocksDB: the golden scripts, and random runs against the plain
//! model.
//!
//! The engine is not crashed here; that is the engine suite's part.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;

use engram_store_rocks::{RocksEngines, RocksOptions};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use store::engine::{Engine, Engines};
use support::script::Runner;
use support::{check, requests};
use tempfile::TempDir;

/// Random runs: each opens a database anew.
const RUNS: usize = 30;
const ACTIONS_PER_RUN: usize = 250;

struct Place {
    // Order: closed before its directory goes; the other way round the last flush fails, and
    // RocksDB waits a second after that.
    engine: Arc<dyn Engine>,
    _directory: TempDir,
}

fn place() -> Place {
    // Nothing here asks for durability, so a file system in memory saves the waiting for syncs.
    let in_memory = TempDir::new_in("/dev/shm");
    let directory = in_memory.or_else(|_| TempDir::new()).expect("a temporary directory");
    let options = RocksOptions {
        block_cache_bytes: 1 << 20,
        write_buffer_bytes: 1 << 20,
        open_files_max: 64,
        background_jobs: 2,
    };
    let engines = RocksEngines::new(directory.path().join("state"), options);
    let engine = engines.open_current().expect("an empty database");
    Place { engine, _directory: directory }
}

#[test]
fn the_golden_scripts_hold_on_rocksdb() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scripts");
    let mut run = 0;
    for entry in std::fs::read_dir(&scripts).expect("the scripts are there") {
        let path = entry.expect("the directory can be read").path();
        let text = std::fs::read_to_string(&path).expect("scripts are text");
        if text.lines().any(|line| line.trim() == "crash") {
            continue;
        }
        let place = place();
        let answered = goldenscript::generate(&mut Runner::on(place.engine.clone()), &text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(answered, text, "{}", path.display());
        run += 1;
    }
    assert!(run > 30, "only {run} scripts were found");
}

#[test]
fn the_store_on_rocksdb_is_its_model() {
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let actions = proptest::collection::vec(requests::action(), ACTIONS_PER_RUN);
    for _ in 0..RUNS {
        let actions = actions.new_tree(&mut runner).expect("any run is legal").current();
        let place = place();
        check::run(place.engine.clone(), &mut || false, &actions);
    }
}
