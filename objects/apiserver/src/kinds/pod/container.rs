//! Containers: regular ones, those that run before, and those that are added later to look inside.

use super::spec::Context;
use super::{environment, mounts, probe, resources, security};
use crate::kinds::at::At;
use crate::kinds::{checks, formats};
use crate::status::FieldErrors;
use std::collections::HashSet;

/// The containers that make the pod; there is at least one.
pub(super) fn regular(list: &At, context: &Context, errors: &mut FieldErrors) {
    if list.is_empty() {
        return list.required(errors, "");
    }
    let mut names = HashSet::new();
    for container in list.items() {
        shared(&container, context, errors);
        let name = container.at("name");
        if !names.insert(name.text()) {
            name.duplicate_as(errors, name.text());
        }
        probe::lifecycle(&container.at("lifecycle"), context, errors);
        probe::all_of(&container, context, errors);
        restart_policy(&container, false, errors);
    }
    host_port_conflicts(list.items(), errors);
}

/// The containers that run before the regular ones, or beside them (`restartPolicy: Always`).
pub(super) fn init(list: &At, regular: &At, context: &Context, errors: &mut FieldErrors) {
    const SIDECARS_ONLY: &str = "may not be set for init containers without restartPolicy=Always";
    let mut names: HashSet<&str> = regular.items().map(|it| it.text_of("name")).collect();
    for container in list.items() {
        shared(&container, context, errors);
        restart_policy(&container, true, errors);
        let name = container.at("name");
        if names.contains(name.text()) {
            name.duplicate_as(errors, name.text());
        } else if !name.is_empty() {
            names.insert(name.text());
        }
        host_port_conflicts(std::iter::once(container), errors);
        if container.text_of("restartPolicy") == "Always" {
            probe::lifecycle(&container.at("lifecycle"), context, errors);
            probe::all_of(&container, context, errors);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if container.has(field) {
                    container.at(field).forbidden(errors, SIDECARS_ONLY);
                }
            }
        }
    }
}

/// The containers that are added to a running pod.
pub(super) fn ephemeral(spec: &At, context: &Context, errors: &mut FieldErrors) {
    const NOT_HERE: &str = "cannot be set for an Ephemeral Container";
    const FORBIDDEN: [&str; 7] = [
        "ports",
        "resources",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
        "resizePolicy",
    ];
    let (containers, before) = (spec.at("containers"), spec.at("initContainers"));
    let others: HashSet<&str> =
        containers.items().chain(before.items()).map(|it| it.text_of("name")).collect();
    let mut names = others.clone();
    let list = spec.at("ephemeralContainers");
    for container in list.items() {
        shared(&container, context, errors);
        no_space_around_image(&container, errors);
        let name = container.at("name");
        if !names.insert(name.text()) {
            name.duplicate_as(errors, name.text());
        }
        let target = container.at("targetContainerName");
        if !target.is_empty() && !others.contains(target.text()) {
            target.not_found(errors);
        }
        for field in FORBIDDEN {
            if !container.at(field).is_empty() {
                container.at(field).forbidden(errors, NOT_HERE);
            }
        }
        for mount in container.at("volumeMounts").items() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.at(field).is_empty() {
                    mount.at(field).forbidden(errors, NOT_HERE);
                }
            }
        }
    }
}

/// Only of pods, for templates have always been let through.
pub(super) fn no_space_around_image(container: &At, errors: &mut FieldErrors) {
    let image = container.at("image");
    if image.text().trim() != image.text() {
        image.invalid(errors, "must not have leading or trailing whitespace");
    }
}

fn shared(container: &At, context: &Context, errors: &mut FieldErrors) {
    checks::required_format(&container.at("name"), errors, formats::dns_label);
    checks::required(&container.at("image"), errors);
    let policy = container.at("terminationMessagePolicy");
    checks::required_one_of(&policy, errors, &["File", "FallbackToLogsOnError"]);
    ports(&container.at("ports"), errors);
    environment::variables(&container.at("env"), errors);
    environment::sources(&container.at("envFrom"), errors);
    mounts::of_container(container, context, errors);
    let pull = container.at("imagePullPolicy");
    checks::required_one_of(&pull, errors, &["Always", "IfNotPresent", "Never"]);
    resources::of_container(&container.at("resources"), &context.claims, errors);
    resize_policy(&container.at("resizePolicy"), context, errors);
    security::of_container(&container.at("securityContext"), context.host_users, errors);
}

fn ports(list: &At, errors: &mut FieldErrors) {
    let mut names = HashSet::new();
    for port in list.items() {
        let name = port.at("name");
        if !name.is_empty() {
            let faults = formats::port_name(name.text());
            if faults.is_empty() && !names.insert(name.text()) {
                name.duplicate(errors);
            }
            for fault in faults {
                name.invalid(errors, fault);
            }
        }
        let number = port.at("containerPort");
        if number.is_empty() {
            number.required(errors, "");
        } else {
            checks::port_number(&number, errors);
        }
        if !port.at("hostPort").is_empty() {
            checks::port_number(&port.at("hostPort"), errors);
        }
        checks::required_one_of(&port.at("protocol"), errors, &["SCTP", "TCP", "UDP"]);
    }
}

fn host_port_conflicts<'p, 'v: 'p>(
    containers: impl Iterator<Item = At<'p, 'v>>,
    errors: &mut FieldErrors,
) {
    let mut taken = HashSet::new();
    for container in containers {
        for port in container.at("ports").items().filter(|port| !port.at("hostPort").is_empty()) {
            let host = port.at("hostPort");
            let place =
                format!("{}/{}/{}", port.text_of("protocol"), port.text_of("hostIP"), host.int());
            if taken.contains(&place) {
                host.duplicate_as(errors, place);
            } else {
                taken.insert(place);
            }
        }
    }
}

fn restart_policy(container: &At, before: bool, errors: &mut FieldErrors) {
    let policy = container.at("restartPolicy");
    let rules = container.at("restartPolicyRules");
    if policy.is_set() {
        checks::one_of(&policy, errors, &["Always", "Never", "OnFailure"]);
    } else if !rules.is_empty() {
        policy.required(errors, "must specify restartPolicy when restart rules are used");
    }
    if before && policy.text() == "Always" && !rules.is_empty() {
        let words = "restartPolicyRules are not allowed for init containers with restart policy \
            Always";
        rules.forbidden(errors, words);
    }
    if rules.len() > 20 {
        rules.too_many(errors, 20);
    }
}

fn resize_policy(list: &At, context: &Context, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for policy in list.items() {
        let resource = policy.text_of("resourceName");
        if !seen.insert(resource) {
            policy.duplicate_as(errors, resource);
        }
        // Compat: what is not supported is said of the list.
        let resource = list.with(policy.at("resourceName").value);
        checks::required_one_of(&resource, errors, &["cpu", "memory"]);
        let restart = list.with(policy.at("restartPolicy").value);
        checks::required_one_of(&restart, errors, &["NotRequired", "RestartContainer"]);
        if context.restart_policy == "Never" && restart.text() == "RestartContainer" {
            let words = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            policy.invalid_as(errors, restart.text(), words);
        }
    }
}
