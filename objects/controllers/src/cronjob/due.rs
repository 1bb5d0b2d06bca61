//! Whether a CronJob's time has come.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec};

use super::schedule::Schedule;

/// With more missed times than this somebody should be told.
const MISSED_MAX: usize = 100;
/// So many missed times are looked through at most: a clock that ran ahead must not stop the rest.
const LOOKS_MAX: usize = 100_000;

/// What a schedule asks for now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Not,
    /// A Job for this time.
    At { time: Timestamp, many_missed: bool },
    /// A Job for this time, but its deadline is over.
    TooLate(Timestamp),
}

/// The last time that is not served yet.
pub(super) fn due(cron_job: &CronJob, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Due {
    let created = cron_job.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0);
    let last = cron_job.status.as_ref().and_then(|s| s.last_schedule_time.as_ref());
    let mut since = last.map_or(created, |t| t.0);
    let deadline = cron_job.spec.starting_deadline_seconds;
    let deadline = deadline.map(SignedDuration::from_secs);
    if let Some(earliest) = deadline.and_then(|d| now.checked_sub(d).ok()) {
        since = since.max(earliest);
    }
    let (mut time, mut missed) = (None, 0);
    while let Some(next) = schedule.next(since, zone).filter(|next| *next <= now) {
        (time, since) = (Some(next), next);
        missed += 1;
        if missed >= LOOKS_MAX {
            break;
        }
    }
    match time {
        None => Due::Not,
        Some(time) if deadline.is_some_and(|d| time + d < now) => Due::TooLate(time),
        Some(time) => Due::At { time, many_missed: missed > MISSED_MAX },
    }
}

/// The time zone of a CronJob: UTC unless it names another.
pub(super) fn zone(spec: &CronJobSpec) -> Result<TimeZone, String> {
    let Some(name) = spec.time_zone.as_deref() else { return Ok(TimeZone::UTC) };
    if matches!(name, "UTC" | "Etc/UTC") {
        return Ok(TimeZone::UTC);
    }
    let unknown = |why: &str| format!("invalid timeZone: {name:?}: {why}");
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-.".contains(c))
    };
    // The name becomes a path: nothing but the zones' folder may be reached by it.
    if !name.split('/').all(is_plain) {
        return Err(unknown("not a name of a time zone"));
    }
    let path = std::path::Path::new("/usr/share/zoneinfo").join(name);
    let data = std::fs::read(path).map_err(|_| unknown("unknown time zone"))?;
    TimeZone::tzif(name, &data).map_err(|why| unknown(&why.to_string()))
}

/// A time as its zone's clocks show it.
pub(super) fn rfc3339(time: Timestamp, zone: &TimeZone) -> String {
    match zone.to_offset(time) {
        offset if offset.is_zero() => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        _ => time.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cron_job(last: Option<&str>, deadline: Option<i64>) -> CronJob {
        let cron_job = json!({
            "metadata": {"name": "c", "creationTimestamp": "2026-11-21T12:00:30Z"},
            "spec": {"schedule": "* * * * *", "startingDeadlineSeconds": deadline,
                "jobTemplate": {}},
            "status": {"lastScheduleTime": last},
        });
        serde_json::from_value(cron_job).expect("a CronJob")
    }

    fn at(cron_job: &CronJob, now: &str) -> Due {
        let schedule = Schedule::parse("* * * * *").expect("a schedule");
        due(cron_job, &schedule, &TimeZone::UTC, now.parse().expect("a time"))
    }

    fn served(time: &str, many_missed: bool) -> Due {
        Due::At { time: time.parse().expect("a time"), many_missed }
    }

    #[test]
    fn only_the_last_missed_time_is_made_up_for() {
        let new = cron_job(None, None);
        assert_eq!(at(&new, "2026-11-21T12:00:59Z"), Due::Not);
        assert_eq!(at(&new, "2026-11-21T12:01:00Z"), served("2026-11-21T12:01:00Z", false));
        assert_eq!(at(&new, "2026-11-21T12:05:10Z"), served("2026-11-21T12:05:00Z", false));
        assert_eq!(at(&new, "2026-11-21T15:05:10Z"), served("2026-11-21T15:05:00Z", true));
        let done = cron_job(Some("2026-11-21T12:05:00Z"), None);
        assert_eq!(at(&done, "2026-11-21T12:05:10Z"), Due::Not);
    }

    #[test]
    fn a_deadline_bounds_what_is_made_up_for() {
        let strict = cron_job(Some("2026-11-21T12:01:00Z"), Some(20));
        assert_eq!(at(&strict, "2026-11-21T12:05:10Z"), served("2026-11-21T12:05:00Z", false));
        assert_eq!(at(&strict, "2026-11-21T12:05:30Z"), Due::Not);
    }

    #[test]
    fn a_zone_is_a_name_and_never_a_path() {
        let zone_of = |name: &str| {
            zone(&CronJobSpec { time_zone: Some(name.into()), ..CronJobSpec::default() })
        };
        assert!(zone_of("Etc/UTC").is_ok());
        for nonsense in ["../../../etc/passwd", "/etc/passwd", "Nowhere/Land", "", "a//b"] {
            assert!(zone_of(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
