//! From bytes to a value. Zero values are as they come: [`crate::typed`] puts them right.
//!
//! Must not know: envelopes beyond what they are made of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number};

use super::wire::{Reader, Wire, malformed};
use super::{Envelope, MAGIC, ProtobufError};
use crate::Value;
use crate::duration;
use crate::time::Time;
use crate::types::{Field, RawForm, Schema, SchemaOr, Shape, Type, TypeId, WireMember};

/// Messages within messages.
const DEPTH_MAX: usize = 100;
/// Messages in all: two bytes make one, and a value of several hundred bytes.
const MESSAGES_MAX: usize = 1 << 18;

/// The fields of `Unknown`, of `TypeMeta` in it, and of every message that holds only one thing.
pub(super) const RAW: u32 = 2;
pub(super) const FIRST: u32 = 1;
pub(super) const SECOND: u32 = 2;
pub(super) const THIRD: u32 = 3;
pub(super) const FOURTH: u32 = 4;

type Outcome<T = ()> = Result<T, ProtobufError>;

pub(super) fn envelope(body: &[u8]) -> Outcome<Envelope<'_>> {
    let mut envelope = Envelope::default();
    let mut reader = Reader::new(body, "Unknown");
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (FIRST, Wire::Bytes(data)) => type_meta(data, &mut envelope)?,
            (RAW, Wire::Bytes(raw)) => envelope.raw = raw,
            (THIRD | FOURTH, Wire::Bytes(_)) => {}
            (FIRST, wire) => return Err(wrong_wire(wire, "TypeMeta")),
            (RAW, wire) => return Err(wrong_wire(wire, "Raw")),
            (THIRD, wire) => return Err(wrong_wire(wire, "ContentEncoding")),
            (FOURTH, wire) => return Err(wrong_wire(wire, "ContentType")),
            (_, wire) => reader.skip(wire)?,
        }
    }
    Ok(envelope)
}

fn type_meta(data: &[u8], envelope: &mut Envelope<'_>) -> Outcome {
    let mut reader = Reader::new(data, "TypeMeta");
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (FIRST, Wire::Bytes(bytes)) => envelope.api_version = text(bytes),
            (SECOND, Wire::Bytes(bytes)) => envelope.kind = text(bytes),
            (FIRST, wire) => return Err(wrong_wire(wire, "APIVersion")),
            (SECOND, wire) => return Err(wrong_wire(wire, "Kind")),
            (_, wire) => reader.skip(wire)?,
        }
    }
    Ok(())
}

pub(super) struct Read<'schema> {
    schema: &'schema Schema,
    depth: usize,
    messages: usize,
}

impl<'schema> Read<'schema> {
    pub(super) fn new(schema: &'schema Schema) -> Self {
        Self { schema, depth: 0, messages: 0 }
    }

    pub(super) fn message(&mut self, id: TypeId, data: &[u8]) -> Outcome<Value> {
        let mut map = Map::new();
        self.message_into(id, data, &mut map)?;
        Ok(Value::Object(map))
    }

    /// A message that comes twice is merged, as protobuf wants it.
    fn message_into(&mut self, id: TypeId, data: &[u8], map: &mut Map<String, Value>) -> Outcome {
        let facts = self.schema.get(id);
        self.members(facts, &facts.wire, data, map)
    }

