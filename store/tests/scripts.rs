//! Runs every golden script of `scripts/`: the file's name is the behaviour, its first line the
//! claim.
//!
//! `UPDATE_GOLDENFILES=1` writes down what the store answers now; what it wrote is to be read.

extern crate engram_store as store;

mod support;

use std::path::{Path, PathBuf};

use support::script::Runner;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

fn run(name: &str) {
    let path = scripts().join(name);
    goldenscript::run(&mut Runner::in_memory(), &path).expect("the script can be read");
}

macro_rules! scripts {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })+

        #[test]
        fn every_script_is_run() {
            let listed = [$(stringify!($name)),+];
            let entries = std::fs::read_dir(scripts()).expect("the scripts are there");
            for entry in entries {
                let name = entry.expect("the directory can be read").file_name();
                let name = name.to_str().expect("names are ASCII");
                assert!(listed.contains(&name), "script {name} is not listed in scripts.rs");
            }
        }
    };
}

scripts! {
    alarm_corrupt
    alarm_nospace
    alarm_set
    auth_permissions_at_apply
    auth_root_guards_itself
    auth_survives_restart_and_crash
    auth_users_and_roles
    batch_is_one_entry
    compact_again_before_finished
    compact_bounds
    compact_goes_on_after_a_crash
    compact_keeps_the_tombstone_at_the_revision
    compact_keeps_what_is_visible
    compact_of_a_last_delete_keeps_the_revision
    compact_zero_of_a_fresh_store
    crash_replays_to_the_same_state
    delete_range
    events_limits
    fresh_store
    hashkv
    hashkv_with_nothing_kept
    lease_attach_and_detach
    lease_checkpoint
    lease_fenced_by_term
    lease_grant_and_revoke
    lease_survives_restart
    put_creates_and_overwrites
    put_errors
    put_ignore_lease
    put_ignore_value
    range_bounds
    range_filters
    range_keys_only
    range_limit
    range_revision
    range_sort
    range_sort_without_order
    stream_pages
    txn_branches
    txn_checks_before_it_writes
    txn_compare_missing
    txn_compare_range
    txn_compare_targets
    txn_duplicate_keys
    txn_empty_key
    txn_nested
    txn_sees_its_writes
    txn_too_many_operations
    txn_unchecked_overlaps_are_total
}
