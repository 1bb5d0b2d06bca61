//! Scale, binding, eviction, addresses.

use super::*;

#[tokio::test]
async fn a_scale_is_read_and_written() {
    let api = Api::new().await;
    let mut object = deployment("web");
    object["spec"]["selector"]["matchExpressions"] =
        json!([{"key": "x", "operator": "NotIn", "values": ["b", "a"]}]);
    api.create("apps/deployments", object).await.expect("it is created");
    let scale = api.get("apps/deployments web scale").await.expect("a scale");
    assert_eq!(scale["kind"], "Scale");
    assert_eq!(scale["apiVersion"], "autoscaling/v1");
    assert_eq!(scale["spec"], json!({"replicas": 1}));
    assert_eq!(scale["status"], json!({"replicas": 0, "selector": "app=web,x notin (a,b)"}));
    let wanted = json!({"metadata": {"name": "web"}, "spec": {"replicas": 5}});
    let scaled = api.update("apps/deployments web scale", wanted).await.expect("it is scaled");
    assert_eq!(scaled["spec"]["replicas"], 5);
    let whole = api.get("apps/deployments web").await.expect("it is there");
    assert_eq!(
        (&whole["spec"]["replicas"], &whole["metadata"]["generation"]),
        (&json!(5), &json!(2))
    );
    let patched = api.merge("apps/deployments web scale", json!({"spec": {"replicas": 3}})).await;
    assert_eq!(patched.expect("it is scaled")["spec"]["replicas"], 3);
    let refused = api.merge("apps/deployments web scale", json!({"spec": {"replicas": -1}})).await;
    let words = "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1: must be \
                 greater than or equal to 0";
    assert_eq!(message(refused), (422, words.to_owned()));
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let api = Api::new().await;
    api.create("pods", pod("p")).await.expect("it is created");
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let bound = api.create("pods p binding", binding.clone()).await.expect("it is bound");
    assert_eq!((&bound["status"], &bound["code"]), (&json!("Success"), &json!(201)));
    let there = api.get("pods p").await.expect("it is there");
    assert_eq!(there["spec"]["nodeName"], "n");
    assert_eq!(there["metadata"]["generation"], 1);
    let condition = &there["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("PodScheduled"), &json!("True"))
    );
    let refused = api.create("pods p binding", binding).await;
    let words = "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned \
                 to node \"n\"";
    assert_eq!(message(refused), (409, words.to_owned()));
    let nameless = json!({"metadata": {"name": "p"}, "target": {"kind": "Node"}});
    let refused = api.create("pods p binding", nameless).await;
    assert_eq!(message(refused), (500, "target.name: Required value".to_owned()));
}

