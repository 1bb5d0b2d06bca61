//! Deletion: reports, preconditions, finalizers, propagation, grace, collections, namespaces.

use super::*;

fn asked(f: impl FnOnce(&mut DeleteOptions)) -> DeleteOptions {
    let mut options = DeleteOptions::default();
    f(&mut options);
    options
}

#[tokio::test]
async fn a_deletion_reports_the_uid_or_the_object_as_the_row_says() {
    let api = Api::new().await;
    let made = api.create("configmaps", named("a")).await.expect("it is created");
    let report = api.delete("configmaps a", DeleteOptions::default()).await.expect("it goes");
    let details = json!({"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]});
    assert_eq!(
        report,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": details})
    );
    assert_eq!(message(api.get("configmaps a").await).0, 404);
    api.create("serviceaccounts", named("s")).await.expect("it is created");
    let last = api.delete("serviceaccounts s", DeleteOptions::default()).await.expect("it goes");
    assert_eq!(last["kind"], "ServiceAccount");
    let refused = api.delete("configmaps nope", DeleteOptions::default()).await;
    assert_eq!(message(refused), (404, "configmaps \"nope\" not found".to_owned()));
}

#[tokio::test]
async fn preconditions_that_do_not_hold_delete_nothing() {
    let api = Api::new().await;
    let made = api.create("configmaps", named("a")).await.expect("it is created");
    let uid = made["metadata"]["uid"].as_str().expect("a uid");
    let options = asked(|o| o.preconditions.uid = Some("abc".to_owned()));
    let words = format!(
        "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (abc) does \
         not match the UID in record ({uid}). The object might have been deleted and then \
         recreated"
    );
    assert_eq!(message(api.delete("configmaps a", options).await), (409, words));
    let options = asked(|o| o.preconditions.resource_version = Some("1".to_owned()));
    let words = format!(
        "Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the \
         precondition (1) does not match the ResourceVersion in record ({}). The object might \
         have been modified",
        revision(&made)
    );
    assert_eq!(message(api.delete("configmaps a", options).await), (409, words));
    let options = asked(|o| {
        o.preconditions.uid = Some(uid.to_owned());
        o.preconditions.resource_version = Some(revision(&made).to_string());
    });
    assert_eq!(api.delete("configmaps a", options).await.expect("it goes")["status"], "Success");
}

#[tokio::test]
async fn an_object_with_finalizers_stays_until_the_last_is_removed() {
    let api = Api::new().await;
    let object = json!({"metadata": {"name": "a", "finalizers": ["x.y/1", "x.y/2"]}});
    api.create("configmaps", object).await.expect("it is created");
    let marked = api.delete("configmaps a", DeleteOptions::default()).await.expect("it is marked");
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    api.pass(10);
    let again = api.delete("configmaps a", DeleteOptions::default()).await.expect("still there");
    assert_eq!(again, marked);
    let refused = api.create("configmaps", named("a")).await;
    let words = "object is being deleted: configmaps \"a\" already exists";
    assert_eq!(message(refused), (409, words.to_owned()));

    let patch = json!({"metadata": {"finalizers": ["x.y/2"], "deletionTimestamp": null}});
    let patched = api.merge("configmaps a", patch).await.expect("one less");
    assert_eq!(patched["metadata"]["deletionTimestamp"], marked["metadata"]["deletionTimestamp"]);
    let refused =
        api.merge("configmaps a", json!({"metadata": {"finalizers": ["x.y/2", "x.y/3"]}})).await;
    assert_eq!(message(refused).0, 422);
    let patch = json!({"metadata": {"finalizers": null}});
    assert!(api.merge("configmaps a", patch).await.is_ok());
    assert_eq!(message(api.get("configmaps a").await).0, 404);
}

#[tokio::test]
async fn propagation_sets_the_finalizers_of_the_garbage_collector() {
    let api = Api::new().await;
    let of = |propagation| asked(|o| o.propagation = propagation);
    let old = |orphan| asked(|o| o.orphan_dependents = orphan);
    let cases = [
        (of(None), None),
        (of(Some(Propagation::Background)), None),
        (of(Some(Propagation::Foreground)), Some("foregroundDeletion")),
        (of(Some(Propagation::Orphan)), Some("orphan")),
        (old(Some(true)), Some("orphan")),
        (old(Some(false)), None),
    ];
    for (options, expected) in cases {
        api.create("configmaps", named("a")).await.expect("it is created");
        let answer = api.delete("configmaps a", options).await.expect("an answer");
        match expected {
            None => assert_eq!(answer["status"], "Success"),
            Some(finalizer) => {
                assert_eq!(answer["metadata"]["finalizers"], json!([finalizer]));
                let patch = json!({"metadata": {"finalizers": null}});
                api.merge("configmaps a", patch).await.expect("it goes");
            }
        }
    }
    let rc = json!({"metadata": {"name": "rc"}, "spec": {"selector": {"a": "b"}, "template":
        {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]}}});
    api.create("replicationcontrollers", rc).await.expect("it is created");
    let answer = api.delete("replicationcontrollers rc", of(None)).await.expect("it is marked");
    assert_eq!(answer["metadata"]["finalizers"], json!(["orphan"]));
    assert_eq!(answer["metadata"]["generation"], 2);
}

async fn scheduled(api: &Api, name: &str) -> Value {
    let mut object = pod(name);
    object["spec"]["nodeName"] = json!("n");
    api.create("pods", object).await.expect("it is created")
}

#[tokio::test]
async fn a_pod_on_a_node_waits_for_it_and_its_grace_only_gets_shorter() {
    let api = Api::new().await;
    scheduled(&api, "p").await;
    let marked = api.delete("pods p", DeleteOptions::default()).await.expect("it is marked");
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2027-01-15T08:00:30Z");
    assert_eq!(marked["metadata"]["generation"], 2);
    let longer = api.delete("pods p", asked(|o| o.grace_period_seconds = Some(60))).await;
    assert_eq!(longer.expect("nothing changes"), marked);
    let shorter = api.delete("pods p", asked(|o| o.grace_period_seconds = Some(5))).await;
    let shorter = shorter.expect("it is shortened");
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    assert_eq!(shorter["metadata"]["deletionTimestamp"], "2027-01-15T08:00:05Z");
    assert_eq!(shorter["metadata"]["generation"], 2);
    let last = api.delete("pods p", asked(|o| o.grace_period_seconds = Some(0))).await;
    assert_eq!(last.expect("it goes")["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(message(api.get("pods p").await).0, 404);
}

#[tokio::test]
async fn a_pod_without_a_node_or_at_its_end_goes_at_once() {
    let api = Api::new().await;
    api.create("pods", pod("free")).await.expect("it is created");
    let gone = api.delete("pods free", DeleteOptions::default()).await.expect("it goes");
    assert_eq!(gone["kind"], "Pod");
    assert_eq!(message(api.get("pods free").await).0, 404);
    scheduled(&api, "done").await;
    let done = json!({"status": {"phase": "Succeeded"}});
    api.merge("pods done status", done).await.expect("it is done");
    api.delete("pods done", DeleteOptions::default()).await.expect("it goes");
    assert_eq!(message(api.get("pods done").await).0, 404);
    scheduled(&api, "soon").await;
    let negative = asked(|o| o.grace_period_seconds = Some(-7));
    let marked = api.delete("pods soon", negative).await.expect("it is marked");
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 1);
}

#[tokio::test]
async fn a_collection_is_deleted_by_its_selector() {
    let api = Api::new().await;
    for (name, label) in [("a", "1"), ("b", "2"), ("c", "1")] {
        let object = json!({"metadata": {"name": name, "labels": {"l": label}}});
        api.create("configmaps", object).await.expect("it is created");
    }
    let target = api.target("configmaps");
    let list = ListOptions { label_selector: "l=1".to_owned(), ..ListOptions::default() };
    let options = DeleteOptions::default();
    let answer = api.registry.delete_collection(&api.context, &target, &options, &list).await;
    let answer = read(&answer.expect("they go"));
    assert_eq!(answer["kind"], "ConfigMapList");
    assert_eq!(answer["items"].as_array().expect("a list").len(), 2);
    assert_eq!(api.names("configmaps", ListOptions::default()).await.expect("a list"), ["b"]);
}

#[tokio::test]
async fn a_namespace_ends_in_two_phases() {
    let api = Api::new().await;
    let refused = api.delete("namespaces default", DeleteOptions::default()).await;
    let words = "namespaces \"default\" is forbidden: this namespace may not be deleted";
    assert_eq!(message(refused), (403, words.to_owned()));

    let made = api.create("namespaces", named("t")).await.expect("it is created");
    assert_eq!(made["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(made["status"]["phase"], "Active");
    let ending = api.delete("namespaces t", DeleteOptions::default()).await.expect("it ends");
    assert_eq!(ending["status"]["phase"], "Terminating");
    let again = api.delete("namespaces t", DeleteOptions::default()).await.expect("still there");
    assert_eq!(again, ending);
    let mut object = named("t");
    object["spec"] = json!({"finalizers": []});
    let kept = api.update("namespaces t", object.clone()).await.expect("finalizers are kept");
    assert_eq!(kept["spec"]["finalizers"], json!(["kubernetes"]));
    api.update("namespaces t finalize", object).await.expect("it is finalized");
    assert_eq!(message(api.get("namespaces t").await).0, 404);
}
