//! etcd's Watch service: one stream of the hub per gRPC stream.
//!
//! Invariants: requests are handled in the order in which they came; the ids and the term of the
//! header are filled here, everything else is the hub's. A client that does not read stops its own
//! stream only: answers are taken from the hub when the connection has room.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use futures::future::BoxFuture;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{ResponseHeader, WatchCreateRequest, WatchRequest};
use proto::spliced::WatchResponse;
use proto::status::EtcdError;
use services::etcdserverpb::watch_server::Watch;
use tokio::sync::watch as channel;
use tonic::{Request, Response as Answer, Status, Streaming};

use super::watch_guard::{Guard, Owner, Watched, call_of, go_text};
use crate::auth::Caller;
use crate::doors::StreamEnd;
use crate::errors::status;
use crate::member::Member;

/// The Watch service of one member.
pub(crate) struct WatchDoor(pub(crate) Arc<Member>);

/// Compat: the id of a watch that was never made.
const NO_WATCH: i64 = -1;

type Answers = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Watch for WatchDoor {
    type WatchStream = Answers;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Answer<Answers>, Status> {
        let end = StreamEnd::of(&self.0, request.metadata());
        let (control, output) = self.0.hub().open_stream();
        let period = self.0.progress_period();
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stream = OpenWatch {
            member: Arc::clone(&self.0),
            caller: Caller::of(&request),
            requests: Some(request.into_inner()),
            handling: None,
            guard: Guard::default(),
            auth_changes: self.0.auth_changes(),
            ending: None,
            control,
            output,
            ticks,
            end,
        };
        Ok(Answer::new(Box::pin(futures::stream::unfold(Some(stream), OpenWatch::step))))
    }
}

struct OpenWatch {
    member: Arc<Member>,
    caller: Caller,
    /// `None` after the client closed its half: its watches go on.
    requests: Option<Streaming<WatchRequest>>,
    /// The request at hand: it may wait until the client has read answers, so it must not keep
    /// this task from handing them out.
    handling: Option<Handling>,
    guard: Guard,
    auth_changes: channel::Receiver<u64>,
    /// Watches that lost their right being ended; it may wait, like a request at hand.
    ending: Option<BoxFuture<'static, ()>>,
    control: watch::WatchControl,
    output: watch::WatchOutput,
    ticks: tokio::time::Interval,
    end: StreamEnd,
}

/// A request at hand: ends with the answer when the door itself refuses it.
type Handling = BoxFuture<'static, Option<WatchResponse>>;

type Step = Option<(Result<WatchResponse, Status>, Option<OpenWatch>)>;

impl OpenWatch {
    /// The next answer, and the stream to go on with.
    async fn step(stream: Option<Self>) -> Step {
        let mut stream = stream?;
        match stream.next().await {
            Ok(answer) => Some((Ok(answer), Some(stream))),
            Err(end) => Some((Err(end), None)),
        }
    }

    async fn next(&mut self) -> Result<WatchResponse, Status> {
        loop {
            tokio::select! {
                end = self.end.reached() => return Err(end),
                next = next_request(&mut self.requests, &mut self.handling) => match next {
                    Ok(Next::Request(request)) => self.handling = self.handle(request),
                    Ok(Next::Refused(answer)) => {
                        self.guard.refused();
                        return Ok(self.filled(answer));
                    }
                    // Compat: etcd keeps the watches of a half-closed stream.
                    Ok(Next::HalfClosed) => self.requests = None,
                    Err(error) => return Err(client_gone(error)),
                },
                _ = self.ticks.tick() => self.control.tick_progress(),
                Ok(()) = self.auth_changes.changed() => {
                    let lost = self.guard.lost(self.member.reader());
                    self.end_watches(lost);
                }
                () = ended(&mut self.ending) => self.ending = None,
                answer = self.output.next() => {
                    let answer = answer.ok_or_else(|| self.failure())?;
                    let Some(answer) = self.guard.pass(answer) else { continue };
                    let reader = self.member.reader();
                    if answer.created && self.guard.has_lost(reader, answer.watch_id) {
                        self.end_watches(vec![answer.watch_id]);
                    }
                    return Ok(self.filled(answer));
                }
            }
        }
    }

