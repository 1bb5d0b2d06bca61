//! The schemas of types: `components.schemas`.
//!
//! Must not know: paths.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, json};

use crate::Value;
use crate::types::{
    Field, Gvk, ListType, MapType, Omit, PatchStrategy, RawForm, Schema, SchemaOr, Shape, Type,
    TypeId, Union,
};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const DEFINITIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/// The schemas that a document needs, and all that these need.
pub(super) struct Roots<'schema> {
    schema: &'schema Schema,
    group_version: (&'schema str, &'schema str),
    wanted: Vec<TypeId>,
    seen: BTreeSet<TypeId>,
    schemas: BTreeMap<String, Value>,
}

impl<'schema> Roots<'schema> {
    pub(super) fn new(schema: &'schema Schema, group: &'schema str, version: &'schema str) -> Self {
        let (wanted, seen, schemas) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        Self { schema, group_version: (group, version), wanted, seen, schemas }
    }

    /// A reference to a type, which the document will then have.
    pub(super) fn reference(&mut self, id: TypeId) -> Value {
        if self.seen.insert(id) {
            self.wanted.push(id);
        }
        reference(&self.schema.get(id).openapi)
    }

    /// A reference to a kind by group, version and kind.
    pub(super) fn kind(&mut self, group: &str, version: &str, kind: &str) -> Option<Value> {
        self.schema.kind(group, version, kind).map(|id| self.reference(id))
    }

    /// A reference to what a patch is: an object.
    pub(super) fn patch(&mut self) -> Value {
        self.leaf(&format!("{META}.Patch"), json!({"type": "object"}))
    }

    pub(super) fn into_schemas(mut self) -> Map<String, Value> {
        while let Some(id) = self.wanted.pop() {
            let facts = self.schema.get(id);
            let schema = self.object(id, facts);
            self.schemas.insert(facts.openapi.clone(), schema);
        }
        self.schemas.into_iter().collect()
    }

    fn leaf(&mut self, name: &str, schema: Value) -> Value {
        self.schemas.entry(name.to_owned()).or_insert(schema);
        reference(name)
    }

    fn object(&mut self, id: TypeId, facts: &'schema Type) -> Value {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        let mut properties = Map::new();
        for field in &facts.fields {
            let mut property = self.property(field);
            if !facts.kinds.is_empty() {
                describe(field.json, &mut property);
            }
            properties.insert(field.json.to_owned(), property.into());
        }
        let required = facts.fields.iter().filter(|field| field.required);
        let required: Vec<&str> = required.map(|field| field.json).collect();
        if !properties.is_empty() {
            schema.insert("properties".to_owned(), properties.into());
        }
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        if !facts.unions.is_empty() {
            let unions: Vec<Value> = facts.unions.iter().map(union).collect();
            schema.insert("x-kubernetes-unions".to_owned(), unions.into());
        }
        map_type(facts.map, &mut schema);
        let kinds = self.kinds(id, facts);
        if !kinds.is_empty() {
            schema.insert("x-kubernetes-group-version-kind".to_owned(), kinds.into());
        }
        schema.into()
    }

    /// The kinds of the document's own group version; of a type of another's, all that it has.
    fn kinds(&self, id: TypeId, facts: &Type) -> Vec<Value> {
        let (group, version) = self.group_version;
        let of_document = |kind: &&Gvk| kind.group == group && kind.version == version;
        let own: Vec<&Gvk> =
            facts.kinds.iter().filter(|kind| kind.group != "meta.k8s.io").collect();
        let of_document: Vec<&Gvk> = own.iter().copied().filter(of_document).collect();
        let kinds = if of_document.is_empty() { own } else { of_document };
        let mut written: Vec<Value> = kinds.iter().copied().map(group_version_kind).collect();
        // What every group version knows is a kind of this one too.
        if let [only] = kinds.as_slice()
            && (only.group.as_str(), only.version.as_str()) != self.group_version
            && self.schema.kind(group, version, &only.kind) == Some(id)
        {
            let (group, version) = (group.to_owned(), version.to_owned());
            let here = Gvk { group, version, kind: only.kind.clone() };
            written.push(group_version_kind(&here));
        }
        written
    }

    fn property(&mut self, field: &'schema Field) -> Map<String, Value> {
        let mut property = self.shape(&field.shape);
        if !field.enumeration.is_empty() {
            let inner = ["items", "additionalProperties"]
                .into_iter()
                .find(|name| property.get(*name).is_some_and(Value::is_object));
            let target = match inner {
                Some(name) => property.get_mut(name).and_then(Value::as_object_mut),
                None => Some(&mut property),
            };
            if let Some(target) = target {
                target.insert("enum".to_owned(), json!(field.enumeration));
            }
        }
        if let Some(default) = default(field) {
            property.insert("default".to_owned(), default);
        }
        let list = match &field.list {
            ListType::Unstated => None,
            ListType::Atomic => Some("atomic"),
            ListType::Set => Some("set"),
            ListType::Map(keys) => {
                property.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
                Some("map")
            }
        };
        if let Some(list) = list {
            property.insert("x-kubernetes-list-type".to_owned(), json!(list));
        }
        map_type(field.map, &mut property);
        if let Some(strategy) = patch_strategy(field.patch) {
            property.insert("x-kubernetes-patch-strategy".to_owned(), json!(strategy));
        }
        if let Some(key) = field.merge_key {
            property.insert("x-kubernetes-patch-merge-key".to_owned(), json!(key));
        }
        beside_others(property)
    }

