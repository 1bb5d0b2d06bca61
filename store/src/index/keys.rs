//! Sorted keys packed into one piece of memory, without the prefix that all of them share.
//!
//! Invariants: keys rise strictly; `bytes` is the shared prefix followed by the suffixes in order;
//! `ends[i]` is where suffix `i` ends. The prefix may be shorter than it could be, never longer.
//!
//! One allocation instead of one per key, and a copy is a `memcpy`: that is what copy-on-write
//! nodes need.

use std::cmp::Ordering;
use std::ops::Range;

/// See the module's page.
#[derive(Clone, Debug, Default)]
pub(super) struct PackedKeys {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    prefix: u32,
}

impl PackedKeys {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn prefix(&self) -> &[u8] {
        &self.bytes[..self.prefix as usize]
    }

    fn start(&self, at: usize) -> usize {
        if at == 0 { self.prefix as usize } else { self.ends[at - 1] as usize }
    }

    fn suffix(&self, at: usize) -> &[u8] {
        &self.bytes[self.start(at)..self.ends[at] as usize]
    }

    /// Puts the key into a buffer, in place of what is there.
    pub(super) fn read(&self, at: usize, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(self.prefix());
        buffer.extend_from_slice(self.suffix(at));
    }

    pub(super) fn key(&self, at: usize) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix().len() + self.suffix(at).len());
        self.read(at, &mut key);
        key
    }

    /// The place of a key, or the place where it would be.
    pub(super) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(suffix) = key.strip_prefix(self.prefix()) else {
            // All keys begin with the prefix: they are together below or above this one.
            return Err(if key < self.prefix() { 0 } else { self.len() });
        };
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.suffix(middle).cmp(suffix) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// The number of keys below `key`.
    pub(super) fn below(&self, key: &[u8]) -> usize {
        self.search(key).unwrap_or_else(|place| place)
    }

    /// The number of keys at or below `key`.
    pub(super) fn at_or_below(&self, key: &[u8]) -> usize {
        self.search(key).map_or_else(|place| place, |place| place + 1)
    }

    /// Adds a key at its place, as [`PackedKeys::search`] told it.
    pub(super) fn insert(&mut self, at: usize, key: &[u8]) {
        if self.ends.is_empty() {
            // Alone, a key is all suffix: a prefix of its own would be undone by the next key.
            self.bytes.clear();
            self.prefix = 0;
        }
        let shared = common_prefix(self.prefix(), key);
        if shared < self.prefix as usize {
            *self = self.rebuilt(0..self.len(), shared);
        }
        let suffix = &key[self.prefix as usize..];
        let (start, old_end) = (self.start(at), self.bytes.len());
        grow(&mut self.bytes, suffix.len());
        self.bytes.resize(old_end + suffix.len(), 0);
        self.bytes.copy_within(start..old_end, start + suffix.len());
        self.bytes[start..start + suffix.len()].copy_from_slice(suffix);
        grow(&mut self.ends, 1);
        self.ends.insert(at, offset(start));
        for end in &mut self.ends[at..] {
            *end += offset(suffix.len());
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        let range = self.start(at)..self.ends[at] as usize;
        let length = offset(range.len());
        self.bytes.drain(range);
        self.ends.remove(at);
        for end in &mut self.ends[at..] {
            *end -= length;
        }
    }

    /// A tight copy of some of the keys, with the longest prefix they share.
    pub(super) fn part(&self, places: Range<usize>) -> Self {
        let shared = match places.len() {
            0 | 1 => 0,
            _ => {
                let (first, last) = (self.suffix(places.start), self.suffix(places.end - 1));
                // Sorted: what the first and the last share, all share.
                self.prefix().len() + common_prefix(first, last)
            }
        };
        self.rebuilt(places, shared)
    }

    /// Adds the keys of `above`, all of which are larger.
    pub(super) fn append(&mut self, above: &PackedKeys) {
        for place in 0..above.len() {
            self.insert(self.len(), &above.key(place));
        }
    }

    /// A copy whose prefix is the first `prefix` bytes of each key.
    fn rebuilt(&self, places: Range<usize>, prefix: usize) -> Self {
        if places.is_empty() {
            return Self::default();
        }
        let old = self.prefix().len();
        let suffixes: usize = places.clone().map(|place| self.suffix(place).len()).sum();
        let length = prefix + suffixes + places.len() * old - places.len() * prefix;
        let mut bytes = Vec::with_capacity(length);
        let mut ends = Vec::with_capacity(places.len());
        bytes.extend_from_slice(&self.key(places.start)[..prefix]);
        for place in places {
            if prefix < old {
                bytes.extend_from_slice(&self.prefix()[prefix..]);
                bytes.extend_from_slice(self.suffix(place));
            } else {
                bytes.extend_from_slice(&self.suffix(place)[prefix - old..]);
            }
            ends.push(offset(bytes.len()));
        }
        Self { bytes, ends, prefix: offset(prefix) }
    }

    /// *Units*: bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

/// Makes room as an eighth of what is there: doubling would leave a quarter of the index's memory
/// unused.
pub(super) fn grow<T>(vec: &mut Vec<T>, more: usize) {
    if vec.capacity() - vec.len() < more {
        vec.reserve_exact(more.max(vec.len() / 8).max(2));
    }
}

fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("a node's keys are far below 4 GiB: requests are bounded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys_of(packed: &PackedKeys) -> Vec<Vec<u8>> {
        (0..packed.len()).map(|place| packed.key(place)).collect()
    }

    proptest! {
        #[test]
        fn behaves_as_a_sorted_list_of_keys(
            steps in prop::collection::vec((any::<bool>(), "(ab?|abc|)[a-c]{0,4}"), 0..60),
            cut in 0_usize..60,
        ) {
            let (mut packed, mut plain) = (PackedKeys::default(), Vec::<Vec<u8>>::new());
            for (add, key) in steps {
                let key = key.into_bytes();
                prop_assert_eq!(packed.search(&key), plain.binary_search(&key));
                match (packed.search(&key), add) {
                    (Err(place), true) => {
                        packed.insert(place, &key);
                        plain.insert(place, key);
                    }
                    (Ok(place), false) => {
                        packed.remove(place);
                        plain.remove(place);
                    }
                    _ => {}
                }
                prop_assert_eq!(keys_of(&packed), plain.clone());
            }
            let cut = cut.min(plain.len());
            let (mut below, above) = (packed.part(0..cut), packed.part(cut..plain.len()));
            prop_assert_eq!(keys_of(&below), &plain[..cut]);
            prop_assert_eq!(keys_of(&above), &plain[cut..]);
            below.append(&above);
            prop_assert_eq!(keys_of(&below), plain);
        }
    }

    #[test]
    fn a_shared_prefix_is_kept_once() {
        let mut packed = PackedKeys::default();
        for number in 0..50_u32 {
            packed.insert(packed.len(), format!("/registry/pods/default/{number:04}").as_bytes());
        }
        let tight = packed.part(0..50);
        assert!(tight.heap_bytes() < 50 * (4 + 4) + 24, "{}", tight.heap_bytes());
    }
}
