//! CronJob: a Job each time the schedule says so.

use super::{job, schedule};
use crate::kinds::at::At;
use crate::kinds::edit::{self, fill, fill_zero, make};
use crate::kinds::{GENERIC, Hooks, NameRule, checks, pod};
use crate::status::FieldErrors;
use schema::Value;

/// The row of CronJob.
pub(crate) const CRON_JOB: Hooks = Hooks {
    name: NameRule::Subdomain,
    default,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    warnings,
    create,
    update: |new, old, errors| spec(&new.at("spec"), Some(&old.at("spec")), errors),
    ..GENERIC
};

/// Leaves room for the eleven bytes that the names of its jobs add.
const NAME_BYTES_MAX: usize = 52;

fn default(object: &mut Value) {
    pod::default_template(object, "spec.jobTemplate.spec.template");
    let Some(spec) = make(object, "spec") else { return };
    fill_zero(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = if old.is_none() { pod::pod_name_warnings(new) } else { Vec::new() };
    if edit::text(new, "spec.schedule").contains("TZ") {
        warnings.push(
            "spec.schedule: cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
                .to_owned(),
        );
    }
    warnings.extend(pod::template_warnings(new, old, "spec.jobTemplate.spec.template"));
    warnings
}

fn create(object: &At, errors: &mut FieldErrors) {
    spec(&object.at("spec"), None, errors);
    let name = object.at("metadata.name");
    if name.text().len() > NAME_BYTES_MAX {
        name.invalid(errors, "must be no more than 52 characters");
    }
}

fn spec(spec: &At, old: Option<&At>, errors: &mut FieldErrors) {
    let (line, zone) = (spec.at("schedule"), spec.at("timeZone"));
    if !line.is_empty() {
        schedule_line(&line, &zone, old, errors);
    }
    checks::non_negative(&spec.at("startingDeadlineSeconds"), errors);
    if old.is_none_or(|old| old.at("timeZone").value != zone.value) {
        time_zone(&zone, errors);
    }
    let policy = spec.at("concurrencyPolicy");
    checks::required_one_of(&policy, errors, &["Allow", "Forbid", "Replace"]);
    let template = spec.at("jobTemplate");
    let jobs = template.at("spec");
    job::validate_spec(&jobs, errors);
    if jobs.has("selector") {
        jobs.at("selector").invalid(errors, "`selector` will be auto-generated");
    }
    if jobs.at("manualSelector").flag() {
        jobs.at("manualSelector").not_supported(errors, &["nil", "false"]);
    }
    checks::non_negative(&spec.at("successfulJobsHistoryLimit"), errors);
    checks::non_negative(&spec.at("failedJobsHistoryLimit"), errors);
    if line.is_empty() {
        line.required(errors, "");
    }
}

fn schedule_line(line: &At, zone: &At, old: Option<&At>, errors: &mut FieldErrors) {
    if let Err(fault) = schedule::check(line.text()) {
        line.invalid(errors, fault);
    }
    if !line.text().contains("TZ") {
        return;
    }
    if !old.is_some_and(|old| old.text_of("schedule").contains("TZ")) {
        let words = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        line.invalid(errors, words);
    } else if zone.is_set() {
        line.invalid(errors, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
    }
}

fn time_zone(zone: &At, errors: &mut FieldErrors) {
    if !zone.is_set() {
        return;
    }
    if zone.is_empty() {
        return zone.invalid(errors, "timeZone must be nil or non-empty string");
    }
    let part_fits = |part: &str| {
        part != "."
            && part != ".."
            && !part.starts_with('-')
            && (1..=14).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte))
    };
    if !zone.text().split('/').all(part_fits) {
        return zone.invalid(errors, format!("unknown time zone {}", zone.text()));
    }
    if zone.text().eq_ignore_ascii_case("local") {
        zone.invalid(
            errors,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        );
    } else if !schedule::is_zone(zone.text()) {
        zone.invalid(errors, format!("unknown time zone {}", zone.text()));
    }
}
