//! Strings and values as Go prints them in messages: `%q`, and `encoding/json` with its HTML
//! escapes.

pub use schema::decode::quoted;
use serde_json::Value;

/// A value as Go's `encoding/json` writes it: compact, with `<`, `>`, `&` escaped.
pub(super) fn json_html(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}
