//! What the facts of a release cannot say of a resource: one table, one row per exception.
//!
//! Invariant: a resource without a row is served by `BASE`, so that a new kind costs a row only
//! where it differs. The table holds data and pointers to behaviour, never a verb.
//!
//! *Source*: the strategies of kube-apiserver 1.37.0.

use std::time::Duration;

use super::selectable;
use crate::cache::Extract;
use crate::selector::FieldLabels;

/// Which default a deletion has when neither the client nor a finalizer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultPropagation {
    /// Dependents are deleted by the garbage collector afterwards.
    Background,
    /// Dependents are set free.
    Orphan,
    /// The garbage collector does not look at these objects: no finalizers of its are set.
    Unsupported,
}

/// Which changes count as a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Not counted.
    Uncounted,
    /// 1 from the creation on.
    First,
    /// A change of the spec.
    Spec,
    /// The same, but nothing is counted before the first.
    SpecFromNone,
    /// A change of the spec or of the annotations.
    SpecOrAnnotations,
    /// A change of anything but the metadata and the status.
    Content,
    /// A change of anything but the status and what the server fills in the metadata; labels,
    /// annotations and owners count.
    ContentOrLabels,
}

/// What a write to the status subresource keeps of the old metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusMetadata {
    /// Nothing: metadata may be changed.
    Free,
    /// The labels.
    KeepLabels,
    /// The owner references.
    KeepOwners,
    /// All that a client may set.
    KeepAll,
}

/// Whether deletions wait for somebody to end the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// They do not.
    None,
    /// They wait for the node the object is on, as long as the object or the client says.
    Pod,
}

/// Where the scale of a kind is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// `spec.selector` is a label selector.
    LabelSelector,
    /// `spec.selector` is a map of labels.
    LabelMap,
}

/// What is special about a resource. See the fields.
#[derive(Debug)]
pub struct Rule {
    /// The group, empty for core.
    pub group: &'static str,
    /// The resource: `pods`.
    pub resource: &'static str,
    /// Where objects are kept, below the storage's root; empty for the resource's own name.
    pub prefix: &'static str,
    /// Whether an object without a name is given a uid for one.
    pub named_by_uid: bool,
    /// Whether an update may create.
    pub create_on_update: bool,
    /// Whether an update without a resourceVersion is taken.
    pub unconditional_update: bool,
    /// See [`DefaultPropagation`].
    pub propagation: DefaultPropagation,
    /// Versions whose deletions orphan by default, whatever `propagation` says.
    pub orphan_versions: &'static [&'static str],
    /// What a deletion that does not say what becomes of dependents is told.
    pub delete_warning: Option<&'static str>,
    /// See [`Generation`].
    pub generation: Generation,
    /// Whether a status given on creation is kept; else it is dropped where the resource has a
    /// status subresource.
    pub status_on_create: bool,
    /// See [`StatusMetadata`].
    pub status_metadata: StatusMetadata,
    /// Whether a deletion answers the deleted object instead of a report.
    pub returns_deleted: bool,
    /// See [`Grace`].
    pub grace: Grace,
    /// How long an object lives after its last write.
    pub ttl: Option<Duration>,
    /// The group version objects are stored in; empty for the preferred one.
    pub stored: (&'static str, &'static str),
    /// Fields by which objects may be selected.
    pub fields: FieldLabels,
    /// Reads the selectable fields besides name and namespace.
    pub extract: Option<Extract>,
    /// See [`Scale`].
    pub scale: Option<Scale>,
    /// Whether objects are namespaces: they are deleted in two phases, by `spec.finalizers`.
    pub is_namespace: bool,
    /// Whether creation takes cluster addresses and node ports.
    pub takes_addresses: bool,
    /// An annotation that the real one's internal form has as a field, and its zero value: tables
    /// and metadata alone, which are made from that form, are without it.
    pub internal_annotation: Option<(&'static str, &'static str)>,
}

/// The rule of a resource that has none of its own.
pub(super) const BASE: Rule = Rule {
    group: "",
    resource: "",
    prefix: "",
    named_by_uid: false,
    create_on_update: false,
    unconditional_update: true,
    propagation: DefaultPropagation::Background,
    orphan_versions: &[],
    delete_warning: None,
    generation: Generation::Uncounted,
    status_on_create: false,
    status_metadata: StatusMetadata::Free,
    returns_deleted: false,
    grace: Grace::None,
    ttl: None,
    stored: ("", ""),
    fields: FieldLabels::METADATA,
    extract: None,
    scale: None,
    is_namespace: false,
    takes_addresses: false,
    internal_annotation: None,
};

const EVENT_TTL: Option<Duration> = Some(Duration::from_secs(3600));

const fn counted(group: &'static str, resource: &'static str) -> Rule {
    Rule { group, resource, generation: Generation::Spec, ..BASE }
}

