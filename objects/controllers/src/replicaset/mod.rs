//! ReplicaSets: as many pods by a template as are asked for.
//!
//! Invariants: while own creations or deletions have not been seen ([`crate::expectations`]) no
//! more are done, so that a slow cache never doubles a pod or deletes one too many. Finished pods
//! and pods on their way out do not count.

mod ranking;
mod status;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::claim::claim_all;
use crate::context::Context;
use crate::error::{Error, Reconciled, is_not_found};
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::owned_pods::{OwnedPods, PodOwners};
use crate::ownership::{controller_of, controller_reference, is_being_deleted};
use crate::pods;
use crate::selector::{is_empty, selects};
use crate::worker::work;

/// The most pods created or deleted for one ReplicaSet in one go.
const BURST: usize = 500;

/// Runs until shutdown.
pub async fn run(context: Context) {
    let recorder = context.recorder("replicaset-controller");
    let controller = Arc::new(ReplicaSets {
        sets: context.informer(),
        pods: context.informer(),
        own: OwnedPods::new(context.client.clone(), recorder),
    });
    if !context.synced(&controller.sets).await || !context.synced(&controller.pods).await {
        return;
    }
    let to = controller.clone();
    controller.sets.subscribe(move |change| to.own.queue.add(ObjectKey::of(&**change.object())));
    let to = controller.clone();
    controller.pods.subscribe(move |change| to.own.changed(&*to, change));
    let (queue, shutdown) = (controller.own.queue.clone(), context.shutdown.clone());
    work("replicaset", context.options.workers, queue, shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
    .await;
}

struct ReplicaSets {
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    own: OwnedPods,
}

impl PodOwners for ReplicaSets {
    /// Known by uid, as the name may be another's by now; the set may not be in the cache yet when
    /// its first pods are.
    fn owner_of(&self, pod: &Pod) -> Option<ObjectKey> {
        let owner = controller_of(&pod.metadata).filter(|of| is_replica_set(of))?;
        let key = ObjectKey::new(pod.metadata.namespace.clone().unwrap_or_default(), &owner.name);
        let known = self.sets.get(&key);
        known.is_none_or(|set| set.metadata.uid.as_ref() == Some(&owner.uid)).then_some(key)
    }

    fn adopters_of(&self, pod: &Pod) -> Vec<ObjectKey> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let labels = pod.metadata.labels.as_ref();
        let mut sets = self.sets.in_namespace(namespace);
        sets.retain(|set| !is_empty(&set.spec.selector) && selects(&set.spec.selector, labels));
        sets.iter().map(|set| ObjectKey::of(&**set)).collect()
    }
}

impl ReplicaSets {
    async fn reconcile(&self, key: &ObjectKey) -> Reconciled {
        let Some(set) = self.sets.get(key) else {
            self.own.expectations.forget(key);
            return Ok(None);
        };
        let spec = &set.spec;
        if is_empty(&spec.selector) {
            return Ok(None);
        }
        let may_act = self.own.expectations.met(key) && !is_being_deleted(&set.metadata);
        let mine = claim_all(&self.own.client, &*set, &spec.selector, &self.pods).await?;
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
            let template = set.spec.template.clone().unwrap_or_default();
            let pod = pods::from_template(set, controller_reference(set), &template);
            let count = (wanted - active.len()).min(BURST);
            self.own.create(key, set, vec![pod; count]).await
        } else if active.len() > wanted {
            let count = (active.len() - wanted).min(BURST);
            let victims = ranking::victims(active, &self.related(set), count);
            self.own.delete(key, set, &victims).await
        } else {
            Ok(())
        }
    }

    /// The pods of all ReplicaSets of the same owner: a pod is better taken from a node that has
    /// several of them, whichever set made them.
    fn related(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let uid = set.metadata.uid.clone().unwrap_or_default();
        let uids: Vec<_> = match controller_of(&set.metadata) {
            Some(owner) => {
                let siblings = self.sets.controlled_by(&owner.uid);
                siblings.iter().filter_map(|s| s.metadata.uid.clone()).collect()
            }
            None => vec![uid],
        };
        uids.iter().flat_map(|uid| self.pods.controlled_by(uid)).collect()
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
        let api = Api::<ReplicaSet>::namespaced(self.own.client.clone(), namespace);
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
