//! Controllers that manage pods: which of their keys a pod's change wakes, and creating and
//! deleting pods in numbers.
//!
//! Invariants: every change of a pod meets the expectations of its owner before the owner is woken.
//! Creations start with one and double with success, so that a template that the server refuses
//! costs one call and not hundreds; what was expected and not done is taken back.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use kube::{Client, Resource};

use crate::error::{Error, is_namespace_terminating, is_not_found, message_of};
use crate::expectations::Expectations;
use crate::informer::Change;
use crate::key::ObjectKey;
use crate::ownership::{controller_of, is_being_deleted};
use crate::queue::Queue;
use crate::recorder::Recorder;

/// So many calls are under way at the same time: each takes a connection of its own.
const CALLS_MAX: usize = 32;

/// An owner of many pods is looked at again at most this often while they change.
const PACE: Duration = Duration::from_millis(20);

/// How a controller finds its keys from a pod.
pub trait PodOwners {
    /// The key of the owner that manages the pod, if it is of this controller's kind.
    fn owner_of(&self, pod: &Pod) -> Option<ObjectKey>;

    /// The keys that would adopt a pod that nobody manages.
    fn adopters_of(&self, pod: &Pod) -> Vec<ObjectKey>;
}

/// The pods of one controller.
pub struct OwnedPods {
    /// For the calls.
    pub client: Client,
    /// Tells of each pod.
    pub recorder: Recorder,
    /// What was done and is not seen yet.
    pub expectations: Expectations,
    /// The owners to be looked at.
    pub queue: Queue<ObjectKey>,
}

impl OwnedPods {
    /// Nothing expected, nothing to be looked at.
    pub fn new(client: Client, recorder: Recorder) -> Self {
        Self { client, recorder, expectations: Expectations::default(), queue: Queue::paced(PACE) }
    }

    /// Wakes whom a pod's change concerns.
    pub fn changed(&self, owners: &impl PodOwners, change: &Change<Pod>) {
        match change {
            Change::Added(pod) if is_being_deleted(&pod.metadata) => self.gone(owners, pod),
            Change::Added(pod) => match owners.owner_of(pod) {
                Some(owner) => {
                    self.expectations.creation_seen(&owner);
                    self.queue.add(owner);
                }
                None => self.wake_adopters(owners, pod),
            },
            Change::Updated { old, new } if old.metadata.uid != new.metadata.uid => {
                self.changed(owners, &Change::Deleted(old.clone()));
                self.changed(owners, &Change::Added(new.clone()));
            }
            Change::Updated { old, new } => self.updated(owners, old, new),
            Change::Deleted(pod) => self.gone(owners, pod),
        }
    }

    fn updated(&self, owners: &impl PodOwners, old: &Pod, new: &Pod) {
        if is_being_deleted(&new.metadata) && !is_being_deleted(&old.metadata) {
            return self.gone(owners, new);
        }
        let (before, after) = (owners.owner_of(old), owners.owner_of(new));
        if before != after {
            before.into_iter().for_each(|owner| self.queue.add(owner));
        }
        match after {
            Some(owner) => self.queue.add(owner),
            None => {
                let was_owned = controller_of(&old.metadata).is_some();
                if was_owned || old.metadata.labels != new.metadata.labels {
                    self.wake_adopters(owners, new);
                }
            }
        }
    }

    fn gone(&self, owners: &impl PodOwners, pod: &Pod) {
        if let Some(owner) = owners.owner_of(pod) {
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            self.expectations.deletion_seen(&owner, uid);
            self.queue.add(owner);
        }
    }

    fn wake_adopters(&self, owners: &impl PodOwners, pod: &Pod) {
        if controller_of(&pod.metadata).is_none() {
            owners.adopters_of(pod).into_iter().for_each(|owner| self.queue.add(owner));
        }
    }

