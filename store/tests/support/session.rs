//! A store under test and its twin: the same entries go to both, but only the first builds answers.
//!
//! Invariant checked after each entry: outcomes agree but for answers, digests are equal; and on
//! request that a store reopened from the same rows is the same store.

use std::sync::Arc;

use proto::log::command::Request;
use proto::log::{Batch, Command, CommandHeader};
use store::engine::{Engine, Memory};
use store::{
    Answers, AppliedBatch, CompactProgress, LogId, Outcome, Reader, Response, Store, StoreOptions,
};

/// See the module's page.
pub struct Session {
    /// The engine under test.
    pub engine: Arc<dyn Engine>,
    /// The store that builds answers.
    pub store: Store,
    /// The store that does not, always in memory.
    pub twin: Store,
    /// The next entry's position.
    pub next: LogId,
}

impl Session {
    /// A fresh store on an empty engine.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        let store = open(engine.clone());
        let twin = open(Arc::new(Memory::new()));
        Self { engine, store, twin, next: LogId { term: 1, index: 1 } }
    }

    /// Applies one entry with these requests.
    pub fn apply(&mut self, requests: Vec<Request>) -> AppliedBatch {
        let command = |request| Command { header: None, request: Some(request) };
        self.apply_commands(requests.into_iter().map(command).collect())
    }

    /// Applies one entry with one request in a given header.
    pub fn apply_with(&mut self, header: CommandHeader, request: Request) -> AppliedBatch {
        self.apply_commands(vec![Command { header: Some(header), request: Some(request) }])
    }

    /// Applies one entry with these commands.
    pub fn apply_commands(&mut self, commands: Vec<Command>) -> AppliedBatch {
        let batch = Batch { state_machine_version: 1, commands };
        let at = self.next;
        self.next.index += 1;
        let applied = self.store.apply(at, &batch, Answers::Materialise).expect("the engine works");
        let skipped = self.twin.apply(at, &batch, Answers::Skip).expect("memory works");
        assert_eq!(applied.digest, skipped.digest, "answers must not reach the digest");
        assert_eq!(applied.events, skipped.events, "answers must not reach the events");
        assert_eq!(applied.revision, skipped.revision);
        for (full, bare) in applied.outcomes.iter().zip(&skipped.outcomes) {
            assert_eq!(without_answers(full), without_answers(bare));
        }
        applied
    }

    /// Applies one request and gives its outcome.
    pub fn one(&mut self, request: Request) -> Outcome {
        self.apply(vec![request]).outcomes.pop().expect("one command has one outcome")
    }

    /// The reader of the store under test.
    pub fn reader(&self) -> Reader {
        self.store.reader()
    }

    /// One bounded step of the physical compaction, on the store under test only.
    pub fn compact_step(&mut self, rows_max: usize) -> CompactProgress {
        self.store.compact_step(rows_max).expect("the engine works")
    }

    /// Opens the store anew from its engine, which nothing may notice.
    pub fn reopen(&mut self) {
        let before = self.store.applied();
        self.store = open(self.engine.clone());
        assert_eq!(self.store.applied(), before, "a restart forgets nothing");
    }
}

/// Opens a store, which must succeed.
pub fn open(engine: Arc<dyn Engine>) -> Store {
    Store::open(engine, StoreOptions::default()).expect("the engine holds a store")
}

/// What every member must agree on.
fn without_answers(outcome: &Outcome) -> (i64, Result<String, String>) {
    let shape = |response: &Response| match response {
        Response::Put(_) => "put".to_owned(),
        Response::DeleteRange(deleted) => format!("deleted {}", deleted.deleted),
        Response::Txn(txn) => format!("txn {}", txn.succeeded),
        other => format!("{other:?}"),
    };
    let result = outcome.result.as_ref().map(shape).map_err(ToString::to_string);
    (outcome.revision.0, result)
}
