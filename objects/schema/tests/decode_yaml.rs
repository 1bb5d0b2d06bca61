//! YAML as kube-apiserver 1.37.0 read or refused it: `decode/yaml.json` has documents of a kind
//! without a schema, each with the value that it became and the warnings about it, or with the
//! message it was refused with.

use engram_schema::Value;
use engram_schema::decode::{Decoded, Limits, body_summary, json, type_meta, yaml};
use proptest::prelude::*;
use serde_json::json;

const OBSERVED: &str = include_str!("decode/yaml.json");

fn observed() -> Vec<(String, Value)> {
    serde_json::from_str(OBSERVED).expect("the golden file is JSON")
}

fn read(text: &str) -> Result<Decoded, String> {
    let refused = |error: engram_schema::decode::DecodeError| {
        format!(
            "the object provided is unrecognized (must be of type Thing): {} ({})",
            error.in_body(),
            body_summary(text.as_bytes())
        )
    };
    let decoded = yaml(text.as_bytes(), Limits::default()).map_err(refused)?;
    type_meta(&decoded.value).map_err(refused)?;
    Ok(decoded)
}

/// What a document says besides what every document of the golden file has.
fn rest(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        for name in ["apiVersion", "kind", "metadata"] {
            object.remove(name);
        }
    }
    if value.is_null() { json!({}) } else { value }
}

/// Documents that mean something else here, each with the reason.
const MEANS_ELSE: &[(&str, &str)] = &[
    ("x: 9223372036854775808\n", "integers of 64 bits without a sign stay integers"),
    ("x: 18446744073709551615\n", "integers of 64 bits without a sign stay integers"),
    ("x: 123456789012345680000\n", "serde_json reads the golden file's float one bit off"),
    ("x: {a:}\n", "YAML 1.2 reads a colon before a bracket as the end of a key"),
    ("x: {1: a, \"1\": b}\n", "keys that are the same text in JSON are duplicates"),
    ("x: {c: 3, <<: *b}\n", "merged keys are not told of as duplicates"),
    ("x: {<<: [*b, *c]}\n", "merged keys are not told of as duplicates"),
    ("x: \"\u{85}\"\n", "YAML 1.2 knows no line ends but two"),
    ("x: \n|\na: \n", "an empty block scalar needs its indentation"),
];

/// Documents that are read here, each with the reason.
const READ_HERE: &[(&str, &str)] = &[
    ("%FOO\n", "a directive's mark within a document is text in YAML 1.2"),
    ("x: \"\\/\"\n", "YAML 1.2 escapes slashes, as JSON does"),
    ("%YAML 1.2\n", "YAML 1.2 may say that it is"),
];

fn is_listed(list: &[(&str, &str)], text: &str) -> bool {
    list.iter().any(|(part, _)| text.contains(part))
}

