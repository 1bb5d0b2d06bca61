//! The watches that feed the graph: one per resource, shared where another controller has one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, Pod, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::WatchParams;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Collector;
use super::graph::Observed;
use crate::context::Context;
use crate::discovery::{Metadata, ResourceType, discover};
use crate::informer::{Change, Informed};
use crate::options::Controller;
use crate::reflector::{self, Update};

/// The verbs without which a resource cannot be collected.
const NEEDED: [&str; 3] = ["list", "watch", "delete"];

/// One watched resource.
struct Monitor {
    stop: CancellationToken,
    synced: watch::Receiver<bool>,
}

pub(super) struct Monitors {
    context: Context,
    collector: Arc<Collector>,
    running: Mutex<HashMap<String, Monitor>>,
}

impl Monitors {
    pub(super) fn new(context: Context, collector: Arc<Collector>) -> Self {
        Self { context, collector, running: Mutex::default() }
    }

    /// Discovers until that succeeds once, and waits for all watches, but not for ever: one
    /// resource that cannot be listed must not keep all garbage lying.
    pub(super) async fn start(&self, patience: Duration) {
        let mut pause = Duration::from_millis(50);
        while let Err(error) = self.discover().await {
            tracing::debug!(%error, "resources were not discovered");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        let waits: Vec<_> = self.running.lock().values().map(|m| m.synced.clone()).collect();
        let all = async {
            for mut synced in waits {
                // A monitor that is gone is not waited for.
                let _ = synced.wait_for(|done| *done).await;
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("garbage is collected without some resources, which were not listed");
        }
    }

    /// Starts watches of new resources and stops those of resources that are no more.
    pub(super) async fn discover(&self) -> Result<(), kube::Error> {
        let resources = discover(&self.context.client).await?;
        let mut known = HashMap::new();
        let mut wanted = HashSet::new();
        let mut running = self.running.lock();
        for resource in resources {
            let key = (resource.api.group.clone(), resource.api.kind.clone());
            known.entry(key).or_insert_with(|| resource.clone());
            if !resource.can(&NEEDED) || resource.is_events() {
                continue;
            }
            let name = resource.dotted();
            wanted.insert(name.clone());
            running.entry(name).or_insert_with(|| self.monitor(resource));
        }
        running.retain(|name, monitor| {
            let stays = wanted.contains(name);
            if !stays {
                monitor.stop.cancel();
            }
            stays
        });
        *self.collector.resources.write() = known;
        Ok(())
    }

    fn monitor(&self, resource: Arc<ResourceType>) -> Monitor {
        let stop = self.context.shutdown.child_token();
        let (done, synced) = watch::channel(false);
        let runs = |controller| self.context.options.controllers.contains(&controller);
        match (resource.api.group.as_str(), resource.api.plural.as_str()) {
            ("", "pods") => self.share::<Pod>(resource, done),
            ("", "namespaces") => self.share::<Namespace>(resource, done),
            ("", "nodes") => self.share::<Node>(resource, done),
            ("apps", "deployments") => self.share::<Deployment>(resource, done),
            ("apps", "replicasets") => self.share::<ReplicaSet>(resource, done),
            // Whole objects are kept of these only if somebody else reads them.
            ("", "services") if runs(Controller::EndpointSlice) => {
                self.share::<Service>(resource, done);
            }
            ("", "endpoints") if runs(Controller::EndpointSlice) => {
                self.share::<Endpoints>(resource, done);
            }
            ("discovery.k8s.io", "endpointslices") if runs(Controller::EndpointSlice) => {
                self.share::<EndpointSlice>(resource, done);
            }
            ("", "configmaps") if runs(Controller::ServiceAccount) => {
                self.share::<ConfigMap>(resource, done);
            }
            ("", "serviceaccounts") if runs(Controller::ServiceAccount) => {
                self.share::<ServiceAccount>(resource, done);
            }
            ("batch", "jobs") if runs(Controller::Job) => self.share::<Job>(resource, done),
            ("batch", "cronjobs") if runs(Controller::CronJob) => {
                self.share::<CronJob>(resource, done);
            }
            _ => self.watch(resource, stop.clone(), done),
        }
        Monitor { stop, synced }
    }

    fn share<K: Informed>(&self, resource: Arc<ResourceType>, done: watch::Sender<bool>) {
        let informer = self.context.informer::<K>();
        let collector = self.collector.clone();
        informer.subscribe(move |change| tell(&collector, &resource, change));
        let shutdown = self.context.shutdown.clone();
        self.context.tasks.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = informer.synced() => { done.send_replace(true); }
            }
        });
    }

    fn watch(
        &self,
        resource: Arc<ResourceType>,
        stop: CancellationToken,
        done: watch::Sender<bool>,
    ) {
        let api = resource.objects(&self.context.client, "");
        let collector = self.collector.clone();
        let mut seen = HashSet::new();
        self.context.tasks.spawn(reflector::follow(
            api,
            WatchParams::default(),
            stop,
            move |update| {
                take(&collector, &resource, &mut seen, update);
                done.send_replace(true);
            },
        ));
    }
}

fn tell<K: Informed>(collector: &Collector, resource: &Arc<ResourceType>, change: &Change<K>) {
    if let Change::Updated { old, new } = change
        && let Some(uid) =
            old.meta().uid.as_ref().filter(|uid| Some(*uid) != new.meta().uid.as_ref())
    {
        collector.removed(uid);
    }
    let Some(object) = Observed::new(resource, change.object().meta()) else { return };
    if matches!(change, Change::Deleted(_)) {
        collector.removed(&object.uid);
    } else {
        collector.observe(object);
    }
}

/// Takes an update of a watch of its own; `seen` are the uids of the resource, so that a restart
/// shows which are gone.
fn take(
    collector: &Collector,
    resource: &Arc<ResourceType>,
    seen: &mut HashSet<String>,
    update: Update<Metadata>,
) {
    let observed = |object: &Metadata| Observed::new(resource, &object.metadata);
    match update {
        Update::Applied(object) => {
            if let Some(object) = observed(&object) {
                seen.insert(object.uid.clone());
                collector.observe(object);
            }
        }
        Update::Deleted(object) => {
            if let Some(object) = observed(&object) {
                seen.remove(&object.uid);
                collector.removed(&object.uid);
            }
        }
        Update::Restarted(state) => {
            let state: Vec<_> = state.iter().filter_map(observed).collect();
            let now: HashSet<_> = state.iter().map(|object| object.uid.clone()).collect();
            seen.difference(&now).for_each(|uid| collector.removed(uid));
            *seen = now;
            state.into_iter().for_each(|object| collector.observe(object));
        }
    }
}
