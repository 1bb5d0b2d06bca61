//! What makes a Service valid. Its addresses are allocated before.

use super::at::At;
use super::{checks, formats, ip};
use crate::status::{BadValue, FieldErrors};
use schema::Value;
use std::collections::HashSet;

/// *Units*: seconds.
const AFFINITY_MAX: i64 = 86_400;

fn is_headless(spec: &At) -> bool {
    spec.at("clusterIPs").index(0).text() == "None"
}

/// A service.
pub(crate) fn validate(service: &At, errors: &mut FieldErrors) {
    let spec = service.at("spec");
    let kind = spec.text_of("type");
    let ports = spec.at("ports");
    if ports.is_empty() && !is_headless(&spec) && kind != "ExternalName" {
        ports.required(errors, "");
    }
    by_type(&spec, errors);
    let mut names = HashSet::new();
    for port in ports.items() {
        self::port(&port, ports.len() > 1, &mut names, errors);
    }
    checks::labels(&spec.at("selector"), errors);
    affinity(&spec, errors);
    cluster_addresses(&spec, errors);
    for address in spec.at("externalIPs").items() {
        match ip::parse(address.text()) {
            None => ip::legacy(&address, errors),
            Some(_) => ip::usable(&address, errors),
        }
    }
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    checks::required_one_of(&spec.at("type"), errors, &types);
    port_numbers(&ports, kind, errors);
    balancer(&spec, kind, errors);
    traffic(&spec, kind, errors);
}

fn by_type(spec: &At, errors: &mut FieldErrors) {
    let kind = spec.text_of("type");
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(spec) => {
            let words = format!("may not be set to 'None' for {kind} services");
            spec.at("clusterIPs").index(0).invalid(errors, words);
        }
        "ExternalName" => {
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if !spec.at(field).is_empty() {
                    let words = "may not be set for ExternalName services";
                    spec.at(field).forbidden(errors, words);
                }
            }
            let name = spec.at("externalName");
            let bare = name.text().strip_suffix('.').unwrap_or(name.text());
            if bare.is_empty() {
                name.required(errors, "");
            }
            for fault in formats::dns_subdomain(bare).into_iter().filter(|_| !bare.is_empty()) {
                name.invalid_as(errors, bare, fault);
            }
        }
        _ => {}
    }
}

fn port<'v>(
    port: &At<'_, 'v>,
    named: bool,
    names: &mut HashSet<&'v str>,
    errors: &mut FieldErrors,
) {
    let name = port.at("name");
    if name.is_empty() {
        if named {
            name.required(errors, "");
        }
    } else {
        checks::format(&name, errors, formats::dns_label);
        if !names.insert(name.text()) {
            name.duplicate(errors);
        }
    }
    checks::port_number(&port.at("port"), errors);
    checks::required_one_of(&port.at("protocol"), errors, &["SCTP", "TCP", "UDP"]);
    checks::port_number_or_name(&port.at("targetPort"), errors);
    let protocol = port.at("appProtocol");
    if protocol.is_set() {
        checks::format(&protocol, errors, formats::qualified_name);
    }
}

fn affinity(spec: &At, errors: &mut FieldErrors) {
    let (kind, config) = (spec.at("sessionAffinity"), spec.at("sessionAffinityConfig"));
    checks::required_one_of(&kind, errors, &["ClientIP", "None"]);
    let seconds = config.at("clientIP.timeoutSeconds");
    match kind.text() {
        "ClientIP" if !config.is_set() => {
            config.required(errors, "when session affinity type is ClientIP");
        }
        "ClientIP" if !(1..=AFFINITY_MAX).contains(&seconds.int()) => {
            let words = format!("must be greater than 0 and less than {AFFINITY_MAX}");
            seconds.invalid(errors, words);
        }
        "None" if config.is_set() => {
            config.forbidden(errors, "must not be set when session affinity is None");
        }
        _ => {}
    }
}

