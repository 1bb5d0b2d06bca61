//! Shared informers: one watch per kind, one copy of its objects, for all controllers.
//!
//! Invariants: handlers of one informer are called one at a time, in the order of the watch, each
//! after the copy shows the change; a handler that comes late is first told of all that is there.
//! Objects are kept without `managedFields`, which nobody here reads and which are often half of
//! them.
//!
//! Must not know: any controller. Handlers must not block: they put keys on queues.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::WatchParams;
use kube::{Api, Client, Resource};
use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::key::ObjectKey;
use crate::ownership::controller_of;
use crate::reflector::{self, Update};

/// A kind that an informer can hold.
pub trait Informed:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static
{
    /// Drops what no controller reads, to save memory. `managedFields` are dropped anyway.
    fn trim(&mut self) {}

    /// One more value to look objects up by, see [`Informer::indexed`]. Pods give their node.
    fn index(&self) -> Option<&str> {
        None
    }
}

/// What happened to an object.
#[derive(Debug, Clone)]
pub enum Change<K> {
    /// It is new to this process.
    Added(Arc<K>),
    /// It changed. After a broken watch several changes may have become one, and `new` may even be
    /// another object of the same name: compare the uids where that matters.
    Updated {
        /// As it was.
        old: Arc<K>,
        /// As it is.
        new: Arc<K>,
    },
    /// It is gone; this is how it was last seen.
    Deleted(Arc<K>),
}

impl<K> Change<K> {
    /// The object as it is now, or was last.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Added(object) | Self::Deleted(object) | Self::Updated { new: object, .. } => {
                object
            }
        }
    }
}

type Handler<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

/// A live copy of all objects of one kind. Cheap to clone; all clones are the same copy.
#[derive(Debug)]
pub struct Informer<K> {
    inner: Arc<Inner<K>>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

struct Inner<K> {
    store: RwLock<Store<K>>,
    /// Held while a change is stored and told, so that late handlers miss and repeat nothing.
    /// Order: `handlers` before `store`.
    handlers: Mutex<Vec<Handler<K>>>,
    synced: watch::Sender<bool>,
}

impl<K> Debug for Inner<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Informer").field("objects", &self.store.read().objects.len()).finish()
    }
}

impl<K: Informed> Informer<K> {
    fn new() -> Self {
        let inner = Inner {
            store: RwLock::new(Store::default()),
            handlers: Mutex::new(Vec::new()),
            synced: watch::Sender::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The object of this name.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.inner.store.read().objects.get(key).cloned()
    }

    /// All objects, in no order.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.inner.store.read().objects.values().cloned().collect()
    }

    /// How many objects there are.
    pub fn count(&self) -> usize {
        self.inner.store.read().objects.len()
    }

    /// All objects of one namespace, in no order.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let store = self.inner.store.read();
        store.look_up(&store.by_namespace, namespace)
    }

    /// All objects whose managing owner (`controller: true`) has this uid, in no order.
    pub fn controlled_by(&self, uid: &str) -> Vec<Arc<K>> {
        let store = self.inner.store.read();
        store.look_up(&store.by_controller, uid)
    }

    /// All objects of a namespace that have no managing owner, in no order.
    pub fn uncontrolled_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let store = self.inner.store.read();
        store.look_up(&store.by_controller, &nobody_in(namespace))
    }

    /// All objects with this [`Informed::index`], in no order.
    pub fn indexed(&self, value: &str) -> Vec<Arc<K>> {
        let store = self.inner.store.read();
        store.look_up(&store.by_index, value)
    }

    /// Calls `handler` for every object that is there, and then for every change.
    pub fn subscribe(&self, handler: impl Fn(&Change<K>) + Send + Sync + 'static) {
        let mut handlers = self.inner.handlers.lock();
        for object in self.list() {
            handler(&Change::Added(object));
        }
        handlers.push(Box::new(handler));
    }

    /// Waits until the first whole state is here. For ever, if no server is reached.
    pub async fn synced(&self) {
        let mut synced = self.inner.synced.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = synced.wait_for(|done| *done).await;
    }

    /// Whether the first whole state is here.
    pub fn is_synced(&self) -> bool {
        *self.inner.synced.borrow()
    }

    fn take(&self, update: Update<K>) {
        let handlers = self.inner.handlers.lock();
        let changes = match update {
            Update::Applied(object) => vec![self.inner.store.write().insert(object)],
            Update::Deleted(object) => {
                // What the server says of the end is newer than what is stored.
                self.inner.store.write().remove(&ObjectKey::of(&object));
                vec![Change::Deleted(Arc::new(trimmed(object)))]
            }
            Update::Restarted(state) => self.inner.store.write().replace(state),
        };
        for change in &changes {
            for handler in handlers.iter() {
                handler(change);
            }
        }
        self.inner.synced.send_replace(true);
    }
}

fn trimmed<K: Informed>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object.trim();
    object
}

type Index = HashMap<String, HashSet<ObjectKey>>;

/// The objects and the ways to find them.
struct Store<K> {
    objects: HashMap<ObjectKey, Arc<K>>,
    by_namespace: Index,
    by_controller: Index,
    by_index: Index,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
            by_namespace: Index::new(),
            by_controller: Index::new(),
            by_index: Index::new(),
        }
    }
}

impl<K: Informed> Store<K> {
    fn look_up(&self, index: &Index, value: &str) -> Vec<Arc<K>> {
        let keys = index.get(value).into_iter().flatten();
        keys.filter_map(|key| self.objects.get(key).cloned()).collect()
    }

