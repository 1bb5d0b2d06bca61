//! Objects as tables, the way `kubectl get` shows them, and as metadata alone.
//!
//! Invariant: columns have the names, order, types, formats and priorities of kube-apiserver's; a
//! row has one cell for every column. Cells are read from stored objects, which may lack anything:
//! what is absent shows as it would for a zero value. Must not know: storage, HTTP.

mod access;
mod age;
mod cluster;
mod columns;
mod extension;
mod network;
mod partial;
mod pods;
mod read;
mod storage;
mod workloads;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use age::human;
pub use columns::{Cell, Column, DefaultOf, Printer, printer};
pub use partial::{partial_object, partial_object_list};

/// What a row carries of its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// The metadata: the default.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter `includeObject`; the empty text means the default.
    ///
    /// *Errors*: a bad request with this message.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => {
                Err(format!("unrecognized includeObject value: {}", schema::decode::quoted(other)))
            }
        }
    }
}

/// Whether a table says what its columns are. In a watch only the first event's does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// With `columnDefinitions`.
    Shown,
    /// With `columnDefinitions: null`.
    Hidden,
}

/// A `meta.k8s.io/v1` Table of the given objects.
///
/// `list_metadata` is the metadata of the list, or of the single object, of which the table keeps
/// `resourceVersion`, `continue` and `remainingItemCount`.
pub fn table<'a>(
    printer: &Printer,
    objects: impl IntoIterator<Item = &'a Value>,
    list_metadata: &Value,
    include: IncludeObject,
    headers: Headers,
    now: Timestamp,
) -> Value {
    let mut metadata = Map::new();
    for name in ["continue", "remainingItemCount", "resourceVersion"] {
        if let Some(value) = list_metadata.get(name) {
            metadata.insert(name.to_owned(), value.clone());
        }
    }
    let definitions = match headers {
        Headers::Shown => printer.columns.iter().map(Column::definition).collect(),
        Headers::Hidden => Value::Null,
    };
    let mut objects: Vec<&Value> = objects.into_iter().collect();
    // A list's metadata has no name; a single object is neither ordered nor marked.
    let is_list = list_metadata.get("name").is_none();
    if let (true, Some(order)) = (is_list, printer.order) {
        objects.sort_by(|a, b| order(a, b));
    }
    let default = printer.default_of.filter(|_| is_list).and_then(|of| of(&objects));
    let mut rows: Vec<Value> =
        objects.iter().map(|object| row(printer, object, include, now)).collect();
    if let Some(cell) = default.and_then(|index| rows.get_mut(index)?.pointer_mut("/cells/0")) {
        *cell = json!(format!("{} (default)", cell.as_str().unwrap_or_default()));
    }
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// Compat: a row has the metadata of the internal form, in which the counter of a DaemonSet's
/// templates is a field and no annotation.
fn metadata_of_row(object: &Value) -> Value {
    const COUNTER: &str = "deprecated.daemonset.template.generation";
    let mut partial = partial_object(object);
    let metadata = partial["metadata"].as_object_mut();
    if let Some(Value::Object(annotations)) =
        metadata.and_then(|metadata| metadata.get_mut("annotations"))
        && annotations.remove(COUNTER).is_some()
        && annotations.is_empty()
        && let Some(metadata) = partial["metadata"].as_object_mut()
    {
        metadata.remove("annotations");
    }
    partial
}

fn row(printer: &Printer, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
    let columns = printer.columns.iter().map(|column| &column.cell);
    let cells: Vec<_> = columns.chain(printer.extra_cells).map(|cell| cell(object, now)).collect();
    let object_of_row = match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => metadata_of_row(object),
        IncludeObject::Object => object.clone(),
    };
    let mut row = json!({ "cells": cells, "object": object_of_row });
    if let Some(conditions) = printer.conditions.and_then(|conditions| conditions(object)) {
        row["conditions"] = conditions;
    }
    row
}
