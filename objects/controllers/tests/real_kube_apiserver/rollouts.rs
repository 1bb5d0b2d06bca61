//! Deployments and ReplicaSets.

use std::collections::BTreeSet;

use engram_controllers::ownership::controller_of;
use engram_controllers::pods::is_active;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::world::{World, image, serving};

fn rolling(surge: Value, unavailable: Value) -> Value {
    let how = json!({"maxSurge": surge, "maxUnavailable": unavailable});
    json!({"type": "RollingUpdate", "rollingUpdate": how})
}

fn revision(object: &impl ResourceExt) -> String {
    object.annotations().get("deployment.kubernetes.io/revision").cloned().unwrap_or_default()
}

fn condition(deployment: &Deployment, type_: &str) -> (String, String, String) {
    let conditions = deployment.status.clone().and_then(|s| s.conditions).unwrap_or_default();
    let found = conditions.into_iter().find(|c| c.type_.as_deref() == Some(type_));
    let found = found.unwrap_or_default();
    let text = Option::unwrap_or_default;
    (text(found.status), text(found.reason), text(found.message))
}

pub(crate) async fn a_deployment_makes_its_pods_and_scales(world: World) {
    world.deploy(3, Value::Null).await;
    world.rolled_out().await;
    assert_eq!(world.active_pods().await.len(), 3);
    let set = world.replica_sets().await.remove(0);
    let deployment: Deployment = world.get("web").await;
    assert_eq!((revision(&deployment), revision(&set)), ("1".into(), "1".into()));
    assert_eq!(condition(&deployment, "Available").1, "MinimumReplicasAvailable");
    let message = format!("ReplicaSet {:?} has successfully progressed.", set.name_any());
    let progressing = condition(&deployment, "Progressing");
    assert_eq!(progressing, ("True".into(), "NewReplicaSetAvailable".into(), message));
    assert_eq!(deployment.metadata.generation, Some(1), "no write counts as a change of the spec");

    world.patch::<Deployment>("web", json!({"spec": {"replicas": 7}})).await;
    world.rolled_out().await;
    assert_eq!(world.active_pods().await.len(), 7);
    world.patch::<Deployment>("web", json!({"spec": {"replicas": 2}})).await;
    world.rolled_out().await;
    assert_eq!(world.active_pods().await.len(), 2);
    assert_eq!(world.replica_sets().await.len(), 1);

    let set = set.name_any();
    let expected = [
        format!("Scaled up replica set {set} from 0 to 3"),
        format!("Scaled up replica set {set} from 3 to 7"),
        format!("Scaled down replica set {set} from 7 to 2"),
    ];
    world
        .until("three events", || async {
            let events = world.list::<Event>().await;
            let told: Vec<_> = events.iter().filter_map(|e| e.message.clone()).collect();
            expected.iter().all(|message| told.contains(message))
        })
        .await;
}

pub(crate) async fn a_rolling_update_keeps_its_promise_and_is_undone(world: World) {
    world.deploy(5, rolling(json!(2), json!(1))).await;
    world.rolled_out().await;
    let watch = world.watch_pods(|pods| {
        let (serving, active) = (serving(pods), pods.iter().filter(|p| is_active(p)).count());
        (serving < 4 || active > 7).then(|| format!("{serving} serve of {active}"))
    });
    world.set_image("demo:2").await;
    world.rolled_out().await;
    assert!(world.active_pods().await.iter().all(|pod| image(pod) == "demo:2"));
    assert_eq!(revision(&world.get::<Deployment>("web").await), "2");
    let before: BTreeSet<_> = world.replica_sets().await.iter().map(|s| s.name_any()).collect();

    // What `kubectl rollout undo` patches: the template of the old set.
    world.set_image("demo:1").await;
    world.rolled_out().await;
    assert!(world.active_pods().await.iter().all(|pod| image(pod) == "demo:1"));
    let sets = world.replica_sets().await;
    let after: BTreeSet<_> = sets.iter().map(|s| s.name_any()).collect();
    assert_eq!(before, after, "the old set is used again");
    let revisions: BTreeSet<_> = sets.iter().map(revision).collect();
    assert_eq!(revisions, BTreeSet::from(["2".to_owned(), "3".to_owned()]));
    watch.must_be_content().await;

    for version in 3..6 {
        world.patch::<Deployment>("web", json!({"spec": {"revisionHistoryLimit": 1}})).await;
        world.set_image(&format!("demo:{version}")).await;
        world.rolled_out().await;
    }
    world.until("one old set is kept", || async { world.replica_sets().await.len() == 2 }).await;
}

