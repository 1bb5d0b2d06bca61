//! The member asked by itself, in the name of a caller.
//!
//! Invariant: each request carries the caller's metadata and identity.
//! Must not know: what the keys are for.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use proto::etcdserverpb::{
    DeleteRangeRequest, LeaseGrantRequest, RangeRequest, ResponseHeader, TxnRequest,
    WatchCreateRequest,
};
use proto::mvccpb::{Event, KeyValue};
use proto::spliced;
use proto::status::EtcdError;
use services::etcdserverpb::kv_server::Kv as _;
use services::etcdserverpb::lease_server::Lease as _;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use crate::auth::Caller;
use crate::doors::StreamEnd;
use crate::errors::status;
use crate::member::Member;
use crate::rpc::watch_guard::{Watched, call_of};
use crate::rpc::{KvDoor, LeaseDoor};

/// *Units*: seconds. *Source*: etcd's session of a caller that brings no lease.
const SESSION_TTL_S: i64 = 60;

/// Asks the member's own services as the caller would. Clones ask for the same caller.
#[derive(Clone)]
pub(crate) struct OwnClient {
    member: Arc<Member>,
    metadata: MetadataMap,
    extensions: Extensions,
}

/// The first key of a range, and the header it was read with.
pub(crate) struct Found {
    pub(crate) header: ResponseHeader,
    pub(crate) first: Option<KeyValue>,
}

impl OwnClient {
    /// A client for the caller of this request; the request's message is given back.
    pub(crate) fn of<T>(member: &Arc<Member>, request: Request<T>) -> (Self, T) {
        let (metadata, extensions, message) = request.into_parts();
        (Self { member: Arc::clone(member), metadata, extensions }, message)
    }

    /// What ends a call that waits: the member stops, or the caller wants a leader and there is
    /// none.
    pub(crate) fn end(&self) -> StreamEnd {
        StreamEnd::of(&self.member, &self.metadata)
    }

    fn ask<T>(&self, message: T) -> Request<T> {
        Request::from_parts(self.metadata.clone(), self.extensions.clone(), message)
    }

    /// The lease of a caller's session: its own, or a new one of a minute that nobody renews.
    pub(crate) async fn session(&self, lease: i64) -> Result<i64, Status> {
        if lease != 0 {
            return Ok(lease);
        }
        let grant = LeaseGrantRequest { id: 0, ttl: SESSION_TTL_S };
        let granted = LeaseDoor(Arc::clone(&self.member)).lease_grant(self.ask(grant)).await?;
        Ok(granted.into_inner().id)
    }

    pub(crate) async fn txn(&self, request: TxnRequest) -> Result<spliced::TxnResponse, Status> {
        let answer = KvDoor(Arc::clone(&self.member)).txn(self.ask(request)).await?;
        Ok(answer.into_inner())
    }

    /// Deletes one key; the header of the deletion.
    pub(crate) async fn delete(&self, key: Bytes) -> Result<Option<ResponseHeader>, Status> {
        let request = DeleteRangeRequest { key, ..Default::default() };
        let answer = KvDoor(Arc::clone(&self.member)).delete_range(self.ask(request)).await?;
        Ok(answer.into_inner().header)
    }

    /// Reads the first key of a range, linearizably.
    pub(crate) async fn first(&self, request: RangeRequest) -> Result<Found, Status> {
        let answer = KvDoor(Arc::clone(&self.member)).range(self.ask(request)).await?.into_inner();
        Ok(Found {
            first: answer.kvs.first().map(decoded).transpose()?,
            header: answer.header.unwrap_or_default(),
        })
    }

    /// Watches a range from a revision on. Order: whoever watches has read there before, so the
    /// caller's permission was checked.
    pub(crate) async fn watch(&self, key: Bytes, range_end: Bytes, from: i64) -> OwnWatch {
        let (control, output) = self.member.hub().open_stream();
        let request =
            WatchCreateRequest { key, range_end, start_revision: from, ..Default::default() };
        let (watched, owner) = Watched::of(&request);
        let caller = self.extensions.get().cloned().unwrap_or(Caller::anonymous());
        if let Ok(identity) = self.member.authorize(&caller, call_of(&request)).await {
            // Nobody else sets it; without it the first event is refused.
            let _first = owner.set(identity.username);
        }
        control.create(request).await;
        OwnWatch { member: Arc::clone(&self.member), output, watched, waiting: VecDeque::new() }
    }
}

/// The key-value of an answer; the store encoded it.
pub(crate) fn decoded(kv: &spliced::EncodedKeyValue) -> Result<KeyValue, Status> {
    kv.decode().map_err(|error| Status::internal(format!("a stored key does not decode: {error}")))
}

/// The events of one range, one by one.
pub(crate) struct OwnWatch {
    member: Arc<Member>,
    output: watch::WatchOutput,
    /// Held against what the caller may read, with each event.
    watched: Watched,
    waiting: VecDeque<(ResponseHeader, Event)>,
}

impl OwnWatch {
    /// The next event, with the header of the answer that told it.
    ///
    /// *Errors*: history was compacted below the start, or cannot be read; the caller may not read
    /// this any more.
    /// *Cancellation*: may be dropped and asked again.
    pub(crate) async fn next(&mut self) -> Result<(ResponseHeader, Event), Status> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                if let Some(refusal) = self.watched.refusal(self.member.reader()) {
                    return Err(status(refusal));
                }
                return Ok(event);
            }
            let answer = self.output.next().await;
            let answer = answer.ok_or_else(|| status(EtcdError::WatchCanceled))?;
            if answer.compact_revision != 0 {
                return Err(status(EtcdError::Compacted));
            }
            if answer.canceled {
                return Err(status(EtcdError::WatchCanceled));
            }
            let revision = answer.header.as_ref().map_or(0, |header| header.revision);
            let header = ResponseHeader { revision, ..self.member.header_without_revision() };
            let events = answer.events.decode();
            let events = events.map_err(|error| Status::internal(error.to_string()))?;
            self.waiting.extend(events.into_iter().map(|event| (header, event)));
        }
    }
}
