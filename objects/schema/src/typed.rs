//! What a typed decode and encode leaves of a value.
//!
//! Kubernetes decodes a body into a Go struct and encodes that struct again: unknown fields are
//! dropped, zero values come and go by `omitempty`, quantities and times get the form in which Go
//! prints them. Then it stores the struct as protobuf, which does not tell an empty list from none:
//! where Go always writes a list, an empty one comes back as null. Here the same is done to the
//! value itself, by the schema.
//!
//! Invariants: what is left is a fixed point (but for Go's zero time behind a pointer, which is
//! written as null and then read as absent); a value is walked once, side by side with the sorted
//! fields of its type; a path is built only when there is an error. Compat: with several errors,
//! Go names the first in the order of the text, we the first in the order of the names. Must not
//! know: any single kind.

mod leaves;
mod strict;
mod unknown;

use std::cell::Cell;

use serde_json::Map;

pub use self::strict::strict_findings;
pub use self::unknown::unknown_fields;
use crate::Value;
use crate::types::{Field, Omit, Schema, SchemaOr, Shape, Type, TypeId};

/// Zero values that are added to one value: four bytes of `null` in a list of structs can become a
/// kilobyte, and real objects need some hundreds.
const ADDED_MAX: usize = 1 << 17;

/// A value that the Go type does not take, in the words of Go's decoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeMismatch {
    /// The whole text, as it stands behind `cannot be handled as a Deployment: `.
    pub message: String,
}

/// What Go's typed decode and encode leave of a value: unknown fields are dropped, nulls and
/// omitted zero values too; zero values that Go always writes are there; quantities and times are
/// as Go prints them.
///
/// *Errors*: a value of the wrong type, in the words of Go's decoder; the input is lost.
pub fn normalize(schema: &Schema, id: TypeId, mut value: Value) -> Result<Value, TypeMismatch> {
    let walk = Walk { schema, added: Cell::new(0) };
    match walk.object(id, &mut value) {
        Ok(()) => Ok(value),
        Err(mismatch) => {
            let expected = || schema.go_name(id);
            Err(TypeMismatch { message: mismatch.into_message(expected) })
        }
    }
}

/// An error on its way out; every struct that it leaves adds its part of the path.
#[derive(Debug)]
pub(crate) enum Mismatch {
    /// The text is whole: a parser of a leaf refused it.
    Whole(String),
    /// A JSON type that Go cannot store.
    Type {
        /// What was found: `string`, `number 1.5`.
        found: String,
        /// The Go type, when the leaf knows it.
        expected: Option<&'static str>,
        /// How many lists and maps were left between the leaf and its field.
        levels: usize,
        /// The text of the Go type, once a field gave it.
        expected_text: String,
        /// The name of the innermost struct.
        owner: &'static str,
        /// Names from the innermost outwards.
        path: Vec<&'static str>,
    },
}

impl Mismatch {
    fn of(value: &Value, expected: Option<&'static str>) -> Self {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        Self::found(found, expected)
    }

    fn found(found: String, expected: Option<&'static str>) -> Self {
        let (owner, expected_text, path) = ("", String::new(), Vec::new());
        Self::Type { found, expected, levels: 0, expected_text, owner, path }
    }

    /// Compat: Go goes on after a wrong type, to tell of the first in the end; where a parser of a
    /// leaf refuses, it stops and tells of that.
    fn after(self, earlier: Option<Self>) -> Self {
        match (earlier, &self) {
            (Some(whole @ Self::Whole(_)), _) => whole,
            (Some(earlier), Self::Type { .. }) => earlier,
            _ => self,
        }
    }

    fn out_of_element(mut self) -> Self {
        if let Self::Type { levels, owner: "", .. } = &mut self {
            *levels += 1;
        }
        self
    }

    fn out_of_field(mut self, schema: &Schema, facts: &Type, field: &Field) -> Self {
        if let Self::Type { expected, levels, expected_text, owner, path, .. } = &mut self {
            if owner.is_empty() {
                *owner = facts.short_name();
                *expected_text = match expected {
                    Some(known) => (*known).to_owned(),
                    None => schema.go_type(field, *levels),
                };
            }
            path.push(field.json);
            path.extend(field.embedded.iter().rev());
        }
        self
    }

    fn into_message(self, root: impl FnOnce() -> String) -> String {
        match self {
            Self::Whole(message) => message,
            Self::Type { found, owner: "", .. } => {
                format!("json: cannot unmarshal {found} into Go value of type {}", root())
            }
            Self::Type { found, expected_text, owner, mut path, .. } => {
                path.reverse();
                let path = path.join(".");
                format!(
                    "json: cannot unmarshal {found} into Go struct field {owner}.{path} of type \
                     {expected_text}"
                )
            }
        }
    }
}

type Outcome = Result<(), Mismatch>;

struct Walk<'schema> {
    schema: &'schema Schema,
    added: Cell<usize>,
}

