//! Selectors as kube-apiserver 1.37.0 read or refused them: `selectors/observed.json` has texts,
//! some written for a rule and many at random, each with the message it was refused with, or null.

use std::collections::BTreeMap;

use engram_apiserver::selector::{
    FieldLabels, FieldSelector, LabelSelector, Selector, UnknownFieldWords,
};
use serde_json::{Value, json};

const OBSERVED: &str = include_str!("selectors/observed.json");

const POD: FieldLabels = FieldLabels {
    supported: &[
        "metadata.name",
        "metadata.namespace",
        "spec.hostNetwork",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
        "status.podIPs",
    ],
    renamed: &[("spec.host", "spec.nodeName")],
    words: UnknownFieldWords::NotSupported,
};

/// The texts of one list with what was observed of each.
fn observed(list: &str) -> Vec<(String, Option<String>)> {
    let file: Value = serde_json::from_str(OBSERVED).expect("the golden file is JSON");
    serde_json::from_value(file[list].clone()).expect("pairs of a text and a message")
}

fn assert_observed<T: std::fmt::Display + PartialEq + std::fmt::Debug, E: std::fmt::Display>(
    list: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) {
    let mut differences = Vec::new();
    let mut accepted = 0;
    for (text, message) in observed(list) {
        match parse(&text) {
            Ok(selector) => {
                accepted += 1;
                let printed = selector.to_string();
                match parse(&printed) {
                    Ok(again) => assert_eq!(again, selector, "{text} printed as {printed}"),
                    Err(error) => panic!("{text} printed as {printed}: {error}"),
                }
                if let Some(message) = message {
                    differences.push(format!("{text:?} is read, not refused: {message}"));
                }
            }
            Err(error) if Some(error.to_string()) == message => {}
            Err(error) => differences.push(format!(
                "{text:?}\n  ours     {error}\n  observed {}",
                message.unwrap_or_default()
            )),
        }
    }
    assert!(accepted >= 25, "{accepted} texts are read");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn label_selectors_are_read_and_refused_as_observed() {
    assert_observed("labels", LabelSelector::parse);
}

#[test]
fn field_selectors_are_read_and_refused_as_observed() {
    assert_observed("fields", |text| FieldSelector::parse(text, &POD));
}

#[test]
fn unsupported_fields_are_refused_in_the_words_of_their_kind() {
    let file: Value = serde_json::from_str(OBSERVED).expect("the golden file is JSON");
    let words = |kind: &str| match kind {
        "Job" => UnknownFieldWords::NotSupportedForKind("Job"),
        "ConfigMap" => UnknownFieldWords::OnlyMetadata,
        "ResourceSlice" => {
            UnknownFieldWords::NotSupportedFor("resource.k8s.io/v1, Kind=ResourceSlice")
        }
        _ => UnknownFieldWords::NotSupported,
    };
    for row in file["unknown"].as_array().into_iter().flatten() {
        let [kind, text, message] = [0, 1, 2].map(|i| row[i].as_str().unwrap_or_default());
        let by = FieldLabels { supported: &[], renamed: &[], words: words(kind) };
        let error = FieldSelector::parse(text, &by).expect_err("the field is not supported");
        assert_eq!(error.to_string(), message, "{kind}");
    }
}

/// Which of the label maps a selector takes.
fn selected(text: &str) -> Vec<&'static str> {
    let selector = LabelSelector::parse(text).expect("a selector");
    let maps = [
        ("none", json!({})),
        ("a=1", json!({ "a": "1" })),
        ("a=2", json!({ "a": "2" })),
        ("a=x,b", json!({ "a": "x", "b": "" })),
    ];
    maps.iter().filter(|(_, labels)| selector.matches(labels)).map(|(name, _)| *name).collect()
}

