//! JSON written as YAML, as Kubernetes' own tools print it: block style, lists not indented under
//! their key, keys sorted.

use std::fmt::Write as _;

use schema::Value;

/// The document, with its last line ended.
pub(crate) fn print(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(&mut out, value, 0),
        Value::Array(items) if !items.is_empty() => block(&mut out, value, 0),
        other => {
            scalar(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

/// A value that is not empty, one line per entry, the cursor at the start of a line.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) => {
            for (at, (key, value)) in map.iter().enumerate() {
                if at > 0 {
                    indent(out, depth);
                }
                entry(out, key, value, depth);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    indent(out, depth);
                }
                out.push_str("- ");
                inner(out, item, depth + 1);
            }
        }
        other => inner(out, other, depth),
    }
}

fn entry(out: &mut String, key: &str, value: &Value, depth: usize) {
    text(out, key, depth);
    out.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            indent(out, depth + 1);
            block(out, value, depth + 1);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            indent(out, depth);
            block(out, value, depth);
        }
        other => {
            out.push(' ');
            scalar(out, other, depth + 1);
            out.push('\n');
        }
    }
}

/// A value behind a dash.
fn inner(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => block(out, value, depth),
        Value::Array(items) if !items.is_empty() => block(out, value, depth),
        other => {
            scalar(out, other, depth);
            out.push('\n');
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn scalar(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::String(value) => text(out, value, depth),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        // Numbers, booleans and null are written as in JSON.
        other => write!(out, "{other}").expect("a string takes everything"),
    }
}

fn text(out: &mut String, value: &str, depth: usize) {
    if value.contains('\n') && !value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return lines(out, value, depth);
    }
    if is_plain(value) {
        folded(out, value, depth);
    } else if value.chars().any(char::is_control) || reads_as_other(value) {
        // JSON's strings are YAML's double-quoted ones.
        write!(out, "{}", Value::from(value)).expect("a string takes everything");
    } else {
        out.push('\'');
        folded(out, &value.replace('\'', "''"), depth);
        out.push('\'');
    }
}

/// Compat: a line that is longer than this is broken at the next single space.
fn folded(out: &mut String, value: &str, depth: usize) {
    const WIDTH: usize = 80;
    let begin = out.rfind('\n').map_or(0, |at| at + 1);
    let mut column = out[begin..].chars().count();
    let mut characters = value.char_indices().peekable();
    let mut after_space = false;
    while let Some((at, character)) = characters.next() {
        let next_is_space = characters.peek().is_none_or(|(_, next)| *next == ' ');
        let is_inside = at > 0 && characters.peek().is_some();
        if character == ' ' && is_inside && !after_space && !next_is_space && column > WIDTH {
            out.push('\n');
            indent(out, depth.max(1));
            column = depth.max(1) * 2;
        } else {
            out.push(character);
            column += 1;
        }
        after_space = character == ' ';
    }
}

/// The literal form, its end marked by how many newlines there are.
fn lines(out: &mut String, value: &str, depth: usize) {
    let chomp = match (value.ends_with("\n\n") || value == "\n", value.ends_with('\n')) {
        (true, _) => "+",
        (_, true) => "",
        _ => "-",
    };
    let first_is_indented = value.starts_with([' ', '\n', '\t']);
    out.push('|');
    if first_is_indented {
        out.push('2');
    }
    out.push_str(chomp);
    for line in value.strip_suffix('\n').unwrap_or(value).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, depth.max(1));
            out.push_str(line);
        }
    }
}

fn is_plain(value: &str) -> bool {
    let Some(first) = value.chars().next() else { return false };
    let starts =
        first.is_alphanumeric() || matches!(first, '/' | '_' | '.' | '(' | '<' | '$' | '+');
    starts
        && !value.ends_with([' ', ':'])
        && !value.contains(": ")
        && !value.contains(" #")
        && !value.chars().any(char::is_control)
        && !reads_as_other(value)
}

/// Whether an unquoted form would be no string.
fn reads_as_other(value: &str) -> bool {
    const WORDS: [&str; 11] =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let lower = value.to_ascii_lowercase();
    let starts_as_number = value.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    WORDS.contains(&lower.as_str())
        || value == "<<"
        || value == "="
        || (starts_as_number && is_number_or_time(value))
}

fn is_number_or_time(value: &str) -> bool {
    let digits = value.replace('_', "");
    let unsigned = digits.trim_start_matches(['+', '-']);
    let based = ["0x", "0o", "0b"].iter().any(|base| unsigned.starts_with(base));
    // A date alone and a full time are timestamps; `1:30` is a number of base sixty.
    let date = value.len() >= 10 && value.is_char_boundary(10) && is_date(&value[..10]);
    let sixty = unsigned.contains(':')
        && unsigned.chars().all(|c| c.is_ascii_digit() || c == ':' || c == '.');
    based || date || sixty || digits.parse::<f64>().is_ok() || unsigned == ".inf"
}

fn is_date(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_line_is_broken_at_a_space() {
        let words = "only the following media types are accepted: application/json;stream=watch, \
                     application/vnd.kubernetes.protobuf;stream=watch";
        let wanted = "message: 'only the following media types are accepted: \
                      application/json;stream=watch,\n  \
                      application/vnd.kubernetes.protobuf;stream=watch'\n";
        assert_eq!(print(&json!({"message": words})), wanted);
    }

    #[test]
    fn an_object_looks_as_kubectl_prints_it() {
        let value = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"labels": {"a": "true", "b": "1"}, "creationTimestamp":
                "2026-11-21T12:01:59Z", "annotations": {}},
            "spec": {"containers": [{"name": "a", "args": ["-x", "*", "a: b", ""]}], "list": [],
                "nested": [[1, 2], [{"a": null}]]},
            "text": "two\nlines\n", "chomped": "a\nb", "number": 5, "yes": true,
        });
        let wanted = "\
apiVersion: v1
chomped: |-
  a
  b
kind: Pod
metadata:
  annotations: {}
  creationTimestamp: \"2026-11-21T12:01:59Z\"
  labels:
    a: \"true\"
    b: \"1\"
number: 5
spec:
  containers:
  - args:
    - '-x'
    - '*'
    - 'a: b'
    - \"\"
    name: a
  list: []
  nested:
  - - 1
    - 2
  - - a: null
text: |
  two
  lines
\"yes\": true
";
        assert_eq!(print(&value), wanted);
    }
}
