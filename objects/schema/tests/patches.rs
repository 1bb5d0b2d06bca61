//! Patches as kube-apiserver 1.37.0 did them: every case of `patches/*.json` was sent to one, and
//! what it answered is written down there. `strategic.json` patches built-in kinds; `plain.json`
//! patches `x` of an object without a schema, so that nothing but the patch shows.

use engram_schema::Value;
use engram_schema::decode::quoted;
use engram_schema::patch::{
    Patch, PatchError, PatchErrorClass, json_patch, merge_patch, strategic,
};
use engram_schema::types::{Schema, Shape, TypeId};
use proptest::prelude::*;
use serde_json::json;

const PLAIN: &str = include_str!("patches/plain.json");
const STRATEGIC: &str = include_str!("patches/strategic.json");

fn file(text: &str) -> Value {
    serde_json::from_str(text).expect("the golden files are JSON")
}

fn cases(file: &Value) -> &[Value] {
    file["cases"].as_array().expect("a golden file has cases")
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_default()
}

fn code(class: &PatchErrorClass) -> u16 {
    match class {
        PatchErrorClass::BadRequest => 400,
        PatchErrorClass::Unprocessable | PatchErrorClass::Invalid { .. } => 422,
        PatchErrorClass::TooLarge => 413,
        PatchErrorClass::Internal => 500,
    }
}

/// The message of the answer, as the door builds it.
fn message(error: &PatchError) -> String {
    match &error.class {
        PatchErrorClass::Invalid { value } => {
            format!(" \"\" is invalid: patch: Invalid value: {}: {}", quoted(value), error.message)
        }
        _ => error.message.clone(),
    }
}

/// What differs between an outcome and what was observed, if anything does.
fn difference(case: &Value, outcome: Result<Value, PatchError>) -> Option<String> {
    let name = text(case, "name");
    let observed = case["code"].as_u64().unwrap_or_default();
    match outcome {
        Ok(value) if observed < 300 => (value != case["result"])
            .then(|| format!("{name}:\n  ours     {value}\n  observed {}", case["result"])),
        Ok(value) => Some(format!("{name}: done as {value}, refused: {}", case["message"])),
        Err(error) => {
            let ours = (u64::from(code(&error.class)), message(&error));
            let theirs = (observed, text(case, "message").to_owned());
            (ours != theirs).then(|| format!("{name}:\n  ours     {ours:?}\n  observed {theirs:?}"))
        }
    }
}

fn assert_none(differences: Vec<String>) {
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn json_and_merge_patches_do_what_was_observed() {
    let file = file(PLAIN);
    let document = json!({ "kind": "Thing", "x": file["document"] });
    let outcome = |case: &Value| {
        let patch = text(case, "patch").as_bytes();
        let patched = match text(case, "how") {
            "merge" => merge_patch(&document, patch),
            _ => json_patch(&document, patch),
        };
        patched.map(|patched| patched["x"].clone())
    };
    assert!(cases(&file).len() >= 80);
    // The results are those of a server that writes 1e2 as 100, as one that knows no types does.
    let differ = cases(&file).iter().filter(|case| text(case, "name") != "merge: a float");
    assert_none(differ.filter_map(|case| difference(case, outcome(case))).collect());
}

#[test]
fn strategic_patches_do_what_was_observed() {
    let file = file(STRATEGIC);
    let schema = Schema::builtin();
    let outcome = |case: &Value| {
        let (kind, document) = target(schema, &file, case);
        let patched =
            Patch::strategic(text(case, "patch").as_bytes())?.apply(schema, kind, document)?;
        Ok(known(schema, &Shape::Object(kind), patched))
    };
    assert!(cases(&file).len() >= 90);
    let mut differences = Vec::new();
    for case in cases(&file) {
        let mut case = case.clone();
        if case["result"].is_object() {
            let (kind, _) = target(schema, &file, &case);
            case["result"] = known(schema, &Shape::Object(kind), case["result"].take());
        }
        differences.extend(difference(&case, outcome(&case)));
    }
    assert_none(differences);
}

/// The kind and the document that a case patches.
fn target<'a>(schema: &Schema, file: &'a Value, case: &Value) -> (TypeId, &'a Value) {
    let document = &file["documents"][text(case, "kind")];
    let (group, version) =
        text(document, "apiVersion").split_once('/').unwrap_or(("", text(document, "apiVersion")));
    let kind = schema.kind(group, version, text(document, "kind")).expect("a built-in kind");
    (kind, document)
}

