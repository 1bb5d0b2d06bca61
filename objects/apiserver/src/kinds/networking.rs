//! Who may talk to whom, and how the outside gets in: NetworkPolicy, Ingress, IngressClass.

use super::at::At;
use super::edit::{self, each, fill, is_zero, make, set};
use super::{GENERIC, Hooks, NameRule, checks, formats, ip};
use crate::status::{BadValue, FieldErrors};
use schema::Value;
use serde_json::json;

/// The row of NetworkPolicy.
pub(crate) const NETWORK_POLICY: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: default_policy,
    create: |policy, errors| self::policy(&policy.at("spec"), errors),
    update: |policy, _, errors| self::policy(&policy.at("spec"), errors),
    ..GENERIC
};

/// The row of Ingress.
pub(crate) const INGRESS: Hooks = Hooks {
    name: NameRule::Subdomain,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: |object, errors| ingress(&object.at("spec"), errors),
    update: |object, _, errors| ingress(&object.at("spec"), errors),
    ..GENERIC
};

/// The row of IngressClass.
pub(crate) const INGRESS_CLASS: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: |class| {
        edit::with(class, "spec.parameters", |parameters| fill(parameters, "scope", "Cluster"));
    },
    create: |class, errors| self::class(&class.at("spec"), errors),
    update: |new, old, errors| {
        let field = "spec.controller";
        checks::immutable_text(&new.at(field), &old.at(field), errors);
        class(&new.at("spec"), errors);
    },
    ..GENERIC
};

fn default_policy(policy: &mut Value) {
    let Some(spec) = make(policy, "spec") else { return };
    for direction in ["ingress", "egress"] {
        each(spec, direction, |rule| each(rule, "ports", |port| fill(port, "protocol", "TCP")));
    }
    if is_zero(spec.get("policyTypes")) {
        let both = !is_zero(spec.get("egress"));
        let types = if both { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        set(spec, "policyTypes", types);
    }
}

fn policy(spec: &At, errors: &mut FieldErrors) {
    checks::label_selector(&spec.at("podSelector"), errors);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.at(direction).items() {
            for port in rule.at("ports").items() {
                policy_port(&port, errors);
            }
            for peer in rule.at(peers).items() {
                policy_peer(&peer, errors);
            }
        }
    }
    let types = spec.at("policyTypes");
    if types.len() > 2 {
        return types.invalid(errors, "may not specify more than two policyTypes");
    }
    for kind in types.items() {
        checks::one_of(&kind, errors, &["Ingress", "Egress"]);
    }
}

fn policy_port(port: &At, errors: &mut FieldErrors) {
    checks::optional_one_of(&port.at("protocol"), errors, &["TCP", "UDP", "SCTP"]);
    let (first, last) = (port.at("port"), port.at("endPort"));
    if first.is_set() {
        checks::port_number_or_name(&first, errors);
    }
    if !last.is_set() {
        return;
    }
    if !first.is_set() {
        last.invalid(errors, "may not be specified when `port` is not specified");
    } else if first.value.is_string() {
        last.invalid(errors, "may not be specified when `port` is non-numeric");
    } else {
        if last.int() < first.int() {
            last.invalid(errors, "must be greater than or equal to `port`");
        }
        checks::port_number(&last, errors);
    }
}

fn policy_peer(peer: &At, errors: &mut FieldErrors) {
    let block = peer.at("ipBlock");
    for selector in ["podSelector", "namespaceSelector"] {
        checks::label_selector(&peer.at(selector), errors);
    }
    let selectors = peer.has("podSelector") || peer.has("namespaceSelector");
    if block.is_set() {
        let network = block.at("cidr");
        if network.is_empty() {
            network.required(errors, "");
        } else {
            ip::network(&network, errors);
        }
        for except in block.at("except").items() {
            ip::network(&except, errors);
            let inside = match (ip::parse_network(network.text()), ip::parse_network(except.text()))
            {
                (Some(outer), Some(inner)) => ip::is_strictly_inside(inner, outer),
                _ => true,
            };
            if !inside {
                except.invalid(errors, "must be a strict subset of `cidr`");
            }
        }
    }
    match (block.is_set(), selectors) {
        (false, false) => peer.required(errors, "must specify a peer"),
        (true, true) => peer.forbidden(errors, "may not specify both ipBlock and another peer"),
        _ => {}
    }
}

