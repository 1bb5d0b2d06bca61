//! Deployments: ReplicaSets for each version of a template, and the way from one to the next.
//!
//! Invariants: how many replicas a set gets is decided by [`arithmetic`] alone, on a state that
//! shows all own writes ([`Written`]); every write names the resourceVersion it was decided on.
//! Nothing is kept that cannot be read from the objects.

pub mod arithmetic;
mod replicas;
mod revision;
mod rollout;
mod status;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use crate::claim::claim_all;
use crate::context::Context;
use crate::error::{Error, Reconciled, ignore_not_found};
use crate::informer::{Change, Informer};
use crate::key::ObjectKey;
use crate::ownership::{controller_of, is_being_deleted};
use crate::queue::Queue;
use crate::recorder::Recorder;
use crate::selector::{is_empty, selects};
use crate::worker::work;
use crate::written::Written;

/// A Deployment is looked at again at most this often while its sets change.
const PACE: Duration = Duration::from_millis(20);

/// Runs until shutdown.
pub async fn run(context: Context) {
    let controller = Arc::new(Deployments {
        client: context.client.clone(),
        recorder: context.recorder("deployment-controller"),
        deployments: context.informer(),
        sets: context.informer(),
        pods: context.informer(),
        own: Written::default(),
        written: Written::default(),
        queue: Queue::paced(PACE),
    });
    let synced = context.synced(&controller.deployments).await
        && context.synced(&controller.sets).await
        && context.synced(&controller.pods).await;
    if !synced {
        return;
    }
    let to = controller.clone();
    controller.deployments.subscribe(move |change| to.queue.add(ObjectKey::of(&**change.object())));
    let to = controller.clone();
    controller.sets.subscribe(move |change| to.set_changed(change));
    let to = controller.clone();
    controller.pods.subscribe(move |change| to.pod_changed(change));
    let (queue, shutdown) = (controller.queue.clone(), context.shutdown.clone());
    work("deployment", context.options.workers, queue, shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
    .await;
}

struct Deployments {
    client: Client,
    recorder: Recorder,
    deployments: Informer<Deployment>,
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    /// Writes to the Deployment itself, and to its ReplicaSets.
    own: Written,
    written: Written,
    queue: Queue<ObjectKey>,
}

/// A Deployment and what belongs to it, as one look finds it.
struct View {
    key: ObjectKey,
    deployment: Arc<Deployment>,
    /// All its ReplicaSets, the oldest first.
    sets: Vec<Arc<ReplicaSet>>,
    /// The place of the set with the present template.
    new: Option<usize>,
    /// Conditions and the collision count as they are to be, however the look ends.
    status: DeploymentStatus,
    /// The revision that the Deployment is to show, once it is known.
    revision: Option<String>,
}

impl View {
    fn new_set(&self) -> Option<&Arc<ReplicaSet>> {
        self.new.map(|at| &self.sets[at])
    }

    fn old_sets(&self) -> Vec<Arc<ReplicaSet>> {
        let all = self.sets.iter().enumerate();
        all.filter(|(at, _)| Some(*at) != self.new).map(|(_, set)| set.clone()).collect()
    }

    fn desired(&self) -> i32 {
        self.deployment.spec.replicas.unwrap_or(1)
    }

    fn budget(&self) -> arithmetic::Budget {
        arithmetic::Budget::of(&self.deployment.spec)
    }

    /// Takes a set as the server returned it after a write.
    fn put(&mut self, set: ReplicaSet) {
        let known = self.sets.iter().position(|s| s.metadata.uid == set.metadata.uid);
        match known {
            Some(at) => self.sets[at] = Arc::new(set),
            None => self.sets.push(Arc::new(set)),
        }
    }
}

/// `spec.replicas` of a set.
fn wanted(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

impl Deployments {
    fn set_changed(&self, change: &Change<ReplicaSet>) {
        if let Change::Updated { old, new } = change {
            let owner = |set: &ReplicaSet| controller_of(&set.metadata).map(|of| of.uid.clone());
            if owner(old) != owner(new) {
                self.wake_owner(old);
            }
            let is_orphan = controller_of(&new.metadata).is_none();
            if is_orphan && old.metadata.labels == new.metadata.labels && owner(old).is_none() {
                return;
            }
        }
        let set = change.object();
        let is_gone = matches!(change, Change::Deleted(_)) || is_being_deleted(&set.metadata);
        if controller_of(&set.metadata).is_some() {
            self.wake_owner(set);
        } else if !is_gone {
            self.wake_adopters(set);
        }
    }

    fn wake_owner(&self, set: &ReplicaSet) {
        if let Some(owner) = self.owner_of(set) {
            self.queue.add(ObjectKey::of(&*owner));
        }
    }

    fn owner_of(&self, set: &ReplicaSet) -> Option<Arc<Deployment>> {
        let of = controller_of(&set.metadata).filter(|of| is_deployment(of))?;
        let key = ObjectKey::new(set.namespace().unwrap_or_default(), &of.name);
        self.deployments.get(&key).filter(|d| d.metadata.uid.as_ref() == Some(&of.uid))
    }

    fn wake_adopters(&self, set: &ReplicaSet) {
        for deployment in self.deployments.in_namespace(&set.namespace().unwrap_or_default()) {
            let selector = &deployment.spec.selector;
            let labels = set.metadata.labels.as_ref();
            if !is_empty(selector) && selects(selector, labels) {
                self.queue.add(ObjectKey::of(&*deployment));
            }
        }
    }

    /// A Deployment that is recreated waits for the last old pod to be gone.
    fn pod_changed(&self, change: &Change<Pod>) {
        let pod = match change {
            Change::Deleted(pod) => pod,
            Change::Updated { new, .. } if crate::pods::is_finished(new) => new,
            _ => return,
        };
        let Some(of) = controller_of(&pod.metadata).filter(|of| of.kind == "ReplicaSet") else {
            return;
        };
        let key = ObjectKey::new(pod.namespace().unwrap_or_default(), &of.name);
        let owner = self.sets.get(&key).and_then(|set| self.owner_of(&set));
        if let Some(deployment) = owner.filter(|d| !status::is_rolling(d)) {
            self.queue.add(ObjectKey::of(&*deployment));
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Reconciled {
        let Some(deployment) = self.deployments.get(key) else {
            self.own.forget(key);
            self.written.forget(key);
            return Ok(None);
        };
        let spec = &deployment.spec;
        if is_empty(&spec.selector) {
            let message =
                "This deployment is selecting all pods. A non-empty selector is required.";
            self.recorder.warning(&*deployment, "SelectingAll", message);
            return Ok(None);
        }
        let unseen = self.own.unseen(key, |k| self.deployments.get(k));
        let unseen = unseen.or_else(|| self.written.unseen(key, |k| self.sets.get(k)));
        if let Some(object) = unseen {
            return Err(Error::Behind(object.to_string()));
        }
        let sets = claim_all(&self.client, &*deployment, &spec.selector, &self.sets).await?;
        let status = status::filled(deployment.status.as_ref());
        let (key, new) = (key.clone(), None);
        let mut view = View { key, deployment, sets, new, status, revision: None };
        view.new = revision::sort_and_find(&view.deployment, &mut view.sets);
        let result = self.act(&mut view).await;
        self.write_status(&view).await?;
        result
    }

    /// Writes what changed of the status, and the revision beside it: there it does not count as a
    /// new generation.
    async fn write_status(&self, view: &View) -> Result<(), Error> {
        let meta = view.deployment.meta();
        let shown = meta.annotations.as_ref().and_then(|a| a.get(revision::REVISION));
        let number = view.revision.as_ref().filter(|number| Some(*number) != shown);
        let same = status::filled(view.deployment.status.as_ref()) == view.status;
        if same && number.is_none() {
            return Ok(());
        }
        let mut patch = json!({
            "metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version},
            "status": view.status,
        });
        if let Some(number) = number {
            patch["metadata"]["annotations"] = json!({revision::REVISION: number});
        }
        let api = Api::<Deployment>::namespaced(self.client.clone(), &view.key.namespace);
        let params = PatchParams::default();
        let write = api.patch_status(&view.key.name, &params, &Patch::Merge(patch)).await;
        if let Some(written) = ignore_not_found(write)? {
            self.own.wrote(&view.key, &written);
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

fn is_deployment(owner: &OwnerReference) -> bool {
    owner.kind == "Deployment" && owner.api_version.starts_with("apps/")
}
