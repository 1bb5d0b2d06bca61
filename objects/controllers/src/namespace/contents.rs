//! Deletes what is in a namespace and counts what is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::{DeleteParams, ListParams};
use kube::{Client, ResourceExt};

use crate::discovery::{ResourceType, discover};
use crate::error::{ignore_not_found, is_not_found, message_of, status_of};

/// What a round of deleting left behind.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Objects, by resource as `plural.group`.
    pub(super) objects: BTreeMap<String, usize>,
    /// Objects held back, by finalizer.
    pub(super) finalizers: BTreeMap<String, usize>,
    /// What could not be deleted or looked at.
    pub(super) errors: Vec<String>,
    /// The resources could not be discovered.
    pub(super) undiscovered: Option<String>,
}

impl Left {
    /// Whether the namespace is known to be empty.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.errors.is_empty() && self.undiscovered.is_none()
    }
}

/// Deletes all contents of a namespace, and nothing but the pods while there are pods.
pub(super) async fn delete(client: &Client, namespace: &str) -> Left {
    let mut left = Left::default();
    let resources = match discover(client).await {
        Ok(resources) => resources,
        Err(error) => {
            left.undiscovered = Some(message_of(&error));
            left.errors.push(message_of(&error));
            return left;
        }
    };
    let deletable = resources.into_iter().filter(|r| r.namespaced && r.can(&["delete"]));
    let (pods, others): (Vec<_>, Vec<_>) =
        deletable.partition(|r| r.api.group.is_empty() && r.api.plural == "pods");
    for resource in &pods {
        delete_all(client, namespace, resource, &mut left).await;
    }
    if !left.is_empty() {
        return left;
    }
    for resource in &others {
        delete_all(client, namespace, resource, &mut left).await;
    }
    left
}

async fn delete_all(
    client: &Client,
    namespace: &str,
    resource: &Arc<ResourceType>,
    left: &mut Left,
) {
    match try_delete_all(client, namespace, resource).await {
        Ok(remaining) => {
            for object in &remaining {
                *left.objects.entry(resource.dotted()).or_default() += 1;
                for finalizer in object.iter() {
                    *left.finalizers.entry(finalizer.clone()).or_default() += 1;
                }
            }
        }
        // The resource went away since it was discovered, and its objects with it.
        Err(error) if is_not_found(&error) => {}
        Err(error) => left.errors.push(format!("{}: {}", resource.dotted(), message_of(&error))),
    }
}

/// The finalizers of each object that is left.
async fn try_delete_all(
    client: &Client,
    namespace: &str,
    resource: &ResourceType,
) -> Result<Vec<Vec<String>>, kube::Error> {
    if !resource.can(&["list"]) {
        return Ok(Vec::new());
    }
    let api = resource.objects(client, namespace);
    let all = ListParams::default();
    let found = api.list(&all).await?;
    if found.items.is_empty() {
        return Ok(Vec::new());
    }
    let params = DeleteParams::background();
    let at_once = resource.can(&["deletecollection"])
        && match api.delete_collection(&params, &all).await {
            Ok(_) => true,
            Err(error) if status_of(&error) == Some(405) => false,
            Err(error) => return Err(error),
        };
    if !at_once {
        for object in found.items.iter().filter(|o| o.metadata.deletion_timestamp.is_none()) {
            ignore_not_found(api.delete(&object.name_any(), &params).await)?;
        }
    }
    let remaining = api.list(&all).await?;
    Ok(remaining.items.into_iter().map(|o| o.metadata.finalizers.unwrap_or_default()).collect())
}
