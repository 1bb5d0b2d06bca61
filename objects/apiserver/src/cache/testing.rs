//! Objects, and a storage that can be broken on purpose, for this room's tests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::watch;

use super::{Cache, Object, Shape, WatchEvent, Watcher};
use crate::storage::{
    CompactionRound, Got, MemoryStorage, Page, PageAnswer, Revision, Storage, StorageError, Stored,
    WatchFrom, Watching, Written,
};

/// The longest anything may take here.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A resource with namespaces, whose one selectable field is `spec.node`.
pub(super) fn shape() -> Shape {
    Shape {
        prefix: "/things/".to_owned(),
        namespaced: true,
        fields: Some(|value| {
            vec![("spec.node", value["spec"]["node"].as_str().unwrap_or_default().to_owned())]
        }),
        decode: None,
    }
}

/// What would be stored for an object.
pub(super) fn value(name: &str, app: &str, node: &str) -> Bytes {
    let object = serde_json::json!({
        "kind": "Thing", "apiVersion": "v1",
        "metadata": {"name": name, "uid": format!("uid-{name}"), "labels": {"app": app}},
        "spec": {"node": node},
    });
    Bytes::from(object.to_string())
}

/// An object at a place and a revision.
pub(super) fn object(place: &str, revision: u64) -> Arc<Object> {
    let stored = Stored {
        key: format!("/things/{place}"),
        value: value(place, "web", "n1"),
        revision: Revision(revision),
        create_revision: Revision(revision),
    };
    Object::read(&shape(), &stored).expect("it is well made")
}

/// A memory storage whose watches can be cut, refused and held back.
pub(super) struct Breakable {
    pub(super) memory: MemoryStorage,
    /// Raised to cut all open watches.
    cut: watch::Sender<u64>,
    /// While set, no watch can be opened.
    refuse: watch::Sender<bool>,
    /// While set, open watches deliver nothing.
    hold: watch::Sender<bool>,
}

impl Breakable {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Breakable {
            memory: MemoryStorage::new(),
            cut: watch::Sender::new(0),
            refuse: watch::Sender::new(false),
            hold: watch::Sender::new(false),
        })
    }

    pub(super) fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    pub(super) fn refuse(&self, refuse: bool) {
        self.refuse.send_replace(refuse);
    }

    pub(super) fn hold(&self, hold: bool) {
        self.hold.send_replace(hold);
    }

    /// A cache over this storage, filled.
    pub(super) async fn cache(self: &Arc<Self>) -> Arc<Cache> {
        let cache = Cache::start(Arc::clone(self) as Arc<dyn Storage>, shape());
        cache.ready().await.expect("filled in time");
        cache
    }

    /// Writes an object whatever it was before.
    pub(super) async fn put(&self, place: &str, app: &str, node: &str) -> Revision {
        let key = format!("/things/{place}");
        let before = self.memory.get(&key).await.expect("memory").stored;
        let expected = before.map_or(Revision::NONE, |stored| stored.revision);
        let name = place.rsplit('/').next().unwrap_or(place);
        done(self.memory.replace(&key, expected, value(name, app, node), None).await)
    }

    /// Removes an object.
    pub(super) async fn delete(&self, place: &str) -> Revision {
        let key = format!("/things/{place}");
        let before = self.memory.get(&key).await.expect("memory").stored.expect("it is there");
        done(self.memory.delete_if(&key, before.revision).await)
    }
}

fn done(written: Result<Written, StorageError>) -> Revision {
    match written {
        Ok(Written::Done { revision }) => revision,
        other => panic!("not written: {other:?}"),
    }
}

/// What a watcher is told next, in short: `ADDED a/x at 5`.
pub(super) async fn told(watcher: &mut Watcher) -> String {
    let event = tokio::time::timeout(PATIENCE, watcher.next()).await.expect("told in time");
    let (kind, object) = match event {
        None => return "END".to_owned(),
        Some(WatchEvent::Added(object)) => ("ADDED", object),
        Some(WatchEvent::Modified(object)) => ("MODIFIED", object),
        Some(WatchEvent::Deleted(object)) => ("DELETED", object),
        Some(WatchEvent::Bookmark { revision, initial_events_end }) => {
            return format!("BOOKMARK at {revision} end={initial_events_end}");
        }
        Some(WatchEvent::Error(error)) => return format!("ERROR {error}"),
    };
    let line: serde_json::Value = serde_json::from_slice(&object.line()).expect("JSON");
    assert_eq!(line["type"], kind);
    let object = object.object();
    let written = &line["object"]["metadata"]["resourceVersion"];
    assert_eq!(written.as_str(), Some(object.revision().to_string().as_str()));
    format!("{kind} {} at {}", object.place(), object.revision())
}

#[async_trait]
impl Storage for Breakable {
    async fn get(&self, key: &str) -> Result<Got, StorageError> {
        self.memory.get(key).await
    }

    async fn page(&self, page: Page<'_>) -> Result<PageAnswer, StorageError> {
        self.memory.page(page).await
    }

    async fn create(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        self.memory.create(key, value, ttl).await
    }

    async fn replace(
        &self,
        key: &str,
        expected: Revision,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        self.memory.replace(key, expected, value, ttl).await
    }

    async fn delete_if(&self, key: &str, expected: Revision) -> Result<Written, StorageError> {
        self.memory.delete_if(key, expected).await
    }

    async fn watch(&self, watch: WatchFrom<'_>) -> Result<Watching, StorageError> {
        if *self.refuse.borrow() {
            return Err(StorageError::unavailable("refused on purpose"));
        }
        let (inner, request_progress) = self.memory.watch(watch).await?.into_parts();
        let (cut, hold) = (self.cut.subscribe(), self.hold.subscribe());
        let batches = futures::stream::unfold((inner, cut, hold), |mut open| async move {
            let (inner, cut, hold) = (&mut open.0, &mut open.1, &mut open.2);
            let held_back = async {
                let batch = inner.next().await;
                let _ = hold.wait_for(|hold| !hold).await;
                batch
            };
            let batch = tokio::select! {
                biased;
                _ = cut.changed() => Some(Err(StorageError::unavailable("cut on purpose"))),
                batch = held_back => batch,
            };
            Some((batch?, open))
        });
        Ok(Watching::new(batches.boxed(), request_progress))
    }

    async fn current_revision(&self) -> Result<Revision, StorageError> {
        self.memory.current_revision().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StorageError> {
        self.memory.compact(revision).await
    }

    async fn compaction_round(
        &self,
        known: CompactionRound,
    ) -> Result<CompactionRound, StorageError> {
        self.memory.compaction_round(known).await
    }
}
