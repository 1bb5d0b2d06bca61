//! The store as one would write it on a blackboard: every revision's keys are kept as a whole, and
//! each question is answered by looking at all of them. Slow, small, and sharing no code with the
//! store.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::compare::TargetUnion;
use proto::etcdserverpb::request_op::Request as Operation;
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
};
use proto::log::command::Request;
use proto::mvccpb::KeyValue;
use proto::spliced::response_op::Response as Answer;
use proto::spliced::{self, EncodedKeyValue};
use proto::status::EtcdError;
use store::{ApplyError, LeaseId, Outcome, Response, Revision};

/// The keys of one moment.
type Keys = BTreeMap<Bytes, KeyValue>;

/// One change: where it is, and the value it left; `None` for a deletion.
#[derive(Clone, Debug)]
pub struct Change {
    pub main: i64,
    pub sub: i64,
    pub key: Bytes,
    pub kv: Option<KeyValue>,
}

/// See the module's page.
#[derive(Clone, Debug)]
pub struct Model {
    /// The keys after each revision; the first is revision 1.
    moments: Vec<Keys>,
    pub changes: Vec<Change>,
    pub compacted: i64,
    /// Granted and remaining seconds.
    pub leases: BTreeMap<i64, (i64, i64)>,
}

/// A command at work: what it has changed so far, on top of the last moment.
struct Work {
    keys: Keys,
    changes: Vec<Change>,
    main: i64,
}

type Refused<T> = Result<T, EtcdError>;

impl Model {
    pub fn new() -> Self {
        let moments = vec![Keys::new()];
        Self { moments, changes: Vec::new(), compacted: -1, leases: BTreeMap::new() }
    }

    pub fn revision(&self) -> i64 {
        self.moments.len() as i64
    }

    /// The keys at a revision that is kept.
    pub fn keys_at(&self, revision: i64) -> &Keys {
        &self.moments[usize::try_from(revision).expect("revisions are positive") - 1]
    }

    /// The keys now.
    pub fn keys(&self) -> &Keys {
        self.keys_at(self.revision())
    }

    /// The keys attached to a lease now, sorted.
    pub fn lease_keys(&self, id: i64) -> Vec<Bytes> {
        self.keys().values().filter(|kv| kv.lease == id).map(|kv| kv.key.clone()).collect()
    }

    /// Applies one request.
    pub fn apply(&mut self, request: &Request) -> Outcome {
        let mut work =
            Work { keys: self.keys().clone(), changes: Vec::new(), main: self.revision() + 1 };
        let result = self.request(request, &mut work);
        if result.is_ok() && !work.changes.is_empty() {
            self.moments.push(work.keys);
            self.changes.extend(work.changes);
        }
        Outcome { result: result.map_err(ApplyError), revision: Revision(self.revision()) }
    }