    /// Ends watches whose users may not read them any more.
    fn end_watches(&mut self, lost: Vec<i64>) {
        if lost.is_empty() {
            return;
        }
        let (control, before) = (self.control.clone(), self.ending.take());
        self.ending = Some(Box::pin(async move {
            if let Some(before) = before {
                before.await;
            }
            for id in lost {
                control.cancel(id).await;
            }
        }));
    }

    fn handle(&mut self, request: WatchRequest) -> Option<Handling> {
        let control = self.control.clone();
        // Compat: etcd ignores a request without content.
        Some(match request.request_union? {
            RequestUnion::CreateRequest(request) => {
                let (watched, owner) = Watched::of(&request);
                self.guard.ask(watched);
                let (member, caller) = (Arc::clone(&self.member), self.caller.clone());
                Box::pin(async move {
                    if let Err(refusal) = allowed(&member, &caller, &request, &owner).await {
                        return Some(refused_watch(&member, &refusal));
                    }
                    control.create(request).await;
                    None
                })
            }
            RequestUnion::CancelRequest(cancel) => Box::pin(async move {
                control.cancel(cancel.watch_id).await;
                None
            }),
            RequestUnion::ProgressRequest(_) => Box::pin(async move {
                control.progress().await;
                None
            }),
        })
    }

    fn filled(&self, mut answer: WatchResponse) -> WatchResponse {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        let header = self.member.header_without_revision();
        answer.header = Some(ResponseHeader { revision, ..header });
        answer
    }

    fn failure(&self) -> Status {
        match self.output.failure() {
            Some(error) => Status::internal(format!("history cannot be read: {error}")),
            None => status(EtcdError::WatchCanceled),
        }
    }
}

/// What came from the client, or of what it asked before.
enum Next {
    Request(WatchRequest),
    Refused(WatchResponse),
    HalfClosed,
}

/// The next request, after the one at hand is done.
async fn next_request(
    requests: &mut Option<Streaming<WatchRequest>>,
    handling: &mut Option<Handling>,
) -> Result<Next, Status> {
    if let Some(at_hand) = handling {
        let refused = at_hand.await;
        *handling = None;
        if let Some(answer) = refused {
            return Ok(Next::Refused(answer));
        }
    }
    match requests {
        Some(requests) => Ok(requests.message().await?.map_or(Next::HalfClosed, Next::Request)),
        None => std::future::pending().await,
    }
}

/// Whether the caller may have this watch; its owner is told before it is made.
async fn allowed(
    member: &Member,
    caller: &Caller,
    create: &WatchCreateRequest,
    owner: &Owner,
) -> Result<(), Status> {
    // Compat: a negative start is refused before anything else, by the hub.
    if create.start_revision < 0 {
        return Ok(());
    }
    let identity = member.authorize(caller, call_of(create)).await?;
    // Nobody else sets it.
    let _first = owner.set(identity.username);
    Ok(())
}

/// Done when there is nothing to be ended any more.
async fn ended(ending: &mut Option<BoxFuture<'static, ()>>) {
    match ending {
        Some(ending) => ending.await,
        None => std::future::pending().await,
    }
}

/// Compat: what etcd sends in place of a watch that is not allowed; the reason is Go's text of the
/// whole status.
fn refused_watch(member: &Member, refusal: &Status) -> WatchResponse {
    let revision = member.reader().revision().0;
    WatchResponse {
        header: Some(ResponseHeader { revision, ..ResponseHeader::default() }),
        watch_id: NO_WATCH,
        created: true,
        canceled: true,
        cancel_reason: go_text(refusal),
        ..WatchResponse::default()
    }
}

/// Compat: the end of a stream whose client went away.
fn client_gone(error: Status) -> Status {
    match error.code() {
        tonic::Code::Cancelled | tonic::Code::Unknown => status(EtcdError::WatchCanceled),
        _ => error,
    }
}
