//! What no published object shows: bytes that are none.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn pod() -> (TypeId, Value) {
    let schema = Schema::builtin();
    let id = schema.kind("", "v1", "Pod").expect("a kind");
    let value = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "a", "labels": {"b": "c", "a": "d"}, "generation": -1},
        "spec": {
            "containers": [{
                "name": "c", "image": "i", "command": ["sh"],
                "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 3},
                "env": [{"name": "e", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            }],
            "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
            "terminationGracePeriodSeconds": 0,
        },
        "status": {"phase": "Running", "startTime": "2026-01-02T03:04:05Z"},
    });
    (id, normalized(schema, id, value).expect("a pod"))
}

#[test]
fn an_object_comes_back_from_its_bytes() {
    let schema = Schema::builtin();
    let (id, pod) = pod();
    let bytes = encode(schema, id, &pod).expect("encodes");
    assert!(bytes.starts_with(&MAGIC));
    let (gvk, back) = decode(schema, &bytes).expect("decodes");
    assert_eq!((gvk.api_version().as_str(), gvk.kind.as_str()), ("v1", "Pod"));
    assert_eq!(back, pod);
    let message = encode_message(schema, id, &pod).expect("encodes");
    let mut without_kind = pod;
    without_kind
        .as_object_mut()
        .expect("an object")
        .retain(|name, _| name != "kind" && name != "apiVersion");
    assert_eq!(decode_message(schema, id, &message), Ok(without_kind));
}

#[test]
fn a_list_of_integers_may_be_packed() {
    let schema = Schema::builtin();
    let id = schema.named("core/v1.PodSecurityContext").expect("a type");
    let packed = [0x22, 0x03, 0x01, 0xac, 0x02];
    let plain = [0x20, 0x01, 0x20, 0xac, 0x02];
    let expected = json!({"supplementalGroups": [1, 300]});
    assert_eq!(decode_message(schema, id, &packed), Ok(expected.clone()));
    assert_eq!(decode_message(schema, id, &plain), Ok(expected));
}

#[test]
fn what_is_no_object_is_refused_in_kubernetes_words() {
    let schema = Schema::builtin();
    let refused = |data: &[u8]| decode(schema, data).expect_err("refused").to_string();
    assert_eq!(refused(b""), "empty data");
    assert_eq!(refused(b"k8s\0"), "empty body");
    assert_eq!(
        refused(b"{\"a\":1}"),
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    );
    let unknown = b"k8s\0\x0a\x08\x0a\x02v1\x12\x02No";
    assert_eq!(refused(unknown), "no kind \"No\" is registered for version \"v1\"");
    let cut = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x05\x0a";
    assert_eq!(refused(cut), "unexpected EOF");
    let wrong = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x08\x01";
    assert_eq!(refused(wrong), "proto: wrong wireType = 0 for field Metadata");
    assert!(refused(b"k8s\0\x0a\x04\x0a\x02v1").starts_with("Object 'Kind' is missing"));
    assert_eq!(refused(b"k8s\0\x00"), "proto: Unknown: illegal tag 0 (wire type 0)");
    let inside = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x03\x0a\x01\x04";
    assert_eq!(refused(inside), "proto: ObjectMeta: illegal tag 0 (wire type 4)");
    let no_type = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x01\x0f";
    assert_eq!(refused(no_type), "proto: wrong wireType = 7 for field Metadata");
}

#[test]
fn messages_that_are_too_deep_or_too_many_are_refused() {
    let schema = Schema::builtin();
    let id = schema.named("apiextensions/v1.JSONSchemaProps").expect("a type");
    let tag = schema.get(id).field("not").expect("a field").tag;
    let mut deep = Vec::new();
    for _ in 0..1000 {
        let mut out = wire::Backwards::default();
        out.bytes_field(tag, &deep);
        deep = out.into_bytes().to_vec();
    }
    assert!(matches!(decode_message(schema, id, &deep), Err(ProtobufError::Malformed(_))));
    let spec = schema.named("core/v1.PodSpec").expect("a type");
    let many = [0x12, 0x00].repeat(1 << 19);
    assert!(matches!(decode_message(schema, spec, &many), Err(ProtobufError::Malformed(_))));
}

#[test]
fn an_enveloped_item_of_a_list_is_read() {
    let schema = Schema::builtin();
    let (id, pod) = pod();
    let item = encode(schema, id, &pod).expect("encodes");
    let mut out = wire::Backwards::default();
    let before = out.len();
    out.bytes_field(1, &item);
    out.length(2, before);
    let list = schema.kind("", "v1", "List").expect("a kind");
    let value = decode_message(schema, list, &out.into_bytes()).expect("a list");
    assert_eq!(value["items"][0], pod);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let schema = Schema::builtin();
        let (id, _) = pod();
        let _ = decode_message(schema, id, &bytes);
        let mut enveloped = MAGIC.to_vec();
        enveloped.extend(&bytes);
        let _ = decode(schema, &enveloped);
    }

    #[test]
    fn corrupted_objects_never_panic_and_what_is_read_is_written(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let schema = Schema::builtin();
        let (id, pod) = pod();
        let mut bytes = encode(schema, id, &pod).expect("encodes").to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok((gvk, value)) = decode(schema, &bytes) {
            let id = schema.kind(&gvk.group, &gvk.version, &gvk.kind).expect("a known kind");
            let again = encode(schema, id, &value).expect("what was read has a form");
            prop_assert_eq!(decode(schema, &again).map(|(_, value)| value), Ok(value));
        }
    }
}
