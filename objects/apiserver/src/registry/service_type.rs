//! What a service keeps when it is replaced, by its old and new type.
//!
//! Invariants: what was given stays given while the type has a use for it and the client does not
//! ask for something else; what the new type has no use for goes, unless the client changes it,
//! which validation then refuses.
//!
//! *Source*: the service strategy and storage of kube-apiserver 1.37.0.

use schema::Value;
use serde_json::json;

fn spec<'a>(service: &'a Value, field: &str) -> &'a Value {
    &service["spec"][field]
}

pub(super) fn kind_of(service: &Value) -> &str {
    spec(service, "type").as_str().unwrap_or("ClusterIP")
}

/// Whether the service has an address of the cluster, if only `None`.
fn in_cluster(service: &Value) -> bool {
    kind_of(service) != "ExternalName"
}

/// Whether it has one that is given.
pub(super) fn wants_address(service: &Value) -> bool {
    in_cluster(service) && *spec(service, "clusterIP") != "None"
}

/// Whether its ports are open on every node.
pub(super) fn wants_ports(service: &Value) -> bool {
    match kind_of(service) {
        "NodePort" => true,
        "LoadBalancer" => *spec(service, "allocateLoadBalancerNodePorts") != false,
        _ => false,
    }
}

/// Whether nodes tell the balancer on a port of its own that they have endpoints.
pub(super) fn wants_health_port(service: &Value) -> bool {
    kind_of(service) == "LoadBalancer" && *spec(service, "externalTrafficPolicy") == "Local"
}

fn is_external(service: &Value) -> bool {
    matches!(kind_of(service), "NodePort" | "LoadBalancer")
        || spec(service, "externalIPs").as_array().is_some_and(|list| !list.is_empty())
}

fn has_class(service: &Value) -> bool {
    kind_of(service) == "LoadBalancer"
}

/// Whether a service has a use for a field.
type Uses = fn(&Value) -> bool;

/// Fields of the spec and who has a use for them.
static BY_TYPE: &[(&str, Uses)] = &[
    ("clusterIP", in_cluster),
    ("clusterIPs", in_cluster),
    ("ipFamilies", in_cluster),
    ("ipFamilyPolicy", in_cluster),
    ("internalTrafficPolicy", in_cluster),
    ("healthCheckNodePort", wants_health_port),
    ("allocateLoadBalancerNodePorts", has_class),
    ("loadBalancerClass", has_class),
    ("externalTrafficPolicy", is_external),
];

/// Brings a service that replaces another into shape.
pub(super) fn follow(new: &mut Value, old: &Value) {
    primary_leads(new, old);
    if wants_address(new) && wants_address(old) && is_empty(spec(new, "clusterIP")) {
        for field in ["clusterIP", "clusterIPs"] {
            new["spec"][field] = spec(old, field).clone();
        }
    }
    if wants_ports(new) && wants_ports(old) {
        keep_ports(new, old);
    }
    if wants_health_port(new) && wants_health_port(old) && is_zero(spec(new, "healthCheckNodePort"))
    {
        new["spec"]["healthCheckNodePort"] = spec(old, "healthCheckNodePort").clone();
    }
    drop_useless(new, old);
}

/// Says which families of addresses a service has: one is what the range has, but one without an
/// address and without pods of its own may have any.
pub(super) fn describe_families(service: &mut Value) {
    if !in_cluster(service) || !spec(service, "ipFamilies").is_null() {
        return;
    }
    let headless = *spec(service, "clusterIP") == "None";
    let selects = spec(service, "selector").as_object().is_some_and(|map| !map.is_empty());
    let policy = spec(service, "ipFamilyPolicy").clone();
    let (families, default) = match headless && !selects && policy.is_null() {
        true => (json!(["IPv4", "IPv6"]), json!("RequireDualStack")),
        false => (json!(["IPv4"]), json!("SingleStack")),
    };
    set(service, "ipFamilies", families);
    if policy.is_null() {
        set(service, "ipFamilyPolicy", default);
    }
}

/// A service that is new: the first of its addresses is the one that is asked for by name.
pub(super) fn begin(new: &mut Value) {
    if !is_empty(spec(new, "clusterIP")) && spec(new, "clusterIPs").is_null() {
        new["spec"]["clusterIPs"] = json!([spec(new, "clusterIP")]);
    }
}

/// A change of the first address alone means the list too.
fn primary_leads(new: &mut Value, old: &Value) {
    let same_list = spec(new, "clusterIPs") == spec(old, "clusterIPs");
    if spec(new, "clusterIP") == spec(old, "clusterIP") || !same_list {
        return begin(new);
    }
    let list = match spec(new, "clusterIP") {
        one if is_empty(one) => Value::Null,
        one => json!([one]),
    };
    set(new, "clusterIPs", list);
}

fn drop_useless(new: &mut Value, old: &Value) {
    if wants_ports(old) && !wants_ports(new) && node_ports(new) == node_ports(old) {
        for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
            if let Some(port) = port.as_object_mut() {
                port.remove("nodePort");
            }
        }
    }
    let useless: Vec<&str> = BY_TYPE
        .iter()
        .filter(|(field, used)| used(old) && !used(new) && spec(new, field) == spec(old, field))
        .map(|(field, _)| *field)
        .collect();
    for field in useless {
        set(new, field, Value::Null);
    }
}

fn node_ports(service: &Value) -> Vec<u64> {
    let ports = spec(service, "ports").as_array().into_iter().flatten();
    ports.map(|port| port["nodePort"].as_u64().unwrap_or(0)).collect()
}

/// Ports that ask for no number keep the one they had, by port and protocol.
fn keep_ports(new: &mut Value, old: &Value) {
    let before = spec(old, "ports").as_array().cloned().unwrap_or_default();
    let taken = node_ports(new);
    for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
        if !is_zero(&port["nodePort"]) {
            continue;
        }
        let same = |b: &&Value| b["port"] == port["port"] && b["protocol"] == port["protocol"];
        let number = before.iter().find(same).and_then(|b| b["nodePort"].as_u64());
        if let Some(number) = number.filter(|number| *number != 0 && !taken.contains(number)) {
            port["nodePort"] = Value::from(number);
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_str().unwrap_or_default().is_empty()
}

fn is_zero(value: &Value) -> bool {
    value.as_u64().unwrap_or(0) == 0
}

fn set(service: &mut Value, field: &str, value: Value) {
    let Some(spec) = service["spec"].as_object_mut() else { return };
    if value.is_null() {
        spec.remove(field);
    } else {
        spec.insert(field.to_owned(), value);
    }
}