    fn insert(&mut self, object: K) -> Change<K> {
        let object = Arc::new(trimmed(object));
        let key = ObjectKey::of(&*object);
        let old = self.remove(&key);
        index(&mut self.by_namespace, object.meta().namespace.as_deref(), &key);
        index(&mut self.by_controller, Some(&controller_or_nobody(object.meta())), &key);
        index(&mut self.by_index, object.index(), &key);
        self.objects.insert(key, object.clone());
        match old {
            Some(old) => Change::Updated { old, new: object },
            None => Change::Added(object),
        }
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<Arc<K>> {
        let old = self.objects.remove(key)?;
        unindex(&mut self.by_namespace, old.meta().namespace.as_deref(), key);
        unindex(&mut self.by_controller, Some(&controller_or_nobody(old.meta())), key);
        unindex(&mut self.by_index, old.index(), key);
        Some(old)
    }

    fn replace(&mut self, state: Vec<K>) -> Vec<Change<K>> {
        let kept: HashSet<ObjectKey> = state.iter().map(ObjectKey::of).collect();
        let gone: Vec<_> = self.objects.keys().filter(|k| !kept.contains(k)).cloned().collect();
        let mut changes: Vec<_> =
            gone.iter().filter_map(|key| self.remove(key)).map(Change::Deleted).collect();
        changes.extend(state.into_iter().map(|object| self.insert(object)));
        changes
    }
}

/// Under what an object is found by its managing owner: the uid, or that there is none.
fn controller_or_nobody(meta: &ObjectMeta) -> String {
    match controller_of(meta) {
        Some(owner) => owner.uid.clone(),
        None => nobody_in(meta.namespace.as_deref().unwrap_or_default()),
    }
}

/// No uid has a slash.
fn nobody_in(namespace: &str) -> String {
    format!("{namespace}/")
}

fn index(index: &mut Index, value: Option<&str>, key: &ObjectKey) {
    if let Some(value) = value {
        index.entry(value.to_owned()).or_default().insert(key.clone());
    }
}

fn unindex(index: &mut Index, value: Option<&str>, key: &ObjectKey) {
    let Some(value) = value else { return };
    if let Some(keys) = index.get_mut(value) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(value);
        }
    }
}

/// All informers of a process. A kind's watch starts when somebody first asks for it.
#[derive(Clone)]
pub struct Informers {
    client: Client,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    kinds: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>,
}

impl Informers {
    /// No informers yet. Their tasks are tracked by `tasks` and end with `shutdown`.
    pub fn new(client: Client, shutdown: CancellationToken, tasks: TaskTracker) -> Self {
        Self { client, shutdown, tasks, kinds: Arc::default() }
    }

    /// The one informer of a kind, over all namespaces.
    pub fn of<K: Informed>(&self) -> Informer<K> {
        let mut kinds = self.kinds.lock();
        let known = kinds.get(&TypeId::of::<K>()).and_then(|any| any.downcast_ref::<Informer<K>>());
        if let Some(informer) = known {
            return informer.clone();
        }
        let informer = Informer::new();
        kinds.insert(TypeId::of::<K>(), Box::new(informer.clone()));
        let (to, shutdown) = (informer.clone(), self.shutdown.clone());
        let api = Api::<K>::all(self.client.clone());
        self.tasks.spawn(async move {
            reflector::follow(api, WatchParams::default(), shutdown, |u| to.take(u)).await;
        });
        informer
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    fn config_map(name: &str, owner: Option<&str>) -> ConfigMap {
        let owners = owner.map(|uid| {
            vec![OwnerReference {
                uid: uid.into(),
                controller: Some(true),
                ..OwnerReference::default()
            }]
        });
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some("n".into()),
                owner_references: owners,
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn seen(informer: &Informer<ConfigMap>) -> Arc<Mutex<Vec<String>>> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let to = log.clone();
        informer.subscribe(move |change| {
            let word = match change {
                Change::Added(_) => "added",
                Change::Updated { .. } => "updated",
                Change::Deleted(_) => "deleted",
            };
            let name = change.object().metadata.name.clone().unwrap_or_default();
            to.lock().push(format!("{word} {name}"));
        });
        log
    }

    #[test]
    fn a_restart_tells_of_what_went_missing() {
        let informer = Informer::new();
        informer.take(Update::Restarted(vec![config_map("a", None), config_map("b", None)]));
        informer.take(Update::Deleted(config_map("a", None)));
        let log = seen(&informer);
        informer.take(Update::Restarted(vec![config_map("c", None)]));
        assert_eq!(*log.lock(), ["added b", "deleted b", "added c"]);
        assert!(informer.is_synced());
    }

    #[test]
    fn an_object_is_found_by_its_present_controller_only() {
        let informer = Informer::new();
        informer.take(Update::Applied(config_map("a", Some("x"))));
        assert_eq!(informer.controlled_by("x").len(), 1);
        informer.take(Update::Applied(config_map("a", Some("y"))));
        assert_eq!(informer.controlled_by("x").len(), 0);
        assert_eq!(informer.controlled_by("y").len(), 1);
        assert_eq!(informer.uncontrolled_in("n").len(), 0);
        informer.take(Update::Applied(config_map("a", None)));
        assert_eq!(informer.uncontrolled_in("n").len(), 1);
        informer.take(Update::Deleted(config_map("a", Some("y"))));
        assert_eq!(informer.controlled_by("y").len(), 0);
        assert_eq!(informer.in_namespace("n").len(), 0);
    }
}
