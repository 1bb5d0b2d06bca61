//! What kube-apiserver 1.37.0 makes of the same values.

use serde_json::json;

use super::*;

fn normalized(group: &str, kind: &str, value: Value) -> Result<Value, String> {
    let schema = Schema::builtin();
    let id = schema.kind(group, "v1", kind).expect("a kind");
    normalize(schema, id, value).map_err(|mismatch| mismatch.message)
}

#[test]
fn zero_values_that_go_always_writes_are_added() {
    let left = normalized("apps", "Deployment", json!({"kind": "Deployment"}));
    let expected = json!({
        "kind": "Deployment",
        "metadata": {},
        "spec": {
            "selector": null,
            "strategy": {},
            "template": {"metadata": {}, "spec": {"containers": null}},
        },
        "status": {},
    });
    assert_eq!(left, Ok(expected));
}

#[test]
fn unknown_misspelled_null_and_empty_fields_go() {
    let value = json!({
        "metadata": {
            "name": "a", "Name": "b", "creationTimestamp": null, "labels": {},
            "ownerReferences": [], "annotations": {"a": null}, "generation": 0,
        },
        "data": {"b": null}, "Data": {"x": "y"}, "immutable": null, "foo": [1],
    });
    let expected = json!({"metadata": {"name": "a", "annotations": {"a": ""}}, "data": {"b": ""}});
    assert_eq!(normalized("", "ConfigMap", value), Ok(expected));
}

#[test]
fn pointers_keep_their_zero_values() {
    let value = json!({"spec": {"replicas": 0, "minReadySeconds": 0, "revisionHistoryLimit": 0}});
    let left = normalized("apps", "Deployment", value).expect("a deployment");
    assert_eq!(left["spec"]["replicas"], json!(0));
    assert_eq!(left["spec"]["revisionHistoryLimit"], json!(0));
    assert_eq!(left["spec"].get("minReadySeconds"), None);
}

#[test]
fn quantities_and_times_are_as_go_prints_them() {
    let value = json!({
        "metadata": {"creationTimestamp": "2026-01-02T03:04:05.9+02:00"},
        "spec": {"containers": [null, {"name": "a", "resources": {
            "limits": {"cpu": "1000m", "memory": 1024, "x": 0.5}}}]},
    });
    let left = normalized("", "Pod", value).expect("a pod");
    assert_eq!(left["metadata"]["creationTimestamp"], json!("2026-01-02T01:04:05Z"));
    let containers = &left["spec"]["containers"];
    assert_eq!(containers[0], json!({"name": "", "resources": {}}));
    let limits = json!({"cpu": "1", "memory": "1024", "x": "500m"});
    assert_eq!(containers[1]["resources"]["limits"], limits);
}

#[test]
fn what_is_left_is_left_again() {
    let value = json!({
        "metadata": {"managedFields": [{"time": "2026-01-02T03:04:05Z", "fieldsV1": {"f:a": {}}}]},
        "spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1.5Gi"}}]},
    });
    let once = normalized("", "Pod", value).expect("a pod");
    assert_eq!(once["spec"]["volumes"][0]["emptyDir"]["sizeLimit"], json!("1536Mi"));
    assert_eq!(normalized("", "Pod", once.clone()), Ok(once));
}

#[test]
fn the_zero_time_behind_a_pointer_is_written_as_null() {
    let value = json!({"metadata": {"managedFields": [{"time": "0001-01-01T00:00:00Z"}]}});
    let left = normalized("", "ConfigMap", value).expect("a config map");
    assert_eq!(left["metadata"]["managedFields"][0], json!({"time": null}));
}