#[test]
fn documents_mean_what_was_observed() {
    let mut differences = Vec::new();
    let mut compared = 0;
    for (text, observed) in observed().iter().filter(|(text, _)| !is_listed(MEANS_ELSE, text)) {
        if !observed["value"].is_object() {
            continue;
        }
        compared += 1;
        match read(text) {
            Ok(ours) => {
                let theirs = (&observed["value"], &observed["warnings"]);
                let ours = (rest(&ours.value), json!(ours.duplicates));
                if (&ours.0, &ours.1) != theirs {
                    differences
                        .push(format!("{text:?}\n  ours     {ours:?}\n  observed {theirs:?}"));
                }
            }
            Err(message) => differences.push(format!("{text:?} is refused here: {message}")),
        }
    }
    assert!(compared >= 240, "{compared} documents");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn documents_are_refused_where_that_was_observed() {
    let mut accepted = Vec::new();
    let (mut refused, mut in_the_same_words) = (0, 0);
    for (text, observed) in observed().iter().filter(|(text, _)| !is_listed(READ_HERE, text)) {
        let Some(theirs) = observed["message"].as_str() else { continue };
        // A document that is read and names no kind is refused elsewhere.
        if theirs.contains("Object 'Kind' is missing") {
            continue;
        }
        match read(text) {
            Ok(decoded) => accepted.push(format!("{text:?} is read as {}", decoded.value)),
            Err(ours) => {
                refused += 1;
                in_the_same_words += usize::from(ours == theirs);
            }
        }
    }
    assert!(accepted.is_empty(), "{}", accepted.join("\n"));
    // Two parsers that look for different things first: most of what differs was made at random.
    assert!(in_the_same_words * 100 >= refused * 85, "{in_the_same_words} of {refused}");
}

#[test]
fn common_faults_are_told_in_the_same_words() {
    let message =
        |text: &str| yaml(text.as_bytes(), Limits::default()).expect_err(text).to_string();
    assert_eq!(message("a: b: c"), "yaml: mapping values are not allowed in this context");
    assert_eq!(message("a:\n\tb: 1"), "yaml: line 2: found character that cannot start any token");
    assert_eq!(message("["), "yaml: line 1: did not find expected node content");
    assert_eq!(message("{a: 1"), "yaml: line 1: did not find expected ',' or '}'");
    assert_eq!(message("a: \"x"), "yaml: found unexpected end of stream");
    assert_eq!(message("a: &x [*x]\n"), "yaml: anchor 'x' value contains itself");
    assert_eq!(message("a: *nope"), "yaml: unknown anchor 'nope' referenced");
    assert_eq!(message("a: \u{1}"), "yaml: control characters are not allowed");
    let invalid = yaml(b"a: \xff", Limits::default()).expect_err("no UTF-8").to_string();
    assert_eq!(invalid, "yaml: invalid leading UTF-8 octet");
}

#[test]
fn duplicate_keys_are_told_with_their_lines() {
    let text = "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n";
    let decoded = yaml(text.as_bytes(), Limits::default()).expect("YAML");
    assert_eq!(decoded.value, json!({ "a": 3, "b": { "c": 2 } }));
    let told = ["line 4: key \"c\" already set in map", "line 5: key \"a\" already set in map"];
    assert_eq!(decoded.duplicates, told);
}

#[test]
fn documents_after_the_first_are_not_looked_at() {
    let decoded = yaml(b"a: 1\n---\nb: [\n", Limits::default()).expect("YAML");
    assert_eq!(decoded.value, json!({ "a": 1 }));
}

/// Every list has nine aliases of the one before.
fn bomb(levels: usize) -> String {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..levels {
        let aliases = vec![format!("*a{}", level - 1); 9].join(",");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    text
}

#[test]
fn documents_that_grow_by_aliases_are_refused_before_they_do() {
    for levels in [5, 8, 20, 200] {
        let error = yaml(bomb(levels).as_bytes(), Limits::default()).expect_err("a bomb");
        assert_eq!(error.to_string(), "yaml: document contains excessive aliasing", "{levels}");
    }
    let modest = yaml(bomb(2).as_bytes(), Limits::default()).expect("not a bomb");
    assert_eq!(modest.value["a1"].as_array().map(Vec::len), Some(9));
}

#[test]
fn long_texts_are_not_multiplied_by_aliases() {
    let limits = Limits { text_bytes_max: 10_000, ..Limits::default() };
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(1000), vec!["*a"; 20].join(","));
    let error = yaml(text.as_bytes(), limits).expect_err("20,000 bytes");
    assert_eq!(error.to_string(), "yaml: document contains excessive aliasing");
}

#[test]
fn anchors_within_anchors_are_paid_for() {
    let limits = Limits { nodes_max: 10_000, ..Limits::default() };
    let mut text = String::new();
    for depth in 0..90 {
        text.push_str(&format!("&a{depth} ["));
    }
    text.push_str(&vec!["1"; 200].join(","));
    text.push_str(&"]".repeat(90));
    let error = yaml(text.as_bytes(), limits).expect_err("kept 90 times over");
    assert_eq!(error.to_string(), "yaml: document contains excessive aliasing");
}

#[test]
fn nesting_beyond_the_limit_is_refused() {
    let depth_max = Limits::default().depth_max;
    let nested = |depth: usize| format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(yaml(nested(depth_max - 1).as_bytes(), Limits::default()).is_ok());
    for text in [nested(depth_max), nested(100_000), "- ".repeat(100_000), "{a: ".repeat(9_999)] {
        let error = yaml(text.as_bytes(), Limits::default()).expect_err("too deep").to_string();
        assert!(error.contains("max depth"), "{error}");
    }
    let by_alias = "a: &a [[[[1]]]]\nb: [[[[*a]]]]\n";
    let limits = Limits { depth_max: 6, ..Limits::default() };
    assert!(yaml(by_alias.as_bytes(), limits).is_err());
}

proptest! {
    #[test]
    fn no_text_brings_it_down(text in r##"[a-c\[\]{}:,&*!|>?%@`'"#~ \n\t0-9.\-]{0,60}"##) {
        let _ = yaml(text.as_bytes(), Limits::default());
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = yaml(&bytes, Limits::default());
    }

    #[test]
    fn json_is_yaml(keys in prop::collection::btree_map("[a-z]{1,8}", any::<i64>(), 0..5)) {
        let text = serde_json::to_string(&json!({ "x": keys, "l": [true, null, "y"] }))
            .expect("JSON");
        let as_json = json(text.as_bytes(), Limits::default()).expect("JSON");
        prop_assert_eq!(yaml(text.as_bytes(), Limits::default()).expect("YAML"), as_json);
    }
}
