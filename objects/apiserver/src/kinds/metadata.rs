//! Metadata of every kind: names, labels, annotations, owners, finalizers, and what never changes.
//!
//! Must not know: what else an object has, and how names are generated.

use super::at::At;
use super::checks::{self, IMMUTABLE};
use super::formats::{self, Faults, Format};
use crate::status::{BadValue, FieldErrors};

/// What a kind asks of its objects' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// A DNS subdomain (most kinds).
    Subdomain,
    /// The same; too long ones are told so in bytes.
    LongName,
    /// A DNS label.
    Label,
    /// A DNS label that starts with a letter.
    Label1035,
    /// Anything that can be one segment of a path.
    PathSegment,
    /// Not checked here: a later check of the kind does.
    Any,
}

impl NameRule {
    fn faults(self, name: &str, prefix: bool) -> Faults {
        let rule: Format = match self {
            Self::Subdomain => formats::dns_subdomain,
            Self::LongName => formats::long_name,
            Self::Label => formats::dns_label,
            Self::Label1035 => formats::dns_1035_label,
            Self::PathSegment if prefix => return formats::path_segment_prefix(name),
            Self::PathSegment => return formats::path_segment(name),
            Self::Any => return Faults::new(),
        };
        match name.strip_suffix('-') {
            // Compat: a prefix may end with a dash, and the byte before it is not looked at.
            Some(head) if prefix && !head.is_empty() => {
                let kept = head.char_indices().next_back().map_or(0, |(at, _)| at);
                rule(&format!("{}a", &head[..kept]))
            }
            _ => rule(name),
        }
    }
}

/// *Units*: bytes of all keys and values together.
const ANNOTATIONS_BYTES_MAX: usize = 256 << 10;

/// Metadata of an object that is about to be created, or stands as it will be stored.
pub(crate) fn validate(metadata: &At, rule: NameRule, namespaced: bool, errors: &mut FieldErrors) {
    let generate = metadata.at("generateName");
    if !generate.is_empty() {
        for fault in rule.faults(generate.text(), true) {
            generate.invalid(errors, fault);
        }
    }
    let name = metadata.at("name");
    if name.is_empty() {
        name.required(errors, "name or generateName is required");
    } else {
        for fault in rule.faults(name.text(), false) {
            name.invalid(errors, fault);
        }
    }
    let namespace = metadata.at("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => namespace.required(errors, ""),
        (true, false) => checks::format(&namespace, errors, formats::dns_label),
        (false, true) => {}
        (false, false) => namespace.forbidden(errors, "not allowed on this type"),
    }
    shape(metadata, errors);
    finalizers(&metadata.at("finalizers"), errors);
}

/// What holds of labels, annotations and owners at any time.
fn shape(metadata: &At, errors: &mut FieldErrors) {
    checks::non_negative(&metadata.at("generation"), errors);
    checks::labels(&metadata.at("labels"), errors);
    annotations(&metadata.at("annotations"), errors);
    owners(&metadata.at("ownerReferences"), errors);
}

/// Metadata of an object that replaces another.
pub(crate) fn validate_update(new: &At, old: &At, errors: &mut FieldErrors) {
    if old.has("deletionTimestamp") {
        no_new_finalizers(&new.at("finalizers"), &old.at("finalizers"), errors);
    }
    let version = new.at("resourceVersion");
    if version.is_empty() {
        version.invalid_as(errors, "", "must be specified for an update");
    }
    let generation = new.at("generation");
    if generation.int() < old.at("generation").int() {
        generation.invalid_as(errors, generation.int(), "must not be decremented");
    }
    for field in ["name", "namespace", "uid"] {
        let now = new.at(field);
        if now.text() != old.text_of(field) {
            now.invalid_as(errors, now.text(), IMMUTABLE);
        }
    }
    for field in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        checks::immutable(&new.at(field), &old.at(field), errors);
    }
    shape(new, errors);
}

