//! The writes to a Deployment's ReplicaSets: make the new one, keep its annotations, size them,
//! delete the oldest.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

use super::rollout::size;
use super::status::News;
use super::{Deployments, View, arithmetic, revision, status, wanted};
use crate::error::{
    Error, ignore_not_found, is_already_exists, is_namespace_terminating, message_of,
};
use crate::ownership::{controller_reference, is_being_deleted, is_controlled_by};
use crate::selector::Labels;

/// Names are at most this long.
const NAME_MAX: usize = 253;

impl Deployments {
    fn api(&self, view: &View) -> Api<ReplicaSet> {
        Api::namespaced(self.client.clone(), &view.key.namespace)
    }

    /// Patches a set on the condition that it is as it was seen, and takes what came of it.
    async fn patch_set(
        &self,
        view: &mut View,
        set: &ReplicaSet,
        mut patch: Value,
    ) -> Result<(), Error> {
        patch["metadata"]["uid"] = json!(set.metadata.uid);
        patch["metadata"]["resourceVersion"] = json!(set.metadata.resource_version);
        let params = PatchParams::default();
        let written = self.api(view).patch(&set.name_any(), &params, &Patch::Merge(patch)).await?;
        self.written.wrote(&view.key, &written);
        view.put(written);
        Ok(())
    }

    /// The new set carries the Deployment's annotations, the newest number and its
    /// `minReadySeconds`; the Deployment carries the number.
    pub(super) async fn keep_new_set(&self, view: &mut View) -> Result<(), Error> {
        let Some(new) = view.new_set().cloned() else { return Ok(()) };
        let annotations = revision::annotations(&view.deployment, &new, next_revision(view));
        let min_ready = min_ready_seconds(&view.deployment);
        let own_min_ready = new.spec.min_ready_seconds.unwrap_or_default();
        if new.metadata.annotations.as_ref() != Some(&annotations) || min_ready != own_min_ready {
            let mut changes: serde_json::Map<String, Value> =
                annotations.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
            if !annotations.contains_key(revision::HISTORY) {
                changes.insert(revision::HISTORY.into(), Value::Null);
            }
            let patch = json!({
                "metadata": {"annotations": changes},
                "spec": {"minReadySeconds": min_ready},
            });
            self.patch_set(view, &new, patch).await?;
        }
        let (deployment, name) = (view.deployment.clone(), new.name_any());
        status::note(&deployment, &mut view.status, &News::Found(&name), self.now());
        view.revision = annotations.get(revision::REVISION).cloned();
        Ok(())
    }

    pub(super) async fn create_new_set(&self, view: &mut View) -> Result<(), Error> {
        let set = new_set(view);
        let replicas = wanted(&set);
        match self.api(view).create(&PostParams::default(), &set).await {
            Ok(created) => {
                let name = created.name_any();
                self.written.wrote(&view.key, &created);
                view.sets.push(Arc::new(created));
                view.new = Some(view.sets.len() - 1);
                if replicas > 0 {
                    let message = format!("Scaled up replica set {name} from 0 to {replicas}");
                    self.recorder.normal(&*view.deployment, "ScalingReplicaSet", message);
                }
                let deployment = view.deployment.clone();
                status::note(&deployment, &mut view.status, &News::Created(&name), self.now());
                view.revision = revision::annotation(&set, revision::REVISION).map(Into::into);
                Ok(())
            }
            Err(error) if is_already_exists(&error) => self.name_is_taken(view, &set).await,
            Err(error) => {
                if !is_namespace_terminating(&error) {
                    let (name, why) = (set.name_any(), message_of(&error));
                    let message = format!("Failed to create new replica set {name:?}: {why}");
                    let failed = News::Failed(&message);
                    let deployment = view.deployment.clone();
                    status::note(&deployment, &mut view.status, &failed, self.now());
                    self.recorder.warning(&*deployment, "ReplicaSetCreateError", message);
                }
                Err(error.into())
            }
        }
    }

    /// Either the set is ours and the cache does not show it yet, or two templates have one hash:
    /// then the next try takes another.
    async fn name_is_taken(&self, view: &mut View, set: &ReplicaSet) -> Result<(), Error> {
        let name = set.name_any();
        let found = self.api(view).get(&name).await?;
        let mut found = [Arc::new(found)];
        let same = revision::sort_and_find(&view.deployment, &mut found).is_some();
        if same && is_controlled_by(&found[0].metadata, &*view.deployment) {
            self.written.wrote(&view.key, &*found[0]);
        } else {
            let count = view.status.collision_count.unwrap_or_default();
            view.status.collision_count = Some(count.wrapping_add(1));
        }
        Err(Error::Behind(name))
    }

    /// Sizes a set if its size is another.
    pub(super) async fn set_size(
        &self,
        view: &mut View,
        set: &ReplicaSet,
        to: i32,
    ) -> Result<(), Error> {
        if wanted(set) == to { Ok(()) } else { self.resize_one(view, set, to).await }
    }

