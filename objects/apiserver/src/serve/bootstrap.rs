//! Objects that everybody assumes to be there: made at the start when they are not.
//!
//! Invariants: nothing that is there is changed, so that any number of servers may do this at the
//! same time, again and again; what was deleted comes back within a minute.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use schema::{Value, typed};
use serde_json::json;

use crate::registry::{
    CreateOptions, GetOptions, Input, Registry, RequestContext, Target, UserInfo,
};
use crate::rest::Step;
use crate::status::{Reason, Status};

/// How often it is looked whether everything is there, once it was; and before.
const AGAIN: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(100);

/// What is assumed of the cluster's network and certificates.
#[derive(Debug, Clone)]
pub(crate) struct Assumed {
    pub(crate) service_cidr: String,
    /// The first address of the range: that of the service `kubernetes`.
    pub(crate) service_ip: String,
    /// The port of this server.
    pub(crate) port: u16,
    /// Where others reach this server; none when nobody but this machine can.
    pub(crate) published: Option<Ipv4Addr>,
    /// The CA that signs clients' certificates, as PEM.
    pub(crate) client_ca: String,
}

/// Sees to it for ever. The step is done when everything was there once.
pub(crate) async fn keep(registry: Arc<Registry>, assumed: Assumed, step: Arc<Step>) {
    loop {
        let pause = match ensure(&registry, &assumed).await {
            Ok(()) => {
                step.done();
                AGAIN
            }
            Err(status) => {
                tracing::info!(error = status.message, "not all system objects are there yet");
                SOON
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn ensure(registry: &Registry, assumed: &Assumed) -> Result<(), Status> {
    // Order: everything else lives in a namespace.
    let namespaces = namespaces().into_iter().map(|object| one(registry, object));
    futures::future::try_join_all(namespaces).await?;
    let others = objects(assumed).into_iter().map(|object| one(registry, object));
    futures::future::try_join_all(others).await.map(drop)
}

struct Wanted {
    group: &'static str,
    plural: &'static str,
    object: Value,
}

async fn one(registry: &Registry, wanted: Wanted) -> Result<(), Status> {
    let Wanted { group, plural, object } = wanted;
    let resource = registry.resource(group, "v1", plural);
    let Some(resource) = resource.cloned() else { return Ok(()) };
    let text = |name: &str| {
        object["metadata"].get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let context = context();
    let mut target = Target {
        namespace: text("namespace"),
        name: text("name"),
        subresource: None,
        resource: Arc::clone(&resource),
    };
    match registry.get(&context, &target, &GetOptions::default()).await {
        Ok(_) => return Ok(()),
        Err(status) if status.reason == Reason::NotFound => {}
        Err(status) => return Err(status),
    }
    let value =
        typed::normalize(registry.schema(), resource.type_id, object).map_err(Status::internal)?;
    target.name.clear();
    let input = Input { value, findings: Vec::new() };
    match registry.create(&context, &target, input, &CreateOptions::default()).await {
        Ok(_) => Ok(()),
        // Another server was faster.
        Err(status) if status.reason == Reason::AlreadyExists => Ok(()),
        Err(status) => Err(status),
    }
}

fn context() -> RequestContext {
    RequestContext {
        user: UserInfo {
            name: "system:apiserver".to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..UserInfo::default()
        },
        user_agent: "kube-apiserver".to_owned(),
    }
}

fn namespaces() -> Vec<Wanted> {
    let names = ["kube-system", "kube-public", "kube-node-lease", "default"];
    let namespace = |name: &str| Wanted {
        group: "",
        plural: "namespaces",
        object: json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name},
        }),
    };
    names.into_iter().map(namespace).collect()
}

fn objects(assumed: &Assumed) -> Vec<Wanted> {
    let mut objects = basic_objects(assumed);
    if let Some(ip) = assumed.published {
        objects.extend(endpoints(ip, assumed.port));
    }
    objects
}

fn basic_objects(assumed: &Assumed) -> Vec<Wanted> {
    vec![
        Wanted {
            group: "networking.k8s.io",
            plural: "servicecidrs",
            object: json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "ServiceCIDR",
                "metadata": {"name": "kubernetes"},
                "spec": {"cidrs": [assumed.service_cidr]},
            }),
        },
        Wanted { group: "", plural: "services", object: service(assumed) },
        Wanted {
            group: "",
            plural: "configmaps",
            object: json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": "extension-apiserver-authentication",
                    "namespace": "kube-system",
                },
                "data": {"client-ca-file": assumed.client_ca},
            }),
        },
        priority_class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        priority_class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to \
             another node if necessary.",
        ),
    ]
}

fn service(assumed: &Assumed) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": assumed.service_ip,
            "clusterIPs": [assumed.service_ip],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{
                "name": "https", "port": 443, "protocol": "TCP", "targetPort": assumed.port,
            }],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
    })
}

/// Where the service `kubernetes` leads: to the first server that made them.
fn endpoints(ip: Ipv4Addr, port: u16) -> [Wanted; 2] {
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
        "ports": ports,
    });
    let endpoints = json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": ip}], "ports": ports}],
    });
    [
        Wanted { group: "discovery.k8s.io", plural: "endpointslices", object: slice },
        Wanted { group: "", plural: "endpoints", object: endpoints },
    ]
}

fn priority_class(name: &str, value: u32, description: &str) -> Wanted {
    Wanted {
        group: "scheduling.k8s.io",
        plural: "priorityclasses",
        object: json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
        }),
    }
}
