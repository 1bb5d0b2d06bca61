//! Whether a transaction's comparisons hold.
//!
//! Compat: etcd: a key that does not exist has zeros for numbers, but no value: comparing that is
//! false, whatever the result asked for. Over a range every key must hold; an empty range is like a
//! missing key. A union that does not fit the target counts as 0 or empty; an unknown target
//! compares as equal; an unknown result holds.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use proto::etcdserverpb::Compare;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};

use crate::engine::Direction;
use crate::index::{At, KeyState};
use crate::key_value;
use crate::range::KeyRange;
use crate::view::{View, ViewError};

/// Whether all comparisons hold in the view.
pub(crate) fn all_hold(view: &View<'_>, compares: &[Compare]) -> Result<bool, ViewError> {
    for compare in compares {
        if !holds(view, compare)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds(view: &View<'_>, compare: &Compare) -> Result<bool, ViewError> {
    match KeyRange::of(&compare.key, &compare.range_end) {
        KeyRange::Point(key) => match view.state(key) {
            Some(state) => holds_for(view, compare, key, state),
            None => Ok(holds_for_missing(compare)),
        },
        KeyRange::Span { from, to } => holds_for_all(view, compare, from, to),
    }
}

fn holds_for_all(
    view: &View<'_>,
    compare: &Compare,
    from: &[u8],
    to: Option<&[u8]>,
) -> Result<bool, ViewError> {
    let mut empty = true;
    let mut all = Ok(true);
    view.root.index.scan(from, to, At::Latest, Direction::Ascending, &mut |key, state| {
        empty = false;
        all = holds_for(view, compare, key, state);
        match all {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) | Err(_) => ControlFlow::Break(()),
        }
    });
    if empty { Ok(holds_for_missing(compare)) } else { all }
}

fn holds_for(
    view: &View<'_>,
    compare: &Compare,
    key: &[u8],
    state: KeyState,
) -> Result<bool, ViewError> {
    let wanted = wanted_number(compare);
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => state.version.cmp(&wanted),
        Ok(CompareTarget::Create) => state.created.0.cmp(&wanted),
        Ok(CompareTarget::Mod) => state.modified.main.0.cmp(&wanted),
        Ok(CompareTarget::Lease) => view.root.leases.of_key(key).0.cmp(&wanted),
        Ok(CompareTarget::Value) => {
            let row = view.row(state.modified)?;
            key_value::read(&row)?.value.cmp(wanted_value(compare))
        }
        Err(_) => Ordering::Equal,
    };
    Ok(fits(compare, ordering))
}

fn holds_for_missing(compare: &Compare) -> bool {
    match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Value) => false,
        Ok(_) => fits(compare, 0.cmp(&wanted_number(compare))),
        Err(_) => fits(compare, Ordering::Equal),
    }
}

fn fits(compare: &Compare, ordering: Ordering) -> bool {
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering.is_eq(),
        Ok(CompareResult::NotEqual) => ordering.is_ne(),
        Ok(CompareResult::Greater) => ordering.is_gt(),
        Ok(CompareResult::Less) => ordering.is_lt(),
        Err(_) => true,
    }
}

/// The number of the union, if it is the target's.
fn wanted_number(compare: &Compare) -> i64 {
    match (CompareTarget::try_from(compare.target), &compare.target_union) {
        (Ok(CompareTarget::Version), Some(TargetUnion::Version(number)))
        | (Ok(CompareTarget::Create), Some(TargetUnion::CreateRevision(number)))
        | (Ok(CompareTarget::Mod), Some(TargetUnion::ModRevision(number)))
        | (Ok(CompareTarget::Lease), Some(TargetUnion::Lease(number))) => *number,
        _ => 0,
    }
}

fn wanted_value(compare: &Compare) -> &[u8] {
    match &compare.target_union {
        Some(TargetUnion::Value(value)) => value,
        _ => b"",
    }
}
