//! Service: one address for many pods. Its addresses are allocated elsewhere, before validation.

use super::edit::{self, each, fill, fill_zero, is_zero, make, set};
use super::{GENERIC, Hooks, NameRule, service_rules};
use schema::Value;
use serde_json::json;

/// The row of Service.
pub(crate) const SERVICE: Hooks = Hooks {
    name: NameRule::Label,
    default,
    prepare_create: |service| edit::with(service, "spec", list_address),
    prepare_update,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    warnings,
    create: service_rules::validate,
    update: |new, old, errors| {
        service_rules::addresses_kept(&new.at("spec"), &old.at("spec"), errors);
        service_rules::validate(new, errors);
    },
    status: |new, _, errors| {
        let ingress = new.at("status.loadBalancer.ingress");
        if !ingress.is_empty() && new.text_of("spec.type") != "LoadBalancer" {
            ingress.forbidden(errors, "may only be used when `spec.type` is 'LoadBalancer'");
        } else {
            service_rules::load_balancer_status(&new.at("status.loadBalancer"), errors);
        }
    },
    ..GENERIC
};

/// *Units*: seconds.
const AFFINITY_DEFAULT: i64 = 10_800;

fn default(service: &mut Value) {
    let Some(spec) = make(service, "spec") else { return };
    fill_zero(spec, "sessionAffinity", "None");
    match edit::text(spec, "sessionAffinity") {
        "None" => edit::remove(spec, "sessionAffinityConfig"),
        "ClientIP" if spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").is_none() => {
            let config = json!({ "clientIP": { "timeoutSeconds": AFFINITY_DEFAULT } });
            set(spec, "sessionAffinityConfig", config);
        }
        _ => {}
    }
    fill_zero(spec, "type", "ClusterIP");
    each(spec, "ports", |port| {
        fill_zero(port, "protocol", "TCP");
        if is_zero(port.get("targetPort")) {
            let number = port.get("port").cloned().unwrap_or(json!(0));
            set(port, "targetPort", number);
        }
    });
    let kind = edit::text(spec, "type").to_owned();
    let outside = matches!(kind.as_str(), "NodePort" | "LoadBalancer")
        || (kind == "ClusterIP" && !is_zero(spec.get("externalIPs")));
    if outside {
        fill_zero(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// The one address stands in the list too.
fn list_address(spec: &mut Value) {
    let single = edit::text(spec, "clusterIP").to_owned();
    if !single.is_empty() && is_zero(spec.get("clusterIPs")) {
        set(spec, "clusterIPs", json!([single]));
    }
}

/// Clients of either form, and those that know nothing of addresses, keep what was given.
fn prepare_update(new: &mut Value, old: &Value) {
    let (Some(spec), Some(was)) = (edit::find(new, "spec"), old.get("spec")) else { return };
    let (single, before) = (edit::text(spec, "clusterIP").to_owned(), edit::text(was, "clusterIP"));
    let same_list = spec.get("clusterIPs") == was.get("clusterIPs");
    if single.is_empty() && same_list {
        edit::remove(spec, "clusterIPs");
    } else if single != before
        && same_list
        && let Some(first) = spec.pointer_mut("/clusterIPs/0")
    {
        *first = json!(single);
    }
    let allocated = |kind: &str| matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer");
    if allocated(edit::text(spec, "type")) && allocated(edit::text(was, "type")) {
        if single.is_empty() {
            edit::take_from(spec, was, "clusterIP");
        }
        if is_zero(spec.get("clusterIPs")) && edit::text(spec, "clusterIP") == before {
            edit::take_from(spec, was, "clusterIPs");
        }
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if is_zero(spec.get(field)) && edit::text(spec, "clusterIP") == before {
                edit::take_from(spec, was, field);
            }
        }
    }
    list_address(spec);
    if edit::text(spec, "type") == "ExternalName" && edit::text(was, "type") != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if spec.get(field) == was.get(field) {
                edit::remove(spec, field);
            }
        }
    }
}

/// Fields that a service of its type does not look at.
fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let Some(spec) = new.get("spec") else { return Vec::new() };
    let kind = edit::text(spec, "type");
    let headless = kind == "ClusterIP" && edit::text(spec, "clusterIP") == "None";
    let outside = !is_zero(spec.get("externalIPs"));
    let named = kind == "ExternalName";
    let close = edit::text(spec, "trafficDistribution") == "PreferClose";
    let sticky = edit::text(spec, "sessionAffinity") != "None";
    let said = [
        (
            headless && !edit::text(spec, "loadBalancerIP").is_empty(),
            "spec.loadBalancerIP is ignored for headless services",
        ),
        (headless && outside, "spec.externalIPs is ignored for headless services"),
        (headless && sticky, "spec.SessionAffinity is ignored for headless services"),
        (
            !headless && !named && outside,
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        ),
        (named && outside, "spec.externalIPs is ignored when spec.type is \"ExternalName\""),
        (
            !named && !edit::text(spec, "externalName").is_empty(),
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ),
        (close, "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\""),
    ];
    said.iter().filter(|(is, _)| *is).map(|(_, words)| (*words).to_owned()).collect()
}
