//! The objects of a resource at one moment, in order.
//!
//! A list of chunks of pointers, both shared by all snapshots that did not change them: taking a
//! snapshot copies a pointer, an update copies one chunk and the list of chunks.
//!
//! Invariants: objects are in the byte order of their places, which is the order of the store's
//! keys; no chunk is empty; no chunk has more than [`CHUNK_MAX`] objects.
//!
//! Must not know: revisions, watchers.

use std::sync::Arc;

use super::Object;
use super::limits::CHUNK_MAX;

type Chunk = Vec<Arc<Object>>;

/// All objects at one moment. Cloning is free.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    chunks: Arc<Vec<Arc<Chunk>>>,
    count: usize,
}

/// A place between two objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    chunk: usize,
    index: usize,
}

impl Snapshot {
    /// From objects in order.
    pub(super) fn of_sorted(objects: Vec<Arc<Object>>) -> Self {
        debug_assert!(objects.is_sorted_by(|a, b| a.place() < b.place()));
        let count = objects.len();
        // Half full: room for what comes.
        let chunks = objects.chunks(CHUNK_MAX / 2).map(|chunk| Arc::new(chunk.to_vec())).collect();
        Snapshot { chunks: Arc::new(chunks), count }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The object at a place.
    pub(super) fn get(&self, place: &str) -> Option<&Arc<Object>> {
        let chunk = self.chunks.get(self.chunk_of(place)?)?;
        let index = chunk.binary_search_by(|object| object.place().cmp(place)).ok()?;
        chunk.get(index)
    }

    /// Puts an object at its place, and answers the one that was there.
    pub(super) fn insert(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(at) = chunk_of(chunks, object.place()) else {
            chunks.push(Arc::new(vec![object]));
            self.count += 1;
            return None;
        };
        let chunk = Arc::make_mut(&mut chunks[at]);
        match chunk.binary_search_by(|other| other.place().cmp(object.place())) {
            Ok(index) => Some(std::mem::replace(&mut chunk[index], object)),
            Err(index) => {
                chunk.insert(index, object);
                self.count += 1;
                if chunk.len() > CHUNK_MAX {
                    let upper = chunk.split_off(CHUNK_MAX / 2);
                    chunks.insert(at + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    /// Takes away and answers the object at a place.
    pub(super) fn remove(&mut self, place: &str) -> Option<Arc<Object>> {
        self.get(place)?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let at = chunk_of(chunks, place)?;
        let chunk = Arc::make_mut(&mut chunks[at]);
        let index = chunk.binary_search_by(|object| object.place().cmp(place)).ok()?;
        let removed = chunk.remove(index);
        if chunk.is_empty() {
            chunks.remove(at);
        }
        self.count -= 1;
        Some(removed)
    }

    fn chunk_of(&self, place: &str) -> Option<usize> {
        chunk_of(&self.chunks, place)
    }

    /// Where the first object at or behind a place stands.
    pub(super) fn seek(&self, place: &str) -> Position {
        let Some(chunk) = self.chunk_of(place) else { return Position { chunk: 0, index: 0 } };
        let index = self.chunks[chunk].partition_point(|object| object.place() < place);
        self.normal(Position { chunk, index })
    }

    /// Behind the last object.
    pub(super) fn end(&self) -> Position {
        Position { chunk: self.chunks.len(), index: 0 }
    }

    /// The first and the end position of all places with a prefix.
    pub(super) fn range(&self, prefix: &str) -> (Position, Position) {
        if prefix.is_empty() {
            return (Position { chunk: 0, index: 0 }, self.end());
        }
        (self.seek(prefix), self.seek(&behind(prefix)))
    }

    /// The object at a position, and the position behind it.
    pub(super) fn at(&self, position: Position) -> Option<(&Arc<Object>, Position)> {
        let object = self.chunks.get(position.chunk)?.get(position.index)?;
        let next = Position { index: position.index + 1, ..position };
        Some((object, self.normal(next)))
    }

    /// The objects from one position to another.
    pub(super) fn between(
        &self,
        from: Position,
        to: Position,
    ) -> impl Iterator<Item = &Arc<Object>> {
        let mut position = from;
        std::iter::from_fn(move || {
            let (object, next) = self.at(position).filter(|_| position < to)?;
            position = next;
            Some(object)
        })
    }

    /// How many objects stand between two positions.
    pub(super) fn distance(&self, from: Position, to: Position) -> usize {
        self.before(to).saturating_sub(self.before(from))
    }

    fn before(&self, position: Position) -> usize {
        let whole: usize = self.chunks.iter().take(position.chunk).map(|chunk| chunk.len()).sum();
        whole + position.index
    }

    /// A position at a chunk's end is the next chunk's beginning.
    fn normal(&self, position: Position) -> Position {
        match self.chunks.get(position.chunk) {
            Some(chunk) if position.index >= chunk.len() => {
                Position { chunk: position.chunk + 1, index: 0 }
            }
            _ => position,
        }
    }
}

/// The chunk that has or would take the place; none if there is no chunk.
fn chunk_of(chunks: &[Arc<Chunk>], place: &str) -> Option<usize> {
    let first = |chunk: &Arc<Chunk>| chunk.first().is_some_and(|object| object.place() <= place);
    let behind = chunks.partition_point(first);
    (!chunks.is_empty()).then(|| behind.saturating_sub(1))
}

/// The first place behind all with a prefix, which ends with `/`: the next byte is `0`.
fn behind(prefix: &str) -> String {
    let stem = prefix.strip_suffix('/').unwrap_or(prefix);
    format!("{stem}0")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::cache::testing::object;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16),
        Remove(u16),
        Keep,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0_u16..1500).prop_map(Step::Insert),
            3 => (0_u16..1500).prop_map(Step::Remove),
            1 => Just(Step::Keep),
        ]
    }

    fn place(number: u16) -> String {
        // Namespaces whose names are prefixes of each other, around the slash in byte order.
        let namespaces = ["a", "a-b", "a.b", "a0", "b"];
        format!("{}/{number}", namespaces[usize::from(number) % namespaces.len()])
    }

    type Model = BTreeMap<String, u64>;

    fn check(snapshot: &Snapshot, model: &Model) {
        let all = snapshot.range("");
        let seen = snapshot.between(all.0, all.1);
        let seen: Vec<_> = seen.map(|o| (o.place().to_owned(), o.revision().0)).collect();
        let wanted: Vec<_> = model.iter().map(|(place, at)| (place.clone(), *at)).collect();
        assert_eq!(seen, wanted);
        assert_eq!(snapshot.len(), model.len());
        for prefix in ["a/", "a-b/", "b/", "none/"] {
            let (from, to) = snapshot.range(prefix);
            let wanted: Vec<_> = model.keys().filter(|key| key.starts_with(prefix)).collect();
            let seen: Vec<_> = snapshot.between(from, to).map(|o| o.place()).collect();
            assert_eq!(seen, wanted);
            assert_eq!(snapshot.distance(from, to), wanted.len());
        }
        for (place, revision) in model.iter().step_by(17) {
            assert_eq!(snapshot.get(place).map(|o| o.revision().0), Some(*revision));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn a_snapshot_is_an_ordered_map_and_later_changes_do_not_touch_it(
            steps in proptest::collection::vec(step(), 1..3000)
        ) {
            let (mut snapshot, mut model) = (Snapshot::default(), Model::new());
            let mut kept = Vec::new();
            for (at, step) in steps.into_iter().enumerate() {
                let revision = at as u64 + 1;
                match step {
                    Step::Insert(number) => {
                        let place = place(number);
                        let before = snapshot.insert(object(&place, revision));
                        let expected = model.insert(place, revision);
                        prop_assert_eq!(before.map(|o| o.revision().0), expected);
                    }
                    Step::Remove(number) => {
                        let place = place(number);
                        let before = snapshot.remove(&place).map(|o| o.revision().0);
                        prop_assert_eq!(before, model.remove(&place));
                    }
                    Step::Keep if kept.len() < 20 => kept.push((snapshot.clone(), model.clone())),
                    Step::Keep => {}
                }
            }
            check(&snapshot, &model);
            for (snapshot, model) in &kept {
                check(snapshot, model);
            }
        }
    }

    #[test]
    fn objects_in_order_make_the_snapshot_that_inserting_them_makes() {
        let objects: Vec<_> = (0..1000).map(|at| object(&format!("n/{at:04}"), at + 1)).collect();
        let snapshot = Snapshot::of_sorted(objects);
        let model = (0..1000).map(|at| (format!("n/{at:04}"), at + 1)).collect();
        check(&snapshot, &model);
    }
}
