//! Create, update, patch, and what they leave alone.

use super::*;
use crate::status::Reason;

#[tokio::test]
async fn a_new_object_has_its_system_metadata_and_is_read_back_as_answered() {
    let api = Api::new().await;
    let object = json!({"metadata": {"name": "a", "uid": "mine", "labels": {"x": "y"},
        "deletionTimestamp": "2026-01-01T00:00:00Z"}, "data": {"k": "v"}});
    let made = api.create("configmaps", object).await.expect("it is created");
    assert_eq!(made["kind"], "ConfigMap");
    assert_eq!(made["apiVersion"], "v1");
    assert_eq!(made["metadata"]["namespace"], "default");
    assert_eq!(made["metadata"]["creationTimestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(made["metadata"]["deletionTimestamp"], Value::Null);
    let uid = made["metadata"]["uid"].as_str().expect("a uid");
    assert_eq!((uid.len(), &uid[14..15]), (36, "4"));
    assert_eq!(made["data"]["k"], "v");
    assert_eq!(api.get("configmaps a").await.expect("it is there"), made);
}

#[tokio::test]
async fn creation_is_refused_in_the_words_of_the_real_one() {
    let api = Api::new().await;
    api.create("configmaps", named("a")).await.expect("it is created");
    let cases = [
        ("configmaps", named("a"), 409, "configmaps \"a\" already exists"),
        (
            "configmaps",
            json!({"metadata": {"name": "b", "namespace": "other"}}),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "configmaps",
            json!({"metadata": {"name": "b", "resourceVersion": "1"}}),
            500,
            "resourceVersion should not be set on objects to be created",
        ),
        (
            "configmaps",
            json!({"metadata": {}}),
            422,
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is \
             required",
        ),
        (
            "apps/deployments",
            json!({"metadata": {"name": "x"}, "spec": {"template": {}}}),
            422,
            "Deployment.apps \"x\" is invalid: [spec.selector: Required value, \
             spec.template.metadata.labels: Invalid value: null: `selector` does not match \
             template `labels`, spec.template.spec.containers: Required value]",
        ),
    ];
    for (path, object, code, words) in cases {
        assert_eq!(message(api.create(path, object).await), (code, words.to_owned()));
    }
}

#[tokio::test]
async fn nothing_is_created_in_a_namespace_that_is_absent_or_ending() {
    let api = Api::new().await;
    let mut target = api.target("configmaps");
    target.namespace = "nope".to_owned();
    let input = api.input(&target, named("a"));
    let options = CreateOptions::default();
    let refused = api.registry.create(&api.context, &target, input, &options).await;
    let refused = refused.expect_err("the namespace is absent");
    assert_eq!((refused.code, refused.message.as_str()), (404, "namespaces \"nope\" not found"));

    api.create("namespaces", named("term")).await.expect("it is created");
    let ending = api.delete("namespaces term", DeleteOptions::default()).await.expect("it ends");
    assert_eq!(ending["status"]["phase"], "Terminating");
    assert_eq!(ending["spec"]["finalizers"], json!(["kubernetes"]));
    target.namespace = "term".to_owned();
    let input = api.input(&target, named("a3"));
    let refused = api.registry.create(&api.context, &target, input, &options).await;
    let refused = refused.expect_err("the namespace ends");
    assert_eq!(
        refused.message,
        "configmaps \"a3\" is forbidden: unable to create new content in namespace term because \
         it is being terminated"
    );
    assert!(refused.has_cause("NamespaceTerminating"));
}

#[tokio::test]
async fn a_generated_name_has_five_letters_without_vowels() {
    let api = Api::new().await;
    let object = json!({"metadata": {"generateName": "web-"}});
    let made = api.create("configmaps", object).await.expect("it is created");
    let name = made["metadata"]["name"].as_str().expect("a name");
    let suffix = name.strip_prefix("web-").expect("the prefix is kept");
    assert_eq!(suffix.len(), 5);
    assert!(suffix.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)), "{suffix}");
    let long = json!({"metadata": {"generateName": "x".repeat(70)}});
    let made = api.create("configmaps", long).await.expect("it is created");
    assert_eq!(made["metadata"]["name"].as_str().expect("a name").len(), 63);
}

