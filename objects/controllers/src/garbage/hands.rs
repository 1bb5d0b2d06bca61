//! The garbage collector's calls: looking owners up, and carrying verdicts out.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use serde_json::{Value, json};

use super::Collector;
use super::graph::{FOREGROUND, ORPHAN, Observed};
use super::verdict::{Owner, Verdict, judge};
use crate::error::{Error, Reconciled, ignore_not_found, is_conflict};
use crate::recorder::Severity;

/// An owner that is there and was not seen is looked for again after this long: its end might be
/// missed as well.
const UNSEEN_OWNER: Duration = Duration::from_secs(5);

impl Collector {
    /// Looks at one object and does what is to be done with it.
    pub(super) async fn examine(&self, uid: &str) -> Reconciled {
        let Some(object) = self.graph.lock().get(uid) else { return Ok(None) };
        if object.leaves_dependents() {
            return self.orphan_dependents(&object).await;
        }
        if object.waits_for_dependents() {
            return self.wait_for_dependents(&object).await;
        }
        if object.deleting {
            return Ok(None);
        }
        let mut owners = Vec::new();
        let mut unseen = false;
        for reference in &object.owners {
            let (owner, was_seen) = self.look_up(&object, reference).await?;
            unseen |= !was_seen && owner != Owner::Gone;
            owners.push(owner);
        }
        let dependents = self.graph.lock().dependents_of(uid);
        let in_cycle = dependents.iter().any(|d| d.waits_for_dependents());
        match judge(&object, &owners, in_cycle, !dependents.is_empty()) {
            Verdict::Keep => Ok(unseen.then_some(UNSEEN_OWNER)),
            Verdict::Drop(owners) => self.drop_owners(&object, &owners).await,
            Verdict::Delete { policy, unblock } => self.delete(&object, policy, unblock).await,
        }
    }

    /// What is known of an owner, and whether its watch showed it.
    async fn look_up(
        &self,
        object: &Observed,
        reference: &OwnerReference,
    ) -> Result<(Owner, bool), Error> {
        let Some(resource) = self.resource(&reference.api_version, &reference.kind) else {
            let OwnerReference { api_version, kind, .. } = reference;
            return Err(Error::Object(format!("no resource is known for {api_version} {kind}")));
        };
        let is_misplaced = resource.namespaced && object.namespace.is_empty();
        if is_misplaced {
            // Nobody can say in which namespace to look: the object stays.
            self.complain(object, reference);
            return Ok((Owner::Solid, true));
        }
        let namespace = if resource.namespaced { object.namespace.as_str() } else { "" };
        let seen = self.graph.lock().get(&reference.uid);
        if let Some(owner) = &seen {
            let group_kind =
                |r: &crate::discovery::ResourceType| (r.api.group.clone(), r.api.kind.clone());
            let same = owner.namespace == namespace && owner.name == reference.name;
            if same && group_kind(&owner.resource) == group_kind(&resource) {
                return Ok((standing(owner), true));
            }
            if owner.namespace != namespace {
                self.complain(object, reference);
            }
        }
        if self.graph.lock().is_gone(&reference.uid, namespace) {
            return Ok((Owner::Gone, true));
        }
        let found = resource.objects(&self.client, namespace).get_opt(&reference.name).await?;
        let owner = found
            .filter(|meta| meta.metadata.uid.as_ref() == Some(&reference.uid))
            .and_then(|meta| Observed::new(&resource, &meta.metadata));
        if owner.is_none() {
            self.graph.lock().note_gone(&reference.uid, namespace);
        }
        Ok((owner.as_ref().map_or(Owner::Gone, standing), false))
    }

