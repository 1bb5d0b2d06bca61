//! Scenarios about one part of the API each: discovery, namespaces, pods, bindings, owners, …
//!
//! Must not know: how they are held.

use serde_json::{Value, json};

use super::lifecycle::create_namespace;
use super::steps::{
    CONTINUE, JSON, JSON_PATCH, LIST_VERSION, MERGE, PARTIAL, STRATEGIC, Scenario, TABLE, uid_of,
    version_of,
};

/// All of them.
#[must_use]
pub fn all() -> Vec<Scenario> {
    vec![
        bootstrap(),
        discovery(),
        namespaces(),
        pods(),
        deployments(),
        services(),
        owners(),
        pages(),
        versions(),
        watches(),
        strategic(),
        generated(),
        old_cronjobs(),
        doors(),
    ]
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn pod(name: &str, spec: Value) -> Value {
    let metadata = json!({"name": name, "labels": {"app": name}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

/// What is there before anything is created.
fn bootstrap() -> Scenario {
    let mut to = Scenario::new("bootstrap");
    for path in [
        "/api/v1/namespaces",
        "/api/v1/services",
        "/api/v1/namespaces/default/services/kubernetes",
        "/api/v1/namespaces/default/endpoints/kubernetes",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        "/api/v1/nodes",
        "/api/v1/pods",
        "/apis/apps/v1/deployments",
        "/api/v1/secrets",
        "/api/v1/serviceaccounts",
        "/apis/storage.k8s.io/v1/storageclasses",
    ] {
        to.get(path);
    }
    to.get_as("/api/v1/namespaces", TABLE);
    to
}

fn discovery() -> Scenario {
    let mut to = Scenario::new("discovery");
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let fallback = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer,application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    for path in ["/api", "/apis"] {
        to.get(path);
        to.get_as(path, aggregated);
        to.get_as(path, fallback);
        to.get_as(path, "application/yaml");
        to.get_as(path, "application/nonsense");
    }
    for group in [
        "admissionregistration.k8s.io/v1",
        "apiextensions.k8s.io/v1",
        "apiregistration.k8s.io/v1",
        "apps/v1",
        "authentication.k8s.io/v1",
        "authorization.k8s.io/v1",
        "autoscaling/v1",
        "autoscaling/v2",
        "batch/v1",
        "certificates.k8s.io/v1",
        "coordination.k8s.io/v1",
        "discovery.k8s.io/v1",
        "events.k8s.io/v1",
        "flowcontrol.apiserver.k8s.io/v1",
        "networking.k8s.io/v1",
        "node.k8s.io/v1",
        "policy/v1",
        "rbac.authorization.k8s.io/v1",
        "resource.k8s.io/v1",
        "scheduling.k8s.io/v1",
        "storage.k8s.io/v1",
        "apps/v9",
    ] {
        to.get(format!("/apis/{group}"));
    }
    for path in [
        "/api/v1",
        "/api/v2",
        "/apis/apps",
        "/apis/nonsense",
        "/apis/nonsense/v1",
        "/version",
        "/healthz",
        "/livez",
        "/readyz",
        "/nonsense",
        "/openapi/v3",
        "/",
    ] {
        to.get(path);
    }
    to
}

fn namespaces() -> Scenario {
    let mut to = Scenario::new("namespaces");
    create_namespace(&mut to, "topic-ns");
    let missing = "/api/v1/namespaces/absent/configmaps";
    to.post(missing, &config_map("a", &json!({})));
    to.get(missing);
    to.get("/api/v1/namespaces/absent");
    let mut elsewhere = config_map("a", &json!({}));
    elsewhere["metadata"]["namespace"] = "default".into();
    to.post("/api/v1/namespaces/topic-ns/configmaps", &elsewhere);
    to.post("/api/v1/configmaps", &elsewhere);
    to.post("/api/v1/namespaces/topic-ns/configmaps", &config_map("keep", &json!({})));
    let body =
        |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    for name in ["UPPER", "a.b", "-a", "", "x".repeat(64).as_str()] {
        to.post("/api/v1/namespaces", &body(name));
    }
    to.delete("/api/v1/namespaces/topic-ns");
    to.get("/api/v1/namespaces/topic-ns");
    to.post("/api/v1/namespaces/topic-ns/configmaps", &config_map("late", &json!({})));
    to.delete("/api/v1/namespaces/topic-ns");
    to.get_as("/api/v1/namespaces/topic-ns", TABLE);
    let mut finalized = body("topic-ns");
    finalized["spec"] = json!({"finalizers": []});
    finalized["metadata"]["resourceVersion"] = version_of("/api/v1/namespaces/topic-ns").into();
    to.put("/api/v1/namespaces/topic-ns/finalize", &finalized);
    to.get("/api/v1/namespaces/topic-ns");
    for protected in ["default", "kube-system", "kube-public"] {
        to.delete(format!("/api/v1/namespaces/{protected}"));
    }
    to
}

fn pods() -> Scenario {
    let mut to = Scenario::new("pods");
    create_namespace(&mut to, "topic-pods");
    let all = "/api/v1/namespaces/topic-pods/pods";
    let container = json!({"name": "c", "image": "demo"});
    let rich = json!({
        "initContainers": [{"name": "i", "image": "demo:latest", "command": ["true"]}],
        "containers": [
            {"name": "c", "image": "demo:1.2", "ports": [{"containerPort": 80, "name": "http"}],
             "readinessProbe": {"tcpSocket": {"port": "http"}},
             "startupProbe": {"exec": {"command": ["true"]}},
             "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
             "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
             "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}},
             "volumeMounts": [{"name": "s", "mountPath": "/s"}]},
            {"name": "d", "image": "demo@sha256:0000000000000000000000000000000000000000000000000000000000000000"}],
        "volumes": [{"name": "s", "secret": {"secretName": "x"}}, {"name": "h", "hostPath": {"path": "/"}},
            {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {"name": "d", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}}],
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}}]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "securityContext": {"runAsUser": 5}, "hostNetwork": true, "nodeSelector": {"disk": "ssd"},
        "serviceAccountName": "robot", "activeDeadlineSeconds": 10,
    });
    to.post(all, &pod("rich", rich));
    to.post(all, &pod("plain", json!({"containers": [container]})));
    to.post(all, &pod("best", json!({"containers": [container], "restartPolicy": "OnFailure"})));
    invalid_pods(&mut to, all);
    binding(&mut to, all);
    for selector in [
        "spec.nodeName%3Dn1",
        "status.phase%3DPending",
        "spec.nodeName!%3D",
        "spec.restartPolicy%3DAlways,metadata.name!%3Drich",
        "spec.nope%3D1",
        "status.phase%3D%3DX",
    ] {
        to.get(format!("{all}?fieldSelector={selector}"));
    }
    to.get_as(all, TABLE);
    to.get_as(format!("{all}/plain"), "application/json;as=Table;g=meta.k8s.io;v=v1");
    to.delete(format!("{all}/plain"));
    to.get(format!("{all}/plain"));
    to.delete_with(format!("{all}/plain"), &json!({"gracePeriodSeconds": 5}));
    to.delete_with(format!("{all}/plain"), &json!({"gracePeriodSeconds": 0}));
    to.get(format!("{all}/plain"));
    to.delete_with(format!("{all}/best"), &json!({"gracePeriodSeconds": -5}));
    to.delete(format!("{all}/best?gracePeriodSeconds=nonsense"));
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "rich", "namespace": "topic-pods"}});
    to.post(format!("{all}/rich/eviction"), &eviction);
    to.get(format!("{all}/rich"));
    to.get(format!("{all}/absent/log"));
    to
}

