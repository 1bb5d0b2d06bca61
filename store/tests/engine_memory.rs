//! The engine suite on the in-memory engine, and what only this engine has: faults on request.

use std::path::PathBuf;
use std::sync::Arc;

use engram_store as store;
use store::StorageError;
use store::engine::conformance::Subject;
use store::engine::{Engine, Engines, Faults, Memory, MemoryEngines, Space, WriteBatch};

#[derive(Default)]
struct Member {
    engines: MemoryEngines,
}

impl Subject for Member {
    fn engines(&self) -> &dyn Engines {
        &self.engines
    }

    fn checkpoint_path(&self) -> PathBuf {
        PathBuf::new()
    }

    fn crash(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        drop(engine);
        self.engines.crash();
        self.engines.open_current().expect("opens")
    }

    fn loses_all_unflushed(&self) -> bool {
        true
    }
}

store::engine_conformance!(Member::default());

fn row(value: &'static str) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(Space::Meta, "key", value);
    batch
}

#[test]
fn the_write_that_was_asked_for_fails_alone() {
    let engine = Memory::new();
    engine.set_faults(Faults { write: 2, flush: 0 });
    engine.write(row("1")).expect("the first passes");
    assert!(matches!(engine.write(row("2")), Err(StorageError::Injected("write"))));
    assert_eq!(engine.get(Space::Meta, b"key").expect("reads").as_deref(), Some(&b"1"[..]));
    engine.write(row("3")).expect("the third passes");
}

#[test]
fn a_failed_flush_leaves_the_last_one() {
    let engine = Memory::new();
    engine.write(row("1")).expect("writes");
    engine.flush().expect("flushes");
    engine.write(row("2")).expect("writes");
    engine.set_faults(Faults { write: 0, flush: 1 });
    assert!(engine.flush().is_err());
    engine.crash();
    assert_eq!(engine.get(Space::Meta, b"key").expect("reads").as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_process_that_was_lost_writes_into_the_void() {
    let engines = MemoryEngines::new();
    let lost = engines.open_current().expect("opens");
    engines.crash();
    lost.write(row("late")).expect("writes");
    lost.flush().expect("flushes");
    let engine = engines.open_current().expect("opens");
    assert_eq!(engine.get(Space::Meta, b"key").expect("reads"), None);
}
