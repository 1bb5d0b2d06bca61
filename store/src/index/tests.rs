//! The tree against the plain model: the same steps, the same answers, and snapshots that stay as
//! they were.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{At, Compaction, KeyIndex, KeyState, Model};
use crate::engine::Direction;
use crate::types::{Revision, RowRevision};

#[derive(Clone, Debug)]
enum Action {
    Put(u16),
    Tombstone(u16),
    /// All keys between two, in one revision.
    TombstoneRange(u16, u16),
    Compact {
        back: i64,
        rows_max: usize,
    },
    Snapshot,
}

/// A few hundred keys with shared beginnings, one a beginning of another.
fn key(number: u16) -> Vec<u8> {
    let group = ["", "/a/", "/a/b/", "/registry/pods/default/", "\u{ff}"][usize::from(number % 5)];
    format!("{group}{}", number / 5 % 200).into_bytes()
}

fn action() -> impl Strategy<Value = Action> {
    let compact = (0..60_i64, prop_oneof![1..8_usize, Just(usize::MAX)]);
    prop_oneof![
        20 => any::<u16>().prop_map(Action::Put),
        6 => any::<u16>().prop_map(Action::Tombstone),
        1 => any::<(u16, u16)>().prop_map(|(one, other)| Action::TombstoneRange(one, other)),
        1 => compact.prop_map(|(back, rows_max)| Action::Compact { back, rows_max }),
        1 => Just(Action::Snapshot),
    ]
}

/// Both indexes, written to alike.
#[derive(Clone, Default)]
struct Pair {
    tree: KeyIndex,
    model: Model,
    revision: i64,
    compacted: i64,
}

impl Pair {
    fn take(&mut self, action: &Action) {
        match action {
            Action::Put(number) => {
                self.revision += 1;
                let at = RowRevision::new(self.revision, 0);
                let key = key(*number);
                assert_eq!(self.tree.put(&key, at), self.model.put(&key, at));
            }
            Action::Tombstone(number) => {
                let at = RowRevision::new(self.revision + 1, 0);
                self.tombstone(&key(*number), at);
                self.revision += 1;
            }
            Action::TombstoneRange(one, other) => {
                let (from, to) = (key(*one), key(*other));
                let keys =
                    scan_tree(&self.tree, &from, Some(&to), At::Latest, Direction::Ascending);
                for (sub, (key, _)) in (0..).zip(keys) {
                    self.tombstone(&key, RowRevision::new(self.revision + 1, sub));
                }
                self.revision += 1;
            }
            Action::Compact { back, rows_max } => self.compact(*back, *rows_max),
            Action::Snapshot => {}
        }
    }

    fn tombstone(&mut self, key: &[u8], at: RowRevision) {
        assert_eq!(self.tree.tombstone(key, at), self.model.tombstone(key, at));
    }

    fn compact(&mut self, back: i64, rows_max: usize) {
        self.compacted = self.compacted.max(self.revision - back);
        let at = Revision(self.compacted);
        let expected = self.model.compact(&mut Compaction::new(at), usize::MAX);
        let (mut compaction, mut dropped) = (Compaction::new(at), Vec::new());
        while !compaction.is_done() {
            let step = self.tree.compact(&mut compaction, rows_max);
            assert!(step.len() <= rows_max);
            dropped.extend(step);
        }
        assert_eq!(dropped, expected);
    }

    /// Every question that the index answers, at every moment that can be asked for.
    fn compare(&self, from: &[u8], to: Option<&[u8]>) {
        self.tree.check();
        assert_eq!(self.tree.live(), self.model.live());
        assert_eq!(self.tree.present(), self.model.present());
        let old = [self.compacted, (self.compacted + self.revision) / 2, self.revision];
        let moments = old.map(|main| At::Revision(Revision(main)));
        for at in moments.into_iter().chain([At::Latest]) {
            assert_eq!(self.tree.count(from, to, at), self.model.count(from, to, at));
            for direction in [Direction::Ascending, Direction::Descending] {
                let tree = scan_tree(&self.tree, from, to, at, direction);
                let mut model = Vec::new();
                self.model.scan(from, to, at, direction, &mut |key, state| {
                    model.push((key.to_vec(), state));
                    ControlFlow::Continue(())
                });
                assert_eq!(tree, model);
            }
        }
        for n in [0, 1, self.model.live() / 2, self.model.live()] {
            assert_eq!(self.tree.nth(from, to, n), self.model.nth(from, to, n));
        }
    }

