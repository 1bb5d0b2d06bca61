//! The fields by which objects can be selected besides their labels, kind by kind.
//!
//! Invariant: every supported field besides name and namespace is among what the kind's function
//! reads, so that an absent one equals the empty text.
//!
//! *Source*: `AddFieldLabelConversionFunc` and the selectable fields of kube-apiserver 1.37.0.

use schema::Value;

use crate::selector::{FieldLabels, UnknownFieldWords};

type Fields = Vec<(&'static str, String)>;

const NAME: &str = "metadata.name";
const NAMESPACE_FIELD: &str = "metadata.namespace";

pub(super) const POD: FieldLabels = FieldLabels {
    supported: &[
        NAME,
        NAMESPACE_FIELD,
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ],
    renamed: &[("spec.host", "spec.nodeName")],
    words: UnknownFieldWords::NotSupported,
};

pub(super) const NODE: FieldLabels = FieldLabels::of(&[NAME, "spec.unschedulable"]);
pub(super) const NAMESPACE: FieldLabels = FieldLabels::of(&[NAME, "status.phase"]);
pub(super) const SERVICE: FieldLabels =
    FieldLabels::of(&[NAME, NAMESPACE_FIELD, "spec.clusterIP", "spec.type"]);
pub(super) const REPLICATION: FieldLabels =
    FieldLabels::of(&[NAME, NAMESPACE_FIELD, "status.replicas"]);
pub(super) const SECRET: FieldLabels = FieldLabels::of(&[NAME, NAMESPACE_FIELD, "type"]);
pub(super) const EVENT: FieldLabels = FieldLabels::of(EVENT_FIELDS);
pub(super) const JOB: FieldLabels = FieldLabels {
    supported: &[NAME, NAMESPACE_FIELD, "status.successful"],
    renamed: &[],
    words: UnknownFieldWords::NotSupportedForKind("Job"),
};
pub(super) const SIGNER: FieldLabels = FieldLabels {
    supported: &[NAME, "spec.signerName"],
    renamed: &[],
    words: UnknownFieldWords::NotSupported,
};
pub(super) const POD_CERTIFICATE: FieldLabels = FieldLabels {
    supported: &[NAME, NAMESPACE_FIELD, "spec.signerName", "spec.podName", "spec.nodeName"],
    renamed: &[],
    words: UnknownFieldWords::NotSupported,
};
pub(super) const RESOURCE_SLICE: FieldLabels = FieldLabels {
    supported: &[NAME, "spec.nodeName", "spec.driver", "spec.pool.name"],
    renamed: &[],
    words: UnknownFieldWords::NotSupportedFor("resource.k8s.io/v1, Kind=ResourceSlice"),
};
pub(super) const NEW_EVENT: FieldLabels = FieldLabels {
    supported: EVENT_FIELDS,
    renamed: &[
        ("regarding.kind", "involvedObject.kind"),
        ("regarding.namespace", "involvedObject.namespace"),
        ("regarding.name", "involvedObject.name"),
        ("regarding.uid", "involvedObject.uid"),
        ("regarding.apiVersion", "involvedObject.apiVersion"),
        ("regarding.resourceVersion", "involvedObject.resourceVersion"),
        ("regarding.fieldPath", "involvedObject.fieldPath"),
        ("reportingController", "reportingComponent"),
    ],
    words: UnknownFieldWords::NotSupported,
};

const EVENT_FIELDS: &[&str] = &[
    NAME,
    NAMESPACE_FIELD,
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// A scalar under a path of dots, as a selector compares it.
fn text(object: &Value, path: &str) -> String {
    let found = path.split('.').fold(object, |at, field| &at[field]);
    match found {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn texts(object: &Value, paths: &[&'static str]) -> Fields {
    paths.iter().map(|path| (*path, text(object, path))).collect()
}

/// The same with another text for what is absent.
fn or(object: &Value, path: &'static str, absent: &str) -> (&'static str, String) {
    let text = text(object, path);
    (path, if text.is_empty() { absent.to_owned() } else { text })
}

pub(super) fn pod(object: &Value) -> Fields {
    let mut fields = texts(
        object,
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    );
    fields.push(or(object, "spec.hostNetwork", "false"));
    let list = object["status"]["podIPs"].as_array().into_iter().flatten();
    let addresses: Vec<&str> = list.filter_map(|entry| entry["ip"].as_str()).collect();
    fields.push(("status.podIPs", addresses.join(",")));
    // Compat: the first of the addresses counts where there are several.
    if let Some((_, address)) = fields.iter_mut().find(|(path, _)| *path == "status.podIP")
        && let Some(first) = addresses.first()
    {
        (*first).clone_into(address);
    }
    fields
}

pub(super) fn node(object: &Value) -> Fields {
    vec![or(object, "spec.unschedulable", "false")]
}

pub(super) fn namespace(object: &Value) -> Fields {
    texts(object, &["status.phase"])
}

pub(super) fn service(object: &Value) -> Fields {
    texts(object, &["spec.clusterIP", "spec.type"])
}

pub(super) fn replication(object: &Value) -> Fields {
    vec![or(object, "status.replicas", "0")]
}

pub(super) fn secret(object: &Value) -> Fields {
    texts(object, &["type"])
}

pub(super) fn event(object: &Value) -> Fields {
    let mut fields = texts(object, &EVENT_FIELDS[2..11]);
    let component = text(object, "source.component");
    let reporter = text(object, "reportingComponent");
    fields.push(("source", if component.is_empty() { reporter } else { component }));
    fields.extend(texts(object, &["type"]));
    fields
}

pub(super) fn job(object: &Value) -> Fields {
    // Compat: the field is called `successful`, what it reads is `succeeded`.
    let succeeded = text(object, "status.succeeded");
    vec![("status.successful", if succeeded.is_empty() { "0".to_owned() } else { succeeded })]
}

pub(super) fn signer(object: &Value) -> Fields {
    texts(object, &["spec.signerName"])
}

pub(super) fn pod_certificate(object: &Value) -> Fields {
    texts(object, &["spec.signerName", "spec.podName", "spec.nodeName"])
}

pub(super) fn resource_slice(object: &Value) -> Fields {
    texts(object, &["spec.nodeName", "spec.driver", "spec.pool.name"])
}
