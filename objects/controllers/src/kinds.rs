//! The kinds that informers hold, and what of them is not kept.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service,
    ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;

use crate::informer::Informed;

impl Informed for Pod {
    /// Pods are found by their node; those without one by the empty string.
    fn index(&self) -> Option<&str> {
        Some(self.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default())
    }
}

impl Informed for ConfigMap {
    /// Only the CA's ConfigMap is read, and that one is known by name.
    fn trim(&mut self) {
        if self.metadata.name.as_deref() != Some("kube-root-ca.crt") {
            self.data = None;
        }
        self.binary_data = None;
    }
}

macro_rules! informed {
    ($($kind:ty),* $(,)?) => { $(impl Informed for $kind {})* };
}

informed!(
    CronJob,
    DaemonSet,
    Deployment,
    EndpointSlice,
    Endpoints,
    Job,
    Lease,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    PodDisruptionBudget,
    PriorityClass,
    ReplicaSet,
    Service,
    ServiceAccount,
    StatefulSet,
);
