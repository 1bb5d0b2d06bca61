//! Nodes that stopped beating are doubted, and what is known of a node becomes taints on it.
//!
//! Invariants: a node is doubted only after its heart was seen to stand still here for the whole
//! grace period, by this process's own clock, whatever the clocks of the nodes say; of a node's
//! taints only those that this controller alone sets are changed. *Source*: kube-controller-manager
//! 1.37: names, effects, words, and 50 seconds of grace.
//!
//! Must not know: pods; who is evicted by a taint is another controller's work.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::{Patch, PatchParams};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::context::Context;
use crate::error::{self, Error, Reconciled};
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::queue::Queue;
use crate::recorder::Recorder;
use crate::worker;

const GRACE: Duration = Duration::from_secs(50);
const LEASES: &str = "kube-node-lease";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Conditions that hold when they are bad, and their taints.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// Watches over nodes until shutdown.
pub async fn run(context: Context) {
    let keeper = Arc::new(Keeper {
        nodes: context.informer(),
        leases: context.informer(),
        hearts: Mutex::default(),
        recorder: context.recorder("node-controller"),
        context: context.clone(),
    });
    let queue = Queue::new();
    let nodes = queue.clone();
    keeper.nodes.subscribe(move |change| nodes.add(ObjectKey::of(&**change.object())));
    let beats = queue.clone();
    keeper.leases.subscribe(move |change| {
        let lease = change.object();
        if lease.metadata.namespace.as_deref() == Some(LEASES) {
            beats.add(ObjectKey::new("", lease.metadata.name.as_deref().unwrap_or_default()));
        }
    });
    if !context.synced(&keeper.nodes).await || !context.synced(&keeper.leases).await {
        return;
    }
    let (workers, shutdown) = (context.options.workers, context.shutdown.clone());
    worker::work("node-lifecycle-controller", workers, queue, shutdown, move |key| {
        let keeper = Arc::clone(&keeper);
        async move { keeper.look_after(&key).await }
    })
    .await;
}

struct Keeper {
    context: Context,
    nodes: Informer<Node>,
    leases: Informer<Lease>,
    hearts: Mutex<HashMap<ObjectKey, Heart>>,
    recorder: Recorder,
}

/// The last beat that was seen of a node, and when it was seen to change.
#[derive(Debug, Clone, PartialEq)]
struct Heart {
    renewed: Option<Timestamp>,
    told: Option<Time>,
    since: Instant,
}

impl Keeper {
    async fn look_after(&self, key: &ObjectKey) -> Reconciled {
        let Some(node) = self.nodes.get(key) else {
            self.hearts.lock().remove(key);
            return Ok(None);
        };
        let stood_still = self.listen(key, &node);
        let again = GRACE.checked_sub(stood_still).filter(|left| !left.is_zero());
        if again.is_none() && ready(&node).is_none_or(|ready| ready.status != "Unknown") {
            self.doubt(key, &node).await?;
            // The watch brings the node back, and with it the taints.
            return Ok(None);
        }
        self.taint(key, &node).await?;
        Ok(again)
    }

    /// For how long the node's heart was seen to stand still.
    fn listen(&self, key: &ObjectKey, node: &Node) -> Duration {
        let lease = self.leases.get(&ObjectKey::new(LEASES, key.name.as_str()));
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref().map(|t| t.0));
        let told = ready(node).filter(|ready| ready.status != "Unknown");
        let told = told.and_then(|ready| ready.last_heartbeat_time.clone());
        let heard = Heart { renewed, told, since: Instant::now() };
        let mut hearts = self.hearts.lock();
        let heart = hearts.entry(key.clone()).or_insert_with(|| heard.clone());
        if (&heart.renewed, &heart.told) != (&heard.renewed, &heard.told) {
            *heart = heard;
        }
        heart.since.elapsed()
    }

    async fn doubt(&self, key: &ObjectKey, node: &Node) -> Result<(), Error> {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let known = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        let names = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
        let conditions: Vec<Value> = names
            .iter()
            .map(|name| {
                let was = known.into_iter().flatten().any(|it| it.type_ == *name);
                let (reason, message) = match was {
                    true => ("NodeStatusUnknown", "Kubelet stopped posting node status."),
                    false => ("NodeStatusNeverUpdated", "Kubelet never posted node status."),
                };
                json!({
                    "type": name, "status": "Unknown", "reason": reason, "message": message,
                    "lastTransitionTime": now,
                })
            })
            .collect();
        let nodes: Api<Node> = Api::all(self.context.client.clone());
        let patch = Patch::Strategic(json!({ "status": { "conditions": conditions } }));
        let patched = nodes.patch_status(&key.name, &PatchParams::default(), &patch).await;
        if error::ignore_not_found(patched)?.is_some() {
            let text = format!("Node {} status is now: NodeNotReady", key.name);
            self.recorder.normal(node, "NodeNotReady", text);
        }
        Ok(())
    }

    async fn taint(&self, key: &ObjectKey, node: &Node) -> Result<(), Error> {
        let Some(taints) = changed_taints(node) else { return Ok(()) };
        let nodes: Api<Node> = Api::all(self.context.client.clone());
        let patch = Patch::Merge(json!({
            // The list is replaced whole, so it must be the one that was looked at.
            "metadata": { "resourceVersion": node.metadata.resource_version },
            "spec": { "taints": taints },
        }));
        let patched = nodes.patch(&key.name, &PatchParams::default(), &patch).await;
        error::ignore_not_found(patched)?;
        Ok(())
    }
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready")
}