#[tokio::test]
async fn an_update_without_a_change_does_not_write() {
    let api = Api::new().await;
    let made = api.create("configmaps", named("a")).await.expect("it is created");
    let again = api.update("configmaps a", named("a")).await.expect("it is updated");
    assert_eq!(revision(&again), revision(&made));
    let patched = api.merge("configmaps a", json!({"data": null})).await.expect("it is patched");
    assert_eq!(revision(&patched), revision(&made));
    let changed = json!({"metadata": {"name": "a"}, "data": {"x": "y"}});
    let changed = api.update("configmaps a", changed).await.expect("it is updated");
    assert!(revision(&changed) > revision(&made));
    assert_eq!(changed["metadata"]["uid"], made["metadata"]["uid"]);
}

#[tokio::test]
async fn updates_are_refused_in_the_words_of_the_real_one() {
    let api = Api::new().await;
    let made = api.create("configmaps", named("a")).await.expect("it is created");
    let uid = made["metadata"]["uid"].as_str().expect("a uid");
    let wrong_uid = format!(
        "Operation cannot be fulfilled on configmaps \"a\": StorageError: invalid object, Code: \
         4, Key: /registry/configmaps/default/a, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: x, UID in object meta: {uid}"
    );
    let cases = [
        (
            json!({"name": "b"}),
            400,
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        (
            json!({}),
            400,
            "the name of the object (a based on URL) was undeterminable: name must be provided",
        ),
        (json!({"name": "a", "uid": "x"}), 409, wrong_uid.as_str()),
        (
            json!({"name": "a", "resourceVersion": "1"}),
            409,
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; \
             please apply your changes to the latest version and try again",
        ),
        (
            json!({"name": "a", "resourceVersion": "abc"}),
            500,
            "strconv.ParseUint: parsing \"abc\": invalid syntax",
        ),
    ];
    for (metadata, code, words) in cases {
        let refused = api.update("configmaps a", json!({"metadata": metadata})).await;
        assert_eq!(message(refused), (code, words.to_owned()));
    }
    let refused = api.update("configmaps nope", named("nope")).await;
    assert_eq!(message(refused), (404, "configmaps \"nope\" not found".to_owned()));
    let lease = api.create("coordination.k8s.io/leases", named("l")).await.expect("a lease");
    assert!(revision(&lease) > 0);
    let refused = api.update("coordination.k8s.io/leases l", named("l")).await;
    let words = "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid \
                 value: 0: must be specified for an update";
    assert_eq!(message(refused), (422, words.to_owned()));
}

#[tokio::test]
async fn some_kinds_are_created_by_an_update() {
    let api = Api::new().await;
    let made = api.update("coordination.k8s.io/leases l", named("l")).await.expect("it is made");
    assert!(!made["metadata"]["uid"].as_str().expect("a uid").is_empty());
    let refused = api.update("apps/deployments d", deployment("d")).await;
    assert_eq!(message(refused), (404, "deployments.apps \"d\" not found".to_owned()));
}

#[tokio::test]
async fn status_and_spec_are_kept_apart_and_only_the_spec_counts_generations() {
    let api = Api::new().await;
    let mut object = deployment("web");
    object["status"] = json!({"replicas": 9});
    let made = api.create("apps/deployments", object.clone()).await.expect("it is created");
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["status"], json!({}));

    object["spec"]["replicas"] = json!(3);
    let updated = api.update("apps/deployments web", object.clone()).await.expect("an update");
    assert_eq!(updated["metadata"]["generation"], 2);
    assert_eq!(updated["spec"]["replicas"], 3);
    assert_eq!(updated["status"], json!({}));

    object["spec"]["replicas"] = json!(7);
    object["metadata"]["labels"] = json!({"l": "1"});
    object["metadata"]["annotations"] = json!({"a": "1"});
    let status = api.update("apps/deployments web status", object).await.expect("a status");
    assert_eq!(status["metadata"]["generation"], 2);
    assert_eq!(status["spec"]["replicas"], 3);
    assert_eq!(status["status"]["replicas"], 9);
    assert_eq!(status["metadata"]["labels"], Value::Null);
    assert_eq!(status["metadata"]["annotations"], json!({"a": "1"}));

    let patch = json!({"metadata": {"annotations": {"a": "2"}}});
    let patched = api.merge("apps/deployments web", patch).await.expect("a patch");
    assert_eq!(patched["metadata"]["generation"], 3);
    let patch = json!({"metadata": {"labels": {"l": "2"}}});
    let patched = api.merge("apps/deployments web", patch).await.expect("a patch");
    assert_eq!(patched["metadata"]["generation"], 3);
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let api = Api::new().await;
    let options = CreateOptions { dry_run: true, ..CreateOptions::default() };
    let object = json!({"metadata": {"generateName": "x-"}});
    let made = api.create_with("configmaps", object, options.clone()).await.expect("an answer");
    assert_eq!(made["metadata"]["name"].as_str().expect("a name").len(), 7);
    assert_eq!(made["metadata"]["resourceVersion"], Value::Null);
    assert!(api.names("configmaps", ListOptions::default()).await.expect("a list").is_empty());
    api.create("configmaps", named("a")).await.expect("it is created");
    let refused = api.create_with("configmaps", named("a"), options).await;
    assert_eq!(message(refused), (409, "configmaps \"a\" already exists".to_owned()));
    let gone = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    let answer = api.delete("configmaps a", gone).await.expect("an answer");
    assert_eq!(answer["status"], "Success");
    assert!(api.get("configmaps a").await.is_ok());
}

