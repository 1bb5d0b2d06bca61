//! Job: pods of one template until enough of them have succeeded.

use crate::kinds::at::At;
use crate::kinds::edit::{self, fill, make, set};
use crate::kinds::{GENERIC, Hooks, NameRule, checks, formats, pod, selection};
use crate::status::{BadValue, FieldErrors};
use schema::Value;
use serde_json::json;

/// The row of Job.
pub(crate) const JOB: Hooks = Hooks {
    name: NameRule::Subdomain,
    default,
    prepare_create,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    warnings: |new, old| pod::named_template_warnings(new, old, "spec.template"),
    create,
    update,
    status: super::status::validate,
    ..GENERIC
};

const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

fn default(object: &mut Value) {
    pod::default_template(object, "spec.template");
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    if let (Some(labels), Some(metadata)) = (labels, make(object, "metadata"))
        && metadata.get("labels").and_then(Value::as_object).is_none_or(|map| map.is_empty())
    {
        set(metadata, "labels", labels);
    }
    let Some(spec) = make(object, "spec") else { return };
    if spec.get("parallelism").is_none() {
        fill(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    let limit = if spec.get("backoffLimitPerIndex").is_some() { i32::MAX } else { 6 };
    fill(spec, "backoffLimit", limit);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    let replacement =
        if spec.get("podFailurePolicy").is_some() { "Failed" } else { "TerminatingOrFailed" };
    fill(spec, "podReplacementPolicy", replacement);
    fill(spec, "manualSelector", false);
    default_failure_policy(spec);
}

fn default_failure_policy(spec: &mut Value) {
    edit::each(spec, "podFailurePolicy.rules", |rule| {
        edit::each(rule, "onPodConditions", |pattern| edit::fill_zero(pattern, "status", "True"));
    });
}

/// Labels and selector by which the job tells its pods from all others.
fn prepare_create(object: &mut Value) {
    let name = edit::text(object, "metadata.name").to_owned();
    let uid = edit::text(object, "metadata.uid").to_owned();
    let own_labels = object.pointer("/metadata/labels").cloned();
    let Some(spec) = make(object, "spec") else { return };
    if spec.get("manualSelector").and_then(Value::as_bool) == Some(true) {
        return;
    }
    let labels_before = spec.pointer("/template/metadata/labels").cloned();
    if let Some(labels) = make(spec, "template")
        .and_then(|template| make(template, "metadata"))
        .and_then(|metadata| make(metadata, "labels"))
    {
        NAME_LABELS.iter().for_each(|label| fill(labels, label, name.as_str()));
        UID_LABELS.iter().for_each(|label| fill(labels, label, uid.as_str()));
    }
    if let Some(labels) = make(spec, "selector").and_then(|it| make(it, "matchLabels")) {
        fill(labels, UID_LABELS[1], uid);
    }
    // A job without labels of its own has those of its pods.
    let labels = spec.pointer("/template/metadata/labels").cloned();
    if (own_labels.is_none() || own_labels == labels_before)
        && formats::label_value(&name).is_empty()
        && let (Some(labels), Some(metadata)) = (labels, make(object, "metadata"))
    {
        set(metadata, "labels", labels);
    }
}

fn create(object: &At, errors: &mut FieldErrors) {
    let spec = object.at("spec");
    generated_selector(object, errors);
    whole_spec(&spec, errors);
    name_leaves_room(object, errors);
}

fn generated_selector(object: &At, errors: &mut FieldErrors) {
    let selector = object.at("spec.selector");
    if object.at("spec.manualSelector").flag() || !selector.is_set() {
        return;
    }
    let (name, uid) = (object.text_of("metadata.name"), object.text_of("metadata.uid"));
    let metadata = object.at("spec.template.metadata");
    let labels = metadata.at("labels");
    for (label, wanted) in
        [(UID_LABELS[0], uid), (NAME_LABELS[0], name), (UID_LABELS[1], uid), (NAME_LABELS[1], name)]
    {
        let at = labels.key(label);
        if !at.is_set() {
            at.required(errors, format!("must be '{wanted}'"));
        } else if at.text() != wanted {
            let shown = labels.value;
            at.with(shown).invalid(errors, format!("must be '{wanted}'"));
        }
    }
    let expected = json!({
        "controller-uid": uid, "job-name": name,
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name,
    });
    if selection::is_valid(selector.value) && !selection::matches(selector.value, &expected) {
        selector.invalid(errors, "`selector` not auto-generated");
    }
}

fn whole_spec(spec: &At, errors: &mut FieldErrors) {
    validate_spec(spec, errors);
    let selector = spec.at("selector");
    if selector.is_set() {
        checks::label_selector(&selector, errors);
    } else {
        selector.required(errors, "");
    }
    let labels = spec.at("template").at("metadata").at("labels").value;
    if selection::is_valid(selector.value) && !selection::matches(selector.value, labels) {
        let words = "`selector` does not match template `labels`";
        spec.at("template.metadata.labels").invalid(errors, words);
    }
}

fn name_leaves_room(object: &At, errors: &mut FieldErrors) {
    let completions = object.at("spec.completions").int();
    if object.text_of("spec.completionMode") != "Indexed" || completions <= 0 {
        return;
    }
    let name = object.at("metadata.name");
    let longest = format!("{}-{}", name.text(), completions - 1);
    if !formats::dns_label(&longest).is_empty() {
        let words = format!("will not able to create pod with invalid DNS label: {longest}");
        name.invalid(errors, words);
    }
}

/// The spec of a job, or of the jobs that a CronJob makes; without its selector.
pub(super) fn validate_spec(spec: &At, errors: &mut FieldErrors) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        checks::non_negative(&spec.at(field), errors);
    }
    if spec.has("maxFailedIndexes") && !spec.has("backoffLimitPerIndex") {
        spec.at("backoffLimitPerIndex").required(errors, "when maxFailedIndexes is specified");
    }
    managed_by(&spec.at("managedBy"), errors);
    completion_mode(spec, errors);
    failure_policy(spec, errors);
    let success = spec.at("successPolicy");
    if success.is_set() && spec.text_of("completionMode") != "Indexed" {
        let shown = BadValue::Raw(success_shown(&success));
        success.invalid_as(errors, shown, "requires indexed completion mode");
    }
    let replacement = spec.at("podReplacementPolicy");
    if spec.has("podFailurePolicy") {
        checks::optional_one_of(&replacement, errors, &["Failed"]);
    } else {
        checks::optional_one_of(&replacement, errors, &["Failed", "TerminatingOrFailed"]);
    }
    pod::validate_template(&spec.at("template"), errors);
    restart_policy(spec, errors);
}