/// The exceptions, by group.
static RULES: &[Rule] = &[
    // core
    Rule {
        resource: "pods",
        generation: Generation::Spec,
        status_metadata: StatusMetadata::KeepOwners,
        returns_deleted: true,
        grace: Grace::Pod,
        fields: selectable::POD,
        extract: Some(selectable::pod),
        ..BASE
    },
    Rule {
        resource: "nodes",
        prefix: "minions",
        status_on_create: true,
        fields: selectable::NODE,
        extract: Some(selectable::node),
        ..BASE
    },
    Rule {
        resource: "namespaces",
        is_namespace: true,
        returns_deleted: true,
        fields: selectable::NAMESPACE,
        extract: Some(selectable::namespace),
        ..BASE
    },
    Rule {
        resource: "services",
        prefix: "services/specs",
        create_on_update: true,
        returns_deleted: true,
        takes_addresses: true,
        fields: selectable::SERVICE,
        extract: Some(selectable::service),
        ..BASE
    },
    Rule { resource: "endpoints", prefix: "services/endpoints", create_on_update: true, ..BASE },
    Rule {
        resource: "replicationcontrollers",
        prefix: "controllers",
        generation: Generation::Spec,
        propagation: DefaultPropagation::Orphan,
        fields: selectable::REPLICATION,
        extract: Some(selectable::replication),
        scale: Some(Scale::LabelMap),
        ..BASE
    },
    Rule {
        resource: "events",
        create_on_update: true,
        propagation: DefaultPropagation::Unsupported,
        ttl: EVENT_TTL,
        fields: selectable::EVENT,
        extract: Some(selectable::event),
        ..BASE
    },
    Rule { resource: "limitranges", create_on_update: true, named_by_uid: true, ..BASE },
    Rule {
        resource: "secrets",
        fields: selectable::SECRET,
        extract: Some(selectable::secret),
        ..BASE
    },
    Rule { returns_deleted: true, generation: Generation::Content, ..counted("", "podtemplates") },
    Rule { resource: "persistentvolumeclaims", returns_deleted: true, ..BASE },
    Rule { resource: "persistentvolumes", returns_deleted: true, ..BASE },
    Rule { resource: "resourcequotas", returns_deleted: true, ..BASE },
    Rule { resource: "serviceaccounts", returns_deleted: true, ..BASE },
    // events.k8s.io
    Rule {
        group: "events.k8s.io",
        resource: "events",
        create_on_update: true,
        propagation: DefaultPropagation::Unsupported,
        ttl: EVENT_TTL,
        stored: ("", "v1"),
        fields: selectable::NEW_EVENT,
        extract: Some(selectable::event),
        ..BASE
    },
    // apps
    Rule {
        generation: Generation::SpecOrAnnotations,
        status_metadata: StatusMetadata::KeepLabels,
        scale: Some(Scale::LabelSelector),
        ..counted("apps", "deployments")
    },
    Rule { scale: Some(Scale::LabelSelector), ..counted("apps", "replicasets") },
    Rule { scale: Some(Scale::LabelSelector), ..counted("apps", "statefulsets") },
    Rule {
        internal_annotation: Some(("deprecated.daemonset.template.generation", "0")),
        ..counted("apps", "daemonsets")
    },
    // batch
    Rule {
        propagation: DefaultPropagation::Orphan,
        delete_warning: Some(
            "child pods are preserved by default when jobs are deleted; set \
             propagationPolicy=Background to remove them or set propagationPolicy=Orphan to \
             suppress this warning",
        ),
        fields: selectable::JOB,
        extract: Some(selectable::job),
        ..counted("batch", "jobs")
    },
    Rule { orphan_versions: &["v1beta1"], stored: ("batch", "v1"), ..counted("batch", "cronjobs") },
    // autoscaling
    Rule { stored: ("autoscaling", "v2"), ..counted("autoscaling", "horizontalpodautoscalers") },
    // policy
    Rule { unconditional_update: false, ..counted("policy", "poddisruptionbudgets") },
    // coordination.k8s.io
    Rule {
        group: "coordination.k8s.io",
        resource: "leases",
        create_on_update: true,
        unconditional_update: false,
        ..BASE
    },
    // discovery.k8s.io
    Rule {
        generation: Generation::ContentOrLabels,
        ..counted("discovery.k8s.io", "endpointslices")
    },
    // networking.k8s.io
    Rule { prefix: "ingress", ..counted("networking.k8s.io", "ingresses") },
    counted("networking.k8s.io", "ingressclasses"),
    counted("networking.k8s.io", "networkpolicies"),
    Rule {
        group: "networking.k8s.io",
        resource: "servicecidrs",
        status_metadata: StatusMetadata::KeepAll,
        ..BASE
    },
    // node.k8s.io
    Rule {
        group: "node.k8s.io",
        resource: "runtimeclasses",
        create_on_update: true,
        unconditional_update: false,
        ..BASE
    },
    // scheduling.k8s.io
    Rule { generation: Generation::First, ..counted("scheduling.k8s.io", "priorityclasses") },
    // rbac.authorization.k8s.io
    Rule { create_on_update: true, ..rbac("roles") },
    Rule { create_on_update: true, ..rbac("rolebindings") },
    Rule { create_on_update: true, ..rbac("clusterroles") },
    Rule { create_on_update: true, ..rbac("clusterrolebindings") },
    // storage.k8s.io
    Rule {
        unconditional_update: false,
        returns_deleted: true,
        generation: Generation::SpecFromNone,
        ..counted("storage.k8s.io", "csidrivers")
    },
    storage("csinodes", false),
    Rule { returns_deleted: false, ..storage("csistoragecapacities", false) },
    storage("storageclasses", true),
    Rule { status_metadata: StatusMetadata::KeepAll, ..storage("volumeattachments", false) },
    storage("volumeattributesclasses", true),
    // resource.k8s.io
    Rule {
        returns_deleted: true,
        generation: Generation::Content,
        ..counted("resource.k8s.io", "deviceclasses")
    },
    Rule {
        group: "resource.k8s.io",
        resource: "resourceclaims",
        returns_deleted: true,
        status_metadata: StatusMetadata::KeepAll,
        ..BASE
    },
    Rule { returns_deleted: true, ..plain("resource.k8s.io", "resourceclaimtemplates") },
    Rule {
        returns_deleted: true,
        fields: selectable::RESOURCE_SLICE,
        extract: Some(selectable::resource_slice),
        ..counted("resource.k8s.io", "resourceslices")
    },
    Rule {
        status_metadata: StatusMetadata::KeepAll,
        ..counted("resource.k8s.io", "devicetaintrules")
    },
    // certificates.k8s.io
    Rule {
        group: "certificates.k8s.io",
        resource: "certificatesigningrequests",
        fields: selectable::SIGNER,
        extract: Some(selectable::signer),
        ..BASE
    },
    Rule {
        group: "certificates.k8s.io",
        resource: "clustertrustbundles",
        unconditional_update: false,
        fields: selectable::SIGNER,
        extract: Some(selectable::signer),
        ..BASE
    },
    Rule {
        group: "certificates.k8s.io",
        resource: "podcertificaterequests",
        unconditional_update: false,
        status_metadata: StatusMetadata::KeepAll,
        fields: selectable::POD_CERTIFICATE,
        extract: Some(selectable::pod_certificate),
        ..BASE
    },
    // storagemigration.k8s.io
    Rule {
        group: "storagemigration.k8s.io",
        resource: "storageversionmigrations",
        unconditional_update: false,
        status_metadata: StatusMetadata::KeepAll,
        ..BASE
    },
    // flowcontrol.apiserver.k8s.io
    Rule {
        status_metadata: StatusMetadata::KeepAll,
        ..counted("flowcontrol.apiserver.k8s.io", "flowschemas")
    },
    Rule {
        status_metadata: StatusMetadata::KeepAll,
        ..counted("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations")
    },
    // admissionregistration.k8s.io
    admission("mutatingwebhookconfigurations"),
    admission("validatingwebhookconfigurations"),
    Rule { status_metadata: StatusMetadata::KeepAll, ..admission("validatingadmissionpolicies") },
    admission("validatingadmissionpolicybindings"),
    admission("mutatingadmissionpolicies"),
    admission("mutatingadmissionpolicybindings"),
    // apiextensions.k8s.io, apiregistration.k8s.io
    Rule {
        prefix: "apiextensions.k8s.io/customresourcedefinitions",
        unconditional_update: false,
        ..counted("apiextensions.k8s.io", "customresourcedefinitions")
    },
    Rule {
        group: "apiregistration.k8s.io",
        resource: "apiservices",
        prefix: "apiregistration.k8s.io/apiservices",
        unconditional_update: false,
        ..BASE
    },
];

const fn plain(group: &'static str, resource: &'static str) -> Rule {
    Rule { group, resource, ..BASE }
}

const fn rbac(resource: &'static str) -> Rule {
    plain("rbac.authorization.k8s.io", resource)
}

const fn storage(resource: &'static str, unconditional_update: bool) -> Rule {
    Rule { unconditional_update, returns_deleted: true, ..plain("storage.k8s.io", resource) }
}

const fn admission(resource: &'static str) -> Rule {
    Rule {
        group: "admissionregistration.k8s.io",
        resource,
        unconditional_update: false,
        generation: Generation::Content,
        ..BASE
    }
}

/// The rule of a resource.
#[must_use]
pub fn rule_of(group: &str, resource: &str) -> &'static Rule {
    static DEFAULT: Rule = BASE;
    RULES.iter().find(|rule| rule.resource == resource && rule.group == group).unwrap_or(&DEFAULT)
}
