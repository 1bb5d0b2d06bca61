//! Classes, which others name: PriorityClass, RuntimeClass, StorageClass.

use super::at::At;
use super::edit::fill;
use super::{GENERIC, Hooks, NameRule, amounts, checks, formats};
use crate::status::FieldErrors;

/// The row of PriorityClass.
pub(crate) const PRIORITY_CLASS: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: |object| fill(object, "preemptionPolicy", "PreemptLowerPriority"),
    create: priority,
    update: |new, old, errors| {
        if new.at("value").int() != old.at("value").int() {
            new.at("value").forbidden(errors, "may not be changed in an update.");
        }
        let field = "preemptionPolicy";
        checks::immutable(&new.at(field), &old.at(field), errors);
    },
    ..GENERIC
};

/// The row of RuntimeClass.
pub(crate) const RUNTIME_CLASS: Hooks = Hooks {
    name: NameRule::Subdomain,
    create: |class, errors| {
        runtime(class, errors);
        checks::required(&class.at("handler"), errors);
    },
    update: |new, old, errors| {
        runtime(new, errors);
        checks::immutable_unshown(&new.at("handler"), &old.at("handler"), errors);
        checks::required(&new.at("handler"), errors);
    },
    ..GENERIC
};

/// The row of StorageClass.
pub(crate) const STORAGE_CLASS: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: |object| {
        fill(object, "reclaimPolicy", "Delete");
        fill(object, "volumeBindingMode", "Immediate");
    },
    create: storage,
    update: |new, old, errors| {
        for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
            checks::immutable_unshown(&new.at(field), &old.at(field), errors);
        }
    },
    ..GENERIC
};

/// The highest that is not the system's own.
const PRIORITY_MAX: i64 = 1_000_000_000;

fn priority(class: &At, errors: &mut FieldErrors) {
    let (name, value) = (class.at("metadata.name"), class.at("value"));
    if name.text().starts_with("system-") {
        let why = match name.text() {
            "system-node-critical" => known(value.int(), 2_000_001_000, class),
            "system-cluster-critical" => known(value.int(), 2_000_000_000, class),
            other => Some(format!("{other} is not a known system priority class")),
        };
        if let Some(why) = why {
            let words = "priority class names with 'system-' prefix are reserved for system use \
                only. error:";
            name.forbidden(errors, format!("{words} {why}"));
        }
    } else if value.int() > PRIORITY_MAX {
        let words = "maximum allowed value of a user defined priority is";
        value.forbidden(errors, format!("{words} {PRIORITY_MAX}"));
    }
    let policy = class.at("preemptionPolicy");
    checks::optional_one_of(&policy, errors, &["PreemptLowerPriority", "Never"]);
}

fn known(value: i64, its_value: i64, class: &At) -> Option<String> {
    let name = class.text_of("metadata.name");
    if value != its_value {
        return Some(format!("value of {name} PriorityClass must be {its_value}"));
    }
    let global = class.at("globalDefault").flag();
    global.then(|| format!("globalDefault of {name} PriorityClass must be false"))
}

fn runtime(class: &At, errors: &mut FieldErrors) {
    checks::optional_format(&class.at("handler"), errors, formats::dns_label);
    // Compat: the path says limits.
    let overhead = class.at("overhead.limits");
    let overhead = overhead.with(class.at("overhead.podFixed").value);
    for (name, amount) in overhead.entries() {
        amounts::container_resource_name(name, &amount, errors);
        amounts::resource_quantity(name, &amount, errors);
    }
    checks::labels(&class.at("scheduling.nodeSelector"), errors);
}

fn storage(class: &At, errors: &mut FieldErrors) {
    let provisioner = class.at("provisioner");
    let lower = provisioner.text().to_lowercase();
    if !lower.is_empty() {
        for fault in formats::qualified_name(&lower) {
            provisioner.invalid_as(errors, lower.as_str(), fault);
        }
    }
    checks::optional_one_of(&class.at("reclaimPolicy"), errors, &["Delete", "Retain"]);
    checks::required(&provisioner, errors);
    let binding = class.at("volumeBindingMode");
    checks::optional_one_of(&binding, errors, &["Immediate", "WaitForFirstConsumer"]);
}