#[tokio::test]
async fn patches_are_refused_in_the_words_of_the_real_one() {
    let api = Api::new().await;
    api.create("configmaps", named("a")).await.expect("it is created");
    let cases = [
        (json!({"metadata": {"name": "b"}}), 400, "does not match the name on the URL (a)"),
        (json!({"metadata": {"name": null}}), 400, "was undeterminable: name must be provided"),
        (
            json!({"metadata": {"uid": "b"}}),
            422,
            "metadata.uid: Invalid value: \"b\": field is immutable",
        ),
        (json!({"metadata": {"resourceVersion": "1"}}), 409, "the object has been modified"),
        (json!({"data": 3}), 422, "json: cannot unmarshal number into Go struct field"),
        (
            json!({"apiVersion": "v2"}),
            422,
            "no kind \"ConfigMap\" is registered for version \"v2\"",
        ),
    ];
    for (patch, code, words) in cases {
        let (refused, text) = message(api.merge("configmaps a", patch).await);
        assert_eq!(refused, code, "{text}");
        assert!(text.contains(words), "{text}");
    }
    let refused = api.merge("configmaps nope", json!({})).await;
    assert_eq!(message(refused), (404, "configmaps \"nope\" not found".to_owned()));
    let failed = json!([{"op": "test", "path": "/data/x", "value": "y"}]);
    let refused = api.patch("configmaps a", PatchKind::Json, failed).await;
    let words = "the server rejected our request due to an error in our request";
    assert_eq!(message(refused), (422, words.to_owned()));
    let refused = api.patch("configmaps a", PatchKind::ApplyYaml, json!({})).await;
    assert_eq!(refused.expect_err("not yet").reason, Reason::UnsupportedMediaType);
}

