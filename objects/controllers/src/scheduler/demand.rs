//! What a pod asks of a node.
//!
//! Invariant: the sum of its containers, or its largest init container if that is more, plus its
//! overhead; init containers that stay (`restartPolicy: Always`) count on with all that follow.
//! *Source*: Kubernetes' `PodRequests` and KEP-753.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity::{Amount, parse};

/// For scoring alone, what a container is taken to ask for that does not say. *Source*:
/// kube-scheduler: 100 millicores and 200 MiB.
const CPU_GUESS: Amount = 100;
const MEMORY_GUESS: Amount = 200 * 1024 * 1024 * 1000;

/// Amounts by resource name.
pub(super) type Amounts = BTreeMap<String, Amount>;

/// A port on the node itself: protocol, address, number.
pub(super) type HostPort = (String, String, i32);

/// What a pod asks of a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Demand {
    /// The pod's uid.
    pub(super) uid: String,
    /// What it must be given.
    pub(super) requests: Amounts,
    /// CPU and memory as scoring sees them.
    pub(super) guessed: (Amount, Amount),
    /// Ports on the node itself.
    pub(super) host_ports: Vec<HostPort>,
}

impl Demand {
    /// What this pod asks.
    pub(super) fn of(pod: &Pod) -> Self {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let Some(spec) = &pod.spec else { return Self { uid, ..Self::default() } };
        let requests = total(spec, |_, asked| asked);
        let guessed = total(spec, |_, mut asked| {
            asked.entry("cpu".to_owned()).or_insert(CPU_GUESS);
            asked.entry("memory".to_owned()).or_insert(MEMORY_GUESS);
            asked
        });
        let of = |name| guessed.get(name).copied().unwrap_or(0);
        let guessed = (of("cpu"), of("memory"));
        Self { uid, requests, guessed, host_ports: host_ports(spec) }
    }
}

/// Whether nothing of the pod runs, or ever will again.
pub(super) fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn total(spec: &PodSpec, complete: impl Fn(&Container, Amounts) -> Amounts) -> Amounts {
    let of = |container: &Container| complete(container, asked(container));
    let mut sum = Amounts::new();
    for container in &spec.containers {
        add(&mut sum, &of(container));
    }
    let (mut staying, mut largest) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let mut now = of(container);
        add(&mut now, &staying);
        if container.restart_policy.as_deref() == Some("Always") {
            staying = now.clone();
        }
        at_least(&mut largest, &now);
    }
    add(&mut sum, &staying);
    at_least(&mut sum, &largest);
    if let Some(overhead) = &spec.overhead {
        add(&mut sum, &amounts(overhead));
    }
    sum
}

fn asked(container: &Container) -> Amounts {
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    requests.map(amounts).unwrap_or_default()
}

/// The amounts that a map of quantities says.
pub(super) fn amounts(quantities: &BTreeMap<String, Quantity>) -> Amounts {
    quantities.iter().map(|(name, quantity)| (name.clone(), parse(quantity))).collect()
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *sum.entry(name.clone()).or_default() += amount;
    }
}

fn at_least(sum: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let had = sum.entry(name.clone()).or_default();
        *had = (*had).max(*amount);
    }
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = port.host_port.filter(|number| *number > 0)?;
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            let address = port.host_ip.clone().filter(|ip| !ip.is_empty());
            Some((protocol, address.unwrap_or_else(|| "0.0.0.0".to_owned()), number))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn demand(spec: serde_json::Value) -> Demand {
        let pod = json!({ "metadata": { "uid": "u" }, "spec": spec });
        Demand::of(&serde_json::from_value(pod).expect("a pod"))
    }

    fn container(cpu: &str) -> serde_json::Value {
        json!({ "name": "c", "resources": { "requests": { "cpu": cpu } } })
    }

    #[test]
    fn containers_are_added_and_a_larger_init_container_wins() {
        let both = demand(json!({ "containers": [container("100m"), container("200m")] }));
        assert_eq!(both.requests["cpu"], 300);
        let with_init = json!({
            "containers": [container("100m")], "initContainers": [container("1"), container("50m")],
        });
        assert_eq!(demand(with_init).requests["cpu"], 1000);
    }

    #[test]
    fn a_sidecar_counts_with_all_that_run_beside_it() {
        let mut sidecar = container("300m");
        sidecar["restartPolicy"] = json!("Always");
        let spec = json!({
            "containers": [container("100m")],
            "initContainers": [sidecar, container("500m")],
            "overhead": { "cpu": "10m" },
        });
        assert_eq!(demand(spec).requests["cpu"], 810, "sidecar + the second init + overhead");
    }

    #[test]
    fn what_is_not_said_is_guessed_for_scoring_alone() {
        let nothing = demand(json!({ "containers": [{ "name": "c" }] }));
        assert!(nothing.requests.is_empty());
        assert_eq!(nothing.guessed, (CPU_GUESS, MEMORY_GUESS));
    }
}
