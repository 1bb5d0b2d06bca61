//! What is taken of each node: by pods that are seen there, and by those just sent there.
//!
//! Invariants: a pod counts once, under its uid, however often it is told of; a pod that ended
//! counts nothing.

use std::collections::{HashMap, HashSet};

use k8s_openapi::api::core::v1::Pod;

use super::demand::{Amounts, Demand, HostPort, is_over};
use super::quantity::Amount;

/// What is taken of each node.
#[derive(Debug, Default)]
pub(super) struct Account {
    pods: HashMap<String, (String, Demand)>,
    nodes: HashMap<String, Taken>,
}

/// What is taken of one node.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) pods: Amount,
    pub(super) requests: Amounts,
    pub(super) guessed: (Amount, Amount),
    pub(super) host_ports: HashSet<HostPort>,
}

impl Account {
    /// Takes note of a pod as the watch tells it; whether that made room somewhere.
    pub(super) fn note(&mut self, pod: &Pod, gone: bool) -> bool {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        match node.filter(|node| !node.is_empty()) {
            _ if gone || is_over(pod) => self.forget(uid),
            Some(node) => {
                self.assume(node, &Demand::of(pod));
                false
            }
            // Not there yet, or decided and not seen back: what was assumed stays.
            None => false,
        }
    }

    /// Counts a pod on a node.
    pub(super) fn assume(&mut self, node: &str, demand: &Demand) {
        let same = |(counted, known): &(String, Demand)| counted == node && known == demand;
        if self.pods.get(&demand.uid).is_some_and(same) {
            return;
        }
        self.forget(&demand.uid);
        self.nodes.entry(node.to_owned()).or_default().change(demand, 1);
        self.pods.insert(demand.uid.clone(), (node.to_owned(), demand.clone()));
    }

    /// Counts a pod no longer; whether it was counted.
    pub(super) fn forget(&mut self, uid: &str) -> bool {
        let Some((node, demand)) = self.pods.remove(uid) else { return false };
        if let Some(taken) = self.nodes.get_mut(&node) {
            taken.change(&demand, -1);
            if taken.pods == 0 {
                self.nodes.remove(&node);
            }
        }
        true
    }

    /// Whether this pod is counted somewhere.
    pub(super) fn holds(&self, uid: &str) -> bool {
        self.pods.contains_key(uid)
    }

    /// What is taken of a node; `None` is nothing.
    pub(super) fn of(&self, node: &str) -> Option<&Taken> {
        self.nodes.get(node)
    }
}

impl Taken {
    fn change(&mut self, demand: &Demand, sign: Amount) {
        self.pods += sign;
        self.guessed.0 += sign * demand.guessed.0;
        self.guessed.1 += sign * demand.guessed.1;
        for (name, amount) in &demand.requests {
            *self.requests.entry(name.clone()).or_default() += sign * amount;
        }
        for port in &demand.host_ports {
            match sign > 0 {
                true => self.host_ports.insert(port.clone()),
                false => self.host_ports.remove(port),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(node: &str, phase: &str) -> Pod {
        let pod = json!({
            "metadata": { "uid": "u" },
            "spec": { "nodeName": node, "containers": [
                { "name": "c", "resources": { "requests": { "cpu": "1" } } }] },
            "status": { "phase": phase },
        });
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn a_pod_counts_once_and_moves_with_its_uid() {
        let mut account = Account::default();
        assert!(!account.note(&pod("a", "Pending"), false));
        assert!(!account.note(&pod("a", "Running"), false));
        assert_eq!(account.of("a").map(|taken| taken.requests["cpu"]), Some(1000));
        account.note(&pod("b", "Running"), false);
        assert!(account.of("a").is_none());
    }

    #[test]
    fn a_pod_that_ended_makes_room_once() {
        let mut account = Account::default();
        account.note(&pod("a", "Running"), false);
        assert!(account.note(&pod("a", "Succeeded"), false));
        assert!(!account.note(&pod("a", "Succeeded"), true));
        assert!(account.of("a").is_none());
    }

    #[test]
    fn what_was_assumed_stays_until_the_watch_says_otherwise() {
        let mut account = Account::default();
        account.assume("a", &Demand::of(&pod("", "Pending")));
        account.note(&pod("", "Pending"), false);
        assert!(account.holds("u"), "an older event does not undo a decision");
    }
}
