//! What only a kind knows: its defaults, what a write may touch, and what makes it valid.
//!
//! A kind is one row of [`Hooks`]; what a row leaves out is the generic behaviour, so that a kind
//! without a row is still served. All hooks are pure functions of the objects they are given.
//!
//! The order of a create: decode and normalise, `default`, `admit_create`, `asked_by`, then the
//! registry fills the system metadata (name, namespace, uid, creationTimestamp), then
//! `prepare_create`, `validate_create`, `warnings`. Of an update: decode, `default`,
//! `prepare_update` (or `prepare_status`), the registry keeps the system metadata,
//! `validate_update` (or `validate_status_update`), `warnings`.
//!
//! Must not know: storage, HTTP, other objects than those given.

use crate::status::FieldErrors;
use at::At;
use schema::Value;

mod amounts;
mod at;
mod autoscaler;
mod certificates;
mod checks;
mod classes;
mod cluster_addresses;
mod config;
mod csi;
mod edit;
mod endpoints;
mod event;
mod flow;
pub(crate) mod formats;
#[cfg(test)]
mod golden;
mod guards;
mod ip;
mod jobs;
mod metadata;
mod namespace;
mod networking;
mod node;
mod pod;
mod quantity;
mod rbac;
mod selection;
mod service;
mod service_rules;
#[cfg(test)]
mod shapes;
mod storage_kinds;
mod taints;
mod volumes;
mod webhooks;
mod workloads;

pub use metadata::NameRule;
pub use pod::validate_ephemeral;

/// Who makes an object.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// The name of the user.
    pub name: &'a str,
    /// The uid of the user, often empty.
    pub uid: &'a str,
    /// The groups of the user.
    pub groups: &'a [String],
    /// What else is known of the user.
    pub extra: &'a [(String, Vec<String>)],
}

/// What a kind adds to the generic registry.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// What its objects may be called.
    pub name: NameRule,
    /// Fills what the client left out.
    pub default: fn(&mut Value),
    /// What the default admission plugins add on create without looking at other objects.
    pub admit_create: fn(&mut Value),
    /// Writes down who asks, where an object says so.
    pub asked_by: fn(&mut Value, &Requester),
    /// Drops what a client may not set on create, adds what the server sets.
    pub prepare_create: fn(&mut Value),
    /// Takes from the old object what an update may not set. The generic rule of the row (status
    /// kept, generation counted) is the registry's.
    pub prepare_update: fn(&mut Value, &Value),
    /// The same for an update of the status, where everything but the status is kept.
    pub prepare_status: fn(&mut Value, &Value),
    /// What the client is told of a new object, or of one that replaces the second.
    pub warnings: fn(&Value, Option<&Value>) -> Vec<String>,
    /// Whether a finalizer without a domain must be one that Kubernetes itself knows.
    known_finalizers: bool,
    create: fn(&At, &mut FieldErrors),
    update: fn(&At, &At, &mut FieldErrors),
    status: fn(&At, &At, &mut FieldErrors),
}

/// The row of a kind that knows nothing of its own.
const GENERIC: Hooks = Hooks {
    name: NameRule::PathSegment,
    default: |_| {},
    admit_create: |_| {},
    asked_by: |_, _| {},
    prepare_create: |_| {},
    prepare_update: |_, _| {},
    prepare_status: |_, _| {},
    warnings: |_, _| Vec::new(),
    known_finalizers: true,
    create: |_, _| {},
    update: |_, _, _| {},
    status: |_, _, _| {},
};

/// The row of a kind of which only the names are known to be DNS subdomains.
const NAMED: Hooks = Hooks { name: NameRule::Subdomain, ..GENERIC };

impl Hooks {
    /// Whether the object, defaulted and prepared, may be created.
    pub fn validate_create(&self, object: &Value, namespaced: bool, errors: &mut FieldErrors) {
        let root = At::root(object);
        metadata::validate(&root.at("metadata"), self.name, namespaced, errors);
        self.finalizers(&root, errors);
        (self.create)(&root, errors);
        metadata::each_once(errors);
    }

    /// Whether the object may replace the old one.
    pub fn validate_update(
        &self,
        new: &Value,
        old: &Value,
        namespaced: bool,
        errors: &mut FieldErrors,
    ) {
        self.validate_change(self.update, new, old, namespaced, errors);
    }

    /// Whether the object may replace the old one through its status subresource.
    pub fn validate_status_update(
        &self,
        new: &Value,
        old: &Value,
        namespaced: bool,
        errors: &mut FieldErrors,
    ) {
        self.validate_change(self.status, new, old, namespaced, errors);
    }

    fn validate_change(
        &self,
        own: fn(&At, &At, &mut FieldErrors),
        new: &Value,
        old: &Value,
        namespaced: bool,
        errors: &mut FieldErrors,
    ) {
        let (new, old) = (At::root(new), At::root(old));
        let metadata = new.at("metadata");
        metadata::validate(&metadata, NameRule::PathSegment, namespaced, errors);
        metadata::validate_update(&metadata, &old.at("metadata"), errors);
        self.finalizers(&new, errors);
        own(&new, &old, errors);
        metadata::each_once(errors);
    }

