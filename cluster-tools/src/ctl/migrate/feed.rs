//! The source's changes, in order, as its watch tells them.
//!
//! Invariant: what was handed out is gone from the watch; after a lost connection it goes on behind
//! the last revision that was seen whole.

use std::time::Duration;

use proto::etcdserverpb as pb;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::mvccpb::Event;
use services::etcdserverpb::watch_client::WatchClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::side::{Prefix, Side};
use crate::ToolError;
use crate::catalogue::Id;

/// How often a lost connection is tried again, and how long between.
const ATTEMPTS_MAX: u32 = 30;
const PAUSE: Duration = Duration::from_millis(500);
/// Requests that wait to be sent; more would wait for the server anyway.
const REQUESTS_QUEUED_MAX: usize = 16;

/// See the module's page.
pub(super) struct Feed {
    from: Side,
    range: Prefix,
    requests: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
    /// The first revision that was not seen.
    next: i64,
}

/// What one answer of the watch says.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Whole revisions, rising.
    pub(super) events: Vec<Event>,
    /// Everything up to this revision was handed out.
    pub(super) up_to: i64,
}

impl Feed {
    /// Watches from `revision` on. *Errors*: the source cannot be reached, or has forgotten it.
    pub(super) async fn open(
        from: &Side,
        range: &Prefix,
        revision: i64,
    ) -> Result<Self, ToolError> {
        let (requests, answers) = begin(from, range, revision).await?;
        Ok(Self { from: from.clone(), range: range.clone(), requests, answers, next: revision })
    }

    /// Asks the source to say how far its watch is, also when nothing changes.
    pub(super) async fn ask_progress(&mut self) -> Result<(), ToolError> {
        let ask = RequestUnion::ProgressRequest(pb::WatchProgressRequest {});
        // A lost connection shows at the next answer.
        let _ = self.requests.send(pb::WatchRequest { request_union: Some(ask) }).await;
        Ok(())
    }

    /// The next answer, on a new connection when the old one is lost; `None`: nothing came in time.
    pub(super) async fn next(&mut self, wait: Duration) -> Result<Option<News>, ToolError> {
        loop {
            let Ok(answer) = tokio::time::timeout(wait, self.answers.message()).await else {
                return Ok(None);
            };
            match answer {
                Ok(Some(answer)) if answer.canceled => return Err(ended(&answer, self.next)),
                Ok(Some(answer)) if answer.created => {}
                Ok(Some(answer)) => return Ok(Some(self.news(answer))),
                Ok(None) => self.again(Status::unavailable("the watch ended")).await?,
                Err(status) => self.again(status).await?,
            }
        }
    }

    fn news(&mut self, answer: pb::WatchResponse) -> News {
        let last = answer.events.last().and_then(|event| event.kv.as_ref());
        // Compat: an answer with events may stand behind its header's revision; one without says
        // that everything up to it was sent.
        let header = answer.header.unwrap_or_default().revision;
        let up_to = last.map_or(header, |kv| kv.mod_revision);
        self.next = self.next.max(up_to + 1);
        News { events: answer.events, up_to }
    }

    async fn again(&mut self, mut why: Status) -> Result<(), ToolError> {
        for _ in 0..ATTEMPTS_MAX {
            tokio::time::sleep(PAUSE).await;
            match begin(&self.from, &self.range, self.next).await {
                Ok((requests, answers)) => {
                    (self.requests, self.answers) = (requests, answers);
                    return self.ask_progress().await;
                }
                Err(status) => why = status,
            }
        }
        Err(why.into())
    }
}

async fn begin(
    from: &Side,
    range: &Prefix,
    revision: i64,
) -> Result<(mpsc::Sender<pb::WatchRequest>, Streaming<pb::WatchResponse>), Status> {
    let (requests, queue) = mpsc::channel(REQUESTS_QUEUED_MAX);
    let create = RequestUnion::CreateRequest(pb::WatchCreateRequest {
        key: range.first().into(),
        range_end: range.end().into(),
        start_revision: revision,
        progress_notify: true,
        ..Default::default()
    });
    let create = pb::WatchRequest { request_union: Some(create) };
    requests.send(create).await.map_err(|_| Status::internal("the watch's queue is closed"))?;
    let mut client = WatchClient::new(from.channel()).max_decoding_message_size(usize::MAX);
    let answers = client.watch(ReceiverStream::new(queue)).await?.into_inner();
    Ok((requests, answers))
}

fn ended(answer: &pb::WatchResponse, next: i64) -> ToolError {
    if answer.compact_revision > 0 {
        let text = format!(
            "the source compacted its history up to revision {} before revision {next} was copied",
            answer.compact_revision
        );
        return ToolError::of(Id::CopyDiffers, text);
    }
    ToolError::Rpc(Status::new(Code::Aborted, answer.cancel_reason.clone()))
}
