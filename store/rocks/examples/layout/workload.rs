//! The history that every layout lives through, and the key index that goes with it.

use std::ops::ControlFlow;

use bytes::Bytes;
use prost::Message;
use proto::mvccpb::KeyValue;
use store::engine::Direction;
use store::index::{At, Compaction, HistoryRow, KeyIndex};
use store::{Revision, RowRevision};

/// One put, ready to be written: the row, the encoded KeyValue, and the row it supersedes.
pub(crate) struct Put {
    pub(crate) key: Vec<u8>,
    pub(crate) at: RowRevision,
    pub(crate) before: Option<RowRevision>,
    pub(crate) encoded: Vec<u8>,
}

/// A superseded row and its key.
pub(crate) struct Superseded {
    pub(crate) key: Vec<u8>,
    pub(crate) at: RowRevision,
}

pub(crate) struct Workload {
    pub(crate) keys: usize,
    value_bytes: usize,
    pub(crate) index: KeyIndex,
    revision: i64,
}

impl Workload {
    pub(crate) fn new(keys: usize, value_bytes: usize) -> Self {
        Self { keys, value_bytes, index: KeyIndex::new(), revision: 1 }
    }

    pub(crate) fn key(number: usize) -> Vec<u8> {
        let scattered = scatter(number as u64);
        let namespace = scattered % 100;
        format!("/registry/pods/namespace-{namespace:03}/p{:018}", scattered % 10_u64.pow(18))
            .into_bytes()
    }

    /// A put of every key, in the order of the given round; the index learns them.
    pub(crate) fn puts(&mut self, round: usize) -> Vec<Put> {
        // 7919 is a prime: each round visits every key once, in an order of its own.
        let order = (0..self.keys).map(|number| (number * 7919 + round * 13) % self.keys);
        order.collect::<Vec<_>>().into_iter().map(|number| self.put(number)).collect()
    }

    fn put(&mut self, number: usize) -> Put {
        let key = Self::key(number);
        self.revision += 1;
        let at = RowRevision::new(self.revision, 0);
        let before = self.index.get(&key, At::Latest).map(|state| state.modified);
        let state = self.index.put(&key, at);
        let message = KeyValue {
            key: Bytes::from(key.clone()),
            create_revision: state.created.0,
            mod_revision: at.main.0,
            version: state.version,
            value: self.value(number).into(),
            lease: 0,
        };
        Put { key, at, before, encoded: message.encode_to_vec() }
    }

    /// Half of it text that repeats, half of it noise: compresses about as JSON objects do.
    fn value(&self, number: usize) -> Vec<u8> {
        let text = b"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":";
        let mut noise = scatter(number as u64 ^ self.revision as u64);
        let bytes = (0..self.value_bytes).map(|at| {
            if at % 64 < 32 {
                return text[at % text.len()];
            }
            noise = scatter(noise);
            b'0' + (noise >> 60) as u8
        });
        bytes.collect()
    }

    pub(crate) fn newest(&self) -> Revision {
        Revision(self.revision)
    }

    /// A revision half-way through the overwrites.
    pub(crate) fn middle(&self) -> Revision {
        Revision(self.revision - self.keys as i64 / 2)
    }

    /// The first keys from the middle of the key space with their rows at a revision.
    pub(crate) fn page(&self, at: Revision, limit: usize) -> Vec<(Vec<u8>, RowRevision)> {
        let mut page = Vec::with_capacity(limit);
        let from = b"/registry/pods/namespace-050";
        self.index.scan(from, None, At::Revision(at), Direction::Ascending, &mut |key, state| {
            page.push((key.to_vec(), state.modified));
            if page.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        page
    }

    pub(crate) fn is_newest(&self, key: &[u8], at: RowRevision) -> bool {
        self.index.get(key, At::Latest).is_some_and(|state| state.modified == at)
    }

    /// Every row that a compaction at the newest revision drops, in the order of keys.
    pub(crate) fn superseded(&mut self) -> Vec<Superseded> {
        let keys = self.page_all();
        let old: Vec<_> = keys
            .into_iter()
            .flat_map(|key| {
                let mut rows = self.index.history(&key);
                rows.pop();
                rows.into_iter().map(move |row| Superseded { key: key.clone(), at: row.at })
            })
            .collect();
        self.index.compact(&mut Compaction::new(self.newest()), usize::MAX);
        old
    }

    /// The newest row of every key, in the order of revisions: what a restart reads back.
    pub(crate) fn rows_in_order(&self) -> Vec<(Vec<u8>, HistoryRow)> {
        let mut rows = Vec::with_capacity(self.keys);
        self.index.scan(b"", None, At::Latest, Direction::Ascending, &mut |key, state| {
            rows.push((key.to_vec(), HistoryRow { at: state.modified, state: Some(state) }));
            ControlFlow::Continue(())
        });
        rows.sort_by_key(|(_, row)| row.at);
        rows
    }

    pub(crate) fn rebuild(rows: &[(Vec<u8>, HistoryRow)]) -> KeyIndex {
        let mut index = KeyIndex::new();
        for (key, row) in rows {
            index.restore(key, *row);
        }
        index
    }

    fn page_all(&self) -> Vec<Vec<u8>> {
        let mut keys = Vec::with_capacity(self.keys);
        self.index.scan(b"", None, At::Latest, Direction::Ascending, &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        });
        keys
    }
}

/// A fixed scrambling of numbers (the finaliser of splitmix64).
fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