    fn members(
        &mut self,
        facts: &'schema Type,
        members: &'schema [WireMember],
        data: &[u8],
        map: &mut Map<String, Value>,
    ) -> Outcome {
        self.messages += 1;
        if self.depth == DEPTH_MAX || self.messages > MESSAGES_MAX {
            return Err(malformed("proto: message is too deep or has too many parts"));
        }
        self.depth += 1;
        let mut reader = Reader::new(data, facts.short_name());
        while let Some((tag, wire)) = reader.next()? {
            let tag_of = |member: &WireMember| match member {
                WireMember::Field(index) => facts.fields[usize::from(*index)].tag,
                WireMember::Inline { tag, .. } => *tag,
            };
            let Ok(at) = members.binary_search_by_key(&tag, tag_of) else {
                reader.skip(wire)?;
                continue;
            };
            match (&members[at], wire) {
                (WireMember::Field(index), wire) => {
                    self.field(&facts.fields[usize::from(*index)], wire, map)?;
                }
                (WireMember::Inline { members, .. }, Wire::Bytes(data)) => {
                    self.members(facts, members, data, map)?;
                }
                (WireMember::Inline { .. }, wire) => return Err(wrong_wire(wire, "Inline")),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn field(
        &mut self,
        field: &'schema Field,
        wire: Wire<'_>,
        map: &mut Map<String, Value>,
    ) -> Outcome {
        let slot = map.entry(field.json).or_insert(Value::Null);
        let read = match (&field.shape, wire) {
            (Shape::List(element), wire) => self.list(element, wire, slot),
            (Shape::Map(element), Wire::Bytes(data)) => self.map_entry(element, data, slot),
            (Shape::Object(id), Wire::Bytes(data)) => {
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                let Value::Object(inner) = slot else { return Ok(()) };
                self.message_into(*id, data, inner)
            }
            (shape, wire) => self.single(shape, wire).map(|value| *slot = value),
        };
        read.map_err(|error| match error {
            ProtobufError::Malformed(text) if text.ends_with("for field ") => {
                ProtobufError::Malformed(text + &capitalised(field.json))
            }
            other => other,
        })
    }

    fn list(&mut self, element: &'schema Shape, wire: Wire<'_>, slot: &mut Value) -> Outcome {
        if !slot.is_array() {
            *slot = Value::Array(Vec::new());
        }
        let Value::Array(items) = slot else { return Ok(()) };
        let packable = matches!(element, Shape::Bool | Shape::Int32 | Shape::Int64);
        if let (true, Wire::Bytes(data)) = (packable, wire) {
            let mut reader = Reader::new(data, "");
            while let Some(varint) = reader.packed()? {
                items.push(self.single(element, Wire::Varint(varint))?);
            }
            return Ok(());
        }
        items.push(self.single(element, wire)?);
        Ok(())
    }

    fn map_entry(&mut self, element: &'schema Shape, data: &[u8], slot: &mut Value) -> Outcome {
        let mut key = String::new();
        let mut value = Value::Null;
        let mut reader = Reader::new(data, "");
        while let Some((tag, wire)) = reader.next()? {
            match (tag, wire) {
                (FIRST, Wire::Bytes(bytes)) => key = text(bytes),
                (SECOND, wire) => value = self.single(element, wire)?,
                (_, wire) => reader.skip(wire)?,
            }
        }
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        if let Value::Object(entries) = slot {
            entries.insert(key, value);
        }
        Ok(())
    }

    fn single(&mut self, shape: &'schema Shape, wire: Wire<'_>) -> Outcome<Value> {
        Ok(match (shape, wire) {
            (Shape::Bool, Wire::Varint(varint)) => Value::Bool(varint != 0),
            (Shape::Int32, Wire::Varint(varint)) => Value::from(int32(varint)),
            (Shape::Int64, Wire::Varint(varint)) => Value::from(varint.cast_signed()),
            (Shape::Float64, Wire::Fixed64(bits)) => {
                Number::from_f64(f64::from_bits(bits)).map_or(Value::Null, Value::Number)
            }
            (Shape::String, Wire::Bytes(bytes)) => Value::String(text(bytes)),
            (Shape::Bytes, Wire::Bytes(bytes)) => Value::String(STANDARD.encode(bytes)),
            (Shape::Time, Wire::Bytes(data)) => time(data, Time::to_seconds_text)?,
            (Shape::MicroTime, Wire::Bytes(data)) => time(data, Time::to_micros_text)?,
            (Shape::Duration, Wire::Bytes(data)) => {
                let (nanos, ..) = numbers(data)?;
                Value::String(duration::print(nanos.cast_signed()))
            }
            (Shape::Quantity, Wire::Bytes(data)) => quantity(data)?,
            (Shape::IntOrString, Wire::Bytes(data)) => int_or_string(data)?,
            (Shape::Raw(form), Wire::Bytes(data)) => self.raw(*form, data)?,
            (Shape::WrappedList(element), Wire::Bytes(data)) => self.wrapped(element, data)?,
            (Shape::Object(id), Wire::Bytes(data)) => self.message(*id, data)?,
            (Shape::SchemaOr(id, other), Wire::Bytes(data)) => self.schema_or(*id, *other, data)?,
            (Shape::List(element), wire) => {
                let mut list = Value::Array(Vec::new());
                self.list(element, wire, &mut list)?;
                list
            }
            (_, wire) => return Err(wrong_wire(wire, "")),
        })
    }

    fn wrapped(&mut self, element: &'schema Shape, data: &[u8]) -> Outcome<Value> {
        let mut list = Value::Array(Vec::new());
        let mut reader = Reader::new(data, "");
        while let Some((tag, wire)) = reader.next()? {
            if tag == FIRST {
                self.list(element, wire, &mut list)?;
            } else {
                reader.skip(wire)?;
            }
        }
        Ok(list)
    }

    fn schema_or(&mut self, id: TypeId, other: SchemaOr, data: &[u8]) -> Outcome<Value> {
        let schema_tag = if other == SchemaOr::Bool { SECOND } else { FIRST };
        let mut value = if other == SchemaOr::Bool { Value::Bool(false) } else { Value::Null };
        let mut items = Vec::new();
        let mut reader = Reader::new(data, "");
        while let Some((tag, wire)) = reader.next()? {
            match (other, wire) {
                (_, Wire::Bytes(data)) if tag == schema_tag => value = self.message(id, data)?,
                (SchemaOr::Bool, Wire::Varint(varint)) if tag == FIRST && !value.is_object() => {
                    value = Value::Bool(varint != 0);
                }
                (SchemaOr::Array, Wire::Bytes(data)) if tag == SECOND => {
                    items.push(self.message(id, data)?);
                }
                (SchemaOr::StringArray, Wire::Bytes(bytes)) if tag == SECOND => {
                    items.push(Value::String(text(bytes)));
                }
                (_, wire) => reader.skip(wire)?,
            }
        }
        Ok(if items.is_empty() { value } else { Value::Array(items) })
    }

    /// Any JSON as text; an extension may hold an envelope of its own.
    fn raw(&mut self, form: RawForm, data: &[u8]) -> Outcome<Value> {
        let Some(raw) = first_bytes(data)?.filter(|raw| !raw.is_empty()) else {
            return Ok(Value::Null);
        };
        if form == RawForm::Extension && raw.starts_with(&MAGIC) {
            return self.nested(raw);
        }
        match serde_json::from_slice(raw) {
            Ok(value) => Ok(value),
            // Compat: what was managed is not needed to understand an object.
            Err(_) if form == RawForm::FieldsV1 => Ok(Value::Null),
            Err(error) => Err(malformed(&format!("raw JSON: {error}"))),
        }
    }

    fn nested(&mut self, data: &[u8]) -> Outcome<Value> {
        let envelope = super::envelope(data)?;
        let (_, id) = super::kind_of(self.schema, &envelope)?;
        let mut map = Map::new();
        self.message_into(id, envelope.raw, &mut map)?;
        map.insert("apiVersion".to_owned(), Value::String(envelope.api_version));
        map.insert("kind".to_owned(), Value::String(envelope.kind));
        super::normalized(self.schema, id, Value::Object(map))
    }
}

/// Compat: Go cuts what does not fit.
fn int32(varint: u64) -> i32 {
    let low = u32::try_from(varint & u64::from(u32::MAX)).unwrap_or(0);
    low.cast_signed()
}

/// Compat: Go keeps bytes that are no text, and JSON writes the replacement character for them.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn wrong_wire(wire: Wire<'_>, field: &str) -> ProtobufError {
    malformed(&format!("proto: wrong wireType = {} for field {field}", wire.wire_type()))
}

fn capitalised(json: &str) -> String {
    let mut letters = json.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// The bytes of the first field: what a message holds that holds only one thing.
fn first_bytes(data: &[u8]) -> Outcome<Option<&[u8]>> {
    let mut found = None;
    let mut reader = Reader::new(data, "");
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (FIRST, Wire::Bytes(bytes)) => found = Some(bytes),
            (_, wire) => reader.skip(wire)?,
        }
    }
    Ok(found)
}

/// The first two numbers and the third text of a message.
fn numbers(data: &[u8]) -> Outcome<(u64, u64, String)> {
    let mut found = (0, 0, String::new());
    let mut reader = Reader::new(data, "");
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (FIRST, Wire::Varint(varint)) => found.0 = varint,
            (SECOND, Wire::Varint(varint)) => found.1 = varint,
            (THIRD, Wire::Bytes(bytes)) => found.2 = text(bytes),
            (_, wire) => reader.skip(wire)?,
        }
    }
    Ok(found)
}

/// Go's zero time is an empty message, and null in JSON.
fn time(data: &[u8], print: impl Fn(Time) -> String) -> Outcome<Value> {
    if data.is_empty() {
        return Ok(Value::Null);
    }
    let (seconds, nanos, _) = numbers(data)?;
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000).unwrap_or(0);
    let time = Time { seconds: seconds.cast_signed(), nanos };
    Ok(if time == Time::ZERO { Value::Null } else { Value::String(print(time)) })
}

fn quantity(data: &[u8]) -> Outcome<Value> {
    Ok(first_bytes(data)?
        .filter(|bytes| !bytes.is_empty())
        .map_or(Value::Null, |bytes| Value::String(text(bytes))))
}

fn int_or_string(data: &[u8]) -> Outcome<Value> {
    let (kind, number, text) = numbers(data)?;
    Ok(if kind == 0 { Value::from(int32(number)) } else { Value::String(text) })
}
