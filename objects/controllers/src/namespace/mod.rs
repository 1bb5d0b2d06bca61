//! The end of a namespace: everything in it is deleted, pods first; when nothing is left the
//! namespace loses its finalizer.
//!
//! Invariants: the finalizer goes only after a look at every resource that the server has found
//! nothing; a resource that could not be looked at counts as not empty. Pods go before anything
//! that they may need.

mod conditions;
mod contents;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Reconciled, ignore_not_found};
use crate::informer::{Change, Informer};
use crate::key::ObjectKey;
use crate::ownership::is_being_deleted;
use crate::queue::Queue;
use crate::worker::work;

/// The finalizer that stands for the contents.
const FINALIZER: &str = "kubernetes";
/// The longest wait for contents whose end is not heard of.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(15);

/// Runs until shutdown.
pub async fn run(context: Context) {
    let controller = Arc::new(Namespaces {
        client: context.client.clone(),
        namespaces: context.informer(),
        pods: context.informer(),
        queue: Queue::new(),
    });
    if !context.synced(&controller.namespaces).await || !context.synced(&controller.pods).await {
        return;
    }
    let to = controller.clone();
    controller.namespaces.subscribe(move |change| {
        if is_being_deleted(change.object().meta()) {
            to.queue.add(ObjectKey::of(&**change.object()));
        }
    });
    let to = controller.clone();
    controller.pods.subscribe(move |change| to.pod_changed(change));
    let (queue, shutdown) = (controller.queue.clone(), context.shutdown.clone());
    work("namespace", context.options.workers, queue, shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
    .await;
}

struct Namespaces {
    client: Client,
    namespaces: Informer<Namespace>,
    pods: Informer<Pod>,
    queue: Queue<ObjectKey>,
}

impl Namespaces {
    /// The last pod's end is what a namespace waits for most.
    fn pod_changed(&self, change: &Change<Pod>) {
        let Change::Deleted(pod) = change else { return };
        let namespace = pod.namespace().unwrap_or_default();
        let key = ObjectKey::new("", namespace.clone());
        let is_leaving = self.namespaces.get(&key).is_some_and(|n| is_being_deleted(n.meta()));
        if is_leaving && self.pods.in_namespace(&namespace).is_empty() {
            self.queue.add(key);
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Reconciled {
        let Some(namespace) = self.namespaces.get(key) else { return Ok(None) };
        let finalizers = namespace.spec.as_ref().and_then(|s| s.finalizers.as_deref());
        let has_ours = finalizers.unwrap_or_default().iter().any(|f| f == FINALIZER);
        if !is_being_deleted(namespace.meta()) || !has_ours {
            return Ok(None);
        }
        let left = contents::delete(&self.client, &key.name).await;
        self.show(&namespace, &left).await?;
        if let Some(first) = left.errors.first() {
            return Err(Error::Object(format!("not all contents were deleted: {first}")));
        }
        if left.is_empty() {
            self.finalize(&namespace).await?;
            return Ok(None);
        }
        Ok(Some(self.look_again_after(&namespace)))
    }

    /// Soon at first, later the longer it takes. The last pod's end is told anyway.
    fn look_again_after(&self, namespace: &Namespace) -> Duration {
        let since =
            namespace.meta().deletion_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0);
        let waited = Timestamp::now().duration_since(since).unsigned_abs();
        (waited / 4).clamp(Duration::from_millis(250), LOOK_AGAIN_MAX)
    }

    async fn show(&self, namespace: &Namespace, left: &contents::Left) -> Result<(), Error> {
        let before = namespace.status.clone().and_then(|s| s.conditions).unwrap_or_default();
        let after = conditions::of(&before, left, Timestamp::now());
        if before == after {
            return Ok(());
        }
        let patch = Patch::Merge(json!({
            "metadata": {"uid": namespace.meta().uid},
            "status": {"conditions": after},
        }));
        let api = Api::<Namespace>::all(self.client.clone());
        let name = namespace.name_any();
        ignore_not_found(api.patch_status(&name, &PatchParams::default(), &patch).await)?;
        Ok(())
    }

    async fn finalize(&self, namespace: &Namespace) -> Result<(), Error> {
        let api = Api::<Namespace>::all(self.client.clone());
        let name = namespace.name_any();
        // Read anew: the conditions were just written.
        let Some(mut live) = api.get_opt(&name).await? else { return Ok(()) };
        if live.meta().uid != namespace.meta().uid {
            return Ok(());
        }
        let spec = live.spec.get_or_insert_default();
        spec.finalizers.get_or_insert_default().retain(|f| f != FINALIZER);
        let params = PostParams::default();
        ignore_not_found(api.replace_subresource("finalize", &name, &params, &live).await)?;
        Ok(())
    }
}
