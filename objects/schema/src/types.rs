//! The schema's own types: what is known of every Kubernetes type, field and resource.
//!
//! Invariants: a [`TypeId`] indexes the schema that gave it; every name is borrowed from the fact
//! file; fields stand in the order in which Go writes them as JSON. Must not know: how the facts
//! are written down, nor what is done by them.

use std::collections::HashMap;

use crate::Value;

/// A type of the schema. Valid for the schema that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(crate) u32);

/// Group, version and kind. The core group is the empty string.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// The API group, empty for core.
    pub group: String,
    /// The version, such as `v1`.
    pub version: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
}

impl Gvk {
    /// The value of `apiVersion`: `apps/v1`, or `v1` for core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// Kinds that every group version knows.
const EVERYWHERE: [&str; 7] = [
    "CreateOptions",
    "DeleteOptions",
    "GetOptions",
    "ListOptions",
    "PatchOptions",
    "UpdateOptions",
    "WatchEvent",
];

/// Everything that is known of one Kubernetes release.
#[derive(Debug)]
pub struct Schema {
    pub(crate) types: Vec<Type>,
    pub(crate) by_name: HashMap<&'static str, TypeId>,
    pub(crate) kinds: HashMap<(&'static str, &'static str, &'static str), TypeId>,
    pub(crate) deprecations: HashMap<(&'static str, &'static str, &'static str), Deprecation>,
    pub(crate) resources: Vec<ResourceFacts>,
}

impl Schema {
    /// The type of a kind. The core group is the empty string.
    ///
    /// Options and watch events are kinds of every group version that has any kind.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<TypeId> {
        let found = self.kinds.get(&(group, version, kind)).copied();
        if found.is_none() && EVERYWHERE.contains(&kind) {
            let known = self.kinds.keys().any(|known| known.0 == group && known.1 == version);
            return known.then(|| self.kinds.get(&("", "v1", kind)).copied()).flatten();
        }
        found
    }

    /// The type that is called by its package's tail and its name: `core/v1.PodSpec`.
    pub fn named(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The facts of a type.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// Every type with its id, in the order of the fact file (by name).
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        (0u32..).map(TypeId).zip(&self.types)
    }

    /// The resources that a kube-apiserver serves by default, in discovery order: by group
    /// version as it lists them, then by name.
    pub fn resources(&self) -> &[ResourceFacts] {
        &self.resources
    }

    /// What warns of a kind that is deprecated.
    pub fn deprecation(&self, group: &str, version: &str, kind: &str) -> Option<Deprecation> {
        self.deprecations.get(&(group, version, kind)).copied()
    }

    /// The row of a resource.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&ResourceFacts> {
        self.resources
            .iter()
            .find(|row| row.plural == plural && row.version == version && row.group == group)
    }
}

/// One Go struct: what JSON and protobuf know of it.
#[derive(Debug)]
pub struct Type {
    /// The tail of the Go package and the name: `core/v1.PodSpec`.
    pub name: &'static str,
    /// What OpenAPI calls it: `io.k8s.api.core.v1.PodSpec`.
    pub openapi: String,
    /// Whether OpenAPI's published documents describe it.
    pub published: bool,
    /// The fields that JSON sees, in Go's order; those of inlined structs stand in their place.
    pub fields: Vec<Field>,
    /// What protobuf sees, by tag; an inlined struct is a message of its own there.
    pub wire: Vec<WireMember>,
    /// The kinds that this type is, most often none or one.
    pub kinds: Vec<Gvk>,
    /// What server-side apply takes it for.
    pub map: MapType,
    /// Which fields are told apart by another, as OpenAPI says it.
    pub unions: Vec<Union>,
    /// Indices of `fields`, by JSON name.
    pub(crate) by_json: Vec<u16>,
    /// Indices of the fields that Go writes even when they are zero.
    pub(crate) always: Vec<u16>,
}

impl Type {
    /// The field of a JSON name, exactly as it is spelled.
    pub fn field(&self, json: &str) -> Option<&Field> {
        let at = |index: &u16| self.fields[usize::from(*index)].json.cmp(json);
        let found = self.by_json.binary_search_by(at).ok()?;
        Some(&self.fields[usize::from(self.by_json[found])])
    }

