//! The registry itself: its rows, its storage, and the verbs as the door calls them.

use std::collections::HashMap;
use std::sync::Arc;

use schema::types::Schema;

use super::options::{
    CreateOptions, DeleteOptions, GetOptions, ListOptions, PatchOptions, UpdateOptions,
};
use super::request::{Answer, Input, PatchKind, RequestContext, Target};
use super::row::Resource;
use super::seams::Seams;
use crate::status::Status;

/// The resources of the API over one storage.
pub struct Registry {
    schema: &'static Schema,
    seams: Seams,
    rows: Vec<Arc<Resource>>,
    by_path: HashMap<(&'static str, &'static str, &'static str), usize>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

fn later() -> Status {
    Status::unavailable("not served yet")
}

impl Registry {
    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Every row, in discovery order.
    #[must_use]
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.rows
    }

    /// The row of a path.
    #[must_use]
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.by_path.get(&(group, version, plural)).map(|index| &self.rows[*index])
    }

    /// POST of an object, or of a subresource that takes a POST (binding, eviction, token).
    pub async fn create(
        &self,
        context: &RequestContext,
        target: &Target,
        input: Input,
        options: &CreateOptions,
    ) -> Result<Answer, Status> {
        let _ = (context, target, input, options);
        Err(later())
    }

    /// GET of an object or of a readable subresource.
    pub async fn get(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &GetOptions,
    ) -> Result<Answer, Status> {
        let _ = (context, target, options);
        Err(later())
    }

    /// PUT of an object or of a subresource.
    pub async fn update(
        &self,
        context: &RequestContext,
        target: &Target,
        input: Input,
        options: &UpdateOptions,
    ) -> Result<Answer, Status> {
        let _ = (context, target, input, options);
        Err(later())
    }

    /// PATCH of an object or of a subresource.
    pub async fn patch(
        &self,
        context: &RequestContext,
        target: &Target,
        kind: PatchKind,
        patch: &[u8],
        options: &PatchOptions,
    ) -> Result<Answer, Status> {
        let _ = (context, target, kind, patch, options, &self.seams);
        Err(later())
    }

    /// DELETE of an object.
    pub async fn delete(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        let _ = (context, target, options);
        Err(later())
    }

    /// DELETE of a collection: the list of what was asked to go.
    pub async fn delete_collection(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &DeleteOptions,
        list: &ListOptions,
    ) -> Result<Answer, Status> {
        let _ = (context, target, options, list);
        Err(later())
    }
}
