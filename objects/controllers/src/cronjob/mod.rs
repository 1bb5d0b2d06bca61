//! CronJobs: a Job at each time of a schedule.
//!
//! Invariants: the Job of a time has that time in its name, so that a time is never served twice,
//! whoever serves it. Of several missed times only the last is made up for.

mod due;
pub mod schedule;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use crate::context::Context;
use crate::error::{
    Error, Reconciled, ignore_not_found, is_already_exists, is_namespace_terminating, message_of,
};
use crate::informer::{Change, Informer};
use crate::key::ObjectKey;
use crate::ownership::{controller_of, controller_reference, is_being_deleted, is_controlled_by};
use crate::queue::Queue;
use crate::recorder::{Recorder, reference_to};
use crate::worker::work;
use crate::written::Written;

use due::Due;
use schedule::Schedule;

/// A key is looked at again this much after its time, so that the time has surely come.
const LATE: Duration = Duration::from_millis(100);

/// Runs until shutdown.
pub async fn run(context: Context) {
    let controller = Arc::new(CronJobs {
        client: context.client.clone(),
        recorder: context.recorder("cronjob-controller"),
        cron_jobs: context.informer(),
        jobs: context.informer(),
        own: Written::default(),
        written: Written::default(),
        queue: Queue::new(),
    });
    if !context.synced(&controller.cron_jobs).await || !context.synced(&controller.jobs).await {
        return;
    }
    let to = controller.clone();
    controller.cron_jobs.subscribe(move |change| to.queue.add(ObjectKey::of(&**change.object())));
    let to = controller.clone();
    controller.jobs.subscribe(move |change| to.job_changed(change));
    let (queue, shutdown) = (controller.queue.clone(), context.shutdown.clone());
    work("cronjob", context.options.workers, queue, shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
    .await;
}

struct CronJobs {
    client: Client,
    recorder: Recorder,
    cron_jobs: Informer<CronJob>,
    jobs: Informer<Job>,
    own: Written,
    written: Written,
    queue: Queue<ObjectKey>,
}

impl CronJobs {
    fn job_changed(&self, change: &Change<Job>) {
        let job = change.object();
        let owner = controller_of(job.meta()).filter(|of| of.kind == "CronJob");
        if let Some(owner) = owner {
            self.queue.add(ObjectKey::new(job.namespace().unwrap_or_default(), &owner.name));
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Reconciled {
        let Some(cron_job) = self.cron_jobs.get(key) else {
            self.own.forget(key);
            self.written.forget(key);
            return Ok(None);
        };
        let unseen = self.own.unseen(key, |k| self.cron_jobs.get(k));
        if let Some(object) = unseen.or_else(|| self.written.unseen(key, |k| self.jobs.get(k))) {
            return Err(Error::Behind(object.to_string()));
        }
        let mut jobs = self.jobs.controlled_by(&cron_job.uid().unwrap_or_default());
        jobs.sort_by_key(|job| started(job));
        let before = cron_job.status.clone().unwrap_or_default();
        let mut status = before.clone();
        self.follow(&cron_job, &jobs, &mut status);
        let result = self.act(key, &cron_job, &jobs, &mut status).await;
        if status != before {
            self.write_status(key, &cron_job, &status).await?;
        }
        result
    }

    /// Brings the list of running Jobs up to date.
    fn follow(&self, cron_job: &CronJob, jobs: &[Arc<Job>], status: &mut CronJobStatus) {
        let mut active = status.active.take().unwrap_or_default();
        for job in jobs {
            let is_listed = active.iter().any(|r| r.uid == job.metadata.uid);
            match finished(job) {
                None if !is_listed => active.push(reference_to(&**job)),
                Some(how) => {
                    if is_listed {
                        let name = job.name_any();
                        let message = format!("Saw completed job: {name}, condition: {how}");
                        self.recorder.normal(cron_job, "SawCompletedJob", message);
                    }
                    active.retain(|r| r.uid != job.metadata.uid);
                    let completed = job.status.as_ref().and_then(|s| s.completion_time.clone());
                    if how == "Complete" && completed > status.last_successful_time {
                        status.last_successful_time = completed;
                    }
                }
                None => {}
            }
        }
        active.retain(|reference| {
            let known = jobs.iter().any(|job| job.metadata.uid == reference.uid);
            if !known {
                let name = reference.name.as_deref().unwrap_or_default();
                let message = format!("Active job went missing: {name}");
                self.recorder.normal(cron_job, "MissingJob", message);
            }
            known
        });
        status.active = (!active.is_empty()).then_some(active);
    }

    async fn act(
        &self,
        key: &ObjectKey,
        cron_job: &CronJob,
        jobs: &[Arc<Job>],
        status: &mut CronJobStatus,
    ) -> Reconciled {
        let spec = &cron_job.spec;
        self.clean_up(cron_job, jobs).await?;
        if is_being_deleted(cron_job.meta()) || spec.suspend.unwrap_or_default() {
            return Ok(None);
        }
        let (schedule, zone) = match (Schedule::parse(&spec.schedule), due::zone(spec)) {
            (Ok(schedule), Ok(zone)) => (schedule, zone),
            (_, Err(message)) => {
                self.recorder.warning(cron_job, "UnknownTimeZone", message);
                return Ok(None);
            }
            (Err(why), _) => {
                let message = format!("unparseable schedule: {:?} : {why}", spec.schedule);
                self.recorder.warning(cron_job, "UnparseableSchedule", message);
                return Ok(None);
            }
        };
        let now = Timestamp::now();
        match due::due(cron_job, &schedule, &zone, now) {
            Due::Not => {}
            Due::TooLate(at) => {
                let at = at.strftime("%a, %d %b %Y %H:%M:%S UTC");
                let message = format!("Missed scheduled time to start a job: {at}");
                self.recorder.warning(cron_job, "MissSchedule", message);
            }
            Due::At { time, many_missed } => {
                if many_missed {
                    let message = "too many missed start times. Set or decrease \
                                   .spec.startingDeadlineSeconds or check clock skew";
                    self.recorder.warning(cron_job, "TooManyMissedTimes", message);
                }
                self.start(key, cron_job, jobs, status, (time, &zone)).await?;
            }
        }
        let next = schedule.next(now, &zone);
        Ok(next.map(|at| at.duration_since(now).unsigned_abs() + LATE))
    }

    async fn start(
        &self,
        key: &ObjectKey,
        cron_job: &CronJob,
        jobs: &[Arc<Job>],
        status: &mut CronJobStatus,
        (time, zone): (Timestamp, &TimeZone),
    ) -> Result<(), Error> {
        let policy = cron_job.spec.concurrency_policy.as_deref();
        let running = status.active.clone().unwrap_or_default();
        match policy {
            Some("Forbid") if !running.is_empty() => {
                let message = "Not starting job because prior execution is running and \
                               concurrency policy is Forbid";
                self.recorder.normal(cron_job, "JobAlreadyActive", message);
                return Ok(());
            }
            Some("Replace") => {
                let uids: Vec<_> = running.iter().map(|r| r.uid.clone()).collect();
                for job in jobs.iter().filter(|job| uids.contains(&job.metadata.uid)) {
                    self.delete(cron_job, job).await?;
                }
                status.active = None;
            }
            _ => {}
        }
        let Some(job) = self.create(cron_job, &job_for(cron_job, time, zone)).await? else {
            return Ok(());
        };
        self.written.wrote(key, &job);
        let active = status.active.get_or_insert_default();
        if !active.iter().any(|r| r.uid == job.metadata.uid) {
            active.push(ObjectReference { field_path: None, ..reference_to(&job) });
        }
        status.last_schedule_time = Some(Time(time));
        Ok(())
    }

    /// The Job of that name if it is this CronJob's, created now or before.
    async fn create(&self, cron_job: &CronJob, job: &Job) -> Result<Option<Job>, Error> {
        let namespace = cron_job.namespace().unwrap_or_default();
        let api = Api::<Job>::namespaced(self.client.clone(), &namespace);
        match api.create(&PostParams::default(), job).await {
            Ok(created) => {
                let message = format!("Created job {}", created.name_any());
                self.recorder.normal(cron_job, "SuccessfulCreate", message);
                Ok(Some(created))
            }
            Err(error) if is_already_exists(&error) => {
                let found = api.get_opt(&job.name_any()).await?;
                Ok(found.filter(|found| is_controlled_by(found.meta(), cron_job)))
            }
            Err(error) => {
                if !is_namespace_terminating(&error) {
                    let message = format!("Error creating job: {}", message_of(&error));
                    self.recorder.warning(cron_job, "FailedCreate", message);
                }
                Err(error.into())
            }
        }
    }

    /// Deletes the oldest finished Jobs beyond the limits of the history.
    async fn clean_up(&self, cron_job: &CronJob, jobs: &[Arc<Job>]) -> Result<(), Error> {
        let spec = &cron_job.spec;
        let limits = [
            ("Complete", spec.successful_jobs_history_limit),
            ("Failed", spec.failed_jobs_history_limit),
        ];
        for (how, limit) in limits {
            let Some(limit) = limit.and_then(|l| usize::try_from(l).ok()) else { continue };
            let of_kind: Vec<_> = jobs
                .iter()
                .filter(|job| finished(job) == Some(how) && !is_being_deleted(job.meta()))
                .collect();
            for job in of_kind.iter().take(of_kind.len().saturating_sub(limit)) {
                self.delete(cron_job, job).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, cron_job: &CronJob, job: &Job) -> Result<(), Error> {
        let namespace = cron_job.namespace().unwrap_or_default();
        let api = Api::<Job>::namespaced(self.client.clone(), &namespace);
        let params = DeleteParams::background()
            .preconditions(Preconditions { uid: job.uid(), resource_version: None });
        match ignore_not_found(api.delete(&job.name_any(), &params).await) {
            Ok(_) => {
                let message = format!("Deleted job {}", job.name_any());
                self.recorder.normal(cron_job, "SuccessfulDelete", message);
                Ok(())
            }
            Err(error) => {
                let message = format!("Deleted job: {}", message_of(&error));
                self.recorder.warning(cron_job, "FailedDelete", message);
                Err(error.into())
            }
        }
    }

    async fn write_status(
        &self,
        key: &ObjectKey,
        cron_job: &CronJob,
        status: &CronJobStatus,
    ) -> Result<(), Error> {
        let patch = Patch::Merge(json!({
            "metadata": {
                "uid": cron_job.meta().uid,
                "resourceVersion": cron_job.meta().resource_version,
            },
            "status": {
                "active": status.active,
                "lastScheduleTime": status.last_schedule_time,
                "lastSuccessfulTime": status.last_successful_time,
            },
        }));
        let api = Api::<CronJob>::namespaced(self.client.clone(), &key.namespace);
        let written = api.patch_status(&key.name, &PatchParams::default(), &patch).await;
        if let Some(written) = ignore_not_found(written)? {
            self.own.wrote(key, &written);
        }
        Ok(())
    }
}

fn started(job: &Job) -> Option<Timestamp> {
    let start = job.status.as_ref().and_then(|s| s.start_time.as_ref());
    start.or(job.metadata.creation_timestamp.as_ref()).map(|t| t.0)
}

/// `Complete` or `Failed`, once the Job is either.
fn finished(job: &Job) -> Option<&str> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    let is_end = |type_: &str| matches!(type_, "Complete" | "Failed");
    let end = conditions.iter().find(|c| is_end(&c.type_) && c.status == "True")?;
    Some(&end.type_)
}

/// The Job for one time: its minute since 1970 is in the name.
fn job_for(cron_job: &CronJob, time: Timestamp, zone: &TimeZone) -> Job {
    let template = cron_job.spec.job_template.clone();
    let of_template = template.metadata.unwrap_or_default();
    let mut annotations = of_template.annotations.unwrap_or_default();
    let at = due::rfc3339(time, zone);
    annotations.insert("batch.kubernetes.io/cronjob-scheduled-timestamp".into(), at);
    Job {
        metadata: ObjectMeta {
            name: Some(format!("{}-{}", cron_job.name_any(), time.as_second() / 60)),
            namespace: cron_job.namespace(),
            labels: of_template.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(cron_job)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}