    /// The name without its package: `PodSpec`.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, short)| short)
    }
}

/// A member of a protobuf message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireMember {
    /// `fields[index]`, by the field's own tag.
    Field(u16),
    /// An inlined struct: a message under `tag` that holds these members.
    Inline {
        /// The tag of the message.
        tag: u32,
        /// Whether an absent message is told from an empty one.
        pointer: bool,
        /// What the message holds, by tag.
        members: Vec<WireMember>,
    },
}

/// A field of a struct.
#[derive(Debug)]
pub struct Field {
    /// The name in JSON.
    pub json: &'static str,
    /// The tag in protobuf, 0 when protobuf does not carry the field.
    pub tag: u32,
    /// What it holds.
    pub shape: Shape,
    /// Whether it is a pointer in Go, so that zero is told from absent.
    pub pointer: bool,
    /// When Go leaves it out of JSON.
    pub omit: Omit,
    /// What server-side apply takes a list for.
    pub list: ListType,
    /// What server-side apply takes a map or struct for here.
    pub map: MapType,
    /// What a strategic merge patch does with it.
    pub patch: PatchStrategy,
    /// The key by which a strategic merge patch matches the elements of a list.
    pub merge_key: Option<&'static str>,
    /// Whether OpenAPI requires it.
    pub required: bool,
    /// The values that OpenAPI allows, empty for any.
    pub enumeration: Vec<&'static str>,
    /// OpenAPI's `default`, where it is not Go's zero value.
    pub default: Option<Value>,
    /// The name of its Go type, where the shape does not tell it: `v1.PodPhase`.
    pub go_type: Option<&'static str>,
    /// The Go structs that are inlined around it, the outermost first: errors name them.
    pub embedded: Vec<&'static str>,
}

/// What a field or an element holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A boolean.
    Bool,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// A float.
    Float64,
    /// A string, named or not.
    String,
    /// Bytes, in JSON as base64.
    Bytes,
    /// RFC 3339 in whole seconds, UTC.
    Time,
    /// RFC 3339 in microseconds, UTC.
    MicroTime,
    /// Go's text of a duration, such as `1m0s`.
    Duration,
    /// A quantity, such as `500m`.
    Quantity,
    /// A number or a string.
    IntOrString,
    /// Any JSON: `RawExtension`, `JSON`, `FieldsV1`.
    Raw(RawForm),
    /// A list.
    List(Box<Shape>),
    /// A list that protobuf wraps in a message `{items = 1}`, such as `Verbs`.
    WrappedList(Box<Shape>),
    /// A map by string.
    Map(Box<Shape>),
    /// A struct.
    Object(TypeId),
    /// A schema of a definition or one of its two other forms.
    SchemaOr(TypeId, SchemaOr),
}

impl Shape {
    /// Whether Go holds it in a struct, which `omitempty` never takes for empty.
    pub fn is_struct(&self) -> bool {
        match self {
            Self::Time | Self::MicroTime | Self::Duration | Self::Quantity => true,
            Self::IntOrString | Self::Object(_) | Self::SchemaOr(..) => true,
            Self::Raw(form) => *form != RawForm::Any,
            _ => false,
        }
    }

    /// What a list or a map holds.
    pub fn element(&self) -> Option<&Shape> {
        match self {
            Self::List(inner) | Self::WrappedList(inner) | Self::Map(inner) => Some(inner),
            _ => None,
        }
    }
}

/// How any JSON is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawForm {
    /// `runtime.RawExtension`: an object; in protobuf possibly an envelope of its own.
    Extension,
    /// `apiextensions JSON`: any value as text.
    Json,
    /// `meta/v1 FieldsV1`: an object as text.
    FieldsV1,
    /// A Go `interface{}`: any value, never in protobuf.
    Any,
}

