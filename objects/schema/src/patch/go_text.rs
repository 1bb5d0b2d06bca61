//! Values as Go's `%v` prints them, which some error texts show.

use serde_json::Number;

use crate::Value;

/// A value as `%v` prints it after decoding: `map[a:1 b:[x y]]`.
pub fn go_text(value: &Value) -> String {
    let mut out = String::new();
    push(&mut out, value);
    out
}

/// A value as `%s` prints it, which marks what is no text: `%!s(int64=1)`.
pub(super) fn go_text_of_string(value: &Value) -> String {
    match value {
        Value::Null => "%!s(<nil>)".to_owned(),
        Value::Bool(value) => format!("%!s(bool={value})"),
        Value::Number(number) => format!("%!s({}={})", go_kind(value), number_text(number)),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(go_text_of_string).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(object) => {
            let members = object.iter().map(|(key, v)| format!("{key}:{}", go_text_of_string(v)));
            format!("map[{}]", members.collect::<Vec<_>>().join(" "))
        }
    }
}

/// The Go kind of a decoded value.
pub(super) fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

/// The Go type of a decoded value.
pub(super) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        scalar => go_kind(scalar),
    }
}

fn push(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                push(out, item);
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push_str("map[");
            for (i, (key, member)) in object.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                push(out, member);
            }
            out.push(']');
        }
    }
}

/// Floats in their shortest form, with an exponent from 1e21 on and below 1e-4.
fn number_text(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    let size = float.abs();
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{float:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{float}")
}
