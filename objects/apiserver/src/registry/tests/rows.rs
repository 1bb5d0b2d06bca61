//! What the rows say: where objects are kept, what versions they have, what options are refused.

use super::*;

#[tokio::test]
async fn objects_are_kept_where_kube_apiserver_keeps_them() {
    let api = Api::on(Arc::new(MemoryStorage::new()), 1);
    let cases = [
        ("pods", "/pods/ns/n"),
        ("nodes", "/minions/n"),
        ("services", "/services/specs/ns/n"),
        ("endpoints", "/services/endpoints/ns/n"),
        ("replicationcontrollers", "/controllers/ns/n"),
        ("events.k8s.io/events", "/events/ns/n"),
        ("networking.k8s.io/ingresses", "/ingress/ns/n"),
        ("autoscaling/v1/horizontalpodautoscalers", "/horizontalpodautoscalers/ns/n"),
        ("batch/v1beta1/cronjobs", "/cronjobs/ns/n"),
        ("rbac.authorization.k8s.io/clusterroles", "/clusterroles/n"),
        ("apiregistration.k8s.io/apiservices", "/apiregistration.k8s.io/apiservices/n"),
        (
            "apiextensions.k8s.io/customresourcedefinitions",
            "/apiextensions.k8s.io/customresourcedefinitions/n",
        ),
    ];
    for (path, key) in cases {
        assert_eq!(api.row(path).key("ns", "n"), key, "{path}");
    }
}

#[tokio::test]
async fn every_row_of_discovery_that_is_stored_is_served() {
    let api = Api::on(Arc::new(MemoryStorage::new()), 1);
    let schema = api.registry.schema();
    for facts in schema.resources().iter().filter(|facts| facts.has_verb("list")) {
        let row = api.registry.resource(facts.group, facts.version, facts.plural);
        assert!(row.is_some(), "{} {}", facts.api_version(), facts.plural);
    }
    let versions = |path: &str| {
        let row = api.row(path);
        (row.stored_api_version(), row.is_stored_version())
    };
    assert_eq!(versions("batch/v1beta1/cronjobs"), ("batch/v1".to_owned(), false));
    assert_eq!(versions("events.k8s.io/events"), ("v1".to_owned(), false));
    assert_eq!(versions("apps/deployments"), ("apps/v1".to_owned(), true));
}

#[test]
fn options_are_refused_in_the_words_of_the_real_one() {
    let query = |text: &str| -> Vec<(String, String)> {
        text.split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let create = |text: &str| CreateOptions::for_create(&query(text)).map(|_| ());
    let list = |text: &str| ListOptions::from_query(&query(text)).map(|_| ());
    let delete = |text: &str| DeleteOptions::from_query(&query(text)).map(|_| ());
    let cases = [
        (
            create("dryRun=foo"),
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"foo\"]: \
             supported values: \"All\"",
        ),
        (
            create("fieldValidation=foo"),
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \
             \"foo\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
        ),
        (
            create("fieldManager=a\u{1}"),
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\x01\": \
             invalid character U+0001 (at position 1)",
        ),
        (list("limit=abc"), "strconv.ParseInt: parsing \"abc\": invalid syntax"),
        (
            list("resourceVersionMatch=Exact"),
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
             resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            list("sendInitialEvents=true"),
            "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: \
             sendInitialEvents is forbidden for list",
        ),
        (
            list("watch=1&sendInitialEvents=abc"),
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
             sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            delete("propagationPolicy=abc"),
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \
             \"abc\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
        ),
        (
            delete("orphanDependents=true&propagationPolicy=Foreground"),
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \
             \"Foreground\": orphanDependents and deletionPropagation cannot be both set",
        ),
    ];
    for (outcome, words) in cases {
        assert_eq!(outcome.expect_err("it is refused").message, words);
    }
    assert!(create("dryRun=All&unknown=1").is_ok());
    assert!(list("limit=-1&watch=0").is_ok());
}

#[tokio::test]
async fn what_a_real_server_stored_as_protobuf_is_read_and_changed() {
    let storage = Arc::new(MemoryStorage::new());
    let api = Api::on(storage.clone(), 1);
    let schema = api.registry.schema();
    let object = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "default", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
    let row = api.row("namespaces");
    let bytes = schema::protobuf::encode(schema, row.type_id, &object).expect("it is encoded");
    storage.create("/namespaces/default", bytes, None).await.expect("it is stored");
    let read = api.get("namespaces default").await.expect("it is read");
    assert_eq!((&read["metadata"]["uid"], &read["status"]), (&json!("u"), &object["status"]));
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    let patched = api.merge("namespaces default", patch).await.expect("it is changed");
    assert_eq!(patched["metadata"]["labels"]["a"], "b");
    assert_eq!(patched["spec"], object["spec"]);
}
