//! Volumes of pods and claims of storage: the sources that a cluster of our size meets.
//!
//! Sources of single vendors are told apart and counted, not looked into.

use super::at::At;
use super::edit::{fill, make, with};
use super::pod::environment;
use super::quantity::Quantity;
use super::{amounts, checks, formats};
use crate::status::FieldErrors;
use schema::Value;
use std::collections::HashSet;

const FILE_MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// Checks a pod's volumes and returns those in order, by name: only they can be mounted.
pub(crate) fn validate_all<'p, 'v>(
    list: &'p At<'p, 'v>,
    pod_name: Option<&str>,
    errors: &mut FieldErrors,
) -> Vec<(&'v str, At<'p, 'v>)> {
    let mut good: Vec<(&str, At)> = Vec::new();
    for volume in list.items() {
        let mut found = FieldErrors::new();
        source(&volume, pod_name, &mut found);
        let name = volume.at("name");
        checks::required_format(&name, &mut found, formats::dns_label);
        let text = name.value.as_str().unwrap_or("");
        if good.iter().any(|(other, _)| *other == text) {
            name.duplicate(&mut found);
        }
        if found.is_empty() {
            good.push((volume_name(volume.value), volume));
        } else {
            errors.append(found);
        }
        claim_is_not_made_here(list, &volume, pod_name, errors);
    }
    good
}

fn volume_name(volume: &Value) -> &str {
    volume.get("name").and_then(Value::as_str).unwrap_or("")
}

fn claim_is_not_made_here(list: &At, volume: &At, pod: Option<&str>, errors: &mut FieldErrors) {
    let claim = volume.at("persistentVolumeClaim").at("claimName").value;
    let (Some(pod), Some(name)) = (pod, claim.as_str()) else { return };
    let made = list.items().any(|other| {
        other.has("ephemeral") && format!("{pod}-{}", volume_name(other.value)) == name
    });
    if made {
        let words = "must not reference a PVC that gets created for an ephemeral volume";
        volume.at("persistentVolumeClaim").at("claimName").invalid(errors, words);
    }
}

/// Every source there is, in the order in which a second one is refused.
const SOURCES: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

fn source(volume: &At, pod_name: Option<&str>, errors: &mut FieldErrors) {
    let mut given = 0;
    for name in SOURCES.iter().filter(|name| volume.has(name)) {
        let source = volume.at(name);
        given += 1;
        if given > 1 {
            // Compat: one of the names is misspelt in what it says.
            let shown = if *name == "downwardAPI" { "downwarAPI" } else { name };
            volume.at(shown).forbidden(errors, "may not specify more than 1 volume type");
        } else {
            look_into(name, &source, volume, pod_name, errors);
        }
    }
    if given == 0 {
        volume.required(errors, "must specify a volume type");
    }
}

fn look_into(
    name: &str,
    source: &At,
    volume: &At,
    pod_name: Option<&str>,
    errors: &mut FieldErrors,
) {
    match name {
        "emptyDir" => {
            let limit = source.at("sizeLimit");
            if Quantity::of(limit.value).is_some_and(Quantity::is_negative) {
                limit.forbidden(errors, "SizeLimit field must be a valid resource quantity");
            }
        }
        "hostPath" => host_path(source, errors),
        "secret" => files(source, "secretName", errors),
        "configMap" => files(source, "name", errors),
        "persistentVolumeClaim" => {
            checks::required(&source.at("claimName"), errors);
        }
        "nfs" => {
            checks::required(&source.at("server"), errors);
            checks::required(&source.at("path"), errors);
            if !source.text_of("path").starts_with('/') {
                let path = source.at("path");
                path.invalid_as(errors, path.text(), "must be an absolute path");
            }
        }
        "downwardAPI" => {
            mode(&source.at("defaultMode"), errors);
            for file in source.at("items").items() {
                shown_file(&file, source, errors);
            }
        }
        "projected" => projected(source, errors),
        "ephemeral" => ephemeral(source, volume, pod_name, errors),
        "image" => {
            checks::required(&source.at("reference"), errors);
            let policy = source.at("pullPolicy");
            checks::required_one_of(&policy, errors, &["Always", "IfNotPresent", "Never"]);
        }
        "csi" => driver_name(&source.at("driver"), errors),
        _ => {}
    }
}

