//! Deletes pods whose node is gone: no node is left that could tell of their end.
//!
//! Invariant: a node counts as gone only after it was missing for a while and the server itself
//! said so: a node that registers anew keeps its pods.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Reconciled, ignore_not_found};
use crate::informer::{Change, Informer};
use crate::key::ObjectKey;
use crate::pods;
use crate::queue::Queue;
use crate::worker::work;

/// For so long a node is waited for. Compat: as in kube-controller-manager.
const QUARANTINE: Duration = Duration::from_secs(40);

/// Runs until shutdown.
pub async fn run(context: Context) {
    let controller = Arc::new(PodCollector {
        client: context.client.clone(),
        nodes: context.informer(),
        pods: context.informer(),
        queue: Queue::new(),
    });
    if !context.synced(&controller.nodes).await || !context.synced(&controller.pods).await {
        return;
    }
    let to = controller.clone();
    controller.nodes.subscribe(move |change| {
        if let Change::Deleted(node) = change {
            to.queue.add_after(node.name_any(), QUARANTINE);
        }
    });
    let to = controller.clone();
    controller.pods.subscribe(move |change| to.pod_changed(change));
    let (queue, shutdown) = (controller.queue.clone(), context.shutdown.clone());
    work("pod-garbage-collector", 1, queue, shutdown, move |node| {
        let controller = controller.clone();
        async move { controller.reconcile(&node).await }
    })
    .await;
}

struct PodCollector {
    client: Client,
    nodes: Informer<Node>,
    pods: Informer<Pod>,
    queue: Queue<String>,
}

impl PodCollector {
    fn pod_changed(&self, change: &Change<Pod>) {
        let is_bound_now = match change {
            Change::Added(_) => true,
            Change::Updated { old, new } => pods::node_name(old) != pods::node_name(new),
            Change::Deleted(_) => false,
        };
        if is_bound_now
            && let Some(node) = pods::node_name(change.object())
            && self.nodes.get(&ObjectKey::new("", node)).is_none()
        {
            self.queue.add_after(node.to_owned(), QUARANTINE);
        }
    }

    async fn reconcile(&self, node: &str) -> Reconciled {
        let lost = self.pods.indexed(node);
        if lost.is_empty() || self.nodes.get(&ObjectKey::new("", node)).is_some() {
            return Ok(None);
        }
        if Api::<Node>::all(self.client.clone()).get_opt(node).await?.is_some() {
            return Ok(None);
        }
        for pod in lost {
            self.delete(&pod).await?;
        }
        Ok(None)
    }

    async fn delete(&self, pod: &Pod) -> Result<(), Error> {
        let namespace = pod.namespace().unwrap_or_default();
        let api = Api::<Pod>::namespaced(self.client.clone(), &namespace);
        let name = pod.name_any();
        if !pods::is_finished(pod) {
            // Whoever follows the pod is to learn that it failed, and did not just vanish.
            let why = json!({
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByPodGC",
                "message": "PodGC: node no longer exists",
                "lastTransitionTime": jiff::Timestamp::now().to_string(),
            });
            let patch = Patch::Strategic(json!({
                "metadata": {"uid": pod.uid()},
                "status": {"phase": "Failed", "conditions": [why]},
            }));
            ignore_not_found(api.patch_status(&name, &PatchParams::default(), &patch).await)?;
        }
        let uid = Preconditions { uid: pod.uid(), resource_version: None };
        let params = DeleteParams::default().grace_period(0).preconditions(uid);
        ignore_not_found(api.delete(&name, &params).await)?;
        Ok(())
    }
}