    /// Creates pods for an owner.
    ///
    /// # Errors
    /// The first refusal; pods that were created stay. That the namespace is going away is none:
    /// the owner goes with it.
    pub async fn create<K>(&self, key: &ObjectKey, owner: &K, pods: Vec<Pod>) -> Result<(), Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let api = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        let count = pods.len();
        self.expectations.expect_creations(key, count);
        let api = &api;
        let (created, result) =
            slow_start(pods, |pod| async move { self.create_one(owner, api, &pod).await }).await;
        self.expectations.creations_lapsed(key, count - created);
        match result {
            Err(error) if is_namespace_terminating(&error) => Ok(()),
            other => other.map_err(Into::into),
        }
    }

    async fn create_one<K>(&self, owner: &K, api: &Api<Pod>, pod: &Pod) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = ()>,
    {
        match api.create(&PostParams::default(), pod).await {
            Ok(created) => {
                let name = created.metadata.name.unwrap_or_default();
                self.recorder.normal(owner, "SuccessfulCreate", format!("Created pod: {name}"));
                Ok(())
            }
            Err(error) => {
                if !is_namespace_terminating(&error) {
                    let message = format!("Error creating: {}", message_of(&error));
                    self.recorder.warning(owner, "FailedCreate", message);
                }
                Err(error)
            }
        }
    }

    /// Deletes pods of an owner, all at once.
    ///
    /// # Errors
    /// Some were not deleted. One that is gone already counts as deleted.
    pub async fn delete<K>(
        &self,
        key: &ObjectKey,
        owner: &K,
        pods: &[Arc<Pod>],
    ) -> Result<(), Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let uids = pods.iter().filter_map(|pod| pod.metadata.uid.clone());
        self.expectations.expect_deletions(key, uids);
        let api = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        // Collected first: the compiler does not see through a stream of borrowing closures.
        let calls: Vec<_> = pods.iter().map(|pod| self.delete_one(key, owner, &api, pod)).collect();
        let results: Vec<_> = stream::iter(calls).buffer_unordered(CALLS_MAX).collect().await;
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

    async fn delete_one<K>(
        &self,
        key: &ObjectKey,
        owner: &K,
        api: &Api<Pod>,
        pod: &Pod,
    ) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let uid = pod.metadata.uid.clone();
        // The uid keeps a new pod of the same name safe.
        let params = DeleteParams::default()
            .preconditions(Preconditions { uid: uid.clone(), resource_version: None });
        match api.delete(name, &params).await {
            Ok(_) => {
                self.recorder.normal(owner, "SuccessfulDelete", format!("Deleted pod: {name}"));
                Ok(())
            }
            Err(error) => {
                self.expectations.deletion_seen(key, uid.as_deref().unwrap_or_default());
                if is_not_found(&error) {
                    return Ok(());
                }
                let message = format!("Error deleting: {}", message_of(&error));
                self.recorder.warning(owner, "FailedDelete", message);
                Err(error)
            }
        }
    }
}

/// Calls `one` for the items in batches of 1, 2, 4 … until all are done or a batch had a failure;
/// how many succeeded, and the first failure.
async fn slow_start<T, F, R, E>(items: Vec<T>, one: F) -> (usize, Result<(), E>)
where
    F: Fn(T) -> R,
    R: Future<Output = Result<(), E>>,
{
    let (mut done, mut batch) = (0, 1);
    let mut items = items.into_iter();
    while items.len() > 0 {
        let calls = stream::iter(items.by_ref().take(batch).map(&one));
        let results: Vec<_> = calls.buffer_unordered(CALLS_MAX).collect().await;
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
        let refuse = |_| {
            calls.set(calls.get() + 1);
            async { Err("no") }
        };
        assert_eq!(slow_start(vec![(); 500], refuse).await, (0, Err("no")));
        assert_eq!(calls.get(), 1);
    }

    #[tokio::test]
    async fn batches_double_up_to_the_count() {
        let calls = Cell::new(0);
        let accept = |_| {
            calls.set(calls.get() + 1);
            async { Ok::<_, ()>(()) }
        };
        assert_eq!(slow_start(vec![(); 10], accept).await, (10, Ok(())));
        assert_eq!(calls.get(), 10);
    }
}
