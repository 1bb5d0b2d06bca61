//! One look at a Deployment: what of paused, resized, rolling or recreated it is, and the next
//! step.
//!
//! Order: a resize in the middle of a rollout goes before the rollout; a paused Deployment is
//! resized and nothing else.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::arithmetic::{self, Size};
use super::{Deployments, View, revision, status, wanted};
use crate::error::{Error, Reconciled};
use crate::ownership::is_being_deleted;
use crate::pods;

pub(super) fn size(set: &ReplicaSet) -> Size {
    let status = set.status.as_ref();
    Size {
        wanted: wanted(set),
        actual: status.map_or(0, |s| s.replicas),
        available: status.and_then(|s| s.available_replicas).unwrap_or_default(),
        allowed_before: revision::count(set, revision::MAX).unwrap_or_default(),
    }
}

impl Deployments {
    pub(super) async fn act(&self, view: &mut View) -> Reconciled {
        if is_being_deleted(&view.deployment.metadata) {
            self.count(view);
            return Ok(None);
        }
        status::paused(&view.deployment, &mut view.status, self.now());
        let paused = view.deployment.spec.paused.unwrap_or_default();
        if view.new.is_some() {
            self.keep_new_set(view).await?;
        }
        if paused || is_resized(view) {
            self.resize(view).await?;
            if paused {
                self.clean_up(view).await?;
            }
            self.count(view);
            return Ok(None);
        }
        if status::is_rolling(&view.deployment) {
            self.roll(view).await?;
        } else {
            self.recreate(view).await?;
        }
        if status::is_complete(&view.deployment, &view.status) {
            self.clean_up(view).await?;
        }
        self.count(view);
        let new = view.new_set().cloned();
        let now = self.now();
        status::progress(&view.deployment, &mut view.status, new.as_deref(), now);
        status::failures(&mut view.status, new.as_deref(), &view.sets);
        Ok(status::next_look(&view.deployment, &view.status, now))
    }

    fn count(&self, view: &mut View) {
        let new = view.new_set().cloned();
        let (deployment, sets) = (&view.deployment, &view.sets);
        view.status = status::counted(deployment, &view.status, new.as_deref(), sets, self.now());
    }

    async fn roll(&self, view: &mut View) -> Result<(), Error> {
        if view.new.is_none() {
            self.create_new_set(view).await?;
        }
        let Some(new) = view.new_set().cloned() else { return Ok(()) };
        let old = view.old_sets();
        let sizes: Vec<_> = old.iter().map(|set| size(set)).collect();
        let (new_size, old_sizes) = arithmetic::roll(view.budget(), size(&new), &sizes);
        self.set_size(view, &new, new_size).await?;
        for (set, size) in old.iter().zip(old_sizes) {
            self.set_size(view, set, size).await?;
        }
        Ok(())
    }

    /// First nothing of the old, then all of the new.
    async fn recreate(&self, view: &mut View) -> Result<(), Error> {
        let old = view.old_sets();
        let mut stopping = false;
        for set in &old {
            stopping |= wanted(set) != 0;
            self.set_size(view, set, 0).await?;
        }
        if stopping || self.still_runs(&old) {
            return Ok(());
        }
        if view.new.is_none() {
            self.create_new_set(view).await?;
        }
        if let Some(new) = view.new_set().cloned() {
            self.set_size(view, &new, view.desired()).await?;
        }
        Ok(())
    }

    /// Whether any pod of these sets may still run, also one on its way out.
    fn still_runs(&self, sets: &[Arc<ReplicaSet>]) -> bool {
        sets.iter().any(|set| {
            let uid = set.metadata.uid.as_deref().unwrap_or_default();
            size(set).actual > 0
                || self.pods.controlled_by(uid).iter().any(|pod| !pods::is_finished(pod))
        })
    }

    /// Brings the sets to a new `spec.replicas` without moving from one to another.
    async fn resize(&self, view: &mut View) -> Result<(), Error> {
        let desired = view.desired();
        let mut active: Vec<_> = view.sets.iter().filter(|s| wanted(s) > 0).cloned().collect();
        if active.len() <= 1 {
            let latest = view.new_set().or_else(|| view.sets.last()).cloned();
            return match active.pop().or(latest) {
                Some(set) => self.set_size(view, &set, desired).await,
                None => Ok(()),
            };
        }
        if let Some(new) = view.new_set().filter(|new| is_saturated(new, desired)).cloned() {
            for set in active.iter().filter(|set| set.metadata.uid != new.metadata.uid) {
                self.set_size(view, set, 0).await?;
            }
            return Ok(());
        }
        if !status::is_rolling(&view.deployment) {
            return Ok(());
        }
        let budget = view.budget();
        let grows = budget.most() > active.iter().map(|set| wanted(set)).sum();
        active.sort_by(|a, b| {
            let by_age = revision::older(a, b);
            wanted(b).cmp(&wanted(a)).then(if grows { by_age.reverse() } else { by_age })
        });
        let sizes: Vec<_> = active.iter().map(|set| size(set)).collect();
        let replicas_now = view.status.replicas.unwrap_or_default();
        let sizes = arithmetic::in_proportion(budget, replicas_now, &sizes);
        for (set, size) in active.iter().zip(sizes) {
            self.resize_one(view, set, size).await?;
        }
        Ok(())
    }
}

/// Whether `spec.replicas` changed since the sets were last sized.
fn is_resized(view: &View) -> bool {
    let active = view.sets.iter().filter(|set| wanted(set) > 0);
    let mut sized_for = active.filter_map(|set| revision::count(set, revision::DESIRED));
    sized_for.any(|desired| desired != view.desired())
}

/// Whether the new set alone is all that is desired.
fn is_saturated(new: &ReplicaSet, desired: i32) -> bool {
    wanted(new) == desired
        && revision::count(new, revision::DESIRED) == Some(desired)
        && size(new).available == desired
}