fn ingress(spec: &At, errors: &mut FieldErrors) {
    let (rules, fallback) = (spec.at("rules"), spec.at("defaultBackend"));
    if rules.is_empty() && !fallback.is_set() {
        let words = "either `defaultBackend` or `rules` must be specified";
        let shown =
            if rules.is_set() { BadValue::from(rules.value) } else { BadValue::Raw("null".into()) };
        spec.invalid_as(errors, shown, words);
    }
    if fallback.is_set() {
        backend(&fallback, errors);
    }
    for rule in rules.items() {
        host(&rule.at("host"), errors);
        let http = rule.at("http");
        if http.is_set() && http.at("paths").is_empty() {
            http.at("paths").required(errors, "");
        }
        for path in http.at("paths").items() {
            ingress_path(&path, errors);
        }
    }
    for tls in spec.at("tls").items() {
        for name in tls.at("hosts").items() {
            let rule = if name.text().contains('*') {
                formats::wildcard_subdomain
            } else {
                formats::dns_subdomain
            };
            checks::format(&name, errors, rule);
        }
        checks::optional_format(&tls.at("secretName"), errors, formats::dns_subdomain);
    }
    if spec.has("ingressClassName") {
        checks::format(&spec.at("ingressClassName"), errors, formats::dns_subdomain);
    }
}

fn host(host: &At, errors: &mut FieldErrors) {
    if host.is_empty() {
        return;
    }
    if ip::parse(host.text()).is_some() {
        host.invalid(errors, "must be a DNS name, not an IP address");
    }
    if host.text().contains('*') {
        checks::format(host, errors, formats::wildcard_subdomain);
    } else {
        checks::format(host, errors, formats::dns_subdomain);
    }
}

fn ingress_path(path: &At, errors: &mut FieldErrors) {
    let (kind, text) = (path.at("pathType"), path.at("path"));
    if !kind.is_set() {
        return kind.required(errors, "pathType must be specified");
    }
    match kind.text() {
        "Exact" | "Prefix" => {
            if !text.text().starts_with('/') {
                text.invalid_as(errors, text.text(), "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if text.text().contains(part) {
                    text.invalid(errors, format!("must not contain '{part}'"));
                }
            }
            for end in ["/..", "/."] {
                if text.text().ends_with(end) {
                    text.invalid(errors, format!("cannot end with '{end}'"));
                }
            }
        }
        "ImplementationSpecific" => {
            if !text.is_empty() && !text.text().starts_with('/') {
                text.invalid(errors, "must be an absolute path");
            }
        }
        _ => kind.not_supported(errors, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    backend(&path.at("backend"), errors);
}

fn backend(backend: &At, errors: &mut FieldErrors) {
    let (service, resource) = (backend.at("service"), backend.at("resource"));
    match (service.is_set(), resource.is_set()) {
        (true, true) => {
            backend.invalid_as(errors, "", "cannot set both resource and service backends");
        }
        (false, false) => backend.invalid_as(errors, "", "resource or service backend is required"),
        (false, true) => {
            checks::optional_format(&resource.at("apiGroup"), errors, formats::dns_subdomain);
            checks::required_format(&resource.at("kind"), errors, formats::path_segment);
            checks::required_format(&resource.at("name"), errors, formats::path_segment);
        }
        (true, false) => {
            checks::required_format(&service.at("name"), errors, formats::dns_label);
            let (name, number) = (service.at("port.name"), service.at("port.number"));
            match (name.is_empty(), number.is_empty()) {
                (false, false) => {
                    backend.invalid_as(errors, "", "cannot set both port name & port number");
                }
                (false, true) => checks::format(&name, errors, formats::port_name),
                (true, false) => checks::port_number(&number, errors),
                (true, true) => backend.required(errors, "port name or number is required"),
            }
        }
    }
}

fn class(spec: &At, errors: &mut FieldErrors) {
    let controller = spec.at("controller");
    if controller.text().len() > 250 {
        controller.too_long(errors, 250);
    }
    if checks::required(&controller, errors) {
        match controller.text().split_once('/') {
            Some((host, path)) if !host.is_empty() && !path.is_empty() => {
                for fault in formats::dns_subdomain(host) {
                    controller.invalid_as(errors, host, fault);
                }
            }
            _ => controller
                .invalid(errors, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
        }
    }
    let parameters = spec.at("parameters");
    if !parameters.is_set() {
        return;
    }
    checks::optional_format(&parameters.at("apiGroup"), errors, formats::dns_subdomain);
    checks::required_format(&parameters.at("kind"), errors, formats::path_segment);
    checks::required_format(&parameters.at("name"), errors, formats::path_segment);
    let (scope, namespace) = (parameters.at("scope"), parameters.at("namespace"));
    checks::one_of(&scope, errors, &["Cluster", "Namespace"]);
    match scope.text() {
        "Namespace" if !namespace.is_set() => {
            namespace.required(errors, "`parameters.scope` is set to 'Namespace'");
        }
        "Namespace" => checks::required_format(&namespace, errors, formats::dns_label),
        "Cluster" if namespace.is_set() => {
            namespace.forbidden(errors, "`parameters.scope` is set to 'Cluster'");
        }
        _ => {}
    }
}
