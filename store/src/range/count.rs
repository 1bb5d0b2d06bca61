//! How many keys a range has at a revision.
//!
//! Now: from the counts in the index, O(log n). In the past: the count of now, corrected by the keys that
//! changed since, when these are few; else by walking the range.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::bounds::KeyRange;
use crate::engine::{Direction, Space};
use crate::error::StorageError;
use crate::index::At;
use crate::key_value;
use crate::layout::first_name;
use crate::view::{View, ViewError};

/// Reading one changed row costs about as much as walking this many keys of the index.
const KEYS_PER_CHANGE: u64 = 16;

/// The number of keys in the range at a moment inside the history.
pub(super) fn count(
    view: &View<'_>,
    keys: &KeyRange<'_>,
    revision: i64,
    at: At,
) -> Result<i64, ViewError> {
    let (from, to) = match *keys {
        KeyRange::Point(key) => return Ok(i64::from(view.root.index.get(key, at).is_some())),
        _ if keys.is_empty() => return Ok(0),
        KeyRange::Span { from, to } => (from, to),
    };
    let now = || view.root.index.count(from, to, At::Latest);
    let counted = match at {
        At::Latest => now(),
        At::Revision(_) => match changed_since(view, keys, revision, now() / KEYS_PER_CHANGE)? {
            Some(changed) => corrected(view, now(), &changed, at),
            None => view.root.index.count(from, to, at),
        },
    };
    Ok(i64::try_from(counted).expect("keys are in memory, so fewer than 2^63"))
}

/// The keys of the range that changed after `revision`; `None` when more than `changes_max` rows tell.
fn changed_since(
    view: &View<'_>,
    keys: &KeyRange<'_>,
    revision: i64,
    changes_max: u64,
) -> Result<Option<BTreeSet<Vec<u8>>>, ViewError> {
    // Each revision is at least one row, so a far past needs no look at the rows. Rows of the batch being
    // applied are not in the engine yet.
    let revisions = view.revision.saturating_sub(revision);
    if !view.pending.is_empty() || u64::try_from(revisions).is_ok_and(|n| n > changes_max) {
        return Ok(None);
    }
    let mut changed = BTreeSet::new();
    let mut changes = 0;
    let mut failed: Option<StorageError> = None;
    let from = first_name(revision.saturating_add(1));
    let to = first_name(view.revision.saturating_add(1));
    let mut visit = |_: &[u8], row: &[u8]| {
        changes += 1;
        match key_value::read(row) {
            Ok(kv) if keys.contains(kv.key) => drop(changed.insert(kv.key.to_vec())),
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
        match failed.is_some() || changes > changes_max {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let engine = &view.root.engine;
    engine.scan(Space::KeyValues, &from, Some(&to), Direction::Ascending, &mut visit)?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    Ok((changes <= changes_max).then_some(changed))
}

fn corrected(view: &View<'_>, now: u64, changed: &BTreeSet<Vec<u8>>, at: At) -> u64 {
    let index = &view.root.index;
    let existed = |key: &&Vec<u8>, at| index.get(key, at).is_some();
    let then = changed.iter().filter(|key| existed(key, at)).count() as u64;
    let still = changed.iter().filter(|key| existed(key, At::Latest)).count() as u64;
    now + then - still
}