/// The node's taints as they should be, if they are not.
fn changed_taints(node: &Node) -> Option<Vec<Taint>> {
    let spec = node.spec.as_ref();
    let has = spec.and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let due = due_taints(node);
    let same = |a: &Taint, key: &str, effect: &str| a.key == key && a.effect == effect;
    let kept = has.iter().filter(|taint| {
        let stays = due.iter().any(|(key, effect)| same(taint, key, effect));
        stays || !is_ours(taint)
    });
    let mut taints: Vec<Taint> = kept.cloned().collect();
    for (key, effect) in due {
        if !taints.iter().any(|taint| same(taint, key, effect)) {
            let time_added = (effect == "NoExecute").then(|| Time(Timestamp::now()));
            let (key, effect) = (key.to_owned(), effect.to_owned());
            taints.push(Taint { key, effect, time_added, value: None });
        }
    }
    (taints != has).then_some(taints)
}

fn is_ours(taint: &Taint) -> bool {
    let named = [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&taint.key.as_str());
    named || PRESSURES.iter().any(|(_, key)| taint.key == *key)
}

fn due_taints(node: &Node) -> Vec<(&'static str, &'static str)> {
    let mut due = Vec::new();
    match ready(node).map(|ready| ready.status.as_str()) {
        Some("True") => {}
        Some("Unknown") => due.extend([(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]),
        Some(_) => due.extend([(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]),
        // It was made just now; nothing runs on it that could be driven away.
        None => due.push((NOT_READY, "NoSchedule")),
    }
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    for (name, key) in PRESSURES {
        let holds = |it: &NodeCondition| it.type_ == name && it.status == "True";
        if conditions.into_iter().flatten().any(holds) {
            due.push((key, "NoSchedule"));
        }
    }
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        due.push((UNSCHEDULABLE, "NoSchedule"));
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(ready: Option<&str>, spec: Value) -> Node {
        let conditions = ready.map(|status| json!([{ "type": "Ready", "status": status }]));
        let node = json!({ "metadata": { "name": "n" }, "spec": spec,
            "status": { "conditions": conditions } });
        serde_json::from_value(node).expect("a node")
    }

    fn keys(node: &Node) -> Option<Vec<String>> {
        changed_taints(node).map(|taints| {
            taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect()
        })
    }

    #[test]
    fn a_node_that_got_ready_loses_the_taint_it_was_born_with_and_keeps_others() {
        let taints = json!({ "taints": [
            { "key": NOT_READY, "effect": "NoSchedule" }, { "key": "gpu", "effect": "NoSchedule" },
        ] });
        assert_eq!(keys(&node(Some("True"), taints.clone())), Some(vec!["gpu:NoSchedule".into()]));
        assert_eq!(keys(&node(None, taints)), None, "not ready yet");
    }

    #[test]
    fn doubt_cordon_and_pressure_become_taints_once() {
        let mut doubted = node(Some("Unknown"), json!({ "unschedulable": true }));
        let conditions = doubted.status.as_mut().and_then(|status| status.conditions.as_mut());
        let pressed = json!({ "type": "DiskPressure", "status": "True" });
        let pressed = serde_json::from_value(pressed).expect("a condition");
        conditions.expect("conditions").push(pressed);
        let expected = vec![
            format!("{UNREACHABLE}:NoSchedule"),
            format!("{UNREACHABLE}:NoExecute"),
            "node.kubernetes.io/disk-pressure:NoSchedule".to_owned(),
            format!("{UNSCHEDULABLE}:NoSchedule"),
        ];
        assert_eq!(keys(&doubted), Some(expected));
        let settled = changed_taints(&doubted);
        doubted.spec.as_mut().expect("a spec").taints = settled;
        assert_eq!(keys(&doubted), None);
    }
}
