//! Which groups an event concerns: single keys by hash, ranges by the interval tree.
//!
//! Invariant: a slot is under exactly the span it was inserted with. Nothing iterates the hash map,
//! so its order reaches nobody.

use std::collections::HashMap;

use bytes::Bytes;

use crate::interest::Span;
use crate::interval::{IntervalTree, Slot};

/// Spans and the slots that stand under them.
#[derive(Default)]
pub(crate) struct SpanIndex {
    keys: HashMap<Bytes, Vec<Slot>>,
    ranges: IntervalTree,
}

impl SpanIndex {
    /// Adds `slot` under `span`.
    pub(crate) fn insert(&mut self, span: &Span, slot: Slot) {
        match span {
            Span::Key(key) => self.keys.entry(key.clone()).or_default().push(slot),
            Span::Range(start, end) => self.ranges.insert(start, end, slot),
        }
    }

    /// Takes away what [`SpanIndex::insert`] added.
    pub(crate) fn remove(&mut self, span: &Span, slot: Slot) {
        match span {
            Span::Key(key) => {
                let Some(slots) = self.keys.get_mut(key) else { return };
                slots.retain(|own| *own != slot);
                if slots.is_empty() {
                    self.keys.remove(key);
                }
            }
            Span::Range(start, end) => self.ranges.remove(start, end, slot),
        }
    }

    /// Calls `visit` with every slot whose span holds `key`: O(log n + hits).
    pub(crate) fn visit(&self, key: &[u8], visit: &mut impl FnMut(Slot)) {
        if let Some(slots) = self.keys.get(key) {
            slots.iter().for_each(|slot| visit(*slot));
        }
        self.ranges.visit(key, visit);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::interest::End;

    fn key() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(0u8..4, 1..4).prop_map(Bytes::from)
    }

    fn span() -> impl Strategy<Value = Span> {
        prop_oneof![
            key().prop_map(Span::Key),
            key().prop_map(|start| Span::Range(start, End::Unbounded)),
            (key(), key()).prop_map(|(start, end)| Span::Range(start, End::Before(end))),
        ]
    }

    proptest! {
        /// Same hits as asking every span, after any insertions and removals.
        #[test]
        fn index_and_linear_search_agree(
            steps in prop::collection::vec((span(), any::<bool>(), any::<Index>()), 0..80),
            keys in prop::collection::vec(key(), 1..20),
        ) {
            let mut index = SpanIndex::default();
            let mut linear: Vec<(Span, Slot)> = Vec::new();
            for (slot, (span, removes, which)) in steps.into_iter().enumerate() {
                if removes && !linear.is_empty() {
                    let (span, slot) = linear.swap_remove(which.index(linear.len()));
                    index.remove(&span, slot);
                } else {
                    index.insert(&span, slot as Slot);
                    linear.push((span, slot as Slot));
                }
                for key in &keys {
                    let mut hits = Vec::new();
                    index.visit(key, &mut |slot| hits.push(slot));
                    hits.sort_unstable();
                    let mut expected: Vec<Slot> = linear
                        .iter()
                        .filter(|(span, _)| span.contains(key))
                        .map(|(_, slot)| *slot)
                        .collect();
                    expected.sort_unstable();
                    prop_assert_eq!(hits, expected);
                }
            }
        }
    }
}
