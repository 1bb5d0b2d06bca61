//! Whole runs: they pass, they repeat themselves, and what is planted is found.

use engram_sim::{Canary, Settings, first_difference, run};

fn settings(seed: u64) -> Settings {
    Settings { seed, canary: None, keep_trace: true }
}

#[test]
fn a_seed_has_one_trace() {
    for seed in 101..106 {
        let (first, second) = (run(settings(seed)), run(settings(seed)));
        assert_eq!(first.findings, Vec::<String>::new(), "seed {seed}: {}", first.plan);
        assert_eq!(first_difference(&first, &second), None);
        assert!(first.trace.count() > 100, "seed {seed} did something");
        assert!(first.answered > 0, "clients of seed {seed} were answered");
        assert!(first.leases.0 > 0, "somebody held a lease in seed {seed}");
    }
}

#[test]
fn another_seed_has_another_trace() {
    let (first, second) = (run(settings(107)), run(settings(108)));
    assert!(first_difference(&first, &second).is_some());
}

/// Runs seeds until one finds the planted bug; gives what it said.
fn caught(canary: Canary, seeds_max: u64) -> String {
    let planted = |seed| Settings { seed, canary: Some(canary), keep_trace: false };
    let found = (1..=seeds_max).find_map(|seed| run(planted(seed)).findings.into_iter().next());
    found.unwrap_or_else(|| panic!("{canary} was not caught in {seeds_max} seeds"))
}

#[test]
fn a_disk_that_lies_about_syncs_is_caught() {
    let found = caught(Canary::LostSync, 3);
    assert!(found.contains("durable on") || found.contains("power cut"), "{found}");
}

#[test]
fn an_entry_that_differs_between_members_is_caught() {
    let found = caught(Canary::AlteredEntry, 10);
    assert!(found.contains("digest"), "{found}");
}

#[test]
fn an_engine_that_loses_a_row_is_caught() {
    caught(Canary::LostRow, 10);
}

#[test]
fn reads_without_a_read_index_are_caught() {
    let found = caught(Canary::StaleRead, 10);
    assert!(found.contains("before this was sent") || found.contains("linearizable"), "{found}");
}

#[test]
fn an_event_that_watchers_are_not_told_is_caught() {
    let found = caught(Canary::LostEvent, 5);
    assert!(found.contains("watcher"), "{found}");
}

#[test]
fn a_clock_that_ends_leases_early_is_caught() {
    let found = caught(Canary::FastClock, 10);
    assert!(found.contains("early"), "{found}");
}

#[test]
fn a_renewal_that_nobody_made_is_caught() {
    let found = caught(Canary::RememberedRenewal, 10);
    assert!(found.contains("lease"), "{found}");
}
