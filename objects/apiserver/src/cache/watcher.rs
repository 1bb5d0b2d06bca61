//! One watch of a cache's objects.
//!
//! A watcher has a place in the ring of recent changes and reads on at its own pace; what it has
//! not read yet costs nothing. One that is so slow that the ring has moved past its place is ended.
//!
//! Invariants: a watcher is told every change after its beginning that concerns its selection,
//! once, in order; a bookmark's revision is one up to which it was told everything.
//!
//! Must not know: how events are sent.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::limits::{BOOKMARK_BEFORE_END, BOOKMARK_INTERVAL, TAKE_MAX};
use super::query::parse_resource_version;
use super::recent::{Event, Kind};
use super::snapshot::{Position, Snapshot};
use super::state::{Shared, State};
use super::{CacheError, Object, Selection, WatchQuery};
use crate::storage::Revision;

/// What a watcher is told.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// An object came to be, or came to be selected.
    Added(WatchedObject),
    /// A selected object was changed.
    Modified(WatchedObject),
    /// An object was removed, or is no longer selected: its last selected state, with the revision
    /// at which it went away.
    Deleted(WatchedObject),
    /// Everything up to this revision was told; the flag is for the annotation
    /// `k8s.io/initial-events-end: "true"`.
    Bookmark {
        /// The revision.
        revision: Revision,
        /// Whether the initial events end here.
        initial_events_end: bool,
    },
    /// The watch cannot go on; the last event.
    Error(CacheError),
}

/// An object in a watch event, and the event's line, which all its watchers share.
#[derive(Debug, Clone)]
pub struct WatchedObject {
    kind: Kind,
    object: Arc<Object>,
    event: Option<Arc<Event>>,
}

impl WatchedObject {
    /// The object.
    #[must_use]
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// The line of the JSON watch stream with the object as it is stored, made once for all
    /// watchers: `{"type":"ADDED","object":{…}}` and a line feed.
    #[must_use]
    pub fn line(&self) -> Bytes {
        match &self.event {
            Some(event) => event.line(self.kind),
            None => self
                .kind
                .line(|out| self.object.put_stored_json(out), self.object.body().len() + 64),
        }
    }
}

/// A watch that is under way.
pub struct Watcher {
    shared: Arc<Shared>,
    moved: watch::Receiver<u64>,
    life: u64,
    namespace: Option<String>,
    name: Option<String>,
    selection: Selection,
    /// What has to be told before anything else.
    ready: VecDeque<WatchEvent>,
    initial: Option<Initial>,
    /// The number of the next change to be read.
    next: u64,
    /// Changes up to this revision are not told: the watch began behind them.
    after: Revision,
    bookmarks: Option<Pin<Box<Sleep>>>,
    end: Option<Pin<Box<Sleep>>>,
    over: bool,
}

/// The objects that are told first.
struct Initial {
    snapshot: Snapshot,
    at: Position,
    to: Position,
    /// The bookmark that follows them, if it was asked for.
    bookmark: Option<Revision>,
}

/// Where a watch begins.
enum Beginning {
    /// With everything that there is.
    State(Snapshot, Revision),
    /// Behind the revision that was asked for.
    Behind,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("next", &self.next).finish_non_exhaustive()
    }
}

/// Opens a watch.
///
/// *Errors*: a revision that is no number, or a cache that is not filled in time. All else is told
/// as an event, as the real server does once a watch was accepted.
pub(super) async fn open(shared: &Arc<Shared>, query: WatchQuery) -> Result<Watcher, CacheError> {
    parse_resource_version(query.resource_version.as_deref())?;
    shared.wait_ready().await?;
    let asked = in_time(shared, &query).await;
    let mut watcher = Watcher::new(shared, &query);
    let initial = query.send_initial_events;
    let begin = |asked| shared.look(|state| watcher.begin(state, asked, initial));
    match asked.and_then(begin) {
        Ok(Beginning::State(snapshot, revision)) => {
            let bookmark = (query.bookmarks && initial == Some(true)).then_some(revision);
            let scope = watcher.namespace.as_ref().map(|namespace| format!("{namespace}/"));
            let (at, to) = snapshot.range(scope.as_deref().unwrap_or_default());
            watcher.initial = Some(Initial { snapshot, at, to, bookmark });
        }
        Ok(Beginning::Behind) => {}
        Err(error) => watcher.fail(error),
    }
    Ok(watcher)
}