/// What is left when unknown fields and what goes without saying are not looked at: both are the
/// matter of the typed reading that follows a patch.
fn known(schema: &Schema, shape: &Shape, value: Value) -> Value {
    let says_something = |value: &Value| match value {
        Value::Null => false,
        Value::Object(object) => !object.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    match (shape, value) {
        (Shape::Object(id), Value::Object(object)) => {
            let of = |name: &str| schema.get(*id).field(name).map(|field| &field.shape);
            let member = |(name, value): (String, Value)| {
                let value = known(schema, of(&name)?, value);
                says_something(&value).then_some((name, value))
            };
            object.into_iter().filter_map(member).collect()
        }
        (Shape::List(element), Value::Array(items)) => {
            items.into_iter().map(|item| known(schema, element, item)).collect()
        }
        (_, value) => value,
    }
}

#[test]
fn warnings_about_a_patch_name_what_was_observed() {
    for case in cases(&file(PLAIN)).iter().chain(cases(&file(STRATEGIC))) {
        let observed: Vec<_> = case["warnings"].as_array().into_iter().flatten().collect();
        let about_patch = |warning: &&&Value| {
            let warning = warning.as_str().unwrap_or_default();
            warning.starts_with("json patch") || warning.starts_with("duplicate field")
        };
        let observed: Vec<_> = observed.iter().filter(about_patch).collect();
        let patch = text(case, "patch").as_bytes();
        let read = match text(case, "how") {
            "json" => Patch::json(patch),
            "merge" => Patch::merge(patch),
            _ => Patch::strategic(patch),
        };
        for warning in read.map(|patch| patch.warnings).unwrap_or_default() {
            assert!(observed.iter().any(|w| w.as_str() == Some(&warning)), "{case}: {warning}");
        }
    }
}

fn operations(one: &str, times: usize) -> String {
    format!("[{}]", vec![one; times].join(","))
}

#[test]
fn json_patches_have_ten_thousand_operations_at_most() {
    let test = r#"{"op":"test","path":"/a","value":1}"#;
    let document = json!({ "a": 1 });
    assert_eq!(json_patch(&document, operations(test, 10_000).as_bytes()), Ok(document.clone()));
    let error = json_patch(&document, operations(test, 10_001).as_bytes()).expect_err("too many");
    assert_eq!(error.class, PatchErrorClass::TooLarge);
    assert_eq!(
        error.message,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got \
         10001"
    );
}

#[test]
fn what_json_patches_copy_is_bounded() {
    let document = json!({ "a": "x".repeat(1 << 20), "l": [] });
    let copy = r#"{"op":"copy","from":"/a","path":"/l/-"}"#;
    assert!(json_patch(&document, operations(copy, 2).as_bytes()).is_ok());
    let error = json_patch(&document, operations(copy, 3).as_bytes()).expect_err("over 3 MiB");
    assert_eq!(error.class, PatchErrorClass::Unprocessable);
    // Doubled every time, forty copies of the whole would be a terabyte.
    let double = r#"{"op":"copy","from":"/l","path":"/l/-"}"#;
    let grown = json!({ "l": ["x"] });
    assert!(json_patch(&grown, operations(double, 40).as_bytes()).is_err());
}

#[test]
fn a_merged_list_of_many_elements_takes_no_quadratic_time() {
    let schema = Schema::builtin();
    let kind = schema.kind("", "v1", "ConfigMap").expect("a built-in kind");
    let names = |from: usize| (from..from + 20_000).map(|i| format!("a.b/{i}")).collect::<Vec<_>>();
    let owners = |from: usize| -> Vec<Value> {
        (from..from + 20_000).map(|i| json!({ "uid": i.to_string() })).collect()
    };
    let metadata =
        |from: usize| json!({ "finalizers": names(from), "ownerReferences": owners(from) });
    let document = json!({ "metadata": metadata(0) });
    let patch = json!({ "metadata": metadata(10_000) }).to_string();
    let began = std::time::Instant::now();
    let merged = strategic(schema, kind, &document, patch.as_bytes()).expect("a patch");
    for list in ["finalizers", "ownerReferences"] {
        assert_eq!(merged["metadata"][list].as_array().map(Vec::len), Some(30_000), "{list}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
}

fn any_json() -> impl Strategy<Value = Value> {
    const KEYS: &str = "a|b|name|finalizers|metadata|spec|template|containers|ports|\\$patch|\
        \\$retainKeys|\\$setElementOrder/finalizers|\\$deleteFromPrimitiveList/finalizers";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        "a|b|delete|replace|merge".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(KEYS, inner, 0..5)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_patch_brings_it_down(document in any_json(), patch in any_json()) {
        let schema = Schema::builtin();
        let kind = schema.kind("apps", "v1", "Deployment").expect("a built-in kind");
        let text = patch.to_string();
        let _ = strategic(schema, kind, &document, text.as_bytes());
        let _ = merge_patch(&document, text.as_bytes());
        let _ = json_patch(&document, text.as_bytes());
    }

    #[test]
    fn a_merge_patch_done_twice_is_done_once(document in any_json(), patch in any_json()) {
        prop_assume!(patch.is_object());
        let text = patch.to_string();
        let once = merge_patch(&document, text.as_bytes()).expect("an object");
        let twice = merge_patch(&once, text.as_bytes()).expect("an object");
        prop_assert_eq!(once, twice);
    }
}