/// Compat: shown are the names in Go.
fn success_shown(policy: &At) -> String {
    let rules: Vec<String> = policy
        .at("rules")
        .items()
        .map(|rule| {
            let (indexes, count) = (rule.at("succeededIndexes").value, rule.at("succeededCount"));
            format!("{{\"SucceededIndexes\":{indexes},\"SucceededCount\":{}}}", count.value)
        })
        .collect();
    format!("{{\"Rules\":[{}]}}", rules.join(","))
}

fn managed_by(at: &At, errors: &mut FieldErrors) {
    if !at.is_set() || !checks::required(at, errors) {
        return;
    }
    match at.text().split_once('/') {
        Some((host, path)) if !host.is_empty() && !path.is_empty() => {
            for fault in formats::dns_subdomain(host) {
                at.invalid_as(errors, host, fault);
            }
        }
        _ => at.invalid(errors, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
    }
    if at.text().len() > 63 {
        at.too_long(errors, 63);
    }
}

fn completion_mode(spec: &At, errors: &mut FieldErrors) {
    const PARALLEL_MAX: i64 = 100_000;
    let (mode, completions) = (spec.at("completionMode"), spec.at("completions"));
    checks::optional_one_of(&mode, errors, &["NonIndexed", "Indexed"]);
    let (parallelism, failed) = (spec.at("parallelism"), spec.at("maxFailedIndexes"));
    if mode.text() != "Indexed" {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if spec.has(field) {
                spec.at(field).invalid(errors, "requires indexed completion mode");
            }
        }
        return;
    }
    if !completions.is_set() {
        completions.required(errors, "when completion mode is Indexed");
    }
    if parallelism.int() > PARALLEL_MAX {
        let words = "must be less than or equal to 100000 when completion mode is Indexed";
        parallelism.invalid(errors, words);
    }
    if completions.is_set() && failed.int() > completions.int() {
        failed.invalid(errors, "must be less than or equal to completions");
    }
    if failed.int() > PARALLEL_MAX {
        failed.invalid(errors, "must be less than or equal to 100000");
    }
    if completions.int() > 100_000 && spec.has("backoffLimitPerIndex") {
        many_completions(&parallelism, &failed, errors);
    }
}