#[tokio::test]
async fn an_eviction_asks_the_budget() {
    let api = Api::new().await;
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1,
        "selector": {"matchLabels": {"app": "web"}}}});
    api.create("policy/poddisruptionbudgets", budget).await.expect("it is created");
    let status = |allowed: i64| {
        json!({"status": {"observedGeneration": 1, "disruptionsAllowed": allowed,
            "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}})
    };
    let path = "policy/poddisruptionbudgets b status";
    api.merge(path, status(0)).await.expect("a status");
    let mut object = pod("p");
    object["metadata"]["labels"] = json!({"app": "web"});
    object["spec"]["nodeName"] = json!("n");
    api.create("pods", object).await.expect("it is created");
    let ready = json!({"status": {"phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}]}});
    api.merge("pods p status", ready).await.expect("it runs");

    let eviction = named("p");
    let refused = api.create("pods p eviction", eviction.clone()).await.expect_err("not now");
    assert_eq!(refused.code, 429);
    assert!(refused.has_cause("DisruptionBudget"));
    assert_eq!(
        refused.message,
        "Cannot evict pod as it would violate the pod's disruption budget."
    );
    assert!(!crate::registry::object::is_deleting(&api.get("pods p").await.expect("there")));

    api.merge(path, status(1)).await.expect("a status");
    api.create("pods p eviction", eviction).await.expect("it is evicted");
    assert!(crate::registry::object::is_deleting(&api.get("pods p").await.expect("there")));
    let counted = api.get("policy/poddisruptionbudgets b").await.expect("it is there");
    assert_eq!(counted["status"]["disruptionsAllowed"], 0);
    assert!(counted["status"]["disruptedPods"]["p"].is_string());
}

#[tokio::test]
async fn a_service_gets_an_address_and_gives_it_back() {
    let api = Api::new().await;
    let made = api.create("services", service("a", "ClusterIP")).await.expect("it is created");
    let address = made["spec"]["clusterIP"].as_str().expect("an address").to_owned();
    assert!(address.starts_with("10.0.0."), "{address}");
    assert_eq!(made["spec"]["clusterIPs"], json!([address]));
    assert_eq!(made["spec"]["ipFamilies"], json!(["IPv4"]));
    let path = format!("networking.k8s.io/ipaddresses {address}");
    let held = api.get(&path).await.expect("the address has an object");
    assert_eq!(held["spec"]["parentRef"]["name"], "a");

    let mut second = service("b", "ClusterIP");
    second["spec"]["clusterIP"] = json!(address);
    let refused = api.create("services", second).await;
    let words = format!(
        "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"{address}\"]: failed to \
         allocate IP {address}: provided IP is already allocated"
    );
    assert_eq!(message(refused), (422, words));

    let kept = api.update("services a", service("a", "ClusterIP")).await.expect("an update");
    assert_eq!(kept["spec"]["clusterIP"], json!(address));
    api.delete("services a", DeleteOptions::default()).await.expect("it goes");
    assert_eq!(message(api.get(&path).await).0, 404);
}

#[tokio::test]
async fn node_ports_are_given_once_and_given_back() {
    let api = Api::new().await;
    let made = api.create("services", service("a", "NodePort")).await.expect("it is created");
    let port = made["spec"]["ports"][0]["nodePort"].as_u64().expect("a port");
    assert!((30_000..=32_767).contains(&port));
    let mut second = service("b", "NodePort");
    second["spec"]["ports"][0]["nodePort"] = json!(port);
    let refused = api.create("services", second.clone()).await;
    let words = format!(
        "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: {port}: provided port \
         is already allocated"
    );
    assert_eq!(message(refused), (422, words));
    let kept = api.update("services a", service("a", "NodePort")).await.expect("an update");
    assert_eq!(kept["spec"]["ports"][0]["nodePort"], json!(port));
    let plain = api.update("services a", service("a", "ClusterIP")).await.expect("an update");
    assert_eq!(plain["spec"]["ports"][0]["nodePort"], Value::Null);
    api.create("services", second).await.expect("the port is free again");
}

#[tokio::test]
async fn a_refused_service_leaves_nothing_taken() {
    let api = Api::new().await;
    api.create("services", service("a", "ClusterIP")).await.expect("it is created");
    assert_eq!(message(api.create("services", service("a", "NodePort")).await).0, 409);
    let mut wrong = service("b", "NodePort");
    wrong["spec"]["ports"][0]["port"] = json!(70_000);
    assert_eq!(message(api.create("services", wrong).await).0, 422);
    let addresses = api.names("networking.k8s.io/ipaddresses", ListOptions::default()).await;
    assert_eq!(addresses.expect("a list").len(), 1);
}

#[tokio::test]
async fn what_a_type_has_no_use_for_goes_with_the_type() {
    let api = Api::new().await;
    let mut object = service("a", "LoadBalancer");
    object["spec"]["externalTrafficPolicy"] = json!("Local");
    let made = api.create("services", object).await.expect("it is created");
    let health = made["spec"]["healthCheckNodePort"].as_u64().expect("a port");
    assert!((30_000..=32_767).contains(&health));
    assert_eq!(made["spec"]["allocateLoadBalancerNodePorts"], true);
    let plain = api.merge("services a", json!({"spec": {"type": "ClusterIP"}})).await;
    let plain = plain.expect("it is changed");
    assert_eq!(plain["spec"]["clusterIP"], made["spec"]["clusterIP"]);
    for gone in ["healthCheckNodePort", "allocateLoadBalancerNodePorts", "externalTrafficPolicy"] {
        assert_eq!(plain["spec"][gone], Value::Null, "{gone}");
    }
    assert_eq!(plain["spec"]["ports"][0]["nodePort"], Value::Null);
    let alias = json!({"spec": {"type": "ExternalName", "externalName": "foo.bar"}});
    let alias = api.merge("services a", alias).await.expect("it is changed");
    for gone in ["clusterIP", "clusterIPs", "ipFamilies", "internalTrafficPolicy"] {
        assert_eq!(alias["spec"][gone], Value::Null, "{gone}");
    }
    let left = api.names("networking.k8s.io/ipaddresses", ListOptions::default()).await;
    assert!(left.expect("a list").is_empty());
}
