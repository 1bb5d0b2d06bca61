//! Linearizability of one key's history: Wing and Gong's search with Lowe's cache of visited
//! states.
//!
//! Revisions are not looked at. A register per key is enough, since linearizability is local: a
//! history is linearizable if each key's part is (Herlihy and Wing 1990, theorem 1).
//!
//! Invariants: an operation without an answer may take effect at any time after it was sent, or
//! never; the search is exhaustive within its budget.
//!
//! Must not know: what the store's revisions say.

use std::collections::HashSet;

use super::history::{Action, Operation, Swapped};

/// Steps of the search before it gives up.
const STEPS_MAX: u64 = 20_000_000;

/// Why a history was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No order explains it; how many operations the longest explanation covers, and the next one.
    Illegal {
        /// Operations in the longest explained beginning.
        explained: usize,
        /// The operation that no explanation got past.
        stuck_at: String,
    },
    /// The budget ran out.
    Undecided,
}

/// One end of an operation in time order.
#[derive(Debug, Clone, Copy)]
struct Moment {
    operation: usize,
    is_return: bool,
    next: usize,
    previous: usize,
}

/// The register: the number of the write whose value it holds; 0 is no value.
type State = usize;

/// Checks the operations of one key, which starts out absent.
pub fn check(operations: &[Operation]) -> Result<(), Refusal> {
    let mut search = Search::new(operations);
    search.run()
}

struct Search<'a> {
    operations: &'a [Operation],
    values: Vec<&'a str>,
    moments: Vec<Moment>,
    done: Vec<u64>,
    seen: HashSet<(Vec<u64>, State)>,
    /// Answers still to be explained.
    owed: usize,
}

const HEAD: usize = 0;

impl<'a> Search<'a> {
    fn new(operations: &'a [Operation]) -> Self {
        let mut values: Vec<&str> =
            operations.iter().filter_map(|op| written(&op.action)).collect();
        values.sort_unstable();
        values.dedup();
        let mut ends: Vec<(u64, bool, usize)> = Vec::with_capacity(operations.len() * 2);
        for (number, operation) in operations.iter().enumerate() {
            ends.push((operation.invoked_ns, false, number));
            ends.push((operation.returned_ns.unwrap_or(u64::MAX), true, number));
        }
        // A return at the moment of another's call came before it: the strictest reading.
        ends.sort_by_key(|&(time, is_return, number)| (time, !is_return, number));
        let mut moments = vec![Moment { operation: 0, is_return: false, next: 1, previous: 0 }];
        for (_, is_return, operation) in ends {
            let at = moments.len();
            moments.push(Moment { operation, is_return, next: at + 1, previous: at - 1 });
        }
        if let Some(last) = moments.last_mut() {
            last.next = HEAD;
        }
        let owed = operations.iter().filter(|operation| operation.returned_ns.is_some()).count();
        Self {
            operations,
            values,
            moments,
            done: vec![0; operations.len().div_ceil(64)],
            seen: HashSet::new(),
            owed,
        }
    }

    fn run(&mut self) -> Result<(), Refusal> {
        let returns = self.return_of_each();
        let mut state: State = 0;
        let mut taken: Vec<(usize, State)> = Vec::new();
        let mut at = self.moments[HEAD].next;
        let (mut longest, mut stuck_at) = (0, String::new());
        for _ in 0..STEPS_MAX {
            if self.owed == 0 {
                return Ok(());
            }
            let moment = self.moments[at];
            if at != HEAD && !moment.is_return {
                match self.after(moment.operation, state) {
                    Some(next) if self.first_visit(moment.operation, next) => {
                        taken.push((at, state));
                        state = next;
                        self.lift(at, returns[moment.operation]);
                        at = self.moments[HEAD].next;
                    }
                    _ => {
                        self.mark(moment.operation, false);
                        at = moment.next;
                    }
                }
                continue;
            }
            if at != HEAD && taken.len() >= longest {
                longest = taken.len();
                stuck_at = format!("{:?}", self.operations[moment.operation]);
            }
            let Some((back, before)) = taken.pop() else {
                return Err(Refusal::Illegal { explained: longest, stuck_at });
            };
            state = before;
            let operation = self.moments[back].operation;
            self.drop_back(back, returns[operation]);
            self.mark(operation, false);
            at = self.moments[back].next;
        }
        Err(Refusal::Undecided)
    }

    fn return_of_each(&self) -> Vec<usize> {
        let mut returns = vec![HEAD; self.operations.len()];
        for (at, moment) in self.moments.iter().enumerate().skip(1) {
            if moment.is_return {
                returns[moment.operation] = at;
            }
        }
        returns
    }

