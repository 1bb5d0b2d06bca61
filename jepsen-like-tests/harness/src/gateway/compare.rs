//! Two answers held against each other, without what need not be equal.
//!
//! Must not know: how they were obtained.

use anyhow::{Context, Result};
use serde_json::Value;

use super::http::{Answer, ask};

/// What is left out of the comparison over HTTP, and why.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("`engram` in the answer of `/version`", "our own version, beside etcd's fields"),
    ("the text of 421 Misdirected Request", "it names the program and the flag"),
    ("the order of the lines of `/readyz?verbose`", "etcd's is drawn anew at each start"),
    ("the page behind `/debug/vars`", "it tells of Go's memory"),
    ("a JSON request without an id that gets any (not asked)", "both draw it at random"),
];

/// Headers that clients see.
const HEADERS: &[&str] = &[
    "content-type",
    "grpc-metadata-content-type",
    "allow",
    "location",
    "x-content-type-options",
    "www-authenticate",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
];

/// Both answers when they differ.
pub(super) fn compared(path: &str, theirs: &Answer, ours: &Answer) -> Option<String> {
    let (etcd, engram) = (shown(path, theirs), shown(path, ours));
    (etcd != engram).then(|| format!("    etcd:   {etcd}\n    engram: {engram}"))
}

/// An answer as text that is equal exactly when the answers are.
fn shown(path: &str, answer: &Answer) -> String {
    let text = head(answer);
    let body = match answer.code {
        421 => "…".to_owned(),
        _ if path.starts_with("/readyz") => sorted(&answer.body),
        _ => answer.body.lines().map(|line| masked(path, line)).collect::<Vec<_>>().join("\n"),
    };
    format!("{text}\n            {body}")
}

/// The code and the headers that clients see.
pub(crate) fn head(answer: &Answer) -> String {
    let mut text = answer.code.to_string();
    for name in HEADERS {
        if let Some(value) = answer.header(name) {
            text.push_str(&format!(" {name}={value}"));
        }
    }
    text
}

fn sorted(body: &str) -> String {
    let mut lines: Vec<&str> = body.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// A line, without what differs when it is JSON.
pub(super) fn masked(path: &str, line: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    mask(&mut value, path);
    value.to_string()
}

fn mask(value: &mut Value, path: &str) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| mask(element, path)),
        Value::Object(fields) => {
            if let Some(Value::Object(header)) = fields.get_mut("header") {
                for drawn in ["cluster_id", "member_id", "raft_term"] {
                    header.remove(drawn);
                }
            }
            if path == "/version" || path == "//version" {
                fields.remove("engram");
            }
            if path.ends_with("timetolive") {
                fields.entry("TTL").and_modify(|ttl| *ttl = sign(ttl));
            }
            for unordered in ["leases", "keys"] {
                if let Some(Value::Array(elements)) = fields.get_mut(unordered) {
                    elements.sort_by_key(Value::to_string);
                }
            }
            fields.values_mut().for_each(|field| mask(field, path));
        }
        // Compat: protojson puts one of two kinds of spaces behind its name, by the build.
        Value::String(text) => *text = text.replace('\u{a0}', " "),
        _ => {}
    }
}

/// What counts real seconds: only whether there are any.
fn sign(ttl: &Value) -> Value {
    let seconds = ttl.as_str().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    Value::from(seconds.signum())
}

/// The revision of a store.
pub(super) async fn revision(url: &str) -> Result<i64> {
    let answer = ask(url, "POST", "/v3/kv/range", "", b"{\"key\":\"cmV2\"}").await?;
    let value: Value = serde_json::from_str(&answer.body)?;
    let revision = value["header"]["revision"].as_str().context("a revision")?;
    Ok(revision.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_differences_lists_what_is_left_out() {
        let page = include_str!("../../../../docs/compatibility/differences.md");
        for (what, why) in LEFT_OUT {
            assert!(page.contains(&format!("| {what} | {why} |")), "the page lacks {what}");
        }
    }

    #[test]
    fn ids_are_no_difference_and_all_else_is() {
        let answer = |body: &str| Answer { code: 200, headers: Vec::new(), body: body.to_owned() };
        let one = answer(r#"{"header":{"cluster_id":"1","revision":"2"},"count":"1"}"#);
        let two = answer(r#"{"header":{"revision":"2","member_id":"5"},"count":"1"}"#);
        assert_eq!(compared("/v3/kv/range", &one, &two), None);
        let three = answer(r#"{"header":{"revision":"2"},"count":1}"#);
        assert!(compared("/v3/kv/range", &one, &three).is_some());
    }
}
