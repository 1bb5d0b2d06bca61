//! Whether what a strategic merge patch leaves is still of its kind's types, with the words of
//! kube-apiserver's converter where it is not.
//!
//! Compat: the converter is laxer than JSON: whole floats become integers, integers are cut to
//! their field's width. Types with a text form of their own (times, quantities …) are left to the
//! typed reading that follows.

use super::go_text::go_kind;
use super::strategic_words::kind_name;
use crate::Value;
use crate::types::{Schema, Shape};

/// Checks a value against a shape, and makes numbers what their fields hold.
pub(super) fn restore(
    schema: &Schema,
    shape: &Shape,
    go_type: Option<&str>,
    value: &mut Value,
) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    match shape {
        Shape::Object(id) => {
            let Value::Object(object) = value else {
                return Err(format!("cannot restore struct from: {}", go_kind(value)));
            };
            for field in &schema.get(*id).fields {
                if let Some(member) = object.get_mut(field.json) {
                    restore(schema, &field.shape, field.go_type, member)?;
                }
            }
            Ok(())
        }
        Shape::Map(element) => {
            let Value::Object(object) = value else {
                return Err(format!("cannot restore map from {}", go_kind(value)));
            };
            object.values_mut().try_for_each(|member| restore(schema, element, None, member))
        }
        Shape::List(element) | Shape::WrappedList(element) => {
            let Value::Array(items) = value else {
                return Err(format!("cannot restore slice from {}", go_kind(value)));
            };
            items.iter_mut().try_for_each(|item| restore(schema, element, None, item))
        }
        Shape::Bytes => match value.as_str() {
            None => Err(format!("cannot restore slice from {}", go_kind(value))),
            Some(text) => match bad_base64_at(text) {
                None => Ok(()),
                Some(at) => {
                    Err(format!("error decoding from json: illegal base64 data at input byte {at}"))
                }
            },
        },
        Shape::Bool | Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::String => {
            scalar(shape, go_type, value)
        }
        _ => Ok(()),
    }
}

fn scalar(shape: &Shape, go_type: Option<&str>, value: &mut Value) -> Result<(), String> {
    let wanted = go_type.unwrap_or(kind_name(shape));
    let whole = value.as_f64().filter(|float| float.fract() == 0.0);
    match (shape, &*value) {
        (Shape::Bool, Value::Bool(_)) | (Shape::String, Value::String(_)) => {}
        (Shape::Float64, Value::Number(_)) => {}
        (Shape::Int32 | Shape::Int64, Value::Number(number)) => {
            let integer = match (number.as_i64(), whole) {
                (Some(integer), _) => integer,
                (None, Some(float)) => float as i64,
                (None, None) => return Err(format!("cannot convert float64 to {wanted}")),
            };
            let cut = if *shape == Shape::Int32 { i64::from(integer as i32) } else { integer };
            *value = Value::from(cut);
        }
        (Shape::String, Value::Number(number)) if !number.is_f64() => {
            return Err(format!("cannot convert int64 to {wanted}"));
        }
        _ => return Err(format!("unrecognized type: {}", kind_name(shape))),
    }
    Ok(())
}

/// Where Go's decoder stops in a text that is no base64 with padding. Line ends are passed over.
fn bad_base64_at(text: &str) -> Option<usize> {
    let mut in_quantum = 0;
    let mut bytes = text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'));
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                in_quantum = (in_quantum + 1) % 4;
            }
            b'=' if in_quantum == 3 => return bytes.next().map(|(at, _)| at),
            b'=' if in_quantum == 2 => {
                return match bytes.next() {
                    Some((_, b'=')) => bytes.next().map(|(at, _)| at),
                    Some((at, _)) => Some(at),
                    None => Some(text.len()),
                };
            }
            _ => return Some(at),
        }
    }
    (in_quantum != 0).then(|| text.len() - in_quantum)
}
