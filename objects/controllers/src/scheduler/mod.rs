//! The scheduler: gives every pod that has no node the node that suits it best.
//!
//! Invariants: one pod is decided at a time, on an account of the cluster that holds what was
//! decided before, seen back or not; a node is only ever given what still fits on it. A pod that
//! fits nowhere says why in its status, and is looked at again when the cluster changed. Order of
//! the filters and words of the refusals are kube-scheduler's.
//!
//! Must not know: who made the pod, or what its node will do with it.

mod account;
mod demand;
mod filters;
mod quantity;
mod scores;
mod verdict;

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{self, Error, Reconciled};
use crate::informer::{Change, Informer};
use crate::key::ObjectKey;
use crate::ownership::is_being_deleted;
use crate::queue::Queue;
use crate::recorder::Recorder;
use crate::worker;

pub use quantity::{Amount, parse as parse_quantity};

use account::Account;
use demand::Demand;
use verdict::Verdict;

/// The scheduler that pods ask for when they do not say.
const NAME: &str = "default-scheduler";

/// Schedules until shutdown.
pub async fn run(context: Context) {
    let scheduler = Arc::new(Scheduler::new(&context));
    scheduler.listen();
    if !context.synced(&scheduler.nodes).await || !context.synced(&scheduler.pods).await {
        return;
    }
    let (queue, shutdown) = (scheduler.queue.clone(), context.shutdown.clone());
    // One worker: each decision sees the ones before it.
    worker::work("scheduler", 1, queue, shutdown, move |key| {
        let scheduler = Arc::clone(&scheduler);
        async move { scheduler.schedule(&key).await }
    })
    .await;
}

struct Scheduler {
    client: Client,
    context: Context,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    account: Arc<Mutex<Account>>,
    /// Pods that fitted nowhere, until the cluster changes.
    unschedulable: Arc<Mutex<BTreeSet<ObjectKey>>>,
    queue: Queue<ObjectKey>,
    recorder: Recorder,
}

impl Scheduler {
    fn new(context: &Context) -> Self {
        Self {
            client: context.client.clone(),
            context: context.clone(),
            pods: context.informer(),
            nodes: context.informer(),
            account: Arc::default(),
            unschedulable: Arc::default(),
            queue: Queue::new(),
            recorder: context.recorder(NAME),
        }
    }

    fn listen(&self) {
        let (queue, account) = (self.queue.clone(), Arc::clone(&self.account));
        let waiting = Arc::clone(&self.unschedulable);
        self.pods.subscribe(move |change| {
            let pod = change.object();
            let gone = matches!(change, Change::Deleted(_));
            let made_room = account.lock().note(pod, gone);
            if made_room {
                wake(&waiting, &queue);
            }
            if !gone && wants_a_node(pod) {
                queue.add(ObjectKey::of(&**pod));
            } else {
                waiting.lock().remove(&ObjectKey::of(&**pod));
            }
        });
        let (queue, waiting) = (self.queue.clone(), Arc::clone(&self.unschedulable));
        self.nodes.subscribe(move |change| {
            if may_take_more(change) {
                wake(&waiting, &queue);
            }
        });
    }

    async fn schedule(&self, key: &ObjectKey) -> Reconciled {
        let Some(pod) = self.pods.get(key).filter(|pod| wants_a_node(pod)) else {
            return Ok(None);
        };
        let demand = Demand::of(&pod);
        if self.account.lock().holds(&demand.uid) {
            // Decided before; the watch has not told of it yet.
            return Ok(None);
        }
        let nodes = self.nodes.list();
        let verdict = {
            let mut account = self.account.lock();
            let verdict = verdict::decide(&pod, &demand, &nodes, &account);
            if let Verdict::Node(node) = &verdict {
                account.assume(node, &demand);
            }
            verdict
        };
        match verdict {
            Verdict::Node(node) => self.bind(&pod, node, demand.uid),
            Verdict::Nowhere(why) => {
                self.unschedulable.lock().insert(key.clone());
                self.refuse(&pod, &why).await?;
            }
        }
        Ok(None)
    }

    /// Tells the API server beside the next decision: a round trip each would be all the time there
    /// is.
    fn bind(&self, pod: &Arc<Pod>, node: String, uid: String) {
        let (client, pod) = (self.client.clone(), Arc::clone(pod));
        let (account, queue) = (Arc::clone(&self.account), self.queue.clone());
        let recorder = self.recorder.clone();
        self.context.tasks.spawn(async move {
            let key = ObjectKey::of(&*pod);
            match send_binding(&client, &pod, &node).await {
                Ok(()) => {
                    let text = format!("Successfully assigned {key} to {node}");
                    recorder.normal(&*pod, "Scheduled", text);
                }
                Err(error) => {
                    account.lock().forget(&uid);
                    if !error::is_not_found(&error) && !error::is_conflict(&error) {
                        tracing::warn!(controller = "scheduler", %key, %error, "binding failed");
                    }
                    // The watch brings a pod that is gone, or bound by somebody else.
                    queue.retry(key);
                }
            }
        });
    }

    async fn refuse(&self, pod: &Pod, why: &str) -> Result<(), Error> {
        self.recorder.warning(pod, "FailedScheduling", why);
        if already_says(pod, why) {
            return Ok(());
        }
        let key = ObjectKey::of(pod);
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let patch = Patch::Strategic(refusal(why));
        let patched = pods.patch_status(&key.name, &PatchParams::default(), &patch).await;
        error::ignore_not_found(patched)?;
        Ok(())
    }
}

fn refusal(why: &str) -> Value {
    json!({ "status": { "conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": why,
        "lastTransitionTime": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }] } })
}

fn already_says(pod: &Pod, why: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.message.as_deref() == Some(why)
    })
}

async fn send_binding(client: &Client, pod: &Pod, node: &str) -> Result<(), kube::Error> {
    let ObjectKey { namespace, name } = ObjectKey::of(pod);
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            // The server refuses another pod of the same name.
            uid: pod.metadata.uid.clone(),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let params = PostParams::default();
    pods.create_subresource::<_, Value>("binding", &name, &params, &binding).await.map(drop)
}

fn wake(waiting: &Mutex<BTreeSet<ObjectKey>>, queue: &Queue<ObjectKey>) {
    for key in std::mem::take(&mut *waiting.lock()) {
        queue.add(key);
    }
}

/// Whether a node's change could let a pod in that was refused: a heartbeat could not.
fn may_take_more(change: &Change<Node>) -> bool {
    let Change::Updated { old, new } = change else { return matches!(change, Change::Added(_)) };
    let allocatable = |node: &Node| node.status.as_ref().and_then(|s| s.allocatable.clone());
    old.spec != new.spec
        || old.metadata.labels != new.metadata.labels
        || allocatable(old) != allocatable(new)
}

fn wants_a_node(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let ours = spec.scheduler_name.as_deref().unwrap_or(NAME) == NAME;
    let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    let placed = spec.node_name.as_deref().is_some_and(|node| !node.is_empty());
    ours && !gated && !placed && !is_being_deleted(&pod.metadata) && !demand::is_over(pod)
}