/// Each must be refused, with all causes.
fn invalid_pods(to: &mut Scenario, all: &str) {
    let container = json!({"name": "c", "image": "demo"});
    let bad = [
        ("none", json!({"containers": []})),
        ("spec", json!({})),
        ("twice", json!({"containers": [container, container]})),
        (
            "names",
            json!({"containers": [{"name": "Bad Name", "image": "demo"}, {"name": "", "image": ""}]}),
        ),
        (
            "policy",
            json!({"containers": [container], "restartPolicy": "Sometimes", "dnsPolicy": "Nope"}),
        ),
        (
            "port",
            json!({"containers": [{"name": "c", "image": "d", "ports": [{"containerPort": 0}, {"containerPort": 70000, "protocol": "X", "name": "TOOLONGAPORTNAME"}]}]}),
        ),
        (
            "res",
            json!({"containers": [{"name": "c", "image": "d", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]}),
        ),
        (
            "neg",
            json!({"containers": [{"name": "c", "image": "d", "resources": {"requests": {"cpu": "-2", "x": "1"}}}]}),
        ),
        (
            "quantity",
            json!({"containers": [{"name": "c", "image": "d", "resources": {"requests": {"cpu": "lots"}}}]}),
        ),
        (
            "vol",
            json!({"containers": [{"name": "c", "image": "d", "volumeMounts": [{"name": "absent", "mountPath": "/x"}, {"name": "", "mountPath": ""}]}]}),
        ),
        (
            "vols",
            json!({"containers": [container], "volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}, "hostPath": {"path": ""}}]}),
        ),
        (
            "env",
            json!({"containers": [{"name": "c", "image": "d", "env": [{"name": "1=2", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}, {"name": ""}]}]}),
        ),
        (
            "probe",
            json!({"containers": [{"name": "c", "image": "d", "livenessProbe": {"periodSeconds": -1}, "readinessProbe": {"httpGet": {"port": 0}, "exec": {"command": []}}}]}),
        ),
        (
            "pull",
            json!({"containers": [{"name": "c", "image": " d", "imagePullPolicy": "Never ever"}]}),
        ),
        (
            "tol",
            json!({"containers": [container], "tolerations": [{"operator": "Perhaps"}, {"key": "", "operator": "Equal"}, {"key": "a", "operator": "Exists", "value": "x"}]}),
        ),
        (
            "grace",
            json!({"containers": [container], "terminationGracePeriodSeconds": -1, "activeDeadlineSeconds": 0}),
        ),
        (
            "node",
            json!({"containers": [container], "nodeName": "Bad Node", "nodeSelector": {"bad key": "bad value!"}, "hostname": "Bad"}),
        ),
        ("types", json!({"containers": [{"name": 5, "image": "d"}]})),
        ("typed", json!({"containers": {"name": "c"}})),
        ("typen", json!({"containers": [container], "terminationGracePeriodSeconds": "5"})),
        ("typeb", json!({"containers": [container], "hostNetwork": "yes"})),
    ];
    for (name, spec) in bad {
        to.post(all, &pod(name, spec));
    }
}

/// From scheduled to running and to an end.
fn binding(to: &mut Scenario, all: &str) {
    let bind = |node: Value| json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "plain"}, "target": node});
    let path = format!("{all}/plain/binding");
    to.post(&path, &bind(json!({"kind": "Node", "name": ""})));
    to.post(&path, &bind(json!({"kind": "Pod", "name": "n1"})));
    to.post(&path, &bind(json!({"kind": "Node", "name": "n1"})));
    to.post(&path, &bind(json!({"kind": "Node", "name": "n2"})));
    to.get(format!("{all}/plain"));
    let status = json!({"status": {
        "phase": "Running", "podIP": "192.0.2.9", "podIPs": [{"ip": "192.0.2.9"}], "hostIP": "192.0.2.1",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "c", "ready": true, "restartCount": 2, "image": "demo", "imageID": "",
            "state": {"running": {"startedAt": "2001-01-01T00:00:00Z"}}}]}});
    to.patch(format!("{all}/plain/status"), MERGE, &status);
    let condition = json!({"status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}});
    to.patch(format!("{all}/plain/status"), STRATEGIC, &condition);
    to.patch(format!("{all}/plain/status"), MERGE, &json!({"status": {"phase": "Nonsense"}}));
    to.patch(format!("{all}/plain"), MERGE, &json!({"status": {"phase": "Failed"}}));
    to.patch(format!("{all}/plain"), MERGE, &json!({"spec": {"nodeName": "n9"}}));
    to.patch(format!("{all}/plain"), MERGE, &json!({"spec": {"activeDeadlineSeconds": 99}}));
    to.patch(
        format!("{all}/plain"),
        STRATEGIC,
        &json!({"spec": {"containers": [{"name": "c", "image": "demo:9"}]}}),
    );
    to.get(format!("{all}/plain"));
}

fn deployments() -> Scenario {
    let mut to = Scenario::new("deployments");
    create_namespace(&mut to, "topic-deploy");
    let all = "/apis/apps/v1/namespaces/topic-deploy/deployments";
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "demo"}]}});
    let deployment = |name: &str, spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec});
    let selector = json!({"matchLabels": {"app": "a"}});
    to.post(all, &deployment("plain", json!({"selector": selector, "template": template})));
    let bad = [
        ("empty", json!({})),
        ("mismatch", json!({"selector": {"matchLabels": {"app": "b"}}, "template": template})),
        (
            "expr",
            json!({"selector": {"matchExpressions": [{"key": "app", "operator": "Nope"}, {"key": "b", "operator": "In"}]}, "template": template}),
        ),
        (
            "negative",
            json!({"replicas": -1, "minReadySeconds": -1, "revisionHistoryLimit": -1, "selector": selector, "template": template}),
        ),
        (
            "strategy",
            json!({"strategy": {"type": "Nope"}, "selector": selector, "template": template}),
        ),
        (
            "recreate",
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}, "selector": selector, "template": template}),
        ),
        (
            "zero",
            json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}, "selector": selector, "template": template}),
        ),
        (
            "percent",
            json!({"strategy": {"rollingUpdate": {"maxSurge": "x%", "maxUnavailable": "200%"}}, "selector": selector, "template": template}),
        ),
        (
            "deadline",
            json!({"progressDeadlineSeconds": 0, "minReadySeconds": 700, "selector": selector, "template": template}),
        ),
        (
            "never",
            json!({"selector": selector, "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "d"}]}}}),
        ),
    ];
    for (name, spec) in bad {
        to.post(all, &deployment(name, spec));
    }
    let one = format!("{all}/plain");
    to.get_as(&one, TABLE);
    to.patch(&one, STRATEGIC, &json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "demo:2"}]}}}}));
    to.patch(
        &one,
        STRATEGIC,
        &json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "s"}]}}}}),
    );
    to.patch(&one, STRATEGIC, &json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "$patch": "delete"}]}}}}));
    to.patch(
        &one,
        STRATEGIC,
        &json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
    );
    to.patch(&one, MERGE, &json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "demo:3", "env": [{"name": "A"}]}]}}}}));
    to.patch(&one, STRATEGIC, &json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "B", "value": "2"}], "$setElementOrder/env": [{"name": "B"}, {"name": "A"}]}]}}}}));
    let status = json!({"status": {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1, "readyReplicas": 1, "observedGeneration": 3,
        "conditions": [{"type": "Available", "status": "True", "reason": "r", "message": "m"}]}});
    to.patch(format!("{one}/status"), MERGE, &status);
    to.patch(
        format!("{one}/status"),
        MERGE,
        &json!({"status": {"replicas": -1, "availableReplicas": 9}}),
    );
    to.get_as(&one, TABLE);
    to.get(format!("{one}/scale"));
    let rollback = json!({"kind": "DeploymentRollback", "apiVersion": "apps/v1", "name": "plain"});
    to.post(format!("{one}/rollback"), &rollback);
    to
}

