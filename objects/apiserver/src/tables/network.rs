//! How services, their endpoints, and what routes to them are shown.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, Printer};
use super::read::{
    at, count, integer, items, labels, present_or, scalar_or, selector, text, text_or, texts,
    with_more,
};

pub(super) fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    Some(match (group, kind) {
        ("", "Service") => &SERVICE,
        ("", "Endpoints") => &ENDPOINTS,
        ("discovery.k8s.io", "EndpointSlice") => &ENDPOINT_SLICE,
        ("networking.k8s.io", "Ingress") => &INGRESS,
        ("networking.k8s.io", "IngressClass") => &INGRESS_CLASS,
        ("networking.k8s.io", "NetworkPolicy") => &NETWORK_POLICY,
        ("networking.k8s.io", "IPAddress") => &IP_ADDRESS,
        ("networking.k8s.io", "ServiceCIDR") => &SERVICE_CIDR,
        _ => return None,
    })
}

/// How many ports, addresses or hosts stand in one cell.
const SHOWN_MAX: usize = 3;

static SERVICE: Printer = Printer::of(&[
    NAME,
    Column::string("Type", "How the service is reached.", |object, _| {
        json!(text(object, "spec.type"))
    }),
    Column::string("Cluster-IP", "Its address inside of the cluster.", |object, _| {
        json!(texts(object, "spec.clusterIPs").first().copied().unwrap_or("<none>"))
    }),
    Column::string("External-IP", "Its addresses outside of the cluster.", |object, _| {
        json!(external_addresses(object))
    }),
    Column::string("Port(s)", "Its ports, with those of the nodes.", |object, _| {
        json!(service_ports(object))
    }),
    AGE,
    Column::string("Selector", "Which pods answer for it.", |object, _| {
        json!(labels(object, "spec.selector"))
    })
    .wide(),
]);