    fn request(&mut self, request: &Request, work: &mut Work) -> Refused<Response> {
        match request {
            Request::Put(put) => {
                self.check_lease(put.lease)?;
                check_ignored(put, work)?;
                Ok(Response::Put(work.put(put)))
            }
            Request::DeleteRange(delete) => Ok(Response::DeleteRange(work.delete(delete))),
            Request::Txn(txn) => {
                let before = work.keys.clone();
                self.check_txn(txn, &before, work)?;
                let mut response = self.txn(txn, &before, work)?;
                response.header = header(work.revision());
                Ok(Response::Txn(response))
            }
            Request::Compaction(compaction) => {
                if compaction.revision <= self.compacted {
                    return Err(EtcdError::Compacted);
                }
                if compaction.revision > self.revision() {
                    return Err(EtcdError::FutureRevision);
                }
                self.compacted = compaction.revision;
                Ok(Response::Compaction)
            }
            Request::LeaseGrant(grant) => {
                if grant.id == 0 {
                    return Err(EtcdError::LeaseNotFound);
                }
                if self.leases.contains_key(&grant.id) {
                    return Err(EtcdError::LeaseExists);
                }
                self.leases.insert(grant.id, (grant.ttl, 0));
                Ok(Response::LeaseGrant { id: LeaseId(grant.id), ttl: grant.ttl })
            }
            Request::LeaseRevoke(revoke) => {
                self.leases.remove(&revoke.id).ok_or(EtcdError::LeaseNotFound)?;
                for key in self.lease_keys(revoke.id) {
                    work.remove(&key);
                }
                Ok(Response::LeaseRevoke)
            }
            Request::LeaseCheckpoint(checkpoints) => {
                for checkpoint in &checkpoints.checkpoints {
                    if let Some((granted, left)) = self.leases.get_mut(&checkpoint.id) {
                        *left = checkpoint.remaining_ttl.min(*granted).max(0);
                    }
                }
                Ok(Response::LeaseCheckpoint)
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn check_lease(&self, lease: i64) -> Refused<()> {
        match lease == 0 || self.leases.contains_key(&lease) {
            true => Ok(()),
            false => Err(EtcdError::LeaseNotFound),
        }
    }

    fn check_txn(&self, txn: &TxnRequest, before: &Keys, work: &Work) -> Refused<()> {
        for operation in branch(txn, before) {
            match &operation.request {
                Some(Operation::RequestRange(range)) if range.revision != 0 => {
                    if range.revision > self.revision() {
                        return Err(EtcdError::FutureRevision);
                    }
                    if range.revision < self.compacted {
                        return Err(EtcdError::Compacted);
                    }
                }
                Some(Operation::RequestPut(put)) => {
                    self.check_lease(put.lease)?;
                    check_ignored(put, work)?;
                }
                Some(Operation::RequestTxn(txn)) => self.check_txn(txn, before, work)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn txn(
        &self,
        txn: &TxnRequest,
        before: &Keys,
        work: &mut Work,
    ) -> Refused<spliced::TxnResponse> {
        let mut responses = Vec::new();
        for operation in branch(txn, before) {
            let response = match &operation.request {
                Some(Operation::RequestRange(range)) => {
                    Some(Answer::ResponseRange(self.range_in(range, work)?))
                }
                Some(Operation::RequestPut(put)) => Some(Answer::ResponsePut(work.put(put))),
                Some(Operation::RequestDeleteRange(delete)) => {
                    Some(Answer::ResponseDeleteRange(work.delete(delete)))
                }
                Some(Operation::RequestTxn(txn)) => {
                    Some(Answer::ResponseTxn(self.txn(txn, before, work)?))
                }
                None => None,
            };
            responses.push(spliced::ResponseOp { response });
        }
        let succeeded = txn.compare.iter().all(|compare| holds(compare, before));
        Ok(spliced::TxnResponse { header: header(0), succeeded, responses })
    }

    /// Answers a range outside of any command.
    pub fn range(&self, request: &RangeRequest) -> Refused<spliced::RangeResponse> {
        let work = Work { keys: self.keys().clone(), changes: Vec::new(), main: 0 };
        self.range_at(request, &work, self.revision())
    }

    fn range_in(&self, request: &RangeRequest, work: &Work) -> Refused<spliced::RangeResponse> {
        self.range_at(request, work, work.revision())
    }

    fn range_at(
        &self,
        request: &RangeRequest,
        work: &Work,
        now: i64,
    ) -> Refused<spliced::RangeResponse> {
        let revision = if request.revision <= 0 { now } else { request.revision };
        if revision > now {
            return Err(EtcdError::FutureRevision);
        }
        if revision < self.compacted {
            return Err(EtcdError::Compacted);
        }
        let keys = if revision == now { &work.keys } else { self.keys_at(revision) };
        Ok(answer_range(request, keys, now))
    }

    /// What `HashKV` is over: names and values of the changes that count, in order; `None` when
    /// nothing is kept at the revision, and the answer depends on what was removed already.
    pub fn hashed(&self, revision: i64) -> Option<Vec<u8>> {
        let kept: BTreeSet<(i64, i64)> = self.kept(revision);
        if kept.is_empty() && self.compacted >= 0 {
            return None;
        }
        let mut out = b"key".to_vec();
        for change in self.changes.iter().filter(|change| change.main <= revision) {
            let superseded =
                change.main <= self.compacted && !kept.contains(&(change.main, change.sub));
            if superseded || (change.kv.is_none() && change.main == self.compacted) {
                continue;
            }
            out.extend(change.main.to_be_bytes());
            out.push(b'_');
            out.extend(change.sub.to_be_bytes());
            match &change.kv {
                Some(kv) => out.extend(kv.encode_to_vec()),
                None => {
                    out.push(b't');
                    let name = KeyValue { key: change.key.clone(), ..KeyValue::default() };
                    out.extend(name.encode_to_vec());
                }
            }
        }
        Some(out)
    }

    fn kept(&self, revision: i64) -> BTreeSet<(i64, i64)> {
        let mut newest: BTreeMap<&Bytes, Option<(i64, i64)>> = BTreeMap::new();
        for change in self.changes.iter().filter(|change| change.main <= revision) {
            let at = change.kv.is_some().then_some((change.main, change.sub));
            newest.insert(&change.key, at);
        }
        newest.into_values().flatten().collect()
    }
}

impl Work {
    fn revision(&self) -> i64 {
        self.main - i64::from(self.changes.is_empty())
    }

    fn put(&mut self, put: &PutRequest) -> spliced::PutResponse {
        let previous = self.keys.get(&put.key).cloned();
        let borrowed = previous.clone().unwrap_or_default();
        let kv = KeyValue {
            key: put.key.clone(),
            create_revision: if previous.is_some() { borrowed.create_revision } else { self.main },
            mod_revision: self.main,
            version: borrowed.version + 1,
            value: if put.ignore_value { borrowed.value } else { put.value.clone() },
            lease: if put.ignore_lease { borrowed.lease } else { put.lease },
        };
        self.keys.insert(put.key.clone(), kv.clone());
        self.record(put.key.clone(), Some(kv));
        spliced::PutResponse {
            header: header(self.revision()),
            prev_kv: previous.filter(|_| put.prev_kv).map(|kv| EncodedKeyValue::encode(&kv)),
        }
    }

    fn delete(&mut self, delete: &DeleteRangeRequest) -> spliced::DeleteRangeResponse {
        let doomed: Vec<KeyValue> =
            inside(&self.keys, &delete.key, &delete.range_end).cloned().collect();
        for kv in &doomed {
            self.remove(&kv.key);
        }
        let prev_kvs = if delete.prev_kv { doomed.iter() } else { [].iter() };
        spliced::DeleteRangeResponse {
            header: header(self.revision()),
            deleted: doomed.len() as i64,
            prev_kvs: prev_kvs.map(EncodedKeyValue::encode).collect(),
        }
    }

    fn remove(&mut self, key: &Bytes) {
        self.keys.remove(key);
        self.record(key.clone(), None);
    }

    fn record(&mut self, key: Bytes, kv: Option<KeyValue>) {
        let sub = self.changes.len() as i64;
        self.changes.push(Change { main: self.main, sub, key, kv });
    }
}

fn check_ignored(put: &PutRequest, work: &Work) -> Refused<()> {
    let needed = put.ignore_value || put.ignore_lease;
    match needed && !work.keys.contains_key(&put.key) {
        true => Err(EtcdError::KeyNotFound),
        false => Ok(()),
    }
}

fn branch<'t>(txn: &'t TxnRequest, before: &Keys) -> &'t [RequestOp] {
    match txn.compare.iter().all(|compare| holds(compare, before)) {
        true => &txn.success,
        false => &txn.failure,
    }
}

fn inside<'k>(
    keys: &'k Keys,
    key: &'k Bytes,
    end: &'k Bytes,
) -> impl Iterator<Item = &'k KeyValue> {
    keys.values().filter(move |kv| match &end[..] {
        [] => kv.key == *key,
        [0] => kv.key >= *key,
        _ => kv.key >= *key && kv.key < *end,
    })
}

fn holds(compare: &Compare, keys: &Keys) -> bool {
    let all: Vec<&KeyValue> = inside(keys, &compare.key, &compare.range_end).collect();
    let absent = KeyValue::default();
    match all.is_empty() {
        // 3 is VALUE.
        true => compare.target != 3 && holds_for(compare, &absent),
        false => all.into_iter().all(|kv| holds_for(compare, kv)),
    }
}

fn holds_for(compare: &Compare, kv: &KeyValue) -> bool {
    let ordering = match (compare.target, &compare.target_union) {
        (0, Some(TargetUnion::Version(number))) => kv.version.cmp(number),
        (0, _) => kv.version.cmp(&0),
        (1, Some(TargetUnion::CreateRevision(number))) => kv.create_revision.cmp(number),
        (1, _) => kv.create_revision.cmp(&0),
        (2, Some(TargetUnion::ModRevision(number))) => kv.mod_revision.cmp(number),
        (2, _) => kv.mod_revision.cmp(&0),
        (3, Some(TargetUnion::Value(value))) => kv.value.cmp(value),
        (3, _) => kv.value.cmp(&Bytes::new()),
        (4, Some(TargetUnion::Lease(number))) => kv.lease.cmp(number),
        (4, _) => kv.lease.cmp(&0),
        _ => Ordering::Equal,
    };
    match compare.result {
        0 => ordering.is_eq(),
        1 => ordering.is_gt(),
        2 => ordering.is_lt(),
        3 => ordering.is_ne(),
        _ => true,
    }
}

/// Sorting, filtering and cutting in etcd's order, over all keys.
fn answer_range(request: &RangeRequest, keys: &Keys, now: i64) -> spliced::RangeResponse {
    let mut kvs: Vec<KeyValue> = inside(keys, &request.key, &request.range_end).cloned().collect();
    let count = kvs.len() as i64;
    if request.count_only {
        return spliced::RangeResponse { header: header(now), count, ..Default::default() };
    }
    let filters = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    let limit = if request.limit > 0 { request.limit as usize } else { usize::MAX };
    if request.sort_order == 0 && filters == [0; 4] {
        kvs.truncate(limit.saturating_add(1));
    }
    kvs.retain(|kv| {
        let [min_mod, max_mod, min_create, max_create] = filters;
        let above = |number: i64, min: i64| min == 0 || number >= min;
        let below = |number: i64, max: i64| max == 0 || number <= max;
        above(kv.mod_revision, min_mod)
            && below(kv.mod_revision, max_mod)
            && above(kv.create_revision, min_create)
            && below(kv.create_revision, max_create)
    });
    kvs.sort_by(|left, right| {
        let ordering = match request.sort_target {
            1 => left.version.cmp(&right.version),
            2 => left.create_revision.cmp(&right.create_revision),
            3 => left.mod_revision.cmp(&right.mod_revision),
            4 => left.value.cmp(&right.value),
            _ => left.key.cmp(&right.key),
        };
        if request.sort_order == 2 { ordering.reverse() } else { ordering }
    });
    let more = kvs.len() > limit;
    kvs.truncate(limit);
    for kv in kvs.iter_mut().filter(|_| request.keys_only) {
        kv.value = Bytes::new();
        // 4 is VALUE: the only order for which the values, and leases with them, are read.
        kv.lease = if request.sort_target == 4 { kv.lease } else { 0 };
    }
    let kvs = kvs.iter().map(EncodedKeyValue::encode).collect();
    spliced::RangeResponse { header: header(now), kvs, more, count }
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}
