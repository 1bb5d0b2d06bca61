//! The fields that a type does not know.

use std::fmt::Write as _;

use crate::Value;
use crate::decode::quoted;
use crate::types::{Schema, Shape, TypeId};

/// Kubernetes names no more than these.
pub(super) const FINDINGS_MAX: usize = 100;

/// The fields that the type does not know, in kube-apiserver's words:
/// `unknown field "spec.template.spec.containers[0].foo"`.
///
/// *Shape*: at most 100, sorted by name within an object. Compat: Kubernetes names them in the
/// order of the text. Values of the wrong type are passed over: [`super::normalize`] refuses them.
pub fn unknown_fields(schema: &Schema, id: TypeId, value: &Value) -> Vec<String> {
    let mut search = Search { schema, path: Vec::new(), found: Vec::new() };
    search.object(id, value);
    search.found
}

#[derive(Clone, Copy)]
enum Step<'value> {
    Name(&'value str),
    Index(usize),
}

struct Search<'value> {
    schema: &'value Schema,
    path: Vec<Step<'value>>,
    found: Vec<String>,
}

impl<'value> Search<'value> {
    fn object(&mut self, id: TypeId, value: &'value Value) {
        let Value::Object(map) = value else { return };
        let facts = self.schema.get(id);
        for (name, inner) in map {
            self.path.push(Step::Name(name));
            match facts.field(name) {
                Some(field) => self.shape(&field.shape, inner),
                None => self.add(),
            }
            self.path.pop();
        }
    }

    fn shape(&mut self, shape: &'value Shape, value: &'value Value) {
        match (shape, value) {
            (Shape::Object(id), _) => self.object(*id, value),
            (Shape::List(element), Value::Array(items)) if has_fields(element) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    self.shape(element, item);
                    self.path.pop();
                }
            }
            (Shape::Map(element), Value::Object(entries)) if has_fields(element) => {
                for (key, item) in entries {
                    self.path.push(Step::Name(key));
                    self.shape(element, item);
                    self.path.pop();
                }
            }
            // Compat: what Go reads by a method of its own is not searched.
            _ => {}
        }
    }

    fn add(&mut self) {
        if self.found.len() == FINDINGS_MAX {
            return;
        }
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Name(name) if path.is_empty() => path.push_str(name),
                Step::Name(name) => path.extend([".", name]),
                Step::Index(index) => write!(path, "[{index}]").expect("a string takes all"),
            }
        }
        self.found.push(format!("unknown field {}", quoted(&path)));
    }
}

pub(super) fn has_fields(shape: &Shape) -> bool {
    match shape {
        Shape::Object(_) => true,
        other => other.element().is_some_and(has_fields),
    }
}
