//! Ranges of keys, and which of them hold a key, in O(log n + hits).
//!
//! A treap ordered by (start, end). Each node also knows the farthest end below it, so that a
//! search leaves out subtrees that end before the key. Priorities come from a counter through a
//! mixing function: deterministic, and as good as random for the shape.
//!
//! Invariants: a node holds at least one slot; no two nodes have equal ranges; `farthest` is the
//! node with the greatest end of the subtree.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::interest::End;

/// What the index gives back: the place of a group in its list.
pub(crate) type Slot = u32;

type NodeId = u32;
const NONE: NodeId = u32::MAX;

struct Node {
    start: Bytes,
    end: End,
    slots: Vec<Slot>,
    priority: u64,
    left: NodeId,
    right: NodeId,
    farthest: NodeId,
}

/// The set of ranges.
pub(crate) struct IntervalTree {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    root: NodeId,
    inserted: u64,
}

impl Default for IntervalTree {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), root: NONE, inserted: 0 }
    }
}

impl IntervalTree {
    /// Adds `slot` under the range. The same slot is added to a range at most once.
    pub(crate) fn insert(&mut self, start: &Bytes, end: &End, slot: Slot) {
        if let Some(node) = self.find(start, end) {
            self.node_mut(node).slots.push(slot);
            return;
        }
        let (left, right) = self.split(self.root, start, end);
        let node = self.allocate(start.clone(), end.clone(), slot);
        let left = self.merge(left, node);
        self.root = self.merge(left, right);
    }

    /// Takes `slot` away from the range, and the range away with its last slot.
    pub(crate) fn remove(&mut self, start: &Bytes, end: &End, slot: Slot) {
        let Some(node) = self.find(start, end) else { return };
        let slots = &mut self.node_mut(node).slots;
        slots.retain(|own| *own != slot);
        if slots.is_empty() {
            self.root = self.erase(self.root, start, end);
        }
    }

    /// Calls `visit` with every slot whose range holds `key`.
    pub(crate) fn visit(&self, key: &[u8], visit: &mut impl FnMut(Slot)) {
        self.visit_below(self.root, key, visit);
    }

    fn visit_below(&self, at: NodeId, key: &[u8], visit: &mut impl FnMut(Slot)) {
        if at == NONE || !self.node(self.node(at).farthest).end.is_after(key) {
            return;
        }
        let node = self.node(at);
        self.visit_below(node.left, key, visit);
        if &node.start[..] > key {
            return;
        }
        if node.end.is_after(key) {
            node.slots.iter().for_each(|slot| visit(*slot));
        }
        self.visit_below(node.right, key, visit);
    }

    fn find(&self, start: &Bytes, end: &End) -> Option<NodeId> {
        let mut at = self.root;
        while at != NONE {
            match self.order(start, end, at) {
                Ordering::Less => at = self.node(at).left,
                Ordering::Equal => return Some(at),
                Ordering::Greater => at = self.node(at).right,
            }
        }
        None
    }

    /// Cuts the subtree into what is before (start, end) and what is not.
    fn split(&mut self, at: NodeId, start: &Bytes, end: &End) -> (NodeId, NodeId) {
        if at == NONE {
            return (NONE, NONE);
        }
        if self.order(start, end, at) == Ordering::Greater {
            let (left, right) = self.split(self.node(at).right, start, end);
            self.node_mut(at).right = left;
            self.refresh(at);
            (at, right)
        } else {
            let (left, right) = self.split(self.node(at).left, start, end);
            self.node_mut(at).left = right;
            self.refresh(at);
            (left, at)
        }
    }

    /// Joins two subtrees, all of `left` being before all of `right`.
    fn merge(&mut self, left: NodeId, right: NodeId) -> NodeId {
        if left == NONE || right == NONE {
            return if left == NONE { right } else { left };
        }
        if self.node(left).priority >= self.node(right).priority {
            let below = self.merge(self.node(left).right, right);
            self.node_mut(left).right = below;
            self.refresh(left);
            left
        } else {
            let below = self.merge(left, self.node(right).left);
            self.node_mut(right).left = below;
            self.refresh(right);
            right
        }
    }

    fn erase(&mut self, at: NodeId, start: &Bytes, end: &End) -> NodeId {
        if at == NONE {
            return NONE;
        }
        match self.order(start, end, at) {
            Ordering::Equal => {
                let merged = self.merge(self.node(at).left, self.node(at).right);
                self.release(at);
                return merged;
            }
            Ordering::Less => {
                let left = self.erase(self.node(at).left, start, end);
                self.node_mut(at).left = left;
            }
            Ordering::Greater => {
                let right = self.erase(self.node(at).right, start, end);
                self.node_mut(at).right = right;
            }
        }
        self.refresh(at);
        at
    }

    fn refresh(&mut self, at: NodeId) {
        let mut farthest = at;
        for child in [self.node(at).left, self.node(at).right] {
            if child != NONE {
                let candidate = self.node(child).farthest;
                if self.node(candidate).end > self.node(farthest).end {
                    farthest = candidate;
                }
            }
        }
        self.node_mut(at).farthest = farthest;
    }

    fn order(&self, start: &Bytes, end: &End, at: NodeId) -> Ordering {
        let node = self.node(at);
        start.cmp(&node.start).then_with(|| end.cmp(&node.end))
    }

    fn allocate(&mut self, start: Bytes, end: End, slot: Slot) -> NodeId {
        self.inserted += 1;
        let priority = mix(self.inserted);
        let node =
            Node { start, end, slots: vec![slot], priority, left: NONE, right: NONE, farthest: 0 };
        let id = match self.free.pop() {
            Some(id) => {
                self.nodes[id as usize] = node;
                id
            }
            None => {
                self.nodes.push(node);
                NodeId::try_from(self.nodes.len() - 1)
                    .expect("fewer than 2^32 ranges fit in memory")
            }
        };
        self.node_mut(id).farthest = id;
        id
    }

    fn release(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        node.start = Bytes::new();
        node.end = End::Unbounded;
        node.slots = Vec::new();
        self.free.push(id);
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }
}

/// Spreads a counter over 64 bits (the finalizer of SplitMix64, Steele et al. 2014).
fn mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(tree: &IntervalTree, at: NodeId) -> usize {
        match at {
            NONE => 0,
            _ => {
                let node = tree.node(at);
                1 + depth(tree, node.left).max(depth(tree, node.right))
            }
        }
    }

    #[test]
    fn ranges_inserted_in_order_stay_shallow() {
        let mut tree = IntervalTree::default();
        for n in 0..10_000u32 {
            tree.insert(&Bytes::from(format!("{n:06}")), &End::Unbounded, n);
        }
        assert!(depth(&tree, tree.root) < 60, "depth {}", depth(&tree, tree.root));
    }

    #[test]
    fn a_removed_range_leaves_no_node() {
        let mut tree = IntervalTree::default();
        let (start, end) = (Bytes::from_static(b"a"), End::Before(Bytes::from_static(b"b")));
        tree.insert(&start, &end, 1);
        tree.insert(&start, &end, 2);
        tree.remove(&start, &end, 1);
        assert_ne!(tree.root, NONE);
        tree.remove(&start, &end, 2);
        assert_eq!(tree.root, NONE);
        assert_eq!(tree.free.len(), tree.nodes.len());
    }
}
