//! JSON as kube-apiserver 1.37.0 read or refused it: `decode/json.json` has bodies, one character
//! for each byte, each with the message it was refused with as unreadable, or null. Bodies that
//! were read are also read by `serde_json`, and must mean the same.

use engram_schema::Value;
use engram_schema::decode::{Limits, body_summary, json, type_meta};
use proptest::prelude::*;

const OBSERVED: &str = include_str!("decode/json.json");

fn observed() -> Vec<(Vec<u8>, Option<String>)> {
    let rows: Vec<(String, Option<String>)> =
        serde_json::from_str(OBSERVED).expect("the golden file is JSON");
    let bytes = |text: String| text.chars().map(|c| c as u8).collect();
    rows.into_iter().map(|(text, message)| (bytes(text), message)).collect()
}

fn read(text: &str) -> Value {
    json(text.as_bytes(), Limits::default()).expect(text).value
}

fn refused(text: &str) -> String {
    json(text.as_bytes(), Limits::default()).expect_err(text).to_string()
}

fn duplicates(text: &str) -> Vec<String> {
    json(text.as_bytes(), Limits::default()).expect(text).duplicates
}

#[test]
fn bodies_are_read_and_refused_as_observed() {
    let rows = observed();
    assert!(rows.len() >= 600);
    let mut differences = Vec::new();
    for (body, message) in rows {
        let read = json(&body, Limits::default())
            .and_then(|decoded| type_meta(&decoded.value).map(|_| ()))
            .map_err(|error| format!("{} ({})", error.in_body(), body_summary(&body)));
        if read.clone().err() != message {
            let body = String::from_utf8_lossy(&body).into_owned();
            differences.push(format!("{body:?}\n  ours     {read:?}\n  observed {message:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn duplicate_keys_are_found_with_their_paths_and_the_last_counts() {
    let text =
        r#"{"spec":{"replicas":1,"replicas":2,"c":[{"x":1},{"n":1,"n":2}]},"a.b":{"c":1,"c":2}}"#;
    assert_eq!(
        duplicates(text),
        [
            r#"duplicate field "spec.replicas""#,
            r#"duplicate field "spec.c[1].n""#,
            r#"duplicate field "a.b.c""#,
        ]
    );
    assert_eq!(read(text)["spec"]["replicas"], 2);
    let twice = r#"{"a":{"x":1},"a":{"x":1,"x":2},"a":3,"a":4}"#;
    assert_eq!(duplicates(twice), [r#"duplicate field "a""#, r#"duplicate field "a.x""#]);
}

#[test]
fn objects_under_duplicate_keys_are_merged_unless_asked_otherwise() {
    let text = r#"{"a":{"x":1,"y":{"z":1}},"a":{"w":2,"y":{"v":2}}}"#;
    assert_eq!(read(text), serde_json::json!({"a":{"x":1,"y":{"z":1,"v":2},"w":2}}));
    let limits = Limits { merge_duplicates: false, ..Limits::default() };
    let last = json(text.as_bytes(), limits).expect("JSON").value;
    assert_eq!(last, serde_json::json!({"a":{"w":2,"y":{"v":2}}}));
}

#[test]
fn integers_stay_integers_and_the_rest_are_floats() {
    assert!(read("9223372036854775807").is_i64() && read("-9223372036854775808").is_i64());
    assert!(read("18446744073709551615").is_u64());
    assert!(read("18446744073709551616").is_f64() && read("1.0").is_f64() && read("1e3").is_f64());
    assert_eq!(read("-0"), serde_json::json!(0));
    assert_eq!(
        refused("1e400"),
        "json: cannot unmarshal number 1e400 into Go value of type float64"
    );
}

#[test]
fn text_that_is_no_unicode_is_replaced() {
    assert_eq!(read(r#""\ud800""#), "\u{fffd}");
    assert_eq!(read(r#""\ud83d\ude00""#), "\u{1f600}");
    assert_eq!(read(r#""\ude00\ud83d\u0041""#), "\u{fffd}\u{fffd}A");
    let bytes = json(b"\"a\xff\xfeb\xe2\x82\"", Limits::default()).expect("JSON").value;
    assert_eq!(bytes, "a\u{fffd}\u{fffd}b\u{fffd}\u{fffd}");
}

#[test]
fn nesting_beyond_the_limit_is_refused_and_below_is_read() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let limits = Limits::default();
    assert!(json(nested(limits.depth_max).as_bytes(), limits).is_ok());
    assert_eq!(refused(&nested(limits.depth_max + 1)), "invalid character '[' exceeded max depth");
    let objects = r#"{"a":"#.repeat(100_000);
    assert_eq!(refused(&objects), "invalid character '{' exceeded max depth");
}

#[test]
fn reported_duplicates_are_bounded() {
    let many: Vec<_> = (0..500).map(|i| format!(r#""{i}":1,"{i}":2"#)).collect();
    assert_eq!(duplicates(&format!("{{{}}}", many.join(","))).len(), 100);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_writes_is_read_as_it_was(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let decoded = json(text.as_bytes(), Limits::default()).expect("serde writes JSON");
        prop_assert_eq!(&decoded.value, &value);
        prop_assert!(decoded.duplicates.is_empty());
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = json(&bytes, Limits::default());
    }

    #[test]
    fn whatever_serde_reads_is_read_the_same(
        text in r#"[\[\]{}:,"a0-9.e\-tnu \\]{0,24}"#,
    ) {
        // Keys written twice and numbers beyond floats are the differences that are meant to be.
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let decoded = json(text.as_bytes(), Limits::default()).expect(&text);
            if decoded.duplicates.is_empty() && !text.contains("-0") {
                prop_assert_eq!(decoded.value, value);
            }
        }
    }
}
