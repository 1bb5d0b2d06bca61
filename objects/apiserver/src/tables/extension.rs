//! How the kinds that extend the API itself are shown: admission, definitions, aggregated services.

use serde_json::{Value, json};

use super::columns::{AGE, CREATED_AT_COLUMN, Column, NAME, Printer};
use super::read::{at, condition, count, holds, items, text, texts};
use crate::selector::LabelSelector;

pub(super) fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    Some(match (group, kind) {
        ("admissionregistration.k8s.io", kind) => match kind {
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => &WEBHOOKS,
            "ValidatingAdmissionPolicy" => &VALIDATING_POLICY,
            "MutatingAdmissionPolicy" => &MUTATING_POLICY,
            "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => &BINDING,
            _ => return None,
        },
        ("apiextensions.k8s.io", "CustomResourceDefinition") => &DEFINITION,
        ("apiregistration.k8s.io", "APIService") => &API_SERVICE,
        ("storagemigration.k8s.io", "StorageVersionMigration") => &MIGRATION,
        _ => return None,
    })
}

static WEBHOOKS: Printer = Printer::of(&[
    NAME,
    Column::integer("Webhooks", "How many webhooks it has.", |object, _| {
        json!(count(object, "webhooks"))
    }),
    AGE,
]);

const PARAM_KIND: Column =
    Column::string("ParamKind", "The kind that the policy is set up by.", |object, _| {
        match at(object, "spec.paramKind") {
            Value::Null => json!("<unset>"),
            kind => json!(format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind"))),
        }
    });

static VALIDATING_POLICY: Printer = Printer::of(&[
    NAME,
    Column::integer("Validations", "How many rules it has.", |object, _| {
        json!(count(object, "spec.validations"))
    }),
    PARAM_KIND,
    AGE,
]);

static MUTATING_POLICY: Printer = Printer::of(&[
    NAME,
    Column::integer("Mutations", "How many changes it makes.", |object, _| {
        json!(count(object, "spec.mutations"))
    }),
    PARAM_KIND,
    AGE,
]);

static BINDING: Printer = Printer::of(&[
    NAME,
    Column::string("PolicyName", "The policy that it puts into force.", |object, _| {
        json!(text(object, "spec.policyName"))
    }),
    Column::string("ParamRef", "What the policy is set up by here.", |object, _| {
        json!(param_reference(at(object, "spec.paramRef")))
    }),
    AGE,
]);

fn param_reference(reference: &Value) -> String {
    match (text(reference, "namespace"), text(reference, "name")) {
        ("", "") => match LabelSelector::from_object(at(reference, "selector")) {
            Ok(selector) if !at(reference, "selector").is_null() => selector.to_string(),
            _ => "<unset>".to_owned(),
        },
        (_, "") => "<unset>".to_owned(),
        ("", name) => format!("*/{name}"),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

static DEFINITION: Printer = Printer::of(&[
    NAME,
    Column::string("Scope", "Whether its objects live in namespaces.", |object, _| {
        json!(text(object, "spec.scope"))
    }),
    Column::string("Versions", "The versions that are served.", |object, _| {
        json!(served_versions(object))
    }),
    CREATED_AT_COLUMN,
    Column::string("Group", "The group of its objects.", |object, _| {
        json!(text(object, "spec.group"))
    })
    .wide(),
    Column::string("Kind", "The kind of its objects.", |object, _| {
        json!(text(object, "spec.names.kind"))
    })
    .wide(),
    Column::string("ShortNames", "What it is called for short.", |object, _| {
        json!(texts(object, "spec.names.shortNames").join(","))
    })
    .wide(),
    Column::boolean("Established", "Whether it is served.", |object, _| {
        json!(holds(object, "Established"))
    })
    .wide(),
]);

fn served_versions(definition: &Value) -> String {
    let served = items(definition, "spec.versions").iter().filter(|v| v["served"] == true);
    let mut names: Vec<_> = served
        .map(|version| {
            let mark = if version["storage"] == true { "(storage)" } else { "" };
            format!("{}{mark}", text(version, "name"))
        })
        .collect();
    names.sort_unstable();
    names.join(",")
}

static API_SERVICE: Printer = Printer::of(&[
    NAME,
    Column::string("Service", "Who serves the group version.", |object, _| {
        match at(object, "spec.service") {
            Value::Null => json!("Local"),
            service => json!(format!("{}/{}", text(service, "namespace"), text(service, "name"))),
        }
    }),
    Column::string("Available", "Whether it is served.", |object, _| json!(available(object))),
    AGE,
]);

fn available(service: &Value) -> String {
    let Some(available) = condition(items(service, "status.conditions"), "Available") else {
        return "Unknown".to_owned();
    };
    match (text(available, "status"), text(available, "reason")) {
        (status @ "True", _) | (status, "") => status.to_owned(),
        (status, reason) => format!("{status} ({reason})"),
    }
}

static MIGRATION: Printer = Printer::of(&[
    Column { format: "", ..NAME },
    Column::string("Resource", "What is stored anew.", |object, _| {
        let resource = at(object, "spec.resource");
        match text(resource, "group") {
            "" => json!(text(resource, "resource")),
            group => json!(format!("{}.{group}", text(resource, "resource"))),
        }
    }),
    Column::string("Status", "How far it is.", |object, _| {
        let mut conditions = items(object, "status.conditions").iter().rev();
        let last = conditions.find_map(|condition| match text(condition, "type") {
            kind @ ("Running" | "Failed" | "Succeeded") if condition["status"] == "True" => {
                Some(kind)
            }
            _ => None,
        });
        json!(last.unwrap_or("Unknown"))
    }),
]);
