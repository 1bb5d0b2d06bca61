//! ReplicaSets: as many pods by a template as are asked for.
//!
//! Invariants: while own creations or deletions have not been seen ([`Expectations`]) no more are
//! done, so that a slow cache never doubles a pod or deletes one too many. Finished pods and pods on
//! their way out do not count.

mod batch;
mod ranking;
mod status;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::claim::claim_all;
use crate::context::Context;
use crate::error::{Error, Reconciled, is_not_found};
use crate::expectations::Expectations;
use crate::informer::{Change, Informer};
use crate::key::ObjectKey;
use crate::ownership::{controller_of, is_being_deleted};
use crate::pods;
use crate::queue::Queue;
use crate::recorder::Recorder;
use crate::selector::{is_empty, selects};
use crate::worker::work;

/// The most pods created or deleted for one ReplicaSet in one go.
const BURST: usize = 500;

/// Runs until shutdown.
pub async fn run(context: Context) {
    let controller = Arc::new(ReplicaSets {
        client: context.client.clone(),
        recorder: context.recorder("replicaset-controller"),
        sets: context.informer(),
        pods: context.informer(),
        expectations: Expectations::default(),
        queue: Queue::new(),
    });
    if !context.synced(&controller.sets).await || !context.synced(&controller.pods).await {
        return;
    }
    let to = controller.clone();
    controller.sets.subscribe(move |change| to.queue.add(ObjectKey::of(&**change.object())));
    let to = controller.clone();
    controller.pods.subscribe(move |change| to.pod_changed(change));
    let (queue, shutdown) = (controller.queue.clone(), context.shutdown.clone());
    work("replicaset", context.options.workers, queue, shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
    .await;
}

struct ReplicaSets {
    client: Client,
    recorder: Recorder,
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    expectations: Expectations,
    queue: Queue<ObjectKey>,
}

impl ReplicaSets {
    fn pod_changed(&self, change: &Change<Pod>) {
        match change {
            Change::Added(pod) if is_being_deleted(&pod.metadata) => self.pod_gone(pod),
            Change::Added(pod) => match self.owner_of(pod) {
                Some(owner) => {
                    self.expectations.creation_seen(&owner);
                    self.queue.add(owner);
                }
                None => self.wake_adopters(pod),
            },
            Change::Updated { old, new } if old.metadata.uid != new.metadata.uid => {
                self.pod_changed(&Change::Deleted(old.clone()));
                self.pod_changed(&Change::Added(new.clone()));
            }
            Change::Updated { old, new } => self.pod_updated(old, new),
            Change::Deleted(pod) => self.pod_gone(pod),
        }
    }

    fn pod_updated(&self, old: &Pod, new: &Pod) {
        if is_being_deleted(&new.metadata) && !is_being_deleted(&old.metadata) {
            return self.pod_gone(new);
        }
        let (before, after) = (self.owner_of(old), self.owner_of(new));
        if before != after {
            before.into_iter().for_each(|owner| self.queue.add(owner));
        }
        match after {
            Some(owner) => self.queue.add(owner),
            None if controller_of(&new.metadata).is_none() => {
                let was_owned = controller_of(&old.metadata).is_some();
                if was_owned || old.metadata.labels != new.metadata.labels {
                    self.wake_adopters(new);
                }
            }
            None => {}
        }
    }

    fn pod_gone(&self, pod: &Pod) {
        if let Some(owner) = self.owner_of(pod) {
            self.expectations
                .deletion_seen(&owner, pod.metadata.uid.as_deref().unwrap_or_default());
            self.queue.add(owner);
        }
    }

    /// The ReplicaSet that manages the pod. Known by uid, as the name may be another's by now; the
    /// set may not be in the cache yet when its first pods are.
    fn owner_of(&self, pod: &Pod) -> Option<ObjectKey> {
        let owner = controller_of(&pod.metadata).filter(|of| is_replica_set(of))?;
        let key = ObjectKey::new(pod.metadata.namespace.clone().unwrap_or_default(), &owner.name);
        let known = self.sets.get(&key);
        known.is_none_or(|set| set.metadata.uid.as_ref() == Some(&owner.uid)).then_some(key)
    }

    fn wake_adopters(&self, pod: &Pod) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        for set in self.sets.in_namespace(namespace) {
            let selector = &set.spec.selector;
            let labels = pod.metadata.labels.as_ref();
            if !is_empty(selector) && selects(selector, labels) {
                self.queue.add(ObjectKey::of(&*set));
            }
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Reconciled {
        let Some(set) = self.sets.get(key) else {
            self.expectations.forget(key);
            return Ok(None);
        };
        let spec = &set.spec;
        if is_empty(&spec.selector) {
            return Ok(None);
        }
        let may_act = self.expectations.met(key) && !is_being_deleted(&set.metadata);
        let mine = claim_all(&self.client, &*set, &spec.selector, &self.pods).await?;
        let terminating = mine.iter().filter(|pod| pods::is_terminating(pod)).count();
        let active: Vec<_> = mine.into_iter().filter(|pod| pods::is_active(pod)).collect();
        let acted = if may_act { self.scale(key, &set, &active).await } else { Ok(()) };
        let now = Timestamp::now();
        let failure = acted.as_ref().err().map(Error::to_string);
        let wanted = status::of(&set, &active, terminating, failure.as_deref(), now);
        if status::filled(set.status.as_ref()) != wanted {
            self.write_status(&set, &wanted).await?;
        }
        acted?;
        let min_ready = spec.min_ready_seconds.unwrap_or_default();
        let waits = active.iter().filter_map(|pod| pods::until_available(pod, min_ready, now));
        Ok(waits.filter(|wait| !wait.is_zero()).min())
    }

    async fn scale(
        &self,
        key: &ObjectKey,
        set: &ReplicaSet,
        active: &[Arc<Pod>],
    ) -> Result<(), Error> {
        let wanted = set.spec.replicas.unwrap_or(1);
        let wanted = usize::try_from(wanted).unwrap_or_default();
        if active.len() < wanted {
            self.create(key, set, (wanted - active.len()).min(BURST)).await
        } else if active.len() > wanted {
            self.delete(key, set, active, (active.len() - wanted).min(BURST)).await
        } else {
            Ok(())
        }
    }

    async fn write_status(
        &self,
        set: &ReplicaSet,
        status: &k8s_openapi::api::apps::v1::ReplicaSetStatus,
    ) -> Result<(), kube::Error> {
        let meta = &set.metadata;
        let patch = json!({
            "metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version},
            "status": status,
        });
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let api = Api::<ReplicaSet>::namespaced(self.client.clone(), namespace);
        let name = meta.name.as_deref().unwrap_or_default();
        match api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(error) if !is_not_found(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

fn is_replica_set(owner: &OwnerReference) -> bool {
    owner.kind == "ReplicaSet" && owner.api_version.starts_with("apps/")
}