#[test]
fn labels_are_matched_by_every_operator() {
    assert_eq!(selected(""), ["none", "a=1", "a=2", "a=x,b"]);
    assert_eq!(selected("a=1"), ["a=1"]);
    assert_eq!(selected("a==2"), ["a=2"]);
    assert_eq!(selected("a!=1"), ["none", "a=2", "a=x,b"]);
    assert_eq!(selected("a in (1,x)"), ["a=1", "a=x,b"]);
    assert_eq!(selected("a notin (1,x)"), ["none", "a=2"]);
    assert_eq!(selected("a"), ["a=1", "a=2", "a=x,b"]);
    assert_eq!(selected("!a"), ["none"]);
    assert_eq!(selected("a>1"), ["a=2"]);
    assert_eq!(selected("a<2"), ["a=1"]);
    assert_eq!(selected("b="), ["a=x,b"]);
    assert_eq!(selected("a=1,b"), Vec::<&str>::new());
}

#[test]
fn label_selectors_print_sorted_by_key_with_sorted_values() {
    let printed = |text: &str| LabelSelector::parse(text).expect("a selector").to_string();
    assert_eq!(printed("z=1, a in ( c,b , b ),!m"), "a in (b,c),!m,z=1");
    assert_eq!(printed("x notin (),y==q,w!=e,v>4"), "v>4,w!=e,x notin (),y==q");
}

#[test]
fn an_absent_label_selector_selects_nothing_and_an_empty_one_everything() {
    let of = |object: Value| LabelSelector::from_object(&object).expect("a selector");
    let labels: BTreeMap<String, String> = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    assert!(!of(Value::Null).matches(&labels));
    assert!(!of(Value::Null).is_everything());
    assert!(of(json!({})).matches(&labels) && of(json!({})).is_everything());
    let selector = of(json!({
        "matchLabels": { "z": "1" },
        "matchExpressions": [{ "key": "a", "operator": "In", "values": ["c", "b"] }],
    }));
    assert_eq!(selector.to_string(), "a in (b,c),z=1");
    let wrong = json!({ "matchExpressions": [{ "key": "a", "operator": "Near" }] });
    let error = LabelSelector::from_object(&wrong).expect_err("no such operator");
    assert_eq!(error.to_string(), "\"Near\" is not a valid label selector operator");
}

#[test]
fn an_absent_field_equals_the_empty_text() {
    let fields = [("spec.nodeName", "n"), ("status.phase", "")];
    let matches =
        |text: &str| FieldSelector::parse(text, &POD).expect("a selector").matches(&fields);
    assert!(matches("spec.nodeName=n") && !matches("spec.nodeName!=n"));
    assert!(matches("status.phase=") && matches("status.podIP="));
    assert!(!matches("status.podIP!="));
    assert!(matches("spec.host=n"), "a renamed field is looked up by its stored name");
    assert!(!matches("spec.nodeName=n,status.phase=Running"));
}

#[test]
fn the_one_value_that_a_field_must_have_is_told() {
    let required = |text: &str| {
        let selector = FieldSelector::parse(text, &POD).expect("a selector");
        selector.required("metadata.name").map(str::to_owned)
    };
    assert_eq!(required("status.phase=x,metadata.name=a"), Some("a".to_owned()));
    assert_eq!(required("metadata.name!=a"), None);
    assert_eq!(required(""), None);
}

#[test]
fn a_selector_needs_labels_and_fields_to_match() {
    let selector = Selector::parse("a=1", "metadata.name=x", &POD).expect("a selector");
    let labels = json!({ "a": "1" });
    assert!(selector.matches(&labels, &[("metadata.name", "x")]));
    assert!(!selector.matches(&labels, &[("metadata.name", "y")]));
    assert!(!selector.matches(&json!(null), &[("metadata.name", "x")]));
    assert!(Selector::default().is_everything() && !selector.is_everything());
    let error = Selector::parse("-", "-", &POD).expect_err("both are wrong");
    assert!(error.to_string().starts_with("unable to parse requirement"), "labels come first");
}
