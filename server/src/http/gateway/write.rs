//! From a protobuf message to JSON, by the schema.
//!
//! Compat: protobuf's JSON mapping with the fields' own names: 64-bit numbers as strings, bytes as
//! base64, zero left out unless it is told from absent, enums by name.
//! Must not know: HTTP, RPCs.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::schema::{Field, Kind, MessageIndex, Schema};

/// Our own services wrote bytes that are no message: a defect, told as an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoMessage;

/// Appends a message.
pub(super) fn message(
    schema: &Schema,
    index: MessageIndex,
    bytes: &[u8],
    out: &mut String,
) -> Result<(), NoMessage> {
    let fields = &schema.message(index).fields;
    let mut values = Vec::new();
    split(bytes, |number, value| {
        let place = fields.iter().position(|field| field.number == number);
        values.extend(place.map(|place| (place, value)));
    })?;
    // Stable: the elements of a list stay in their order.
    values.sort_by_key(|(place, _)| *place);
    out.push('{');
    let mut first = true;
    for same in values.chunk_by(|(left, _), (right, _)| left == right) {
        let field = &fields[same[0].0];
        let list = field.list;
        // Of a single field the last value counts.
        let values = if list { same } else { &same[same.len() - 1..] };
        if !list && !field.presence && values[0].1.is_zero() {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write!(out, "\"{}\":", field.name).map_err(|_| NoMessage)?;
        if list {
            elements(schema, field, values, out)?;
        } else {
            value(schema, field, &values[0].1, out)?;
        }
    }
    out.push('}');
    Ok(())
}

fn elements(
    schema: &Schema,
    field: &Field,
    values: &[(usize, Wire<'_>)],
    out: &mut String,
) -> Result<(), NoMessage> {
    out.push('[');
    let start = out.len();
    for (_, element) in values {
        if let Wire::Bytes(packed) = element
            && is_varint(&field.kind)
        {
            let mut packed = *packed;
            while !packed.is_empty() {
                let number = decode_varint(&mut packed).map_err(|_| NoMessage)?;
                comma(out, start);
                value(schema, field, &Wire::Varint(number), out)?;
            }
            continue;
        }
        comma(out, start);
        value(schema, field, element, out)?;
    }
    out.push(']');
    Ok(())
}

fn comma(out: &mut String, start: usize) {
    if out.len() > start {
        out.push(',');
    }
}

fn is_varint(kind: &Kind) -> bool {
    !matches!(kind, Kind::Text | Kind::Bytes | Kind::Message(_))
}

fn value(
    schema: &Schema,
    field: &Field,
    value: &Wire<'_>,
    out: &mut String,
) -> Result<(), NoMessage> {
    match (&field.kind, value) {
        (Kind::Message(index), Wire::Bytes(bytes)) => return message(schema, *index, bytes, out),
        (Kind::Bytes, Wire::Bytes(bytes)) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
            Ok(())
        }
        (Kind::Text, Wire::Bytes(bytes)) => {
            text(std::str::from_utf8(bytes).map_err(|_| NoMessage)?, out);
            Ok(())
        }
        (Kind::Bool, Wire::Varint(number)) => write!(out, "{}", *number != 0),
        (Kind::Int64, Wire::Varint(number)) => write!(out, "\"{}\"", *number as i64),
        (Kind::Uint64, Wire::Varint(number)) => write!(out, "\"{number}\""),
        (Kind::Int32, Wire::Varint(number)) => write!(out, "{}", *number as i32),
        (Kind::Uint32, Wire::Varint(number)) => write!(out, "{}", *number as u32),
        (Kind::Enum(values), Wire::Varint(number)) => {
            let number = *number as i32;
            match values.iter().find(|(known, _)| *known == number) {
                Some((_, name)) => write!(out, "\"{name}\""),
                None => write!(out, "{number}"),
            }
        }
        _ => return Err(NoMessage),
    }
    .map_err(|_| NoMessage)
}

/// Appends a text in quotes.
pub(super) fn text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' => {
                let digits = format!("{:04x}", u32::from(character));
                out.push_str("\\u");
                out.push_str(&digits);
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// A value as it is on the wire.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl Wire<'_> {
    fn is_zero(&self) -> bool {
        match self {
            Wire::Varint(number) => *number == 0,
            Wire::Bytes(bytes) => bytes.is_empty(),
        }
    }
}

fn split<'a>(mut bytes: &'a [u8], mut each: impl FnMut(u32, Wire<'a>)) -> Result<(), NoMessage> {
    while !bytes.is_empty() {
        let (number, wire_type) = decode_key(&mut bytes).map_err(|_| NoMessage)?;
        match wire_type {
            WireType::Varint => {
                each(number, Wire::Varint(decode_varint(&mut bytes).map_err(|_| NoMessage)?));
            }
            WireType::LengthDelimited => {
                let length = decode_varint(&mut bytes).map_err(|_| NoMessage)?;
                let length = usize::try_from(length).map_err(|_| NoMessage)?;
                each(number, Wire::Bytes(take(&mut bytes, length)?));
            }
            // No field of etcd's is of these; an unknown one is passed over.
            WireType::SixtyFourBit => drop(take(&mut bytes, 8)?),
            WireType::ThirtyTwoBit => drop(take(&mut bytes, 4)?),
            WireType::StartGroup | WireType::EndGroup => return Err(NoMessage),
        }
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], NoMessage> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or(NoMessage)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_reflect::DescriptorPool;
    use proto::etcdserverpb as pb;
    use proto::mvccpb::KeyValue;

    fn written(method: (&str, &str), bytes: &[u8]) -> Result<String, NoMessage> {
        let pool = DescriptorPool::decode(services::DESCRIPTORS).expect("our own descriptors");
        let mut schema = Schema::default();
        let (_, output) = schema.of_method(&pool, method.0, method.1).expect("it is described");
        let mut out = String::new();
        message(&schema, output, bytes, &mut out).map(|()| out)
    }

    #[test]
    fn an_answer_is_written_as_etcd_writes_it() {
        let header = pb::ResponseHeader { cluster_id: u64::MAX, revision: 2, ..Default::default() };
        let kv = |key: &'static str| KeyValue {
            key: key.into(),
            mod_revision: 7,
            value: vec![0xfb, 0xff].into(),
            ..Default::default()
        };
        let answer = pb::RangeResponse {
            header: Some(header),
            kvs: vec![kv("a"), kv("b")],
            more: true,
            count: 0,
        };
        assert_eq!(
            written(("etcdserverpb.KV", "Range"), &answer.encode_to_vec()).as_deref(),
            Ok("{\"header\":{\"cluster_id\":\"18446744073709551615\",\"revision\":\"2\"},\
                \"kvs\":[{\"key\":\"YQ==\",\"mod_revision\":\"7\",\"value\":\"+/8=\"},\
                {\"key\":\"Yg==\",\"mod_revision\":\"7\",\"value\":\"+/8=\"}],\"more\":true}")
        );
        let alarm = pb::AlarmMember { member_id: 1, alarm: 1 };
        let alarms = pb::AlarmResponse { header: None, alarms: vec![alarm] };
        assert_eq!(
            written(("etcdserverpb.Maintenance", "Alarm"), &alarms.encode_to_vec()).as_deref(),
            Ok("{\"alarms\":[{\"memberID\":\"1\",\"alarm\":\"NOSPACE\"}]}")
        );
    }

    #[test]
    fn texts_are_escaped_and_broken_bytes_are_an_error() {
        let mut out = String::new();
        text("a\"\\\n\u{1}é", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001é\"");
        assert_eq!(written(("etcdserverpb.KV", "Range"), &[0x0a, 0x05, 0x01]), Err(NoMessage));
    }
}
