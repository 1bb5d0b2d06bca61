//! The scheduler and the simulated nodes.

use engram_controllers::pods::is_ready;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::World;

async fn run(world: &World, name: &str, spec: Value) {
    let object = json!({ "metadata": { "name": name }, "spec": spec });
    world.create_object::<Pod>(object).await;
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub(crate) async fn a_pod_is_placed_runs_and_is_gone_when_deleted(world: World) {
    run(&world, "server", json!({ "containers": [{ "name": "c", "image": "demo" }] })).await;
    world.until("ready", || async { is_ready(&world.get::<Pod>("server").await) }).await;
    let pod: Pod = world.get("server").await;
    let status = pod.status.expect("a status");
    assert!(status.pod_ip.is_some() && status.host_ip.is_some());
    let node = pod.spec.and_then(|spec| spec.node_name).expect("a node");
    assert!(node.starts_with("node-"), "{node}");
    let pods = world.api::<Pod>();
    pods.delete("server", &DeleteParams::default()).await.expect("deleted");
    world
        .until("gone", || async { pods.get_opt("server").await.is_ok_and(|pod| pod.is_none()) })
        .await;
}

pub(crate) async fn a_pod_ends_as_its_command_says(world: World) {
    for (name, script, expected) in
        [("good", "sleep 1", "Succeeded"), ("bad", "sleep 1; exit 3", "Failed")]
    {
        let container = json!({ "name": "c", "image": "demo", "command": ["sh", "-c", script] });
        run(&world, name, json!({ "restartPolicy": "Never", "containers": [container] })).await;
        let ended = || async { phase(&world.get::<Pod>(name).await) == expected };
        world.until(expected, ended).await;
    }
    let pod: Pod = world.get("bad").await;
    let statuses = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
    let state = statuses.first().and_then(|it| it.state.clone()).and_then(|it| it.terminated);
    assert_eq!(state.map(|it| it.exit_code), Some(3));
}

pub(crate) async fn a_pod_that_fits_nowhere_says_why_and_is_placed_when_it_fits(world: World) {
    let spec = json!({
        "nodeSelector": { "room": "yes" },
        "containers": [{ "name": "c", "image": "demo" }],
    });
    run(&world, "choosy", spec).await;
    let refused = || async {
        let status = world.get::<Pod>("choosy").await.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        conditions.iter().any(|it| {
            let why =
                "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.";
            (it.type_.as_str(), it.status.as_str()) == ("PodScheduled", "False")
                && it.message.as_deref() == Some(why)
        })
    };
    world.until("the refusal", refused).await;
    let nodes: Api<Node> = Api::all(world.client.clone());
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "room": "yes" } } }));
    nodes.patch("node-2", &PatchParams::default(), &patch).await.expect("labelled");
    world.until("ready", || async { is_ready(&world.get::<Pod>("choosy").await) }).await;
    let node = world.get::<Pod>("choosy").await.spec.and_then(|spec| spec.node_name);
    assert_eq!(node.as_deref(), Some("node-2"));
}