fn cluster_addresses(spec: &At, errors: &mut FieldErrors) {
    if spec.text_of("type") == "ExternalName" {
        return;
    }
    let (single, list) = (spec.text_of("clusterIP"), spec.at("clusterIPs"));
    let first = list.index(0);
    if single.is_empty() {
        if !list.is_empty() {
            list.invalid(errors, "must be empty when `clusterIP` is not specified");
        }
    } else if list.is_empty() {
        list.required(errors, "");
    } else if first.text() != single {
        list.invalid(errors, "first value must match `clusterIP`");
    }
    let families = spec.at("ipFamilies");
    for family in families.items() {
        checks::one_of(&family, errors, &["IPv4", "IPv6"]);
    }
    for (index, family) in families.items().enumerate() {
        if families.items().take(index).any(|other| other.text() == family.text()) {
            family.duplicate(errors);
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    checks::optional_one_of(&spec.at("ipFamilyPolicy"), errors, &policies);
    let before = errors.len();
    for (index, address) in list.items().enumerate() {
        if index == 0 && address.text() == "None" {
            if list.len() > 1 {
                list.invalid(errors, "'None' must be the first and only value");
            }
        } else {
            ip::legacy(&address, errors);
        }
    }
    let all_good = errors.len() == before;
    if list.len() > 2 {
        list.invalid(errors, "may only hold up to 2 values");
    }
    if all_good {
        families_fit(&list, &families, errors);
    }
}

fn families_fit(list: &At, families: &At, errors: &mut FieldErrors) {
    let v4 = |address: &At| ip::parse(address.text()).is_some_and(|ip| ip.is_ipv4());
    if list.len() == 2 && v4(&list.index(0)) == v4(&list.index(1)) {
        list.invalid(errors, "may specify no more than one IP for each IP family");
    }
    for (index, (address, family)) in list.items().zip(families.items()).enumerate() {
        let fits = match family.text() {
            "IPv4" => v4(&address),
            "IPv6" => !v4(&address),
            _ => true,
        };
        if !fits && address.text() != "None" {
            let family = family.text();
            let words = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            address.invalid(errors, words);
        }
    }
}

fn port_numbers(ports: &At, kind: &str, errors: &mut FieldErrors) {
    let (mut outside, mut inside) = (HashSet::new(), HashSet::new());
    if kind == "ClusterIP" {
        for port in ports.items().filter(|port| !port.at("nodePort").is_empty()) {
            let words = "may not be used when `type` is 'ClusterIP'";
            port.at("nodePort").forbidden(errors, words);
        }
    }
    for port in ports.items().filter(|port| !port.at("nodePort").is_empty()) {
        let number = port.at("nodePort");
        if !outside.insert((port.text_of("protocol"), number.int())) {
            number.duplicate(errors);
        }
    }
    for port in ports.items() {
        let (protocol, number) = (port.text_of("protocol"), port.at("port").int());
        if !inside.insert((protocol, number)) {
            // Compat: shown is a whole port, of which only these two are filled in.
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":\"{protocol}\",\"AppProtocol\":null,\
                 \"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}"
            );
            port.duplicate_as(errors, BadValue::Raw(shown));
        }
    }
}

fn balancer(spec: &At, kind: &str, errors: &mut FieldErrors) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let (ranges, shown) =
        (spec.at("loadBalancerSourceRanges"), spec.at("LoadBalancerSourceRanges"));
    let shown = shown.with(ranges.value);
    if !shown.is_empty() && kind != "LoadBalancer" {
        shown.forbidden(errors, ONLY);
    }
    for range in shown.items() {
        let text = range.text().trim();
        if ip::parse_network(text).is_none() {
            ip::network(&range.with(&Value::from(text)), errors);
        }
    }
    if kind != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if spec.has(field) {
                spec.at(field).forbidden(errors, ONLY);
            }
        }
    }
    let class = spec.at("loadBalancerClass");
    if class.is_set() {
        checks::format(&class, errors, formats::qualified_name);
    }
}

fn traffic(spec: &At, kind: &str, errors: &mut FieldErrors) {
    let outer = spec.at("externalTrafficPolicy");
    let outside = matches!(kind, "NodePort" | "LoadBalancer")
        || (kind == "ClusterIP" && !spec.at("externalIPs").is_empty());
    if outside {
        checks::required_one_of(&outer, errors, &["Cluster", "Local"]);
    } else if !outer.is_empty() {
        let words = "may only be set for externally-accessible services";
        outer.invalid(errors, words);
    }
    let check_port = spec.at("healthCheckNodePort");
    if !check_port.is_empty() {
        if kind == "LoadBalancer" && outer.text() == "Local" {
            checks::port_number(&check_port, errors);
        } else {
            let words = "may only be set when `type` is 'LoadBalancer' and \
                `externalTrafficPolicy` is 'Local'";
            check_port.invalid(errors, words);
        }
    }
    let inner = spec.at("internalTrafficPolicy");
    if !inner.is_set() && matches!(kind, "NodePort" | "LoadBalancer" | "ClusterIP") {
        inner.required(errors, "");
    }
    if inner.is_set() {
        checks::one_of(&inner, errors, &["Cluster", "Local"]);
    }
    let spread = spec.at("trafficDistribution");
    if spread.is_set() {
        let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        checks::one_of(&spread, errors, &known);
    }
}

/// Addresses that were given stay.
pub(crate) fn addresses_kept(new: &At, old: &At, errors: &mut FieldErrors) {
    let name = |spec: &At| spec.text_of("type") == "ExternalName";
    if name(new) || name(old) || (is_headless(new) && is_headless(old)) {
        return;
    }
    let (now, was) = (new.at("clusterIPs"), old.at("clusterIPs"));
    if was.len() > now.len() && now.is_empty() {
        let place = now.index(0);
        place.with(now.value).invalid(errors, "primary clusterIP can not be unset");
    }
    for (index, address) in was.items().enumerate().take(now.len()) {
        let changed = now.index(index).text() != address.text();
        if changed && (index == 0 || was.len() == now.len()) {
            now.index(index).with(now.value).invalid(errors, "may not change once set");
        }
    }
}

/// What a load balancer says of itself.
pub(crate) fn load_balancer_status(status: &At, errors: &mut FieldErrors) {
    for ingress in status.at("ingress").items() {
        let (address, name) = (ingress.at("ip"), ingress.at("hostname"));
        if !address.is_empty() {
            ip::legacy(&address, errors);
        }
        if !name.is_empty() {
            checks::format(&name, errors, formats::dns_subdomain);
            if ip::parse(name.text()).is_some() {
                name.invalid(errors, "must be a DNS name, not an IP address");
            }
        }
    }
}
