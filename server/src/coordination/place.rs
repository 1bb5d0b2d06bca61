//! A place in a queue: one key under a prefix, held by a lease. Whose key was made first has its
//! turn; the others wait until every key made before theirs is gone.
//!
//! Invariants: a place is taken in one transaction, so two callers never see each other as second;
//! the same lease has the same place, however often it asks.
//! Compat: keys and order are those of etcd's own client library, so that its locks and elections
//! and these are the same ones.

use bytes::Bytes;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
};
use proto::mvccpb::KeyValue;
use proto::mvccpb::event::EventType;
use proto::spliced::{self, response_op};
use tonic::Status;

use super::own_client::{Found, OwnClient, OwnWatch, decoded};

/// The prefix under which a name's callers queue.
pub(crate) fn prefix_of(name: &[u8]) -> Vec<u8> {
    [name, b"/"].concat()
}

/// The end of the range of all keys with this prefix, which ends in `/`.
fn end_of(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

/// A caller's key in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The key.
    pub(crate) key: Bytes,
    /// The revision that made the key: the caller's number in the queue.
    pub(crate) made_at: i64,
}

/// How a place was taken.
pub(crate) struct Taken {
    pub(crate) place: Place,
    /// The header of the transaction.
    pub(crate) header: ResponseHeader,
    /// What the caller's key held, if it was there already.
    pub(crate) before: Option<KeyValue>,
    /// The number of the one whose turn it is.
    pub(crate) first: Option<i64>,
}

impl Place {
    /// Takes the place of `lease` under `prefix`, or finds it taken by the same lease.
    pub(crate) async fn take(
        client: &OwnClient,
        prefix: &[u8],
        lease: i64,
        value: Bytes,
    ) -> Result<Taken, Status> {
        let key = key_of(prefix, lease);
        let put = PutRequest { key: key.clone(), value, lease, ..Default::default() };
        let own = RangeRequest { key: key.clone(), ..Default::default() };
        let oldest = || Op::RequestRange(oldest_of(prefix));
        let answer = client
            .txn(TxnRequest {
                compare: vec![made_at(&key, 0)],
                success: operations([Op::RequestPut(put), oldest()]),
                failure: operations([Op::RequestRange(own), oldest()]),
            })
            .await?;
        let before = if answer.succeeded { None } else { first_of(&answer, 0)? };
        let first = first_of(&answer, 1)?.map(|first| first.create_revision);
        let header = answer.header.unwrap_or_default();
        let made_at = before.as_ref().map_or(header.revision, |before| before.create_revision);
        Ok(Taken { place: Place { key, made_at }, header, before, first })
    }

    /// Who has the turn under a prefix.
    pub(crate) async fn turn(client: &OwnClient, prefix: &[u8]) -> Result<Found, Status> {
        client.first(oldest_of(prefix)).await
    }

    /// Everybody who takes a place under a prefix from a revision on.
    pub(crate) async fn comers(client: &OwnClient, prefix: &[u8], from: i64) -> OwnWatch {
        client.watch(prefix.to_vec().into(), end_of(prefix), from).await
    }

    /// The read of the caller's own key.
    pub(crate) fn read(&self) -> RangeRequest {
        RangeRequest { key: self.key.clone(), ..Default::default() }
    }

    /// Waits until no key made before this one is left.
    ///
    /// *Cancellation*: may be dropped; nothing was changed.
    pub(crate) async fn wait_for_turn(
        &self,
        client: &OwnClient,
        prefix: &[u8],
    ) -> Result<(), Status> {
        loop {
            let before = RangeRequest {
                sort_order: SortOrder::Descend.into(),
                max_create_revision: self.made_at - 1,
                ..oldest_of(prefix)
            };
            let found = client.first(before).await?;
            let Some(ahead) = found.first else { return Ok(()) };
            let mut watch = client.watch(ahead.key, Bytes::new(), found.header.revision).await;
            while watch.next().await?.1.r#type != i32::from(EventType::Delete) {}
        }
    }

    /// Writes a value into the caller's key, if it is still the one that was made.
    pub(crate) async fn write(
        &self,
        client: &OwnClient,
        lease: i64,
        value: Bytes,
    ) -> Result<spliced::TxnResponse, Status> {
        let put = PutRequest { key: self.key.clone(), value, lease, ..Default::default() };
        self.if_mine(client, Op::RequestPut(put)).await
    }

    /// Gives the place up, if it is still the one that was taken.
    pub(crate) async fn leave(&self, client: &OwnClient) -> Result<spliced::TxnResponse, Status> {
        let delete = DeleteRangeRequest { key: self.key.clone(), ..Default::default() };
        self.if_mine(client, Op::RequestDeleteRange(delete)).await
    }

    async fn if_mine(&self, client: &OwnClient, then: Op) -> Result<spliced::TxnResponse, Status> {
        let compare = vec![made_at(&self.key, self.made_at)];
        let request = TxnRequest { compare, success: operations([then]), failure: Vec::new() };
        client.txn(request).await
    }
}

/// The key of a lease's place: the lease in hexadecimal digits, as Go prints them.
fn key_of(prefix: &[u8], lease: i64) -> Bytes {
    let sign = if lease < 0 { "-" } else { "" };
    let digits = format!("{sign}{:x}", lease.unsigned_abs());
    [prefix, digits.as_bytes()].concat().into()
}

fn oldest_of(prefix: &[u8]) -> RangeRequest {
    RangeRequest {
        key: prefix.to_vec().into(),
        range_end: end_of(prefix),
        limit: 1,
        sort_order: SortOrder::Ascend.into(),
        sort_target: SortTarget::Create.into(),
        ..Default::default()
    }
}

fn made_at(key: &Bytes, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..Default::default()
    }
}

fn operations<const N: usize>(requests: [Op; N]) -> Vec<RequestOp> {
    requests.into_iter().map(|request| RequestOp { request: Some(request) }).collect()
}

/// The first key that the operation at `at` read.
fn first_of(answer: &spliced::TxnResponse, at: usize) -> Result<Option<KeyValue>, Status> {
    let operation = answer.responses.get(at).and_then(|operation| operation.response.as_ref());
    match operation {
        Some(response_op::Response::ResponseRange(range)) => {
            range.kvs.first().map(decoded).transpose()
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_lease_in_hexadecimal_under_the_name() {
        let prefix = prefix_of(b"job");
        assert_eq!(key_of(&prefix, 0x1f), "job/1f");
        assert_eq!(key_of(&prefix, -1), "job/-1");
        assert_eq!(key_of(&prefix_of(b""), i64::MIN), "/-8000000000000000");
    }

    #[test]
    fn the_range_of_a_name_holds_its_places_and_no_others() {
        let range = oldest_of(&prefix_of(b"job"));
        assert_eq!((range.key, range.range_end), ("job/".into(), "job0".into()));
    }
}