    fn shape(&mut self, shape: &'schema Shape) -> Map<String, Value> {
        let schema = match shape {
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Int32 => json!({"type": "integer", "format": "int32"}),
            Shape::Int64 => json!({"type": "integer", "format": "int64"}),
            Shape::Float64 => json!({"type": "number", "format": "double"}),
            Shape::String => json!({"type": "string"}),
            Shape::Bytes => json!({"type": "string", "format": "byte"}),
            Shape::List(element) | Shape::WrappedList(element) => {
                json!({"type": "array", "items": self.shape(element)})
            }
            Shape::Map(element) => {
                json!({"type": "object", "additionalProperties": self.shape(element)})
            }
            Shape::Object(id) => self.reference(*id),
            Shape::Raw(RawForm::Any) => json!({}),
            named => self.named(named),
        };
        match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        }
    }

    /// What has a name of its own, and no fields.
    fn named(&mut self, shape: &'schema Shape) -> Value {
        let date = || json!({"type": "string", "format": "date-time"});
        match shape {
            Shape::Time => self.leaf(&format!("{META}.Time"), date()),
            Shape::MicroTime => self.leaf(&format!("{META}.MicroTime"), date()),
            Shape::Duration => self.leaf(&format!("{META}.Duration"), json!({"type": "string"})),
            Shape::Quantity => self.leaf(
                "io.k8s.apimachinery.pkg.api.resource.Quantity",
                json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            ),
            Shape::IntOrString => self.leaf(
                "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
                json!({
                    "format": "int-or-string",
                    "oneOf": [{"type": "integer"}, {"type": "string"}],
                }),
            ),
            Shape::Raw(RawForm::Extension) => {
                let name = "io.k8s.apimachinery.pkg.runtime.RawExtension";
                self.leaf(name, json!({"type": "object"}))
            }
            Shape::Raw(RawForm::FieldsV1) => {
                self.leaf(&format!("{META}.FieldsV1"), json!({"type": "object"}))
            }
            Shape::Raw(_) => self.leaf(&format!("{DEFINITIONS}.JSON"), json!({})),
            Shape::SchemaOr(_, other) => {
                let other = match other {
                    SchemaOr::Array => "Array",
                    SchemaOr::Bool => "Bool",
                    SchemaOr::StringArray => "StringArray",
                };
                self.leaf(&format!("{DEFINITIONS}.JSONSchemaPropsOr{other}"), json!({}))
            }
            _ => json!({}),
        }
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// What stands beside a reference would be passed over: the reference moves into an `allOf`.
fn beside_others(mut property: Map<String, Value>) -> Map<String, Value> {
    if property.len() > 1
        && let Some(target) = property.remove("$ref")
    {
        property.insert("allOf".to_owned(), json!([{"$ref": target}]));
    }
    property
}

/// Where Go has no way to leave a value out, its zero value is the default.
fn default(field: &Field) -> Option<Value> {
    if let Some(default) = &field.default {
        return Some(default.clone());
    }
    if field.pointer {
        return None;
    }
    match &field.shape {
        Shape::Object(_) => Some(json!({})),
        _ if field.omit != Omit::Never => None,
        Shape::String => Some(json!("")),
        Shape::Bool => Some(json!(false)),
        Shape::Int32 | Shape::Int64 | Shape::Float64 => Some(json!(0)),
        _ => None,
    }
}

/// Short descriptions of what every kind has.
fn describe(name: &str, property: &mut Map<String, Value>) {
    let text = match name {
        "apiVersion" => "The group and version in which this object is written.",
        "kind" => "What this object is.",
        "metadata" => "Name, labels and whatever else every object has.",
        "spec" => "What is wanted.",
        "status" => "What was last seen.",
        "items" => "The objects of the list.",
        _ => return,
    };
    property.insert("description".to_owned(), json!(text));
    *property = beside_others(std::mem::take(property));
}

fn map_type(map: MapType, schema: &mut Map<String, Value>) {
    let text = match map {
        MapType::Unstated => return,
        MapType::Atomic => "atomic",
        MapType::Granular => "granular",
    };
    schema.insert("x-kubernetes-map-type".to_owned(), json!(text));
}

fn patch_strategy(strategy: PatchStrategy) -> Option<&'static str> {
    match strategy {
        PatchStrategy::Unstated => None,
        PatchStrategy::Replace => Some("replace"),
        PatchStrategy::Merge => Some("merge"),
        PatchStrategy::RetainKeys => Some("retainKeys"),
        PatchStrategy::MergeRetainKeys => Some("merge,retainKeys"),
    }
}

fn union(union: &Union) -> Value {
    let fields: Map<String, Value> =
        union.fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let mut schema = Map::new();
    if let Some(discriminator) = union.discriminator {
        schema.insert("discriminator".to_owned(), json!(discriminator));
    }
    schema.insert("fields-to-discriminateBy".to_owned(), fields.into());
    schema.into()
}

/// As the extension writes it.
pub(super) fn group_version_kind(kind: &Gvk) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}
