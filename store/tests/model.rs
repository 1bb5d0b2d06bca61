//! The store against a plain model: random entries, reads, compaction steps, restarts and crashes,
//! in memory.

extern crate engram_store as store;

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use store::engine::Memory;
use support::{check, requests};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_store_is_its_model(actions in prop::collection::vec(requests::action(), 1..60)) {
        let memory = Memory::new();
        let mut crash = || {
            memory.crash();
            true
        };
        check::run(Arc::new(memory.clone()), &mut crash, &actions);
    }
}
