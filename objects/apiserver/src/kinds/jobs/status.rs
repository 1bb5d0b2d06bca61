//! The status of a Job: what a controller, ours or another, may say of it and may not take back.
//!
//! Most rules are asked for only when what they speak of changes, so that a status that was wrong
//! can still be corrected step by step.

use crate::kinds::at::At;
use crate::kinds::checks;
use crate::status::{BadValue, FieldErrors};
use std::collections::HashSet;

/// A job's status in place of another.
pub(super) fn validate(new: &At, old: &At, errors: &mut FieldErrors) {
    let change = Change { status: new.at("status"), was: old.at("status") };
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        checks::non_negative(&change.status.at(field), errors);
    }
    uncounted(&change.status.at("uncountedTerminatedPods"), errors);
    change.completed(errors);
    change.finished(new, errors);
    change.indexes(new, errors);
    change.pods(errors);
    change.outcome(new, errors);
    change.not_taken_back(new, errors);
}

/// Pods that have ended and are not counted yet, each once.
fn uncounted(pods: &At, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for list in ["succeeded", "failed"] {
        for uid in pods.at(list).items() {
            if uid.is_empty() {
                uid.invalid(errors, "must not be empty");
            } else if !seen.insert(uid.text()) {
                uid.duplicate(errors);
            }
        }
    }
}

struct Change<'p, 'v> {
    status: At<'p, 'v>,
    was: At<'p, 'v>,
}

fn holds(status: &At, condition: &str) -> bool {
    status
        .at("conditions")
        .items()
        .any(|it| it.text_of("type") == condition && it.text_of("status") == "True")
}

fn has_ended(status: &At) -> bool {
    holds(status, "Complete") || holds(status, "Failed")
}

impl Change<'_, '_> {
    fn is(&self, condition: &str) -> bool {
        holds(&self.status, condition)
    }

