//! Draws requests: mostly sensible, often at an edge, sometimes wrong.
//!
//! Few keys, few leases and revisions near the present and the compacted one, so that requests
//! meet.
//!
//! Invariants: the same seed and the same revisions give the same requests. Leases get fixed ids
//! and more time than a run takes, so that no clock enters the conversation.
//!
//! Must not know: how requests are sent or compared.

use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest,
    LeaseTimeToLiveRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use super::step::{Move, Place, Step};

/// Watch streams held open beside the conversation; the last is for starts in the future and for
/// compacted ones.
pub const STREAMS: usize = 3;

/// The deepest nesting of transactions drawn.
const TXN_DEPTH_MAX: u32 = 3;

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Position {
    /// The revision of the last answer.
    pub revision: i64,
    /// The revision of the last compaction that succeeded.
    pub compacted: i64,
}

/// Draws steps from a seed.
#[derive(Debug)]
pub struct Generator {
    random: ChaCha8Rng,
}

impl Generator {
    /// The generator of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The next step.
    pub fn step(&mut self, at: Position) -> Step {
        match self.random.random_range(0..1000) {
            0..230 => Step::Range(self.range(at)),
            230..250 => Step::RangeStream(self.plain_range(at)),
            250..560 => Step::Put(self.put()),
            560..640 => Step::Delete(self.delete()),
            640..860 => {
                let mut txn = self.txn(at, 0);
                spare_etcd(&mut txn);
                Step::Txn(txn)
            }
            860..872 => Step::Compact(self.compact(at)),
            872..900 => Step::Grant(self.grant()),
            900..915 => Step::Revoke(LeaseRevokeRequest { id: self.lease() }),
            915..930 => {
                Step::TimeToLive(LeaseTimeToLiveRequest { id: self.lease(), keys: self.one_in(2) })
            }
            930..938 => Step::Leases,
            938..950 => Step::KeepAlive(self.lease()),
            950..975 => self.watch(at),
            // Compat: etcd confirms the cancel of a watch that compaction had canceled; see
            // `MASKS`.
            975..985 => Step::Cancel(
                self.random.random_range(0..STREAMS - 1),
                self.random.random_range(0..40),
            ),
            985..990 => Step::HashKv(self.hashed_revision(at)),
            _ => Step::Put(self.put()),
        }
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.random.random_range(0..count) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.random_range(0..choices.len())]
    }

    fn key(&mut self) -> Vec<u8> {
        match self.random.random_range(0..60) {
            0 => Vec::new(),
            1 => vec![0],
            2 => vec![0xff, 0xff],
            3 => b"/registry/pods/default".to_vec(),
            _ => {
                let letter = self.random.random_range(b'a'..=b'h');
                if self.one_in(3) { vec![letter, b'/', letter] } else { vec![letter] }
            }
        }
    }

    /// A range end: none, everything, a key that may lie before the start.
    fn range_end(&mut self) -> Vec<u8> {
        match self.random.random_range(0..6) {
            0 | 1 => Vec::new(),
            2 => vec![0],
            3 => b"zz".to_vec(),
            _ => self.key(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let length = self.pick(&[0, 1, 8, 8, 8, 64, 300]);
        (0..length).map(|_| self.random.random_range(b'0'..=b'3')).collect()
    }

    fn lease(&mut self) -> i64 {
        self.pick(&[1, 2, 3, 4, 5, 6, 7, 8, -4, 9999])
    }

    fn attached_lease(&mut self) -> i64 {
        if self.one_in(4) { self.lease() } else { 0 }
    }

    fn revision(&mut self, at: Position) -> i64 {
        match self.random.random_range(0..20) {
            0 => at.revision + 1,
            1 => at.compacted,
            2 => at.compacted - 1,
            3 => -1,
            4 => at.revision,
            5..12 => self.random.random_range(at.compacted..=at.revision.max(at.compacted)),
            _ => 0,
        }
    }

    /// Never one that may have been compacted at; see `MASKS`.
    fn hashed_revision(&mut self, at: Position) -> i64 {
        match self.revision(at) {
            0 if at.revision == at.compacted => at.revision + 1,
            revision if (1..=at.compacted).contains(&revision) => at.revision + 1,
            revision => revision,
        }
    }

    fn plain_range(&mut self, at: Position) -> RangeRequest {
        RangeRequest {
            key: self.key().into(),
            range_end: self.range_end().into(),
            limit: self.pick(&[0, 0, 0, 1, 2, 5, 100]),
            revision: self.revision(at),
            serializable: self.one_in(5),
            keys_only: self.one_in(5),
            count_only: self.one_in(8),
            ..RangeRequest::default()
        }
    }

    fn range(&mut self, at: Position) -> RangeRequest {
        let mut range = self.plain_range(at);
        if self.one_in(12) {
            range.limit = self.pick(&[-1, -7]);
        }
        if self.one_in(3) {
            range.sort_order = self.pick(&[0, 1, 2, 2, 7, -1]);
            range.sort_target = self.pick(&[0, 1, 2, 3, 4, 9]);
        }
        if self.one_in(4) {
            let around = self.random.random_range(0..=at.revision.max(1));
            match self.random.random_range(0..4) {
                0 => range.min_mod_revision = around,
                1 => range.max_mod_revision = around,
                2 => range.min_create_revision = around,
                _ => range.max_create_revision = around,
            }
        }
        range
    }

    fn put(&mut self) -> PutRequest {
        let ignore_value = self.one_in(12);
        let ignore_lease = self.one_in(12);
        PutRequest {
            key: self.key().into(),
            value: if ignore_value && !self.one_in(6) { Vec::new() } else { self.value() }.into(),
            lease: if ignore_lease && !self.one_in(6) { 0 } else { self.attached_lease() },
            prev_kv: self.one_in(3),
            ignore_value,
            ignore_lease,
        }
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        let range_end = if self.one_in(2) { Vec::new() } else { self.range_end() };
        DeleteRangeRequest {
            key: self.key().into(),
            range_end: range_end.into(),
            prev_kv: self.one_in(2),
        }
    }

    fn txn(&mut self, at: Position, depth: u32) -> TxnRequest {
        let mut txn = TxnRequest::default();
        for _ in 0..self.random.random_range(0..3) {
            txn.compare.push(self.compare(at));
        }
        let operations_max = self.pick(&[1, 2, 3, 5]);
        for _ in 0..self.random.random_range(0..=operations_max) {
            txn.success.push(self.operation(at, depth));
        }
        for _ in 0..self.random.random_range(0..=operations_max) {
            txn.failure.push(self.operation(at, depth));
        }
        if depth == 0 && self.one_in(150) {
            let count = self.pick(&[127, 128, 129]);
            txn.success = (0..count)
                .map(|number| {
                    Op::RequestPut(PutRequest {
                        key: format!("many/{number}").into(),
                        ..PutRequest::default()
                    })
                })
                .map(|request| RequestOp { request: Some(request) })
                .collect();
        }
        txn
    }

    fn operation(&mut self, at: Position, depth: u32) -> RequestOp {
        let request = match self.random.random_range(0..100) {
            // No sort inside: the mask for unstable order knows top-level ranges only.
            0..30 => Op::RequestRange(self.plain_range(at)),
            30..70 => Op::RequestPut(self.put()),
            70..85 => Op::RequestDeleteRange(self.delete()),
            85..98 if depth < TXN_DEPTH_MAX => Op::RequestTxn(self.txn(at, depth + 1)),
            98 | 99 => return RequestOp { request: None },
            _ => Op::RequestPut(self.put()),
        };
        RequestOp { request: Some(request) }
    }

    fn compare(&mut self, at: Position) -> Compare {
        let target = self.pick(&[
            CompareTarget::Version,
            CompareTarget::Create,
            CompareTarget::Mod,
            CompareTarget::Value,
            CompareTarget::Lease,
        ]);
        let around = self.random.random_range(0..=at.revision.max(1));
        let fitting = if self.one_in(15) { CompareTarget::Version } else { target };
        let union = match fitting {
            CompareTarget::Version => TargetUnion::Version(self.random.random_range(0..4)),
            CompareTarget::Create => TargetUnion::CreateRevision(self.pick(&[0, around])),
            CompareTarget::Mod => TargetUnion::ModRevision(self.pick(&[0, around])),
            CompareTarget::Value => TargetUnion::Value(self.value().into()),
            CompareTarget::Lease => TargetUnion::Lease(self.pick(&[0, 1, 2, 3])),
        };
        let result = self.pick(&[
            CompareResult::Equal,
            CompareResult::Greater,
            CompareResult::Less,
            CompareResult::NotEqual,
        ]);
        Compare {
            result: result as i32,
            target: target as i32,
            key: self.key().into(),
            target_union: if self.one_in(25) { None } else { Some(union) },
            range_end: if self.one_in(5) { self.range_end().into() } else { Vec::new().into() },
        }
    }

    fn compact(&mut self, at: Position) -> CompactionRequest {
        let revision = match self.random.random_range(0..10) {
            0 => at.revision + 5,
            1 => at.compacted.max(1),
            2 => at.revision,
            3 => -1,
            // Compat: not at 0; see `MASKS`.
            _ => self.random.random_range(at.compacted.max(1)..=at.revision.max(at.compacted)),
        };
        // Physical, so that what a later HashKV sees does not hang on each server's own pace.
        CompactionRequest { revision, physical: true }
    }

    fn grant(&mut self) -> LeaseGrantRequest {
        let ttl = self.pick(&[3600, 5000, 7200, 9_000_000_000, 9_000_000_001]);
        LeaseGrantRequest { id: self.random.random_range(1..=8), ttl }
    }

    fn watch(&mut self, at: Position) -> Step {
        let choice = self.random.random_range(0..7);
        let start_revision = match choice {
            0 => at.revision + self.random.random_range(1..20),
            1 => at.compacted - 1,
            2 => at.compacted,
            3 => self.random.random_range(at.compacted..=at.revision.max(at.compacted)),
            4 => -1,
            _ => 0,
        };
        // Compat: etcd answers no progress request on a stream that has a watch of the future, or
        // one that was canceled for compaction; the streams that are waited for have neither.
        let stream =
            if choice < 2 { STREAMS - 1 } else { self.random.random_range(0..STREAMS - 1) };
        let create = WatchCreateRequest {
            key: self.key().into(),
            range_end: self.range_end().into(),
            start_revision,
            prev_kv: self.one_in(3),
            filters: match self.random.random_range(0..8) {
                0 => vec![0],
                1 => vec![1],
                2 => vec![0, 1],
                _ => Vec::new(),
            },
            // Compat: in etcd a watch canceled for compaction keeps its id; see `MASKS`.
            watch_id: if stream + 1 < STREAMS && self.one_in(10) {
                self.random.random_range(0..60)
            } else {
                0
            },
            ..WatchCreateRequest::default()
        };
        Step::Watch(stream, create)
    }
}

/// Compat: etcd 3.7.3 panics when a put keeps the value or the lease of a key that the same
/// transaction deleted before; so no put in a transaction with a delete asks for that. See `MASKS`.
fn spare_etcd(txn: &mut TxnRequest) {
    if deletes(txn) {
        keep_nothing(txn);
    }
}

fn deletes(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).any(|operation| match &operation.request {
        Some(Op::RequestDeleteRange(_)) => true,
        Some(Op::RequestTxn(nested)) => deletes(nested),
        _ => false,
    })
}

fn keep_nothing(txn: &mut TxnRequest) {
    for operation in txn.success.iter_mut().chain(&mut txn.failure) {
        match &mut operation.request {
            Some(Op::RequestPut(put)) => {
                put.ignore_value = false;
                put.ignore_lease = false;
            }
            Some(Op::RequestTxn(nested)) => keep_nothing(nested),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Generator, Position};

    #[test]
    fn the_same_seed_draws_the_same_steps() {
        let draw = |seed| {
            let mut generator = Generator::new(seed);
            let at = Position { revision: 40, compacted: 10 };
            (0..500).map(|_| format!("{:?}", generator.step(at))).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
