//! From a value to bytes, as Go's generated code writes them: from the end to the beginning.
//!
//! Must not know: where the bytes go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::read::{FIRST, FOURTH, RAW, SECOND, THIRD};
use super::wire::Backwards;
use super::{MAGIC, ProtobufError};
use crate::Value;
use crate::duration;
use crate::time::Time;
use crate::types::{Field, Schema, SchemaOr, Shape, Type, TypeId, WireMember};

type Outcome = Result<(), ProtobufError>;

pub(super) fn message(schema: &Schema, id: TypeId, value: &Value) -> Result<Bytes, ProtobufError> {
    let mut write = Write { schema, out: Backwards::default() };
    write.message(id, value)?;
    Ok(write.out.into_bytes())
}

pub(super) fn enveloped(
    schema: &Schema,
    id: TypeId,
    value: &Value,
) -> Result<Bytes, ProtobufError> {
    let mut write = Write { schema, out: Backwards::default() };
    write.out.bytes_field(FOURTH, b"");
    write.out.bytes_field(THIRD, b"");
    let before = write.out.len();
    write.message(id, value)?;
    write.out.length(RAW, before);
    let before = write.out.len();
    for (tag, name) in [(SECOND, "kind"), (FIRST, "apiVersion")] {
        let text = value.get(name).and_then(Value::as_str).unwrap_or_default();
        write.out.bytes_field(tag, text.as_bytes());
    }
    write.out.length(FIRST, before);
    write.out.bytes(&MAGIC);
    Ok(write.out.into_bytes())
}

struct Write<'schema> {
    schema: &'schema Schema,
    out: Backwards,
}

impl<'schema> Write<'schema> {
    fn message(&mut self, id: TypeId, value: &Value) -> Outcome {
        if !value.is_object() && !value.is_null() {
            return Err(mismatch(value, "an object"));
        }
        let facts = self.schema.get(id);
        self.members(facts, &facts.wire, value)
    }

