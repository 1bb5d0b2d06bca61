//! `lock` and `elect`: a lease that is kept alive, and a queue of keys in the order of creation.
//!
//! The recipe is etcd's (client/v3/concurrency): a key `NAME/LEASE` per waiter; whoever has the
//! smallest create revision holds the lock or leads; everybody else waits for the one before.
//!
//! Invariant: the key is deleted and the lease revoked on every orderly end. A lock of this kind
//! does not exclude on its own: what it protects must be fenced by ETCD_LOCK_REV.

use clap::Args;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::mvccpb::event::EventType;
use services::etcdserverpb::lease_client::LeaseClient;
use services::etcdserverpb::watch_client::WatchClient;
use tokio::signal::unix::{SignalKind, signal};

use super::global::Global;
use super::kv;
use super::lease::Renewal;
use super::process;
use super::range::prefix_end;
use crate::ToolError;
use crate::catalogue::Id;

/// Options of `lock`.
#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// The lock's name.
    name: String,
    /// The session ends this many seconds after we are gone.
    #[arg(long, default_value_t = 10)]
    ttl: i64,
    /// A command to run while the lock is held; it finds ETCD_LOCK_KEY and ETCD_LOCK_REV.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    exec: Vec<String>,
}

/// Options of `elect`.
#[derive(Debug, Args)]
pub(crate) struct Elect {
    /// The election's name.
    name: String,
    /// What the leader says; without it, use --listen.
    #[arg(required_unless_present = "listen", conflicts_with = "listen")]
    proposal: Option<String>,
    /// Print who leads, again and again.
    #[arg(short, long)]
    listen: bool,
}

/// The default time to live of etcd's sessions, in seconds.
const ELECTION_TTL_S: i64 = 60;

/// A place in the queue.
struct Place {
    key: Vec<u8>,
    revision: i64,
}

struct Session<'a> {
    global: &'a Global,
    lease: i64,
}

pub(crate) async fn lock(global: &Global, lock: Lock) -> Result<(), ToolError> {
    let held = async |session: &Session<'_>, place: &Place| {
        if lock.exec.is_empty() {
            session.show(&place.key).await?;
            return std::future::pending().await;
        }
        let key = String::from_utf8_lossy(&place.key).into_owned();
        let variables = [("ETCD_LOCK_KEY", key), ("ETCD_LOCK_REV", place.revision.to_string())];
        process::run(&lock.exec, &variables).await
    };
    in_session(global, &lock.name, Vec::new(), lock.ttl, held).await
}

pub(crate) async fn elect(global: &Global, elect: Elect) -> Result<(), ToolError> {
    let Some(proposal) = elect.proposal else { return observe(global, &elect.name).await };
    let leading = async |session: &Session<'_>, place: &Place| {
        session.show(&place.key).await?;
        std::future::pending().await
    };
    in_session(global, &elect.name, proposal.into_bytes(), ELECTION_TTL_S, leading).await
}

