//! Endpoints and EndpointSlice: the addresses behind a service.

use super::at::At;
use super::edit::{each, fill, fill_zero};
use super::{GENERIC, Hooks, NameRule, checks, formats, ip};
use crate::status::FieldErrors;
use schema::Value;
use std::collections::HashSet;

/// The row of Endpoints.
pub(crate) const ENDPOINTS: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: |object| {
        each(object, "subsets", |subset| {
            each(subset, "ports", |port| fill_zero(port, "protocol", "TCP"));
        });
    },
    create: |object, errors| subsets(&object.at("subsets"), errors),
    update: |new, old, errors| {
        if new.at("subsets").value != old.at("subsets").value {
            subsets(&new.at("subsets"), errors);
        }
    },
    ..GENERIC
};

/// The row of EndpointSlice.
pub(crate) const ENDPOINT_SLICE: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: slice_default,
    create: |object, errors| slice(object, None, errors),
    update: |new, old, errors| {
        slice(new, Some(old), errors);
        checks::immutable_unshown(&new.at("addressType"), &old.at("addressType"), errors);
    },
    ..GENERIC
};

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

fn subsets(list: &At, errors: &mut FieldErrors) {
    for subset in list.items() {
        let (ready, waiting) = (subset.at("addresses"), subset.at("notReadyAddresses"));
        if ready.len() + waiting.len() == 0 {
            subset.required(errors, "must specify `addresses` or `notReadyAddresses`");
        }
        for address in ready.items().chain(waiting.items()) {
            let number = address.at("ip");
            ip::legacy(&number, errors);
            checks::optional_format(&address.at("hostname"), errors, formats::dns_label);
            if address.has("nodeName") {
                checks::format(&address.at("nodeName"), errors, formats::dns_subdomain);
            }
            if ip::parse(number.text()).is_none() {
                number.invalid_as(errors, number.text(), "must be a valid IP address");
            }
            ip::usable(&number, errors);
        }
        let ports = subset.at("ports");
        for port in ports.items() {
            let name = port.at("name");
            if ports.len() > 1 && name.is_empty() {
                name.required(errors, "");
            }
            checks::optional_format(&name, errors, formats::dns_label);
            checks::port_number(&port.at("port"), errors);
            checks::required_one_of(&port.at("protocol"), errors, &PROTOCOLS);
            if port.has("appProtocol") {
                checks::format(&port.at("appProtocol"), errors, formats::qualified_name);
            }
        }
    }
}

fn slice_default(slice: &mut Value) {
    each(slice, "ports", |port| {
        fill(port, "name", "");
        fill(port, "protocol", "TCP");
    });
}

fn slice(slice: &At, old: Option<&At>, errors: &mut FieldErrors) {
    const TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
    let kind = slice.at("addressType");
    slice_ports(&slice.at("ports"), errors);
    let endpoints = slice.at("endpoints");
    if old.is_none_or(|old| old.at("endpoints").value != endpoints.value) {
        slice_endpoints(&endpoints, kind.text(), errors);
    }
    checks::required_one_of(&kind, errors, &TYPES);
}

fn slice_ports(ports: &At, errors: &mut FieldErrors) {
    if ports.len() > 100 {
        return ports.too_many(errors, 100);
    }
    let mut names = HashSet::new();
    for port in ports.items() {
        let name = port.at("name");
        checks::optional_format(&name, errors, formats::dns_label);
        if !names.insert(name.text()) {
            name.duplicate_as(errors, name.text());
        }
        checks::one_of(&port.at("protocol"), errors, &PROTOCOLS);
        if port.has("appProtocol") {
            checks::format(&port.at("appProtocol"), errors, formats::qualified_name);
        }
    }
}

fn slice_endpoints(endpoints: &At, kind: &str, errors: &mut FieldErrors) {
    if endpoints.len() > 1000 {
        return endpoints.too_many(errors, 1000);
    }
    for endpoint in endpoints.items() {
        let addresses = endpoint.at("addresses");
        for address in addresses.items() {
            slice_address(&addresses, &address, kind, errors);
        }
        if endpoint.has("nodeName") {
            checks::format(&endpoint.at("nodeName"), errors, formats::dns_subdomain);
        }
        checks::labels(&endpoint.at("deprecatedTopology"), errors);
        if endpoint.has("hostname") {
            checks::format(&endpoint.at("hostname"), errors, formats::dns_label);
        }
        if addresses.is_empty() {
            addresses.required(errors, "");
        } else if addresses.len() > 100 {
            addresses.too_many(errors, 100);
        }
    }
}

fn slice_address(list: &At, address: &At, kind: &str, errors: &mut FieldErrors) {
    if kind == "FQDN" {
        for fault in formats::dns_subdomain(address.text()) {
            address.invalid_as(errors, address.text(), fault);
        }
        return;
    }
    match (ip::parse(address.text()), kind) {
        (None, "IPv4" | "IPv6") => ip::legacy(address, errors),
        (Some(number), "IPv4" | "IPv6") => {
            if number.is_ipv4() != (kind == "IPv4") {
                let words = format!("must be an {kind} address");
                list.with(address.value).invalid(errors, words);
            }
            ip::usable(address, errors);
        }
        _ => {}
    }
}
