//! Bad input: each case is one scenario, asked of both sides, and followed by a read of the object
//! that it was aimed at.
//!
//! Invariant: the object is the same afterwards: its resourceVersion has the label of its creation.
//!
//! Must not know: how the cases are held.

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};

use super::lifecycle::create_namespace;
use super::steps::{JSON, JSON_PATCH, Scenario};

const NAMESPACE: &str = "bad-input";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// What is there before the cases: a namespace, a ConfigMap, a Deployment.
#[must_use]
pub fn preparation() -> Scenario {
    let mut to = Scenario::new("preparation");
    create_namespace(&mut to, NAMESPACE);
    to.post(maps(), &map("a"));
    let labels = json!({"app": "a"});
    let containers = json!([{"name": "c", "image": "d"}]);
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    let metadata = json!({"name": "a"});
    let body =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec});
    to.post(deployments(), &body);
    to
}

fn maps() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/configmaps")
}

fn deployments() -> String {
    format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

/// Every case.
///
/// *Errors*: the file of cases does not parse.
pub fn cases() -> Result<Vec<Scenario>> {
    let mut cases = super::topics::bad_input()?;
    cases.extend(bytes());
    cases.extend(bombs());
    cases.extend(patches());
    for case in &mut cases {
        case.get(format!("{}/a", maps()));
        case.get(format!("{}/a", deployments()));
        case.get(format!("{}?limit=50", maps()));
    }
    Ok(cases)
}

/// The same body given as a POST and as a PUT.
fn body(name: &str, content_type: &'static str, body: impl Into<Bytes>) -> Scenario {
    let body = body.into();
    let mut scenario = Scenario::new(name);
    scenario.raw("POST", maps(), JSON, content_type, body.clone());
    scenario.raw("PUT", format!("{}/a", maps()), JSON, content_type, body);
    scenario
}

/// What no text file holds.
fn bytes() -> Vec<Scenario> {
    let control = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"a\":\"\u{1}\"}}";
    let cut = [b"k8s\0".to_vec(), vec![10, 200, 1, 10]].concat();
    let broken = envelope("v1", "ConfigMap", &[10, 255, 1, 1]);
    vec![
        body("a control character", JSON, control),
        body("bytes that are no UTF-8", JSON, vec![b'{', 0xff, 0xfe, b'}']),
        body("protobuf of nothing", PROTOBUF, b"k8s\0".to_vec()),
        body("protobuf cut short", PROTOBUF, cut),
        body("protobuf of an unknown kind", PROTOBUF, envelope("v1", "Nonsense", &[])),
        body("protobuf of broken fields", PROTOBUF, broken),
        body("protobuf of another kind", PROTOBUF, envelope("v1", "Secret", &[])),
        body("CBOR", "application/cbor", vec![0xd9, 0xd9, 0xf7, 0xa0]),
    ]
}

/// What grows when it is read, and what is large already.
fn bombs() -> Vec<Scenario> {
    let deep = |open: &str, close: &str| {
        let mut object = map("z").to_string();
        object.pop();
        format!("{object},\"x\":{}1{}}}", open.repeat(20_000), close.repeat(20_000))
    };
    let big = |bytes: usize| {
        let mut object = map("z");
        object["data"]["k"] = "x".repeat(bytes).into();
        object.to_string()
    };
    let mut annotated = map("z");
    annotated["metadata"]["annotations"] = json!({"a": "x".repeat(262_144)});
    let mebibyte = 1024 * 1024;
    vec![
        body("arrays 20,000 deep", JSON, deep("[", "]")),
        body("objects 20,000 deep", JSON, deep("{\"a\":", "}")),
        body("a body over 3 MiB", JSON, big(3 * mebibyte + 100)),
        body("data over 1 MiB", JSON, big(mebibyte + 100)),
        body("annotations over 256 KiB", JSON, annotated.to_string()),
    ]
}

fn patches() -> Vec<Scenario> {
    let many =
        (0..10_001).map(|n| json!({"op": "add", "path": format!("/data/n{n}"), "value": "x"}));
    let growing = (0..40).map(|n| match n {
        0 => json!({"op": "add", "path": "/data/c0", "value": "x".repeat(200_000)}),
        n => json!({"op": "copy", "from": "/data/c0", "path": format!("/data/c{n}")}),
    });
    let patch = |name: &str, operations: Value| {
        let mut scenario = Scenario::new(name);
        scenario.patch(format!("{}/a", maps()), JSON_PATCH, &operations);
        scenario
    };
    vec![
        patch("a JSON patch of 10,001 operations", many.collect()),
        patch("a JSON patch that copies too much", growing.collect()),
    ]
}

/// A protobuf body of a kind: the envelope of `runtime.Unknown`.
fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("short fields");
        [&[tag, length], bytes].concat()
    };
    let meta = [field(10, version.as_bytes()), field(18, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(10, &meta), field(18, raw)].concat()
}