#[tokio::test]
async fn a_strategic_patch_merges_containers_by_name() {
    let api = Api::new().await;
    api.create("apps/deployments", deployment("web")).await.expect("it is created");
    let containers = json!([{"name": "c", "image": "i2"}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let patched = api.patch("apps/deployments web", PatchKind::Strategic, patch).await;
    let patched = patched.expect("it is patched");
    let container = &patched["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "i2");
    assert_eq!(container["terminationMessagePolicy"], "File");
}

#[tokio::test]
async fn lists_select_by_labels_and_by_the_fields_of_the_kind() {
    let api = Api::new().await;
    for (name, label) in [("a", "1"), ("b", "2"), ("c", "1")] {
        let object = json!({"metadata": {"name": name, "labels": {"l": label}},
            "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": name}});
        api.create("pods", object).await.expect("it is created");
    }
    let by = |labels: &str, fields: &str| ListOptions {
        label_selector: labels.to_owned(),
        field_selector: fields.to_owned(),
        ..ListOptions::default()
    };
    let cases: [(&str, &str, &[&str]); 6] = [
        ("", "", &["a", "b", "c"]),
        ("l=1", "", &["a", "c"]),
        ("", "spec.nodeName=b", &["b"]),
        ("", "spec.nodeName!=b,status.phase=Pending", &["a", "c"]),
        ("l=1", "metadata.name=c", &["c"]),
        ("", "spec.hostNetwork=true", &[]),
    ];
    for (labels, fields, expected) in cases {
        let names = api.names("pods", by(labels, fields)).await.expect("a list");
        assert_eq!(names, expected, "{labels} {fields}");
    }
    let refused = api.names("pods", by("", "spec.foo=1")).await.expect_err("no such field");
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (400, "field label not supported: spec.foo")
    );
    let refused = api.names("pods", by("a===", "")).await.expect_err("no selector");
    assert_eq!(refused.code, 400);
}

#[tokio::test]
async fn both_versions_of_a_resource_are_one_object() {
    let api = Api::new().await;
    let object = json!({"metadata": {"name": "c"}, "spec": {"schedule": "* * * * *",
        "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "i"}]}}}}}});
    let old = api.create("batch/v1beta1/cronjobs", object).await.expect("it is created");
    assert_eq!(old["apiVersion"], "batch/v1beta1");
    let new = api.get("batch/v1/cronjobs c").await.expect("it is there");
    assert_eq!(new["apiVersion"], "batch/v1");
    assert_eq!(new["spec"], old["spec"]);
    let row = api.row("batch/v1beta1/cronjobs");
    assert_eq!(
        row.deprecation_warning().as_deref(),
        Some(
            "batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 \
             CronJob"
        )
    );
    let deleted = api.delete("batch/v1beta1/cronjobs c", DeleteOptions::default()).await;
    let deleted = deleted.expect("it is marked");
    assert_eq!(deleted["metadata"]["finalizers"], json!(["orphan"]));
}

#[tokio::test]
async fn events_of_both_groups_are_one_object() {
    let api = Api::new().await;
    let object = json!({"metadata": {"name": "e"}, "message": "m", "reason": "r",
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}});
    api.create("events", object).await.expect("it is created");
    let new = api.get("events.k8s.io/events e").await.expect("it is there");
    assert_eq!(new["apiVersion"], "events.k8s.io/v1");
    assert_eq!(new["note"], "m");
    assert_eq!(new["regarding"]["name"], "p");
    assert_eq!(new["message"], Value::Null);
}

#[tokio::test]
async fn an_owner_named_twice_is_kept_once_and_told() {
    let api = Api::new().await;
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"});
    let object = json!({"metadata": {"name": "a", "ownerReferences": [owner, owner]}});
    let target = api.target("configmaps");
    let input = api.input(&target, object);
    let options = CreateOptions::default();
    let answer = api.registry.create(&api.context, &target, input, &options).await;
    let answer = answer.expect("it is created");
    assert_eq!(read(&answer)["metadata"]["ownerReferences"], json!([owner]));
    assert_eq!(
        answer.warnings,
        [".metadata.ownerReferences contains duplicate entries; API server dedups owner \
          references in 1.20+, and may reject such requests as early as 1.24; please fix your \
          requests; duplicate UID(s) observed: u"]
    );
}
