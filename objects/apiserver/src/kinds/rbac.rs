//! Who may do what: roles, and to whom they are bound.

use super::at::At;
use super::edit::{self, each, fill_zero, make};
use super::{GENERIC, Hooks, NameRule, checks, formats, selection};
use crate::status::{BadValue, FieldErrors};
use schema::Value;

const GROUP: &str = "rbac.authorization.k8s.io";

/// The row of Role.
pub(crate) const ROLE: Hooks = Hooks {
    name: NameRule::PathSegment,
    known_finalizers: false,
    create: |role, errors| rules(role, true, errors),
    update: |role, _, errors| rules(role, true, errors),
    ..GENERIC
};

/// The row of ClusterRole.
pub(crate) const CLUSTER_ROLE: Hooks = Hooks {
    name: NameRule::PathSegment,
    known_finalizers: false,
    create: cluster_role,
    update: |role, _, errors| cluster_role(role, errors),
    ..GENERIC
};

/// The row of RoleBinding.
pub(crate) const ROLE_BINDING: Hooks = Hooks {
    name: NameRule::PathSegment,
    known_finalizers: false,
    default,
    create: |it, errors| binding(it, true, errors),
    update: |new, old, errors| {
        binding(new, true, errors);
        role_kept(&new.at("roleRef"), &old.at("roleRef"), errors);
    },
    ..GENERIC
};

/// The row of ClusterRoleBinding.
pub(crate) const CLUSTER_ROLE_BINDING: Hooks = Hooks {
    name: NameRule::PathSegment,
    known_finalizers: false,
    default,
    create: |it, errors| binding(it, false, errors),
    update: |new, old, errors| {
        binding(new, false, errors);
        role_kept(&new.at("roleRef"), &old.at("roleRef"), errors);
    },
    ..GENERIC
};

fn default(binding: &mut Value) {
    if let Some(reference) = make(binding, "roleRef") {
        fill_zero(reference, "apiGroup", GROUP);
    }
    each(binding, "subjects", |subject| {
        if matches!(edit::text(subject, "kind"), "User" | "Group") {
            fill_zero(subject, "apiGroup", GROUP);
        }
    });
}

fn rules(role: &At, namespaced: bool, errors: &mut FieldErrors) {
    let list = role.at("rules");
    for rule in list.items() {
        let urls = rule.at("nonResourceURLs");
        let (groups, resources) = (rule.at("apiGroups"), rule.at("resources"));
        if !urls.is_empty() {
            if namespaced {
                urls.invalid(errors, "namespaced rules cannot apply to non-resource URLs");
            }
            if groups.len() + resources.len() + rule.at("resourceNames").len() > 0 {
                urls.invalid(
                    errors,
                    "rules cannot apply to both regular resources and non-resource URLs",
                );
            }
        } else {
            if groups.is_empty() {
                groups.required(errors, "resource rules must supply at least one api group");
            }
            if resources.is_empty() {
                resources.required(errors, "resource rules must supply at least one resource");
            }
        }
    }
    for rule in list.items() {
        if rule.at("verbs").is_empty() {
            rule.at("verbs").required(errors, "");
        }
    }
}

fn cluster_role(role: &At, errors: &mut FieldErrors) {
    let aggregation = role.at("aggregationRule");
    let selectors = aggregation.at("clusterRoleSelectors");
    if aggregation.is_set() && selectors.is_empty() {
        let words = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        selectors.required(errors, words);
    }
    for selector in selectors.items() {
        checks::label_selector(&selector, errors);
        if !selection::is_valid(selector.value) {
            selector.invalid_as(errors, Value::Null, "invalid label selector.");
        }
    }
    rules(role, false, errors);
}

fn binding(binding: &At, namespaced: bool, errors: &mut FieldErrors) {
    let (group, kind) = (binding.at("roleRef.apiGroup"), binding.at("roleRef.kind"));
    checks::one_of(&group, errors, &[GROUP]);
    if namespaced {
        checks::one_of(&kind, errors, &["Role", "ClusterRole"]);
    } else {
        checks::one_of(&kind, errors, &["ClusterRole"]);
    }
    let name = binding.at("roleRef.name");
    checks::optional_format(&name, errors, formats::path_segment);
    let subjects = binding.at("subjects");
    for subject in subjects.items() {
        self::subject(&subject, namespaced, errors);
    }
    checks::required(&name, errors);
    for subject in subjects.items() {
        checks::required(&subject.at("name"), errors);
    }
}

/// Compat: shown are the names in Go.
fn role_kept(new: &At, old: &At, errors: &mut FieldErrors) {
    if new.value == old.value {
        return;
    }
    let text = |field| Value::from(new.text_of(field));
    let (group, kind, name) = (text("apiGroup"), text("kind"), text("name"));
    let shown = format!("{{\"APIGroup\":{group},\"Kind\":{kind},\"Name\":{name}}}");
    new.invalid_as(errors, BadValue::Raw(shown), checks::IMMUTABLE);
}

fn subject(subject: &At, namespaced: bool, errors: &mut FieldErrors) {
    let (kind, group) = (subject.at("kind"), subject.at("apiGroup"));
    match kind.text() {
        "ServiceAccount" => {
            checks::optional_format(&subject.at("name"), errors, formats::dns_subdomain);
            checks::optional_one_of(&group, errors, &[""]);
            if !namespaced && subject.at("namespace").is_empty() {
                subject.at("namespace").required(errors, "");
            }
        }
        "User" | "Group" => checks::one_of(&group, errors, &[GROUP]),
        _ => kind.not_supported(errors, &["ServiceAccount", "User", "Group"]),
    }
}
