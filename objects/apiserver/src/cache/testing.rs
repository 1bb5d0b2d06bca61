//! Objects, the storage that can be broken on purpose, and what watchers are told, for the cache's
//! tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Cache, Object, Shape, WatchEvent, Watcher};
pub(super) use crate::storage::testing::Breakable;
use crate::storage::{Revision, Storage, StorageError, Stored, Written};

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

impl Breakable {
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
