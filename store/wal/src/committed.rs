//! How many entries of a log a restarted etcd would apply.
//!
//! Invariant: what was known to be committed counts. What comes after it counts only where this
//! member alone decides: a sole voter that starts again commits its whole log, and may have
//! answered for all of it. With others, nobody can tell from one log; `etcd --force-new-cluster`
//! gives such entries up too.

use std::collections::BTreeSet;

use prost::Message as _;

use crate::error::WalError;
use crate::record::{ConfChange, Entry, HardState, entry_kind};

const ADD_VOTER: i32 = 0;
const REMOVE: i32 = 1;
const ADD_LEARNER: i32 = 3;

/// How many of the `entries` after `applied` are committed, for the member `node_id`. `voters` are
/// those of the database.
///
/// *Errors*: a change of the membership cannot be read; more is said to be committed than there is.
pub fn committed(
    entries: &[Entry],
    applied: u64,
    hard_state: &HardState,
    node_id: u64,
    voters: impl IntoIterator<Item = u64>,
) -> Result<usize, WalError> {
    let mut voters: BTreeSet<u64> = voters.into_iter().collect();
    let last = applied.saturating_add(entries.len() as u64);
    if hard_state.commit > last {
        return Err(WalError::Entries(format!(
            "entries up to {} are committed, and the log ends with {last}",
            hard_state.commit
        )));
    }
    for (place, entry) in entries.iter().enumerate() {
        let alone = voters.iter().eq([&node_id]);
        // The changes that found a cluster are in force before anybody votes.
        let founds = voters.is_empty() && entry.kind == entry_kind::CONF_CHANGE;
        if entry.index > hard_state.commit && !alone && !founds {
            return Ok(place);
        }
        // Order: a sole voter keeps its term before it writes an entry of it.
        if alone && entry.term > hard_state.term {
            return Err(WalError::Entries(format!(
                "entry {} is of term {}, and the member never came to it",
                entry.index, entry.term
            )));
        }
        change(&mut voters, entry)?;
    }
    Ok(entries.len())
}

/// Whether one of the entries changes the membership of `node_id`.
#[must_use]
pub fn names(entries: &[Entry], node_id: u64) -> bool {
    let changes = entries.iter().filter(|entry| entry.kind == entry_kind::CONF_CHANGE);
    let mut changes = changes.filter_map(|entry| ConfChange::decode(entry.data.clone()).ok());
    changes.any(|change| change.node_id == node_id)
}

fn change(voters: &mut BTreeSet<u64>, entry: &Entry) -> Result<(), WalError> {
    if entry.kind != entry_kind::CONF_CHANGE {
        return Ok(());
    }
    let change = ConfChange::decode(entry.data.clone()).map_err(|error| {
        WalError::Entries(format!("entry {}: no change of the membership: {error}", entry.index))
    })?;
    match change.kind {
        ADD_VOTER => voters.insert(change.node_id),
        REMOVE | ADD_LEARNER => voters.remove(&change.node_id),
        _ => false,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(index: u64) -> Entry {
        Entry { index, term: 1, ..Entry::default() }
    }

    fn conf_change(index: u64, kind: i32, node_id: u64) -> Entry {
        let data = ConfChange { kind, node_id }.encode_to_vec().into();
        Entry { kind: entry_kind::CONF_CHANGE, data, ..normal(index) }
    }

    fn count(entries: &[Entry], commit: u64, voters: &[u64]) -> usize {
        let state = HardState { term: 1, commit, ..HardState::default() };
        committed(entries, 4, &state, 9, voters.iter().copied()).expect("sound")
    }

    #[test]
    fn a_sole_voter_commits_its_whole_log() {
        let entries = [normal(5), normal(6), normal(7)];
        assert_eq!(count(&entries, 5, &[9]), 3);
        assert_eq!(count(&entries, 5, &[9, 10]), 1);
        assert_eq!(count(&entries, 0, &[10]), 0, "this member does not vote");
    }

    #[test]
    fn a_voter_that_joins_must_agree_from_then_on() {
        let entries = [normal(5), conf_change(6, ADD_VOTER, 10), normal(7)];
        assert_eq!(count(&entries, 0, &[9]), 2);
        let entries = [normal(5), conf_change(6, ADD_LEARNER, 10), normal(7)];
        assert_eq!(count(&entries, 0, &[9]), 3, "a learner is not asked");
        let entries = [conf_change(5, REMOVE, 10), normal(6)];
        assert_eq!(count(&entries, 5, &[9, 10]), 2);
    }

    #[test]
    fn the_changes_that_found_a_cluster_count() {
        let entries = [conf_change(5, ADD_VOTER, 9), conf_change(6, ADD_VOTER, 10), normal(7)];
        assert_eq!(count(&entries[..1], 0, &[]), 1);
        assert_eq!(count(&entries, 6, &[]), 2);
    }

    #[test]
    fn more_committed_than_written_is_refused() {
        let state = HardState { term: 1, commit: 7, ..HardState::default() };
        assert!(committed(&[normal(5), normal(6)], 4, &state, 9, [9]).is_err());
    }

    #[test]
    fn an_entry_of_a_term_that_never_was_is_refused() {
        let state = HardState { term: 1, ..HardState::default() };
        let entry = Entry { term: 2, ..normal(5) };
        assert!(committed(&[entry], 4, &state, 9, [9]).is_err());
    }
}
