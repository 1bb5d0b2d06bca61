//! Environment variables of a container, and where their values come from.

use crate::kinds::at::At;
use crate::kinds::{checks, formats};
use crate::status::FieldErrors;

/// The fields of a pod that a variable can show.
const SHOWN_IN_ENVIRONMENT: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// The fields of a pod that a file can show.
const SHOWN_IN_FILES: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

/// Fields that have a name here but are not shown everywhere.
const KNOWN_ONLY: [&str; 3] = ["spec.restartPolicy", "spec.schedulerName", "status.phase"];

const SHOWN_RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Variables that are named one by one.
pub(super) fn variables(list: &At, errors: &mut FieldErrors) {
    for variable in list.items() {
        checks::required_format(&variable.at("name"), errors, formats::environment_name);
        let from = variable.at("valueFrom");
        if from.is_set() {
            value_from(&from, !variable.text_of("value").is_empty(), errors);
        }
    }
}

fn value_from(from: &At, has_value: bool, errors: &mut FieldErrors) {
    let reference = from.at("fieldRef");
    if reference.is_set() {
        field_reference(&reference, false, errors);
    }
    let resource = from.at("resourceFieldRef");
    if resource.is_set() {
        resource_reference(&resource, false, errors);
    }
    for source in ["configMapKeyRef", "secretKeyRef"] {
        let source = from.at(source);
        if source.is_set() {
            checks::format(&source.at("name"), errors, formats::dns_subdomain);
            checks::required_format(&source.at("key"), errors, formats::config_key);
        }
    }
    const SOURCES: [&str; 5] =
        ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    match SOURCES.iter().filter(|source| from.has(source)).count() {
        0 => from.invalid_as(
            errors,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, \
             `secretKeyRef` or `fileKeyRef`",
        ),
        _ if has_value => {
            from.invalid_as(errors, "", "may not be specified when `value` is not empty");
        }
        1 => {}
        _ => from.invalid_as(errors, "", "may not have more than one field specified at a time"),
    }
}

/// All keys of a ConfigMap or Secret as variables.
pub(super) fn sources(list: &At, errors: &mut FieldErrors) {
    for source in list.items() {
        checks::optional_format(&source.at("prefix"), errors, formats::environment_name);
        let mut given = 0;
        for field in ["configMapRef", "secretRef"] {
            let reference = source.at(field);
            if !reference.is_set() {
                continue;
            }
            given += 1;
            checks::required_format(&reference.at("name"), errors, formats::dns_subdomain);
        }
        match given {
            0 => list.invalid_as(errors, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => {
                list.invalid_as(errors, "", "may not have more than one field specified at a time");
            }
        }
    }
}

/// A field of the pod, shown in a variable or in a file.
pub(in crate::kinds) fn field_reference(at: &At, in_file: bool, errors: &mut FieldErrors) {
    let (version, field) = (at.at("apiVersion"), at.at("fieldPath"));
    if !checks::required(&version, errors) || !checks::required(&field, errors) {
        return;
    }
    let text = field.text();
    if let Some((path, key)) = text.strip_suffix("']").and_then(|text| text.split_once("['")) {
        match path {
            "metadata.annotations" | "metadata.labels" => {
                let lower = if path.ends_with('s') && path.contains("annotations") {
                    key.to_lowercase()
                } else {
                    key.to_owned()
                };
                for fault in formats::qualified_name(&lower) {
                    at.invalid_as(errors, lower.as_str(), fault);
                }
            }
            _ => field.invalid(
                errors,
                format!(
                    "error converting fieldPath: field label does not support subscript: {text}"
                ),
            ),
        }
        return;
    }
    let known = SHOWN_IN_ENVIRONMENT.iter().chain(&SHOWN_IN_FILES).chain(&KNOWN_ONLY);
    if version.text() != "v1" || !known.into_iter().any(|name| *name == text) {
        let why = if version.text() == "v1" {
            format!("field label not supported: {text}")
        } else {
            format!("unsupported pod version: {}", version.text())
        };
        return field.invalid(errors, format!("error converting fieldPath: {why}"));
    }
    let shown: &[&str] = if in_file { &SHOWN_IN_FILES } else { &SHOWN_IN_ENVIRONMENT };
    checks::one_of(&field, errors, shown);
}

/// An amount of a container's resources, shown in a variable or in a file.
pub(in crate::kinds) fn resource_reference(at: &At, in_file: bool, errors: &mut FieldErrors) {
    let (container, resource) = (at.at("containerName"), at.at("resource"));
    if in_file && container.is_empty() {
        container.required(errors, "");
    } else if checks::required(&resource, errors) {
        let huge = ["limits.hugepages-", "requests.hugepages-"];
        if !huge.iter().any(|prefix| resource.text().starts_with(prefix)) {
            checks::one_of(&resource, errors, &SHOWN_RESOURCES);
        }
    }
    divisor(at, errors);
}

fn divisor(at: &At, errors: &mut FieldErrors) {
    let divisor = at.at("divisor");
    let allowed: &[&str] = match at.text_of("resource") {
        "limits.cpu" | "requests.cpu" => &["1m", "1"],
        "" => return,
        _ => &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"],
    };
    let text = divisor.text();
    if matches!(text, "" | "0") || allowed.contains(&text) {
        return;
    }
    let words = if allowed.len() == 2 {
        "only divisor's values 1m and 1 are supported with the cpu resource"
    } else {
        "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are \
         supported with the local ephemeral storage resource"
    };
    let words = if at.text_of("resource").ends_with("memory") {
        words.replace("local ephemeral storage", "memory")
    } else {
        words.to_owned()
    };
    // Compat: shown is the resource, not the divisor.
    divisor.invalid_as(errors, at.text_of("resource"), words);
}
