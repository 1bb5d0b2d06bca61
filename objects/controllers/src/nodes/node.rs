//! One simulated node: what it says of itself, and its heart.
//!
//! Invariants: the Lease is renewed every ten seconds while the node is there, the status every
//! five minutes; what a user set on the node (labels, taints, cordon) is left alone.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::status::time_text;
use crate::context::Context;
use crate::error::{self, Error, Reconciled};
use crate::informer::Informer;
use crate::key::ObjectKey;

/// Marks a node as simulated.
const MARK: &str = "engram.dev/simulated";
/// *Source*: kubelet: a lease of 40 s, renewed every quarter of it.
const LEASE_S: i32 = 40;
const BEAT: Duration = Duration::from_secs(10);
/// *Source*: kubelet: a status that did not change is sent again after five minutes.
const STATUS_AGAIN: Duration = Duration::from_secs(300);
const LEASES: &str = "kube-node-lease";

/// The last number in a node's name.
pub(super) fn number_of(node: &str) -> u32 {
    node.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The node's own address, in `10.128.0.0/16`.
pub(super) fn address(node: &str) -> Ipv4Addr {
    Ipv4Addr::from(u32::from_be_bytes([10, 128, 0, 0]) + number_of(node) % 65_535)
}

/// The address that a node says it has.
pub(super) fn address_of(node: &Node) -> String {
    let addresses = node.status.as_ref().and_then(|status| status.addresses.as_ref());
    let internal = addresses.into_iter().flatten().find(|it| it.type_ == "InternalIP");
    internal.map(|it| it.address.clone()).unwrap_or_default()
}

/// Whether the node is one of those that are simulated.
pub(super) fn is_simulated(node: &Node) -> bool {
    node.metadata.annotations.as_ref().is_some_and(|notes| notes.contains_key(MARK))
}

/// One beat; says when the next one is due, or nothing when the node, once `met`, was deleted.
pub(super) async fn beat(
    context: &Context,
    nodes: &Informer<Node>,
    number: usize,
    met: bool,
) -> Reconciled {
    let name = super::name_of(number);
    let api: Api<Node> = Api::all(context.client.clone());
    let node = match nodes.get(&ObjectKey::new("", name.as_str())) {
        Some(node) => node.as_ref().clone(),
        None => match api.get_opt(&name).await? {
            Some(node) => node,
            None if met => return Ok(None),
            None => register(&api, &name).await?,
        },
    };
    if !is_simulated(&node) {
        tracing::warn!(node = name, "is a real node, not simulated");
        return Ok(None);
    }
    let now = Timestamp::now();
    if is_due(&node, now) {
        let patch = Patch::Strategic(json!({ "status": status(&name, &node, now) }));
        let patched = api.patch_status(&name, &PatchParams::default(), &patch).await;
        error::ignore_not_found(patched)?;
    }
    let leases: Api<Lease> = Api::namespaced(context.client.clone(), LEASES);
    renew(&leases, &name, &node, now).await?;
    Ok(Some(BEAT))
}

async fn register(api: &Api<Node>, name: &str) -> Result<Node, Error> {
    let labels = BTreeMap::from([
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", "amd64"),
    ]);
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": labels, "annotations": { MARK: "true" } },
    });
    let node: Node = serde_json::from_value(node).expect("the fields of a Node");
    match api.create(&PostParams::default(), &node).await {
        Err(error) if error::is_already_exists(&error) => Ok(api.get(name).await?),
        other => Ok(other?),
    }
}

fn is_due(node: &Node, now: Timestamp) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|it| it.type_ == "Ready");
    let Some(ready) = ready.filter(|it| it.status == "True") else { return true };
    let last = ready.last_heartbeat_time.as_ref().map(|time| time.0);
    last.is_none_or(|last| now.duration_since(last).unsigned_abs() >= STATUS_AGAIN)
}