pub(crate) fn annotations(at: &At, errors: &mut FieldErrors) {
    let mut bytes = 0;
    for (key, value) in at.entries() {
        bytes += key.len() + value.text().len();
        let lower;
        let folded = if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = key.to_lowercase();
            &lower
        } else {
            key
        };
        for fault in formats::qualified_name(folded) {
            at.invalid_as(errors, key, fault);
        }
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        at.too_long(errors, ANNOTATIONS_BYTES_MAX);
    }
}

fn owners(at: &At, errors: &mut FieldErrors) {
    let mut controller: Option<String> = None;
    for owner in at.items() {
        let version = owner.at("apiVersion");
        match version.text() {
            "" => version.required(errors, "must not be empty"),
            text if text.matches('/').count() > 1 || text.ends_with('/') => {
                version.invalid(errors, "must be <group>/<version> or <version>");
            }
            _ => {}
        }
        for field in ["kind", "name", "uid"] {
            if owner.at(field).is_empty() {
                owner.at(field).required(errors, "must not be empty");
            }
        }
        let kind = owner.text_of("kind");
        if version.text() == "v1" && kind == "Event" {
            owner.invalid(errors, "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner.at("controller").flag() {
            let this = format!("{kind}/{}", owner.text_of("name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => at.invalid_as(
                    errors,
                    shown_owners(at),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in \
                         references for {first} and {this}"
                    ),
                ),
            }
        }
    }
}

/// Owners in the order of the fields in Go.
fn shown_owners(at: &At) -> BadValue {
    const FIELDS: [&str; 6] =
        ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let owner = |owner: At| {
        let fields: Vec<String> = FIELDS
            .iter()
            .filter(|field| owner.has(field))
            .map(|field| format!("\"{field}\":{}", owner.at(field).value))
            .collect();
        format!("{{{}}}", fields.join(","))
    };
    let owners: Vec<String> = at.items().map(owner).collect();
    BadValue::Raw(format!("[{}]", owners.join(",")))
}

fn finalizers(at: &At, errors: &mut FieldErrors) {
    let has = |name: &str| at.items().any(|item| item.text() == name);
    for item in at.items() {
        for fault in formats::qualified_name(item.text()) {
            at.invalid_as(errors, item.text(), fault);
        }
    }
    if has("orphan") && has("foregroundDeletion") {
        let words = "finalizer orphan and foregroundDeletion cannot be both set";
        at.invalid(errors, words);
    }
}

const KNOWN_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Finalizers without a domain are those of Kubernetes itself.
pub(crate) fn known_finalizers(list: &At, errors: &mut FieldErrors) {
    for item in list.items() {
        known_finalizer(&item, item.text(), errors);
    }
}

/// The same of one; what is wrong is said at `place`.
pub(crate) fn known_finalizer(place: &At, name: &str, errors: &mut FieldErrors) {
    if !name.contains('/') && !KNOWN_FINALIZERS.contains(&name) {
        let words = "name is neither a standard finalizer name nor is it fully qualified";
        place.invalid_as(errors, name, words);
    }
}

/// Equal errors are told once.
pub(crate) fn each_once(errors: &mut FieldErrors) {
    if errors.len() < 2 {
        return;
    }
    let mut kept = Vec::new();
    for error in std::mem::take(errors) {
        if !kept.contains(&error) {
            kept.push(error);
        }
    }
    kept.into_iter().for_each(|error| errors.push(error));
}

fn no_new_finalizers(new: &At, old: &At, errors: &mut FieldErrors) {
    let mut extra: Vec<&str> = new
        .items()
        .map(|item| item.value.as_str().unwrap_or_default())
        .filter(|name| !old.items().any(|item| item.text() == *name))
        .collect();
    if extra.is_empty() {
        return;
    }
    extra.sort_unstable();
    extra.dedup();
    let listed: Vec<String> = extra.iter().map(|name| format!("\"{name}\"")).collect();
    let words = "no new finalizers can be added if the object is being deleted, found new \
        finalizers";
    new.forbidden(errors, format!("{words} []string{{{}}}", listed.join(", ")));
}
