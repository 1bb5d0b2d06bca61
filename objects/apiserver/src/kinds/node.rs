//! Node: a machine that runs pods.

use super::at::At;
use super::edit::{self, make, set};
use super::{GENERIC, Hooks, NameRule, amounts, ip, taints};
use crate::status::{BadValue, FieldErrors};
use schema::Value;
use serde_json::json;

/// The row of Node.
pub(crate) const NODE: Hooks = Hooks {
    name: NameRule::Subdomain,
    default,
    admit_create,
    prepare_create: without_config,
    prepare_update: |new, old| edit::take_from(new, old, "status"),
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    warnings,
    create,
    update,
    status: update,
    ..GENERIC
};

fn default(node: &mut Value) {
    edit::with(node, "spec", |spec| {
        let single = edit::text(spec, "podCIDR").to_owned();
        let first = spec.pointer("/podCIDRs/0").and_then(Value::as_str).unwrap_or("").to_owned();
        if single.is_empty() && !first.is_empty() {
            set(spec, "podCIDR", first);
        } else if !single.is_empty() && single != first {
            set(spec, "podCIDRs", json!([single]));
        }
    });
    edit::with(node, "status", |status| {
        if let (None, Some(capacity)) = (status.get("allocatable"), status.get("capacity")) {
            let capacity = capacity.clone();
            set(status, "allocatable", capacity);
        }
    });
}

/// What the admission plugin TaintNodesByCondition adds: no pods before the node says it is ready.
fn admit_create(node: &mut Value) {
    const NOT_READY: &str = "node.kubernetes.io/not-ready";
    let Some(spec) = make(node, "spec") else { return };
    let mut list = spec.get("taints").and_then(Value::as_array).cloned().unwrap_or_default();
    let there = |taint: &Value| {
        edit::text(taint, "key") == NOT_READY && edit::text(taint, "effect") == "NoSchedule"
    };
    if !list.iter().any(there) {
        list.push(json!({ "key": NOT_READY, "effect": "NoSchedule" }));
        set(spec, "taints", list);
    }
}

/// Drops what no kubelet reads any more.
fn without_config(node: &mut Value) {
    edit::with(node, "spec", |spec| edit::remove(spec, "configSource"));
    edit::with(node, "status", |status| edit::remove(status, "config"));
}

/// What is said of labels of nodes that have newer names.
pub(crate) fn replaced_label(label: &str) -> Option<&'static str> {
    Some(match label {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        _ => return None,
    })
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    let newly = |path: &str| {
        new.pointer(path).is_some_and(|value| !value.is_null())
            && old.is_none_or(|old| old.pointer(path).is_none())
    };
    if newly("/spec/configSource") {
        warnings.push("spec.configSource: the feature is no longer supported".to_owned());
    }
    if newly("/spec/externalID") {
        warnings
            .push("spec.externalID: this field is deprecated, and is unused by Kubernetes".into());
    }
    warnings
}

fn create(node: &At, errors: &mut FieldErrors) {
    // Compat: the path says metadata.
    taints::validate(&node.at("metadata.taints").with(node.at("spec.taints").value), errors);
    resources(node, errors);
    let networks = node.at("spec.podCIDRs");
    for network in networks.items() {
        ip::network(&network, errors);
    }
    let families: Vec<bool> = networks
        .items()
        .filter_map(|network| ip::parse_network(network.text()))
        .map(|(address, _)| address.is_ipv4())
        .collect();
    if families.len() > 2 || (families.len() == 2 && families[0] == families[1]) {
        networks.invalid(errors, "may specify no more than one CIDR for each IP family");
    }
}

fn resources(node: &At, errors: &mut FieldErrors) {
    for list in ["status.capacity", "status.allocatable"] {
        let list = node.at(list);
        for (name, amount) in list.entries() {
            amounts::resource_quantity(name, &list.at(name).with(amount.value), errors);
        }
    }
}

fn update(new: &At, old: &At, errors: &mut FieldErrors) {
    resources(new, errors);
    let addresses = new.at("status.addresses");
    for (index, address) in addresses.items().enumerate() {
        if addresses.items().take(index).any(|other| other.value == address.value) {
            let text = |field| Value::from(address.text_of(field));
            let (kind, number) = (text("type"), text("address"));
            let shown = format!("{{\"Type\":{kind},\"Address\":{number}}}");
            address.duplicate_as(errors, BadValue::Raw(shown));
        }
    }
    let (networks, was) = (new.at("spec.podCIDRs"), old.at("spec.podCIDRs"));
    if !was.is_empty() && networks.value != was.value {
        networks.forbidden(errors, "node updates may not change podCIDR except from \"\" to valid");
    }
    taints::validate(&new.at("metadata.taints").with(new.at("spec.taints").value), errors);
    let (provider, before) = (new.at("spec.providerID"), old.text_of("spec.providerID"));
    if !before.is_empty() && provider.text() != before {
        let word = if provider.is_empty() { "cleared" } else { "modified" };
        let words = format!("field cannot be {word} once set");
        provider.invalid_as(errors, BadValue::Value(Value::from(provider.text())), words);
    }
}