/// The spec of a deployment, and what kube-apiserver 1.37.0 said of it.
const REFUSED: &[(&str, &str)] = &[
    (
        r#"{"replicas":"x"}"#,
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    (
        r#"{"replicas":1.5}"#,
        "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    (
        r#"{"replicas":5000000000}"#,
        "json: cannot unmarshal number 5000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    (
        "[]",
        "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec",
    ),
    (
        r#"{"template":{"spec":{"containers":{}}}}"#,
        "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
    ),
    (
        r#"{"template":{"spec":{"containers":["x"]}}}"#,
        "json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.containers of type v1.Container",
    ),
    (
        r#"{"template":{"spec":{"restartPolicy":5}}}"#,
        "json: cannot unmarshal number into Go struct field PodSpec.spec.template.spec.restartPolicy of type v1.RestartPolicy",
    ),
    (
        r#"{"template":{"metadata":{"labels":{"a":1}}}}"#,
        "json: cannot unmarshal number into Go struct field ObjectMeta.spec.template.metadata.labels of type string",
    ),
    (
        r#"{"template":{"metadata":{"labels":[]}}}"#,
        "json: cannot unmarshal array into Go struct field ObjectMeta.spec.template.metadata.labels of type map[string]string",
    ),
    (
        r#"{"template":{"metadata":{"creationTimestamp":"x"}}}"#,
        "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\"",
    ),
    (
        r#"{"template":{"metadata":{"creationTimestamp":5}}}"#,
        "json: cannot unmarshal number into Go struct field ObjectMeta.spec.template.metadata.creationTimestamp of type string",
    ),
    (
        r#"{"template":{"metadata":{"finalizers":[5]}}}"#,
        "json: cannot unmarshal number into Go struct field ObjectMeta.spec.template.metadata.finalizers of type string",
    ),
    (
        r#"{"template":{"spec":{"containers":[{"resources":{"limits":{"cpu":true}}}]}}}"#,
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ),
    (
        r#"{"template":{"spec":{"containers":[{"resources":{"limits":[]}}]}}}"#,
        "json: cannot unmarshal array into Go struct field ResourceRequirements.spec.template.spec.containers.resources.limits of type v1.ResourceList",
    ),
    (
        r#"{"template":{"spec":{"containers":[{"livenessProbe":{"httpGet":{"port":1.5}}}]}}}"#,
        "json: cannot unmarshal number 1.5 into Go struct field HTTPGetAction.spec.template.spec.containers.livenessProbe.ProbeHandler.httpGet.port of type int32",
    ),
    (
        r#"{"template":{"spec":{"containers":[{"livenessProbe":{"httpGet":{"port":true}}}]}}}"#,
        "json: cannot unmarshal bool into Go struct field HTTPGetAction.spec.template.spec.containers.livenessProbe.ProbeHandler.httpGet.port of type int32",
    ),
    (
        r#"{"template":{"spec":{"volumes":[{"name":"a","hostPath":5}]}}}"#,
        "json: cannot unmarshal number into Go struct field Volume.spec.template.spec.volumes.VolumeSource.hostPath of type v1.HostPathVolumeSource",
    ),
    (
        r#"{"template":{"spec":{"containers":[{"env":[
            {"valueFrom":{"configMapKeyRef":{"name":5}}}]}]}}}"#,
        "json: cannot unmarshal number into Go struct field ConfigMapKeySelector.spec.template.spec.containers.env.valueFrom.configMapKeyRef.LocalObjectReference.name of type string",
    ),
];

#[test]
fn a_value_of_the_wrong_type_is_refused_in_the_words_of_go() {
    for (spec, message) in REFUSED {
        let spec: Value = serde_json::from_str(spec).expect("JSON");
        let error = normalized("apps", "Deployment", json!({ "spec": spec })).expect_err(message);
        assert_eq!(error, *message);
    }
}

#[test]
fn bytes_may_be_a_list_of_numbers() {
    let left =
        normalized("", "ConfigMap", json!({"binaryData": {"a": [72, 105, null], "b": "YQ=="}}));
    assert_eq!(left.expect("a config map")["binaryData"], json!({"a": "SGkA", "b": "YQ=="}));
}

#[test]
fn wrong_bytes_are_refused_in_the_words_of_go() {
    for (data, message) in [
        (json!({"a": "%%"}), "illegal base64 data at input byte 0"),
        (json!({"a": "YWJjZ"}), "illegal base64 data at input byte 4"),
        (json!({"a": "YQ="}), "illegal base64 data at input byte 3"),
        (
            json!({"a": [300]}),
            "json: cannot unmarshal number 300 into Go struct field ConfigMap.binaryData of type uint8",
        ),
        (
            json!({"a": 5}),
            "json: cannot unmarshal number into Go struct field ConfigMap.binaryData of type []uint8",
        ),
    ] {
        let error = normalized("", "ConfigMap", json!({"binaryData": data})).expect_err(message);
        assert_eq!(error, message);
    }
}

#[test]
fn unknown_fields_are_named_with_their_paths() {
    let schema = Schema::builtin();
    let id = schema.kind("apps", "v1", "Deployment").expect("a kind");
    let value = json!({
        "foo": 1,
        "metadata": {"zoo": 2, "Name": "x", "labels": {"x": "y"},
            "managedFields": [{"bar": 1, "fieldsV1": {"x": 1}}]},
        "spec": {"zzz": 1, "template": {"spec": {"containers": [
            {"livenessProbe": {"httpGet": {"x": 1}}, "resources": {"limits": {"cpu": 1}}},
            {"foo": {"x": 1}},
        ]}}},
    });
    let expected = [
        "foo",
        "metadata.Name",
        "metadata.managedFields[0].bar",
        "metadata.zoo",
        "spec.template.spec.containers[0].livenessProbe.httpGet.x",
        "spec.template.spec.containers[1].foo",
        "spec.zzz",
    ];
    let expected: Vec<String> =
        expected.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    assert_eq!(unknown_fields(schema, id, &value), expected);
}

