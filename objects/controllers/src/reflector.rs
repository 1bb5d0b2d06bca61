//! One kind's changes, for ever: a streaming list, then the watch that follows it, again and again.
//!
//! Invariants: the first state is at least as new as the moment of asking (a consistent read, so a
//! controller that starts after another never acts on what was true before it); after a break the
//! watch goes on from the last revision seen; only when the server has forgotten that revision the
//! whole state is listed again. Failures are retried with back-off until shutdown.
//!
//! Must not know: what is done with the objects.

use std::fmt::Debug;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::error::status_of;

/// The first pause after a failure, and the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(3);

/// How long the server is asked to keep a watch open; the client gives up a little later.
const WATCH_SECONDS: u32 = 290;
const WATCH_IDLE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);

/// What a follower is told.
#[derive(Debug)]
pub enum Update<K> {
    /// The whole state; what is not in it is gone.
    Restarted(Vec<K>),
    /// Created or changed.
    Applied(K),
    /// Deleted; the object as it was at the end.
    Deleted(K),
}

/// Why one watch ended.
enum End {
    /// The server closed it, as it does after a while.
    Closed,
    /// The revision is too old: list again.
    Expired,
    /// Anything else: try again a little later.
    Failed(kube::Error),
}

/// Follows all objects that `api` selects and tells `tell` of each change in order, until
/// `shutdown`. `selector` narrows what is asked for (fields and labels).
pub async fn follow<K>(
    api: Api<K>,
    selector: WatchParams,
    shutdown: CancellationToken,
    mut tell: impl FnMut(Update<K>) + Send,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut reflector = Reflector { api, selector, revision: None, streaming: true };
    let mut backoff = BACKOFF_MIN;
    loop {
        let had_state = reflector.revision.is_some();
        let began = tokio::time::Instant::now();
        let end = tokio::select! {
            () = shutdown.cancelled() => return,
            end = reflector.once(&mut tell) => end,
        };
        match end {
            Ok(End::Closed) => backoff = BACKOFF_MIN,
            Ok(End::Expired) => reflector.revision = None,
            Ok(End::Failed(error)) | Err(error) => {
                if !had_state && reflector.streaming && refuses_streaming(&error) {
                    reflector.streaming = false;
                    continue;
                }
                if began.elapsed() > BACKOFF_MAX {
                    // It went well for a while: this failure is a new one.
                    backoff = BACKOFF_MIN;
                }
                tracing::debug!(url = reflector.api.resource_url(), %error, "watch broke off");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(backoff) => {}
                }
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// Whether the server does not know streaming lists (older, or switched off).
fn refuses_streaming(error: &kube::Error) -> bool {
    matches!(status_of(error), Some(400 | 422))
}

struct Reflector<K> {
    api: Api<K>,
    selector: WatchParams,
    /// The last revision seen; none before the first whole state.
    revision: Option<String>,
    streaming: bool,
}

impl<K> Reflector<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn once(
        &mut self,
        tell: &mut (impl FnMut(Update<K>) + Send),
    ) -> Result<End, kube::Error> {
        if self.revision.is_none() && !self.streaming {
            self.list(tell).await?;
        }
        let mut params = self.selector.clone();
        params.timeout = Some(WATCH_SECONDS);
        params.bookmarks = true;
        params.send_initial_events = self.revision.is_none();
        // An empty revision beside sendInitialEvents asks for a consistent read.
        let from = self.revision.clone().unwrap_or_default();
        match self.api.watch(&params, &from).await {
            Ok(stream) => Ok(self.drain(stream.boxed(), tell).await),
            Err(e) if status_of(&e) == Some(410) => Ok(End::Expired),
            Err(e) => Err(e),
        }
    }

    async fn list(&mut self, tell: &mut (impl FnMut(Update<K>) + Send)) -> Result<(), kube::Error> {
        let params = ListParams {
            label_selector: self.selector.label_selector.clone(),
            field_selector: self.selector.field_selector.clone(),
            ..ListParams::default()
        };
        let list = self.api.list(&params).await?;
        self.revision = list.metadata.resource_version;
        tell(Update::Restarted(list.items));
        Ok(())
    }

    async fn drain(
        &mut self,
        mut stream: impl Stream<Item = Result<WatchEvent<K>, kube::Error>> + Unpin,
        tell: &mut (impl FnMut(Update<K>) + Send),
    ) -> End {
        let mut initial: Option<Vec<K>> = self.revision.is_none().then(Vec::new);
        loop {
            let event = match tokio::time::timeout(WATCH_IDLE, stream.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => return End::Failed(error),
                Ok(None) | Err(_) => return End::Closed,
            };
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => match &mut initial {
                    Some(state) => state.push(object),
                    None => {
                        self.revision = object.resource_version().or(self.revision.take());
                        tell(Update::Applied(object));
                    }
                },
                WatchEvent::Deleted(object) => match &mut initial {
                    Some(state) => state.retain(|o| o.uid() != object.uid()),
                    None => {
                        self.revision = object.resource_version().or(self.revision.take());
                        tell(Update::Deleted(object));
                    }
                },
                WatchEvent::Bookmark(bookmark) => {
                    let ends = bookmark.metadata.annotations.contains_key(INITIAL_EVENTS_END);
                    if ends && let Some(state) = initial.take() {
                        tell(Update::Restarted(state));
                    }
                    if initial.is_none() {
                        self.revision = Some(bookmark.metadata.resource_version);
                    }
                }
                WatchEvent::Error(status) if status.code == 410 => return End::Expired,
                WatchEvent::Error(status) => return End::Failed(kube::Error::Api(status)),
            }
        }
    }
}

/// The annotation on the bookmark after which a streaming list is whole.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";