fn host_path(source: &At, errors: &mut FieldErrors) {
    const TYPES: [&str; 8] = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    let path = source.at("path");
    if checks::required(&path, errors) {
        no_steps_back(&path, errors);
        checks::one_of(&source.at("type"), errors, &TYPES);
    }
}

fn files(source: &At, name: &str, errors: &mut FieldErrors) {
    checks::required(&source.at(name), errors);
    mode(&source.at("defaultMode"), errors);
    for item in source.at("items").items() {
        key_to_path(&item, errors);
    }
}

fn mode(at: &At, errors: &mut FieldErrors) {
    if !(0..=0o777).contains(&at.int()) {
        at.invalid(errors, FILE_MODE);
    }
}

fn key_to_path(item: &At, errors: &mut FieldErrors) {
    checks::required(&item.at("key"), errors);
    checks::required(&item.at("path"), errors);
    file_path(&item.at("path"), errors);
    mode(&item.at("mode"), errors);
}

fn shown_file(file: &At, list: &At, errors: &mut FieldErrors) {
    // Compat: the paths do not say which item.
    let path = list.at("path").with(file.at("path").value);
    if checks::required(&path, errors) {
        file_path(&path, errors);
    }
    let (field, resource) = (file.at("fieldRef").value, file.at("resourceFieldRef").value);
    let (field_at, resource_at) = (list.at("fieldRef"), list.at("resourceFieldRef"));
    match (field.is_null(), resource.is_null()) {
        (false, both) => {
            environment::field_reference(&field_at.with(field), true, errors);
            if !both {
                let words = "fieldRef and resourceFieldRef can not be specified simultaneously";
                list.invalid_as(errors, "resource", words);
            }
        }
        (true, false) => {
            environment::resource_reference(&resource_at.with(resource), true, errors);
        }
        (true, true) => {
            list.required(errors, "one of fieldRef and resourceFieldRef is required");
        }
    }
    mode(&list.at("mode").with(file.at("mode").value), errors);
}

fn projected(source: &At, errors: &mut FieldErrors) {
    mode(&source.at("defaultMode"), errors);
    let mut taken = HashSet::new();
    for part in source.at("sources").items() {
        let mut given = 0;
        for kind in ["secret", "configMap"] {
            let from = part.at(kind);
            if from.is_set() {
                given += 1;
                checks::required(&from.at("name"), errors);
                for item in from.at("items").items() {
                    key_to_path(&item, errors);
                    let path = item.text_of("path");
                    if !path.is_empty() && !taken.insert(path.to_owned()) {
                        let name = from.text_of("name");
                        source.invalid_as(errors, name, "conflicting duplicate paths");
                    }
                }
            }
        }
        let shown = part.at("downwardAPI");
        if shown.is_set() {
            given += 1;
            for file in shown.at("items").items() {
                shown_file(&file, &shown, errors);
                let path = file.text_of("path");
                if !path.is_empty() && !taken.insert(path.to_owned()) {
                    source.invalid_as(errors, path, "conflicting duplicate paths");
                }
            }
        }
        let token = part.at("serviceAccountToken");
        if token.is_set() {
            given += 1;
            service_token(source, &token, errors);
        }
        for kind in ["clusterTrustBundle", "podCertificate"] {
            given += usize::from(part.has(kind));
        }
        if given > 1 {
            part.forbidden(errors, "may not specify more than 1 volume type per source");
        }
    }
}

fn service_token(source: &At, token: &At, errors: &mut FieldErrors) {
    let expiration = token.at("expirationSeconds");
    if expiration.int() < 600 {
        expiration.invalid(errors, "may not specify a duration less than 10 minutes");
    } else if expiration.int() > 1 << 32 {
        expiration.invalid(errors, "may not specify a duration larger than 2^32 seconds");
    }
    let path = source.at("path").with(token.at("path").value);
    if checks::required(&path, errors) {
        file_path(&path, errors);
    }
}