    /// Tells of an owner in another namespace than the object: such a reference does not hold.
    fn complain(&self, object: &Observed, owner: &OwnerReference) {
        let about = ObjectReference {
            api_version: Some(object.resource.api.api_version.clone()),
            kind: Some(object.resource.api.kind.clone()),
            namespace: Some(object.namespace.clone()).filter(|n| !n.is_empty()),
            name: Some(object.name.clone()),
            uid: Some(object.uid.clone()),
            ..ObjectReference::default()
        };
        let OwnerReference { api_version, kind, name, uid, .. } = owner;
        let namespace = &object.namespace;
        let message = format!(
            "ownerRef [{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}] \
             does not exist in namespace {namespace:?}"
        );
        self.recorder.record(about, Severity::Warning, "OwnerRefInvalidNamespace", message);
    }

    async fn orphan_dependents(&self, owner: &Observed) -> Reconciled {
        let dependents = self.graph.lock().dependents_of(&owner.uid);
        let drops =
            dependents.iter().map(|d| self.drop_owners(d, std::slice::from_ref(&owner.uid)));
        let failure = join_all(drops).await.into_iter().find_map(Result::err);
        failure.map_or(Ok(()), Err)?;
        self.remove_finalizer(owner, ORPHAN).await
    }

    async fn wait_for_dependents(&self, owner: &Observed) -> Reconciled {
        let dependents = self.graph.lock().dependents_of(&owner.uid);
        let blocking: Vec<_> = dependents.iter().filter(|d| d.blocks(&owner.uid)).collect();
        if blocking.is_empty() {
            return self.remove_finalizer(owner, FOREGROUND).await;
        }
        // Their ends wake this owner again.
        for dependent in blocking.iter().filter(|d| !d.deleting) {
            self.queue.add(dependent.uid.clone());
        }
        Ok(None)
    }

    async fn remove_finalizer(&self, object: &Observed, finalizer: &str) -> Reconciled {
        let mut left = object.finalizers.clone();
        left.retain(|f| f != finalizer);
        self.patch(object, json!({"finalizers": left})).await
    }

    async fn drop_owners(&self, object: &Observed, owners: &[String]) -> Reconciled {
        let mut left = object.owners.clone();
        left.retain(|reference| !owners.contains(&reference.uid));
        self.patch(object, json!({"ownerReferences": left})).await
    }

    /// Patches the metadata of an object that is still as it was seen.
    async fn patch(&self, object: &Observed, mut metadata: Value) -> Reconciled {
        metadata["uid"] = json!(object.uid);
        metadata["resourceVersion"] = json!(object.version);
        let api = object.resource.objects(&self.client, &object.namespace);
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let patched = api.patch(&object.name, &PatchParams::default(), &patch).await;
        // What came of it is left to the watch: an answer may be older than what that told.
        self.unless_overtaken(object, ignore_not_found(patched).map(drop))?;
        Ok(None)
    }

    async fn delete(
        &self,
        object: &Observed,
        policy: PropagationPolicy,
        unblock: bool,
    ) -> Reconciled {
        if unblock {
            let mut owners = object.owners.clone();
            owners.iter_mut().for_each(|o| o.block_owner_deletion = Some(false));
            if owners != object.owners {
                // The object is seen again with this, and then deleted.
                return self.patch(object, json!({"ownerReferences": owners})).await;
            }
        }
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions {
                uid: Some(object.uid.clone()),
                resource_version: Some(object.version.clone()),
            }),
            ..DeleteParams::default()
        };
        let api = object.resource.objects(&self.client, &object.namespace);
        let deleted = ignore_not_found(api.delete(&object.name, &params).await);
        self.unless_overtaken(object, deleted.map(drop))?;
        Ok(None)
    }

    /// A conflict means that the object changed and that its watch has told or will tell.
    fn unless_overtaken<T>(
        &self,
        object: &Observed,
        result: Result<T, kube::Error>,
    ) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_conflict(&error) => Err(Error::Behind(object.name.clone())),
            Err(error) => Err(error.into()),
        }
    }
}

fn standing(owner: &Observed) -> Owner {
    if owner.waits_for_dependents() { Owner::Waiting } else { Owner::Solid }
}