impl Walk<'_> {
    /// A struct; null leaves it zero.
    fn object(&self, id: TypeId, value: &mut Value) -> Outcome {
        let facts = self.schema.get(id);
        match value {
            Value::Object(map) => self.fields(facts, map),
            Value::Null => {
                *value = self.zero_object(facts)?;
                Ok(())
            }
            other => Err(Mismatch::of(other, None)),
        }
    }

    /// Names of maps and of types are both sorted: they are walked side by side.
    fn fields(&self, facts: &Type, map: &mut Map<String, Value>) -> Outcome {
        let mut names = facts.by_json.iter().map(|index| &facts.fields[usize::from(*index)]);
        let mut next = names.next();
        let mut failed = None;
        map.retain(|name, value| {
            while next.is_some_and(|field| field.json < name.as_str()) {
                next = names.next();
            }
            let Some(field) = next.filter(|field| field.json == name) else { return false };
            if value.is_null() {
                return false;
            }
            self.field(field, value).unwrap_or_else(|mismatch| {
                let mismatch = mismatch.out_of_field(self.schema, facts, field);
                failed = Some(mismatch.after(failed.take()));
                false
            })
        });
        if let Some(mismatch) = failed {
            return Err(mismatch);
        }
        self.add_always(facts, map)
    }

    fn add_always(&self, facts: &Type, map: &mut Map<String, Value>) -> Outcome {
        for index in &facts.always {
            let field = &facts.fields[usize::from(*index)];
            if !map.contains_key(field.json) {
                let zero = if field.pointer { Value::Null } else { self.zero(&field.shape)? };
                map.insert(field.json.to_owned(), zero);
                self.added.set(self.added.get() + 1);
            }
        }
        if self.added.get() > ADDED_MAX {
            return Err(Mismatch::Whole("too many empty parts".to_owned()));
        }
        Ok(())
    }

    /// Whether Go writes the field.
    fn field(&self, field: &Field, value: &mut Value) -> Result<bool, Mismatch> {
        self.shape(&field.shape, value)?;
        Ok(match field.omit {
            Omit::Never => {
                if matches!(field.shape, Shape::List(_) | Shape::Map(_)) && is_empty(value) {
                    *value = Value::Null;
                }
                true
            }
            Omit::Empty => field.pointer || field.shape.is_struct() || !is_empty(value),
            Omit::Zero => !value.is_null() && (field.pointer || !is_empty(value)),
        })
    }

    fn shape(&self, shape: &Shape, value: &mut Value) -> Outcome {
        match shape {
            Shape::Object(id) => self.object(*id, value),
            Shape::List(element) | Shape::WrappedList(element) => self.list(element, value),
            Shape::Map(element) => self.map(element, value),
            Shape::SchemaOr(id, other) => self.schema_or(*id, *other, value),
            leaf => leaves::normalize(leaf, value),
        }
    }

    fn list(&self, element: &Shape, value: &mut Value) -> Outcome {
        let Value::Array(items) = value else { return Err(Mismatch::of(value, None)) };
        self.elements(element, items.iter_mut())
    }

    fn map(&self, element: &Shape, value: &mut Value) -> Outcome {
        let Value::Object(entries) = value else { return Err(Mismatch::of(value, None)) };
        self.elements(element, entries.values_mut())
    }

    fn elements<'value>(
        &self,
        element: &Shape,
        items: impl Iterator<Item = &'value mut Value>,
    ) -> Outcome {
        let mut failed = None;
        for item in items {
            if let Err(mismatch) = self.element(element, item) {
                let whole = matches!(mismatch, Mismatch::Whole(_));
                failed = Some(mismatch.after(failed));
                if whole {
                    break;
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Go leaves an element that is null at its zero value.
    fn element(&self, shape: &Shape, value: &mut Value) -> Outcome {
        if value.is_null() {
            *value = self.zero(shape)?;
            return Ok(());
        }
        self.shape(shape, value).map_err(Mismatch::out_of_element)
    }

    /// Compat: what is neither form, Go's decoder of these types leaves zero.
    fn schema_or(&self, id: TypeId, other: SchemaOr, value: &mut Value) -> Outcome {
        match (other, &mut *value) {
            (_, Value::Object(_)) => self.object(id, value),
            (SchemaOr::Bool, Value::Bool(_)) => Ok(()),
            (SchemaOr::Array, Value::Array(_)) => self.list(&Shape::Object(id), value),
            (SchemaOr::StringArray, Value::Array(_)) => self.list(&Shape::String, value),
            (SchemaOr::Bool, _) => {
                Err(Mismatch::Whole("boolean or JSON schema expected".to_owned()))
            }
            (SchemaOr::Array | SchemaOr::StringArray, found) => {
                *found = Value::Null;
                Ok(())
            }
        }
    }

    /// What Go writes of a zero value.
    fn zero(&self, shape: &Shape) -> Result<Value, Mismatch> {
        match shape {
            Shape::Object(id) => self.zero_object(self.schema.get(*id)),
            leaf => Ok(leaves::zero(leaf)),
        }
    }

    fn zero_object(&self, facts: &Type) -> Result<Value, Mismatch> {
        let mut map = Map::new();
        self.add_always(facts, &mut map)?;
        Ok(Value::Object(map))
    }
}

/// What Go's `omitempty` takes for empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

impl Schema {
    /// What Go's reflection calls a type: `v1.PodSpec`.
    fn go_name(&self, id: TypeId) -> String {
        let name = self.get(id).name;
        name.split_once('/').map_or(name, |(_, rest)| rest).to_owned()
    }

    /// What Go calls the type of a field, or of what is `levels` lists and maps inside it.
    fn go_type(&self, field: &Field, levels: usize) -> String {
        let mut shape = &field.shape;
        let mut written = field.go_type;
        for _ in 0..levels {
            let Some(element) = shape.element() else { break };
            shape = element;
            let inner = |text: &'static str| text.find(']').map(|at| &text[at + 1..]);
            written = written.and_then(inner).map(|text| text.trim_start_matches('*'));
        }
        written.map_or_else(|| self.go_shape(shape), str::to_owned)
    }

    fn go_shape(&self, shape: &Shape) -> String {
        match shape {
            Shape::List(element) | Shape::WrappedList(element) => {
                format!("[]{}", self.go_shape(element))
            }
            Shape::Map(element) => format!("map[string]{}", self.go_shape(element)),
            Shape::Object(id) => self.go_name(*id),
            leaf => leaves::go_type(leaf).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