fn ephemeral(source: &At, volume: &At, pod_name: Option<&str>, errors: &mut FieldErrors) {
    let template = source.at("volumeClaimTemplate");
    if template.is_set() {
        validate_claim_spec(&template.at("spec"), errors);
    } else {
        template.required(errors, "");
    }
    if let Some(pod) = pod_name {
        let name = volume.at("name");
        let claim = format!("{pod}-{}", name.text());
        for fault in formats::dns_subdomain(&claim) {
            name.invalid(errors, format!("PVC name \"{claim}\": {fault}"));
        }
    }
}

/// The name of a storage driver.
pub(crate) fn driver_name(at: &At, errors: &mut FieldErrors) {
    if !checks::required(at, errors) {
        return;
    }
    if at.text().len() > 63 {
        at.too_long(errors, 63);
    }
    for fault in formats::dns_subdomain(&at.text().to_lowercase()) {
        at.invalid(errors, fault);
    }
}

/// A path below some folder.
pub(crate) fn relative_path(at: &At, errors: &mut FieldErrors) {
    if at.text().starts_with('/') {
        at.invalid_as(errors, at.text(), "must be a relative path");
    }
    no_steps_back(at, errors);
}

fn file_path(at: &At, errors: &mut FieldErrors) {
    relative_path(at, errors);
    if at.text().starts_with("..") && !at.text().starts_with("../") {
        at.invalid_as(errors, at.text(), "must not start with '..'");
    }
}

fn no_steps_back(at: &At, errors: &mut FieldErrors) {
    if at.text().split('/').any(|part| part == "..") {
        at.invalid_as(errors, at.text(), "must not contain '..'");
    }
}

/// Fills a claim.
pub(crate) fn default_claim(claim: &mut Value) {
    if let Some(status) = make(claim, "status") {
        fill(status, "phase", "Pending");
    }
    with(claim, "spec", |spec| fill(spec, "volumeMode", "Filesystem"));
}

const ACCESS_MODES: [&str; 4] =
    ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// How storage may be accessed.
pub(crate) fn access_modes(modes: &At, errors: &mut FieldErrors) {
    for mode in modes.items() {
        if !ACCESS_MODES.contains(&mode.text()) {
            modes.with(mode.value).not_supported(errors, &ACCESS_MODES);
        }
    }
    let alone = |mode: &At| mode.text() == "ReadWriteOncePod";
    let known = |mode: &At| ACCESS_MODES.contains(&mode.text());
    if modes.items().any(|mode| alone(&mode))
        && modes.items().any(|mode| known(&mode) && !alone(&mode))
    {
        modes.forbidden(errors, "may not use ReadWriteOncePod with other access modes");
    }
}

/// What a claim asks for.
pub(crate) fn validate_claim_spec(spec: &At, errors: &mut FieldErrors) {
    let modes = spec.at("accessModes");
    if modes.is_empty() {
        modes.required(errors, "at least 1 access mode is required");
    }
    checks::label_selector(&spec.at("selector"), errors);
    access_modes(&modes, errors);
    let resources = spec.at("resources");
    let asked = spec.at("resources.requests.storage");
    let storage = resources.key("storage").with(asked.value);
    if !storage.is_set() {
        storage.required(errors, "");
    } else if Quantity::of(storage.value) <= Some(Quantity::ZERO) {
        storage.invalid_as(errors, amounts::shown(storage.value), "must be greater than zero");
    }
    checks::optional_format(&spec.at("storageClassName"), errors, formats::dns_subdomain);
    checks::optional_one_of(&spec.at("volumeMode"), errors, &["Block", "Filesystem"]);
    let attributes = spec.at("volumeAttributesClassName");
    checks::optional_format(&attributes, errors, formats::dns_subdomain);
}
