//! Which keys a range answers with: walked in the index, filtered, sorted, cut, and only then
//! fetched.
//!
//! Invariant: rows are read for the page only, unless the order is that of values.

use std::ops::ControlFlow;

use proto::etcdserverpb::range_request::SortTarget;
use proto::spliced::EncodedKeyValue;

use super::bounds::KeyRange;
use super::order::{Filter, Order, Sort};
use crate::engine::Direction;
use crate::index::{At, KeyState};
use crate::key_value::{self, KeyValueView};
use crate::types::RowRevision;
use crate::view::{View, ViewError};

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) keys: KeyRange<'a>,
    pub(super) at: At,
    pub(super) order: Order,
    pub(super) filter: Filter,
    pub(super) keys_only: bool,
}

/// What was found.
pub(super) struct Page {
    pub(super) kvs: Vec<EncodedKeyValue>,
    pub(super) more: bool,
    /// The number of keys in the range, when the walk happened to see them all.
    pub(super) all: Option<i64>,
}

/// A key that passed the filter. `key` is empty unless the answer is made from the index alone.
struct Found {
    key: Vec<u8>,
    state: KeyState,
}

/// Answers what is wanted, but for the count when the walk stopped early.
pub(super) fn select(view: &View<'_>, wanted: &Wanted<'_>) -> Result<Page, ViewError> {
    let by_value = wanted.order.sort.is_some_and(|sort| sort.target == SortTarget::Value);
    let from_index = wanted.keys_only && !by_value;
    let (mut found, all) = walk(view, wanted, from_index);
    let more = found.len() > wanted.order.limit;
    match wanted.order.sort {
        Some(sort) if by_value => {
            let kvs = sorted_by_value(view, &found, sort, wanted)?;
            return Ok(Page { kvs, more, all });
        }
        Some(sort) => found.sort_by(|left, right| sort.compare(&left.state, &right.state)),
        None => {}
    }
    found.truncate(wanted.order.limit);
    let kvs = if from_index {
        found.iter().map(|found| key_and_numbers(found).encode()).collect()
    } else {
        let rows: Vec<RowRevision> = found.iter().map(|found| found.state.modified).collect();
        view.rows(&rows)?.into_iter().map(EncodedKeyValue).collect()
    };
    Ok(Page { kvs, more, all })
}

/// The keys that pass the filter, and how many there are without it if all were seen.
fn walk(view: &View<'_>, wanted: &Wanted<'_>, with_keys: bool) -> (Vec<Found>, Option<i64>) {
    let mut found = Vec::new();
    let mut seen = 0;
    let stop_above = if wanted.order.stops_early { wanted.order.limit } else { usize::MAX };
    let stopped = each(view, wanted, &mut |key, state| {
        seen += 1;
        if wanted.filter.admits(&state) {
            let key = if with_keys { key.to_vec() } else { Vec::new() };
            found.push(Found { key, state });
            if found.len() > stop_above {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    (found, stopped.is_continue().then_some(seen))
}

/// Visits the keys of the range that exist at the moment.
fn each(
    view: &View<'_>,
    wanted: &Wanted<'_>,
    visit: &mut dyn FnMut(&[u8], KeyState) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match wanted.keys {
        KeyRange::Point(key) => match view.root.index.get(key, wanted.at) {
            Some(state) => visit(key, state),
            None => ControlFlow::Continue(()),
        },
        KeyRange::Span { from, to } => {
            let mut flow = ControlFlow::Continue(());
            let direction: Direction = wanted.order.direction;
            view.root.index.scan(from, to, wanted.at, direction, &mut |key, state| {
                flow = visit(key, state);
                flow
            });
            flow
        }
    }
}

/// Compat: etcd 3.7 answers keys-only ranges from its index, which knows no leases.
fn key_and_numbers(found: &Found) -> KeyValueView<'_> {
    KeyValueView {
        key: &found.key,
        create_revision: found.state.created.0,
        mod_revision: found.state.modified.main.0,
        version: found.state.version,
        ..KeyValueView::default()
    }
}

/// The order of values needs them all.
fn sorted_by_value(
    view: &View<'_>,
    found: &[Found],
    sort: Sort,
    wanted: &Wanted<'_>,
) -> Result<Vec<EncodedKeyValue>, ViewError> {
    let names: Vec<RowRevision> = found.iter().map(|found| found.state.modified).collect();
    let rows = view.rows(&names)?;
    let mut read = Vec::with_capacity(rows.len());
    for row in &rows {
        read.push((key_value::read(row)?, row));
    }
    read.sort_by(|(left, _), (right, _)| sort.directed(left.value.cmp(right.value)));
    read.truncate(wanted.order.limit);
    Ok(read
        .into_iter()
        .map(|(kv, row)| match wanted.keys_only {
            true => KeyValueView { value: b"", ..kv }.encode(),
            false => EncodedKeyValue(row.clone()),
        })
        .collect())
}