fn external_addresses(service: &Value) -> String {
    let mut addresses = texts(service, "spec.externalIPs");
    match text(service, "spec.type") {
        "ClusterIP" | "NodePort" if addresses.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => addresses.join(","),
        "LoadBalancer" => {
            let mut all = load_balancer(service);
            all.append(&mut addresses);
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => text(service, "spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// Addresses or names that a load balancer has given, sorted.
fn load_balancer(object: &Value) -> Vec<&str> {
    let points = items(object, "status.loadBalancer.ingress").iter();
    let points = points.map(|point| text_or(point, "ip", text(point, "hostname")));
    let sorted: BTreeSet<_> = points.filter(|point| !point.is_empty()).collect();
    sorted.into_iter().collect()
}

fn service_ports(service: &Value) -> String {
    let port = |port: &Value| {
        let (number, protocol) = (integer(port, "port"), text(port, "protocol"));
        match integer(port, "nodePort") {
            node_port if node_port > 0 => format!("{number}:{node_port}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    };
    let ports: Vec<_> = items(service, "spec.ports").iter().map(port).collect();
    if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }
}

static ENDPOINTS: Printer = Printer::of(&[
    NAME,
    Column::string("Endpoints", "Addresses with ports that answer.", |object, _| {
        json!(endpoints(object))
    }),
    AGE,
]);

fn endpoints(object: &Value) -> String {
    let subsets = items(object, "subsets");
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let mut all = Vec::new();
    for subset in subsets {
        let addresses = items(subset, "addresses");
        let ports = items(subset, "ports");
        if ports.is_empty() {
            all.extend(addresses.iter().map(|address| text(address, "ip").to_owned()));
        }
        for port in ports {
            all.extend(addresses.iter().map(|a| host_port(text(a, "ip"), integer(port, "port"))));
        }
    }
    with_more(&all, SHOWN_MAX, ",")
}

fn host_port(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

static ENDPOINT_SLICE: Printer = Printer::of(&[
    NAME,
    Column::string("AddressType", "What the addresses are.", |object, _| {
        json!(text(object, "addressType"))
    }),
    Column::string("Ports", "The ports that answer.", |object, _| {
        let port = |port: &Value| scalar_or(at(port, "port"), present_or(port, "name", "*"));
        let ports: Vec<_> = items(object, "ports").iter().map(port).collect();
        json!(or_unset(with_more(&ports, SHOWN_MAX, ",")))
    }),
    Column::string("Endpoints", "The addresses that answer.", |object, _| {
        let endpoints = items(object, "endpoints").iter();
        let addresses = endpoints.flat_map(|endpoint| texts(endpoint, "addresses"));
        let addresses: Vec<_> = addresses.map(str::to_owned).collect();
        json!(or_unset(with_more(&addresses, SHOWN_MAX, ",")))
    }),
    AGE,
]);

fn or_unset(text: String) -> String {
    if text.is_empty() { "<unset>".to_owned() } else { text }
}

static INGRESS: Printer = Printer::of(&[
    NAME,
    Column::string("Class", "Who implements it.", |object, _| {
        json!(present_or(object, "spec.ingressClassName", "<none>"))
    }),
    Column::string("Hosts", "The hosts that it answers for.", |object, _| json!(hosts(object))),
    Column::string("Address", "Where it is reached.", |object, _| {
        json!(load_balancer(object).join(","))
    }),
    Column::string("Ports", "The ports that it listens on.", |object, _| {
        json!(if count(object, "spec.tls") > 0 { "80, 443" } else { "80" })
    }),
    AGE,
]);

/// The first hosts. Compat: rules without a host are no hosts, but count among those left out.
fn hosts(ingress: &Value) -> String {
    let rules = items(ingress, "spec.rules");
    let mut hosts = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= hosts.len() == SHOWN_MAX;
        let host = text(rule, "host");
        if !more && !host.is_empty() {
            hosts.push(host);
        }
    }
    match (hosts.is_empty(), more) {
        (true, _) => "*".to_owned(),
        (false, true) => format!("{} + {} more...", hosts.join(","), rules.len() - SHOWN_MAX),
        (false, false) => hosts.join(","),
    }
}

static INGRESS_CLASS: Printer = Printer::of(&[
    Column {
        cell: |object, _| {
            let annotation = "ingressclass.kubernetes.io/is-default-class";
            let default = at(object, "metadata.annotations")[annotation] == "true";
            let mark = if default { " (default)" } else { "" };
            json!(format!("{}{mark}", text(object, "metadata.name")))
        },
        ..NAME
    },
    Column::string("Controller", "What implements the class.", |object, _| {
        json!(text(object, "spec.controller"))
    }),
    Column::string("Parameters", "What the class is set up by.", |object, _| {
        json!(parameters(at(object, "spec.parameters")))
    }),
    AGE,
]);

fn parameters(parameters: &Value) -> String {
    if parameters.is_null() {
        return "<none>".to_owned();
    }
    let (kind, name) = (text(parameters, "kind"), text(parameters, "name"));
    match at(parameters, "apiGroup").as_str() {
        Some(group) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

static NETWORK_POLICY: Printer = Printer::of(&[
    NAME,
    Column::string("Pod-Selector", "Which pods it is about.", |object, _| {
        json!(selector(object, "spec.podSelector"))
    }),
    AGE,
]);

static IP_ADDRESS: Printer = Printer {
    // Compat: kube-apiserver's rows have the age in a cell that no column stands over.
    extra_cells: &[AGE.cell],
    ..Printer::of(&[
        NAME,
        Column::string("ParentRef", "Whose address it is.", |object, _| {
            json!(parent(at(object, "spec.parentRef")))
        }),
    ])
};

fn parent(parent: &Value) -> String {
    if parent.is_null() {
        return "<none>".to_owned();
    }
    let mut path = text(parent, "resource").to_lowercase();
    for (separator, part) in [(".", "group"), ("/", "namespace"), ("/", "name")] {
        let value = text(parent, part);
        if part == "name" || !value.is_empty() {
            let lower = if part == "group" { value.to_lowercase() } else { value.to_owned() };
            path.push_str(separator);
            path.push_str(&lower);
        }
    }
    path
}

static SERVICE_CIDR: Printer = Printer::of(&[
    NAME,
    Column::string("CIDRs", "The ranges that addresses of services are from.", |object, _| {
        json!(texts(object, "spec.cidrs").join(","))
    }),
    AGE,
]);