/// The three unions of `JSONSchemaProps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaOr {
    /// A schema or a list of schemas.
    Array,
    /// A schema or a boolean.
    Bool,
    /// A schema or a list of strings.
    StringArray,
}

/// When Go leaves a field out of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omit {
    /// Never.
    Never,
    /// When it is Go's empty value: `omitempty`. Structs are never empty.
    Empty,
    /// When it is zero, structs too: `omitzero`, alone or beside `omitempty`.
    Zero,
}

/// What server-side apply takes a list for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListType {
    /// Not said: as atomic.
    Unstated,
    /// One value.
    Atomic,
    /// A set of scalars.
    Set,
    /// Elements by these keys.
    Map(Vec<&'static str>),
}

/// What server-side apply takes a map or a struct for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// Not said: key by key.
    Unstated,
    /// One value.
    Atomic,
    /// Key by key, said so.
    Granular,
}

/// Fields of which one is set, and the field that says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Union {
    /// The JSON name of the field that says it, if one does.
    pub discriminator: Option<&'static str>,
    /// JSON names and the discriminator's values, sorted.
    pub fields: Vec<(&'static str, &'static str)>,
}

/// What a strategic merge patch does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchStrategy {
    /// Not said: lists are replaced, maps merged.
    Unstated,
    /// Replaced, said so.
    Replace,
    /// Merged.
    Merge,
    /// Keys that the patch does not retain go.
    RetainKeys,
    /// Merged, and keys of elements that the patch does not retain go.
    MergeRetainKeys,
}

impl PatchStrategy {
    /// Whether a list is merged.
    pub fn merges(self) -> bool {
        matches!(self, Self::Merge | Self::MergeRetainKeys)
    }

    /// Whether `$retainKeys` is understood.
    pub fn retains_keys(self) -> bool {
        matches!(self, Self::RetainKeys | Self::MergeRetainKeys)
    }
}

/// A resource as discovery names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceFacts {
    /// The group, empty for core.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// The name in paths: `deployments`.
    pub plural: &'static str,
    /// The name for one: `deployment`.
    pub singular: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
    /// Short names, as `deploy`.
    pub short_names: Vec<&'static str>,
    /// Categories, as `all`.
    pub categories: Vec<&'static str>,
    /// What may be done, sorted by name.
    pub verbs: Vec<&'static str>,
    /// The hash of the stored version; empty for what is not stored.
    pub storage_version_hash: &'static str,
    /// Whether a deletion answers with the object that is gone, not with a status.
    pub returns_deleted: bool,
    /// By name.
    pub subresources: Vec<SubresourceFacts>,
    /// When the version is deprecated: what warns of it.
    pub deprecated: Option<Deprecation>,
}

impl ResourceFacts {
    /// The value of `apiVersion`: `apps/v1`, or `v1` for core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// A subresource by its name: `status`.
    pub fn subresource(&self, name: &str) -> Option<&SubresourceFacts> {
        self.subresources.iter().find(|facts| facts.name == name)
    }

    /// Whether a verb may be used.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }
}

/// A subresource as discovery names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubresourceFacts {
    /// The last part of the path: `scale`.
    pub name: &'static str,
    /// The kind that it speaks.
    pub kind: &'static str,
    /// The group of that kind.
    pub group: &'static str,
    /// The version of that kind.
    pub version: &'static str,
    /// What may be done, sorted by name.
    pub verbs: Vec<&'static str>,
}

/// What a warning says of a deprecated version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// The release in which it was deprecated: `1.21`.
    pub since: &'static str,
    /// The release that no longer serves it: `1.25`.
    pub removed_in: Option<&'static str>,
    /// `apiVersion` and kind of what takes its place.
    pub replacement: Option<(&'static str, &'static str)>,
}
