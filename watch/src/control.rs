//! The requests of one client stream.
//!
//! Invariant: each request owns a permit for its answer until the answer is handed out. A client
//! that asks and does not read waits here, before its request has any effect, and costs nothing
//! more.
//!
//! It must not know gRPC: the server unwraps requests and checks who may ask.

use std::sync::Arc;

use proto::etcdserverpb::WatchCreateRequest;
use proto::status::{self, EtcdError};
use store::Revision;
use tokio::sync::SemaphorePermit;

use crate::hub::Shared;
use crate::interest::Interest;
use crate::queue::Item;
use crate::response;
use crate::stream::Stream;
use crate::watcher::{Mode, Recheck, Watcher};

/// Takes the requests of a stream. Cloning gives another handle of the same stream.
///
/// *Cancellation*: a request whose future is dropped before it is ready has no effect.
/// On a closed stream (its output was dropped) requests do nothing.
#[derive(Clone)]
pub struct WatchControl {
    shared: Arc<Shared>,
    stream: Arc<Stream>,
}

impl WatchControl {
    pub(crate) fn new(shared: Arc<Shared>, stream: Arc<Stream>) -> Self {
        Self { shared, stream }
    }

    /// Creates a watcher. The answer is `created`, or `created` and `canceled` with id -1 and a
    /// reason; events follow it. Waits while the client has too many answers to read.
    ///
    /// # Source
    /// etcd: id 0 asks for the next free one from 0; start 0 is "from now", a start in the future
    /// is waited for, one below the compacted revision is canceled after `created`.
    pub async fn create(&self, request: WatchCreateRequest) {
        self.create_with(request, None).await;
    }

    /// As [`WatchControl::create`], for a watcher that [`crate::Hub::recheck`] asks about later.
    pub async fn create_checked(&self, request: WatchCreateRequest, recheck: Recheck) {
        self.create_with(request, Some(recheck)).await;
    }

    /// Answers a create request that the caller refuses, with the reason as etcd words it.
    pub async fn refuse(&self, reason: impl Into<String>) {
        let Some(permit) = self.permit().await else { return };
        self.push_refusal(permit, reason.into());
    }

    /// Cancels a watcher. An unknown id is not answered (as on etcd).
    pub async fn cancel(&self, watch_id: i64) {
        let Some(permit) = self.permit().await else { return };
        let mut registry = self.shared.registry.lock();
        let mut state = self.stream.state.lock();
        if registry.remove(&self.stream, &mut state, watch_id) {
            let answer = response::canceled(watch_id, String::new(), registry.published);
            state.queue.push(Item::Answer(answer));
            permit.forget();
        }
        drop(state);
        self.stream.wake.notify_one();
    }

    /// Asks for the progress of the whole stream: answered with id -1, behind all queued events,
    /// and only if every watcher is up to date and has its start behind it.
    pub async fn progress(&self) {
        let Some(permit) = self.permit().await else { return };
        let registry = self.shared.registry.lock();
        if self.stream.state.lock().push_stream_progress(registry.published) {
            permit.forget();
        }
        drop(registry);
        self.stream.wake.notify_one();
    }

    /// One interval of the periodic progress has passed: watchers that asked for it and had no
    /// events since the last tick are told the revision. The caller keeps the time.
    ///
    /// # Source
    /// etcd: every ten minutes, plus up to a tenth of it so that streams do not beat together.
    pub fn tick_progress(&self) {
        self.shared.tick_progress(&self.stream);
    }

    async fn create_with(&self, request: WatchCreateRequest, recheck: Option<Recheck>) {
        let Some(permit) = self.permit().await else { return };
        match Interest::of(&request) {
            Ok(interest) => self.add(permit, &request, interest, recheck),
            Err(reason) => self.push_refusal(permit, reason.to_owned()),
        }
    }

    fn add(
        &self,
        permit: SemaphorePermit<'_>,
        request: &WatchCreateRequest,
        interest: Interest,
        recheck: Option<Recheck>,
    ) {
        let mut registry = self.shared.registry.lock();
        let mut state = self.stream.state.lock();
        let room = state.watchers.len() < self.shared.limits.watchers_per_stream_max;
        let id = if room { state.free_id(request.watch_id) } else { None };
        let published = registry.published;
        let answer = match id {
            _ if state.closed => return,
            Some(id) => {
                let serial = registry.next_serial();
                let next = match request.start_revision {
                    0 => Revision(published.0 + 1),
                    start => Revision(start),
                };
                let watcher = Watcher {
                    serial,
                    interest: Arc::new(interest),
                    mode: Mode::Behind,
                    next,
                    start: Revision(request.start_revision),
                    fragment: request.fragment,
                    progress_notify: request.progress_notify,
                    announced: false,
                    idle: true,
                    progress_queued: false,
                    recheck,
                };
                registry.add(&self.stream, &mut state, id, watcher);
                Item::Created(response::created(id, published), serial)
            }
            None if room => refusal(status::WATCH_ID_DUPLICATE, published),
            None => refusal(EtcdError::TooManyRequests.message(), published),
        };
        state.queue.push(answer);
        permit.forget();
        drop(state);
        drop(registry);
        self.stream.wake.notify_one();
    }

    fn push_refusal(&self, permit: SemaphorePermit<'_>, reason: String) {
        let registry = self.shared.registry.lock();
        let mut state = self.stream.state.lock();
        state.queue.push(Item::Answer(response::refused(reason, registry.published)));
        permit.forget();
        drop(state);
        drop(registry);
        self.stream.wake.notify_one();
    }

    /// Room for one answer; `None` when the stream is closed.
    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.stream.requests.acquire().await.ok()
    }
}

fn refusal(reason: &str, published: Revision) -> Item {
    Item::Answer(response::refused(reason.to_owned(), published))
}
