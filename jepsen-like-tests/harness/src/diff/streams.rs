//! The watch streams of one server, collected in the background and read at quiet points.
//!
//! Invariants: what a stream delivered is kept in order and per watch; a quiet point is reached when each
//! stream answered a progress request at or beyond the wanted revision, so nothing is under way then.
//!
//! Must not know: the other server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use services::etcdserverpb::watch_client::WatchClient;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::process::POLL;

/// How long a stream may take to become quiet.
const QUIET_DEADLINE: Duration = Duration::from_secs(20);

/// A progress request that met a busy watcher is dropped by the server: it is asked again.
const PROGRESS_AGAIN: Duration = Duration::from_millis(100);

/// What each watch delivered, by watch id, as comparable lines.
pub(crate) type Delivered = BTreeMap<i64, Vec<String>>;

/// One stream and what it delivered since it was last taken.
pub(crate) struct Stream {
    requests: mpsc::Sender<WatchRequest>,
    collected: Arc<Mutex<Collected>>,
}

#[derive(Default)]
struct Collected {
    delivered: Delivered,
    /// Answers to create requests so far.
    created: usize,
    progress_revision: i64,
    ended: Option<String>,
}

impl Stream {
    pub(crate) async fn open(channel: Channel) -> Result<Self> {
        let (requests, outgoing) = mpsc::channel(64);
        let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
        let answers = timeout(QUIET_DEADLINE, client.watch(ReceiverStream::new(outgoing)))
            .await
            .context("opening a watch stream")??
            .into_inner();
        let collected = Arc::new(Mutex::new(Collected::default()));
        tokio::spawn(collect(answers, Arc::clone(&collected)));
        Ok(Self { requests, collected })
    }

    /// Creates a watch and waits until the server said so.
    pub(crate) async fn create(&self, create: WatchCreateRequest) -> Result<()> {
        let before = self.look(|collected| collected.created);
        self.send(RequestUnion::CreateRequest(create)).await?;
        self.until("an answer to a watch request", |collected| collected.created > before).await
    }

    pub(crate) async fn cancel(&self, watch_id: i64) -> Result<()> {
        self.send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id })).await
    }

    /// Sends one progress request and does not wait.
    pub(crate) async fn progress(&self) -> Result<()> {
        self.send(RequestUnion::ProgressRequest(WatchProgressRequest {})).await
    }

    /// Waits until everything up to `revision` is delivered.
    pub(crate) async fn quiet(&self, revision: i64) -> Result<()> {
        self.look(|collected| collected.progress_revision = 0);
        let deadline = Instant::now() + QUIET_DEADLINE;
        while Instant::now() < deadline {
            self.progress().await?;
            let again = Instant::now() + PROGRESS_AGAIN;
            while Instant::now() < again {
                if self.look(|collected| collected.progress_revision >= revision) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        bail!("no progress answer at revision {revision} within {QUIET_DEADLINE:?}")
    }

    /// Takes what was delivered since the last time.
    pub(crate) fn take(&self) -> Delivered {
        self.look(|collected| std::mem::take(&mut collected.delivered))
    }

    async fn until(&self, what: &str, mut met: impl FnMut(&Collected) -> bool) -> Result<()> {
        let deadline = Instant::now() + QUIET_DEADLINE;
        while !self.look(|collected| met(collected)) {
            if Instant::now() > deadline {
                bail!("{what} did not come within {QUIET_DEADLINE:?}");
            }
            tokio::time::sleep(POLL / 20).await;
        }
        Ok(())
    }

    async fn send(&self, request: RequestUnion) -> Result<()> {
        if let Some(end) = self.look(|collected| collected.ended.clone()) {
            bail!("the watch stream ended: {end}");
        }
        Ok(self.requests.send(WatchRequest { request_union: Some(request) }).await?)
    }

    fn look<T>(&self, read: impl FnOnce(&mut Collected) -> T) -> T {
        read(&mut self.collected.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

async fn collect(mut answers: tonic::Streaming<WatchResponse>, collected: Arc<Mutex<Collected>>) {
    let mut ended = "the server closed it".to_owned();
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                let mut collected =
                    collected.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                note(&mut collected, &answer);
            }
            Ok(None) => break,
            Err(status) => {
                ended = format!("{:?}: {}", status.code(), status.message());
                break;
            }
        }
    }
    collected.lock().unwrap_or_else(std::sync::PoisonError::into_inner).ended = Some(ended);
}

fn note(collected: &mut Collected, answer: &WatchResponse) {
    let bare = answer.events.is_empty() && !answer.created && !answer.canceled;
    if bare && answer.watch_id == -1 {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        collected.progress_revision = revision;
        return;
    }
    let lines = collected.delivered.entry(answer.watch_id).or_default();
    if answer.created {
        collected.created += 1;
        lines.push("created".to_owned());
    }
    if answer.canceled {
        lines.push(format!(
            "canceled, compact_revision {}, reason {:?}",
            answer.compact_revision, answer.cancel_reason
        ));
    }
    lines.extend(answer.events.iter().map(|event| format!("{event:?}")));
}
