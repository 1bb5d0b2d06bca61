//! What the author of a pod is told though the pod is accepted.

use super::{edit, formats};
use crate::kinds::at::At;
use crate::kinds::quantity::Quantity;
use crate::kinds::{amounts, node};
use schema::Value;

/// Warnings of a new pod. Of an update there are none: it is rarely made by hand.
pub(super) fn pod(new: &Value, old: Option<&Value>) -> Vec<String> {
    if old.is_some() {
        return Vec::new();
    }
    const NAME: &str = "metadata.name: this is used in the Pod's hostname, which can result in \
        surprising behavior; a DNS label is recommended: ";
    let mut warnings = name_warning(new, NAME);
    spec(&At::root(new).at("spec"), &mut warnings);
    warnings
}

/// Warnings of a kind that names its pods after itself.
pub(crate) fn named_template(new: &Value, old: Option<&Value>, path: &str) -> Vec<String> {
    let mut warnings = if old.is_none() { pod_name(new) } else { Vec::new() };
    warnings.extend(template(new, old, path));
    warnings
}

/// The warning of a name that pods will have in theirs.
pub(crate) fn pod_name(object: &Value) -> Vec<String> {
    const NAME: &str = "metadata.name: this is used in Pod names and hostnames, which can result \
        in surprising behavior; a DNS label is recommended: ";
    name_warning(object, NAME)
}

/// Warnings of a template, when it is new or has changed.
pub(crate) fn template(new: &Value, old: Option<&Value>, path: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let root = At::root(new);
    let now = root.at(path);
    if old.is_none_or(|old| At::root(old).at(path).value != now.value) {
        spec(&now.at("spec"), &mut warnings);
    }
    warnings
}

fn name_warning(object: &Value, words: &str) -> Vec<String> {
    let faults = formats::dns_label(edit::text(object, "metadata.name"));
    if faults.is_empty() { Vec::new() } else { vec![format!("{words}[{}]", faults.join(" "))] }
}

fn spec(spec: &At, warnings: &mut Vec<String>) {
    placement(spec, warnings);
    for volume in spec.at("volumes").items() {
        for (source, shown, words) in GONE {
            if volume.has(source) {
                warnings.push(format!("{}: {words}", volume.at(shown).path()));
            }
        }
    }
    given_twice(&spec.at("hostAliases"), "ip", warnings);
    given_twice(&spec.at("imagePullSecrets"), "name", warnings);
    for secret in spec.at("imagePullSecrets").items().filter(|it| it.at("name").is_empty()) {
        warnings.push(format!("{}: invalid empty name \"\"", secret.at("name").path()));
    }
    each_container(spec, |container| {
        parts_of_bytes(container, warnings);
        hidden_variables(container, warnings);
    });
    ports(spec, warnings);
    let grace = spec.at("terminationGracePeriodSeconds");
    if grace.int() < 0 {
        let words = "must be >= 0; negative values are invalid and will be treated as 1";
        warnings.push(format!("{}: {words}", grace.path()));
    }
}

/// Volume sources that have been or will be removed: field, field shown, what is said.
const GONE: [(&str, &str, &str); 9] = [
    (
        "photonPersistentDisk",
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

fn placement(spec: &At, warnings: &mut Vec<String>) {
    let selector = spec.at("nodeSelector");
    for (label, _) in selector.entries() {
        if let Some(words) = node::replaced_label(label) {
            warnings.push(format!("{}: {words}", selector.key(label).path()));
        }
    }
    for constraint in spec.at("topologySpreadConstraints").items() {
        let topology = constraint.at("topologyKey");
        if let Some(words) = node::replaced_label(topology.text()) {
            warnings.push(format!("{}: {} is {words}", topology.path(), topology.text()));
        }
        let selector = constraint.at("labelSelector");
        if !selector.is_set() {
            let words = "a null labelSelector results in matching no pod";
            warnings.push(format!("{}: {words}", selector.path()));
        }
    }
}

fn given_twice(list: &At, field: &str, warnings: &mut Vec<String>) {
    for (index, item) in list.items().enumerate() {
        let text = item.text_of(field);
        if list.items().take(index).any(|other| other.text_of(field) == text) {
            warnings.push(format!("{}: duplicate {field} \"{text}\"", item.at(field).path()));
        }
    }
}

fn each_container(spec: &At, mut look: impl FnMut(&At)) {
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.at(kind).items() {
            look(&container);
        }
    }
}

/// Memory of which a part of a byte is asked for.
fn parts_of_bytes(container: &At, warnings: &mut Vec<String>) {
    for name in ["memory", "ephemeral-storage"] {
        for side in ["resources.limits", "resources.requests"] {
            let side = container.at(side);
            let amount = side.key(name);
            if !Quantity::of(amount.value).is_none_or(Quantity::is_whole) {
                let shown = amounts::shown(amount.value);
                let words = format!("fractional byte value \"{shown}\" is invalid");
                warnings.push(format!("{}: {words}, must be an integer", amount.path()));
            }
        }
    }
}

/// A variable that is given twice: the second hides the first, unless it is made from it.
fn hidden_variables(container: &At, warnings: &mut Vec<String>) {
    let list = container.at("env");
    for (index, variable) in list.items().enumerate() {
        let (name, value) = (variable.text_of("name"), variable.text_of("value"));
        let reference = format!("$({name})");
        let hides = variable.has("valueFrom") || value == reference || !value.contains(&reference);
        if hides && list.items().take(index).any(|other| other.text_of("name") == name) {
            warnings.push(format!(
                "{}: hides previous definition of \"{name}\", which may be dropped when using \
                 apply",
                variable.path()
            ));
        }
    }
}

/// Ports that say the same, or nearly.
fn ports(spec: &At, warnings: &mut Vec<String>) {
    struct Port {
        path: String,
        inside: (i64, String),
        name: String,
        host: (i64, String),
    }
    let mut seen: Vec<Port> = Vec::new();
    let mut names = Vec::new();
    each_container(spec, |container| {
        for port in container.at("ports").items() {
            let this = Port {
                path: port.path(),
                inside: (port.at("containerPort").int(), port.text_of("protocol").to_owned()),
                name: port.text_of("name").to_owned(),
                host: (port.at("hostPort").int(), port.text_of("hostIP").to_owned()),
            };
            for other in seen.iter().filter(|other| other.inside == this.inside) {
                let one_address = this.host.1.is_empty() != other.host.1.is_empty();
                let how = if this.host == other.host {
                    "duplicate"
                } else if this.host.0 == 0 || other.host.0 == 0 {
                    "overlapping"
                } else if this.host.0 == other.host.0 && one_address {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                warnings.push(format!("{}: {how} port definition with {}", this.path, other.path));
            }
            let named = seen.iter().find(|other| !this.name.is_empty() && other.name == this.name);
            if let Some(other) = named {
                names.push(format!(
                    "{}: duplicate port name \"{}\" with {}, services and probes that select \
                     ports by name will use {}",
                    this.path, this.name, other.path, other.path
                ));
            }
            seen.push(this);
        }
    });
    warnings.append(&mut names);
}
