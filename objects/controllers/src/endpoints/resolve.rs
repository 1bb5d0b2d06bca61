//! Which pods serve a Service, at which addresses and ports.
//!
//! Must not know: the API. Services and pods go in, slices come out.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::ownership::{controller_reference, is_being_deleted};
use crate::pods;
use crate::selector::Labels;

/// A slice has at most so many endpoints.
const ENDPOINTS_MAX: usize = 100;

/// One slice as it should be.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    family: String,
    pub(super) ports: Vec<EndpointPort>,
    pub(super) endpoints: Vec<Endpoint>,
}

impl Slice {
    /// Whether an existing slice can become this one: its address type never changes.
    pub(super) fn fits(&self, old: &EndpointSlice) -> bool {
        old.address_type == self.family && old.ports.clone().unwrap_or_default() == self.ports
    }

    /// Whether an existing slice is this one already.
    pub(super) fn equals(&self, old: &EndpointSlice) -> bool {
        self.fits(old) && old.endpoints.clone().unwrap_or_default() == self.endpoints
    }

    /// The slice as it is to be created.
    pub(super) fn object(self, service: &Service, labels: Labels) -> EndpointSlice {
        EndpointSlice {
            metadata: ObjectMeta {
                generate_name: Some(format!("{}-", service.name_any())),
                namespace: service.namespace(),
                labels: Some(labels),
                owner_references: Some(vec![controller_reference(service)]),
                ..ObjectMeta::default()
            },
            address_type: self.family,
            ports: Some(self.ports),
            endpoints: Some(self.endpoints),
        }
    }
}

/// Whether the Service chooses its pods by labels.
pub(super) fn has_selector(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    let is_external = spec.and_then(|s| s.type_.as_deref()) == Some("ExternalName");
    !is_external && spec.and_then(|s| s.selector.as_ref()).is_some_and(|s| !s.is_empty())
}

/// Whether the Service chooses this pod.
pub(super) fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = service.spec.as_ref().and_then(|s| s.selector.as_ref());
    let labels = pod.labels();
    has_selector(service)
        && selector.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether the Service has no address of its own.
pub(super) fn is_headless(service: &Service) -> bool {
    let address = service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref());
    matches!(address, None | Some("None" | ""))
}

/// Whether a pod's change is none to a Service.
pub(super) fn serves_alike(old: &Pod, new: &Pod) -> bool {
    let ips = |pod: &Pod| pod.status.as_ref().and_then(|s| s.pod_ips.clone());
    old.labels() == new.labels()
        && pods::is_ready(old) == pods::is_ready(new)
        && pods::is_finished(old) == pods::is_finished(new)
        && is_being_deleted(&old.metadata) == is_being_deleted(&new.metadata)
        && pods::node_name(old) == pods::node_name(new)
        && ips(old) == ips(new)
}

