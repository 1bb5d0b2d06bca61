//! What a scenario sees: its namespace, and conditions that are waited for.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use engram_controllers::pods::{is_active, is_ready};
use engram_controllers::reflector::{Update, follow};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::{Client, Resource, ResourceExt};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A kind that scenarios use.
pub(crate) trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// A scenario's own namespace.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// A condition that does not come true in this time fails its scenario.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

impl World {
    pub(crate) async fn create(client: Client, scenario: &str) -> Self {
        let namespace = scenario.replace('_', "-");
        let world = Self { client, namespace };
        world.create_namespace(&world.namespace).await;
        world
    }

    pub(crate) async fn create_namespace(&self, name: &str) {
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).expect("one");
        let api = Api::<Namespace>::all(self.client.clone());
        api.create(&PostParams::default(), &object).await.expect("the namespace is new");
    }

    pub(crate) fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn create_object<K: Kind>(&self, object: Value) -> K {
        let object = serde_json::from_value(object).expect("an object of the kind");
        self.api::<K>().create(&PostParams::default(), &object).await.expect("it is accepted")
    }

    pub(crate) async fn patch<K: Kind>(&self, name: &str, patch: Value) -> K {
        let patch = Patch::Strategic(patch);
        let patched = self.api::<K>().patch(name, &PatchParams::default(), &patch).await;
        patched.expect("the patch is accepted")
    }

    pub(crate) async fn get<K: Kind>(&self, name: &str) -> K {
        self.api::<K>().get(name).await.expect("it is there")
    }

    pub(crate) async fn list<K: Kind>(&self) -> Vec<K> {
        self.api::<K>().list(&ListParams::default()).await.expect("the server lists").items
    }

    pub(crate) async fn active_pods(&self) -> Vec<Pod> {
        self.list::<Pod>().await.into_iter().filter(is_active).collect()
    }

    pub(crate) async fn replica_sets(&self) -> Vec<ReplicaSet> {
        self.list().await
    }

    /// Waits until `holds`; fails with `what` if it does not.
    pub(crate) async fn until<F, R>(&self, what: &str, holds: F)
    where
        F: Fn() -> R,
        R: Future<Output = bool>,
    {
        let mut looks = tokio::time::interval(LOOK);
        let wait = async {
            while !holds().await {
                looks.tick().await;
            }
        };
        let namespace = &self.namespace;
        let done = tokio::time::timeout(PATIENCE, wait).await;
        assert!(done.is_ok(), "{namespace}: {what} did not come true");
    }

    pub(crate) async fn deploy(&self, replicas: i32, strategy: Value) -> Deployment {
        let template = json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "demo", "image": "demo:1"}]},
        });
        self.create_object(json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": replicas, "strategy": strategy, "template": template,
                "selector": {"matchLabels": {"app": "web"}},
            },
        }))
        .await
    }

    pub(crate) async fn set_image(&self, image: &str) {
        let containers = json!([{"name": "demo", "image": image}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        self.patch::<Deployment>("web", patch).await;
    }

    /// Waits until all replicas are of the present template and available, as `kubectl rollout
    /// status` does.
    pub(crate) async fn rolled_out(&self) {
        self.until("the rollout's end", || async {
            let deployment: Deployment = self.get("web").await;
            let status = deployment.status.clone().unwrap_or_default();
            let wanted = deployment.spec.replicas.unwrap_or(1);
            let all = |count: Option<i32>| count.unwrap_or_default() == wanted;
            status.observed_generation >= deployment.metadata.generation
                && all(status.updated_replicas)
                && all(status.replicas)
                && all(status.available_replicas)
        })
        .await;
    }

    /// Watches the namespace's pods and keeps what `judge` says of each state, until the answer is
    /// asked for.
    pub(crate) fn watch_pods<F>(&self, judge: F) -> PodWatch
    where
        F: Fn(&[Pod]) -> Option<String> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let (to, api) = (complaints.clone(), self.api::<Pod>());
        let mut pods: Vec<Pod> = Vec::new();
        let following = follow(api, WatchParams::default(), stop.clone(), move |update| {
            match update {
                Update::Restarted(state) => pods = state,
                Update::Applied(pod) => {
                    pods.retain(|p| p.uid() != pod.uid());
                    pods.push(pod);
                }
                Update::Deleted(pod) => pods.retain(|p| p.uid() != pod.uid()),
            }
            to.lock().extend(judge(&pods));
        });
        PodWatch { stop, complaints, task: tokio::spawn(following) }
    }
}

/// A running watch of pods.
pub(crate) struct PodWatch {
    stop: CancellationToken,
    complaints: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl PodWatch {
    /// Ends the watch and fails on the first complaint.
    pub(crate) async fn must_be_content(self) {
        self.stop.cancel();
        self.task.await.expect("the watch ends");
        let complaints = self.complaints.lock();
        assert!(complaints.is_empty(), "{}", complaints.join("; "));
    }
}

/// Pods that serve and are not on their way out.
pub(crate) fn serving(pods: &[Pod]) -> usize {
    pods.iter().filter(|pod| is_ready(pod) && is_active(pod)).count()
}

/// The image of the pod's container.
pub(crate) fn image(pod: &Pod) -> String {
    let containers = pod.spec.as_ref().map(|s| s.containers.clone()).unwrap_or_default();
    containers.first().and_then(|c| c.image.clone()).unwrap_or_default()
}
