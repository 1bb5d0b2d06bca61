//! The garbage collector: deletes what lost its last owner, and lets owners go in the order that
//! their deletion asks for.
//!
//! Invariants: an owner counts as gone only when the server itself said so, or its deletion was
//! seen; the graph of the caches alone never condemns. Every deletion names the uid and the
//! resourceVersion it was decided on. Uids never come back, so that a gone owner stays gone.
//!
//! One watch of metadata per resource that can be listed, watched and deleted; resources that other
//! controllers watch are shared with them.

mod graph;
mod hands;
mod monitors;
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::discovery::ResourceType;
use crate::queue::Queue;
use crate::recorder::Recorder;
use crate::worker::work;

use graph::{Graph, Observed};

/// How often it is looked for new resources. Compat: as kube-controller-manager does.
const REDISCOVERY: Duration = Duration::from_secs(30);
/// After this long work begins though some resource could not be listed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until shutdown.
pub async fn run(context: Context) {
    let collector = Arc::new(Collector {
        client: context.client.clone(),
        recorder: context.recorder("garbage-collector-controller"),
        resources: RwLock::default(),
        graph: Mutex::default(),
        queue: Queue::new(),
    });
    let monitors = monitors::Monitors::new(context.clone(), collector.clone());
    tokio::select! {
        () = context.shutdown.cancelled() => return,
        () = monitors.start(PATIENCE) => {}
    }
    let discover = rediscover(monitors, context.shutdown.clone());
    let (queue, shutdown) = (collector.queue.clone(), context.shutdown.clone());
    // As many as kube-controller-manager: most of the time is spent waiting for the server.
    let workers = context.options.workers * 4;
    let work = work("garbage-collector", workers, queue, shutdown, move |uid| {
        let collector = collector.clone();
        async move { collector.examine(&uid).await }
    });
    tokio::join!(discover, work);
}

async fn rediscover(monitors: monitors::Monitors, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(REDISCOVERY) => {}
        }
        if let Err(error) = monitors.discover().await {
            tracing::debug!(%error, "resources were not discovered");
        }
    }
}

/// The resource of an object or of an owner, by group and kind: a version is only a view.
type GroupKind = (String, String);

struct Collector {
    client: Client,
    recorder: Recorder,
    resources: RwLock<HashMap<GroupKind, Arc<ResourceType>>>,
    graph: Mutex<Graph>,
    queue: Queue<String>,
}

impl Collector {
    fn observe(&self, object: Observed) {
        let work = self.graph.lock().observe(object);
        work.into_iter().for_each(|uid| self.queue.add(uid));
    }

    fn removed(&self, uid: &str) {
        let work = self.graph.lock().remove(uid);
        work.into_iter().for_each(|uid| self.queue.add(uid));
    }

    fn resource(&self, api_version: &str, kind: &str) -> Option<Arc<ResourceType>> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.resources.read().get(&(group.to_owned(), kind.to_owned())).cloned()
    }
}
