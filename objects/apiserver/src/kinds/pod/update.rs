//! What may change in a pod after it was made: images, tolerations, a deadline; little else.

use super::spec;
use crate::kinds::at::At;
use crate::kinds::checks::{self, IMMUTABLE};
use crate::kinds::edit;
use crate::kinds::{formats, ip};
use crate::status::{BadValue, FieldErrors};
use schema::Value;

const CHANGEABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,\
    `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// A pod in place of another.
pub(super) fn validate(new: &At, old: &At, errors: &mut FieldErrors) {
    super::whole(new, errors);
    let (spec, was) = (new.at("spec"), old.at("spec"));
    for list in ["containers", "initContainers"] {
        let (list, before) = (spec.at(list), was.at(list));
        if list.len() != before.len() {
            return list.forbidden(errors, "pod updates may not add or remove containers");
        }
        for container in list.items() {
            checks::required(&container.at("image"), errors);
            super::container::no_space_around_image(&container, errors);
        }
    }
    if !deadline(&spec.at("activeDeadlineSeconds"), &was.at("activeDeadlineSeconds"), errors) {
        return;
    }
    tolerations(&spec.at("tolerations"), &was.at("tolerations"), errors);
    gates(&spec.at("schedulingGates"), &was.at("schedulingGates"), errors);
    if spec.value != was.value && !only_changeable_differs(spec.value, was.value) {
        let words = format!("pod updates may not change fields other than {CHANGEABLE}\n");
        spec.forbidden(errors, words + &difference(was.value, spec.value));
    }
}

fn deadline(new: &At, old: &At, errors: &mut FieldErrors) -> bool {
    if !new.is_set() {
        if old.is_set() {
            new.invalid(errors, "must not update from a positive integer to nil value");
        }
        return true;
    }
    if !(0..=i64::from(i32::MAX)).contains(&new.int()) {
        checks::in_range(new, errors, 0, i64::from(i32::MAX));
        return false;
    }
    if old.is_set() && old.int() < new.int() {
        new.invalid(errors, "must be less than or equal to previous value");
        return false;
    }
    true
}

fn tolerations(new: &At, old: &At, errors: &mut FieldErrors) {
    let without_seconds = |toleration: &At| {
        let mut value = toleration.value.clone();
        edit::remove(&mut value, "tolerationSeconds");
        value
    };
    let kept: Vec<Value> = new.items().map(|it| without_seconds(&it)).collect();
    if old.items().any(|toleration| !kept.contains(&without_seconds(&toleration))) {
        let words = "existing toleration can not be modified except its tolerationSeconds";
        return new.forbidden(errors, words);
    }
    super::scheduling::tolerations(new, errors);
}

fn gates(new: &At, old: &At, errors: &mut FieldErrors) {
    for gate in new.items() {
        let name = gate.text_of("name");
        if !old.items().any(|was| was.text_of("name") == name) {
            let words = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            gate.at("name").forbidden(errors, words);
        }
    }
}

fn only_changeable_differs(new: &Value, old: &Value) -> bool {
    let mut new = new.clone();
    for list in ["containers", "initContainers"] {
        let before = old.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut before = before.iter();
        edit::each(&mut new, list, |container| {
            if let Some(was) = before.next() {
                edit::take_from(container, was, "image");
            }
        });
    }
    let gated = old.get("schedulingGates").and_then(Value::as_array).is_some_and(|g| !g.is_empty());
    let free: &[&str] = if gated {
        &["activeDeadlineSeconds", "schedulingGates", "tolerations", "nodeSelector", "affinity"]
    } else {
        &["activeDeadlineSeconds", "schedulingGates", "tolerations"]
    };
    for field in free {
        edit::take_from(&mut new, old, field);
    }
    let was = old.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    if was.is_some_and(|seconds| seconds < 0) {
        edit::take_from(&mut new, old, "terminationGracePeriodSeconds");
    }
    new == *old
}

/// The fields that differ, each with what it was and what it would be.
fn difference(old: &Value, new: &Value) -> String {
    let mut lines = Vec::new();
    collect(old, new, "", &mut lines);
    lines.join("\n") + "\n"
}

fn collect(old: &Value, new: &Value, path: &str, lines: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(one), Value::Object(other)) => {
            let added = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(added) {
                collect(&old[key.as_str()], &new[key.as_str()], &format!("{path}.{key}"), lines);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (was, is)) in one.iter().zip(other).enumerate() {
                collect(was, is, &format!("{path}[{index}]"), lines);
            }
        }
        _ if old == new => {}
        _ => lines.push(format!("  {}: {old} -> {new}", path.trim_start_matches('.'))),
    }
}

/// The status of a pod in place of another.
pub(super) fn validate_status(new: &At, old: &At, errors: &mut FieldErrors) {
    let (status, was) = (new.at("status"), old.at("status"));
    for condition in status.at("conditions").items() {
        let kind = condition.at("type");
        // Compat: the path has the name in Go.
        checks::format(&condition.at("Type").with(kind.value), errors, formats::qualified_name);
    }
    let nominated = status.at("nominatedNodeName");
    if nominated.text() != was.text_of("nominatedNodeName") {
        checks::optional_format(&nominated, errors, formats::dns_subdomain);
    }
    if status.at("observedGeneration").int() < 0 {
        status.at("observedGeneration").invalid(errors, "must be a non-negative integer");
    }
    let class = status.at("qosClass");
    if class.text() != was.text_of("qosClass") {
        class.invalid_as(errors, class.text(), IMMUTABLE);
    }
    addresses(&status, errors);
}

fn addresses(status: &At, errors: &mut FieldErrors) {
    let list = status.at("podIPs");
    for entry in list.items() {
        let address = entry.text_of("ip");
        if ip::parse(address).is_none() {
            ip::legacy(&entry.with(entry.at("ip").value), errors);
        }
    }
    let (single, first) = (status.text_of("podIP"), list.index(0));
    let first = first.at("ip");
    if single.is_empty() != (list.is_empty()) {
        list.invalid(errors, "podIP and podIPs must either both be set or both be unset");
    } else if !list.is_empty() && first.text() != single {
        first.invalid(errors, "must be equal to `podIP`");
    }
    let families: Vec<bool> =
        list.items().filter_map(|it| ip::parse(it.text_of("ip"))).map(|ip| ip.is_ipv4()).collect();
    if families.len() > 2 || (families.len() == 2 && families[0] == families[1]) {
        let shown: Vec<String> =
            list.items().map(|it| format!("{{\"IP\":{}}}", it.at("ip").value)).collect();
        let shown = BadValue::Raw(format!("[{}]", shown.join(",")));
        list.invalid_as(errors, shown, "may specify no more than one IP for each IP family");
    }
}

/// The door of `pods/ephemeralcontainers`: containers are added, never changed or removed.
pub(super) fn validate_ephemeral(new: &At, old: &At, errors: &mut FieldErrors) {
    spec::validate(&new.at("spec"), Some(new.text_of("metadata.name")), errors);
    let (list, was) = (new.at("spec.ephemeralContainers"), old.at("spec.ephemeralContainers"));
    for before in was.items() {
        let name = before.text_of("name");
        match list.items().find(|container| container.text_of("name") == name) {
            None => list.forbidden(
                errors,
                format!("existing ephemeral containers \"{name}\" may not be removed\n"),
            ),
            Some(after) if after.value != before.value => {
                let words =
                    format!("existing ephemeral containers \"{name}\" may not be changed\n");
                list.forbidden(errors, words + &difference(before.value, after.value));
            }
            Some(_) => {}
        }
    }
}
