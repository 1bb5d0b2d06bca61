//! Who owns whom, as the watches tell.
//!
//! Invariants: an object is a dependent of every uid that its owner references name, whether that
//! owner was seen or not. What an observation makes worth looking at is returned; the graph itself
//! decides nothing.
//!
//! Must not know: the API, queues, time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::discovery::ResourceType;

/// The finalizer of an object whose deletion waits for its dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an object whose deletion leaves its dependents behind.
pub(super) const ORPHAN: &str = "orphan";

/// What the graph knows of an object.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    pub(super) resource: Arc<ResourceType>,
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) finalizers: Vec<String>,
    pub(super) deleting: bool,
}

impl Observed {
    /// An object by its metadata; none if it has no uid, which no server sends.
    pub(super) fn new(resource: &Arc<ResourceType>, meta: &ObjectMeta) -> Option<Self> {
        Some(Self {
            resource: resource.clone(),
            uid: meta.uid.clone()?,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            owners: meta.owner_references.clone().unwrap_or_default(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
        })
    }

    fn has(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|f| f == finalizer)
    }

    /// Whether its deletion waits for its dependents.
    pub(super) fn waits_for_dependents(&self) -> bool {
        self.deleting && self.has(FOREGROUND)
    }

    /// Whether its deletion leaves its dependents behind.
    pub(super) fn leaves_dependents(&self) -> bool {
        self.deleting && self.has(ORPHAN)
    }

    /// Whether it holds up the foreground deletion of this owner.
    pub(super) fn blocks(&self, owner: &str) -> bool {
        self.owners.iter().any(|o| o.uid == owner && o.block_owner_deletion == Some(true))
    }
}

/// All objects and the edges between them.
#[derive(Debug, Default)]
pub(super) struct Graph {
    objects: HashMap<String, Arc<Observed>>,
    /// By owner.
    dependents: HashMap<String, HashSet<String>>,
    /// Owners that the server said are gone, with the namespace they were looked for in.
    gone: HashSet<(String, String)>,
}

/// So many gone owners are remembered; then all are forgotten and asked for again.
const GONE_MAX: usize = 10_000;

