//! Classes, which others name: PriorityClass, RuntimeClass, StorageClass.

use super::at::At;
use super::edit::fill;
use super::formats::Format;
use super::{GENERIC, Hooks, NameRule, amounts, checks, formats};
use crate::status::FieldErrors;
use std::collections::{BTreeMap, BTreeSet};

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
        // Compat: the generated rule speaks first, and counts in bytes; an update's does not.
        runtime(class, formats::short_name, errors);
        checks::required(&class.at("handler"), errors);
    },
    update: |new, old, errors| {
        runtime(new, formats::dns_label, errors);
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
    create: |class, errors| {
        storage(class, errors);
        checks::required(&class.at("provisioner"), errors);
    },
    update: |new, old, errors| {
        storage(new, errors);
        checks::required(&new.at("provisioner"), errors);
        for field in ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] {
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

fn runtime(class: &At, handler: Format, errors: &mut FieldErrors) {
    checks::optional_format(&class.at("handler"), errors, handler);
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
    parameters(&class.at("parameters"), errors);
    checks::optional_one_of(&class.at("reclaimPolicy"), errors, &["Delete", "Retain"]);
    let binding = class.at("volumeBindingMode");
    if binding.is_set() {
        checks::one_of(&binding, errors, &["Immediate", "WaitForFirstConsumer"]);
    }
    topologies(&class.at("allowedTopologies"), errors);
}

/// *Units*: bytes, of all keys and values.
const PARAMETERS_BYTES_MAX: usize = 256 * 1024;
const PARAMETERS_MAX: usize = 512;

fn parameters(map: &At, errors: &mut FieldErrors) {
    if map.len() > PARAMETERS_MAX {
        map.too_long(errors, PARAMETERS_MAX);
        return;
    }
    let mut bytes = 0;
    for (key, value) in map.entries() {
        if key.is_empty() {
            map.invalid_as(errors, key, "field can not be empty.");
        }
        bytes += key.len() + value.text().len();
    }
    if bytes > PARAMETERS_BYTES_MAX {
        map.too_long(errors, PARAMETERS_BYTES_MAX);
    }
}

/// What a term asks for: values by key.
type Asked<'v> = BTreeMap<&'v str, BTreeSet<&'v str>>;

/// Where volumes may be: no term asks for what another one does.
fn topologies(terms: &At, errors: &mut FieldErrors) {
    // Compat: a term that asks for nothing counts as one that was there before.
    let mut seen = vec![Asked::new()];
    for term in terms.items() {
        let asked = term_of(&term, errors);
        if seen.contains(&asked) {
            term.at("matchLabelExpressions").duplicate_as(errors, "");
        } else {
            seen.push(asked);
        }
    }
}

fn term_of<'v>(term: &At<'_, 'v>, errors: &mut FieldErrors) -> Asked<'v> {
    let mut asked = Asked::new();
    for expression in term.at("matchLabelExpressions").items() {
        let (key, values) = (expression.at("key"), expression.at("values"));
        checks::required(&values, errors);
        let mut different = BTreeSet::new();
        for value in values.items() {
            if !different.insert(value.text()) {
                value.duplicate(errors);
            }
        }
        checks::format(&key, errors, formats::qualified_name);
        if asked.insert(key.text(), different).is_some() {
            key.duplicate(errors);
        }
    }
    asked
}
