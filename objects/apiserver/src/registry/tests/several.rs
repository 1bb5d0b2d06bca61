//! Three registries on one storage are one API.

use std::collections::BTreeSet;

use super::*;

async fn three() -> Vec<Arc<Api>> {
    let storage = Arc::new(MemoryStorage::new());
    let apis: Vec<Arc<Api>> =
        (1..=3).map(|seed| Arc::new(Api::on(storage.clone(), seed))).collect();
    apis[0].create("namespaces", named("default")).await.expect("the namespace is created");
    apis
}

/// Runs `f` on every registry at the same time, so many times each.
async fn everywhere<F, Fut>(apis: &[Arc<Api>], times: usize, f: F) -> Vec<Value>
where
    F: Fn(Arc<Api>, usize) -> Fut,
    Fut: Future<Output = Result<Value, Status>> + Send + 'static,
{
    let mut tasks = Vec::new();
    for n in 0..times {
        for api in apis {
            tasks.push(tokio::spawn(f(Arc::clone(api), n)));
        }
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("the task ends").expect("the request is answered"));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_ports_and_names_never_collide() {
    let apis = three().await;
    let made = everywhere(&apis, 20, |api, _| async move {
        let mut object = service("x", "NodePort");
        object["metadata"] = json!({"generateName": "s-"});
        api.create("services", object).await
    })
    .await;
    let distinct = |path: &[&str]| {
        let at = |object: &Value| path.iter().fold(object.clone(), |at, key| at[*key].clone());
        made.iter().map(|object| at(object).to_string()).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(made.len(), 60);
    assert_eq!(distinct(&["spec", "clusterIP"]), 60);
    assert_eq!(distinct(&["metadata", "name"]), 60);
    assert_eq!(distinct(&["metadata", "uid"]), 60);
    assert_eq!(distinct(&["metadata", "resourceVersion"]), 60);
    let ports: BTreeSet<String> =
        made.iter().map(|object| object["spec"]["ports"][0]["nodePort"].to_string()).collect();
    assert_eq!(ports.len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_from_everywhere_lose_nothing() {
    let apis = three().await;
    apis[0].create("configmaps", named("a")).await.expect("it is created");
    let apis_by_index: Vec<usize> = (0..apis.len()).collect();
    assert_eq!(apis_by_index.len(), 3);
    let mut tasks = Vec::new();
    for (index, api) in apis.iter().enumerate() {
        for n in 0..20 {
            let api = Arc::clone(api);
            tasks.push(tokio::spawn(async move {
                let key = format!("k{index}-{n}");
                api.merge("configmaps a", json!({"data": {key: "v"}})).await
            }));
        }
    }
    for task in tasks {
        task.await.expect("the task ends").expect("the patch is done");
    }
    for api in &apis {
        let object = api.get("configmaps a").await.expect("it is there");
        assert_eq!(object["data"].as_object().expect("a map").len(), 60);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_updates_from_the_same_revision_wins() {
    let apis = three().await;
    let made = apis[0].create("configmaps", named("a")).await.expect("it is created");
    let mut tasks = Vec::new();
    for (index, api) in apis.iter().enumerate() {
        let (api, mut object) = (Arc::clone(api), made.clone());
        object["data"] = json!({"by": index.to_string()});
        tasks.push(tokio::spawn(async move { api.update("configmaps a", object).await }));
    }
    let mut won = 0;
    for task in tasks {
        match task.await.expect("the task ends") {
            Ok(_) => won += 1,
            Err(status) => assert_eq!(status.code, 409, "{status}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_write_on_one_is_read_and_overwritten_on_another() {
    let apis = three().await;
    for round in 0..10 {
        let name = format!("c{round}");
        let path = format!("configmaps {name}");
        let made = apis[0].create("configmaps", named(&name)).await.expect("it is created");
        assert_eq!(apis[1].get(&path).await.expect("it is read elsewhere"), made);
        let patch = json!({"data": {"x": "y"}});
        let patched = apis[2].merge(&path, patch).await.expect("it is patched elsewhere");
        // A PUT with the newest revision must not be refused by a cache that is behind.
        let mut object = patched.clone();
        object["data"] = json!({"x": "z"});
        let put = apis[0].update(&path, object).await.expect("the revision is the newest");
        assert!(revision(&put) > revision(&patched));
        apis[1].delete(&path, DeleteOptions::default()).await.expect("it goes");
        assert_eq!(message(apis[2].get(&path).await).0, 404);
        assert_eq!(message(apis[0].merge(&path, json!({})).await).0, 404);
    }
}