pub(crate) async fn recreate_never_runs_old_and_new_together(world: World) {
    world.deploy(3, json!({"type": "Recreate"})).await;
    world.rolled_out().await;
    let watch = world.watch_pods(|pods| {
        let images: BTreeSet<_> = pods.iter().map(image).collect();
        (images.len() > 1).then(|| format!("{images:?} run together"))
    });
    world.set_image("demo:2").await;
    world.rolled_out().await;
    assert!(world.active_pods().await.iter().all(|pod| image(pod) == "demo:2"));
    watch.must_be_content().await;
}

pub(crate) async fn a_paused_deployment_waits(world: World) {
    world.deploy(2, Value::Null).await;
    world.rolled_out().await;
    world.patch::<Deployment>("web", json!({"spec": {"paused": true}})).await;
    world.set_image("demo:2").await;
    let is = |reason: &'static str| {
        let world = world.clone();
        move || {
            let world = world.clone();
            async move { condition(&world.get("web").await, "Progressing").1 == reason }
        }
    };
    world.until("the pause is shown", is("DeploymentPaused")).await;
    world.patch::<Deployment>("web", json!({"spec": {"replicas": 3}})).await;
    world.until("it scales", || async { world.active_pods().await.len() == 3 }).await;
    assert_eq!(world.replica_sets().await.len(), 1, "a paused Deployment does not roll");
    world.patch::<Deployment>("web", json!({"spec": {"paused": false}})).await;
    world.rolled_out().await;
    assert!(world.active_pods().await.iter().all(|pod| image(pod) == "demo:2"));
}

pub(crate) async fn a_lost_pod_is_replaced(world: World) {
    world.deploy(3, Value::Null).await;
    world.rolled_out().await;
    let lost = world.active_pods().await.remove(0).name_any();
    world.api::<Pod>().delete(&lost, &DeleteParams::default()).await.expect("it is there");
    world
        .until("three again, without the lost one", || async {
            let pods = world.active_pods().await;
            pods.len() == 3 && pods.iter().all(|pod| pod.name_any() != lost)
        })
        .await;
    let patch = json!({"status": {"phase": "Failed"}});
    let failed = world.active_pods().await.remove(0).name_any();
    let patch = kube::api::Patch::Merge(patch);
    let params = kube::api::PatchParams::default();
    world.api::<Pod>().patch_status(&failed, &params, &patch).await.expect("a status");
    world.until("three run", || async { world.active_pods().await.len() == 3 }).await;
}

pub(crate) async fn pods_are_adopted_and_released_by_their_labels(world: World) {
    let spec = json!({"containers": [{"name": "demo", "image": "demo:1"}]});
    let orphan = json!({"metadata": {"name": "orphan", "labels": {"app": "web"}}, "spec": spec});
    world.create_object::<Pod>(orphan).await;
    world
        .create_object::<ReplicaSet>(json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec},
            },
        }))
        .await;
    world.until("two pods", || async { world.active_pods().await.len() == 2 }).await;
    let is_owned = |pod: &Pod| controller_of(&pod.metadata).is_some_and(|of| of.name == "web");
    world
        .until("the orphan is adopted", || async { is_owned(&world.get::<Pod>("orphan").await) })
        .await;
    world.patch::<Pod>("orphan", json!({"metadata": {"labels": {"app": "other"}}})).await;
    world
        .until("it is released and replaced", || async {
            let pods = world.active_pods().await;
            pods.len() == 3 && pods.iter().filter(|pod| is_owned(pod)).count() == 2
        })
        .await;
}

pub(crate) async fn a_refused_template_is_told_in_the_conditions(world: World) {
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
    world.create_object::<k8s_openapi::api::core::v1::ResourceQuota>(quota).await;
    // Without the quota's controller its status is ours to set.
    let status = json!({"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}});
    let params = kube::api::PatchParams::default();
    let api = world.api::<k8s_openapi::api::core::v1::ResourceQuota>();
    api.patch_status("none", &params, &kube::api::Patch::Merge(status)).await.expect("a status");
    world.deploy(2, Value::Null).await;
    world
        .until("the failure is shown", || async {
            let failure = condition(&world.get("web").await, "ReplicaFailure");
            failure.1 == "FailedCreate" && failure.2.contains("exceeded quota: none")
        })
        .await;
    api.delete("none", &DeleteParams::default()).await.expect("it is there");
    world.rolled_out().await;
    let pods = world.api::<Pod>().list(&ListParams::default()).await.expect("a list");
    assert_eq!(pods.items.len(), 2);
}
