//! Storage that outlives pods: volumes and claims of them.

use super::at::At;
use super::edit::{self, fill, make, set};
use super::quantity::Quantity;
use super::{GENERIC, Hooks, NameRule, amounts, checks, pod, volumes};
use crate::status::FieldErrors;
use schema::Value;
use serde_json::json;

/// The row of PersistentVolumeClaim.
pub(crate) const PERSISTENT_VOLUME_CLAIM: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: volumes::default_claim,
    admit_create: |claim| protect(claim, "kubernetes.io/pvc-protection"),
    prepare_create: |claim| {
        set(claim, "status", json!({ "phase": "Pending" }));
        edit::with(claim, "spec", data_sources);
    },
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: |claim, errors| volumes::validate_claim_spec(&claim.at("spec"), errors),
    update: update_claim,
    ..GENERIC
};

/// The row of PersistentVolume.
pub(crate) const PERSISTENT_VOLUME: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: default_volume,
    admit_create: |volume| protect(volume, "kubernetes.io/pv-protection"),
    prepare_create: |volume| {
        let now = edit::text(volume, "metadata.creationTimestamp").to_owned();
        set(volume, "status", json!({ "phase": "Pending", "lastPhaseTransitionTime": now }));
    },
    prepare_status: |new, old| {
        edit::take_from(new, old, "spec");
        if let (Some(status), Some(was)) = (edit::find(new, "status"), old.get("status"))
            && edit::is_zero(status.get("lastPhaseTransitionTime"))
        {
            edit::take_from(status, was, "lastPhaseTransitionTime");
        }
    },
    create: |it, errors| volume(&it.at("spec"), errors),
    update: |new, old, errors| {
        volume(&new.at("spec"), errors);
        if SOURCES.iter().any(|name| new.at("spec").at(name).value != old.at("spec").at(name).value)
        {
            let words = "spec.persistentvolumesource is immutable after creation";
            new.at("spec.persistentvolumesource").forbidden(errors, words);
        }
        let field = "spec.volumeMode";
        checks::immutable(&new.at(field), &old.at(field), errors);
    },
    ..GENERIC
};

/// What the admission plugin StorageObjectInUseProtection adds.
pub(crate) fn protect(object: &mut Value, finalizer: &str) {
    let Some(metadata) = make(object, "metadata") else { return };
    let mut list =
        metadata.get("finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    if !list.iter().any(|name| name == finalizer) {
        list.push(json!(finalizer));
        set(metadata, "finalizers", list);
    }
}

/// The two fields for what to copy from say the same.
fn data_sources(spec: &mut Value) {
    let (old, new) = (spec.get("dataSource").cloned(), spec.get("dataSourceRef").cloned());
    match (old, new) {
        (Some(source), None) => set(spec, "dataSourceRef", source),
        (None, Some(source)) if edit::text(&source, "namespace").is_empty() => {
            set(spec, "dataSource", source);
        }
        _ => {}
    }
}

fn update_claim(new: &At, old: &At, errors: &mut FieldErrors) {
    let (spec, was) = (new.at("spec"), old.at("spec"));
    volumes::validate_claim_spec(&spec, errors);
    let mut allowed = was.value.clone();
    if was.text_of("volumeName").is_empty() {
        edit::take_from(&mut allowed, spec.value, "volumeName");
    }
    if was.at("storageClassName").is_empty() {
        edit::take_from(&mut allowed, spec.value, "storageClassName");
    }
    if old.text_of("status.phase") == "Bound" {
        edit::take_from(&mut allowed, spec.value, "volumeAttributesClassName");
        if let Some(requests) = edit::find(&mut allowed, "resources.requests") {
            set(requests, "storage", spec.at("resources.requests.storage").value.clone());
        }
    }
    if allowed != *spec.value {
        let words = "spec is immutable after creation except resources.requests and \
            volumeAttributesClassName for bound claims\n";
        spec.forbidden(errors, words);
    }
    let size = |at: At| Quantity::of(at.value).unwrap_or(Quantity::ZERO);
    let asked = spec.at("resources.requests.storage");
    // Compat: what is asked for may shrink again, down to more than there is.
    let shrinks = size(asked) < size(was.at("resources.requests.storage"));
    if shrinks && size(asked) <= size(old.at("status.capacity.storage")) {
        asked.forbidden(errors, "field can not be less than status.capacity");
    }
    // Compat: the path is without its beginning.
    let (mode, before) = (spec.at("volumeMode"), was.at("volumeMode"));
    checks::immutable(&new.at("volumeMode").with(mode.value), &before, errors);
}

fn default_volume(volume: &mut Value) {
    if let Some(status) = make(volume, "status") {
        edit::fill_zero(status, "phase", "Pending");
    }
    let Some(spec) = make(volume, "spec") else { return };
    edit::fill_zero(spec, "persistentVolumeReclaimPolicy", "Retain");
    fill(spec, "volumeMode", "Filesystem");
    edit::with(spec, "hostPath", |path| fill(path, "type", ""));
}

const SOURCES: [&str; 20] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "csi",
];

fn volume(spec: &At, errors: &mut FieldErrors) {
    let (modes, capacity) = (spec.at("accessModes"), spec.at("capacity"));
    if modes.is_empty() {
        modes.required(errors, "");
    }
    volumes::access_modes(&modes, errors);
    if capacity.is_empty() {
        capacity.required(errors, "");
    }
    if capacity.len() != 1 || !capacity.key("storage").is_set() {
        // An empty map is shown as an absent one: normalisation has dropped it.
        capacity.not_supported_as(errors, capacity.value.into(), &["storage"]);
    }
    for (_, amount) in capacity.entries() {
        if Quantity::of(amount.value) <= Some(Quantity::ZERO) {
            amount.invalid_as(errors, amounts::shown(amount.value), "must be greater than zero");
        }
    }
    let policy = spec.at("persistentVolumeReclaimPolicy");
    checks::optional_one_of(&policy, errors, &["Delete", "Recycle", "Retain"]);
    let affinity = spec.at("nodeAffinity");
    if affinity.is_set() {
        let required = affinity.at("required");
        if required.is_set() {
            pod::scheduling::node_selector(&required, errors);
        } else {
            required.required(errors, "must specify required node constraints");
        }
    }
    source(spec, errors);
    checks::optional_one_of(&spec.at("volumeMode"), errors, &["Block", "Filesystem"]);
}

fn source(spec: &At, errors: &mut FieldErrors) {
    let mut given = 0;
    for name in SOURCES.iter().filter(|name| spec.has(name)) {
        given += 1;
        let source = spec.at(name);
        if given > 1 {
            source.forbidden(errors, "may not specify more than 1 volume type");
            continue;
        }
        match *name {
            "hostPath" | "local" => {
                checks::required(&source.at("path"), errors);
            }
            "nfs" => {
                checks::required(&source.at("server"), errors);
                checks::required(&source.at("path"), errors);
            }
            "csi" => {
                volumes::driver_name(&source.at("driver"), errors);
                checks::required(&source.at("volumeHandle"), errors);
            }
            _ => {}
        }
    }
    if spec.has("local") && !spec.has("nodeAffinity") {
        spec.at("nodeAffinity").required(errors, "Local volume requires node affinity");
    }
    if given == 0 {
        spec.required(errors, "must specify a volume type");
    }
    let recycled = spec.text_of("persistentVolumeReclaimPolicy") == "Recycle";
    if spec.text_of("hostPath.path") == "/" && recycled {
        let words = "may not be 'recycle' for a hostPath mount of '/'";
        spec.at("persistentVolumeReclaimPolicy").forbidden(errors, words);
    }
}