    /// Sizes a set and notes for what Deployment it was sized.
    pub(super) async fn resize_one(
        &self,
        view: &mut View,
        set: &ReplicaSet,
        to: i32,
    ) -> Result<(), Error> {
        let (from, budget) = (wanted(set), view.budget());
        let noted = revision::count(set, revision::DESIRED) == Some(budget.desired)
            && revision::count(set, revision::MAX) == Some(budget.most());
        if from == to && noted {
            return Ok(());
        }
        let patch = json!({
            "metadata": {"annotations": sized_for(budget)},
            "spec": {"replicas": to},
        });
        self.patch_set(view, set, patch).await?;
        if from != to {
            let direction = if from < to { "up" } else { "down" };
            let name = set.name_any();
            let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
            self.recorder.normal(&*view.deployment, "ScalingReplicaSet", message);
        }
        Ok(())
    }

    /// Deletes the oldest idle sets beyond `revisionHistoryLimit`.
    pub(super) async fn clean_up(&self, view: &View) -> Result<(), Error> {
        let limit = view.deployment.spec.revision_history_limit;
        let Some(limit) = limit.filter(|limit| *limit != i32::MAX) else { return Ok(()) };
        let mut old = view.old_sets();
        old.retain(|set| !is_being_deleted(&set.metadata));
        old.sort_by(|a, b| {
            revision::revision(a).cmp(&revision::revision(b)).then_with(|| revision::older(a, b))
        });
        let keep = usize::try_from(limit).unwrap_or_default();
        let excess = old.len().saturating_sub(keep);
        for set in old.iter().take(excess).filter(|set| is_idle(set)) {
            let params = DeleteParams::background().preconditions(Preconditions {
                uid: set.metadata.uid.clone(),
                resource_version: set.metadata.resource_version.clone(),
            });
            ignore_not_found(self.api(view).delete(&set.name_any(), &params).await)?;
        }
        Ok(())
    }
}

/// Whether the set has no pods and is known to want none.
fn is_idle(set: &ReplicaSet) -> bool {
    let seen = set.status.as_ref().and_then(|s| s.observed_generation);
    wanted(set) == 0 && size(set).actual == 0 && seen >= set.metadata.generation
}

fn next_revision(view: &View) -> i64 {
    let newest = view.old_sets().iter().map(|set| revision::revision(set)).max();
    newest.unwrap_or_default().saturating_add(1)
}

fn sized_for(budget: arithmetic::Budget) -> Value {
    json!({
        revision::DESIRED: budget.desired.to_string(),
        revision::MAX: budget.most().to_string(),
    })
}

fn min_ready_seconds(deployment: &Deployment) -> i32 {
    deployment.spec.min_ready_seconds.unwrap_or_default()
}

/// The set for the Deployment's present template, as it is to be created.
fn new_set(view: &View) -> ReplicaSet {
    let spec = view.deployment.spec.clone();
    let hash = revision::hash(&spec.template, view.status.collision_count);
    let labelled = |labels: Option<Labels>| {
        let mut labels = labels.unwrap_or_default();
        labels.insert(revision::HASH_LABEL.into(), hash.clone());
        Some(labels)
    };
    let (mut template, mut selector) = (spec.template, spec.selector);
    let mut of_pods = template.metadata.take().unwrap_or_default();
    of_pods.labels = labelled(of_pods.labels);
    selector.match_labels = labelled(selector.match_labels);
    let budget = view.budget();
    let replicas = if status::is_rolling(&view.deployment) {
        let old: Vec<_> = view.old_sets().iter().map(|set| size(set)).collect();
        arithmetic::first_size(budget, &old)
    } else {
        budget.desired
    };
    let mut set = ReplicaSet {
        metadata: ObjectMeta {
            name: Some(set_name(&view.key.name, &hash)),
            namespace: Some(view.key.namespace.clone()),
            labels: of_pods.labels.clone(),
            owner_references: Some(vec![controller_reference(&*view.deployment)]),
            ..ObjectMeta::default()
        },
        ..ReplicaSet::default()
    };
    let mut annotations = revision::annotations(&view.deployment, &set, next_revision(view));
    annotations.insert(revision::DESIRED.into(), budget.desired.to_string());
    annotations.insert(revision::MAX.into(), budget.most().to_string());
    set.metadata.annotations = Some(annotations);
    template.metadata = Some(of_pods);
    set.spec = ReplicaSetSpec {
        replicas: Some(replicas),
        min_ready_seconds: spec.min_ready_seconds,
        selector,
        template: Some(template),
    };
    set
}

fn set_name(deployment: &str, hash: &str) -> String {
    let longest = NAME_MAX - 1 - hash.len();
    let prefix: String = deployment.chars().take(longest).collect();
    format!("{prefix}-{hash}")
}