impl Graph {
    /// An object as it is now. Returned are the uids that are to be examined.
    pub(super) fn observe(&mut self, object: Observed) -> Vec<String> {
        let uid = object.uid.clone();
        let object = Arc::new(object);
        let old = self.objects.insert(uid.clone(), object.clone());
        let owners_before = old.as_ref().map(|o| o.owners.clone()).unwrap_or_default();
        let mut work = Vec::new();
        for owner in &owners_before {
            if !object.owners.contains(owner) {
                // It does not hold this owner up any more, or in another way.
                work.extend(self.if_waiting(&owner.uid));
            }
            if !object.owners.iter().any(|o| o.uid == owner.uid) {
                self.disconnect(&owner.uid, &uid);
            }
        }
        for owner in &object.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
        }
        if object.deleting {
            // Its owners may have waited for this only.
            work.extend(object.owners.iter().filter_map(|o| self.if_waiting(&o.uid)));
            if object.waits_for_dependents() {
                work.extend(self.dependents_of(&uid).iter().map(|d| d.uid.clone()));
            }
            if object.waits_for_dependents() || object.leaves_dependents() {
                work.push(uid);
            }
        } else if object.owners.iter().any(|owner| !self.is_solid(owner, &object.namespace)) {
            work.push(uid);
        }
        work
    }

    /// An object is gone. Returned are the uids that are to be examined.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<String> {
        let mut work = self.dependents.get(uid).cloned().map(Vec::from_iter).unwrap_or_default();
        if let Some(object) = self.objects.remove(uid) {
            self.note_gone(uid, &object.namespace);
            for owner in &object.owners {
                self.disconnect(&owner.uid, uid);
                work.extend(self.if_waiting(&owner.uid));
            }
        }
        work
    }

    /// The object of this uid, if it was seen.
    pub(super) fn get(&self, uid: &str) -> Option<Arc<Observed>> {
        self.objects.get(uid).cloned()
    }

    /// All that name this uid as an owner.
    pub(super) fn dependents_of(&self, uid: &str) -> Vec<Arc<Observed>> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| self.objects.get(uid).cloned()).collect()
    }

    /// The server said that no such object is in this namespace.
    pub(super) fn note_gone(&mut self, uid: &str, namespace: &str) {
        if self.gone.len() >= GONE_MAX {
            self.gone.clear();
        }
        self.gone.insert((uid.to_owned(), namespace.to_owned()));
    }

    /// Whether the server said so.
    pub(super) fn is_gone(&self, uid: &str, namespace: &str) -> bool {
        self.gone.contains(&(uid.to_owned(), namespace.to_owned()))
    }

    /// Whether the owner was seen where it may be, and stays.
    fn is_solid(&self, owner: &OwnerReference, namespace: &str) -> bool {
        self.objects.get(&owner.uid).is_some_and(|seen| {
            let within_reach = seen.namespace.is_empty() || seen.namespace == namespace;
            within_reach && seen.name == owner.name && !seen.deleting
        })
    }

    fn if_waiting(&self, uid: &str) -> Option<String> {
        self.objects.get(uid).filter(|o| o.waits_for_dependents()).map(|o| o.uid.clone())
    }

    fn disconnect(&mut self, owner: &str, dependent: &str) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn observed(meta: Value) -> Observed {
        let resource = Arc::new(crate::discovery::ResourceType::for_tests("v1", "ConfigMap"));
        let mut meta: ObjectMeta = serde_json::from_value(meta).expect("metadata");
        meta.name = meta.name.or(meta.uid.clone());
        Observed::new(&resource, &meta).expect("a uid")
    }

    fn owned(uid: &str, owner: &str) -> Observed {
        observed(json!({"uid": uid, "ownerReferences": [{
            "apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": owner,
            "blockOwnerDeletion": true}]}))
    }

    #[test]
    fn an_unseen_owner_makes_its_dependent_worth_a_look() {
        let mut graph = Graph::default();
        assert_eq!(graph.observe(owned("d", "o")), ["d"]);
        assert!(graph.observe(observed(json!({"uid": "o"}))).is_empty());
        assert!(graph.observe(owned("e", "o")).is_empty(), "its owner is there");
    }

    #[test]
    fn an_owner_of_another_namespace_makes_its_dependent_worth_a_look() {
        let mut graph = Graph::default();
        graph.observe(observed(json!({"uid": "o", "namespace": "elsewhere"})));
        assert_eq!(graph.observe(owned("d", "o")), ["d"]);
    }

    #[test]
    fn the_end_of_an_owner_wakes_its_dependents() {
        let mut graph = Graph::default();
        graph.observe(observed(json!({"uid": "o"})));
        graph.observe(owned("d", "o"));
        assert_eq!(graph.remove("o"), ["d"]);
        assert!(graph.is_gone("o", ""));
    }

    #[test]
    fn a_waiting_owner_is_woken_by_the_end_of_its_last_dependent() {
        let mut graph = Graph::default();
        graph.observe(owned("d", "o"));
        let mut work = graph.observe(observed(json!({"uid": "o", "finalizers": [FOREGROUND],
            "deletionTimestamp": "2026-01-01T00:00:00Z"})));
        work.sort();
        assert_eq!(work, ["d", "o"]);
        assert_eq!(graph.remove("d"), ["o"]);
        assert!(graph.dependents_of("o").is_empty());
    }

    #[test]
    fn a_dropped_reference_is_forgotten() {
        let mut graph = Graph::default();
        graph.observe(observed(json!({"uid": "o"})));
        graph.observe(owned("d", "o"));
        graph.observe(observed(json!({"uid": "d"})));
        assert!(graph.remove("o").is_empty());
    }
}
