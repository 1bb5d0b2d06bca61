//! Jobs: pods that run to their end, so many at a time, so many in all.
//!
//! Invariants: while own creations or deletions have not been seen no more are done. Counters never
//! go down. A finished Job is never touched again, but for its deletion after
//! `ttlSecondsAfterFinished`.
//!
//! Left out: the tracking finalizer (a finished pod that is deleted before it was counted is run
//! again), `backoffLimitPerIndex`, pod failure and success policies.

mod plan;
mod status;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Resource, ResourceExt};
use serde_json::json;

use crate::claim::claim_all;
use crate::context::Context;
use crate::error::{Error, Reconciled, ignore_not_found};
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::owned_pods::{OwnedPods, PodOwners};
use crate::ownership::{controller_of, controller_reference, is_being_deleted};
use crate::pods;
use crate::worker::work;

/// Runs until shutdown.
pub async fn run(context: Context) {
    let recorder = context.recorder("job-controller");
    let controller = Arc::new(Jobs {
        jobs: context.informer(),
        pods: context.informer(),
        own: OwnedPods::new(context.client.clone(), recorder),
    });
    if !context.synced(&controller.jobs).await || !context.synced(&controller.pods).await {
        return;
    }
    let to = controller.clone();
    controller.jobs.subscribe(move |change| to.own.queue.add(ObjectKey::of(&**change.object())));
    let to = controller.clone();
    controller.pods.subscribe(move |change| to.own.changed(&*to, change));
    let (queue, shutdown) = (controller.own.queue.clone(), context.shutdown.clone());
    work("job", context.options.workers, queue, shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
    .await;
}

struct Jobs {
    jobs: Informer<Job>,
    pods: Informer<Pod>,
    own: OwnedPods,
}

impl PodOwners for Jobs {
    fn owner_of(&self, pod: &Pod) -> Option<ObjectKey> {
        let owner = controller_of(&pod.metadata)
            .filter(|of| of.kind == "Job" && of.api_version.starts_with("batch/"))?;
        let key = ObjectKey::new(pod.namespace().unwrap_or_default(), &owner.name);
        let known = self.jobs.get(&key);
        known.is_none_or(|job| job.metadata.uid.as_ref() == Some(&owner.uid)).then_some(key)
    }

    /// A Job's selector names its uid: nobody else's pod has that label.
    fn adopters_of(&self, _: &Pod) -> Vec<ObjectKey> {
        Vec::new()
    }
}

impl Jobs {
    async fn reconcile(&self, key: &ObjectKey) -> Reconciled {
        let Some(job) = self.jobs.get(key) else {
            self.own.expectations.forget(key);
            return Ok(None);
        };
        let spec = job.spec.clone().unwrap_or_default();
        let is_ours =
            spec.managed_by.as_deref().is_none_or(|by| by == "kubernetes.io/job-controller");
        if !is_ours || is_being_deleted(job.meta()) {
            return Ok(None);
        }
        let now = Timestamp::now();
        if let Some(finished) = status::finished_at(&job) {
            return self.expire(&job, finished, now).await;
        }
        let Some(selector) = &spec.selector else { return Ok(None) };
        let mine = claim_all(&self.own.client, &*job, selector, &self.pods).await?;
        let tally = plan::Tally::of(&job, &mine);
        let may_act = self.own.expectations.met(key);
        let step = plan::next(&spec, job.status.as_ref(), &tally, now);
        let acted = if may_act { self.act(key, &job, &step, &tally).await } else { Ok(()) };
        let wanted = status::of(&job, &step, &tally, now);
        if status::filled(job.status.as_ref()) != wanted {
            self.tell(&job, &wanted);
            self.write_status(&job, &wanted).await?;
        }
        acted?;
        Ok(step.look_again)
    }

    async fn act(
        &self,
        key: &ObjectKey,
        job: &Job,
        step: &plan::Step,
        tally: &plan::Tally,
    ) -> Result<(), Error> {
        if !step.delete.is_empty() {
            return self.own.delete(key, job, &step.delete).await;
        }
        if step.create == 0 {
            return Ok(());
        }
        let template = job.spec.clone().unwrap_or_default().template;
        let pod = pods::from_template(job, controller_reference(job), &template);
        let new = match plan::free_indexes(job, tally, step.create) {
            Some(indexes) => indexes.into_iter().map(|i| plan::indexed(&pod, job, i)).collect(),
            None => vec![pod; step.create],
        };
        self.own.create(key, job, new).await
    }

    /// Tells of an end that the status is about to show.
    fn tell(&self, job: &Job, wanted: &JobStatus) {
        let ended = wanted.conditions.iter().flatten().find(|c| status::is_end(c));
        match ended {
            Some(end) if end.type_ == "Complete" => {
                self.own.recorder.normal(job, "Completed", "Job completed");
            }
            Some(end) => {
                let reason = end.reason.clone().unwrap_or_default();
                let message = end.message.clone().unwrap_or_default();
                self.own.recorder.warning(job, &reason, message);
            }
            None => {}
        }
    }

    async fn write_status(&self, job: &Job, status: &JobStatus) -> Result<(), Error> {
        let patch = Patch::Merge(json!({
            "metadata": {"uid": job.meta().uid, "resourceVersion": job.meta().resource_version},
            "status": status,
        }));
        let namespace = job.namespace().unwrap_or_default();
        let api = Api::<Job>::namespaced(self.own.client.clone(), &namespace);
        let params = PatchParams::default();
        ignore_not_found(api.patch_status(&job.name_any(), &params, &patch).await)?;
        Ok(())
    }

    /// Deletes a finished Job when its time is over.
    async fn expire(&self, job: &Job, finished: Timestamp, now: Timestamp) -> Reconciled {
        let ttl = job.spec.as_ref().and_then(|s| s.ttl_seconds_after_finished);
        let Some(ttl) = ttl else { return Ok(None) };
        let ttl = Duration::from_secs(u64::try_from(ttl).unwrap_or_default());
        let age = now.duration_since(finished).max(jiff::SignedDuration::ZERO).unsigned_abs();
        if age < ttl {
            return Ok(Some(ttl - age));
        }
        let params = DeleteParams::foreground().preconditions(Preconditions {
            uid: job.meta().uid.clone(),
            resource_version: job.meta().resource_version.clone(),
        });
        let namespace = job.namespace().unwrap_or_default();
        let api = Api::<Job>::namespaced(self.own.client.clone(), &namespace);
        ignore_not_found(api.delete(&job.name_any(), &params).await)?;
        Ok(None)
    }
}
