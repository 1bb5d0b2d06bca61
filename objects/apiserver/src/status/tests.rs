//! The words, against answers observed from kube-apiserver 1.37.0.

use serde_json::{Value, json};

use super::{Details, FieldErrors, FieldPath, Status, quoted, success};

fn wire(status: &Status) -> Value {
    serde_json::from_slice(&status.to_json()).expect("the answer is JSON")
}

#[test]
fn not_found_names_the_resource_with_its_group() {
    assert_eq!(
        wire(&Status::not_found("apps", "deployments", "x")),
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "deployments.apps \"x\" not found", "reason": "NotFound",
            "details": {"name": "x", "group": "apps", "kind": "deployments"}, "code": 404})
    );
    assert_eq!(Status::not_found("", "pods", "x").message, "pods \"x\" not found");
}

#[test]
fn fields_stand_in_the_order_of_the_real_answer() {
    let text = String::from_utf8(Status::already_exists("", "configmaps", "a").to_json());
    assert_eq!(
        text.expect("JSON is UTF-8"),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\
         \"message\":\"configmaps \\\"a\\\" already exists\",\"reason\":\"AlreadyExists\",\
         \"details\":{\"name\":\"a\",\"kind\":\"configmaps\"},\"code\":409}"
    );
}

#[test]
fn invalid_lists_several_errors_in_brackets_and_each_as_a_cause() {
    let spec = FieldPath::new("spec");
    let mut errors = FieldErrors::new();
    errors.required(&spec.child("selector"), "");
    errors.invalid(
        &spec.child("template").child("metadata").child("labels"),
        Value::Null,
        "`selector` does not match template `labels`",
    );
    let status = Status::invalid("apps", "Deployment", "x", errors);
    assert_eq!(
        status.message,
        "Deployment.apps \"x\" is invalid: [spec.selector: Required value, \
         spec.template.metadata.labels: Invalid value: null: `selector` does not match template \
         `labels`]"
    );
    assert_eq!(
        wire(&status)["details"],
        json!({"name": "x", "group": "apps", "kind": "Deployment", "causes": [
            {"reason": "FieldValueRequired", "message": "Required value",
             "field": "spec.selector"},
            {"reason": "FieldValueInvalid", "field": "spec.template.metadata.labels",
             "message": "Invalid value: null: `selector` does not match template `labels`"}]})
    );
}

#[test]
fn a_single_error_stands_plain_and_equal_ones_are_said_once() {
    let name = FieldPath::new("metadata").child("name");
    let mut errors = FieldErrors::new();
    errors.required(&name, "name or generateName is required");
    errors.required(&name, "name or generateName is required");
    let status = Status::invalid("", "ConfigMap", "", errors);
    assert_eq!(
        status.message,
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is \
         required"
    );
    assert_eq!(status.details.expect("invalid has details").causes.len(), 2);
}

#[test]
fn each_kind_of_field_error_has_its_words() {
    let path = FieldPath::new("spec").child("ports").index(2).child("name");
    let mut errors = FieldErrors::new();
    errors.not_supported(&path, "x", &["A", "B"]);
    errors.duplicate(&path, "x");
    errors.not_found(&path, 3_i64);
    errors.forbidden(&path, "no");
    errors.too_long(&path, 1);
    errors.too_many(&path, 5, 4);
    errors.invalid(&path, json!({"a": "<"}), "d");
    let bodies: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        bodies,
        [
            "spec.ports[2].name: Unsupported value: \"x\": supported values: \"A\", \"B\"",
            "spec.ports[2].name: Duplicate value: \"x\"",
            "spec.ports[2].name: Not found: 3",
            "spec.ports[2].name: Forbidden: no",
            "spec.ports[2].name: Too long: may not be more than 1 byte",
            "spec.ports[2].name: Too many: 5: must have at most 4 items",
            "spec.ports[2].name: Invalid value: {\"a\":\"\\u003c\"}: d",
        ]
    );
}

#[test]
fn a_future_resource_version_is_a_timeout_with_a_cause() {
    let status = Status::too_large_resource_version(99_999_999, 128, 1);
    assert_eq!(
        wire(&status),
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Timeout: Too large resource version: 99999999, current: 128",
            "reason": "Timeout", "details": {"causes": [{"reason": "ResourceVersionTooLarge",
            "message": "Too large resource version"}], "retryAfterSeconds": 1}, "code": 504})
    );
    assert_eq!(status.retry_after_seconds(), Some(1));
}

#[test]
fn an_unknown_path_has_empty_details() {
    assert_eq!(wire(&Status::no_such_path())["details"], json!({}));
    assert_eq!(wire(&Status::method_not_allowed())["code"], json!(405));
}

#[test]
fn success_of_a_delete_has_no_code() {
    let details = Details {
        name: "a".into(),
        kind: "configmaps".into(),
        uid: "u".into(),
        ..Details::default()
    };
    let text = String::from_utf8(success(None, Some(&details))).expect("JSON is UTF-8");
    assert_eq!(
        text,
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",\
         \"details\":{\"name\":\"a\",\"kind\":\"configmaps\",\"uid\":\"u\"}}"
    );
    assert!(String::from_utf8_lossy(&success(Some(201), None)).ends_with("\"code\":201}"));
}

#[test]
fn strings_are_quoted_as_go_quotes_them() {
    assert_eq!(quoted("a\"b\\c\n\t\x01\u{7f}é\u{200b}"), r#""a\"b\\c\n\t\x01\x7fé\u200b""#);
}

#[test]
fn forbidden_names_what_is_known() {
    assert_eq!(Status::forbidden("", "", "", "no").message, "forbidden: no");
    assert_eq!(Status::forbidden("", "pods", "", "no").message, "pods is forbidden: no");
    assert_eq!(
        Status::forbidden("", "namespaces", "default", "this namespace may not be deleted").message,
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
}