/// The revision a watch asks for, once the cache can begin with it.
///
/// Compat: a watch whose time is up before that ends with an error, not just so.
async fn in_time(shared: &Shared, query: &WatchQuery) -> Result<Revision, CacheError> {
    match query.timeout {
        Some(timeout) if !timeout.is_zero() => {
            let asked = tokio::time::timeout(timeout, asked(shared, query)).await;
            asked.unwrap_or(Err(CacheError::Deadline))
        }
        Some(_) if reads_store(query) => Err(CacheError::Deadline),
        _ => asked(shared, query).await,
    }
}

/// Whether the watch begins with what is the newest now.
fn reads_store(query: &WatchQuery) -> bool {
    let unset = matches!(query.resource_version.as_deref(), None | Some(""));
    unset && query.send_initial_events.is_some()
}

async fn asked(shared: &Shared, query: &WatchQuery) -> Result<Revision, CacheError> {
    let asked = match reads_store(query) {
        true => shared.storage.current_revision().await?,
        false => parse_resource_version(query.resource_version.as_deref())?,
    };
    if query.send_initial_events == Some(true) {
        shared.wait_passed(asked).await?;
    }
    Ok(asked)
}

impl Watcher {
    fn new(shared: &Arc<Shared>, query: &WatchQuery) -> Self {
        let namespaced = shared.shape.namespaced;
        let end = query.timeout.map(|timeout| Instant::now() + timeout);
        let mut watcher = Watcher {
            shared: Arc::clone(shared),
            moved: shared.moved(),
            life: 0,
            namespace: query.namespace.clone().filter(|_| namespaced),
            name: query.name.clone(),
            selection: query.selection.clone(),
            ready: VecDeque::new(),
            initial: None,
            next: 0,
            after: Revision::NONE,
            bookmarks: None,
            end: end.map(|end| Box::pin(tokio::time::sleep_until(end))),
            over: false,
        };
        if query.bookmarks {
            let first = watcher.next_bookmark();
            watcher.bookmarks = Some(Box::pin(tokio::time::sleep_until(first)));
        }
        watcher
    }

    /// Takes a place in the ring.
    fn begin(
        &mut self,
        state: &State,
        asked: Revision,
        initial: Option<bool>,
    ) -> Result<Beginning, CacheError> {
        self.life = state.life;
        self.next = state.recent.end();
        match initial {
            Some(true) => {}
            None if asked == Revision::NONE => {}
            _ => {
                let behind = if asked == Revision::NONE { state.passed } else { asked };
                let floor = state.recent.floor();
                let next = state.recent.after(behind);
                self.next = next.ok_or_else(|| CacheError::watch_expired(behind, floor))?;
                self.after = behind;
                return Ok(Beginning::Behind);
            }
        }
        self.after = state.passed;
        Ok(Beginning::State(state.snapshot.clone(), state.passed))
    }

    fn fail(&mut self, error: CacheError) {
        self.ready.push_back(WatchEvent::Error(error));
        self.initial = None;
        self.over = true;
    }

