//! What containers and pods ask for and may use.

use crate::kinds::at::At;
use crate::kinds::quantity::Quantity;
use crate::kinds::{amounts, checks};
use crate::status::FieldErrors;
use std::collections::HashSet;

/// The resources of a container.
pub(super) fn of_container(at: &At, claims: &HashSet<&str>, errors: &mut FieldErrors) {
    requirements(at, amounts::container_resource_name, errors);
    let mut seen = HashSet::new();
    for claim in at.at("claims").items() {
        let name = claim.at("name");
        if !checks::required(&name, errors) {
            continue;
        }
        if !seen.insert((name.text(), claim.text_of("request"))) {
            claim.duplicate_as(errors, name.text());
        }
        if !claims.contains(name.text()) {
            let words = if claims.is_empty() {
                "must be one of the names in pod.spec.resourceClaims which is empty".to_owned()
            } else {
                let mut known: Vec<&str> = claims.iter().copied().collect();
                known.sort_unstable();
                format!("must be one of the names in pod.spec.resourceClaims: {}", known.join(", "))
            };
            claim.not_found_as(errors, name.text(), words);
        }
    }
}

/// The resources of a pod as a whole.
pub(super) fn of_pod(at: &At, errors: &mut FieldErrors) {
    if at.is_set() {
        requirements(at, pod_resource_name, errors);
    }
}

/// What a pod costs beside its containers.
pub(super) fn overhead(at: &At, errors: &mut FieldErrors) {
    for (name, amount) in at.entries() {
        amounts::container_resource_name(name, &amount, errors);
        amounts::resource_quantity(name, &amount, errors);
    }
}

fn pod_resource_name(name: &str, at: &At, errors: &mut FieldErrors) {
    if !matches!(name, "cpu" | "memory") && !name.starts_with("hugepages-") {
        at.with(&schema::Value::from(name)).not_supported(errors, &["cpu", "hugepages-", "memory"]);
    }
}

fn requirements(at: &At, check_name: fn(&str, &At, &mut FieldErrors), errors: &mut FieldErrors) {
    let (limits, requests) = (at.at("limits"), at.at("requests"));
    for (name, limit) in limits.entries() {
        check_name(name, &limit, errors);
        amounts::resource_quantity(name, &limit, errors);
    }
    for (name, request) in requests.entries() {
        check_name(name, &request, errors);
        amounts::resource_quantity(name, &request, errors);
        let limit = limits.key(name);
        let over = Quantity::of(request.value) > Quantity::of(limit.value);
        let equal = Quantity::of(request.value) == Quantity::of(limit.value);
        let relation = match (limit.is_set(), amounts::can_be_overcommitted(name)) {
            (true, false) if !equal => "equal to",
            (true, true) if over => "less than or equal to",
            (false, false) => {
                limits.required(errors, "Limit must be set for non overcommitable resources");
                continue;
            }
            _ => continue,
        };
        let words = format!("must be {relation} {name} limit of {}", amounts::shown(limit.value));
        requests.invalid_as(errors, amounts::shown(request.value), words);
    }
    huge_pages_come_with_others(at, errors);
}

fn huge_pages_come_with_others(at: &At, errors: &mut FieldErrors) {
    let (limits, requests) = (at.at("limits"), at.at("requests"));
    let any = |test: fn(&str) -> bool| {
        limits.entries().chain(requests.entries()).any(|(name, _)| test(name))
    };
    if any(|name| name.starts_with("hugepages-")) && !any(|name| matches!(name, "cpu" | "memory")) {
        at.forbidden(errors, "HugePages require cpu or memory");
    }
}
