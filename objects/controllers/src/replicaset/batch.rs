//! Creating and deleting pods in numbers.
//!
//! Invariants: creations start with one and double with success, so that a template that the server
//! refuses costs one call and not hundreds. What was expected and not done is taken back.

use std::future::Future;
use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};

use super::{ReplicaSets, ranking};
use crate::error::{Error, is_namespace_terminating, is_not_found, message_of};
use crate::key::ObjectKey;
use crate::ownership::controller_reference;
use crate::pods::from_template;

impl ReplicaSets {
    pub(super) async fn create(
        &self,
        key: &ObjectKey,
        set: &ReplicaSet,
        count: usize,
    ) -> Result<(), Error> {
        let template = set.spec.template.clone().unwrap_or_default();
        let pod = from_template(set, controller_reference(set), &template);
        let api = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        self.expectations.expect_creations(key, count);
        let (api, pod) = (&api, &pod);
        let (created, result) = slow_start(count, || self.create_one(set, api, pod)).await;
        self.expectations.creations_lapsed(key, count - created);
        match result {
            // The namespace is going away, and this set with it.
            Err(error) if is_namespace_terminating(&error) => Ok(()),
            other => other.map_err(Into::into),
        }
    }

    async fn create_one(
        &self,
        set: &ReplicaSet,
        api: &Api<Pod>,
        pod: &Pod,
    ) -> Result<(), kube::Error> {
        match api.create(&PostParams::default(), pod).await {
            Ok(created) => {
                let name = created.metadata.name.unwrap_or_default();
                self.recorder.normal(set, "SuccessfulCreate", format!("Created pod: {name}"));
                Ok(())
            }
            Err(error) => {
                if !is_namespace_terminating(&error) {
                    let message = format!("Error creating: {}", message_of(&error));
                    self.recorder.warning(set, "FailedCreate", message);
                }
                Err(error)
            }
        }
    }

    pub(super) async fn delete(
        &self,
        key: &ObjectKey,
        set: &ReplicaSet,
        active: &[Arc<Pod>],
        count: usize,
    ) -> Result<(), Error> {
        let victims = ranking::victims(active, &self.related(set), count);
        let uids = victims.iter().filter_map(|pod| pod.metadata.uid.clone());
        self.expectations.expect_deletions(key, uids);
        let api = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        let results =
            join_all(victims.iter().map(|pod| self.delete_one(key, set, &api, pod))).await;
        let tried = results.len();
        let mut failures = results.into_iter().filter_map(Result::err);
        match failures.next() {
            None => Ok(()),
            Some(first) => {
                let first = message_of(&first);
                Err(Error::Partly { failed: 1 + failures.count(), tried, first })
            }
        }
    }

    async fn delete_one(
        &self,
        key: &ObjectKey,
        set: &ReplicaSet,
        api: &Api<Pod>,
        pod: &Pod,
    ) -> Result<(), kube::Error> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let uid = pod.metadata.uid.clone();
        // The uid keeps a new pod of the same name safe.
        let params = DeleteParams::default()
            .preconditions(Preconditions { uid: uid.clone(), resource_version: None });
        match api.delete(name, &params).await {
            Ok(_) => {
                self.recorder.normal(set, "SuccessfulDelete", format!("Deleted pod: {name}"));
                Ok(())
            }
            Err(error) => {
                self.expectations.deletion_seen(key, uid.as_deref().unwrap_or_default());
                if is_not_found(&error) {
                    return Ok(());
                }
                let message = format!("Error deleting: {}", message_of(&error));
                self.recorder.warning(set, "FailedDelete", message);
                Err(error)
            }
        }
    }

    /// The pods of all ReplicaSets of the same owner: a pod is better taken from a node that has
    /// several of them, whichever set made them.
    fn related(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let siblings = match crate::ownership::controller_of(&set.metadata) {
            Some(owner) => self.sets.controlled_by(&owner.uid),
            None => Vec::new(),
        };
        let uids = siblings.iter().filter_map(|s| s.metadata.uid.as_deref());
        let pods: Vec<_> = uids.flat_map(|uid| self.pods.controlled_by(uid)).collect();
        if !pods.is_empty() {
            return pods;
        }
        self.pods.controlled_by(set.metadata.uid.as_deref().unwrap_or_default())
    }
}

/// Calls `one` in batches of 1, 2, 4 … until `count` calls succeeded or a batch had a failure; how
/// many succeeded, and the first failure.
async fn slow_start<F, R, E>(count: usize, one: F) -> (usize, Result<(), E>)
where
    F: Fn() -> R,
    R: Future<Output = Result<(), E>>,
{
    let (mut done, mut batch) = (0, 1);
    while done < count {
        let results = join_all((0..batch.min(count - done)).map(|_| one())).await;
        done += results.iter().filter(|r| r.is_ok()).count();
        if let Some(Err(error)) = results.into_iter().find(Result::is_err) {
            return (done, Err(error));
        }
        batch *= 2;
    }
    (done, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_refused_template_costs_one_call() {
        let calls = Cell::new(0);
        let refuse = || {
            calls.set(calls.get() + 1);
            async { Err("no") }
        };
        assert_eq!(slow_start(500, refuse).await, (0, Err("no")));
        assert_eq!(calls.get(), 1);
    }

    #[tokio::test]
    async fn batches_double_up_to_the_count() {
        let calls = Cell::new(0);
        let accept = || {
            calls.set(calls.get() + 1);
            async { Ok::<_, ()>(()) }
        };
        assert_eq!(slow_start(10, accept).await, (10, Ok(())));
        assert_eq!(calls.get(), 10);
    }
}
