//! The order that revisions claim, against what clients saw: fast, and exact about what is wrong.
//!
//! Given the store's own order of changes (what a watch from the beginning delivers), every answer
//! must agree with it: an acknowledged write is there at its revision, a read shows the key as it
//! was at the answer's revision, and no answer is older than one that had come before the request
//! was sent.
//!
//! Must not know: where the order came from.

use std::collections::{BTreeMap, HashMap};

use super::history::{Action, Change, Found, Operation, Swapped};

/// The changes of a store from its first revision on, indexed.
#[derive(Debug)]
pub struct Order {
    by_revision: BTreeMap<i64, Vec<Change>>,
    by_key: HashMap<String, Vec<(i64, Option<String>)>>,
    by_value: HashMap<String, i64>,
}

impl Order {
    /// Indexes the changes; they must be in order, and no revision may be missing after the first.
    pub fn new(changes: &[Change]) -> Result<Self, String> {
        let mut order =
            Self { by_revision: BTreeMap::new(), by_key: HashMap::new(), by_value: HashMap::new() };
        let mut last: Option<i64> = None;
        for change in changes {
            if let Some(last) = last.filter(|last| !(*last..=last + 1).contains(&change.revision)) {
                return Err(format!("revision {} follows {last}", change.revision));
            }
            last = Some(change.revision);
            order.by_revision.entry(change.revision).or_default().push(change.clone());
            let states = order.by_key.entry(change.key.clone()).or_default();
            states.push((change.revision, change.value.clone()));
            if let Some(value) = &change.value {
                order.by_value.insert(value.clone(), change.revision);
            }
        }
        Ok(order)
    }

    /// The revision that wrote this unique value, if any did.
    #[must_use]
    pub fn wrote(&self, value: &str) -> Option<i64> {
        self.by_value.get(value).copied()
    }

    /// How often the key was deleted.
    #[must_use]
    pub fn deletes(&self, key: &str) -> usize {
        let states = self.by_key.get(key).map_or(&[][..], Vec::as_slice);
        states.iter().filter(|(_, value)| value.is_none()).count()
    }

    /// The key as it was at the revision.
    fn at(&self, key: &str, revision: i64) -> Option<Found> {
        let states = self.by_key.get(key)?;
        let until = states.partition_point(|(at, _)| *at <= revision);
        let (mod_revision, value) = states.get(until.checked_sub(1)?)?;
        Some(Found { value: value.clone()?, mod_revision: *mod_revision })
    }

    fn changed(&self, key: &str, revision: i64) -> Option<&Change> {
        self.by_revision.get(&revision)?.iter().find(|change| change.key == key)
    }
}

/// Everything that contradicts the order, in words; empty is agreement.
#[must_use]
pub fn check(order: &Order, operations: &[Operation]) -> Vec<String> {
    let mut wrong: Vec<String> = operations
        .iter()
        .filter(|operation| operation.returned_ns.is_some())
        .filter_map(|operation| {
            disagreement(order, operation).map(|what| format!("{what}: {operation:?}"))
        })
        .collect();
    wrong.extend(real_time(operations));
    wrong
}

fn disagreement(order: &Order, operation: &Operation) -> Option<String> {
    let Operation { key, revision, action, .. } = operation;
    let change = || order.changed(key, *revision);
    match action {
        Action::Read { found } => differs(order, key, *revision, found.as_ref()),
        Action::Write { value } => match change() {
            Some(change) if change.value.as_ref() == Some(value) => None,
            found => Some(format!("an acknowledged write is not at its revision, but {found:?}")),
        },
        Action::Delete { existed: Some(true) } => match change() {
            Some(change) if change.value.is_none() => None,
            found => Some(format!("an acknowledged delete is not at its revision, but {found:?}")),
        },
        Action::Delete { .. } => differs(order, key, *revision, None),
        Action::Swap { expected, value, outcome: Some(Swapped::Done) } => {
            let before = order.at(key, revision - 1).map(|found| found.value);
            let after = change().and_then(|change| change.value.as_ref());
            (before != *expected || after != Some(value))
                .then(|| format!("a swap that succeeded met {before:?} and left {after:?}"))
        }
        Action::Swap { outcome: Some(Swapped::Refused(found)), .. } => {
            differs(order, key, *revision, found.as_ref())
        }
        Action::Swap { outcome: None, .. } => None,
    }
}

fn differs(order: &Order, key: &str, revision: i64, found: Option<&Found>) -> Option<String> {
    let expected = order.at(key, revision);
    (expected.as_ref() != found).then(|| format!("at revision {revision} the key was {expected:?}"))
}

/// No answer may carry a revision below one that had been returned before the request was sent.
fn real_time(operations: &[Operation]) -> Vec<String> {
    let mut returned: Vec<(u64, i64)> =
        operations.iter().filter_map(|op| op.returned_ns.map(|at| (at, op.revision))).collect();
    returned.sort_unstable();
    let mut highest = 0;
    for (_, revision) in &mut returned {
        highest = highest.max(*revision);
        *revision = highest;
    }
    let answered = operations.iter().filter(|operation| operation.returned_ns.is_some());
    answered
        .filter_map(|operation| {
            let earlier = returned.partition_point(|(at, _)| *at < operation.invoked_ns);
            let (_, known) = returned.get(earlier.checked_sub(1)?)?;
            (operation.revision < *known).then(|| {
                format!("revision {known} had been returned before this was sent: {operation:?}")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Order, check};
    use crate::history::{Action, Change, Found, Operation};

    fn order() -> Order {
        let change = |revision, value: Option<&str>| Change {
            revision,
            key: "k".into(),
            value: value.map(str::to_owned),
        };
        Order::new(&[change(2, Some("a")), change(3, Some("b")), change(4, None)]).expect("no gap")
    }

    fn operation(from: u64, to: u64, revision: i64, action: Action) -> Operation {
        let key = "k".into();
        Operation { client: 0, key, invoked_ns: from, returned_ns: Some(to), revision, action }
    }

    fn read(from: u64, to: u64, revision: i64, found: Option<(&str, i64)>) -> Operation {
        let found = found.map(|(value, mod_revision)| Found { value: value.into(), mod_revision });
        operation(from, to, revision, Action::Read { found })
    }

    #[test]
    fn answers_that_fit_the_order_are_accepted() {
        let write = operation(0, 1, 2, Action::Write { value: "a".into() });
        let history = [write, read(2, 3, 3, Some(("b", 3))), read(4, 5, 4, None)];
        assert_eq!(check(&order(), &history), Vec::<String>::new());
    }

    #[test]
    fn an_acknowledged_write_that_is_not_there_is_named() {
        let lost = operation(0, 1, 2, Action::Write { value: "z".into() });
        assert_eq!(check(&order(), &[lost]).len(), 1);
    }

    #[test]
    fn a_read_of_another_time_is_named() {
        assert_eq!(check(&order(), &[read(0, 1, 3, Some(("a", 2)))]).len(), 1);
    }

    #[test]
    fn an_answer_older_than_an_earlier_one_is_named() {
        let history = [read(0, 1, 3, Some(("b", 3))), read(2, 3, 2, Some(("a", 2)))];
        assert_eq!(check(&order(), &history).len(), 1);
    }

    #[test]
    fn a_missing_revision_is_named() {
        let change = |revision| Change { revision, key: "k".into(), value: None };
        assert!(Order::new(&[change(2), change(4)]).is_err());
    }
}
