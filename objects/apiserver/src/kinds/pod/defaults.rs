//! What a pod, or a template of pods, has when its author says nothing.
//!
//! *Source*: Kubernetes 1.37 `core/v1`, as observed from kube-apiserver. A template gets less than
//! a pod: what only [`pod`] fills would change the hash of every template that is stored.

use crate::kinds::edit::{each, fill, fill_zero, find, is_zero, make, set, text, with};
use schema::Value;
use serde_json::json;

/// Fills a pod.
pub(crate) fn pod(object: &mut Value) {
    with(object, "status", status);
    let Some(spec) = make(object, "spec") else { return };
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64) < Some(0) {
        with(spec, "terminationGracePeriodSeconds", |seconds| *seconds = json!(1));
    }
    fill(spec, "enableServiceLinks", true);
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers"] {
        each(spec, list, |container| {
            requests_from_limits(container);
            if host_network {
                each(container, "ports", |port| {
                    if let Some(number) = port.get("containerPort").cloned() {
                        fill_zero(port, "hostPort", number);
                    }
                });
            }
        });
    }
    pod_spec(spec);
}

/// Fills the spec of a pod template, and of a pod.
pub(crate) fn pod_spec(spec: &mut Value) {
    let account = match text(spec, "serviceAccountName") {
        "" => text(spec, "serviceAccount").to_owned(),
        name => name.to_owned(),
    };
    if !account.is_empty() {
        set(spec, "serviceAccountName", account.as_str());
        set(spec, "serviceAccount", account);
    }
    fill_zero(spec, "dnsPolicy", "ClusterFirst");
    fill_zero(spec, "restartPolicy", "Always");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill_zero(spec, "schedulerName", "default-scheduler");
    each(spec, "volumes", volume);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, list, container);
    }
}

/// Fills a template that stands at a field of a spec.
pub(crate) fn template(object: &mut Value, fields: &str) {
    if let Some(template) = find(object, fields)
        && let Some(spec) = make(template, "spec")
    {
        pod_spec(spec);
    }
}

fn container(container: &mut Value) {
    if is_zero(container.get("imagePullPolicy")) {
        let policy = pull_policy(text(container, "image"));
        set(container, "imagePullPolicy", policy);
    }
    fill_zero(container, "terminationMessagePath", "/dev/termination-log");
    fill_zero(container, "terminationMessagePolicy", "File");
    each(container, "ports", |port| fill_zero(port, "protocol", "TCP"));
    each(container, "env", |variable| {
        with(variable, "valueFrom.fieldRef", field_reference);
        with(variable, "valueFrom.fileKeyRef", |file| fill(file, "optional", false));
    });
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        with(container, name, probe);
    }
    for event in ["lifecycle.postStart.httpGet", "lifecycle.preStop.httpGet"] {
        with(container, event, http_get);
    }
}

fn probe(probe: &mut Value) {
    fill_zero(probe, "timeoutSeconds", 1);
    fill_zero(probe, "periodSeconds", 10);
    fill_zero(probe, "successThreshold", 1);
    fill_zero(probe, "failureThreshold", 3);
    with(probe, "httpGet", http_get);
    with(probe, "grpc", |grpc| fill(grpc, "service", ""));
}

fn http_get(action: &mut Value) {
    fill_zero(action, "path", "/");
    fill_zero(action, "scheme", "HTTP");
}

fn field_reference(reference: &mut Value) {
    fill_zero(reference, "apiVersion", "v1");
}

/// `Always` for what may move (the tag `latest`, written or meant), `IfNotPresent` for the rest and
/// for what is no image reference.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let last = name.rsplit('/').next().unwrap_or(name);
    let (repository, tag) = match last.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (last, None),
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let edges = [repository.bytes().next(), repository.bytes().next_back()];
    let named = edges.into_iter().all(|edge| edge.is_some_and(allowed))
        && repository.bytes().all(|byte| allowed(byte) || b"._-".contains(&byte));
    match (named, tag, digest) {
        (true, Some("latest"), _) | (true, None, false) => "Always",
        _ => "IfNotPresent",
    }
}

fn volume(volume: &mut Value) {
    let Some(fields) = volume.as_object() else { return };
    if !fields.iter().any(|(name, source)| name != "name" && !source.is_null()) {
        set(volume, "emptyDir", json!({}));
    }
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        with(volume, source, |source| fill(source, "defaultMode", 0o644));
    }
    each(volume, "downwardAPI.items", |item| with(item, "fieldRef", field_reference));
    each(volume, "projected.sources", |source| {
        with(source, "serviceAccountToken", |token| fill(token, "expirationSeconds", 3600));
        each(source, "downwardAPI.items", |item| with(item, "fieldRef", field_reference));
    });
    with(volume, "hostPath", |path| fill(path, "type", ""));
    with(volume, "image", |image| {
        let policy = pull_policy(text(image, "reference"));
        fill_zero(image, "pullPolicy", policy);
    });
    with(volume, "ephemeral.volumeClaimTemplate.spec", |claim| {
        fill(claim, "volumeMode", "Filesystem");
    });
    network_volume(volume);
}

/// Sources that few use: disks and shares of one vendor each.
fn network_volume(volume: &mut Value) {
    with(volume, "iscsi", |iscsi| fill_zero(iscsi, "iscsiInterface", "default"));
    with(volume, "rbd", |rbd| {
        fill_zero(rbd, "pool", "rbd");
        fill_zero(rbd, "user", "admin");
        fill_zero(rbd, "keyring", "/etc/ceph/keyring");
    });
    with(volume, "azureDisk", |disk| {
        fill(disk, "cachingMode", "ReadWrite");
        fill(disk, "fsType", "ext4");
        fill(disk, "readOnly", false);
        fill(disk, "kind", "Shared");
    });
    with(volume, "scaleIO", |scale| {
        fill_zero(scale, "storageMode", "ThinProvisioned");
        fill_zero(scale, "fsType", "xfs");
    });
}

/// What a container may use at most, it asks for, where it asks for nothing else.
fn requests_from_limits(container: &mut Value) {
    let Some(limits) = find(container, "resources.limits").cloned() else { return };
    let Some(resources) = find(container, "resources") else { return };
    if let (Some(requests), Value::Object(limits)) = (make(resources, "requests"), limits) {
        for (name, limit) in limits {
            fill(requests, &name, limit);
        }
    }
}

fn status(status: &mut Value) {
    let ip = text(status, "podIP").to_owned();
    let first = status.pointer("/podIPs/0/ip").and_then(Value::as_str).unwrap_or("").to_owned();
    if ip.is_empty() && !first.is_empty() {
        set(status, "podIP", first);
    } else if !ip.is_empty() && ip != first {
        set(status, "podIPs", json!([{ "ip": ip }]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.2", "IfNotPresent"),
            ("host:5000/nginx", "Always"),
            ("host:5000/nginx:v1", "IfNotPresent"),
            ("nginx@sha256:00", "IfNotPresent"),
            ("", "IfNotPresent"),
            ("Nginx", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