fn many_completions(parallelism: &At, failed: &At, errors: &mut FieldErrors) {
    const WORDS: &str = "must be less than or equal to 10000 when completions are above 100000 and \
        used with backoff limit per index";
    if !failed.is_set() {
        failed.required(errors, "must be specified when completions is above 100000");
    }
    for at in [parallelism, failed] {
        if at.int() > 10_000 {
            at.invalid(errors, WORDS);
        }
    }
}

fn failure_policy(spec: &At, errors: &mut FieldErrors) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let rules = spec.at("podFailurePolicy.rules");
    if rules.len() > 20 {
        rules.too_many(errors, 20);
    }
    for rule in rules.items() {
        let action = rule.at("action");
        match action.text() {
            "" => {
                let words = "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]";
                action.required(errors, words);
            }
            "FailIndex" if !spec.has("backoffLimitPerIndex") => {
                action.invalid(errors, "requires the backoffLimitPerIndex to be set");
            }
            _ => checks::one_of(&action, errors, &ACTIONS),
        }
        let both = match (rule.has("onExitCodes"), !rule.at("onPodConditions").is_empty()) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        rule.invalid_as(errors, BadValue::Omitted, both);
    }
}

fn restart_policy(spec: &At, errors: &mut FieldErrors) {
    let policy = spec.at("template.spec.restartPolicy");
    match policy.text() {
        "Always" | "" => policy.required(errors, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" if spec.has("podFailurePolicy") => {
            policy
                .invalid(errors, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        _ => checks::one_of(&policy, errors, &["OnFailure", "Never"]),
    }
}

fn update(new: &At, old: &At, errors: &mut FieldErrors) {
    let (spec, was) = (new.at("spec"), old.at("spec"));
    whole_spec(&spec, errors);
    completions(&spec, &was, errors);
    checks::immutable(&spec.at("selector"), &was.at("selector"), errors);
    template(&spec, &was, old, errors);
    for field in
        ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        checks::immutable(&spec.at(field), &was.at(field), errors);
    }
    name_leaves_room(new, errors);
}

/// An indexed job may grow and shrink, when it is as wide as it is long.
fn completions(spec: &At, was: &At, errors: &mut FieldErrors) {
    let (new, old) = (spec.at("completions"), was.at("completions"));
    if new.value == old.value {
        return;
    }
    let elastic = new.is_set() && old.is_set() && spec.text_of("completionMode") == "Indexed";
    if !elastic {
        new.invalid(errors, checks::IMMUTABLE);
    } else if new.int() != spec.at("parallelism").int() {
        let words =
            format!("can only be modified in tandem with {}", spec.at("parallelism").path());
        new.invalid(errors, words);
    }
}

/// The template stays, but for where its pods may run while the job has not begun.
fn template(spec: &At, was: &At, old: &At, errors: &mut FieldErrors) {
    let (new, before) = (spec.at("template"), was.at("template"));
    let mut allowed = before.value.clone();
    if was.at("suspend").flag() && !old.has("status.startTime") {
        let metadata = new.value.get("metadata").cloned().unwrap_or_default();
        if let Some(own) = make(&mut allowed, "metadata") {
            edit::take_from(own, &metadata, "labels");
            edit::take_from(own, &metadata, "annotations");
        }
        if let (Some(own), Some(pod)) = (make(&mut allowed, "spec"), new.value.get("spec")) {
            for field in ["nodeSelector", "tolerations", "schedulingGates", "affinity"] {
                edit::take_from(own, pod, field);
            }
        }
    }
    if *new.value != allowed {
        new.invalid(errors, checks::IMMUTABLE);
    }
}