fn services() -> Scenario {
    let mut to = Scenario::new("services");
    create_namespace(&mut to, "topic-svc");
    let all = "/api/v1/namespaces/topic-svc/services";
    let service = |name: &str, spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec});
    let cases = [
        ("plain", json!({"ports": [{"port": 80}]})),
        ("headless", json!({"clusterIP": "None", "selector": {"a": "b"}})),
        ("fixed", json!({"clusterIP": "10.0.0.77", "ports": [{"port": 80}]})),
        ("taken", json!({"clusterIP": "10.0.0.77", "ports": [{"port": 80}]})),
        ("outside", json!({"clusterIP": "192.0.2.1", "ports": [{"port": 80}]})),
        ("nonsense", json!({"clusterIP": "nonsense", "ports": [{"port": 80}]})),
        (
            "nodeport",
            json!({"type": "NodePort", "ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}),
        ),
        ("balanced", json!({"type": "LoadBalancer", "ports": [{"port": 80}]})),
        ("external", json!({"type": "ExternalName", "externalName": "a.example"})),
        ("noname", json!({"type": "ExternalName"})),
        ("noports", json!({})),
        ("dup", json!({"ports": [{"port": 80}, {"port": 80}]})),
        ("badport", json!({"ports": [{"port": 0, "protocol": "X", "targetPort": "Bad Name"}]})),
        ("type", json!({"type": "Nope", "sessionAffinity": "Nope", "ports": [{"port": 80}]})),
        ("affinity", json!({"sessionAffinity": "ClientIP", "ports": [{"port": 80}]})),
        ("1bad", json!({"ports": [{"port": 80}]})),
    ];
    for (name, spec) in cases {
        to.post(all, &service(name, spec));
    }
    to.get_as(all, TABLE);
    to.patch(format!("{all}/plain"), MERGE, &json!({"spec": {"clusterIP": "10.0.0.99"}}));
    to.patch(format!("{all}/plain"), MERGE, &json!({"spec": {"type": "NodePort"}}));
    to.patch(format!("{all}/plain"), MERGE, &json!({"spec": {"type": "ClusterIP"}}));
    to.patch(
        format!("{all}/fixed"),
        MERGE,
        &json!({"spec": {"type": "ExternalName", "externalName": "b.example"}}),
    );
    to.put(format!("{all}/made"), &service("made", json!({"ports": [{"port": 80}]})));
    to.delete(format!("{all}/headless"));
    to.delete(format!("{all}/headless"));
    to
}

/// Owners, and what deleting with each propagation leaves.
fn owners() -> Scenario {
    let mut to = Scenario::new("owners");
    create_namespace(&mut to, "topic-owners");
    let all = "/api/v1/namespaces/topic-owners/configmaps";
    to.post(all, &config_map("owner", &json!({})));
    let owner = |patch: Value| {
        let mut reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid_of(&format!("{all}/owner"))});
        super::lifecycle::merge(&mut reference, &patch);
        reference
    };
    let owned = |name: &str, references: Value| {
        let mut object = config_map(name, &json!({}));
        object["metadata"]["ownerReferences"] = references;
        object
    };
    to.post(all, &owned("one", json!([owner(json!({}))])));
    to.post(
        all,
        &owned("block", json!([owner(json!({"blockOwnerDeletion": true, "controller": true}))])),
    );
    to.post(all, &owned("same", json!([owner(json!({})), owner(json!({}))])));
    let two = json!([
        owner(json!({"controller": true})),
        owner(json!({"controller": true, "uid": "x", "name": "y"}))
    ]);
    to.post(all, &owned("two", two));
    for missing in ["uid", "name", "kind", "apiVersion"] {
        let mut lacking = serde_json::Map::new();
        lacking.insert(missing.to_owned(), Value::Null);
        to.post(
            all,
            &owned(&format!("no-{}", missing.to_lowercase()), json!([owner(lacking.into())])),
        );
    }
    to.post(all, &owned("event", json!([owner(json!({"kind": "Event"}))])));
    let finalizers = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    for bad in [
        json!(["nonsense"]),
        json!(["a/b", "a/b"]),
        json!(["/"]),
        json!(["orphan"]),
        json!(["orphan", "foregroundDeletion"]),
    ] {
        to.patch(format!("{all}/one"), MERGE, &finalizers(bad));
    }
    to.patch(format!("{all}/one"), MERGE, &finalizers(json!(null)));
    to.delete_with(
        format!("{all}/owner"),
        &json!({"propagationPolicy": "Foreground", "orphanDependents": true}),
    );
    to.delete_with(format!("{all}/owner"), &json!({"orphanDependents": false, "dryRun": ["All"]}));
    to.delete_with(format!("{all}/owner"), &json!({"propagationPolicy": "Foreground"}));
    to.patch(format!("{all}/owner"), MERGE, &finalizers(json!(["new/one", "foregroundDeletion"])));
    to.patch(format!("{all}/owner"), MERGE, &finalizers(json!([])));
    to.get(all);
    to
}