    /// The register after the operation, if the operation fits the register before it.
    fn after(&self, operation: usize, state: State) -> Option<State> {
        let found = |value: Option<&str>| match value {
            None => Some(0),
            Some(value) => self.values.binary_search(&value).ok().map(|index| index + 1),
        };
        let operation = &self.operations[operation];
        let answered = operation.returned_ns.is_some();
        match &operation.action {
            Action::Read { found: read } => {
                let value = read.as_ref().map(|found| found.value.as_str());
                (!answered || found(value)? == state).then_some(state)
            }
            Action::Write { value } => found(Some(value)),
            Action::Delete { existed } => {
                existed.is_none_or(|existed| existed == (state != 0)).then_some(0)
            }
            Action::Swap { expected, value, outcome } => {
                let matches = found(expected.as_deref()) == Some(state);
                match outcome {
                    Some(Swapped::Done) => matches.then(|| found(Some(value)))?,
                    Some(Swapped::Refused(seen)) => {
                        let seen = found(seen.as_ref().map(|found| found.value.as_str()))?;
                        (!matches && seen == state).then_some(state)
                    }
                    None if matches => found(Some(value)),
                    None => Some(state),
                }
            }
        }
    }

    fn first_visit(&mut self, operation: usize, next: State) -> bool {
        self.mark(operation, true);
        self.seen.insert((self.done.clone(), next))
    }

    fn mark(&mut self, operation: usize, done: bool) {
        let bit = 1 << (operation % 64);
        let word = &mut self.done[operation / 64];
        *word = if done { *word | bit } else { *word & !bit };
    }

    /// Takes both ends of an operation out of the list.
    fn lift(&mut self, call: usize, answer: usize) {
        for at in [call, answer] {
            let Moment { next, previous, operation, .. } = self.moments[at];
            self.moments[previous].next = next;
            if next != HEAD {
                self.moments[next].previous = previous;
            }
            if at == answer && self.operations[operation].returned_ns.is_some() {
                self.owed -= 1;
            }
        }
    }

    /// Puts both ends back where they were; the reverse order of [`Self::lift`].
    fn drop_back(&mut self, call: usize, answer: usize) {
        for at in [answer, call] {
            let Moment { next, previous, operation, .. } = self.moments[at];
            self.moments[previous].next = at;
            if next != HEAD {
                self.moments[next].previous = at;
            }
            if at == answer && self.operations[operation].returned_ns.is_some() {
                self.owed += 1;
            }
        }
    }
}

fn written(action: &Action) -> Option<&str> {
    match action {
        Action::Write { value } | Action::Swap { value, .. } => Some(value),
        Action::Read { .. } | Action::Delete { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, check};
    use crate::history::{Action, Found, Operation, Swapped};

    fn operation(invoked_ns: u64, returned_ns: Option<u64>, action: Action) -> Operation {
        Operation { client: 0, key: "k".into(), invoked_ns, returned_ns, revision: 0, action }
    }

    fn write(from: u64, to: Option<u64>, value: &str) -> Operation {
        operation(from, to, Action::Write { value: value.into() })
    }

    fn read(from: u64, to: u64, value: Option<&str>) -> Operation {
        let found = value.map(|value| Found { value: value.into(), mod_revision: 0 });
        operation(from, Some(to), Action::Read { found })
    }

    fn swap(from: u64, to: u64, expected: &str, value: &str, done: bool) -> Operation {
        let refused = Swapped::Refused(None);
        let outcome = Some(if done { Swapped::Done } else { refused });
        let (expected, value) = (Some(expected.to_owned()), value.to_owned());
        operation(from, Some(to), Action::Swap { expected, value, outcome })
    }

    #[test]
    fn a_sequential_history_is_accepted() {
        let history = [
            read(0, 1, None),
            write(2, Some(3), "a"),
            read(4, 5, Some("a")),
            swap(6, 7, "a", "b", true),
        ];
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn a_stale_read_is_refused() {
        let history = [write(0, Some(1), "a"), write(2, Some(3), "b"), read(4, 5, Some("a"))];
        assert!(matches!(check(&history), Err(Refusal::Illegal { .. })));
    }

    #[test]
    fn a_lost_write_is_refused() {
        let history = [write(0, Some(1), "a"), read(2, 3, None)];
        assert!(matches!(check(&history), Err(Refusal::Illegal { .. })));
    }

    #[test]
    fn concurrent_operations_may_take_either_order() {
        let both = [write(0, Some(10), "a"), write(0, Some(10), "b"), read(11, 12, Some("a"))];
        assert_eq!(check(&both), Ok(()));
        let flicker = [
            write(0, Some(10), "a"),
            write(0, Some(10), "b"),
            read(11, 12, Some("a")),
            read(13, 14, Some("b")),
        ];
        assert!(check(&flicker).is_err());
    }

    #[test]
    fn a_write_without_an_answer_may_show_late_or_never() {
        let late = [write(0, None, "a"), read(5, 6, None), read(7, 8, Some("a"))];
        assert_eq!(check(&late), Ok(()));
        let never = [write(0, None, "a"), read(5, 6, None), read(7, 8, None)];
        assert_eq!(check(&never), Ok(()));
        let gone_again = [write(0, None, "a"), read(5, 6, Some("a")), read(7, 8, None)];
        assert!(check(&gone_again).is_err());
    }

    #[test]
    fn two_swaps_from_one_value_cannot_both_succeed() {
        let history =
            [write(0, Some(1), "a"), swap(2, 9, "a", "b", true), swap(3, 8, "a", "c", true)];
        assert!(check(&history).is_err());
    }
}
