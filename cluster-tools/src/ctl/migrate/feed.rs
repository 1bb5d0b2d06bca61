//! The source's changes, in order, as its watch tells them.
//!
//! Invariant: what was handed out is gone from the watch; after a lost connection it goes on behind
//! the last revision that was seen whole. Where the source has forgotten what comes next, the feed
//! says so once and begins anew with what is to come.

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

/// The source has compacted changes before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the source compacted its history up to revision {compacted} before revision {next} was copied"
)]
pub(super) struct Forgotten {
    /// The first revision that was not read.
    next: i64,
    /// Up to where the source was compacted.
    compacted: i64,
}

impl From<Forgotten> for ToolError {
    fn from(forgotten: Forgotten) -> Self {
        ToolError::of(Id::CopyDiffers, forgotten.to_string())
    }
}

/// One reading of the feed.
#[derive(Debug)]
pub(super) enum Heard {
    /// Changes, or how far the watch is.
    News(News),
    /// Nothing came in time.
    Nothing,
    /// This feed has ended.
    Forgotten(Forgotten),
}

impl Feed {
    /// Watches what is to come. The watch has no past to read, so that no compaction can outrun its
    /// beginning.
    ///
    /// *Errors*: the source cannot be reached.
    pub(super) async fn from_now_on(from: &Side, range: &Prefix) -> Result<Self, ToolError> {
        let mut feed = Self::open(from, range, 0).await?;
        while feed.next == 0 {
            match feed.answers.message().await? {
                Some(answer) if answer.created => feed.next = answer_revision(&answer) + 1,
                Some(answer) => return Err(ended(&answer)),
                None => return Err(Status::unavailable("the watch ended").into()),
            }
        }
        Ok(feed)
    }

    /// Everything up to here was handed out, or was there before the watch.
    pub(super) fn seen(&self) -> i64 {
        self.next - 1
    }

    /// Watches from `revision` on. *Errors*: the source cannot be reached.
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

    /// The next answer, on a new connection when the old one is lost.
    pub(super) async fn next(&mut self, wait: Duration) -> Result<Heard, ToolError> {
        loop {
            let Ok(answer) = tokio::time::timeout(wait, self.answers.message()).await else {
                return Ok(Heard::Nothing);
            };
            match answer {
                Ok(Some(answer)) if answer.canceled && answer.compact_revision > 0 => {
                    let compacted = answer.compact_revision;
                    return Ok(Heard::Forgotten(Forgotten { next: self.next, compacted }));
                }
                Ok(Some(answer)) if answer.canceled => return Err(ended(&answer)),
                Ok(Some(answer)) if answer.created => {}
                Ok(Some(answer)) => return Ok(Heard::News(self.news(answer))),
                Ok(None) => self.again(Status::unavailable("the watch ended")).await?,
                Err(status) => self.again(status).await?,
            }
        }
    }

    fn news(&mut self, answer: pb::WatchResponse) -> News {
        let last = answer.events.last().and_then(|event| event.kv.as_ref());
        // Compat: an answer with events may stand behind its header's revision; one without says
        // that everything up to it was sent.
        let up_to = last.map_or(answer_revision(&answer), |kv| kv.mod_revision);
        self.next = self.next.max(up_to + 1);
        News { events: answer.events, up_to }
    }

    async fn again(&mut self, mut why: Status) -> Result<(), ToolError> {
        for _ in 0..ATTEMPTS_MAX {
            tokio::time::sleep(PAUSE).await;
            // The token may have run out while the watch was open; a login that fails is told by
            // the watch that is opened next.
            drop(self.from.channel().renew().await);
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

fn answer_revision(answer: &pb::WatchResponse) -> i64 {
    answer.header.as_ref().map_or(0, |header| header.revision)
}

fn ended(answer: &pb::WatchResponse) -> ToolError {
    ToolError::Rpc(Status::new(Code::Aborted, answer.cancel_reason.clone()))
}
