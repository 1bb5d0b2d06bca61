//! What resources the API server has, for controllers that work on all of them.
//!
//! Invariant: each stored resource is listed once, in its group's preferred version.

use std::sync::Arc;

use kube::api::{Api, PartialObjectMeta};
use kube::core::DynamicObject;
use kube::core::discovery::{ApiCapabilities, ApiResource, Scope};
use kube::{Client, Discovery};

/// An object of any kind, of which only the metadata is known.
pub type Metadata = PartialObjectMeta<DynamicObject>;

/// One resource of the API server.
#[derive(Debug)]
pub struct ResourceType {
    /// Group, version, kind and plural.
    pub api: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    verbs: Vec<String>,
}

impl ResourceType {
    fn new(api: ApiResource, capabilities: ApiCapabilities) -> Self {
        let namespaced = matches!(capabilities.scope, Scope::Namespaced);
        Self { api, namespaced, verbs: capabilities.operations }
    }

    /// Whether the resource has all these verbs.
    pub fn can(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.iter().any(|v| v == verb))
    }

    /// Its name within the API: `deployments.apps`; core resources have a dot at their end, as
    /// Kubernetes prints them in conditions.
    pub fn dotted(&self) -> String {
        format!("{}.{}", self.api.plural, self.api.group)
    }

    /// The objects' metadata, of one namespace or of all.
    pub fn objects(&self, client: &Client, namespace: &str) -> Api<Metadata> {
        if self.namespaced && !namespace.is_empty() {
            Api::namespaced_with(client.clone(), namespace, &self.api)
        } else {
            Api::all_with(client.clone(), &self.api)
        }
    }

    /// Whether these are Events, which nobody owns and which pass by themselves.
    pub fn is_events(&self) -> bool {
        self.api.plural == "events" && matches!(self.api.group.as_str(), "" | "events.k8s.io")
    }
}

/// All resources, by one look at the aggregated discovery, or group by group where a server does
/// not have that.
///
/// # Errors
/// The server was not reached, or a group could not be asked.
pub async fn discover(client: &Client) -> Result<Vec<Arc<ResourceType>>, kube::Error> {
    let found = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(found) => found,
        Err(_) => Discovery::new(client.clone()).run().await?,
    };
    let mut resources: Vec<_> = found
        .groups_alphabetical()
        .into_iter()
        .flat_map(|group| group.recommended_resources())
        .filter(|(api, _)| !api.plural.contains('/'))
        .map(|(api, capabilities)| Arc::new(ResourceType::new(api, capabilities)))
        .collect();
    // Events are one resource under two groups.
    resources.retain(|r| !r.is_events() || r.api.group.is_empty());
    Ok(resources)
}

#[cfg(test)]
impl ResourceType {
    pub(crate) fn for_tests(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = kube::core::GroupVersionKind::gvk(group, version, kind);
        let api = ApiResource::from_gvk(&gvk);
        Self { api, namespaced: true, verbs: Vec::new() }
    }
}
