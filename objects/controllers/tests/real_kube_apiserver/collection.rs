//! Garbage collection and the end of namespaces.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod};
use kube::api::{Api, DeleteParams};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::world::{Kind, World};

async fn is_gone<K: Kind>(world: &World, name: &str) -> bool {
    world.api::<K>().get_opt(name).await.expect("the server answers").is_none()
}

fn owned_by(uid: &str, name: &str, block: bool) -> Value {
    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid,
        "blockOwnerDeletion": block}])
}

async fn config_map(world: &World, name: &str, owners: Value) -> String {
    let meta = json!({"name": name, "ownerReferences": owners});
    let made: ConfigMap = world.create_object(json!({"metadata": meta})).await;
    made.uid().expect("the server gives a uid")
}

pub(crate) async fn a_background_deletion_takes_all_dependents(world: World) {
    world.deploy(2, Value::Null).await;
    world.rolled_out().await;
    let api = world.api::<Deployment>();
    api.delete("web", &DeleteParams::background()).await.expect("it is there");
    world
        .until("sets and pods are gone", || async {
            world.replica_sets().await.is_empty() && world.list::<Pod>().await.is_empty()
        })
        .await;
}

pub(crate) async fn a_foreground_deletion_ends_after_its_dependents(world: World) {
    let owner = config_map(&world, "owner", Value::Null).await;
    let meta = json!({"name": "held", "finalizers": ["example.com/hold"],
        "ownerReferences": owned_by(&owner, "owner", true)});
    world.create_object::<ConfigMap>(json!({"metadata": meta})).await;
    config_map(&world, "free", owned_by(&owner, "owner", true)).await;
    let api = world.api::<ConfigMap>();
    api.delete("owner", &DeleteParams::foreground()).await.expect("it is there");
    world.until("the free one goes", || is_gone::<ConfigMap>(&world, "free")).await;
    world
        .until("the held one is asked to go", || async {
            world.get::<ConfigMap>("held").await.meta().deletion_timestamp.is_some()
        })
        .await;
    let waits = world.get::<ConfigMap>("owner").await;
    assert_eq!(waits.finalizers(), ["foregroundDeletion"]);
    world.patch::<ConfigMap>("held", json!({"metadata": {"finalizers": null}})).await;
    world.until("the owner goes last", || is_gone::<ConfigMap>(&world, "owner")).await;
}

pub(crate) async fn an_orphaning_deletion_leaves_the_dependents(world: World) {
    world.deploy(2, Value::Null).await;
    world.rolled_out().await;
    let api = world.api::<Deployment>();
    api.delete("web", &DeleteParams::orphan()).await.expect("it is there");
    world.until("the owner goes", || is_gone::<Deployment>(&world, "web")).await;
    let set: ReplicaSet = world.replica_sets().await.remove(0);
    assert!(set.owner_references().is_empty() && set.meta().deletion_timestamp.is_none());
    assert_eq!(world.active_pods().await.len(), 2);
}

pub(crate) async fn an_absent_owner_takes_its_dependent_along(world: World) {
    let never = "00000000-0000-0000-0000-000000000001";
    config_map(&world, "orphan", owned_by(never, "never", false)).await;
    world.until("it goes", || is_gone::<ConfigMap>(&world, "orphan")).await;

    let there = config_map(&world, "there", Value::Null).await;
    let mut owners = owned_by(never, "never", false);
    owners.as_array_mut().expect("a list").push(owned_by(&there, "there", false)[0].clone());
    config_map(&world, "kept", owners).await;
    world
        .until("only the absent owner is dropped", || async {
            let owners = world.get::<ConfigMap>("kept").await.owner_references().to_vec();
            owners.len() == 1 && owners[0].uid == there
        })
        .await;
}

pub(crate) async fn an_owner_of_another_namespace_does_not_hold(world: World) {
    let elsewhere = World { namespace: format!("{}-2", world.namespace), ..world.clone() };
    elsewhere.create_namespace(&elsewhere.namespace).await;
    let owner = config_map(&elsewhere, "owner", Value::Null).await;
    config_map(&world, "dependent", owned_by(&owner, "owner", false)).await;
    world.until("it goes", || is_gone::<ConfigMap>(&world, "dependent")).await;
    assert!(!is_gone::<ConfigMap>(&elsewhere, "owner").await);
    world
        .until("that is told", || async {
            let events = world.list::<Event>().await;
            events.iter().any(|e| e.reason.as_deref() == Some("OwnerRefInvalidNamespace"))
        })
        .await;
}

pub(crate) async fn a_cycle_of_owners_is_deleted_in_the_foreground(world: World) {
    let a = config_map(&world, "a", Value::Null).await;
    let b = config_map(&world, "b", owned_by(&a, "a", true)).await;
    let patch = json!({"metadata": {"ownerReferences": owned_by(&b, "b", true)}});
    world.patch::<ConfigMap>("a", patch).await;
    let api = world.api::<ConfigMap>();
    api.delete("a", &DeleteParams::foreground()).await.expect("it is there");
    world
        .until("both go", || async {
            is_gone::<ConfigMap>(&world, "a").await && is_gone::<ConfigMap>(&world, "b").await
        })
        .await;
}

pub(crate) async fn a_deleted_namespace_is_emptied_and_waits_for_finalizers(world: World) {
    world.deploy(2, Value::Null).await;
    world.rolled_out().await;
    let meta = json!({"name": "held", "finalizers": ["example.com/hold"]});
    world.create_object::<ConfigMap>(json!({"metadata": meta})).await;
    let namespaces = Api::<Namespace>::all(world.client.clone());
    let params = DeleteParams::default();
    namespaces.delete(&world.namespace, &params).await.expect("it is there");
    world
        .until("what holds it up is told", || async {
            let namespace = namespaces.get(&world.namespace).await.expect("it waits");
            let conditions = namespace.status.and_then(|s| s.conditions).unwrap_or_default();
            conditions.iter().any(|c| {
                c.type_ == "NamespaceFinalizersRemaining"
                    && c.message.as_deref().is_some_and(|m| m.contains("example.com/hold in 1"))
            })
        })
        .await;
    assert!(world.list::<Pod>().await.is_empty() && world.replica_sets().await.is_empty());
    world.patch::<ConfigMap>("held", json!({"metadata": {"finalizers": null}})).await;
    world
        .until("the namespace goes", || async {
            namespaces.get_opt(&world.namespace).await.expect("the server answers").is_none()
        })
        .await;
}
