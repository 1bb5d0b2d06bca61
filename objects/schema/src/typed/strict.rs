//! What strict decoding finds in the text of a body, in the order of the text.
//!
//! A value tree knows neither the order of its keys nor which came twice: the text is read again,
//! but only when there is something to find. Must not know: what becomes of it.

use std::collections::HashSet;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::unknown::{FINDINGS_MAX, has_fields, unknown_fields};
use crate::Value;
use crate::decode::quoted;
use crate::types::{Schema, Shape, TypeId};

/// Unknown and duplicate fields of a JSON text, in Kubernetes' words and in the order of the text.
///
/// `value` and `duplicates` are what [`crate::decode::json`] made of the text. Compat: as in Go,
/// nothing is found inside of unknown fields and of what types decode by a method of their own.
/// *Shape*: at most 100, each once.
pub fn strict_findings(
    schema: &Schema,
    id: TypeId,
    text: &[u8],
    value: &Value,
    duplicates: Vec<String>,
) -> Vec<String> {
    let mut unknown = unknown_fields(schema, id, value);
    if unknown.is_empty() && duplicates.is_empty() {
        return unknown;
    }
    let mut search =
        Search { schema, path: String::new(), seen: HashSet::new(), found: Vec::new() };
    let walk = Walk { search: &mut search, inside: Inside::Object(id) };
    let mut reader = serde_json::Deserializer::from_slice(text);
    if walk.deserialize(&mut reader).is_ok() {
        return search.found;
    }
    // Text that only our own reader takes, as bytes that are no UTF-8: in the order of names.
    unknown.extend(duplicates);
    unknown
}

struct Search<'schema> {
    schema: &'schema Schema,
    path: String,
    seen: HashSet<String>,
    found: Vec<String>,
}

impl Search<'_> {
    /// Adds a part to the path; the length to which it is cut afterwards.
    fn enter(&mut self, name: &str) -> usize {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        length
    }

    fn add(&mut self, what: &str) {
        let finding = format!("{what} {}", quoted(&self.path));
        if self.found.len() < FINDINGS_MAX && self.seen.insert(finding.clone()) {
            self.found.push(finding);
        }
    }
}

#[derive(Clone, Copy)]
enum Inside<'schema> {
    Object(TypeId),
    Map(&'schema Shape),
    List(&'schema Shape),
}

impl<'schema> Inside<'schema> {
    fn of(shape: &'schema Shape) -> Option<Self> {
        match shape {
            Shape::Object(id) => Some(Self::Object(*id)),
            Shape::Map(element) => Some(Self::Map(element)),
            Shape::List(element) | Shape::WrappedList(element) if has_fields(element) => {
                Some(Self::List(element))
            }
            _ => None,
        }
    }
}

struct Walk<'walk, 'schema> {
    search: &'walk mut Search<'schema>,
    inside: Inside<'schema>,
}

impl<'schema> Walk<'_, 'schema> {
    fn value<'text, A: MapAccess<'text>>(
        search: &mut Search<'schema>,
        shape: Option<&'schema Shape>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match shape.and_then(Inside::of) {
            Some(inside) => map.next_value_seed(Walk { search, inside }),
            None => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

impl<'text> DeserializeSeed<'text> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'text>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'text> Visitor<'text> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'text>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { search, inside } = self;
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let length = search.enter(&key);
            let shape = match inside {
                Inside::Object(id) => {
                    let schema = search.schema;
                    let field = schema.get(id).field(&key);
                    if field.is_none() {
                        search.add("unknown field");
                    }
                    field.map(|field| &field.shape)
                }
                Inside::Map(element) => Some(element),
                Inside::List(_) => None,
            };
            if shape.is_some() && !keys.insert(key) {
                search.add("duplicate field");
            }
            Self::value(search, shape, &mut map)?;
            search.path.truncate(length);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'text>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { search, inside } = self;
        let inside = if let Inside::List(element) = inside { Inside::of(element) } else { None };
        let Some(inside) = inside else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        let length = search.path.len();
        for index in 0.. {
            search.path.push_str(&format!("[{index}]"));
            let item = items.next_element_seed(Walk { search: &mut *search, inside })?;
            search.path.truncate(length);
            if item.is_none() {
                break;
            }
        }
        Ok(())
    }

    // What is of the wrong type has nothing to be found in.
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
