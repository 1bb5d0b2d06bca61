//! What the author of a pod is told though the pod is accepted.

use super::{edit, formats};
use schema::Value;

/// Warnings of a new pod. Of an update there are none: it is rarely made by hand.
pub(super) fn pod(new: &Value, old: Option<&Value>) -> Vec<String> {
    if old.is_some() {
        return Vec::new();
    }
    const NAME: &str = "metadata.name: this is used in the Pod's hostname, which can result in \
        surprising behavior; a DNS label is recommended: ";
    let mut warnings = name_warning(new, NAME);
    spec(new.get("spec"), "spec", &mut warnings);
    warnings
}

/// Warnings of a kind that names its pods after itself.
pub(crate) fn named_template(new: &Value, old: Option<&Value>, path: &str) -> Vec<String> {
    const NAME: &str = "metadata.name: this is used in Pod names and hostnames, which can result \
        in surprising behavior; a DNS label is recommended: ";
    let mut warnings = if old.is_none() { name_warning(new, NAME) } else { Vec::new() };
    warnings.extend(template(new, old, path));
    warnings
}

/// Warnings of a template, when it is new or has changed.
pub(crate) fn template(new: &Value, old: Option<&Value>, path: &str) -> Vec<String> {
    let find = |object| path.split('.').try_fold(object, |at: &Value, field| at.get(field));
    let mut warnings = Vec::new();
    let now = find(new);
    if old.and_then(find) != now {
        spec(now.and_then(|it| it.get("spec")), &format!("{path}.spec"), &mut warnings);
    }
    warnings
}

fn name_warning(object: &Value, words: &str) -> Vec<String> {
    let faults = formats::dns_label(edit::text(object, "metadata.name"));
    if faults.is_empty() { Vec::new() } else { vec![format!("{words}[{}]", faults.join(" "))] }
}

fn list<'v>(object: &'v Value, field: &str) -> impl Iterator<Item = (usize, &'v Value)> {
    object.get(field).and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn spec(spec: Option<&Value>, path: &str, warnings: &mut Vec<String>) {
    let Some(spec) = spec else { return };
    const OLD_LABELS: [(&str, &str); 4] = [
        ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
        ("beta.kubernetes.io/os", "kubernetes.io/os"),
        ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
        ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ];
    for (label, newer) in OLD_LABELS {
        if spec.get("nodeSelector").is_some_and(|selector| selector.get(label).is_some()) {
            let place = format!("{path}.nodeSelector[{label}]");
            warnings.push(format!("{place}: deprecated since v1.14; use \"{newer}\" instead"));
        }
    }
    for (index, volume) in list(spec, "volumes") {
        if volume.get("gitRepo").is_some() {
            warnings.push(format!(
                "{path}.volumes[{index}].gitRepo: deprecated in v1.11, and disabled by default in \
                 v1.33+"
            ));
        }
    }
    for kind in ["initContainers", "containers"] {
        for (index, container) in list(spec, kind) {
            repeated_variables(container, &format!("{path}.{kind}[{index}]"), warnings);
        }
    }
    repeated_aliases(spec, path, warnings);
}

/// A variable that is given twice: the second hides the first.
fn repeated_variables(container: &Value, path: &str, warnings: &mut Vec<String>) {
    let mut seen: Vec<&Value> = Vec::new();
    for (index, variable) in list(container, "env") {
        let name = edit::text(variable, "name");
        if let Some(first) = seen.iter().find(|other| edit::text(other, "name") == name) {
            let hides = !edit::text(variable, "value").contains(&format!("$({name})"));
            let _ = first;
            if hides {
                warnings.push(format!(
                    "{path}.env[{index}]: hides previous definition of \"{name}\", which may be \
                     dropped when using apply"
                ));
            }
        }
        seen.push(variable);
    }
}

fn repeated_aliases(spec: &Value, path: &str, warnings: &mut Vec<String>) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, secret) in list(spec, "imagePullSecrets") {
        let name = edit::text(secret, "name");
        let place = format!("{path}.imagePullSecrets[{index}]");
        if name.is_empty() {
            warnings.push(format!("{place}.name: invalid empty name \"\""));
        } else if seen.contains(&name) {
            warnings.push(format!("{place}.name: duplicate name \"{name}\""));
        }
        seen.push(name);
    }
}
