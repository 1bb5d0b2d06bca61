//! Where the volumes of a pod stand in a container: as folders and as devices.

use super::spec::Context;
use crate::kinds::at::At;
use crate::kinds::{checks, volumes};
use crate::status::FieldErrors;
use std::collections::HashSet;

/// All mounts and devices of a container.
pub(super) fn of_container(container: &At, context: &Context, errors: &mut FieldErrors) {
    folders(container, context, errors);
    devices(container, context, errors);
}

fn folders(container: &At, context: &Context, errors: &mut FieldErrors) {
    let (list, devices) = (container.at("volumeMounts"), container.at("volumeDevices"));
    let mut points = HashSet::new();
    for mount in list.items() {
        let (name, point) = (mount.at("name"), mount.at("mountPath"));
        if name.is_empty() {
            name.required(errors, "");
        }
        if !context.volumes.iter().any(|(volume, _)| *volume == name.text()) {
            name.not_found(errors);
        }
        if point.is_empty() {
            point.required(errors, "");
        }
        if !points.insert(point.text()) {
            point.invalid_as(errors, point.text(), "must be unique");
        }
        for device in devices.items() {
            if device.text_of("name") == name.text() {
                name.invalid(errors, "must not already exist in volumeDevices");
            }
            if device.text_of("devicePath") == point.text() {
                point.invalid(errors, "must not already exist as a path in volumeDevices");
            }
        }
        // Compat: what follows is said of the list, not of the mount.
        let (part, expression) = (mount.at("subPath"), mount.at("subPathExpr"));
        if !part.is_empty() {
            volumes::relative_path(&list.at("subPath").with(part.value), errors);
        }
        if !expression.is_empty() {
            if !part.is_empty() {
                expression.invalid(errors, "subPathExpr and subPath are mutually exclusive");
            }
            volumes::relative_path(&list.at("subPathExpr").with(expression.value), errors);
        }
        propagation(&list, &mount, container, errors);
    }
}

fn propagation(list: &At, mount: &At, container: &At, errors: &mut FieldErrors) {
    let place = list.at("mountPropagation");
    let mode = place.with(mount.at("mountPropagation").value);
    if mode.is_set() {
        checks::one_of(&mode, errors, &["Bidirectional", "HostToContainer", "None"]);
    }
    if mode.text() == "Bidirectional" && !container.at("securityContext.privileged").flag() {
        let words = "Bidirectional mount propagation is available only to privileged containers";
        mode.forbidden(errors, words);
    }
}

fn devices(container: &At, context: &Context, errors: &mut FieldErrors) {
    let (list, mounts) = (container.at("volumeDevices"), container.at("volumeMounts"));
    let (mut paths, mut names) = (HashSet::new(), HashSet::new());
    for device in list.items() {
        let (name, path) = (device.at("name"), device.at("devicePath"));
        if name.is_empty() {
            name.required(errors, "");
        }
        if names.contains(name.text()) {
            name.invalid(errors, "must be unique");
        }
        match context.volumes.iter().find(|(volume, _)| *volume == name.text()) {
            None => name.not_found(errors),
            Some((_, volume))
                if !volume.has("persistentVolumeClaim") && !volume.has("ephemeral") =>
            {
                name.invalid(
                    errors,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for \
                     block mode",
                );
            }
            Some(_) => {}
        }
        if path.is_empty() {
            path.required(errors, "");
        }
        if paths.contains(path.text()) {
            path.invalid(errors, "must be unique");
        }
        if path.text().split('/').any(|part| part == "..") {
            path.invalid(errors, "can not contain backsteps ('..')");
        } else {
            paths.insert(path.text());
        }
        for mount in mounts.items() {
            if mount.text_of("name") == name.text() {
                name.invalid(errors, "must not already exist in volumeMounts");
            }
            if mount.text_of("mountPath") == path.text() {
                path.invalid(errors, "must not already exist as a path in volumeMounts");
            }
        }
        names.insert(name.text());
    }
}
