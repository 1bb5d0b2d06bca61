//! Adoption and release: an owner manages what its selector selects, and nothing else.
//!
//! Invariants: an object with another managing owner is never touched. An object is adopted only
//! after the owner was read from the server itself, alive and with the same uid, so that an owner
//! deleted meanwhile does not take orphans with it. Both writes fail if the object changed.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::{Error, is_not_found, status_of};
use crate::informer::{Informed, Informer};
use crate::ownership::{controller_of, controller_reference, is_being_deleted};
use crate::selector::selects;

/// What is to be done with an object that may belong to an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is the owner's.
    Keep,
    /// It is nobody's, and the owner selects it.
    Adopt,
    /// It is the owner's, who does not select it any more.
    Release,
    /// It is not the owner's business.
    Ignore,
}

/// Decides over one object. Nothing is adopted by an owner that is being deleted, nor released.
pub fn claim<O: Resource, K: Resource>(owner: &O, selector: &LabelSelector, object: &K) -> Claim {
    let selected = selects(selector, object.meta().labels.as_ref());
    let leaving = is_being_deleted(owner.meta());
    match controller_of(object.meta()) {
        Some(of) if Some(&of.uid) != owner.meta().uid.as_ref() => Claim::Ignore,
        Some(_) if selected => Claim::Keep,
        Some(_) if leaving => Claim::Ignore,
        Some(_) => Claim::Release,
        None if !selected || leaving || is_being_deleted(object.meta()) => Claim::Ignore,
        None => Claim::Adopt,
    }
}

/// All objects of an owner after adoptions and releases; what was adopted just now is among them as
/// the server returned it.
///
/// # Errors
/// A failed adoption or release; the others were still done.
pub async fn claim_all<O, K>(
    client: &Client,
    owner: &O,
    selector: &LabelSelector,
    informer: &Informer<K>,
) -> Result<Vec<Arc<K>>, Error>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug,
    K: Informed + Resource<Scope = NamespaceResourceScope>,
{
    let meta = owner.meta();
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let mut candidates = informer.controlled_by(meta.uid.as_deref().unwrap_or_default());
    candidates.extend(informer.uncontrolled_in(namespace));
    let api = Api::<K>::namespaced(client.clone(), namespace);
    let (mut mine, mut failure, mut alive) = (Vec::new(), None, None);
    for object in candidates {
        let result = match claim(owner, selector, &*object) {
            Claim::Ignore => continue,
            Claim::Keep => {
                mine.push(object);
                continue;
            }
            Claim::Release => release(&api, owner, &*object).await.map(|()| None),
            Claim::Adopt => {
                if alive.is_none() {
                    alive = Some(is_alive(client, owner).await?);
                }
                if alive != Some(true) {
                    continue;
                }
                adopt(&api, owner, &*object).await
            }
        };
        match result {
            Ok(adopted) => mine.extend(adopted.map(Arc::new)),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(mine), |error| Err(error.into()))
}

async fn is_alive<O>(client: &Client, owner: &O) -> Result<bool, kube::Error>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug,
{
    let namespace = owner.meta().namespace.as_deref().unwrap_or_default();
    let api = Api::<O>::namespaced(client.clone(), namespace);
    match api.get(owner.meta().name.as_deref().unwrap_or_default()).await {
        Ok(live) => Ok(live.meta().uid == owner.meta().uid && !is_being_deleted(live.meta())),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn adopt<O, K>(api: &Api<K>, owner: &O, object: &K) -> Result<Option<K>, kube::Error>
where
    O: Resource<DynamicType = ()>,
    K: Informed,
{
    let mut owners = object.meta().owner_references.clone().unwrap_or_default();
    owners.push(controller_reference(owner));
    patch_owners(api, object, &owners).await
}

async fn release<O, K>(api: &Api<K>, owner: &O, object: &K) -> Result<(), kube::Error>
where
    O: Resource,
    K: Informed,
{
    let mut owners = object.meta().owner_references.clone().unwrap_or_default();
    owners.retain(|of| Some(&of.uid) != owner.meta().uid.as_ref());
    patch_owners(api, object, &owners).await.map(drop)
}

/// Nothing if the object is gone or is another one by now.
async fn patch_owners<K: Informed>(
    api: &Api<K>,
    object: &K,
    owners: &[OwnerReference],
) -> Result<Option<K>, kube::Error> {
    let meta = object.meta();
    let patch = json!({"metadata": {
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "ownerReferences": owners,
    }});
    let name = meta.name.as_deref().unwrap_or_default();
    match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(patched) => Ok(Some(patched)),
        Err(error) if matches!(status_of(&error), Some(404 | 422)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use k8s_openapi::api::core::v1::Pod;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

    use super::*;
    use crate::selector::Labels;

    fn meta(uid: &str, owner: Option<&str>, label: &str) -> ObjectMeta {
        let owners = owner.map(|uid| {
            let (uid, controller) = (uid.to_owned(), Some(true));
            vec![OwnerReference { uid, controller, ..OwnerReference::default() }]
        });
        ObjectMeta {
            uid: Some(uid.into()),
            labels: Some(Labels::from([("app".into(), label.into())])),
            owner_references: owners,
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn only_orphans_are_adopted_and_only_own_objects_released() {
        let selector = LabelSelector {
            match_labels: Some(Labels::from([("app".into(), "web".into())])),
            ..LabelSelector::default()
        };
        let mut owner = ReplicaSet { metadata: meta("rs", None, "web"), ..ReplicaSet::default() };
        let pod = |of, label| Pod { metadata: meta("p", of, label), ..Pod::default() };
        let decide = |owner: &ReplicaSet, pod: Pod| claim(owner, &selector, &pod);
        assert_eq!(decide(&owner, pod(Some("rs"), "web")), Claim::Keep);
        assert_eq!(decide(&owner, pod(None, "web")), Claim::Adopt);
        assert_eq!(decide(&owner, pod(Some("rs"), "db")), Claim::Release);
        assert_eq!(decide(&owner, pod(Some("other"), "web")), Claim::Ignore);
        assert_eq!(decide(&owner, pod(None, "db")), Claim::Ignore);
        owner.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(decide(&owner, pod(None, "web")), Claim::Ignore);
        assert_eq!(decide(&owner, pod(Some("rs"), "db")), Claim::Ignore);
        assert_eq!(decide(&owner, pod(Some("rs"), "web")), Claim::Keep);
    }
}