/// Pages, and what forged tokens are answered.
fn pages() -> Scenario {
    let mut to = Scenario::new("pages");
    create_namespace(&mut to, "topic-pages");
    let all = "/api/v1/namespaces/topic-pages/configmaps";
    for number in 0..12 {
        let mut object = config_map(&format!("cm-{number:02}"), &json!({"n": number.to_string()}));
        object["metadata"]["labels"] = json!({"odd": (number % 2 == 1).to_string()});
        to.post(all, &object);
    }
    to.get(format!("{all}?limit=5"));
    to.post(all, &config_map("cm-99", &json!({})));
    to.get(format!("{all}?limit=5&continue={CONTINUE}"));
    to.get(format!("{all}?limit=5&continue={CONTINUE}"));
    to.get(format!("{all}?limit=3&labelSelector=odd%3Dtrue"));
    to.get(format!("{all}?limit=3&labelSelector=odd%3Dtrue&continue={CONTINUE}"));
    to.get_as(format!("{all}?limit=4"), TABLE);
    to.get(format!("{all}?limit=500"));
    to.get(format!("{all}?limit=2&resourceVersion=0"));
    to.get(format!("{all}?limit=2&resourceVersion={LIST_VERSION}&resourceVersionMatch=Exact"));
    to.get(format!(
        "{all}?limit=2&resourceVersion={LIST_VERSION}&resourceVersionMatch=NotOlderThan"
    ));
    to.get(format!("{all}?limit=2"));
    to.get(format!("{all}?limit=2&resourceVersion=5&continue={CONTINUE}"));
    // eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLi9hIn0 asks for a place outside.
    for forged in [
        "nonsense",
        "e30",
        "eyJ2IjoidjkifQ",
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLi9hIn0",
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6OTk5OTk5OSwic3RhcnQiOiJhXHUwMDAwIn0",
        "%00",
    ] {
        to.get(format!("{all}?limit=2&continue={forged}"));
    }
    for bad in [
        "limit=-1",
        "limit=nonsense",
        "limit=99999999999999999999",
        "limit=0",
        "pretty=true",
        "timeoutSeconds=-1",
    ] {
        to.get(format!("{all}?{bad}"));
    }
    to.get_as("/api/v1/configmaps?limit=1&labelSelector=odd%3Dtrue", PARTIAL);
    to
}