#[test]
fn definitions_are_searched_only_where_go_decodes_them_itself() {
    let schema = Schema::builtin();
    let kind = schema.kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let value = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {
        "x": 1,
        "properties": {"foo": {"bar": 1, "items": {"y": 2}}},
        "default": {"any": 1},
    }}}]}});
    let found = unknown_fields(schema, kind.expect("a kind"), &value);
    let at = "spec.versions[0].schema.openAPIV3Schema";
    let expected =
        [format!("unknown field \"{at}.properties.foo.bar\""), format!("unknown field \"{at}.x\"")];
    assert_eq!(found, expected);
}

#[test]
fn no_more_than_a_hundred_unknown_fields_are_named() {
    let schema = Schema::builtin();
    let id = schema.kind("", "v1", "ConfigMap").expect("a kind");
    let many: Map<String, Value> = (0..500).map(|n| (format!("x{n}"), json!(n))).collect();
    assert_eq!(unknown_fields(schema, id, &Value::Object(many)).len(), 100);
}

/// What kube-apiserver 1.37.0 found in the same text, in this order.
#[test]
fn strict_findings_stand_in_the_order_of_the_text() {
    let schema = Schema::builtin();
    let id = schema.kind("apps", "v1", "Deployment").expect("a kind");
    let text = br#"{"foo":1,"metadata":{"zoo":2,"Name":"x","labels":{"x":"y","x":"z"},"name":"a",
        "name":"b"},"spec":{"zzz":{"a":1,"a":2},"aaa":1,"aaa":2,"replicas":1,"replicas":2,
        "template":{"spec":{"containers":[{"name":"a","foo":1},
        {"q":[{}],"name":"b","name":"c"}]}}},"foo":2}"#;
    let decoded = crate::decode::json(text, crate::decode::Limits::default()).expect("JSON");
    let found = strict_findings(schema, id, text, &decoded.value, decoded.duplicates);
    let expected = [
        "unknown field \"foo\"",
        "unknown field \"metadata.zoo\"",
        "unknown field \"metadata.Name\"",
        "duplicate field \"metadata.labels.x\"",
        "duplicate field \"metadata.name\"",
        "unknown field \"spec.zzz\"",
        "unknown field \"spec.aaa\"",
        "duplicate field \"spec.replicas\"",
        "unknown field \"spec.template.spec.containers[0].foo\"",
        "unknown field \"spec.template.spec.containers[1].q\"",
        "duplicate field \"spec.template.spec.containers[1].name\"",
    ];
    assert_eq!(found, expected);
    let clean = br#"{"metadata":{"name":"a"}}"#;
    assert_eq!(strict_findings(schema, id, clean, &json!({}), Vec::new()), [""; 0]);
}

#[test]
fn an_empty_list_that_go_always_writes_is_null() {
    let left = normalized("rbac.authorization.k8s.io", "ClusterRole", json!({"rules": []}));
    assert_eq!(left, Ok(json!({"metadata": {}, "rules": null})));
}

#[test]
fn of_several_errors_that_of_a_parser_comes_first_then_the_first_wrong_type() {
    let value = json!({"spec": {
        "accessModes": [1, true], "resources": {"requests": {"storage": []}}, "volumeName": 5}});
    let error = normalized("", "PersistentVolumeClaim", value).expect_err("refused");
    assert!(error.starts_with("quantities must match"), "{error}");
    let value = json!({"spec": {"accessModes": [1, true], "volumeName": 5}});
    let error = normalized("", "PersistentVolumeClaim", value).expect_err("refused");
    assert!(error.starts_with("json: cannot unmarshal number into Go struct field"), "{error}");
    assert!(error.ends_with("accessModes of type v1.PersistentVolumeAccessMode"), "{error}");
}

#[test]
fn a_small_text_does_not_become_a_huge_object() {
    let value = json!({"spec": {"containers": vec![Value::Null; 600_000]}});
    assert_eq!(normalized("", "Pod", value), Err("too many empty parts".to_owned()));
    let value = json!({"spec": {"containers": vec![json!({}); 10_000]}});
    assert!(normalized("", "Pod", value).is_ok());
}
