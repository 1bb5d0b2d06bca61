//! What is not compared, each with its reason; and answers with that taken out.
//!
//! Must not know: how answers are obtained.

use serde_json::Value;

use super::memory::Memory;

/// What is left out of the comparison, and why.
pub const MASKS: &[(&str, &str)] = &[
    ("uids", "random; that they are there, and that references name them, is compared"),
    ("times of this run", "read from each server's clock; times that were sent are compared"),
    (
        "resourceVersions",
        "each store counts its own writes; that an object's is the one of the same write as on the \
         other side is compared, and that a list's is not older than its objects",
    ),
    ("metadata.managedFields", "server-side apply comes later"),
    ("the five characters after `generateName`", "random; that there are five is compared"),
    ("given addresses and node ports", "each server draws its own from the same range"),
    ("continue tokens", "each server's own secret; the pages that they lead to are compared"),
    ("ages in Tables", "count seconds"),
    ("bookmarks but the one that ends the initial events", "sent when time has passed"),
    ("the order of an object's members", "JSON gives it no meaning; sorted by name in ours"),
    (
        "admission plugins but NamespaceLifecycle",
        "come later; they are switched off in the real one, and so are the objects that they check",
    ),
];

/// Takes out of a value what is each server's own.
pub fn mask(value: &mut Value, memory: &Memory) {
    match value {
        Value::Object(fields) => {
            let is_list = fields.contains_key("items") || fields.contains_key("rows");
            if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                mask_metadata(metadata, memory, is_list);
            }
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "nodePort" | "healthCheckNodePort" if value.as_u64() > Some(29_999) => {
                        *value = "<node port>".into();
                    }
                    "cells" => mask_cells(value),
                    _ => mask(value, memory),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, memory)),
        Value::String(text) => *text = mask_text(text),
        _ => {}
    }
}

fn mask_metadata(metadata: &mut serde_json::Map<String, Value>, memory: &Memory, is_list: bool) {
    metadata.remove("managedFields");
    let base = metadata.get("generateName").and_then(Value::as_str).map(str::to_owned);
    if let (Some(base), Some(Value::String(name))) = (base, metadata.get_mut("name"))
        && name.strip_prefix(&base).is_some_and(|suffix| suffix.len() == 5)
    {
        *name = format!("{base}<5>");
    }
    if let Some(Value::String(version)) = metadata.get_mut("resourceVersion") {
        *version = match is_list {
            true => memory.list_label(version).to_owned(),
            false => memory.label(version),
        };
    }
    if let Some(Value::String(token)) = metadata.get_mut("continue")
        && !token.is_empty()
    {
        *token = "<continue>".to_owned();
    }
}

/// A Table row's cells: ages are taken out.
fn mask_cells(cells: &mut Value) {
    for cell in cells.as_array_mut().into_iter().flatten() {
        if let Value::String(text) = cell {
            *text = if is_age(text) { "<age>".to_owned() } else { mask_text(text) };
        }
    }
}

/// `5s`, `2m3s`, `4d`.
#[must_use]
pub fn is_age(text: &str) -> bool {
    let mut digits = 0;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b's' | b'm' | b'h' | b'd' | b'y' if digits > 0 => digits = 0,
            _ => return false,
        }
    }
    !text.is_empty() && digits == 0
}

/// A text without uids, times of this run and given addresses.
#[must_use]
pub fn mask_text(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let starts_word = !masked.ends_with(|last: char| last.is_ascii_alphanumeric());
        let found = if starts_word { own(rest) } else { None };
        let (length, word) = found.unwrap_or_else(|| {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            (length, &rest[..length])
        });
        masked += word;
        rest = &rest[length..];
    }
    mask_current(&masked)
}

/// `…, current: 53` says where each store is.
fn mask_current(text: &str) -> String {
    match text.split_once(", current: ") {
        Some((before, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{before}, current: <rv>")
        }
        _ => text.to_owned(),
    }
}

/// What is a server's own at the beginning of a text: its length and what stands for it.
fn own(text: &str) -> Option<(usize, &'static str)> {
    if fits(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
        return Some((36, "<uid>"));
    }
    // Times that are sent lie in 2001, so that they are told from the servers' own.
    if fits(text, "202d-dd-ddTdd:dd:dd") {
        let fraction = text[19..]
            .strip_prefix('.')
            .map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
        let word = if fraction > 0 { "<precise time>" } else { "<time>" };
        let zone = usize::from(text[19 + fraction..].starts_with('Z'));
        return Some((19 + fraction + zone, word));
    }
    for (prefix, word) in [("10.0.0.", "<ip>"), ("127.0.0.1:", "<address>")] {
        if let Some(rest) = text.strip_prefix(prefix) {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 && !rest[digits..].starts_with('/') {
                return Some((prefix.len() + digits, word));
            }
        }
    }
    None
}

/// Whether a text begins as a pattern says: `x` is a hexadecimal digit, `d` a decimal one.
fn fits(text: &str, pattern: &str) -> bool {
    let begin = text.as_bytes().get(..pattern.len());
    begin.is_some_and(|begin| {
        begin.iter().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
            b'x' => byte.is_ascii_hexdigit(),
            b'd' => byte.is_ascii_digit(),
            other => *byte == other,
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Memory, is_age, mask, mask_text};

    #[test]
    fn what_is_a_servers_own_is_taken_out_and_the_rest_stays() {
        let cases = [
            ("uid: 01234567-89ab-cdef-0123-456789abcdef.", "uid: <uid>."),
            ("2026-11-21T12:00:00Z", "<time>"),
            ("2026-11-21T12:00:00.123456Z", "<precise time>"),
            ("2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"),
            ("10.0.0.17", "<ip>"),
            ("10.0.0.0/24", "10.0.0.0/24"),
            (
                "Too large resource version: 9, current: 53",
                "Too large resource version: 9, current: <rv>",
            ),
        ];
        for (text, masked) in cases {
            assert_eq!(mask_text(text), masked);
        }
    }

    #[test]
    fn ages_are_told_from_other_cells() {
        assert!(is_age("5s") && is_age("2m3s"));
        assert!(!is_age("") && !is_age("5") && !is_age("sum") && !is_age("1/1"));
    }

    #[test]
    fn a_generated_name_keeps_its_base() {
        let mut value = json!({"metadata": {"generateName": "a-", "name": "a-x2f4b"}});
        mask(&mut value, &Memory::default());
        assert_eq!(value["metadata"]["name"], "a-<5>");
    }
}
