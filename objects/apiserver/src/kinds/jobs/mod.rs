//! Work that ends: Job and CronJob.

mod cron_job;
mod job;
mod schedule;
mod status;

pub(crate) use cron_job::CRON_JOB;
pub(crate) use job::JOB;
