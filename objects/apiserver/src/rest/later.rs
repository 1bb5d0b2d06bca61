//! Stands in for verbs of the registry that are on their way: once `Registry` has functions of these
//! names, they are called in place of these, and this file goes.

use std::sync::Arc;

use crate::cache::{CacheError, Listed, Watcher};
use crate::registry::{ListOptions, Registry, RequestContext, Target};
use crate::status::Status;
use crate::storage::Storage;

pub(crate) trait Later {
    fn start(storage: Arc<dyn Storage>, cidr: &str) -> Arc<Registry>;
    async fn ready(&self);
    async fn list(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &ListOptions,
    ) -> Result<Listed, Status>;
    async fn watch(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &ListOptions,
    ) -> Result<Watcher, Status>;
}

impl Later for Registry {
    fn start(_: Arc<dyn Storage>, _: &str) -> Arc<Registry> {
        unreachable!("on its way")
    }

    async fn ready(&self) {}

    async fn list(
        &self,
        _: &RequestContext,
        _: &Target,
        _: &ListOptions,
    ) -> Result<Listed, Status> {
        Err(Status::unavailable("not served yet"))
    }

    async fn watch(
        &self,
        _: &RequestContext,
        _: &Target,
        _: &ListOptions,
    ) -> Result<Watcher, Status> {
        Err(Status::unavailable("not served yet"))
    }
}

pub(crate) fn refusal(error: CacheError) -> Status {
    Status::internal(error)
}