    /// The next event; none when the watch is over, because its time is up or because this watcher
    /// was too slow.
    ///
    /// *Cancellation*: safe, nothing is lost.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.told_already() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            self.moved.borrow_and_update();
            if self.read() {
                continue;
            }
            self.wait().await;
        }
    }

    /// All further events as a stream.
    pub fn into_stream(self) -> impl futures::Stream<Item = WatchEvent> + Send + 'static {
        futures::stream::unfold(self, |mut watcher| async move {
            let event = watcher.next().await?;
            Some((event, watcher))
        })
    }

    fn told_already(&mut self) -> Option<WatchEvent> {
        if let Some(event) = self.ready.pop_front() {
            return Some(event);
        }
        let mut initial = self.initial.take()?;
        while initial.at < initial.to {
            let Some((object, next)) = initial.snapshot.at(initial.at) else { break };
            initial.at = next;
            if self.selects(object) {
                let object = Arc::clone(object);
                self.initial = Some(initial);
                return Some(WatchEvent::Added(WatchedObject {
                    kind: Kind::Added,
                    object,
                    event: None,
                }));
            }
        }
        let revision = initial.bookmark?;
        Some(WatchEvent::Bookmark { revision, initial_events_end: true })
    }

    /// Reads on in the ring; false if there is nothing new.
    fn read(&mut self) -> bool {
        enum Found {
            Closed,
            Expired(Revision),
            Events(Option<Vec<Arc<Event>>>),
        }
        let found = self.shared.look(|state| {
            if state.closed {
                Found::Closed
            } else if state.life != self.life {
                Found::Expired(state.recent.floor())
            } else {
                Found::Events(state.recent.take(self.next, TAKE_MAX))
            }
        });
        match found {
            Found::Closed | Found::Events(None) => self.over = true,
            Found::Expired(floor) => self.fail(CacheError::watch_expired(self.after, floor)),
            Found::Events(Some(events)) if events.is_empty() => return false,
            Found::Events(Some(events)) => {
                self.next += events.len() as u64;
                let told = events.iter().filter(|e| e.object.revision() > self.after);
                let told: Vec<_> = told.filter_map(|event| self.tell(event)).collect();
                self.ready.extend(told);
                if let Some(last) = events.last() {
                    self.after = self.after.max(last.object.revision());
                }
            }
        }
        true
    }

    /// What a change means to this watcher.
    fn tell(&self, event: &Arc<Event>) -> Option<WatchEvent> {
        let is = event.kind != Kind::Deleted && self.selects(&event.object);
        let was = event.previous.as_ref().is_some_and(|previous| self.selects(previous));
        let kind = match (was, is) {
            (false, false) => return None,
            (false, true) => Kind::Added,
            (true, true) => Kind::Modified,
            (true, false) => Kind::Deleted,
        };
        let object = event.shown(kind);
        let told = WatchedObject { kind, object, event: Some(Arc::clone(event)) };
        Some(match kind {
            Kind::Added => WatchEvent::Added(told),
            Kind::Modified => WatchEvent::Modified(told),
            Kind::Deleted => WatchEvent::Deleted(told),
        })
    }

    fn selects(&self, object: &Object) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| object.namespace() == Some(namespace))
            && self.name.as_deref().is_none_or(|name| object.name() == name)
            && self.selection.matches(object)
    }

    async fn wait(&mut self) {
        tokio::select! {
            // Order: times first, or changes that never cease would keep them off.
            biased;
            () = due(self.end.as_mut()) => self.over = true,
            () = due(self.bookmarks.as_mut()) => self.bookmark(),
            // The sender lives as long as `shared`.
            _ = self.moved.changed() => {}
        }
    }

    /// Tells how far everything was told, unless there is something to be told first.
    fn bookmark(&mut self) {
        let (life, next) = (self.life, self.next);
        let passed = self.shared.look(|state| {
            let caught_up = state.life == life && state.recent.end() == next;
            caught_up.then_some(state.passed)
        });
        if let Some(revision) = passed.filter(|passed| *passed >= self.after) {
            self.ready.push_back(WatchEvent::Bookmark { revision, initial_events_end: false });
        }
        let next = self.next_bookmark();
        if let Some(bookmarks) = &mut self.bookmarks {
            bookmarks.as_mut().reset(next);
        }
    }

    /// In a minute, or shortly before the end.
    fn next_bookmark(&self) -> Instant {
        let now = Instant::now();
        let usual = now + BOOKMARK_INTERVAL;
        let last = self.end.as_ref().map(|end| end.deadline() - BOOKMARK_BEFORE_END);
        match last {
            Some(last) if now < last && last < usual => last,
            _ => usual,
        }
    }
}

/// Ends at a time, or never.
async fn due(sleep: Option<&mut Pin<Box<Sleep>>>) {
    match sleep {
        Some(sleep) => sleep.as_mut().await,
        None => std::future::pending().await,
    }
}
