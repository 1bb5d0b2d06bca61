//! The registry itself: its rows, its storage, its caches, and the verbs as the door calls them.
//!
//! Invariant: rows over one folder of the storage share one cache.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use schema::types::Schema;

use super::cidr::Cidr;
use super::options::{
    CreateOptions, DeleteOptions, GetOptions, ListOptions, PatchOptions, UpdateOptions,
};
use super::request::{Answer, Input, PatchKind, RequestContext, Target};
use super::row::{BodyType, Resource};
use super::seams::Seams;
use super::update::Part;
use crate::cache::{Cache, Listed, Shape, Watcher};
use crate::status::Status;
use crate::storage::{Revision, Storage};

/// How the registry is set up.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// The range of service addresses, as `10.0.0.0/24`; empty for none, so that services get none.
    pub service_cidr: String,
    /// Time and randomness.
    pub seams: Seams,
}

/// The resources of the API over one storage.
pub struct Registry {
    schema: &'static Schema,
    storage: Arc<dyn Storage>,
    seams: Seams,
    addresses: Option<Cidr>,
    rows: Vec<Arc<Resource>>,
    by_path: HashMap<(&'static str, &'static str, &'static str), usize>,
    caches: HashMap<String, OnceLock<Arc<Cache>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

/// Reads a stored value that is protobuf.
fn decode(bytes: &[u8]) -> Result<bytes::Bytes, String> {
    let (_, value) =
        schema::protobuf::decode(Schema::builtin(), bytes).map_err(|error| error.to_string())?;
    serde_json::to_vec(&value).map(Into::into).map_err(|error| error.to_string())
}

impl Registry {
    /// A registry of the built-in resources.
    ///
    /// *Errors*: the range of service addresses is none.
    pub fn new(storage: Arc<dyn Storage>, options: RegistryOptions) -> Result<Arc<Self>, String> {
        Self::of(Schema::builtin(), storage, options)
    }

    /// A registry of the resources of a schema.
    ///
    /// *Errors*: the range of service addresses is none.
    pub fn of(
        schema: &'static Schema,
        storage: Arc<dyn Storage>,
        options: RegistryOptions,
    ) -> Result<Arc<Self>, String> {
        let rows: Vec<Arc<Resource>> = schema
            .resources()
            .iter()
            .filter_map(|facts| Resource::new(schema, facts))
            .map(Arc::new)
            .collect();
        let path = |row: &Resource| (row.facts.group, row.facts.version, row.facts.plural);
        let by_path = rows.iter().enumerate().map(|(at, row)| (path(row), at)).collect();
        let caches = rows.iter().map(|row| (row.folder.clone(), OnceLock::new())).collect();
        let addresses = match options.service_cidr.as_str() {
            "" => None,
            cidr => Some(Cidr::parse(cidr)?),
        };
        let seams = options.seams;
        Ok(Arc::new(Self { schema, storage, seams, addresses, rows, by_path, caches }))
    }

    /// Fills the caches of all resources, and waits until they are.
    pub async fn ready(&self) {
        let caches: Vec<_> = self.rows.iter().map(|row| self.cache(row)).collect();
        for cache in caches {
            // It gives up after a while each time; the store may need longer.
            while cache.ready().await.is_err() {}
        }
    }

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

    /// The cache of a row; started when it is first asked for.
    pub fn cache(&self, row: &Resource) -> &Arc<Cache> {
        let slot = self.caches.get(&row.folder).expect("every row has a slot from the start");
        slot.get_or_init(|| {
            let shape = Shape {
                prefix: row.folder.clone(),
                namespaced: row.namespaced(),
                fields: row.rule.extract,
                decode: Some(decode),
            };
            Cache::start(Arc::clone(&self.storage), shape)
        })
    }

    /// Tells all caches that history up to a revision is gone.
    pub fn compacted(&self, revision: Revision) {
        for cache in self.caches.values().filter_map(OnceLock::get) {
            cache.compacted(revision);
        }
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        self.storage.as_ref()
    }

    pub(super) fn seams(&self) -> &Seams {
        &self.seams
    }

    pub(super) fn addresses(&self) -> Option<Cidr> {
        self.addresses
    }

    /// The row of namespaces.
    pub(super) fn namespaces(&self) -> Option<&Arc<Resource>> {
        self.rows.iter().find(|row| row.rule.is_namespace)
    }

    /// The type of the body of a request.
    pub(super) fn body_type(&self, target: &Target) -> Result<BodyType, Status> {
        target
            .resource
            .body_type(self.schema, target.subresource.as_deref())
            .ok_or_else(Status::no_such_path)
    }

    /// POST of an object, or of a subresource that takes a POST (binding, eviction, token).
    pub async fn create(
        &self,
        context: &RequestContext,
        target: &Target,
        input: Input,
        options: &CreateOptions,
    ) -> Result<Answer, Status> {
        target.check_namespace()?;
        match target.subresource.as_deref() {
            None if self.is_binding(target) => {
                self.bind(context, &self.bound_pod(target, &input)?, input, options).await
            }
            None => self.create_object(context, target, input, options).await,
            Some("binding") => self.bind(context, target, input, options).await,
            Some("eviction") => self.evict(context, target, input, options).await,
            Some(other) => Err(self.later(target, other)),
        }
    }

    /// GET of an object or of a readable subresource.
    pub async fn get(
        &self,
        _context: &RequestContext,
        target: &Target,
        options: &GetOptions,
    ) -> Result<Answer, Status> {
        target.check_namespace()?;
        match target.subresource.as_deref() {
            Some("scale") => self.get_scale(target, options).await,
            // Every other readable subresource is a view of the whole object.
            _ => self.get_object(target, options).await,
        }
    }

    /// GET of a collection. A name in the target restricts it to that object.
    pub async fn list(
        &self,
        _context: &RequestContext,
        target: &Target,
        options: &ListOptions,
    ) -> Result<Listed, Status> {
        self.list_objects(target, options).await
    }

    /// A stream of the changes of a collection.
    pub async fn watch(
        &self,
        _context: &RequestContext,
        target: &Target,
        options: &ListOptions,
    ) -> Result<Watcher, Status> {
        self.watch_objects(target, options).await
    }

    /// PUT of an object or of a subresource.
    pub async fn update(
        &self,
        context: &RequestContext,
        target: &Target,
        input: Input,
        options: &UpdateOptions,
    ) -> Result<Answer, Status> {
        target.check_namespace()?;
        match target.subresource.as_deref() {
            Some("scale") => self.put_scale(context, target, input, options).await,
            other => {
                let part = part_of(other).ok_or_else(|| self.later(target, "update"))?;
                self.update_object(context, target, part, input, options).await
            }
        }
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
        let patching = self.read_patch(target, kind, patch, options)?;
        target.check_namespace()?;
        match target.subresource.as_deref() {
            Some("scale") => self.patch_scale(context, target, &patching, options).await,
            other => {
                let part = part_of(other).ok_or_else(|| self.later(target, "patch"))?;
                self.patch_object(context, target, part, &patching, options).await
            }
        }
    }

    /// DELETE of an object.
    pub async fn delete(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        self.delete_object(context, target, options).await
    }

    /// DELETE of a collection: the list of what was asked to go.
    pub async fn delete_collection(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &DeleteOptions,
        list: &ListOptions,
    ) -> Result<Answer, Status> {
        self.delete_all(context, target, options, list).await
    }

    /// A subresource that is not served yet.
    fn later(&self, target: &Target, what: &str) -> Status {
        let row = &target.resource;
        let sub = target.subresource.as_deref().unwrap_or(what);
        Status::plain(
            501,
            crate::status::Reason::Unknown,
            format!("{}/{sub} is not served yet", row.plural()),
        )
    }
}

fn part_of(subresource: Option<&str>) -> Option<Part> {
    Some(match subresource {
        None => Part::Whole,
        Some("status" | "approval") => Part::Status,
        Some("finalize") => Part::Finalizers,
        Some("ephemeralcontainers") => Part::Ephemeral,
        Some("resize") => Part::Resize,
        Some(_) => return None,
    })
}
