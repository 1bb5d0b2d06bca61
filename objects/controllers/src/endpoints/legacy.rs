//! Endpoints: the older form of EndpointSlices, one object per Service.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::resolve;
use crate::ownership::is_being_deleted;
use crate::pods;

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const US: &str = "endpoint-controller";
/// More addresses than this are left out: the object would grow too large.
const ADDRESSES_MAX: usize = 1000;

/// Whether these are kept here, and not by a person.
pub(super) fn is_ours(endpoints: &Endpoints) -> bool {
    endpoints.labels().get(MANAGED_BY).is_some_and(|by| by == US)
}

/// The Endpoints of a Service.
pub(super) fn endpoints(service: &Service, pods: &[Arc<Pod>]) -> Endpoints {
    let family = service.spec.as_ref().and_then(|s| s.ip_families.as_ref()?.first().cloned());
    let family = family.unwrap_or_else(|| "IPv4".to_owned());
    let mut subsets: Vec<EndpointSubset> = Vec::new();
    let serving = pods.iter().filter(|p| !pods::is_finished(p) && !is_being_deleted(&p.metadata));
    for pod in serving.take(ADDRESSES_MAX) {
        let Some(ip) = resolve::address(pod, &family) else { continue };
        let address = EndpointAddress {
            ip,
            hostname: resolve::hostname(service, pod),
            node_name: pods::node_name(pod).map(ToOwned::to_owned),
            target_ref: Some(resolve::target(pod)),
        };
        let ports = ports(service, pod);
        let known = subsets.iter().position(|subset| subset.ports == ports);
        let at = known.unwrap_or_else(|| {
            subsets.push(EndpointSubset { ports, ..EndpointSubset::default() });
            subsets.len() - 1
        });
        let ready = pods::is_ready(pod) || resolve::publishes_all(service);
        let subset = &mut subsets[at];
        let to = if ready { &mut subset.addresses } else { &mut subset.not_ready_addresses };
        to.get_or_insert_default().push(address);
    }
    let mut labels = service.labels().clone();
    if resolve::is_headless(service) {
        labels.insert(super::HEADLESS.into(), String::new());
    }
    labels.insert(MANAGED_BY.into(), US.into());
    Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.namespace(),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        subsets: Some(subsets),
    }
}

fn ports(service: &Service, pod: &Pod) -> Option<Vec<EndpointPort>> {
    let ports: Vec<_> = resolve::ports(service, pod)
        .into_iter()
        .map(|port| EndpointPort {
            name: port.name.filter(|name| !name.is_empty()),
            port: port.port.unwrap_or_default(),
            protocol: port.protocol,
            app_protocol: port.app_protocol,
        })
        .collect();
    (!ports.is_empty()).then_some(ports)
}

/// Whether the server has these already; it orders addresses by itself.
pub(super) fn equal(old: &Endpoints, new: &Endpoints) -> bool {
    old.labels() == new.labels() && sorted(old) == sorted(new)
}

fn sorted(endpoints: &Endpoints) -> Vec<EndpointSubset> {
    let mut subsets = endpoints.subsets.clone().unwrap_or_default();
    for subset in &mut subsets {
        let sort = |addresses: &mut Option<Vec<EndpointAddress>>| {
            addresses.iter_mut().for_each(|a| a.sort_by(|a, b| a.ip.cmp(&b.ip)));
        };
        sort(&mut subset.addresses);
        sort(&mut subset.not_ready_addresses);
        subset.ports.iter_mut().for_each(|ports| ports.sort_by_key(|p| (p.name.clone(), p.port)));
    }
    subsets.sort_by_key(|subset| format!("{:?}", subset.ports));
    subsets
}
