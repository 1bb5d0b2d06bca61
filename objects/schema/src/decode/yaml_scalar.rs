//! What scalars of YAML mean: the types of YAML 1.1 as go-yaml knows them, brought into JSON.
//!
//! Invariant: what a plain scalar means depends on its text alone. Dates stay texts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Value;

/// What a scalar's tag says of its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Plain and without a tag: its text tells.
    Untold,
    Text,
    Bool,
    Int,
    Float,
    Null,
    Timestamp,
    Binary,
}

impl Kind {
    /// The type of a tag of YAML's own; all that are not known leave a text.
    pub(super) fn of_suffix(suffix: &str) -> Self {
        match suffix {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "null" => Self::Null,
            "timestamp" => Self::Timestamp,
            "binary" => Self::Binary,
            _ => Self::Text,
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::Bool => "!!bool",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Null => "!!null",
            Self::Timestamp => "!!timestamp",
            Self::Binary => "!!binary",
            Self::Untold | Self::Text => "!!str",
        }
    }
}

/// What a plain scalar is by its text.
enum Plain {
    Text,
    Null,
    Bool(bool),
    Int(Value),
    Float(f64),
}

/// The value of a scalar, or the whole text of the error.
pub(super) fn value(text: &str, kind: Kind) -> Result<Value, String> {
    if kind == Kind::Text {
        return Ok(Value::from(text));
    }
    if kind == Kind::Binary {
        let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let bytes = STANDARD
            .decode(compact)
            .map_err(|_| "yaml: !!binary value contains invalid base64 data".to_owned())?;
        return Ok(Value::from(String::from_utf8_lossy(&bytes).into_owned()));
    }
    let plain = plain(text);
    let found = match plain {
        Plain::Text => Kind::Text,
        Plain::Null => Kind::Null,
        Plain::Bool(_) => Kind::Bool,
        Plain::Int(_) => Kind::Int,
        Plain::Float(_) => Kind::Float,
    };
    let fits = kind == Kind::Untold
        || kind == found
        || (kind, found) == (Kind::Float, Kind::Int)
        || (kind, found) == (Kind::Timestamp, Kind::Text);
    if !fits {
        return Err(format!("yaml: cannot decode {} `{text}` as a {}", found.tag(), kind.tag()));
    }
    match plain {
        Plain::Text => Ok(Value::from(text)),
        Plain::Null => Ok(Value::Null),
        Plain::Bool(value) => Ok(Value::Bool(value)),
        Plain::Int(value) => Ok(value),
        Plain::Float(float) => json_float(float),
    }
}

/// A float as Go writes it to JSON and reads it again: whole ones become integers.
fn json_float(float: f64) -> Result<Value, String> {
    if !float.is_finite() {
        let shown = match float {
            float if float.is_nan() => "NaN",
            float if float > 0.0 => "+Inf",
            _ => "-Inf",
        };
        return Err(format!("json: unsupported value: {shown}"));
    }
    if float.fract() == 0.0 && float.abs() < 1e21 {
        // The shortest digits, as Go writes them: beyond 2^53 they are not those of the float.
        if let Ok(integer) = float.to_string().parse::<i64>() {
            return Ok(Value::from(integer));
        }
    }
    Ok(Value::from(float))
}

fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Plain::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Plain::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Plain::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Plain::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Plain::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') => finite(text).map_or(Plain::Text, Plain::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let digits = text.replace('_', "");
            integer(&digits)
                .map(Plain::Int)
                .or_else(|| is_float(&digits).then(|| finite(&digits)).flatten().map(Plain::Float))
                .unwrap_or(Plain::Text)
        }
        _ => Plain::Text,
    }
}

/// A float, unless there is none as large.
fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// An integer of 64 bits in the base that its beginning names; a leading zero names eight.
fn integer(text: &str) -> Option<Value> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some(start) if start.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    if let Ok(integer) = i64::from_str_radix(&format!("{sign}{digits}"), base) {
        return Some(Value::from(integer));
    }
    let unsigned = text.starts_with(|c: char| c.is_ascii_digit());
    u64::from_str_radix(digits, base).ok().filter(|_| unsigned).map(Value::from)
}

/// Whether a text has the form of a decimal float.
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()) && exponent_fits
}
