//! What has no fields: numbers, texts, and the types that Go reads and writes by methods of their
//! own.
//!
//! Must not know: structs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Number;

use super::{Mismatch, Outcome};
use crate::Value;
use crate::duration;
use crate::quantity::Quantity;
use crate::time::Time;
use crate::types::{RawForm, Shape};

/// Brings a value that is not null into the form in which Go prints it.
pub(super) fn normalize(shape: &Shape, value: &mut Value) -> Outcome {
    match shape {
        Shape::Bool if value.is_boolean() => Ok(()),
        Shape::String if value.is_string() => Ok(()),
        Shape::Int32 => integer(value, i64::from(i32::MIN), i64::from(i32::MAX), None),
        Shape::Int64 => integer(value, i64::MIN, i64::MAX, None),
        Shape::Float64 if value.is_number() => {
            whole_float(value);
            Ok(())
        }
        Shape::Bytes => bytes(value),
        Shape::Time => time(value),
        Shape::MicroTime => micro_time(value),
        Shape::Duration => elapsed(value),
        Shape::Quantity => quantity(value),
        Shape::IntOrString if value.is_string() => Ok(()),
        Shape::IntOrString => {
            integer(value, i64::from(i32::MIN), i64::from(i32::MAX), Some("int32"))
        }
        Shape::Raw(_) => Ok(()),
        _ => Err(Mismatch::of(value, None)),
    }
}

/// What Go writes of a zero value.
pub(super) fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => Value::Bool(false),
        Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString => Value::from(0),
        Shape::String => Value::String(String::new()),
        Shape::Duration => Value::String("0s".to_owned()),
        Shape::Quantity => Value::String("0".to_owned()),
        Shape::Raw(RawForm::FieldsV1) => Value::Null,
        _ => Value::Null,
    }
}

/// What Go's reflection calls the type.
pub(super) fn go_type(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "bool",
        Shape::Int32 => "int32",
        Shape::Int64 => "int64",
        Shape::Float64 => "float64",
        Shape::String => "string",
        Shape::Bytes => "[]uint8",
        Shape::Time => "v1.Time",
        Shape::MicroTime => "v1.MicroTime",
        Shape::Duration => "v1.Duration",
        Shape::Quantity => "resource.Quantity",
        Shape::IntOrString => "intstr.IntOrString",
        Shape::Raw(RawForm::Extension) => "runtime.RawExtension",
        Shape::Raw(RawForm::FieldsV1) => "v1.FieldsV1",
        Shape::Raw(RawForm::Json) => "v1.JSON",
        _ => "interface {}",
    }
}

fn integer(value: &Value, min: i64, max: i64, expected: Option<&'static str>) -> Outcome {
    let Value::Number(number) = value else { return Err(Mismatch::of(value, expected)) };
    match number.as_i64() {
        Some(whole) if (min..=max).contains(&whole) => Ok(()),
        _ => Err(Mismatch::found(format!("number {number}"), expected)),
    }
}

/// Go prints a float without a fraction as an integer.
fn whole_float(value: &mut Value) {
    let Some(float) = value.as_f64().filter(|float| float.fract() == 0.0) else { return };
    if float.abs() < 1e15 {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and far from the limits")]
        let whole = float as i64;
        *value = Value::Number(Number::from(whole));
    }
}

fn bytes(value: &mut Value) -> Outcome {
    match value {
        Value::String(text) => base64_text(text),
        Value::Array(items) => {
            let bytes: Result<Vec<u8>, Mismatch> = items.iter().map(byte).collect();
            *value = Value::String(STANDARD.encode(bytes?));
            Ok(())
        }
        other => Err(Mismatch::of(other, None)),
    }
}

/// Compat: Go also takes a list of numbers for bytes.
fn byte(value: &Value) -> Result<u8, Mismatch> {
    match value {
        Value::Null => Ok(0),
        Value::Number(number) => {
            let byte = number.as_u64().and_then(|number| u8::try_from(number).ok());
            byte.ok_or_else(|| Mismatch::found(format!("number {number}"), Some("uint8")))
        }
        other => Err(Mismatch::of(other, Some("uint8"))),
    }
}

fn base64_text(text: &mut String) -> Outcome {
    // Compat: Go's decoder skips line ends within the text.
    if text.contains(['\r', '\n']) {
        text.retain(|letter| letter != '\r' && letter != '\n');
    }
    let Err(error) = STANDARD.decode(text.as_bytes()) else { return Ok(()) };
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            at
        }
        // Compat: Go points at the last group of four, or behind it when that is padded.
        _ if text.ends_with('=') => text.len(),
        _ => text.len() / 4 * 4,
    };
    Err(Mismatch::Whole(format!("illegal base64 data at input byte {at}")))
}

fn text(value: &Value) -> Result<&str, Mismatch> {
    value.as_str().ok_or_else(|| Mismatch::of(value, Some("string")))
}

fn time(value: &mut Value) -> Outcome {
    let time = Time::parse(text(value)?).map_err(Mismatch::Whole)?;
    *value = if time == Time::ZERO { Value::Null } else { Value::String(time.to_seconds_text()) };
    Ok(())
}

fn micro_time(value: &mut Value) -> Outcome {
    let time = Time::parse_micros(text(value)?).map_err(Mismatch::Whole)?;
    *value = if time == Time::ZERO { Value::Null } else { Value::String(time.to_micros_text()) };
    Ok(())
}

fn elapsed(value: &mut Value) -> Outcome {
    let nanos = duration::parse(text(value)?).map_err(Mismatch::Whole)?;
    *value = Value::String(duration::print(nanos));
    Ok(())
}

/// Numbers and texts are read alike: what Kubernetes parses is the JSON itself.
fn quantity(value: &mut Value) -> Outcome {
    whole_float(value);
    let parsed = match &*value {
        Value::String(text) => Quantity::parse(text),
        other => Quantity::parse(&other.to_string()),
    };
    let quantity = parsed.map_err(|error| Mismatch::Whole(error.to_string()))?;
    *value = Value::String(quantity.to_string());
    Ok(())
}