/// The slices of a Service: for each family of addresses, by the ports that the pods give, so many
/// endpoints each; one empty slice if nothing serves.
pub(super) fn slices(
    service: &Service,
    pods: &[Arc<Pod>],
    zone: &dyn Fn(&str) -> Option<String>,
) -> Vec<Slice> {
    let families = service.spec.as_ref().and_then(|s| s.ip_families.clone()).unwrap_or_default();
    let families = if families.is_empty() { vec!["IPv4".to_owned()] } else { families };
    let mut slices = Vec::new();
    for family in families {
        let mut groups: Vec<(Vec<EndpointPort>, Vec<Endpoint>)> = Vec::new();
        for pod in pods.iter().filter(|pod| !pods::is_finished(pod)) {
            let Some(address) = address(pod, &family) else { continue };
            let ports = ports(service, pod);
            let endpoint = endpoint(service, pod, address, zone);
            match groups.iter_mut().find(|(known, _)| *known == ports) {
                Some((_, endpoints)) => endpoints.push(endpoint),
                None => groups.push((ports, vec![endpoint])),
            }
        }
        if groups.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        for (ports, endpoints) in groups {
            let mut rest = endpoints.as_slice();
            loop {
                let (chunk, others) = rest.split_at(rest.len().min(ENDPOINTS_MAX));
                let (family, ports) = (family.clone(), ports.clone());
                slices.push(Slice { family, ports, endpoints: chunk.to_vec() });
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
        }
    }
    slices
}

/// The pod's address of a family.
pub(super) fn address(pod: &Pod, family: &str) -> Option<String> {
    let ips = pod.status.as_ref()?.pod_ips.as_deref()?;
    let is_six = family == "IPv6";
    ips.iter().map(|ip| &ip.ip).find(|ip| ip.contains(':') == is_six).cloned()
}

fn endpoint(
    service: &Service,
    pod: &Pod,
    address: String,
    zone: &dyn Fn(&str) -> Option<String>,
) -> Endpoint {
    let (serving, terminating) = (pods::is_ready(pod), is_being_deleted(&pod.metadata));
    let node = pods::node_name(pod);
    Endpoint {
        addresses: vec![address],
        conditions: Some(EndpointConditions {
            ready: Some(publishes_all(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        node_name: node.map(ToOwned::to_owned),
        zone: node.and_then(zone),
        hostname: hostname(service, pod),
        target_ref: Some(target(pod)),
        ..Endpoint::default()
    }
}

/// Whether the Service wants pods that are not ready as well.
pub(super) fn publishes_all(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.publish_not_ready_addresses).unwrap_or_default()
}

/// The pod's name within a Service that is its subdomain.
pub(super) fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let is_subdomain = spec.subdomain.as_deref() == Some(service.name_any().as_str());
    spec.hostname.clone().filter(|name| is_subdomain && !name.is_empty())
}

pub(super) fn target(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".into()),
        namespace: pod.namespace(),
        name: pod.metadata.name.clone(),
        uid: pod.uid(),
        ..ObjectReference::default()
    }
}

/// The ports of the Service as this pod has them; those by a name that it does not have are left
/// out.
pub(super) fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let of_service = service.spec.as_ref().and_then(|s| s.ports.as_deref()).unwrap_or_default();
    let resolved = of_service.iter().filter_map(|port| {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        let number = match &port.target_port {
            Some(IntOrString::String(name)) => named_port(pod, name, &protocol)?,
            Some(IntOrString::Int(number)) if *number != 0 => *number,
            _ => port.port,
        };
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(number),
            protocol: Some(protocol),
            app_protocol: port.app_protocol.clone(),
        })
    });
    resolved.collect()
}

fn named_port(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let containers = &pod.spec.as_ref()?.containers;
    let mut ports = containers.iter().flat_map(|c| c.ports.iter().flatten());
    let found = ports.find(|port| {
        let its = port.protocol.as_deref().unwrap_or("TCP");
        port.name.as_deref() == Some(name) && its == protocol
    });
    found.map(|port| port.container_port)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(spec: Value) -> Service {
        let service = json!({"metadata": {"name": "web", "namespace": "n"}, "spec": spec});
        serde_json::from_value(service).expect("a Service")
    }

    fn pod(ip: &str, ready: bool, port: i32) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"name": ip, "labels": {"app": "web"}},
            "spec": {"nodeName": "n1", "containers": [
                {"name": "c", "ports": [{"name": "http", "containerPort": port}]}]},
            "status": {"podIPs": [{"ip": ip}], "conditions": [
                {"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        });
        Arc::new(serde_json::from_value(pod).expect("a Pod"))
    }

    fn by_name() -> Service {
        service(json!({"selector": {"app": "web"}, "clusterIP": "10.0.0.1",
            "ports": [{"port": 80, "targetPort": "http"}]}))
    }

    #[test]
    fn pods_are_listed_by_the_ports_that_they_give() {
        let pods =
            [pod("10.1.0.1", true, 80), pod("10.1.0.2", false, 80), pod("10.1.0.3", true, 8080)];
        let slices = slices(&by_name(), &pods, &|_| Some("z".into()));
        let shape: Vec<_> = slices.iter().map(|s| (s.ports[0].port, s.endpoints.len())).collect();
        assert_eq!(shape, [(Some(80), 2), (Some(8080), 1)]);
        let ready: Vec<_> = slices[0]
            .endpoints
            .iter()
            .map(|e| e.conditions.clone().and_then(|c| c.ready))
            .collect();
        assert_eq!(ready, [Some(true), Some(false)]);
        assert_eq!(slices[0].endpoints[0].zone.as_deref(), Some("z"));
    }

    #[test]
    fn a_slice_has_a_hundred_endpoints_at_most() {
        let pods: Vec<_> = (0..250).map(|i| pod(&format!("10.1.0.{i}"), true, 80)).collect();
        let slices = slices(&by_name(), &pods, &|_| None);
        let sizes: Vec<_> = slices.iter().map(|s| s.endpoints.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[test]
    fn nothing_served_is_one_empty_slice() {
        let slices = slices(&by_name(), &[], &|_| None);
        assert_eq!((slices.len(), slices[0].endpoints.len()), (1, 0));
        assert!(!has_selector(&service(json!({"ports": []}))));
    }
}
