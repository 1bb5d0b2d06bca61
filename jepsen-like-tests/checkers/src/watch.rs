//! A watch against the store's order: nothing missing, nothing twice, nothing out of place.
//!
//! Must not know: how many streams carried the watch; a resumed watch is one watch.

use super::history::Change;

/// What is wrong with a watch that started at `start_revision` on every key, or nothing.
///
/// `complete_to`: the revision up to which it must have been told everything.
#[must_use]
pub fn check(
    order: &[Change],
    seen: &[Change],
    start_revision: i64,
    complete_to: i64,
) -> Option<String> {
    let expected: Vec<&Change> =
        order.iter().filter(|change| change.revision >= start_revision).collect();
    for (number, change) in seen.iter().enumerate() {
        match expected.get(number) {
            Some(right) if *right == change => {}
            Some(right) => {
                return Some(format!("event {number} is {change:?}, but the order says {right:?}"));
            }
            None => return Some(format!("event {number} is beyond the order's end: {change:?}")),
        }
    }
    let missing = expected.get(seen.len())?;
    (missing.revision <= complete_to).then(|| format!("{missing:?} was never delivered"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::history::Change;

    fn changes(revisions: &[i64]) -> Vec<Change> {
        revisions
            .iter()
            .map(|&revision| Change { revision, key: format!("k{revision}"), value: None })
            .collect()
    }

    #[test]
    fn the_order_itself_is_accepted_also_from_its_middle() {
        let order = changes(&[2, 3, 4]);
        assert_eq!(check(&order, &order, 1, 4), None);
        assert_eq!(check(&order, &order[1..], 3, 4), None);
    }

    #[test]
    fn a_gap_a_repeat_and_a_swap_are_refused() {
        let order = changes(&[2, 3, 4]);
        for wrong in [changes(&[2, 4]), changes(&[2, 2, 3, 4]), changes(&[3, 2, 4])] {
            assert!(check(&order, &wrong, 1, 4).is_some());
        }
    }

    #[test]
    fn a_short_watch_is_refused_up_to_where_it_must_be_complete() {
        let order = changes(&[2, 3, 4]);
        assert!(check(&order, &order[..2], 1, 4).is_some());
        assert_eq!(check(&order, &order[..2], 1, 3), None);
    }
}
