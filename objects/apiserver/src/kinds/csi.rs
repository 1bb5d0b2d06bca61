//! Storage drivers: what they can, where they run, what they have attached, how much they hold.

use super::at::At;
use super::edit::{self, fill, make, set};
use super::{GENERIC, Hooks, NameRule, amounts, checks, formats, volumes};
use crate::status::{BadValue, FieldErrors};
use schema::Value;
use serde_json::json;
use std::collections::HashSet;

/// The row of CSINode.
pub(crate) const CSI_NODE: Hooks = Hooks {
    name: NameRule::Subdomain,
    create: |node, errors| drivers(&node.at("spec.drivers"), errors),
    update: update_node,
    ..GENERIC
};

/// The row of CSIDriver.
pub(crate) const CSI_DRIVER: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: default_driver,
    create: |it, errors| driver(&it.at("spec"), errors),
    update: |new, old, errors| {
        let (spec, was) = (new.at("spec"), old.at("spec"));
        driver(&spec, errors);
        let shown = spec.at("attachedRequired");
        checks::immutable(
            &shown.with(spec.at("attachRequired").value),
            &was.at("attachRequired"),
            errors,
        );
        let field = "volumeLifecycleModes";
        checks::immutable(&spec.at(field), &was.at(field), errors);
    },
    ..GENERIC
};

/// The row of CSIStorageCapacity.
pub(crate) const CSI_STORAGE_CAPACITY: Hooks = Hooks {
    name: NameRule::Subdomain,
    create: capacity,
    update: |new, old, errors| {
        capacity(new, errors);
        for field in ["nodeTopology", "storageClassName"] {
            checks::immutable(&new.at(field), &old.at(field), errors);
        }
    },
    ..GENERIC
};

/// The row of VolumeAttachment.
pub(crate) const VOLUME_ATTACHMENT: Hooks = Hooks {
    name: NameRule::Subdomain,
    prepare_status: |new, old| edit::take_from(new, old, "spec"),
    create: |it, errors| attachment(&it.at("spec"), errors),
    update: |new, old, errors| {
        checks::immutable_unshown(&new.at("spec"), &old.at("spec"), errors);
    },
    ..GENERIC
};

/// The row of VolumeAttributesClass.
pub(crate) const VOLUME_ATTRIBUTES_CLASS: Hooks = Hooks {
    name: NameRule::Subdomain,
    admit_create: |class| super::storage_kinds::protect(class, "kubernetes.io/vac-protection"),
    create: |class, errors| {
        checks::required(&class.at("driverName"), errors);
        if class.at("parameters").is_empty() {
            let words = "must contain at least one key/value pair";
            class.at("parameters").required(errors, words);
        }
    },
    update: |new, old, errors| {
        for field in ["driverName", "parameters"] {
            if new.at(field).value != old.at(field).value {
                let words = format!("updates to {field} are forbidden.");
                new.at(field).forbidden(errors, words);
            }
        }
    },
    ..GENERIC
};

fn default_driver(driver: &mut Value) {
    let Some(spec) = make(driver, "spec") else { return };
    fill(spec, "attachRequired", true);
    for field in [
        "podInfoOnMount",
        "storageCapacity",
        "requiresRepublish",
        "seLinuxMount",
        "preventPodSchedulingIfMissing",
    ] {
        fill(spec, field, false);
    }
    fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if edit::is_zero(spec.get("volumeLifecycleModes")) {
        set(spec, "volumeLifecycleModes", json!(["Persistent"]));
    }
}