/// The resourceVersion rules of GET and LIST.
fn versions() -> Scenario {
    let mut to = Scenario::new("versions");
    create_namespace(&mut to, "topic-versions");
    let all = "/api/v1/namespaces/topic-versions/configmaps";
    to.post(all, &config_map("a", &json!({"v": "1"})));
    let first = version_of(&format!("{all}/a"));
    to.get(format!("{all}/a?resourceVersion=0"));
    to.get(format!("{all}/a?resourceVersion={first}"));
    to.get(format!("{all}?resourceVersion={first}"));
    to.get(format!("{all}?resourceVersion={first}&resourceVersionMatch=Exact"));
    to.get(format!("{all}?resourceVersion={first}&resourceVersionMatch=NotOlderThan"));
    for query in [
        "resourceVersion=nonsense",
        "resourceVersion=-5",
        "resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "resourceVersion=5&resourceVersionMatch=Nope",
        "resourceVersion=99999999999999&resourceVersionMatch=Exact",
        "sendInitialEvents=true",
        "resourceVersion=0&resourceVersionMatch=NotOlderThan",
        "labelSelector=a%3D%3D%3Db",
        "labelSelector=!",
        "labelSelector=a%20in%20b",
        "labelSelector=a%20notin%20(b%2C)",
        "labelSelector=%2C",
        "labelSelector=a%3Db%2C%2Cc",
        "labelSelector=-bad%3Dx",
        "labelSelector=a%3D-bad-",
        "labelSelector=a%3E5",
        "labelSelector=a%3Ex",
        "fieldSelector=a",
        "fieldSelector=metadata.name%3Da%2Cmetadata.namespace%3Dx",
        "fieldSelector=%3D",
        "fieldSelector=metadata.name%3Da%5Cx",
        "fieldSelector=metadata.uid%3Dx",
    ] {
        to.get(format!("{all}?{query}"));
    }
    to.get(format!("{all}/a?resourceVersion=nonsense"));
    // Each of these waits until the server gives up on a version that is not there yet.
    to.get(format!("{all}?resourceVersion=99999999999999"));
    to.get(format!("{all}/a?resourceVersion=99999999999999"));
    to
}

