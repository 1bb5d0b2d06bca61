//! Which pods go first when there are too many.
//!
//! Compat: the order of Kubernetes: without a node, pending, not ready, cheaper by annotation, on a
//! node with more of its kin, ready for a shorter time, restarted more often, younger. Times are
//! compared by the magnitude of their age, so that pods of about the same age go in no special
//! order. One rule is left out: sidecars' restarts.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::pods;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` pods of `active` to delete; `related` are all pods that count for the crowding of
/// nodes.
pub(super) fn victims(active: &[Arc<Pod>], related: &[Arc<Pod>], count: usize) -> Vec<Arc<Pod>> {
    let now = Timestamp::now();
    let mut crowds: HashMap<&str, usize> = HashMap::new();
    for pod in related.iter().filter(|pod| pods::is_active(pod)) {
        *crowds.entry(pods::node_name(pod).unwrap_or_default()).or_default() += 1;
    }
    let mut ranked: Vec<_> =
        active.iter().map(|pod| (Rank::of(pod, &crowds, now), pod.clone())).collect();
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    ranked.into_iter().take(count).map(|(_, pod)| pod).collect()
}

/// Smaller goes first; the order of the fields is the order of the rules.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    has_node: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    crowd: Reverse<usize>,
    ready_age: u32,
    restarts: Reverse<i32>,
    age: u32,
    uid: String,
}

impl Rank {
    fn of(pod: &Pod, crowds: &HashMap<&str, usize>, now: Timestamp) -> Self {
        let node = pods::node_name(pod);
        let ready = pods::ready_since(pod);
        let created = pod.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0);
        Self {
            has_node: node.is_some(),
            phase: match pods::phase(pod) {
                "Pending" => 0,
                "Running" => 2,
                _ => 1,
            },
            ready: ready.is_some(),
            cost: deletion_cost(pod),
            crowd: Reverse(crowds.get(node.unwrap_or_default()).copied().unwrap_or_default()),
            ready_age: ready.map_or(0, |since| magnitude(now, since)),
            restarts: Reverse(restarts(pod)),
            age: magnitude(now, created),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
        }
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    let cost = annotations.and_then(|a| a.get(DELETION_COST));
    cost.and_then(|c| c.parse().ok()).unwrap_or_default()
}

fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.as_ref().and_then(|s| s.container_statuses.as_deref());
    containers.unwrap_or_default().iter().map(|c| c.restart_count).max().unwrap_or_default()
}

/// The magnitude of an age: how often it doubles a nanosecond; 0 for what lies in the future.
fn magnitude(now: Timestamp, since: Timestamp) -> u32 {
    match now.cmp(&since) {
        Ordering::Greater => 1 + (now.as_nanosecond() - since.as_nanosecond()).ilog2(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, node: &str, phase: &str, ready_seconds: Option<i64>) -> Value {
        let now = Timestamp::now();
        let ago = |seconds| now - jiff::SignedDuration::from_secs(seconds);
        json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": ago(3600).to_string()},
            "spec": {"nodeName": node, "containers": []},
            "status": {"phase": phase, "conditions": [{
                "type": "Ready",
                "status": if ready_seconds.is_some() { "True" } else { "False" },
                "lastTransitionTime": ago(ready_seconds.unwrap_or_default()).to_string(),
            }]},
        })
    }

    fn order(pods: Vec<Value>) -> Vec<String> {
        let pods: Vec<Arc<Pod>> =
            pods.into_iter().map(|p| Arc::new(serde_json::from_value(p).expect("a pod"))).collect();
        let ranked = victims(&pods, &pods, pods.len());
        ranked.iter().filter_map(|p| p.metadata.name.clone()).collect()
    }

    #[test]
    fn what_serves_least_goes_first() {
        let served_long = pod("served-long", "n1", "Running", Some(900));
        let served_short = pod("served-short", "n2", "Running", Some(10));
        let not_ready = pod("not-ready", "n3", "Running", None);
        let pending = pod("pending", "n4", "Pending", None);
        let unassigned = pod("unassigned", "", "Pending", None);
        let all = vec![served_long, served_short, not_ready, pending, unassigned];
        let expected = ["unassigned", "pending", "not-ready", "served-short", "served-long"];
        assert_eq!(order(all), expected);
    }

    #[test]
    fn a_cheaper_pod_goes_before_one_on_a_crowded_node() {
        let crowded = pod("crowded", "n1", "Running", Some(10));
        let crowd = pod("crowd", "n1", "Running", Some(900));
        let mut cheap = pod("cheap", "n2", "Running", Some(900));
        let alone = pod("alone", "n3", "Running", Some(10));
        cheap["metadata"]["annotations"] = json!({DELETION_COST: "-5"});
        let order = order(vec![alone, crowd, cheap, crowded]);
        assert_eq!(order, ["cheap", "crowded", "crowd", "alone"]);
    }
}
