//! Simulated nodes: they register, beat, and bring the pods on them to life, without containers.
//!
//! Invariants: what a pod does next depends on the pod as the server has it and on the time alone,
//! so that a restart of this process loses nothing; a node that somebody deleted stays deleted; a
//! node that is not marked as simulated is never touched.
//!
//! Must not know: who made the pods, or how they were scheduled.

mod addresses;
mod life;
mod node;
mod program;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use parking_lot::Mutex;

use crate::context::Context;
use crate::error::{self, Error, Reconciled};
use crate::informer::{Change, Informer};
use crate::key::ObjectKey;
use crate::queue::Queue;
use crate::recorder::Recorder;
use crate::worker;

use addresses::Addresses;
use life::{Next, Step};

/// Names of the nodes, by number from 1.
fn name_of(number: usize) -> String {
    format!("node-{number}")
}

/// Keeps the simulated nodes until shutdown.
pub async fn run(context: Context) {
    if context.options.sim_nodes == 0 {
        return;
    }
    let nodes = Arc::new(Nodes::new(&context));
    let hearts = Queue::new();
    for number in 1..=context.options.sim_nodes {
        hearts.add(number);
    }
    nodes.listen();
    if !context.synced(&nodes.nodes).await || !context.synced(&nodes.pods).await {
        return;
    }
    let (workers, shutdown) = (context.options.workers, context.shutdown.clone());
    let beating = {
        let (nodes, shutdown) = (Arc::clone(&nodes), shutdown.clone());
        worker::work("simulated-nodes", workers, hearts, shutdown, move |number| {
            let nodes = Arc::clone(&nodes);
            async move { nodes.beat(number).await }
        })
    };
    let queue = nodes.queue.clone();
    let living = worker::work("simulated-pods", workers, queue, shutdown, move |key| {
        let nodes = Arc::clone(&nodes);
        async move { nodes.live(&key).await }
    });
    tokio::join!(beating, living);
}

struct Nodes {
    context: Context,
    nodes: Informer<Node>,
    pods: Informer<Pod>,
    /// The nodes of this process.
    ours: Arc<BTreeSet<String>>,
    /// Those that this process registered or found.
    met: Mutex<BTreeSet<usize>>,
    addresses: Arc<Mutex<Addresses>>,
    queue: Queue<ObjectKey>,
    recorder: Recorder,
}

impl Nodes {
    fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            nodes: context.informer(),
            pods: context.informer(),
            ours: Arc::new((1..=context.options.sim_nodes).map(name_of).collect()),
            met: Mutex::default(),
            addresses: Arc::default(),
            queue: Queue::new(),
            recorder: context.recorder("kubelet"),
        }
    }

    fn listen(&self) {
        let (queue, ours) = (self.queue.clone(), Arc::clone(&self.ours));
        let addresses = Arc::clone(&self.addresses);
        self.pods.subscribe(move |change| {
            let pod = change.object();
            let Some(node) = node_of(pod).filter(|node| ours.contains(*node)) else { return };
            addresses.lock().note(node, pod, matches!(change, Change::Deleted(_)));
            queue.add(ObjectKey::of(&**pod));
        });
    }

    async fn beat(&self, number: usize) -> Reconciled {
        let met = self.met.lock().contains(&number);
        let again = node::beat(&self.context, &self.nodes, number, met).await?;
        self.met.lock().insert(number);
        Ok(again)
    }

    /// Takes one pod one step on.
    async fn live(&self, key: &ObjectKey) -> Reconciled {
        let Some(pod) = self.pods.get(key) else { return Ok(None) };
        let Some(node) = node_of(&pod).filter(|node| self.ours.contains(*node)) else {
            return Ok(None);
        };
        // A pod on a node that was deleted is not run by anybody.
        let Some(host) = self.nodes.get(&ObjectKey::new("", node)) else { return Ok(None) };
        if !node::is_simulated(&host) {
            return Ok(None);
        }
        let place = status::Place {
            host_ip: node::address_of(&host),
            pod_ip: self.addresses.lock().of(node, &pod),
        };
        let Next { step, again } = life::next(&pod, &place, Timestamp::now());
        match step {
            Step::Wait => {}
            Step::Tell(status) => self.tell(key, &pod, &status).await?,
            Step::Gone => self.remove(key, &pod).await?,
        }
        Ok(again)
    }

    async fn tell(&self, key: &ObjectKey, pod: &Pod, told: &status::Told) -> Result<(), Error> {
        let pods: Api<Pod> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let patch = Patch::Strategic(&told.patch);
        let patched = pods.patch_status(&key.name, &PatchParams::default(), &patch).await;
        if error::ignore_not_found(patched)?.is_some() {
            for (reason, message) in &told.events {
                self.recorder.normal(pod, reason, message.clone());
            }
        }
        Ok(())
    }

    /// The last word on a pod that was asked to end: nothing of it runs any more.
    async fn remove(&self, key: &ObjectKey, pod: &Pod) -> Result<(), Error> {
        let pods: Api<Pod> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            // Another pod of the same name is another pod.
            preconditions: Some(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match pods.delete(&key.name, &params).await {
            Err(error) if error::is_not_found(&error) || error::is_conflict(&error) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).filter(|node| !node.is_empty())
}
