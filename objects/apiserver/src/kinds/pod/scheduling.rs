//! Where a pod may run: affinity, tolerations, spreading.

use crate::kinds::at::At;
use crate::kinds::{checks, formats, taints};
use crate::status::FieldErrors;

/// What a pod wants to be near to, and what not.
pub(super) fn affinity(affinity: &At, errors: &mut FieldErrors) {
    let nodes = affinity.at("nodeAffinity");
    let required = nodes.at("requiredDuringSchedulingIgnoredDuringExecution");
    if required.is_set() {
        node_selector(&required, errors);
    }
    let preferred = nodes.at("preferredDuringSchedulingIgnoredDuringExecution");
    for term in preferred.items() {
        weight(&term.at("weight"), errors);
        node_term(&term.at("preference"), false, errors);
    }
    for name in ["podAffinity", "podAntiAffinity"] {
        let pods = affinity.at(name);
        let required = pods.at("requiredDuringSchedulingIgnoredDuringExecution");
        for term in required.items() {
            pod_term(&term, errors);
        }
        let preferred = pods.at("preferredDuringSchedulingIgnoredDuringExecution");
        for term in preferred.items() {
            weight(&term.at("weight"), errors);
            pod_term(&term.at("podAffinityTerm"), errors);
        }
    }
}

fn weight(at: &At, errors: &mut FieldErrors) {
    if !(1..=100).contains(&at.int()) {
        at.invalid_as(errors, at.int(), "must be in the range 1-100");
    }
}

/// Terms that select nodes; one must hold.
pub(in crate::kinds) fn node_selector(selector: &At, errors: &mut FieldErrors) {
    let terms = selector.at("nodeSelectorTerms");
    if terms.is_empty() {
        return terms.required(errors, "must have at least one node selector term");
    }
    for term in terms.items() {
        node_term(&term, true, errors);
    }
}

fn node_term(term: &At, check_values: bool, errors: &mut FieldErrors) {
    for requirement in term.at("matchExpressions").items() {
        node_requirement(&requirement, check_values, errors);
    }
    for requirement in term.at("matchFields").items() {
        let (key, operator) = (requirement.at("key"), requirement.at("operator"));
        let values = requirement.at("values");
        match operator.text() {
            "In" | "NotIn" if values.len() != 1 => values.required(
                errors,
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            "In" | "NotIn" => {}
            text => operator.invalid_as(errors, text, "not a valid selector operator"),
        }
        if key.text() == "metadata.name" {
            for value in values.items() {
                checks::format(&value, errors, formats::dns_subdomain);
            }
        } else {
            key.invalid_as(errors, key.text(), "not a valid field selector key");
        }
    }
}

fn node_requirement(requirement: &At, check_values: bool, errors: &mut FieldErrors) {
    let (values, operator) = (requirement.at("values"), requirement.at("operator"));
    match operator.text() {
        "In" | "NotIn" if values.is_empty() => {
            values.required(errors, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => values.forbidden(
            errors,
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        "Gt" | "Lt" if values.len() != 1 => values
            .required(errors, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        text => operator.invalid_as(errors, text, "not a valid selector operator"),
    }
    checks::format(&requirement.at("key"), errors, formats::qualified_name);
    for value in values.items().filter(|_| check_values) {
        checks::format(&value, errors, formats::label_value);
    }
}

fn pod_term(term: &At, errors: &mut FieldErrors) {
    checks::label_selector(&term.at("labelSelector"), errors);
    checks::label_selector(&term.at("namespaceSelector"), errors);
    for namespace in term.at("namespaces").items() {
        for fault in formats::dns_label(namespace.text()) {
            term.at("namespace").invalid_as(errors, namespace.text(), fault);
        }
    }
    match_label_keys(term, errors);
    let topology = term.at("topologyKey");
    if topology.is_empty() {
        topology.required(errors, "can not be empty");
    }
    checks::format(&topology, errors, formats::qualified_name);
}

fn match_label_keys(term: &At, errors: &mut FieldErrors) {
    let selects = term.has("labelSelector");
    for name in ["matchLabelKeys", "mismatchLabelKeys"] {
        let keys = term.at(name);
        if !keys.is_empty() && !selects {
            keys.forbidden(errors, "must not be specified when labelSelector is not set");
        }
        for key in keys.items() {
            checks::format(&key, errors, formats::qualified_name);
        }
    }
}

/// What taints a pod bears.
pub(super) fn tolerations(list: &At, errors: &mut FieldErrors) {
    for toleration in list.items() {
        let (key, operator) = (toleration.at("key"), toleration.at("operator"));
        let (effect, value) = (toleration.at("effect"), toleration.text_of("value"));
        checks::optional_format(&key, errors, formats::qualified_name);
        if key.is_empty() && operator.text() != "Exists" {
            operator.invalid_as(
                errors,
                operator.text(),
                "operator must be Exists when `key` is empty, which means \"match all values and \
                 all keys\"",
            );
        }
        if toleration.has("tolerationSeconds") && effect.text() != "NoExecute" {
            let words = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            effect.invalid_as(errors, effect.text(), words);
        }
        match operator.text() {
            "Equal" | "" => {
                let faults = formats::label_value(value);
                if !faults.is_empty() {
                    operator.invalid_as(errors, value, faults.join(";"));
                }
            }
            "Exists" if value.is_empty() => {}
            "Exists" => operator.invalid_as(
                errors,
                value,
                "value must be empty when `operator` is 'Exists'",
            ),
            "Lt" | "Gt" => operator.not_supported(errors, &["Equal", "Exists", "Lt", "Gt"]),
            _ => operator.not_supported(errors, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            taints::effect(&effect, errors);
        }
    }
}

/// How evenly the pods of a kind stand.
pub(super) fn topology_spread(list: &At, errors: &mut FieldErrors) {
    let pair = |constraint: &At| {
        let text = |field| constraint.text_of(field).to_owned();
        (text("topologyKey"), text("whenUnsatisfiable"))
    };
    for (index, constraint) in list.items().enumerate() {
        let action = constraint.at("whenUnsatisfiable");
        checks::positive(&constraint.at("maxSkew"), errors);
        let topology = constraint.at("topologyKey");
        if topology.is_empty() {
            topology.required(errors, "can not be empty");
        }
        checks::one_of(&action, errors, &["DoNotSchedule", "ScheduleAnyway"]);
        let (key, when) = pair(&constraint);
        if list.items().skip(index + 1).any(|other| pair(&other) == (key.clone(), when.clone())) {
            let place = constraint.at("{topologyKey, whenUnsatisfiable}");
            place.duplicate_as(errors, format!("{{{key}, {when}}}"));
        }
        let domains = constraint.at("minDomains");
        if domains.is_set() {
            checks::positive(&domains, errors);
            if action.text() != "DoNotSchedule" {
                let words = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not";
                domains.invalid(errors, format!("{words} {}", action.text()));
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            checks::optional_one_of(&constraint.at(policy), errors, &["Honor", "Ignore"]);
        }
        match_label_keys(&constraint, errors);
        checks::label_selector(&constraint.at("labelSelector"), errors);
    }
}
