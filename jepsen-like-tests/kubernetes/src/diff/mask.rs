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
    (
        "the order of causes",
        "Go's maps have none; where it repeats each cause, a message's list is one",
    ),
    ("the object that a message quotes", "it quotes managedFields too"),
    ("the server's own address and port", "each server has its own"),
    ("continue tokens", "each server's own secret; the pages that they lead to are compared"),
    ("ages in Tables", "count seconds"),
    ("bookmarks but the one that ends the initial events", "sent when time has passed"),
    ("the order of an object's members", "JSON gives it no meaning; sorted by name in ours"),
    (
        "what `kubectl explain` describes",
        "in our words; kinds, fields, types and values are theirs",
    ),
    (
        "admission plugins",
        "come later, and are switched off in the real one; on in both are NamespaceLifecycle, Priority, \
         DefaultTolerationSeconds, StorageObjectInUseProtection and TaintNodesByCondition",
    ),
];

/// Takes out of a value what is each server's own.
pub fn mask(value: &mut Value, memory: &Memory) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("causes") {
                sort_causes(fields);
            }
            if fields.get("reason").is_some_and(|reason| reason == "Invalid") {
                fold_message(fields);
            }
            let is_list = fields.contains_key("items") || fields.contains_key("rows");
            if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                mask_metadata(metadata, memory, is_list);
            }
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "nodePort" | "healthCheckNodePort" if value.as_u64() > Some(29_999) => {
                        *value = "<node port>".into();
                    }
                    "serverAddress" => *value = "<address>".into(),
                    "cells" => mask_cells(value, memory),
                    _ => mask(value, memory),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, memory)),
        Value::Number(number) if is_own(number, memory) => *value = "<own port>".into(),
        Value::String(text) => *text = memory.without_generated(mask_text(text)),
        _ => {}
    }
}

/// The details of a Status: its causes in the order of their texts.
fn sort_causes(details: &mut serde_json::Map<String, Value>) {
    if let Some(Value::Array(causes)) = details.get_mut("causes") {
        causes.sort_by_key(Value::to_string);
    }
}

/// A Status' message without the causes that it repeats, when it repeats each of them.
fn fold_message(status: &mut serde_json::Map<String, Value>) {
    let causes = status.get("details").and_then(|details| details["causes"].as_array());
    let texts: Vec<String> = causes
        .into_iter()
        .flatten()
        .map(|cause| {
            let text = |name: &str| cause[name].as_str().unwrap_or_default();
            format!("{}: {}", text("field"), text("message"))
        })
        .collect();
    let Some(Value::String(message)) = status.get_mut("message") else { return };
    if let Some((before, list)) = message.split_once(" is invalid: [")
        && texts.iter().all(|text| list.contains(text.as_str()))
    {
        *message = format!("{before} is invalid: [<its causes>]");
    }
}

fn is_own(number: &serde_json::Number, memory: &Memory) -> bool {
    memory.own_port() > 0 && number.as_u64() == Some(u64::from(memory.own_port()))
}

fn mask_metadata(metadata: &mut serde_json::Map<String, Value>, memory: &Memory, is_list: bool) {
    metadata.remove("managedFields");
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
fn mask_cells(cells: &mut Value, memory: &Memory) {
    for cell in cells.as_array_mut().into_iter().flatten() {
        if let Value::String(text) = cell {
            *text = match is_age(text) {
                true => "<age>".to_owned(),
                false => memory.without_generated(mask_text(text)),
            };
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
        let starts_word =
            rest.starts_with(':') || !masked.ends_with(|last: char| last.is_ascii_alphanumeric());
        let found = if starts_word { own(rest) } else { None };
        let (length, word) = found.unwrap_or_else(|| {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            (length, &rest[..length])
        });
        masked += word;
        rest = &rest[length..];
    }
    mask_quoted(&masked)
}

/// Numbers and objects that messages quote from each server's own store.
fn mask_quoted(text: &str) -> String {
    let mut text = mask_current(text);
    for before in ["ResourceVersion in record (", "ResourceVersion in object meta: "] {
        if let Some((start, after)) = text.split_once(before) {
            let after = after.trim_start_matches(|next: char| next.is_ascii_digit());
            text = format!("{start}{before}<rv>{after}");
        }
    }
    // The object with its managedFields, as JSON text in the order of Go's fields.
    match text
        .split_once("Invalid value: \"{")
        .map(|(before, after)| (before, after.rsplit_once("}\": ")))
    {
        Some((before, Some((_, after)))) => format!("{before}Invalid value: \"{{…}}\": {after}"),
        _ => text,
    }
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
    if let Some(rest) = text.strip_prefix(':')
        && fits(rest, "3dddd/")
    {
        return Some((6, ":<node port>"));
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
            ("80:30123/TCP", "80:<node port>/TCP"),
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
        let mut memory = Memory::default();
        memory.learn_request(&json!({"metadata": {"generateName": "a-"}}));
        mask(&mut value, &memory);
        assert_eq!(value["metadata"]["name"], "a-<5>");
    }
}
