//! A kind that is not served by default, served by one line of facts: `docs/how-to/add-a-kind.md`.

use schema::facts::{KUBERNETES_1_37, parse};

use super::*;

/// What the generator writes for one more line of `served.txt`.
const LEASE_CANDIDATES: &str = "resource coordination.k8s.io/v1beta1 leasecandidates \
    leasecandidate LeaseCandidate namespaced \
    verbs=create,delete,deletecollection,get,list,patch,update,watch\n";

fn with_one_more_kind() -> &'static Schema {
    let text = format!("{KUBERNETES_1_37}{LEASE_CANDIDATES}");
    let schema = parse(Box::leak(text.into_boxed_str())).expect("the facts hold to their format");
    Box::leak(Box::new(schema))
}

#[tokio::test]
async fn a_kind_that_is_only_facts_is_served_whole() {
    let api = Api::of(with_one_more_kind(), Arc::new(MemoryStorage::new()), 1);
    api.create("namespaces", named("default")).await.expect("the namespace is created");
    let path = "coordination.k8s.io/v1beta1/leasecandidates";
    let mut candidate = named("a");
    candidate["spec"] = json!({
        "leaseName": "l", "binaryVersion": "1.37.0", "emulationVersion": "1.37.0",
        "strategy": "OldestEmulationVersion", "unknown": 1,
    });
    let created = api.create(path, candidate).await.expect("created");
    assert_eq!(created["kind"], "LeaseCandidate");
    assert_eq!(created["spec"].get("unknown"), None, "what the type does not have is dropped");

    let one = format!("{path} a");
    let patched = api.merge(&one, json!({ "spec": { "leaseName": "m" } })).await.expect("patched");
    assert!(revision(&patched) > revision(&created));
    assert_eq!(api.get(&one).await.expect("there")["spec"]["leaseName"], "m");
    let selected =
        ListOptions { field_selector: "metadata.name=a".to_owned(), ..ListOptions::default() };
    assert_eq!(api.names(path, selected).await.expect("listed"), ["a"]);
    let (code, words) = message(api.create(path, named("a")).await);
    let exists = "leasecandidates.coordination.k8s.io \"a\" already exists";
    assert_eq!((code, words.as_str()), (409, exists));
    api.delete(&one, DeleteOptions::default()).await.expect("deleted");
    assert_eq!(message(api.get(&one).await).0, 404);
}
