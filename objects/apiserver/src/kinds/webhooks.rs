//! Webhook configurations: defaults and the basics of what makes them valid.

use super::at::At;
use super::edit::{each, fill, with};
use super::{GENERIC, Hooks, NameRule, checks, formats};
use crate::status::FieldErrors;
use schema::Value;
use serde_json::json;

/// The row of ValidatingWebhookConfiguration.
pub(crate) const VALIDATING: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: |object| each(object, "webhooks", default_webhook),
    create: |object, errors| webhooks(object, errors),
    update: |object, _, errors| webhooks(object, errors),
    ..GENERIC
};

/// The row of MutatingWebhookConfiguration.
pub(crate) const MUTATING: Hooks = Hooks {
    default: |object| {
        each(object, "webhooks", |webhook| {
            default_webhook(webhook);
            fill(webhook, "reinvocationPolicy", "Never");
        });
    },
    ..VALIDATING
};

fn default_webhook(webhook: &mut Value) {
    fill(webhook, "failurePolicy", "Fail");
    fill(webhook, "matchPolicy", "Equivalent");
    fill(webhook, "namespaceSelector", json!({}));
    fill(webhook, "objectSelector", json!({}));
    fill(webhook, "timeoutSeconds", 10);
    each(webhook, "rules", |rule| fill(rule, "scope", "*"));
    with(webhook, "clientConfig.service", |service| fill(service, "port", 443));
}

fn webhooks(object: &At, errors: &mut FieldErrors) {
    let list = object.at("webhooks");
    for webhook in list.items() {
        qualified(&webhook.at("name"), errors);
        let versions = webhook.at("admissionReviewVersions");
        if versions.is_empty() {
            let words = "must specify one of v1, v1beta1";
            versions.required(errors, words);
        } else if !versions.items().any(|it| matches!(it.text(), "v1" | "v1beta1")) {
            versions.invalid(errors, "must include at least one of v1, v1beta1");
        }
        for rule in webhook.at("rules").items() {
            self::rule(&rule, errors);
        }
        checks::optional_one_of(&webhook.at("failurePolicy"), errors, &["Fail", "Ignore"]);
        checks::optional_one_of(&webhook.at("matchPolicy"), errors, &["Equivalent", "Exact"]);
        let effects = webhook.at("sideEffects");
        if effects.is_set() {
            checks::one_of(&effects, errors, &["None", "NoneOnDryRun"]);
        } else {
            effects.required(errors, "must specify one of None, NoneOnDryRun");
        }
        let seconds = webhook.at("timeoutSeconds");
        if seconds.is_set() && !(1..=30).contains(&seconds.int()) {
            let words = "the timeout value must be between 1 and 30 seconds";
            seconds.invalid(errors, words);
        }
        checks::label_selector(&webhook.at("namespaceSelector"), errors);
        checks::label_selector(&webhook.at("objectSelector"), errors);
        client(&webhook.at("clientConfig"), errors);
    }
    checks::unique(list.items().map(|it| it.text_of("name")), errors, |index, errors, name| {
        list.index(index).at("name").duplicate_as(errors, name);
    });
}

fn qualified(name: &At, errors: &mut FieldErrors) {
    if !checks::required(name, errors) {
        return;
    }
    let faults = formats::dns_subdomain(name.text());
    if !faults.is_empty() {
        name.invalid(errors, faults.join(","));
    } else if name.text().split('.').count() < 3 {
        name.invalid(errors, "should be a domain with at least three segments separated by dots");
    }
}

fn rule(rule: &At, errors: &mut FieldErrors) {
    const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    let operations = rule.at("operations");
    if operations.is_empty() {
        operations.required(errors, "");
    }
    if operations.len() > 1 && operations.items().any(|it| it.text() == "*") {
        let words = "if '*' is present, must not specify other operations";
        operations.invalid(errors, words);
    }
    for operation in operations.items() {
        checks::one_of(&operation, errors, &OPERATIONS);
    }
    for field in ["apiGroups", "apiVersions", "resources"] {
        let list = rule.at(field);
        if list.is_empty() {
            list.required(errors, "");
        }
    }
    checks::optional_one_of(&rule.at("scope"), errors, &["*", "Cluster", "Namespaced"]);
}

fn client(config: &At, errors: &mut FieldErrors) {
    let (url, service) = (config.at("url"), config.at("service"));
    if url.is_set() == service.is_set() {
        config.required(errors, "exactly one of url or service is required");
    }
    if service.is_set() {
        checks::required(&service.at("name"), errors);
        checks::required(&service.at("namespace"), errors);
        if service.has("port") {
            checks::port_number(&service.at("port"), errors);
        }
    }
}