fn status(name: &str, node: &Node, now: Timestamp) -> Value {
    let size = json!({
        "cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "1Ti",
        "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    json!({
        "capacity": size,
        "allocatable": size,
        "addresses": [
            { "type": "InternalIP", "address": address(name).to_string() },
            { "type": "Hostname", "address": name },
        ],
        "conditions": conditions(node, now),
        "nodeInfo": node_info(name),
        "phase": "Running",
    })
}

fn conditions(node: &Node, now: Timestamp) -> Vec<Value> {
    let known = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let since = |name: &str, state: &str| {
        let same = known.into_iter().flatten().find(|it| it.type_ == name && it.status == state);
        let since = same.and_then(|it| it.last_transition_time.as_ref()).map(|time| time.0);
        time_text(since.unwrap_or(now))
    };
    let rows = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "sufficient PID available"),
    ];
    let pressures = rows
        .map(|(name, state, reason, what)| (name, state, reason, format!("kubelet has {what}")));
    let ready = ("Ready", "True", "KubeletReady", "kubelet is posting ready status".to_owned());
    pressures
        .into_iter()
        .chain([ready])
        .map(|(name, state, reason, message)| {
            json!({
                "type": name, "status": state, "reason": reason, "message": message,
                "lastHeartbeatTime": time_text(now), "lastTransitionTime": since(name, state),
            })
        })
        .collect()
}

fn node_info(name: &str) -> Value {
    json!({
        "machineID": name, "systemUUID": name, "bootID": name,
        "kernelVersion": "simulated", "osImage": "Engram simulated node",
        "containerRuntimeVersion": "simulated://1",
        "kubeletVersion": "v1.37.0", "kubeProxyVersion": "",
        "operatingSystem": "linux", "architecture": "amd64",
    })
}

async fn renew(leases: &Api<Lease>, name: &str, node: &Node, now: Timestamp) -> Result<(), Error> {
    let spec = LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: Some(LEASE_S),
        renew_time: Some(MicroTime(now)),
        ..LeaseSpec::default()
    };
    let patch = Patch::Merge(json!({ "spec": spec }));
    let renewed = leases.patch(name, &PatchParams::default(), &patch).await;
    if error::ignore_not_found(renewed)?.is_some() {
        return Ok(());
    }
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.to_owned(),
        uid: node.metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    };
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    };
    let lease = Lease { metadata, spec: Some(spec) };
    match leases.create(&PostParams::default(), &lease).await {
        Err(error) if error::is_already_exists(&error) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready_since(seconds: i64) -> Node {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let heard = Timestamp::from_second(1_000_000 - seconds).expect("a time");
        let mut node: Node =
            serde_json::from_value(json!({ "metadata": { "name": "node-1" } })).expect("a node");
        let mut status = status("node-1", &node, now);
        for condition in status["conditions"].as_array_mut().expect("a list") {
            condition["lastHeartbeatTime"] = json!(time_text(heard));
        }
        node.status = serde_json::from_value(status).expect("a status");
        node
    }

    #[test]
    fn a_status_is_sent_again_only_after_five_minutes() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        assert!(!is_due(&ready_since(299), now));
        assert!(is_due(&ready_since(300), now));
        let mut unknown = ready_since(10);
        let conditions = unknown.status.as_mut().and_then(|it| it.conditions.as_mut());
        conditions.expect("conditions")[3].status = "Unknown".to_owned();
        assert!(is_due(&unknown, now), "somebody doubts the node: it answers at once");
    }

    #[test]
    fn a_condition_keeps_the_time_since_when_it_holds() {
        let node = ready_since(100);
        let later = Timestamp::from_second(2_000_000).expect("a time");
        let ready = &conditions(&node, later)[3];
        assert_eq!(ready["lastTransitionTime"], json!("1970-01-12T13:46:40Z"));
        assert_eq!(ready["lastHeartbeatTime"], json!(time_text(later)));
    }
}
