//! In which order a range is wanted, which keys it leaves out, and how many it may stop at.
//!
//! Compat: etcd applies the limit after filters and after any order but that of keys. Its one
//! exception is kept: with no order given and a target other than the key, the limit is applied in
//! key order first, and the page that is left is sorted.

use std::cmp::Ordering;

use proto::etcdserverpb::RangeRequest;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};

use crate::engine::Direction;
use crate::index::KeyState;

/// What to sort a page by, when key order will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) target: SortTarget,
    pub(crate) descending: bool,
}

/// How to walk the keys, and what to do with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// How the keys are walked.
    pub(crate) direction: Direction,
    /// How many are wanted; `usize::MAX`: all.
    pub(crate) limit: usize,
    /// Whether the walk may stop once it knows that there are more than `limit`.
    pub(crate) stops_early: bool,
    /// What the found keys are sorted by.
    pub(crate) sort: Option<Sort>,
}

impl Order {
    /// What a request asks for. Unknown numbers, which doors refuse, mean what 0 means.
    pub(crate) fn of(request: &RangeRequest) -> Self {
        let order = SortOrder::try_from(request.sort_order).unwrap_or(SortOrder::None);
        let target = SortTarget::try_from(request.sort_target).unwrap_or(SortTarget::Key);
        let limit = match usize::try_from(request.limit) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(limit) => limit,
        };
        let descending = order == SortOrder::Descend;
        if target == SortTarget::Key {
            let direction = if descending { Direction::Descending } else { Direction::Ascending };
            return Self { direction, limit, stops_early: true, sort: None };
        }
        Self {
            direction: Direction::Ascending,
            limit,
            stops_early: order == SortOrder::None && !Filter::of(request).is_active(),
            sort: Some(Sort { target, descending }),
        }
    }
}

impl Sort {
    /// The order of two keys by their numbers. Equal for `Value`, which the numbers do not know.
    pub(crate) fn compare(&self, left: &KeyState, right: &KeyState) -> Ordering {
        let ordering = match self.target {
            SortTarget::Version => left.version.cmp(&right.version),
            SortTarget::Create => left.created.cmp(&right.created),
            SortTarget::Mod => left.modified.main.cmp(&right.modified.main),
            SortTarget::Key | SortTarget::Value => Ordering::Equal,
        };
        self.directed(ordering)
    }

    /// Turns an ascending order into the one that is wanted.
    pub(crate) fn directed(&self, ascending: Ordering) -> Ordering {
        if self.descending { ascending.reverse() } else { ascending }
    }
}

/// Bounds on the revisions of the keys that are wanted; 0 is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    min_mod: i64,
    max_mod: i64,
    min_create: i64,
    max_create: i64,
}

impl Filter {
    pub(crate) fn of(request: &RangeRequest) -> Self {
        Self {
            min_mod: request.min_mod_revision,
            max_mod: request.max_mod_revision,
            min_create: request.min_create_revision,
            max_create: request.max_create_revision,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        [self.min_mod, self.max_mod, self.min_create, self.max_create] != [0; 4]
    }

    pub(crate) fn admits(&self, state: &KeyState) -> bool {
        let within = |number: i64, min: i64, max: i64| {
            (min == 0 || number >= min) && (max == 0 || number <= max)
        };
        within(state.modified.main.0, self.min_mod, self.max_mod)
            && within(state.created.0, self.min_create, self.max_create)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(order: SortOrder, target: SortTarget) -> RangeRequest {
        RangeRequest {
            limit: 3,
            sort_order: order.into(),
            sort_target: target.into(),
            ..RangeRequest::default()
        }
    }

    #[test]
    fn key_order_walks_and_stops() {
        for (order, direction) in [
            (SortOrder::None, Direction::Ascending),
            (SortOrder::Ascend, Direction::Ascending),
            (SortOrder::Descend, Direction::Descending),
        ] {
            let order = Order::of(&request(order, SortTarget::Key));
            assert_eq!(order, Order { direction, limit: 3, stops_early: true, sort: None });
        }
    }

    #[test]
    fn other_orders_see_everything_but_for_etcds_exception() {
        let asked = Order::of(&request(SortOrder::Ascend, SortTarget::Mod));
        assert!(!asked.stops_early && asked.sort.is_some());
        let unasked = Order::of(&request(SortOrder::None, SortTarget::Mod));
        assert!(unasked.stops_early && unasked.sort.is_some_and(|sort| !sort.descending));
        let filtered =
            RangeRequest { min_mod_revision: 1, ..request(SortOrder::None, SortTarget::Mod) };
        assert!(!Order::of(&filtered).stops_early);
    }

    #[test]
    fn no_positive_limit_is_no_limit() {
        for limit in [0, -1, i64::MIN] {
            let order = Order::of(&RangeRequest { limit, ..RangeRequest::default() });
            assert_eq!(order.limit, usize::MAX);
        }
    }
}
