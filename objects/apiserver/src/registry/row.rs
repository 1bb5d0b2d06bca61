//! A row: one resource in one version, as the generic verbs see it.
//!
//! Invariant: rows of one group and resource share one storage key and one rule; they differ in
//! version, and so in the conversion to and from the stored form.

use schema::types::{ResourceFacts, Schema, TypeId};

use super::rules::{Rule, rule_of};
use crate::kinds::{Hooks, hooks};

/// One resource in one version.
pub struct Resource {
    /// What discovery says of it.
    pub facts: &'static ResourceFacts,
    /// The type of its objects, in this version.
    pub type_id: TypeId,
    /// What the facts cannot say.
    pub rule: &'static Rule,
    /// What its kind adds.
    pub hooks: &'static Hooks,
    /// The group and version objects are stored in.
    pub stored: (&'static str, &'static str),
    /// The type of objects as they are stored.
    pub stored_type_id: TypeId,
    /// The folder of the storage, as `/pods/`.
    pub folder: String,
}

/// The type of a request's body.
#[derive(Debug, Clone, Copy)]
pub struct BodyType {
    /// The group.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The type in the schema.
    pub type_id: TypeId,
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resource({} {})", self.facts.api_version(), self.facts.plural)
    }
}

impl Resource {
    /// The row of what discovery names; none when its kind is not in the schema or nothing of it
    /// is stored.
    #[must_use]
    pub fn new(schema: &'static Schema, facts: &'static ResourceFacts) -> Option<Self> {
        let rule = rule_of(facts.group, facts.plural);
        let stored = match rule.stored {
            ("", "") => (facts.group, facts.version),
            named => named,
        };
        let prefix = if rule.prefix.is_empty() { facts.plural } else { rule.prefix };
        Some(Self {
            facts,
            type_id: schema.kind(facts.group, facts.version, facts.kind)?,
            rule,
            hooks: hooks(facts.group, facts.kind),
            stored,
            stored_type_id: schema.kind(stored.0, stored.1, facts.kind)?,
            folder: format!("/{prefix}/"),
        })
    }

    /// The group, empty for core.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.facts.group
    }

    /// The name in paths.
    #[must_use]
    pub fn plural(&self) -> &'static str {
        self.facts.plural
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.facts.kind
    }

    /// Whether objects live in namespaces.
    #[must_use]
    pub fn namespaced(&self) -> bool {
        self.facts.namespaced
    }

    /// Whether the version served is the version stored.
    #[must_use]
    pub fn is_stored_version(&self) -> bool {
        self.stored == (self.facts.group, self.facts.version)
    }

    /// Whether the status is a part of its own.
    #[must_use]
    pub fn has_status(&self) -> bool {
        self.facts.subresource("status").is_some()
    }

    /// The `apiVersion` of stored objects.
    #[must_use]
    pub fn stored_api_version(&self) -> String {
        let (group, version) = self.stored;
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
    }

    /// What a body sent to the resource, or to its subresource, must be; none if there is no such
    /// subresource.
    #[must_use]
    pub fn body_type(&self, schema: &Schema, subresource: Option<&str>) -> Option<BodyType> {
        let (group, version, kind) = match subresource {
            None => (self.facts.group, self.facts.version, self.facts.kind),
            Some(name) => {
                let facts = self.facts.subresource(name)?;
                (facts.group, facts.version, facts.kind)
            }
        };
        let type_id = schema.kind(group, version, kind)?;
        Some(BodyType { group, version, kind, type_id })
    }

    /// The storage key of an object.
    #[must_use]
    pub fn key(&self, namespace: &str, name: &str) -> String {
        if self.namespaced() {
            format!("{}{namespace}/{name}", self.folder)
        } else {
            format!("{}{name}", self.folder)
        }
    }
}
