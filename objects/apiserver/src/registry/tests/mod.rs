//! Tests of the verbs over the storage in memory, in process: several rows, and several registries
//! on one storage. The words are those that kube-apiserver 1.37.0 answered to the same requests.

mod deletes;
mod new_kind;
mod rows;
mod several;
mod subresources;
mod unknown;
mod writes;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;
use schema::Value;
use schema::typed;
use schema::types::Schema;
use serde_json::json;

use super::*;
use crate::status::Status;
use crate::storage::{MemoryStorage, Storage};

/// A clock that stands until it is told to go on.
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).expect("within the calendar")
    }
}

/// Numbers that look random and are the same in every run.
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn next(&self) -> u64 {
        let mut x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

/// A registry and who asks.
struct Api {
    registry: Arc<Registry>,
    clock: Arc<Standing>,
    context: RequestContext,
}

const START: i64 = 1_800_000_000;

impl Api {
    fn on(storage: Arc<dyn Storage>, seed: u64) -> Self {
        Self::of(Schema::builtin(), storage, seed)
    }

    fn of(schema: &'static Schema, storage: Arc<dyn Storage>, seed: u64) -> Self {
        let clock = Arc::new(Standing(AtomicI64::new(START)));
        let entropy = Arc::new(Counting(AtomicU64::new(seed)));
        let seams = Seams { clock: clock.clone(), entropy };
        let options = RegistryOptions { service_cidr: "10.0.0.0/24".to_owned(), seams };
        let registry = Registry::of(schema, storage, options).expect("the range is one");
        Self { registry, clock, context: RequestContext::default() }
    }

    /// With the namespace `default`.
    async fn new() -> Self {
        let api = Self::on(Arc::new(MemoryStorage::new()), 1);
        api.create("namespaces", named("default")).await.expect("the namespace is created");
        api
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The row of `plural`, `group/plural` or `group/version/plural`.
    fn row(&self, path: &str) -> Arc<Resource> {
        let parts: Vec<&str> = path.split('/').collect();
        let (group, version, plural) = match parts.as_slice() {
            [plural] => ("", "v1", *plural),
            [group, plural] => (*group, "v1", *plural),
            [group, version, plural] => (*group, *version, *plural),
            _ => panic!("{path} is no path of a row"),
        };
        self.registry.resource(group, version, plural).expect("the row is served").clone()
    }

    /// `resource name` or `resource name subresource`, in the namespace `default`.
    fn target(&self, path: &str) -> Target {
        let parts: Vec<&str> = path.split(' ').collect();
        let resource = self.row(parts[0]);
        let namespace = if resource.namespaced() { "default" } else { "" };
        Target {
            resource,
            namespace: namespace.to_owned(),
            name: parts.get(1).copied().unwrap_or_default().to_owned(),
            subresource: parts.get(2).map(|sub| (*sub).to_owned()),
        }
    }

    fn input(&self, target: &Target, mut value: Value) -> Input {
        let body = target
            .resource
            .body_type(self.registry.schema(), target.subresource.as_deref())
            .expect("the body has a type");
        let group = if body.group.is_empty() { String::new() } else { format!("{}/", body.group) };
        value["apiVersion"] = json!(format!("{group}{}", body.version));
        value["kind"] = json!(body.kind);
        let value = typed::normalize(self.registry.schema(), body.type_id, value)
            .expect("the test's object has the right types");
        Input { value, findings: Vec::new() }
    }

    async fn create(&self, path: &str, value: Value) -> Result<Value, Status> {
        self.create_with(path, value, CreateOptions::default()).await
    }

    async fn create_with(
        &self,
        path: &str,
        value: Value,
        options: CreateOptions,
    ) -> Result<Value, Status> {
        let target = self.target(path);
        let input = self.input(&target, value);
        let answer = self.registry.create(&self.context, &target, input, &options).await?;
        assert_eq!(answer.code, 201);
        Ok(read(&answer))
    }

    async fn get(&self, path: &str) -> Result<Value, Status> {
        let target = self.target(path);
        let options = GetOptions::default();
        Ok(read(&self.registry.get(&self.context, &target, &options).await?))
    }

    async fn update(&self, path: &str, value: Value) -> Result<Value, Status> {
        let target = self.target(path);
        let input = self.input(&target, value);
        let options = UpdateOptions::default();
        Ok(read(&self.registry.update(&self.context, &target, input, &options).await?))
    }

    async fn merge(&self, path: &str, patch: Value) -> Result<Value, Status> {
        self.patch(path, PatchKind::Merge, patch).await
    }

    async fn patch(&self, path: &str, kind: PatchKind, patch: Value) -> Result<Value, Status> {
        let target = self.target(path);
        let bytes = patch.to_string();
        let options = PatchOptions::default();
        let registry = &self.registry;
        let answer =
            registry.patch(&self.context, &target, kind, bytes.as_bytes(), &options).await?;
        Ok(read(&answer))
    }

    async fn delete(&self, path: &str, options: DeleteOptions) -> Result<Value, Status> {
        let target = self.target(path);
        Ok(read(&self.registry.delete(&self.context, &target, &options).await?))
    }

    async fn names(&self, path: &str, options: ListOptions) -> Result<Vec<String>, Status> {
        let listed = self.registry.list(&self.context, &self.target(path), &options).await?;
        Ok(listed.items.iter().map(|item| item.name().to_owned()).collect())
    }
}

fn read(answer: &Answer) -> Value {
    serde_json::from_slice(answer.body.bytes()).expect("the answer is JSON")
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

fn deployment(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

fn service(name: &str, kind: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"type": kind,
        "selector": {"app": name}, "ports": [{"port": 80, "name": "a"}]}})
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().expect("a text").parse().expect("a number")
}

fn message(result: Result<Value, Status>) -> (u16, String) {
    let status = result.expect_err("the request is refused");
    (status.code, status.message)
}