/// Takes a place, waits until it is the first, does `first`, and gives the place back.
async fn in_session(
    global: &Global,
    name: &str,
    value: Vec<u8>,
    ttl_s: i64,
    first: impl AsyncFnOnce(&Session<'_>, &Place) -> Result<(), ToolError>,
) -> Result<(), ToolError> {
    let wire = global.channel().await?;
    let mut leases = LeaseClient::new(wire.clone());
    let grant = pb::LeaseGrantRequest { ttl: ttl_s, id: 0 };
    let lease = leases.lease_grant(grant).await?.into_inner().id;
    let session = Session { global, lease };
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let renewal = Renewal::start(wire, lease).await?;
    let work = async {
        let place = session.enter(name, value).await?;
        session.wait(name, &place).await?;
        first(&session, &place).await
    };
    let outcome = tokio::select! {
        ended = work => ended,
        lost = renewal.keep() => Err(lost),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    // The key goes with its lease, so this unlocks or resigns too.
    let revoked = leases.lease_revoke(pb::LeaseRevokeRequest { id: lease }).await;
    match (outcome, revoked) {
        (Ok(()), Err(status)) => Err(status.into()),
        (outcome, _) => outcome,
    }
}

impl Session<'_> {
    async fn enter(&self, name: &str, value: Vec<u8>) -> Result<Place, ToolError> {
        let key = format!("{name}/{:x}", self.lease).into_bytes();
        let compare = pb::Compare {
            result: CompareResult::Equal as i32,
            target: CompareTarget::Create as i32,
            key: key.clone().into(),
            target_union: Some(TargetUnion::CreateRevision(0)),
            ..pb::Compare::default()
        };
        let put = Request::RequestPut(pb::PutRequest {
            key: key.clone().into(),
            value: value.into(),
            lease: self.lease,
            ..pb::PutRequest::default()
        });
        let get = Request::RequestRange(pb::RangeRequest {
            key: key.clone().into(),
            ..Default::default()
        });
        let request = pb::TxnRequest {
            compare: vec![compare],
            success: vec![pb::RequestOp { request: Some(put) }],
            failure: vec![pb::RequestOp { request: Some(get) }],
        };
        let answer = self.global.kv().await?.txn(request).await?.into_inner();
        let found = answer.responses.into_iter().find_map(|op| match op.response {
            Some(Response::ResponseRange(range)) => range.kvs.into_iter().next(),
            _ => None,
        });
        let revision = match found {
            Some(kv) => kv.create_revision,
            None => answer.header.map_or(0, |header| header.revision),
        };
        Ok(Place { key, revision })
    }

    /// Waits until nobody is before us.
    async fn wait(&self, name: &str, place: &Place) -> Result<(), ToolError> {
        let prefix = format!("{name}/").into_bytes();
        let mut client = self.global.kv().await?;
        loop {
            let request = pb::RangeRequest {
                key: prefix.clone().into(),
                range_end: prefix_end(&prefix).into(),
                max_create_revision: place.revision - 1,
                sort_order: 2,
                sort_target: 2,
                limit: 1,
                ..pb::RangeRequest::default()
            };
            let answer = client.range(request).await?.into_inner();
            let Some(before) = answer.kvs.into_iter().next() else { break };
            let revision = answer.header.map_or(0, |header| header.revision);
            self.gone(before.key, revision + 1).await?;
        }
        // While we waited, our own key may have gone with its lease.
        let own = pb::RangeRequest { key: place.key.clone().into(), ..Default::default() };
        if client.range(own).await?.into_inner().kvs.is_empty() {
            return Err(ToolError::of(Id::SessionLost, "session expired while waiting"));
        }
        Ok(())
    }

    /// Waits until a key is deleted.
    async fn gone(&self, key: bytes::Bytes, from: i64) -> Result<(), ToolError> {
        let create = pb::WatchCreateRequest {
            key,
            start_revision: from,
            ..pb::WatchCreateRequest::default()
        };
        let mut events = watch(self.global, create).await?;
        while let Some(answer) = events.message().await? {
            if answer.canceled {
                let text = format!("watch was canceled ({})", answer.cancel_reason);
                return Err(ToolError::of(Id::WatchCanceled, text));
            }
            if answer.events.iter().any(|event| event.r#type == EventType::Delete as i32) {
                return Ok(());
            }
        }
        Err(tonic::Status::unavailable("the watch stream ended").into())
    }

    /// Prints the key that holds the lock or leads.
    async fn show(&self, key: &[u8]) -> Result<(), ToolError> {
        let request = pb::RangeRequest { key: key.to_vec().into(), ..Default::default() };
        let answer = self.global.kv().await?.range(request).await?.into_inner();
        if answer.kvs.is_empty() {
            return Err(ToolError::of(Id::SessionLost, "lock lost on init"));
        }
        show_pair(self.global, &answer)
    }
}

fn show_pair(global: &Global, answer: &pb::RangeResponse) -> Result<(), ToolError> {
    let output = &global.output;
    output.show(
        answer,
        || kv::range_lines(output, answer),
        || kv::range_table(output, answer, false, false),
    )
}

/// A stream of its own with one watch; it waits as long as nothing happens.
async fn watch(
    global: &Global,
    create: pb::WatchCreateRequest,
) -> Result<tonic::Streaming<pb::WatchResponse>, ToolError> {
    let mut unhurried = global.clone();
    unhurried.dialing.request_timeout = None;
    let request = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let requests =
        futures::StreamExt::chain(tokio_stream::once(request), futures::stream::pending());
    let mut client = WatchClient::new(unhurried.channel().await?);
    Ok(client.watch(requests).await?.into_inner())
}

/// Prints the leader now, and each time that it changes.
async fn observe(global: &Global, name: &str) -> Result<(), ToolError> {
    let prefix = format!("{name}/").into_bytes();
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let looking = async {
        let mut client = global.kv().await?;
        let mut shown = None;
        loop {
            let request = pb::RangeRequest {
                key: prefix.clone().into(),
                range_end: prefix_end(&prefix).into(),
                sort_order: 1,
                sort_target: 2,
                limit: 1,
                ..pb::RangeRequest::default()
            };
            let answer = client.range(request).await?.into_inner();
            let revision = answer.header.map_or(0, |header| header.revision);
            let leader = answer.kvs.first().map(|kv| (kv.key.clone(), kv.mod_revision));
            if leader.is_some() && leader != shown {
                let alone = pb::RangeResponse { more: false, ..answer };
                show_pair(global, &alone)?;
            }
            shown = leader;
            let create = pb::WatchCreateRequest {
                key: prefix.clone().into(),
                range_end: prefix_end(&prefix).into(),
                start_revision: revision + 1,
                ..pb::WatchCreateRequest::default()
            };
            let mut events = watch(global, create).await?;
            loop {
                let Some(answer) = events.message().await? else {
                    return Err(ToolError::of(Id::SessionLost, "elect: observer lost"));
                };
                if answer.canceled {
                    return Err(ToolError::of(Id::WatchCanceled, "elect: observer lost"));
                }
                if !answer.events.is_empty() {
                    break;
                }
            }
        }
    };
    tokio::select! {
        ended = looking => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}