    /// Whether one of the conditions or fields has changed.
    fn of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| {
            holds(&self.was, name) != self.is(name)
                || self.was.at(name).value != self.status.at(name).value
        })
    }

    fn end_or(&self, field: &str) -> bool {
        has_ended(&self.was) != has_ended(&self.status) || self.of(&[field])
    }

    fn conditions(&self, errors: &mut FieldErrors, words: &str) {
        self.status.at("conditions").invalid_as(errors, BadValue::Omitted, words);
    }

    /// What goes with `Complete` and what does not; the time of it; what must come before an end.
    fn completed(&self, errors: &mut FieldErrors) {
        let (complete, failed) = (self.is("Complete"), self.is("Failed"));
        let (start, end) = (self.status.at("startTime"), self.status.at("completionTime"));
        if complete && failed && self.of(&["Complete", "Failed"]) {
            self.conditions(errors, "cannot set Complete=True and Failed=true conditions");
        }
        if complete && self.is("FailureTarget") && self.of(&["Complete", "FailureTarget"]) {
            self.conditions(errors, "cannot set Complete=True and FailureTarget=true conditions");
        }
        let timed = self.of(&["Complete", "completionTime"]);
        if timed && end.is_set() && !complete {
            end.invalid(
                errors,
                "cannot set completionTime when there is no Complete=True condition",
            );
        }
        if timed && !end.is_set() && complete {
            end.required(errors, "completionTime is required for Complete jobs");
        }
        // Times in UTC with second resolution: their texts have their order.
        let backwards = start.is_set() && end.is_set() && end.text() < start.text();
        if backwards && self.of(&["startTime", "completionTime"]) {
            end.invalid(errors, "must be equal to or after `startTime`");
        }
        for (outcome, before, fields) in [
            ("Failed", "FailureTarget", ["Failed", "failedIndexes"]),
            ("Complete", "SuccessCriteriaMet", ["Complete", "SuccessCriteriaMet"]),
        ] {
            if self.is(outcome) && !self.is(before) && self.of(&fields) {
                let words = format!(
                    "cannot set {outcome}=True condition without the {before}=true condition"
                );
                self.conditions(errors, &words);
            }
        }
    }

    fn finished(&self, job: &At, errors: &mut FieldErrors) {
        if !has_ended(&self.status) {
            return;
        }
        let (active, start) = (self.status.at("active"), self.status.at("startTime"));
        if active.int() > 0 && self.end_or("active") {
            active.invalid(errors, "active>0 is invalid for finished job");
        }
        let never_begun =
            job.at("spec.suspend").flag() && job.at("spec.completions").value.as_i64() == Some(0);
        if !start.is_set() && !never_begun && self.end_or("startTime") {
            start.required(errors, "startTime is required for finished job");
        }
        let uncounted = self.status.at("uncountedTerminatedPods");
        let left = uncounted.at("failed").len() + uncounted.at("succeeded").len();
        if left > 0 && self.end_or("uncountedTerminatedPods") {
            uncounted.invalid(errors, "must be empty for finished job");
        }
    }

    fn indexes(&self, job: &At, errors: &mut FieldErrors) {
        let (done, failed) = (self.status.at("completedIndexes"), self.status.at("failedIndexes"));
        let indexed = job.text_of("spec.completionMode") == "Indexed";
        let total = job.at("spec.completions");
        let per_index = job.has("spec.backoffLimitPerIndex") && failed.is_set();
        for (name, looked_at) in [("completedIndexes", true), ("failedIndexes", per_index)] {
            let list = self.status.at(name);
            if looked_at
                && total.is_set()
                && self.of(&[name])
                && let Err(why) = index_list(list.text(), total.int())
            {
                list.invalid_as(errors, list.text(), format!("error parsing {name}: {why}"));
            }
        }
        if !done.is_empty() && !indexed && self.of(&["completedIndexes"]) {
            let words = "cannot set non-empty completedIndexes when non-indexed completion mode";
            done.invalid(errors, words);
        }
        if failed.is_set() && !job.has("spec.backoffLimitPerIndex") && self.of(&["failedIndexes"]) {
            let words = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            failed.invalid(errors, words);
        }
    }

    fn pods(&self, errors: &mut FieldErrors) {
        let (leaving, ready) = (self.status.at("terminating"), self.status.at("ready"));
        if leaving.int() > 0 && has_ended(&self.status) && self.end_or("terminating") {
            leaving.invalid(errors, "terminating>0 is invalid for finished job");
        }
        let more = ready.is_set() && ready.int() > self.status.at("active").int();
        if more && self.of(&["ready", "active"]) {
            ready.invalid(errors, "cannot set more ready pods than active");
        }
    }

    fn outcome(&self, job: &At, errors: &mut FieldErrors) {
        let met = self.is("SuccessCriteriaMet");
        if met && self.is("Failed") {
            self.conditions(
                errors,
                "cannot set SuccessCriteriaMet=True and Failed=true conditions",
            );
        }
        if met && self.is("FailureTarget") {
            let words = "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions";
            self.conditions(errors, words);
        }
        if job.has("spec.successPolicy") && !met && self.is("Complete") {
            let words = "cannot set Complete=True for Job with SuccessPolicy unless \
                SuccessCriteriaMet=True";
            self.conditions(errors, words);
        }
    }

    /// Ends stay, counts only grow, times that were set stay.
    fn not_taken_back(&self, job: &At, errors: &mut FieldErrors) {
        for kind in ["Failed", "Complete", "FailureTarget"] {
            if holds(&self.was, kind) && !self.is(kind) {
                let words = format!("cannot disable the terminal {kind}=True condition");
                self.conditions(errors, &words);
            }
        }
        let elastic = job.text_of("spec.completionMode") == "Indexed"
            && job.at("spec.completions").value == job.at("spec.parallelism").value;
        for (counter, checked) in [("failed", true), ("succeeded", !elastic)] {
            let now = self.status.at(counter);
            if checked && now.int() < self.was.at(counter).int() {
                let words = format!("cannot decrease the {counter} counter");
                now.invalid_as(errors, now.int(), words);
            }
        }
        let end = self.status.at("completionTime");
        if end.is_set() && self.was.has("completionTime") {
            checks::immutable(&end, &self.was.at("completionTime"), errors);
        }
        let start = self.status.at("startTime");
        let resumed = holds(&self.was, "Suspended") && !self.is("Suspended");
        let suspended = job.at("spec.suspend").flag();
        if self.was.has("startTime") && self.of(&["startTime"]) && !resumed && !suspended {
            start.invalid(errors, "field is immutable for unsuspended job once set");
        }
        if holds(&self.was, "SuccessCriteriaMet") && !self.is("SuccessCriteriaMet") {
            self.conditions(errors, "cannot disable the SuccessCriteriaMet=True condition");
        }
    }
}

/// A list of indexes below `total`, as `1,3-5,7`, ever greater.
fn index_list(text: &str, total: i64) -> Result<(), String> {
    let number = |part: &str| {
        let number: i64 = part
            .parse()
            .map_err(|_| format!("cannot convert string to integer for index: \"{part}\""))?;
        if number < total { Ok(number) } else { Err(format!("too large index: \"{part}\"")) }
    };
    let mut last: Option<i64> = None;
    for interval in text.split(',').filter(|_| !text.is_empty()) {
        let parts: Vec<&str> = interval.split('-').collect();
        if parts.len() > 2 {
            return Err(format!(
                "the fragment \"{interval}\" violates the requirement that an index interval can \
                 have at most two parts separated by '-'"
            ));
        }
        for part in parts {
            let number = number(part)?;
            if let Some(last) = last.filter(|last| *last >= number) {
                let words = "non-increasing order, previous";
                return Err(format!("{words}: {last}, current: {number}"));
            }
            last = Some(number);
        }
    }
    Ok(())
}
