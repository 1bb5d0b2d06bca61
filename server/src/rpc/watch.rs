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
use proto::etcdserverpb::{ResponseHeader, WatchRequest};
use proto::spliced::WatchResponse;
use proto::status::EtcdError;
use services::etcdserverpb::watch_server::Watch;
use tonic::{Request, Response as Answer, Status, Streaming};

use crate::doors::StreamEnd;
use crate::errors::status;
use crate::member::Member;

/// The Watch service of one member.
pub(crate) struct WatchDoor(pub(crate) Arc<Member>);

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
            requests: Some(request.into_inner()),
            handling: None,
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
    /// `None` after the client closed its half: its watches go on.
    requests: Option<Streaming<WatchRequest>>,
    /// The request at hand: it may wait until the client has read answers, so it must not keep
    /// this task from handing them out.
    handling: Option<BoxFuture<'static, ()>>,
    control: watch::WatchControl,
    output: watch::WatchOutput,
    ticks: tokio::time::Interval,
    end: StreamEnd,
}

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
                request = next_request(&mut self.requests, &mut self.handling) => match request {
                    Ok(Some(request)) => self.handling = handle(self.control.clone(), request),
                    // Compat: etcd keeps the watches of a half-closed stream.
                    Ok(None) => self.requests = None,
                    Err(error) => return Err(client_gone(error)),
                },
                _ = self.ticks.tick() => self.control.tick_progress(),
                answer = self.output.next() => return match answer {
                    Some(answer) => Ok(self.filled(answer)),
                    None => Err(self.failure()),
                },
            }
        }
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

/// The next request, after the one at hand is done.
async fn next_request(
    requests: &mut Option<Streaming<WatchRequest>>,
    handling: &mut Option<BoxFuture<'static, ()>>,
) -> Result<Option<WatchRequest>, Status> {
    if let Some(at_hand) = handling {
        at_hand.await;
        *handling = None;
    }
    match requests {
        Some(requests) => requests.message().await,
        None => std::future::pending().await,
    }
}

fn handle(control: watch::WatchControl, request: WatchRequest) -> Option<BoxFuture<'static, ()>> {
    // Compat: etcd ignores a request without content.
    let request = request.request_union?;
    Some(Box::pin(async move {
        match request {
            RequestUnion::CreateRequest(create) => control.create(create).await,
            RequestUnion::CancelRequest(cancel) => control.cancel(cancel.watch_id).await,
            RequestUnion::ProgressRequest(_) => control.progress().await,
        }
    }))
}

/// Compat: the end of a stream whose client went away.
fn client_gone(error: Status) -> Status {
    match error.code() {
        tonic::Code::Cancelled | tonic::Code::Unknown => status(EtcdError::WatchCanceled),
        _ => error,
    }
}