    fn members(
        &mut self,
        facts: &'schema Type,
        members: &'schema [WireMember],
        value: &Value,
    ) -> Outcome {
        for member in members.iter().rev() {
            match member {
                WireMember::Field(index) => {
                    let field = &facts.fields[usize::from(*index)];
                    self.field(field, value.get(field.json).unwrap_or(&Value::Null))?;
                }
                WireMember::Inline { tag, pointer, members } => {
                    let before = self.out.len();
                    self.members(facts, members, value)?;
                    if !pointer || self.out.len() > before {
                        self.out.length(*tag, before);
                    }
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'schema Field, value: &Value) -> Outcome {
        match (&field.shape, value) {
            // Absent lists and maps, and what has an absent form in Go, are not written.
            (
                Shape::List(_) | Shape::WrappedList(_) | Shape::Map(_) | Shape::Bytes,
                Value::Null,
            ) => Ok(()),
            (_, Value::Null) if field.pointer => Ok(()),
            (Shape::List(element), Value::Array(items)) => {
                items.iter().rev().try_for_each(|item| self.tagged(field.tag, element, item))
            }
            (Shape::Map(element), Value::Object(entries)) => {
                for (key, item) in entries.iter().rev() {
                    let before = self.out.len();
                    // Bytes that Go holds as nil are left out of an entry.
                    if !(item.is_null() && **element == Shape::Bytes) {
                        self.tagged(SECOND, element, item)?;
                    }
                    self.out.bytes_field(FIRST, key.as_bytes());
                    self.out.length(field.tag, before);
                }
                Ok(())
            }
            (shape, value) => self.tagged(field.tag, shape, value),
        }
    }

    /// A value with its key. Null is the zero value.
    fn tagged(&mut self, tag: u32, shape: &'schema Shape, value: &Value) -> Outcome {
        match shape {
            Shape::Bool => {
                let varint = zero_or(value, value.as_bool(), "a boolean")?;
                self.out.varint_field(tag, u64::from(varint));
                return Ok(());
            }
            Shape::Int32 | Shape::Int64 => {
                let number = zero_or(value, value.as_i64(), "an integer")?;
                self.out.varint_field(tag, number.cast_unsigned());
                return Ok(());
            }
            Shape::Float64 => {
                let number = zero_or(value, value.as_f64(), "a number")?;
                self.out.bytes(&number.to_le_bytes());
                self.out.key(tag, 1);
                return Ok(());
            }
            _ => {}
        }
        let before = self.out.len();
        self.delimited(shape, value)?;
        self.out.length(tag, before);
        Ok(())
    }

    /// What has a length before it.
    fn delimited(&mut self, shape: &'schema Shape, value: &Value) -> Outcome {
        match shape {
            Shape::String => self.out.bytes(text(value)?.as_bytes()),
            Shape::Bytes => {
                let bytes = STANDARD.decode(text(value)?);
                self.out.bytes(&bytes.map_err(|_| mismatch(value, "base64"))?);
            }
            Shape::Time => self.time(value, Time::parse)?,
            Shape::MicroTime => self.time(value, Time::parse_micros)?,
            Shape::Duration => {
                let nanos = match value {
                    Value::Null => 0,
                    other => duration::parse(text(other)?).map_err(ProtobufError::Mismatch)?,
                };
                self.out.varint_field(FIRST, nanos.cast_unsigned());
            }
            Shape::Quantity => {
                let quantity = if value.is_null() { "0" } else { text(value)? };
                self.out.bytes_field(FIRST, quantity.as_bytes());
            }
            Shape::IntOrString => self.int_or_string(value)?,
            Shape::Raw(_) => {
                if !value.is_null() {
                    self.out.bytes_field(FIRST, value.to_string().as_bytes());
                }
            }
            Shape::Object(id) => self.message(*id, value)?,
            Shape::SchemaOr(id, other) => self.schema_or(*id, *other, value)?,
            Shape::List(element) | Shape::WrappedList(element) => {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                items.iter().rev().try_for_each(|item| self.tagged(FIRST, element, item))?;
            }
            _ => return Err(mismatch(value, "something that protobuf carries")),
        }
        Ok(())
    }

    fn time(&mut self, value: &Value, parse: fn(&str) -> Result<Time, String>) -> Outcome {
        if value.is_null() {
            return Ok(());
        }
        let time = parse(text(value)?).map_err(ProtobufError::Mismatch)?;
        if time != Time::ZERO {
            self.out.varint_field(SECOND, u64::from(time.nanos));
            self.out.varint_field(FIRST, time.seconds.cast_unsigned());
        }
        Ok(())
    }

    fn int_or_string(&mut self, value: &Value) -> Outcome {
        let (kind, number, text) = match value {
            Value::String(text) => (1, 0, text.as_str()),
            other => (0, zero_or(other, other.as_i64(), "an integer or a string")?, ""),
        };
        self.out.bytes_field(THIRD, text.as_bytes());
        self.out.varint_field(SECOND, number.cast_unsigned());
        self.out.varint_field(FIRST, kind);
        Ok(())
    }

    fn schema_or(&mut self, id: TypeId, other: SchemaOr, value: &Value) -> Outcome {
        let schema_tag = if other == SchemaOr::Bool { SECOND } else { FIRST };
        match value {
            Value::Object(_) => {
                let before = self.out.len();
                self.message(id, value)?;
                self.out.length(schema_tag, before);
            }
            Value::Array(items) => {
                for item in items.iter().rev() {
                    let before = self.out.len();
                    match item {
                        Value::String(text) => self.out.bytes(text.as_bytes()),
                        schema => self.message(id, schema)?,
                    }
                    self.out.length(SECOND, before);
                }
            }
            _ => {}
        }
        if other == SchemaOr::Bool {
            let allows = value.is_object() || value.as_bool().unwrap_or(false);
            self.out.varint_field(FIRST, u64::from(allows));
        }
        Ok(())
    }
}

fn text(value: &Value) -> Result<&str, ProtobufError> {
    zero_or(value, value.as_str(), "a string")
}

fn zero_or<T: Default>(
    value: &Value,
    found: Option<T>,
    expected: &'static str,
) -> Result<T, ProtobufError> {
    match found {
        Some(found) => Ok(found),
        None if value.is_null() => Ok(T::default()),
        None => Err(mismatch(value, expected)),
    }
}

fn mismatch(value: &Value, expected: &str) -> ProtobufError {
    let text: String = value.to_string().chars().take(64).collect();
    ProtobufError::Mismatch(format!("{text} is not {expected}"))
}