fn driver(spec: &At, errors: &mut FieldErrors) {
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    checks::optional_one_of(&spec.at("fsGroupPolicy"), errors, &policies);
    let tokens = spec.at("tokenRequests");
    let mut audiences = HashSet::new();
    for token in tokens.items() {
        let (audience, seconds) = (token.at("audience"), token.at("expirationSeconds"));
        if !audiences.insert(audience.text()) {
            audience.duplicate_as(errors, audience.text());
        }
        if seconds.is_set() && seconds.int() < 600 {
            seconds.invalid(errors, "may not specify a duration less than 10 minutes");
        }
    }
    let modes = spec.at("volumeLifecycleModes");
    for mode in modes.items() {
        // Compat: what is not supported is said of the list.
        checks::one_of(&modes.with(mode.value), errors, &["Persistent", "Ephemeral"]);
    }
    let period = spec.at("nodeAllocatableUpdatePeriodSeconds");
    if period.is_set() && period.int() < 10 {
        period.invalid(errors, "must be greater than or equal to 10 seconds");
    }
}

fn drivers(list: &At, errors: &mut FieldErrors) {
    let mut names = HashSet::new();
    for driver in list.items() {
        let (name, id) = (driver.at("name"), driver.at("nodeID"));
        volumes::driver_name(&name, errors);
        if checks::required(&id, errors) && id.text().len() > 256 {
            id.invalid(errors, "must be 256 characters or less");
        }
        let count = driver.at("allocatable.count");
        checks::non_negative(&count, errors);
        if !names.insert(name.text()) {
            name.duplicate(errors);
        }
        topology_keys(&driver, errors);
    }
}

/// Compat: what is wrong with a key is said of the driver.
fn topology_keys(driver: &At, errors: &mut FieldErrors) {
    let mut keys = HashSet::new();
    for key in driver.at("topologyKeys").items() {
        if !keys.insert(key.text()) {
            driver.duplicate_as(errors, key.text());
        }
        if key.is_empty() {
            driver.required(errors, "");
        }
        for fault in formats::qualified_name(key.text()) {
            driver.invalid_as(errors, key.text(), fault);
        }
    }
}

/// A driver that stays does not change, but for how much it can attach.
fn update_node(new: &At, old: &At, errors: &mut FieldErrors) {
    let (list, was) = (new.at("spec.drivers"), old.at("spec.drivers"));
    drivers(&list, errors);
    for before in was.items() {
        let Some(now) = list.items().find(|it| it.text_of("name") == before.text_of("name")) else {
            continue;
        };
        let fixed = ["nodeID", "topologyKeys"];
        if fixed.iter().any(|field| now.at(field).value != before.at(field).value) {
            let field = |name: &str| now.at(name).value.to_string();
            let shown = format!(
                "{{\"Name\":{},\"NodeID\":{},\"TopologyKeys\":{},\"Allocatable\":{}}}",
                field("name"),
                field("nodeID"),
                field("topologyKeys"),
                field("allocatable"),
            );
            list.invalid_as(errors, BadValue::Raw(shown), checks::IMMUTABLE);
        }
    }
}

fn capacity(object: &At, errors: &mut FieldErrors) {
    for fault in formats::dns_subdomain(object.text_of("storageClassName")) {
        let name = object.at("storageClassName");
        name.invalid_as(errors, name.text(), fault);
    }
    for field in ["capacity", "maximumVolumeSize"] {
        amounts::non_negative(&object.at(field), errors);
    }
    checks::label_selector(&object.at("nodeTopology"), errors);
}

fn attachment(spec: &At, errors: &mut FieldErrors) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let (source, attacher) = (spec.at("source"), spec.at("attacher"));
    let name = source.at("persistentVolumeName");
    match (source.has("inlineVolumeSpec"), name.is_set()) {
        (false, false) => source.required(errors, ONE),
        (true, true) => source.forbidden(errors, ONE),
        (false, true) if name.is_empty() => {
            name.required(errors, "must specify non empty persistentVolumeName");
        }
        _ => {}
    }
    checks::format(&spec.at("nodeName"), errors, formats::dns_subdomain);
    if name.is_set() {
        checks::format(&name, errors, formats::dns_subdomain);
    }
    checks::required_format(&attacher, errors, formats::any_case_subdomain);
}
