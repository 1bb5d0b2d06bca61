//! What only a kind knows: its defaults, what a write may touch, and what makes it valid.
//!
//! A kind is one row of [`Hooks`]; what a row leaves out is the generic behaviour, so that a kind
//! without a row is still served. All hooks are pure functions of the objects they are given.
//!
//! The order of a create: decode and normalise, `default`, `admit_create`, then the registry fills
//! the system metadata (name, namespace, uid, creationTimestamp), then `prepare_create`,
//! `validate_create`, `warnings`. Of an update: decode, `default`, `prepare_update` (or
//! `prepare_status`), the registry keeps the system metadata, `validate_update` (or
//! `validate_status_update`), `warnings`.
//!
//! Must not know: storage, HTTP, other objects than those given.

use crate::status::FieldErrors;
use at::At;
use schema::Value;

mod amounts;
mod at;
mod checks;
mod edit;
mod formats;
mod ip;
mod jobs;
mod metadata;
mod pod;
mod quantity;
mod selection;
mod taints;
mod volumes;
mod workloads;

pub use metadata::NameRule;

/// What a kind adds to the generic registry.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// What its objects may be called.
    pub name: NameRule,
    /// Fills what the client left out.
    pub default: fn(&mut Value),
    /// What the default admission plugins add on create without looking at other objects.
    pub admit_create: fn(&mut Value),
    /// Drops what a client may not set on create, adds what the server sets.
    pub prepare_create: fn(&mut Value),
    /// Takes from the old object what an update may not set. The generic rule of the row (status
    /// kept, generation counted) is the registry's.
    pub prepare_update: fn(&mut Value, &Value),
    /// The same for an update of the status, where everything but the status is kept.
    pub prepare_status: fn(&mut Value, &Value),
    /// What the client is told of a new object, or of one that replaces the second.
    pub warnings: fn(&Value, Option<&Value>) -> Vec<String>,
    create: fn(&At, &mut FieldErrors),
    update: fn(&At, &At, &mut FieldErrors),
    status: fn(&At, &At, &mut FieldErrors),
}

/// The row of a kind that knows nothing of its own.
const GENERIC: Hooks = Hooks {
    name: NameRule::PathSegment,
    default: |_| {},
    admit_create: |_| {},
    prepare_create: |_| {},
    prepare_update: |_, _| {},
    prepare_status: |_, _| {},
    warnings: |_, _| Vec::new(),
    create: |_, _| {},
    update: |_, _, _| {},
    status: |_, _, _| {},
};

impl Hooks {
    /// Whether the object, defaulted and prepared, may be created.
    pub fn validate_create(&self, object: &Value, namespaced: bool, errors: &mut FieldErrors) {
        let root = At::root(object);
        metadata::validate(&root.at("metadata"), self.name, namespaced, errors);
        (self.create)(&root, errors);
    }

    /// Whether the object may replace the old one.
    pub fn validate_update(
        &self,
        new: &Value,
        old: &Value,
        namespaced: bool,
        errors: &mut FieldErrors,
    ) {
        let (new, old) = (At::root(new), At::root(old));
        self.validate_metadata_update(&new, &old, namespaced, errors);
        (self.update)(&new, &old, errors);
    }

    /// Whether the object may replace the old one through its status subresource.
    pub fn validate_status_update(
        &self,
        new: &Value,
        old: &Value,
        namespaced: bool,
        errors: &mut FieldErrors,
    ) {
        let (new, old) = (At::root(new), At::root(old));
        self.validate_metadata_update(&new, &old, namespaced, errors);
        (self.status)(&new, &old, errors);
    }

    fn validate_metadata_update(
        &self,
        new: &At,
        old: &At,
        namespaced: bool,
        errors: &mut FieldErrors,
    ) {
        let (new, old) = (new.at("metadata"), old.at("metadata"));
        metadata::validate(&new, NameRule::PathSegment, namespaced, errors);
        metadata::validate_update(&new, &old, errors);
    }
}

/// The row of a kind; the generic one for kinds without.
#[must_use]
pub fn hooks(group: &str, kind: &str) -> &'static Hooks {
    let found =
        ROWS.iter().find(|(its_group, its_kind, _)| *its_kind == kind && *its_group == group);
    found.map_or(&GENERIC, |(_, _, row)| row)
}

/// Every kind that knows something of its own: group, kind, row.
static ROWS: [(&str, &str, Hooks); 9] = [
    ("", "Pod", pod::POD),
    ("", "PodTemplate", pod::POD_TEMPLATE),
    ("", "ReplicationController", workloads::REPLICATION_CONTROLLER),
    ("apps", "DaemonSet", workloads::DAEMON_SET),
    ("apps", "Deployment", workloads::DEPLOYMENT),
    ("apps", "ReplicaSet", workloads::REPLICA_SET),
    ("apps", "StatefulSet", workloads::STATEFUL_SET),
    ("batch", "CronJob", jobs::CRON_JOB),
    ("batch", "Job", jobs::JOB),
];
