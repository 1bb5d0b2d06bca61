//! Objects as tables, the way `kubectl get` shows them, and as metadata alone.
//!
//! Invariant: columns have the names, order, types, formats and priorities of kube-apiserver's; a
//! row has one cell for every column. Cells are read from stored objects, which may lack anything:
//! what is absent shows as it would for a zero value. Must not know: storage, HTTP.

mod columns;
mod partial;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use columns::{Cell, Column, Printer, printer};
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
    let rows: Vec<Value> =
        objects.into_iter().map(|object| row(printer, object, include, now)).collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn row(printer: &Printer, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
    let cells: Vec<Value> =
        printer.columns.iter().map(|column| (column.cell)(object, now)).collect();
    let mut row = json!({ "cells": cells });
    row["object"] = match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => partial_object(object),
        IncludeObject::Object => object.clone(),
    };
    row
}