    fn finalizers(&self, object: &At, errors: &mut FieldErrors) {
        if self.known_finalizers {
            metadata::known_finalizers(&object.at("metadata.finalizers"), errors);
        }
    }
}

/// The row of a kind; the generic one for kinds without.
#[must_use]
pub fn hooks(group: &str, kind: &str) -> &'static Hooks {
    let found =
        ROWS.iter().find(|(its_group, its_kind, _)| *its_kind == kind && *its_group == group);
    found.map_or(&GENERIC, |(_, _, row)| row)
}

/// Every kind that knows something of its own: group, kind, row.
static ROWS: [(&str, &str, Hooks); 58] = [
    ("", "ConfigMap", config::CONFIG_MAP),
    ("", "Endpoints", endpoints::ENDPOINTS),
    ("", "Event", event::CORE_EVENT),
    ("", "LimitRange", guards::LIMIT_RANGE),
    ("", "Namespace", namespace::NAMESPACE),
    ("", "Node", node::NODE),
    ("", "PersistentVolume", storage_kinds::PERSISTENT_VOLUME),
    ("", "PersistentVolumeClaim", storage_kinds::PERSISTENT_VOLUME_CLAIM),
    ("", "Pod", pod::POD),
    ("", "PodTemplate", pod::POD_TEMPLATE),
    ("", "ReplicationController", workloads::REPLICATION_CONTROLLER),
    ("", "ResourceQuota", guards::RESOURCE_QUOTA),
    ("", "Secret", config::SECRET),
    ("", "Service", service::SERVICE),
    ("", "ServiceAccount", config::SERVICE_ACCOUNT),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy", NAMED),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", NAMED),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", webhooks::MUTATING),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", NAMED),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", NAMED),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", webhooks::VALIDATING),
    ("apiextensions.k8s.io", "CustomResourceDefinition", NAMED),
    ("apps", "ControllerRevision", guards::CONTROLLER_REVISION),
    ("apps", "DaemonSet", workloads::DAEMON_SET),
    ("apps", "Deployment", workloads::DEPLOYMENT),
    ("apps", "ReplicaSet", workloads::REPLICA_SET),
    ("apps", "StatefulSet", workloads::STATEFUL_SET),
    ("autoscaling", "HorizontalPodAutoscaler", autoscaler::HORIZONTAL_POD_AUTOSCALER),
    ("batch", "CronJob", jobs::CRON_JOB),
    ("batch", "Job", jobs::JOB),
    ("certificates.k8s.io", "CertificateSigningRequest", certificates::CERTIFICATE_SIGNING_REQUEST),
    ("coordination.k8s.io", "Lease", event::LEASE),
    ("discovery.k8s.io", "EndpointSlice", endpoints::ENDPOINT_SLICE),
    ("events.k8s.io", "Event", event::EVENT),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema", flow::FLOW_SCHEMA),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", flow::PRIORITY_LEVEL),
    ("networking.k8s.io", "IPAddress", cluster_addresses::IP_ADDRESS),
    ("networking.k8s.io", "Ingress", networking::INGRESS),
    ("networking.k8s.io", "IngressClass", networking::INGRESS_CLASS),
    ("networking.k8s.io", "NetworkPolicy", networking::NETWORK_POLICY),
    ("networking.k8s.io", "ServiceCIDR", cluster_addresses::SERVICE_CIDR),
    ("node.k8s.io", "RuntimeClass", classes::RUNTIME_CLASS),
    ("policy", "PodDisruptionBudget", guards::POD_DISRUPTION_BUDGET),
    ("rbac.authorization.k8s.io", "ClusterRole", rbac::CLUSTER_ROLE),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", rbac::CLUSTER_ROLE_BINDING),
    ("rbac.authorization.k8s.io", "Role", rbac::ROLE),
    ("rbac.authorization.k8s.io", "RoleBinding", rbac::ROLE_BINDING),
    ("resource.k8s.io", "DeviceClass", cluster_addresses::DEVICE_CLASS),
    ("resource.k8s.io", "ResourceClaim", NAMED),
    ("resource.k8s.io", "ResourceClaimTemplate", NAMED),
    ("resource.k8s.io", "ResourceSlice", NAMED),
    ("scheduling.k8s.io", "PriorityClass", classes::PRIORITY_CLASS),
    ("storage.k8s.io", "CSIDriver", csi::CSI_DRIVER),
    ("storage.k8s.io", "CSINode", csi::CSI_NODE),
    ("storage.k8s.io", "CSIStorageCapacity", csi::CSI_STORAGE_CAPACITY),
    ("storage.k8s.io", "StorageClass", classes::STORAGE_CLASS),
    ("storage.k8s.io", "VolumeAttachment", csi::VOLUME_ATTACHMENT),
    ("storage.k8s.io", "VolumeAttributesClass", csi::VOLUME_ATTRIBUTES_CLASS),
];
