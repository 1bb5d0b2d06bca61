//! The watch streams of one server, collected in the background and read at quiet points.
//!
//! Invariants: what a stream delivered is kept in order and per watch; a quiet point is reached
//! when each stream answered a progress request at or beyond the wanted revision, so nothing is
//! under way then.
//!
//! Must not know: the other server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use services::etcdserverpb::watch_client::WatchClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::call::{self, Call};
use crate::gateway::streams as websocket;
use crate::process::POLL;

/// How long a stream may take to become quiet.
const QUIET_DEADLINE: Duration = Duration::from_secs(20);

/// A progress request that met a busy watcher is dropped by the server: it is asked again.
const PROGRESS_AGAIN: Duration = Duration::from_millis(100);

/// The id of the watch that only keeps progress answers coming; no generated id reaches it.
const IDLE_WATCH: i64 = 1_000_000;

/// What each watch delivered, by watch id, as comparable lines.
pub(crate) type Delivered = BTreeMap<i64, Vec<String>>;

/// How a stream is held.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Over gRPC.
    Grpc(Channel),
    /// As JSON over a WebSocket of the member with this URL.
    Json(String),
}

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
    progress_answers: usize,
    ended: Option<String>,
}

impl Stream {
    /// Opens a stream with one watch on a key that nobody writes.
    ///
    /// Compat: etcd answers a progress request through one of the stream's watches, so there must
    /// be one.
    pub(crate) async fn open(source: Source, token: Option<&str>) -> Result<Self> {
        let stream = Self::without_watches(source, token);
        let key = "nobody writes this".into();
        let idle =
            WatchCreateRequest { key, watch_id: IDLE_WATCH, ..WatchCreateRequest::default() };
        stream.create(idle).await?;
        Ok(stream)
    }

    /// Opens a stream that has no watch yet.
    pub(crate) fn without_watches(source: Source, token: Option<&str>) -> Self {
        let (requests, outgoing) = mpsc::channel(64);
        let collected = Arc::new(Mutex::new(Collected::default()));
        let token = token.map(str::to_owned);
        tokio::spawn(collect(source, token, outgoing, Arc::clone(&collected)));
        Self { requests, collected }
    }

    /// How many progress answers came so far.
    pub(crate) fn progress_answers(&self) -> usize {
        self.look(|collected| collected.progress_answers)
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
                crate::pause::pause(Duration::from_millis(1)).await;
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
            crate::pause::pause(POLL / 20).await;
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

async fn collect(
    source: Source,
    token: Option<String>,
    requests: mpsc::Receiver<WatchRequest>,
    collected: Arc<Mutex<Collected>>,
) {
    let end = match source {
        Source::Grpc(channel) => over_grpc(channel, token, requests, &collected).await,
        Source::Json(url) => match over_json(&url, token, requests, &collected).await {
            Ok(()) => Status::ok("the server closed it"),
            Err(error) => Status::unknown(format!("{error:#}")),
        },
    };
    lock(&collected).ended = Some(format!("{:?}: {}", end.code(), end.message()));
}

fn lock(collected: &Mutex<Collected>) -> std::sync::MutexGuard<'_, Collected> {
    collected.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn over_grpc(
    channel: Channel,
    token: Option<String>,
    requests: mpsc::Receiver<WatchRequest>,
    collected: &Mutex<Collected>,
) -> Status {
    let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
    let mut requests = Request::new(ReceiverStream::new(requests));
    if let Some(token) = token.and_then(|token| token.parse().ok()) {
        requests.metadata_mut().insert("token", token);
    }
    let mut answers = match client.watch(requests).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return status,
    };
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                let events = answer.events.iter().map(|event| format!("{event:?}")).collect();
                note(&mut lock(collected), &answer, events);
            }
            Ok(None) => return Status::ok("the server closed it"),
            Err(status) => return status,
        }
    }
}

async fn over_json(
    url: &str,
    token: Option<String>,
    mut requests: mpsc::Receiver<WatchRequest>,
    collected: &Mutex<Collected>,
) -> Result<()> {
    let mut socket = websocket::socket(url, "/v3/watch", token.as_deref()).await?;
    let method = call::method("etcdserverpb.Watch/Watch")?;
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some(request) = request else { return Ok(()) };
                let call = Call::new("etcdserverpb.Watch/Watch", &request);
                let request = call::value(&call::decoded(method.input(), &call.request)?)?;
                websocket::send(&mut socket, request.to_string()).await?;
            }
            line = websocket::next(&mut socket) => {
                let line: serde_json::Value = serde_json::from_str(&line?)?;
                let result = line.get("result").with_context(|| line.to_string())?;
                let message = call::read(method.output(), result)?;
                let answer: WatchResponse = message.transcode_to()?;
                // As they came: what the message leaves open is compared too.
                let events = result["events"].as_array().map(Vec::as_slice).unwrap_or_default();
                let events = events.iter().map(serde_json::Value::to_string).collect();
                note(&mut lock(collected), &answer, events);
            }
        }
    }
}

fn note(collected: &mut Collected, answer: &WatchResponse, events: Vec<String>) {
    let bare = answer.events.is_empty() && !answer.created && !answer.canceled;
    if bare && answer.watch_id == -1 {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        collected.progress_revision = revision;
        collected.progress_answers += 1;
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
    lines.extend(events);
}
