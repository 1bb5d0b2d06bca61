//! Objects in the shape that was asked for: as they are, as a table, as metadata alone.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use schema::Value;
use schema::types::ResourceFacts;
use serde_json::json;

use super::answer::{self, Answer};
use super::negotiate::{Form, Shape};
use super::verbs::Asked;
use crate::status::{Reason, Status};
use crate::tables::{self, Headers, IncludeObject, Printer};

/// Shapes objects of one resource.
#[derive(Debug, Clone)]
pub(crate) struct Shaper {
    facts: &'static ResourceFacts,
    /// See [`crate::registry::Rule::internal_annotation`].
    internal_annotation: Option<&'static str>,
    include: IncludeObject,
}

impl Shaper {
    /// For a request. *Errors*: `includeObject` is no known word.
    pub(crate) fn new(asked: &Asked<'_>) -> Result<Self, Status> {
        let include = asked.ask.query.first("includeObject").unwrap_or_default();
        let include = IncludeObject::parse(include).map_err(Status::bad_request)?;
        let internal_annotation = asked.resource().rule.internal_annotation.map(|(name, _)| name);
        Ok(Shaper { facts: asked.resource().facts, internal_annotation, include })
    }

    /// The answer of one object, or of the list that a deletion of a collection answers.
    pub(crate) fn answer(
        &self,
        code: StatusCode,
        bytes: Bytes,
        form: Form,
    ) -> Result<Answer, Status> {
        if form.shape == Shape::Object || form.shape == Shape::Discovery {
            return Ok(answer::json(code, form, bytes));
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(Status::internal)?;
        let document = match value.get("items").and_then(Value::as_array) {
            Some(items) => self.list(items.iter(), &value["metadata"], form)?,
            None => self.single(&value, form, Headers::Shown)?,
        };
        Ok(answer::document(code, form, &document))
    }

    /// One object in its shape.
    pub(crate) fn single(
        &self,
        value: &Value,
        form: Form,
        headers: Headers,
    ) -> Result<Value, Status> {
        if form.shape == Shape::Object || form.shape == Shape::Discovery {
            return Ok(value.clone());
        }
        let value = &*self.internal(value);
        match form.shape {
            Shape::Object | Shape::Discovery => Ok(value.clone()),
            Shape::Table(version) => {
                let printer = self.printer_of(value);
                Ok(self.table(printer, [value], &value["metadata"], version, headers))
            }
            Shape::Metadata(version) => Ok(versioned(tables::partial_object(value), version)),
            Shape::MetadataList(_) => {
                Err(self.wrong("PartialObjectMetadataList", "not a list", ""))
            }
        }
    }

    /// A list in its shape.
    pub(crate) fn list<'a>(
        &self,
        items: impl Iterator<Item = &'a Value>,
        metadata: &Value,
        form: Form,
    ) -> Result<Value, Status> {
        let internal = |items| -> Vec<Cow<'a, Value>> {
            Iterator::map(items, |item| self.internal(item)).collect()
        };
        match form.shape {
            Shape::Table(version) => {
                let printer = tables::printer(self.facts.group, self.facts.kind);
                let items = internal(items);
                let items = items.iter().map(|item| &**item);
                Ok(self.table(printer, items, metadata, version, Headers::Shown))
            }
            Shape::Metadata(_) => Err(self.wrong("PartialObjectMetadata", "a list", "List")),
            Shape::MetadataList(version) => {
                let items = internal(items);
                let items = items.iter().map(|item| &**item);
                Ok(versioned(tables::partial_object_list(items, metadata), version))
            }
            Shape::Object | Shape::Discovery => Ok(json!({
                "kind": format!("{}List", self.facts.kind),
                "apiVersion": self.facts.api_version(),
                "metadata": metadata,
                "items": items.cloned().collect::<Vec<_>>(),
            })),
        }
    }

    /// An object without what its internal form has elsewhere.
    fn internal<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        let found = |name: &&str| object.pointer("/metadata/annotations").map(|it| it.get(*name));
        let Some(name) = self.internal_annotation.filter(|name| found(name).flatten().is_some())
        else {
            return Cow::Borrowed(object);
        };
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut()
            && let Some(annotations) = metadata["annotations"].as_object_mut()
        {
            annotations.remove(name);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
        Cow::Owned(object)
    }

    /// A table without rows, for a bookmark.
    pub(crate) fn bookmark_table(&self, metadata: &Value, form: Form, headers: Headers) -> Value {
        let version = match form.shape {
            Shape::Table(version) => version,
            _ => "meta.k8s.io/v1",
        };
        let printer = tables::printer(self.facts.group, self.facts.kind);
        self.table(printer, [], metadata, version, headers)
    }

    /// The printer of one object. Subresources answer objects of other kinds than their resource's.
    fn printer_of(&self, object: &Value) -> &'static Printer {
        let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
        let group = version.unwrap_or_default().split_once('/').map_or("", |(group, _)| group);
        match kind {
            Some(kind) if kind != self.facts.kind => tables::printer(group, kind),
            _ => tables::printer(self.facts.group, self.facts.kind),
        }
    }

    fn table<'a>(
        &self,
        printer: &Printer,
        items: impl IntoIterator<Item = &'a Value>,
        metadata: &Value,
        version: &'static str,
        headers: Headers,
    ) -> Value {
        let now = jiff::Timestamp::now();
        versioned(tables::table(printer, items, metadata, self.include, headers, now), version)
    }

    /// Compat: the words name the real one's own type.
    fn wrong(&self, shape: &str, is: &str, suffix: &str) -> Status {
        let group = self.facts.group.split('.').next().filter(|group| !group.is_empty());
        let message = format!(
            "you requested {shape}, but the requested object is {is} (*{}.{}{suffix})",
            group.unwrap_or("core"),
            self.facts.kind
        );
        Status::plain(406, Reason::NotAcceptable, message)
    }
}

/// The document, and the objects in its rows, in a version of `meta.k8s.io`.
fn versioned(mut document: Value, version: &'static str) -> Value {
    document["apiVersion"] = version.into();
    let rows = document.get_mut("rows").and_then(Value::as_array_mut);
    for row in rows.into_iter().flatten() {
        let object = &mut row["object"];
        if object["kind"] == "PartialObjectMetadata" {
            object["apiVersion"] = version.into();
        }
    }
    document
}
