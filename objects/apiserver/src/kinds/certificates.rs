//! CertificateSigningRequest: a certificate that somebody asks for, and what came of it.
//!
//! Must not know: who signs.

use super::at::At;
use super::edit::{self, make, set};
use super::{GENERIC, Hooks, NameRule, Requester, checks, formats};
use crate::status::FieldErrors;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schema::Value;
use std::collections::HashSet;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

/// The row of CertificateSigningRequest.
pub(crate) const CERTIFICATE_SIGNING_REQUEST: Hooks = Hooks {
    name: NameRule::PathSegment,
    asked_by,
    prepare_create: |request| edit::remove(request, "status"),
    prepare_update: |new, old| {
        edit::take_from(new, old, "spec");
        edit::take_from(new, old, "status");
    },
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: request,
    update: |new, _, errors| request(new, errors),
    status: |new, _, errors| request(new, errors),
    ..GENERIC
};

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

fn asked_by(request: &mut Value, requester: &Requester) {
    let Some(spec) = make(request, "spec") else { return };
    for field in ["username", "uid", "groups", "extra"] {
        edit::remove(spec, field);
    }
    set(spec, "username", requester.name);
    if !requester.uid.is_empty() {
        set(spec, "uid", requester.uid);
    }
    if !requester.groups.is_empty() {
        set(spec, "groups", requester.groups.to_vec());
    }
    if !requester.extra.is_empty()
        && let Some(extra) = make(spec, "extra")
    {
        requester.extra.iter().for_each(|(key, values)| set(extra, key, values.clone()));
    }
}

fn request(object: &At, errors: &mut FieldErrors) {
    let spec = object.at("spec");
    let (request, usages) = (spec.at("request"), spec.at("usages"));
    if let Some(fault) = not_a_request(request.text()) {
        request.invalid(errors, fault);
    }
    if usages.is_empty() {
        usages.required(errors, "");
    }
    for usage in usages.items() {
        checks::one_of(&usage, errors, &USAGES);
    }
    checks::unique(usages.items().map(|it| it.text()), errors, |index, errors, text| {
        usages.index(index).duplicate_as(errors, text);
    });
    signer(&spec.at("signerName"), errors);
    let seconds = spec.at("expirationSeconds");
    if seconds.is_set() && seconds.int() < 600 {
        let words = "may not specify a duration less than 600 seconds (10 minutes)";
        seconds.invalid(errors, words);
    }
    conditions(&object.at("status.conditions"), errors);
    let certificate = object.at("status.certificate");
    if !certificate.is_empty() && !has_certificate(certificate.text()) {
        let words = "must contain at least one CERTIFICATE PEM block";
        certificate.invalid_as(errors, "<certificate data>", words);
    }
}

/// What keeps a text from being a request: base64 of PEM of DER.
fn not_a_request(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text).unwrap_or_default();
    let block = Pem::iter_from_buffer(&bytes).next().and_then(Result::ok);
    match block.filter(|block| block.label == "CERTIFICATE REQUEST") {
        None => Some("PEM block type must be CERTIFICATE REQUEST".to_owned()),
        Some(block) => match X509CertificationRequest::from_der(&block.contents) {
            Ok(_) => None,
            Err(_) => Some("asn1: structure error: malformed certificate request".to_owned()),
        },
    }
}

fn has_certificate(text: &str) -> bool {
    let bytes = STANDARD.decode(text).unwrap_or_default();
    Pem::iter_from_buffer(&bytes).filter_map(Result::ok).any(|it| it.label == "CERTIFICATE")
}

/// A signer: a domain, a slash, a path.
fn signer(name: &At, errors: &mut FieldErrors) {
    if !checks::required(name, errors) {
        return;
    }
    if name.text() == "kubernetes.io/legacy-unknown" {
        return name.invalid(errors, "the legacy signerName is not allowed via this API version");
    }
    let Some((domain, path)) = name.text().split_once('/').filter(|(_, path)| !path.contains('/'))
    else {
        let words = "must be a fully qualified domain and path of the form \
            'example.com/signer-name'";
        return name.invalid(errors, words);
    };
    for label in domain.split('.') {
        for fault in formats::dns_label(label) {
            name.invalid_as(errors, domain, format!("validating label \"{label}\": {fault}"));
        }
    }
    if domain.split('.').count() < 2 {
        let words = "should be a domain with at least two segments separated by dots";
        name.invalid_as(errors, domain, words);
    }
    for label in path.split('.') {
        for fault in formats::dns_subdomain(label) {
            name.invalid_as(errors, path, format!("validating label \"{label}\": {fault}"));
        }
    }
}

fn conditions(list: &At, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for condition in list.items() {
        let (kind, status) = (condition.at("type"), condition.at("status"));
        checks::required(&kind, errors);
        let final_one = matches!(kind.text(), "Approved" | "Denied" | "Failed");
        let allowed: &[&str] = if final_one { &["True"] } else { &["False", "True", "Unknown"] };
        checks::required_one_of(&status, errors, allowed);
        if !seen.insert(kind.text()) {
            kind.duplicate_as(errors, kind.text());
        }
    }
    if seen.contains("Approved") && seen.contains("Denied") {
        let last = list.items().filter(|it| matches!(it.text_of("type"), "Approved" | "Denied"));
        let words = "Approved and Denied conditions are mutually exclusive";
        list.invalid_as(errors, last.last().map_or("", |it| it.text_of("type")), words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_asks_is_written_down_and_cannot_be_claimed() {
        let mut object = json!({ "spec": { "username": "admin", "groups": ["system:masters"] } });
        let groups = ["nodes".to_owned()];
        let requester = Requester { name: "node-1", uid: "", groups: &groups, extra: &[] };
        (CERTIFICATE_SIGNING_REQUEST.asked_by)(&mut object, &requester);
        assert_eq!(object, json!({ "spec": { "username": "node-1", "groups": ["nodes"] } }));
    }
}
