//! Addresses of services, as objects: IPAddress and ServiceCIDR; and DeviceClass, a small kind.

use super::at::At;
use super::{GENERIC, Hooks, NameRule, checks, formats, ip};
use crate::status::{BadValue, FieldErrors};

/// The row of IPAddress.
pub(crate) const IP_ADDRESS: Hooks = Hooks {
    name: NameRule::Any,
    create: |address, errors| {
        name(&address.at("metadata.name"), errors);
        parent(&address.at("spec.parentRef"), errors);
    },
    update: |new, old, errors| {
        let field = "spec.parentRef";
        checks::immutable_unshown(&new.at(field), &old.at(field), errors);
    },
    ..GENERIC
};

/// The row of ServiceCIDR.
pub(crate) const SERVICE_CIDR: Hooks = Hooks {
    name: NameRule::Subdomain,
    create: |it, errors| networks(&it.at("spec.cidrs"), errors),
    update: |new, old, errors| {
        let (now, was) = (new.at("spec.cidrs"), old.at("spec.cidrs"));
        for (network, before) in now.items().zip(was.items()) {
            checks::immutable(&network, &before, errors);
        }
    },
    ..GENERIC
};

/// The row of DeviceClass.
pub(crate) const DEVICE_CLASS: Hooks = Hooks {
    name: NameRule::LongName,
    create: |class, errors| devices(&class.at("spec"), errors),
    update: |class, _, errors| devices(&class.at("spec"), errors),
    ..GENERIC
};

/// An address in the one form it has.
fn name(name: &At, errors: &mut FieldErrors) {
    let text = name.text();
    match ip::parse(text) {
        None => ip::legacy(name, errors),
        Some(address) if address.to_string() == text => {}
        Some(address) if address.is_ipv4() => name.invalid(errors, "must not have leading 0s"),
        Some(address) => {
            name.invalid(errors, format!("must be in canonical form (\"{address}\")"));
        }
    }
}

fn parent(parent: &At, errors: &mut FieldErrors) {
    if !parent.is_set() {
        return parent.required(errors, "");
    }
    checks::optional_format(&parent.at("group"), errors, formats::dns_subdomain);
    for field in ["resource", "name", "namespace"] {
        let at = parent.at(field);
        if field == "namespace" {
            checks::optional_format(&at, errors, formats::path_segment);
        } else {
            checks::required_format(&at, errors, formats::path_segment);
        }
    }
}

fn networks(list: &At, errors: &mut FieldErrors) {
    if list.is_empty() {
        return list.required(errors, "at least one CIDR required");
    }
    if list.len() > 2 {
        // Compat: shown is the spec.
        let shown = BadValue::Raw(format!("{{\"CIDRs\":{}}}", list.value));
        return list.invalid_as(errors, shown, "may only hold up to 2 values");
    }
    for network in list.items() {
        ip::network(&network, errors);
    }
    let v4: Vec<bool> = list
        .items()
        .filter_map(|network| ip::parse_network(network.text()))
        .map(|(address, _)| address.is_ipv4())
        .collect();
    if v4.len() == 2 && v4[0] == v4[1] {
        let words = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and \
            2001:db8::/64";
        list.invalid(errors, words);
    }
}

fn devices(spec: &At, errors: &mut FieldErrors) {
    for selector in spec.at("selectors").items() {
        if !selector.has("cel") {
            selector.at("cel").required(errors, "");
        }
    }
    for config in spec.at("config").items() {
        let opaque = config.at("opaque");
        if !opaque.is_set() {
            opaque.required(errors, "");
            continue;
        }
        checks::required_format(&opaque.at("driver"), errors, formats::any_case_subdomain);
        let parameters = opaque.at("parameters");
        if !parameters.value.is_object() {
            parameters.invalid_as(errors, "<value omitted>", "must be a valid JSON object");
        }
    }
}