/// Every form of a watch, on one kind.
fn watches() -> Scenario {
    let mut to = Scenario::new("watches");
    create_namespace(&mut to, "topic-watches");
    let all = "/api/v1/namespaces/topic-watches/configmaps";
    for name in ["a", "b"] {
        to.post(all, &config_map(name, &json!({"v": "1"})));
    }
    to.get(all);
    let from = format!("{all}?watch=1&resourceVersion={LIST_VERSION}");
    to.open("one second", format!("{from}&timeoutSeconds=1"), JSON);
    to.open("by name", format!("{from}&fieldSelector=metadata.name%3Da"), JSON);
    to.open(
        "one object",
        format!(
            "/api/v1/watch/namespaces/topic-watches/configmaps/a?resourceVersion={LIST_VERSION}"
        ),
        JSON,
    );
    to.open(
        "old path",
        format!("/api/v1/watch/namespaces/topic-watches/configmaps?resourceVersion={LIST_VERSION}"),
        JSON,
    );
    to.open("compacted", format!("{all}?watch=1&resourceVersion=1"), JSON);
    to.open("future", format!("{all}?watch=1&resourceVersion=99999999999&timeoutSeconds=1"), JSON);
    to.open("unset", format!("{all}?watch=1"), JSON);
    to.open("bookmarks", format!("{from}&allowWatchBookmarks=true"), JSON);
    to.open("initial without match", format!("{all}?watch=1&sendInitialEvents=true"), JSON);
    to.open(
        "initial without bookmarks",
        format!("{all}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
        JSON,
    );
    to.open("no initial", format!("{all}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"), JSON);
    to.open(
        "match alone",
        format!("{all}?watch=1&resourceVersionMatch=Exact&resourceVersion=5"),
        JSON,
    );
    to.open("initial of a selection", format!("{all}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Db&timeoutSeconds=1"), JSON);
    to.open("table", format!("{all}?watch=1"), TABLE);
    to.open("negative", format!("{all}?watch=1&timeoutSeconds=-1"), JSON);
    to.open("nonsense", format!("{all}?watch=perhaps&timeoutSeconds=1"), JSON);
    to.open("bad version", format!("{all}?watch=1&resourceVersion=x"), JSON);
    to.open("bad selector", format!("{all}?watch=1&labelSelector=a%3D%3D%3Db"), JSON);
    to.open("bad field", format!("{all}?watch=1&fieldSelector=spec.x%3D1"), JSON);
    to.open("limit", format!("{all}?watch=1&limit=1"), JSON);
    to.open("continue", format!("{all}?watch=1&continue=x"), JSON);
    to.open("yaml", format!("{all}?watch=1&timeoutSeconds=1"), "application/yaml");
    to.open(
        "absent namespace",
        "/api/v1/namespaces/absent/configmaps?watch=1&timeoutSeconds=1",
        JSON,
    );
    to.patch(format!("{all}/a"), MERGE, &json!({"data": {"v": "2"}}));
    to.patch(format!("{all}/a"), MERGE, &json!({"data": {"v": "2"}}));
    to.patch(format!("{all}/b"), MERGE, &json!({"metadata": {"finalizers": ["a.b/c"]}}));
    to.post(all, &config_map("c", &json!({})));
    to.delete(format!("{all}/b"));
    to.patch(format!("{all}/b"), MERGE, &json!({"metadata": {"finalizers": null}}));
    to.delete(format!("{all}/a"));
    to.post(all, &config_map("a", &json!({"v": "again"})));
    to.raw("DELETE", all, JSON, "", "");
    to.close();
    to
}

/// The directives of strategic merge patches, and patches that are none.
fn strategic() -> Scenario {
    let mut to = Scenario::new("patches");
    create_namespace(&mut to, "topic-patches");
    let all = "/api/v1/namespaces/topic-patches/services";
    let ports = json!([{"port": 80, "name": "a", "protocol": "TCP"}, {"port": 80, "name": "b", "protocol": "UDP"}]);
    let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "finalizers": ["a.b/c", "d.e/f"], "labels": {"x": "y"}}, "spec": {"selector": {"a": "b"}, "ports": ports}});
    to.post(all, &body);
    let one = format!("{all}/s");
    for patch in [
        json!({"spec": {"ports": [{"port": 80, "protocol": "UDP", "targetPort": 5}]}}),
        json!({"spec": {"ports": [{"port": 82, "name": "c"}], "$setElementOrder/ports": [{"port": 82}, {"port": 80}]}}),
        json!({"spec": {"ports": [{"$patch": "replace"}, {"port": 90, "name": "z"}]}}),
        json!({"spec": {"ports": [{"$patch": "delete", "port": 90}]}}),
        json!({"spec": {"selector": {"$patch": "replace", "only": "this"}}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c"]}}),
        json!({"metadata": {"finalizers": ["g.h/i"], "$setElementOrder/finalizers": ["g.h/i", "d.e/f"]}}),
        json!({"spec": {"selector": {"$patch": "delete"}}}),
        json!({"spec": {"ports": [{"$patch": "nonsense"}]}}),
        json!({"spec": {"ports": [{"name": "without its key"}]}}),
        json!({"spec": {"ports": {"port": 80}}}),
        json!({"spec": 5}),
        json!([]),
        json!({"$patch": "delete"}),
        json!({"spec": {"$setElementOrder/ports": "x"}}),
    ] {
        to.patch(&one, STRATEGIC, &patch);
    }
    for patch in [
        json!([{"op": "replace", "path": "/spec/ports/0/port", "value": 81}]),
        json!([{"op": "add", "path": "/spec/ports/-", "value": {"port": 91, "name": "q"}}]),
        json!([{"op": "move", "from": "/metadata/labels/x", "path": "/metadata/labels/z"}]),
        json!([{"op": "copy", "from": "/metadata/labels/z", "path": "/metadata/labels/a~1b"}]),
        json!([{"op": "remove", "path": "/metadata/labels/a~1b"}]),
        json!([{"op": "add", "path": "/spec/ports/99", "value": {}}]),
        json!([{"op": "nonsense", "path": "/spec"}]),
        json!([{"op": "add", "value": 1}]),
        json!({"op": "add"}),
        json!([{"op": "replace", "path": "", "value": {}}]),
        json!([{"op": "test", "path": "/spec/ports/0/port", "value": 81}]),
        json!([{"op": "replace", "path": "/metadata/absent", "value": 1}]),
        json!([{"op": "replace", "path": "/kind", "value": "Pod"}]),
        json!([]),
        Value::Null,
    ] {
        to.patch(&one, JSON_PATCH, &patch);
    }
    for patch in [
        json!([]),
        json!(null),
        json!("x"),
        json!({"spec": null}),
        json!({"metadata": null}),
        json!({"spec": {"ports": null}}),
        json!({}),
    ] {
        to.patch(&one, MERGE, &patch);
    }
    to.raw("PATCH", &one, JSON, MERGE, "{");
    to.raw("PATCH", &one, JSON, STRATEGIC, "{\"spec\": }");
    to.raw("PATCH", &one, JSON, "text/plain", "{}");
    to.raw(
        "PATCH",
        &one,
        JSON,
        "application/apply-patch+yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n",
    );
    to.get(&one);
    to
}

fn generated() -> Scenario {
    let mut to = Scenario::new("generated names");
    create_namespace(&mut to, "topic-names");
    let all = "/api/v1/namespaces/topic-names/configmaps";
    let named = |base: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": base}});
    for base in ["short-", "Bad_", "", &"l".repeat(80)] {
        to.post(all, &named(base));
        to.post(format!("{all}?dryRun=All"), &named(base));
    }
    to.post(format!("{all}?dryRun=Some"), &named("dry-"));
    let mut both = named("ignored-");
    both["metadata"]["name"] = "given".into();
    to.post(all, &both);
    let mut given = config_map("server-owned", &json!({}));
    given["metadata"]["uid"] = "mine".into();
    given["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    given["metadata"]["generation"] = 7.into();
    given["metadata"]["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
    given["metadata"]["selfLink"] = "/x".into();
    to.post(all, &given);
    given["metadata"]["name"] = "with-version".into();
    given["metadata"]["resourceVersion"] = "5".into();
    to.post(all, &given);
    to.patch(format!("{all}/server-owned"), MERGE, &json!({"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9, "deletionGracePeriodSeconds": 5}}));
    to.patch(format!("{all}/server-owned"), MERGE, &json!({"immutable": true}));
    to.patch(format!("{all}/server-owned"), MERGE, &json!({"data": {"a": "b"}}));
    to.patch(format!("{all}/server-owned"), MERGE, &json!({"immutable": false}));
    to
}

/// `batch/v1beta1` is served by ours alone; that and what it says of `batch/v1` is looked at.
fn old_cronjobs() -> Scenario {
    let mut to = Scenario::new("cronjobs of old");
    create_namespace(&mut to, "topic-cron");
    let spec = json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "d"}]}}}}});
    let cronjob = |name: &str, patch: Value| {
        let mut object = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec});
        super::lifecycle::merge(&mut object, &patch);
        object
    };
    let all = "/apis/batch/v1/namespaces/topic-cron/cronjobs";
    for (name, patch) in [
        ("plain", json!({})),
        ("zone", json!({"spec": {"timeZone": "Europe/Berlin"}})),
        ("nozone", json!({"spec": {"timeZone": "Nowhere/None"}})),
        ("tz", json!({"spec": {"schedule": "TZ=UTC * * * * *"}})),
        ("policy", json!({"spec": {"concurrencyPolicy": "Nope", "startingDeadlineSeconds": -1}})),
        (
            "limits",
            json!({"spec": {"successfulJobsHistoryLimit": -1, "failedJobsHistoryLimit": -1}}),
        ),
        ("schedule", json!({"spec": {"schedule": ""}})),
        ("every", json!({"spec": {"schedule": "@every 1h"}})),
        (
            "always",
            json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Always"}}}}}}),
        ),
        (&"n".repeat(53), json!({})),
    ] {
        to.post(all, &cronjob(name, patch));
    }
    to.get_as(all, TABLE);
    to
}

/// Methods that a path does not take, and subresources that need more than a store.
fn doors() -> Scenario {
    let mut to = Scenario::new("doors");
    create_namespace(&mut to, "topic-doors");
    let all = "/api/v1/namespaces/topic-doors/pods";
    to.raw("PUT", all, JSON, JSON, "{}");
    to.raw("PATCH", all, JSON, MERGE, "{}");
    to.raw("HEAD", all, JSON, "", "");
    to.raw("OPTIONS", all, JSON, "", "");
    to.raw("TRACE", all, JSON, "", "");
    to.raw("DELETE", "/api/v1", JSON, "", "");
    to.raw("POST", "/version", JSON, JSON, "{}");
    to.raw("POST", "/api/v1/namespaces/topic-doors/pods/x", JSON, JSON, "{}");
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
    to.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review);
    to.get("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
    let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    to.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &token);
    to.get("/api/v1/componentstatuses");
    to
}