    fn compare_histories(&self) {
        let mut rows = 0;
        for number in 0..1000 {
            let key = key(number);
            let history = self.model.history(&key);
            assert_eq!(self.tree.history(&key), history);
            for at in [self.compacted, self.revision] {
                let at = Revision(at);
                assert_eq!(self.tree.kept(&key, at), self.model.kept(&key, at));
            }
            rows += history.len() as u64;
        }
        assert_eq!(self.tree.rows(), rows);
    }
}

fn scan_tree(
    tree: &KeyIndex,
    from: &[u8],
    to: Option<&[u8]>,
    at: At,
    direction: Direction,
) -> Vec<(Vec<u8>, KeyState)> {
    let mut found = Vec::new();
    tree.scan(from, to, at, direction, &mut |key, state| {
        found.push((key.to_vec(), state));
        ControlFlow::Continue(())
    });
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn tree_answers_as_the_model(
        actions in prop::collection::vec(action(), 1..500),
        from in any::<u16>(),
        to in prop::option::of(any::<u16>()),
    ) {
        let (from, to) = (key(from), to.map(key));
        let (mut pair, mut snapshots) = (Pair::default(), Vec::new());
        for action in &actions {
            pair.take(action);
            if matches!(action, Action::Snapshot) {
                snapshots.push(pair.clone());
            }
        }
        for pair in snapshots.iter().chain([&pair]) {
            pair.compare(&from, to.as_deref());
            pair.compare(&[], None);
            pair.compare_histories();
        }
    }
}

/// Fills, empties and refills: nodes split, join and vanish at every level.
#[test]
fn tree_shrinks_when_its_keys_are_compacted_away() {
    let mut tree = KeyIndex::new();
    let key = |number: i64| format!("{:08}", number * 7919 % 20_000).into_bytes();
    for number in 0..20_000 {
        tree.put(&key(number), RowRevision::new(number + 2, 0));
    }
    tree.check();
    let full = tree.heap_bytes();
    for number in 0..19_900 {
        tree.tombstone(&key(number), RowRevision::new(30_000 + number, 0));
    }
    let mut compaction = Compaction::new(Revision(60_000));
    let mut dropped = 0;
    while !compaction.is_done() {
        dropped += tree.compact(&mut compaction, 1000).len();
        tree.check();
    }
    assert_eq!((dropped, tree.live(), tree.present()), (39_800, 100, 100));
    assert!(tree.heap_bytes() * 30 < full, "{} of {full}", tree.heap_bytes());
    tree.put(&key(0), RowRevision::new(70_000, 0));
    tree.check();
}

#[test]
fn a_compaction_step_is_bounded_by_leaves_read_too() {
    let mut tree = KeyIndex::new();
    for number in 0..10_000_i64 {
        let key = number.to_be_bytes();
        tree.put(&key, RowRevision::new(2 * number + 2, 0));
        tree.put(&key, RowRevision::new(2 * number + 3, 0));
    }
    // Nothing is old enough, but every leaf has superseded rows.
    let (mut compaction, mut steps) = (Compaction::new(Revision(1)), 0);
    while !compaction.is_done() {
        assert!(tree.compact(&mut compaction, 10).is_empty());
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
}

#[test]
fn a_restored_tombstone_may_stand_alone() {
    let mut tree = KeyIndex::new();
    let at = RowRevision::new(7, 0);
    tree.restore(b"gone", super::HistoryRow { at, state: None });
    assert_eq!((tree.live(), tree.present(), tree.rows()), (0, 1, 1));
    assert_eq!(tree.tombstone(b"gone", RowRevision::new(8, 0)), None);
    assert_eq!(tree.put(b"gone", RowRevision::new(9, 0)).version, 1);
    tree.check();
}
