//! Under which users and limits a pod and its containers run.

use crate::kinds::at::At;
use crate::kinds::{checks, volumes};
use crate::status::{BadValue, FieldErrors};
use std::collections::HashSet;

const ID_MAX: i64 = i32::MAX as i64;

fn id(at: &At, errors: &mut FieldErrors) {
    if at.is_set() {
        checks::in_range(at, errors, 0, ID_MAX);
    }
}

/// The context of a whole pod.
pub(super) fn of_pod(context: &At, errors: &mut FieldErrors) {
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(&context.at(field), errors);
    }
    for group in context.at("supplementalGroups").items() {
        id(&group, errors);
    }
    sysctls(&context.at("sysctls"), errors);
    let change = context.at("fsGroupChangePolicy");
    checks::optional_one_of(&change, errors, &["Always", "OnRootMismatch"]);
    seccomp(&context.at("seccompProfile"), errors);
    let groups = context.at("supplementalGroupsPolicy");
    checks::optional_one_of(&groups, errors, &["Merge", "Strict"]);
    let linux = context.at("seLinuxChangePolicy");
    checks::optional_one_of(&linux, errors, &["MountOption", "Recursive"]);
}

/// The context of one container.
pub(super) fn of_container(context: &At, host_users: bool, errors: &mut FieldErrors) {
    if !context.is_set() {
        return;
    }
    id(&context.at("runAsUser"), errors);
    id(&context.at("runAsGroup"), errors);
    let mount = context.at("procMount");
    if mount.is_set() {
        checks::one_of(&mount, errors, &["Default", "Unmasked"]);
        if host_users && mount.text() == "Unmasked" {
            mount.invalid(errors, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    seccomp(&context.at("seccompProfile"), errors);
    if context.at("allowPrivilegeEscalation").value.as_bool() == Some(false) {
        if context.at("privileged").flag() {
            let words = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            context.invalid(errors, words);
        }
        for capability in context.at("capabilities.add").items() {
            if capability.text() == "CAP_SYS_ADMIN" {
                let words = "cannot set `allowPrivilegeEscalation` to false and \
                    `capabilities.Add` CAP_SYS_ADMIN";
                context.invalid(errors, words);
            }
        }
    }
}

fn seccomp(profile: &At, errors: &mut FieldErrors) {
    if !profile.is_set() {
        return;
    }
    let (kind, file) = (profile.at("type"), profile.at("localhostProfile"));
    if kind.is_empty() {
        kind.required(errors, "type is required when seccompProfile is set");
    } else {
        checks::one_of(&kind, errors, &["Localhost", "RuntimeDefault", "Unconfined"]);
    }
    match (kind.text() == "Localhost", file.is_set()) {
        (true, true) => volumes::relative_path(&file, errors),
        (true, false) => file.required(errors, "must be set when seccomp type is Localhost"),
        (false, true) => {
            // Compat: shown is the profile, by its names in Go.
            let shown = format!("{{\"Type\":{},\"LocalhostProfile\":{}}}", kind.value, file.value);
            let words = "can only be set when seccomp type is Localhost";
            file.invalid_as(errors, BadValue::Raw(shown), words);
        }
        (false, false) => {}
    }
}

fn sysctls(list: &At, errors: &mut FieldErrors) {
    const SHAPE: &str = "must have at most 253 characters and match regex \
        ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let mut seen = HashSet::new();
    for sysctl in list.items() {
        let name = sysctl.at("name");
        if name.is_empty() {
            name.required(errors, "");
        } else if !is_sysctl(name.text()) {
            name.invalid(errors, SHAPE);
        } else if !seen.insert(name.text()) {
            name.duplicate(errors);
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 253
        && name.split(['.', '/']).all(|part| {
            part.bytes().next().is_some_and(edge)
                && part.bytes().next_back().is_some_and(edge)
                && part.bytes().all(|byte| edge(byte) || byte == b'-' || byte == b'_')
        })
}
