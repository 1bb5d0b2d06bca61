//! Where Services are served: EndpointSlices, and Endpoints for those who still read them, of every
//! Service that has a selector.
//!
//! Invariants: a pod is listed as long as it may serve, and as ready only while it is ready and not
//! on its way out. Services without a selector are left to whoever wrote their slices.

mod legacy;
mod resolve;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Endpoints, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Reconciled, ignore_not_found, is_namespace_terminating};
use crate::informer::{Change, Informer};
use crate::key::ObjectKey;
use crate::ownership::is_being_deleted;
use crate::queue::Queue;
use crate::selector::Labels;
use crate::worker::work;
use crate::written::Written;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const US: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// A Service is looked at again at most this often while its pods change.
const PACE: Duration = Duration::from_millis(100);

/// Runs until shutdown.
pub async fn run(context: Context) {
    let controller = Arc::new(Publisher {
        client: context.client.clone(),
        services: context.informer(),
        pods: context.informer(),
        nodes: context.informer(),
        slices: context.informer(),
        endpoints: context.informer(),
        written: Written::default(),
        queue: Queue::paced(PACE),
    });
    let synced = context.synced(&controller.services).await
        && context.synced(&controller.pods).await
        && context.synced(&controller.nodes).await
        && context.synced(&controller.slices).await
        && context.synced(&controller.endpoints).await;
    if !synced {
        return;
    }
    controller.clone().subscribe();
    let (queue, shutdown) = (controller.queue.clone(), context.shutdown.clone());
    work("endpointslice", context.options.workers, queue, shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
    .await;
}

struct Publisher {
    client: Client,
    services: Informer<Service>,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    slices: Informer<EndpointSlice>,
    endpoints: Informer<Endpoints>,
    written: Written,
    queue: Queue<ObjectKey>,
}

impl Publisher {
    fn subscribe(self: Arc<Self>) {
        let to = self.clone();
        self.services.subscribe(move |change| to.queue.add(ObjectKey::of(&**change.object())));
        let to = self.clone();
        self.pods.subscribe(move |change| to.pod_changed(change));
        let to = self.clone();
        self.slices.subscribe(move |change| {
            let slice = change.object();
            if let Some(service) = slice.labels().get(SERVICE_NAME).filter(|_| is_ours(slice)) {
                to.queue.add(ObjectKey::new(slice.namespace().unwrap_or_default(), service));
            }
        });
        let to = self.clone();
        self.endpoints.subscribe(move |change| {
            if legacy::is_ours(change.object()) {
                to.queue.add(ObjectKey::of(&**change.object()));
            }
        });
    }

    /// Wakes the Services that select the pod as it is or as it was.
    fn pod_changed(&self, change: &Change<Pod>) {
        let old = match change {
            Change::Updated { old, new } if resolve::serves_alike(old, new) => return,
            Change::Updated { old, .. } => Some(old),
            _ => None,
        };
        let new = change.object();
        for service in self.services.in_namespace(&new.namespace().unwrap_or_default()) {
            let selects = |pod: &Arc<Pod>| resolve::selects(&service, pod);
            if selects(new) || old.is_some_and(selects) {
                self.queue.add(ObjectKey::of(&*service));
            }
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Reconciled {
        let Some(service) = self.services.get(key).filter(|s| !is_being_deleted(s.meta())) else {
            // Slices go with their owner; Endpoints have none.
            self.written.forget(key);
            return self.remove_endpoints(key).await;
        };
        if !resolve::has_selector(&service) {
            return Ok(None);
        }
        if let Some(object) = self.written.unseen(key, |k| self.slices.get(k)) {
            return Err(Error::Behind(object.to_string()));
        }
        let mut pods = self.pods.in_namespace(&key.namespace);
        pods.retain(|pod| resolve::selects(&service, pod));
        pods.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.name_any()));
        let zone = |node: &str| {
            let node = self.nodes.get(&ObjectKey::new("", node))?;
            node.labels().get("topology.kubernetes.io/zone").cloned()
        };
        let wanted = resolve::slices(&service, &pods, &zone);
        self.write_slices(key, &service, wanted).await?;
        self.write_endpoints(key, &service, &pods).await?;
        Ok(None)
    }

    /// Brings the Service's slices to what is wanted: those that are there are used again.
    async fn write_slices(
        &self,
        key: &ObjectKey,
        service: &Service,
        wanted: Vec<resolve::Slice>,
    ) -> Result<(), Error> {
        let api = Api::<EndpointSlice>::namespaced(self.client.clone(), &key.namespace);
        let mut there = self.slices.controlled_by(&service.uid().unwrap_or_default());
        there.retain(|slice| is_ours(slice) && !is_being_deleted(slice.meta()));
        there.sort_by_key(|slice| slice.name_any());
        let labels = labels(service);
        for slice in wanted {
            let same_kind = |old: &Arc<EndpointSlice>| slice.fits(old);
            match there.iter().position(same_kind).map(|at| there.remove(at)) {
                Some(old) if slice.equals(&old) && old.labels() == &labels => {}
                Some(old) => {
                    let patch = Patch::Merge(json!({
                        "metadata": {
                            "resourceVersion": old.resource_version(),
                            "labels": label_changes(old.labels(), &labels),
                        },
                        "endpoints": slice.endpoints,
                        "ports": slice.ports,
                    }));
                    let params = PatchParams::default();
                    let patched = api.patch(&old.name_any(), &params, &patch).await;
                    if let Some(patched) = ignore_not_found(patched)? {
                        self.written.wrote(key, &patched);
                    }
                }
                None => {
                    let new = slice.object(service, labels.clone());
                    match api.create(&PostParams::default(), &new).await {
                        Ok(created) => self.written.wrote(key, &created),
                        Err(error) if is_namespace_terminating(&error) => return Ok(()),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        for old in there {
            ignore_not_found(api.delete(&old.name_any(), &DeleteParams::default()).await)?;
        }
        Ok(())
    }

    async fn write_endpoints(
        &self,
        key: &ObjectKey,
        service: &Service,
        pods: &[Arc<Pod>],
    ) -> Result<(), Error> {
        let api = Api::<Endpoints>::namespaced(self.client.clone(), &key.namespace);
        let wanted = legacy::endpoints(service, pods);
        let result = match self.endpoints.get(key) {
            Some(old) if legacy::equal(&old, &wanted) => return Ok(()),
            Some(old) => {
                let patch = Patch::Merge(json!({
                    "metadata": {
                        "resourceVersion": old.resource_version(),
                        "labels": label_changes(old.labels(), wanted.labels()),
                    },
                    "subsets": wanted.subsets,
                }));
                api.patch(&key.name, &PatchParams::default(), &patch).await
            }
            None => api.create(&PostParams::default(), &wanted).await,
        };
        match result {
            Err(error) if is_namespace_terminating(&error) => Ok(()),
            Err(error) if crate::error::is_already_exists(&error) => {
                Err(Error::Behind(key.to_string()))
            }
            other => Ok(other.map(drop)?),
        }
    }

    async fn remove_endpoints(&self, key: &ObjectKey) -> Reconciled {
        if self.endpoints.get(key).is_some_and(|e| legacy::is_ours(&e)) {
            let api = Api::<Endpoints>::namespaced(self.client.clone(), &key.namespace);
            ignore_not_found(api.delete(&key.name, &DeleteParams::default()).await)?;
        }
        Ok(None)
    }
}

fn is_ours(slice: &EndpointSlice) -> bool {
    slice.labels().get(MANAGED_BY).is_some_and(|by| by == US)
}

/// A Service's own labels, and those by which its slices are found.
fn labels(service: &Service) -> Labels {
    let mut labels = service.labels().clone();
    labels.remove(HEADLESS);
    if resolve::is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    labels.insert(SERVICE_NAME.into(), service.name_any());
    labels.insert(MANAGED_BY.into(), US.into());
    labels
}

/// What a merge patch must say so that exactly the new labels are left.
fn label_changes(old: &Labels, new: &Labels) -> BTreeMap<String, Option<String>> {
    let dropped = old.keys().filter(|key| !new.contains_key(*key));
    let mut changes: BTreeMap<_, _> = dropped.map(|key| (key.clone(), None)).collect();
    changes.extend(new.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
    changes
}
