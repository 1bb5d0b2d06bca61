//! Addresses of pods: each node has a range, each pod on it an address of its own.
//!
//! Invariants: two pods that are there at the same time never have the same address; what the
//! server already knows is kept over a restart; an address is free again when its pod is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Pod;

/// Addresses of all pods on simulated nodes.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    nodes: BTreeMap<String, Range>,
}

#[derive(Debug, Default)]
struct Range {
    by_pod: HashMap<String, Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
    last: u32,
}

/// The addresses of one node: `10.200.0.0/14` has room for 1,024 nodes of 254.
const FIRST: u32 = u32::from_be_bytes([10, 200, 0, 0]);
const PER_NODE: u32 = 256;
const NODES: u32 = 1024;

impl Addresses {
    /// Takes note of a pod as the watch tells it.
    pub(super) fn note(&mut self, node: &str, pod: &Pod, gone: bool) {
        let range = self.nodes.entry(node.to_owned()).or_default();
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if gone {
            if let Some(address) = range.by_pod.remove(uid) {
                range.taken.remove(&address);
            }
            return;
        }
        let told = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
        if let Some(address) = told.and_then(|ip| ip.parse().ok()) {
            range.keep(uid, address);
        }
    }

    /// The pod's address: the one it has, or a free one of its node that it has from now on.
    pub(super) fn of(&mut self, node: &str, pod: &Pod) -> String {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true) {
            return super::node::address(node).to_string();
        }
        let first = first_of(node);
        let range = self.nodes.entry(node.to_owned()).or_default();
        if let Some(address) = range.by_pod.get(uid) {
            return address.to_string();
        }
        // After the last one given, so that an address rests before it is given again.
        let numbers = (0..PER_NODE - 2).map(|step| 1 + (range.last + step) % (PER_NODE - 2));
        let free = numbers.map(|number| (number, Ipv4Addr::from(first + number)));
        let mut free = free.filter(|(_, address)| !range.taken.contains(address));
        // A node takes at most 110 pods, so one is always free.
        let (number, address) = free.next().unwrap_or((1, Ipv4Addr::from(first + 1)));
        range.last = number;
        range.keep(uid, address);
        address.to_string()
    }
}

impl Range {
    fn keep(&mut self, uid: &str, address: Ipv4Addr) {
        if let Some(old) = self.by_pod.insert(uid.to_owned(), address) {
            self.taken.remove(&old);
        }
        self.taken.insert(address);
    }
}

fn first_of(node: &str) -> u32 {
    FIRST + (super::node::number_of(node) % NODES) * PER_NODE
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(uid: &str, ip: Option<&str>) -> Pod {
        let pod = json!({ "metadata": { "uid": uid }, "status": { "podIP": ip } });
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn pods_that_are_there_together_have_different_addresses() {
        let mut addresses = Addresses::default();
        let pods = (0..400).map(|number| (if number < 200 { "node-1" } else { "node-2" }, number));
        let given: BTreeSet<String> = pods
            .map(|(node, number)| addresses.of(node, &pod(&number.to_string(), None)))
            .collect();
        assert_eq!(given.len(), 400);
    }

    #[test]
    fn an_address_is_kept_over_a_restart_and_free_when_its_pod_is_gone() {
        let mut before = Addresses::default();
        let ip = before.of("node-1", &pod("a", None));
        let mut after = Addresses::default();
        after.note("node-1", &pod("a", Some(&ip)), false);
        assert_eq!(after.of("node-1", &pod("a", Some(&ip))), ip);
        assert_ne!(after.of("node-1", &pod("b", None)), ip);
        after.note("node-1", &pod("a", Some(&ip)), true);
        let again: Vec<String> =
            (0..253).map(|n| after.of("node-1", &pod(&format!("c{n}"), None))).collect();
        assert!(again.contains(&ip));
    }
}
