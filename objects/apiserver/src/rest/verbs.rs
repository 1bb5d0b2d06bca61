//! Requests about resources: which verb of the registry they are, and what it is handed.
//!
//! Invariant: a path that names nothing is 404 whatever the method, a method that a resource does
//! not have is 405; both before anything of the body is read. Must not know: what a verb does.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{USER_AGENT, WARNING};
use http::{Method, StatusCode};
use schema::types::ResourceFacts;
use serde_json::json;

use super::answer::{self, Answer};
use super::ask::Ask;
use super::body::{self, Media};
use super::door::Door;
use super::metrics::Labels;
use super::negotiate::{Form, Offer};
use super::path::{Path, ResourcePath, why_no_segment};
use super::shapes::Shaper;
use super::{lists, reviews, watches};
use crate::registry::{
    self, CreateOptions, DeleteOptions, FieldValidation, GetOptions, ListOptions, PatchKind,
    PatchOptions, RequestContext, Resource, Target, UpdateOptions, UserInfo,
};
use crate::status::{Reason, Status};

/// What is asked of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// As discovery lists it.
    fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }

    /// As the metrics call it.
    fn label(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::List => "LIST",
            Verb::Watch => "WATCH",
            Verb::Create => "POST",
            Verb::Update => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
            Verb::DeleteCollection => "DELETECOLLECTION",
        }
    }
}

/// What the metrics are told of a request.
pub(crate) fn labels(door: &Door, ask: &Ask) -> Labels {
    let Path::Resource(path) = &ask.path else {
        return Labels { verb: "GET", ..Labels::default() };
    };
    let Ok(named) = Named::find(door, path) else { return Labels::default() };
    let verb = named.verb(ask).map(Verb::label).unwrap_or_default();
    let facts = named.facts;
    let scope = match (named.path.name.is_some(), path.namespace.is_empty()) {
        (true, _) => "resource",
        (_, false) => "namespace",
        _ => "cluster",
    };
    let sub = path.subresource.as_deref().and_then(|name| facts.subresource(name));
    Labels {
        verb,
        group: facts.group,
        version: facts.version,
        resource: facts.plural,
        subresource: sub.map(|sub| sub.name).unwrap_or_default(),
        scope,
    }
}

/// A resource that a path names.
struct Named<'a> {
    facts: &'static ResourceFacts,
    path: &'a ResourcePath,
}

impl<'a> Named<'a> {
    /// *Errors*: 404 when the path names nothing that is served.
    fn find(door: &Door, path: &'a ResourcePath) -> Result<Self, Status> {
        let facts = door.registry.schema().resource(&path.group, &path.version, &path.resource);
        let facts = facts.ok_or_else(Status::no_such_path)?;
        // Compat: an empty namespace is one too here; later it turns out to be missing.
        let shape = (facts.namespaced, path.in_namespace, &path.name);
        let fits = !matches!(shape, (false, true, _) | (true, false, Some(_)));
        let subresource = match path.subresource.as_deref() {
            None => true,
            Some(name) => {
                let first = name.split('/').next().unwrap_or_default();
                let is_proxy = first == "proxy" && facts.subresource("proxy").is_some();
                facts.subresource(name).is_some() || is_proxy
            }
        };
        if fits && subresource { Ok(Named { facts, path }) } else { Err(Status::no_such_path()) }
    }

    /// *Errors*: 405 when the resource does not have it.
    fn verb(&self, ask: &Ask) -> Result<Verb, Status> {
        let named = self.path.name.is_some();
        let watch = ask.is_watch();
        let verb = match (&ask.method, named) {
            (&Method::GET, _) if self.path.watch => Verb::Watch,
            (&Method::GET, false) if watch => Verb::Watch,
            (&Method::GET, true) => Verb::Get,
            (&Method::GET, false) => Verb::List,
            (&Method::POST, _) if named == self.path.subresource.is_some() => Verb::Create,
            (&Method::PUT, true) => Verb::Update,
            (&Method::PATCH, true) => Verb::Patch,
            (&Method::DELETE, true) => Verb::Delete,
            (&Method::DELETE, false) => Verb::DeleteCollection,
            _ => return Err(Status::method_not_allowed()),
        };
        let has = |verb: Verb| match self.path.subresource.as_deref() {
            None => self.facts.has_verb(verb.name()),
            Some(name) => {
                let name = name.split('/').next().unwrap_or_default();
                let sub = self.facts.subresource(name);
                sub.is_some_and(|sub| sub.verbs.contains(&verb.name()))
            }
        };
        // Compat: all namespaces at once can be read, not written.
        let everywhere = self.facts.namespaced && !self.path.in_namespace;
        let reads = matches!(verb, Verb::List | Verb::Watch);
        if has(verb) && (reads || !everywhere) {
            Ok(verb)
        } else {
            Err(Status::method_not_allowed())
        }
    }
}

/// Answers a request about a resource.
pub(crate) async fn answer<B>(
    door: &Arc<Door>,
    ask: &Ask,
    path: &ResourcePath,
    body: B,
) -> Result<Answer, Status>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if !door.discovery.has_group(&path.group) {
        return Ok(answer::no_such_page());
    }
    let named = Named::find(door, path)?;
    let verb = named.verb(ask)?;
    if let Some((name, why)) = path.name.as_deref().and_then(|n| Some((n, why_no_segment(n)?))) {
        return Err(Status::bad_request(format!("Name parameter invalid: {name:?}: {why}")));
    }
    if let Some(why) = why_no_segment(&path.namespace) {
        let namespace = &path.namespace;
        let text = format!("Namespace parameter invalid: {namespace:?}: {why}");
        return Err(Status::bad_request(text));
    }
    // Compat: whoever asks for an old version is told so whatever the answer.
    let answered = dispatched(door, ask, &named, verb, body).await;
    // Compat: but not when it asks or sends what nobody knows, which a filter refuses before.
    let filtered = matches!(&answered, Err(status)
        if status.message.starts_with("406: ") || status.message.starts_with("415: "));
    let mut answer = answered.unwrap_or_else(|status| answer::refusal(&status, ask.refusal_form()));
    let facts = named.facts;
    let row = door.registry.resource(facts.group, facts.version, facts.plural);
    if let Some(row) = row.filter(|_| !filtered) {
        warn_of_version(&mut answer, row);
    }
    Ok(answer)
}

/// Compat: the warning of a version stands before all others.
fn warn_of_version(answer: &mut Answer, row: &Resource) {
    let Some(warning) = row.deprecation_warning() else { return };
    let headers = answer.headers_mut();
    let others: Vec<_> = headers.get_all(WARNING).iter().cloned().collect();
    headers.remove(WARNING);
    warn(answer, &[warning]);
    for other in others {
        if answer.headers().get_all(WARNING).iter().all(|given| given != other) {
            answer.headers_mut().append(WARNING, other);
        }
    }
}

async fn dispatched<B>(
    door: &Arc<Door>,
    ask: &Ask,
    named: &Named<'_>,
    verb: Verb,
    body: B,
) -> Result<Answer, Status>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = named.path;
    if verb == Verb::Watch {
        let form = ask.form(Offer::Watch)?;
        return watches::answer(door, ask, &asked(door, ask, named)?, form).await;
    }
    let form = ask.form(Offer::Objects)?;
    let facts = named.facts;
    if let Some(sub) = connects(path) {
        return Err(no_connection(&asked(door, ask, named)?, sub).await);
    }
    if verb == Verb::Create && reviews::is_review(facts.group, facts.plural) {
        return review(door, ask, named, body, form).await;
    }
    if facts.plural == "componentstatuses" && facts.group.is_empty() {
        return component_statuses(door, path, form);
    }
    asked(door, ask, named)?.answer(verb, body, form).await
}

/// Subresources that reach into a node or a pod.
fn connects(path: &ResourcePath) -> Option<&str> {
    let first = path.subresource.as_deref()?.split('/').next()?;
    ["proxy", "exec", "attach", "portforward", "log"].into_iter().find(|name| *name == first)
}

async fn no_connection(asked: &Asked<'_>, subresource: &str) -> Status {
    let target = Target { subresource: None, ..asked.target.clone() };
    let registry = &asked.door.registry;
    // What is not there is not found; only then it matters that it cannot be reached.
    if let Err(status) = registry.get(&asked.context, &target, &GetOptions::default()).await {
        return status;
    }
    let message =
        format!("{subresource} needs a kubelet that can be reached; simulated nodes have none");
    Status::plain(501, Reason::Unknown, message)
}

/// A request about a resource, ready for its verb.
pub(crate) struct Asked<'a> {
    pub(crate) door: &'a Arc<Door>,
    pub(crate) ask: &'a Ask,
    pub(crate) context: RequestContext,
    pub(crate) target: Target,
}

fn asked<'a>(door: &'a Arc<Door>, ask: &'a Ask, named: &Named<'_>) -> Result<Asked<'a>, Status> {
    let (facts, path) = (named.facts, named.path);
    let resource = door.registry.resource(facts.group, facts.version, facts.plural);
    let resource = resource.cloned().ok_or_else(Status::no_such_path)?;
    let target = Target {
        resource,
        namespace: path.namespace.clone(),
        name: path.name.clone().unwrap_or_default(),
        subresource: path.subresource.clone(),
    };
    Ok(Asked { door, ask, context: context(ask), target })
}

fn context(ask: &Ask) -> RequestContext {
    let user = UserInfo {
        name: ask.user.name.clone(),
        uid: ask.user.uid.clone(),
        groups: ask.user.groups.clone(),
        extra: Vec::new(),
    };
    RequestContext { user, user_agent: ask.header(USER_AGENT).to_owned() }
}

impl Asked<'_> {
    /// The row.
    pub(crate) fn resource(&self) -> &Resource {
        &self.target.resource
    }

    async fn answer<B>(&self, verb: Verb, body: B, form: Form) -> Result<Answer, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let pairs = self.ask.query.pairs();
        let registry = &self.door.registry;
        let (context, target) = (&self.context, &self.target);
        match verb {
            Verb::Watch => Err(Status::method_not_allowed()),
            Verb::List => {
                let options = ListOptions::from_query(pairs)?;
                let listed = registry.list(context, target, &options).await?;
                lists::answer(self, &listed, form)
            }
            Verb::Get => {
                let options = GetOptions::from_query(pairs)?;
                self.one(registry.get(context, target, &options).await?, form)
            }
            Verb::Create => {
                let options = CreateOptions::for_create(pairs)?;
                let input = self.input(body).await?;
                let said = told(&input, options.field_validation);
                let outcome = registry.create(context, target, input, &options).await;
                self.written(outcome, &said, form)
            }
            Verb::Update => {
                let options = UpdateOptions::for_update(pairs)?;
                let input = self.input(body).await?;
                let said = told(&input, options.field_validation);
                let outcome = registry.update(context, target, input, &options).await;
                self.written(outcome, &said, form)
            }
            Verb::Patch => {
                let kind = self.patch_kind()?;
                let bytes = body::read(body).await?;
                let apply = matches!(kind, PatchKind::ApplyYaml | PatchKind::ApplyCbor);
                let options = PatchOptions::from_query(pairs, apply)?;
                self.one(registry.patch(context, target, kind, &bytes, &options).await?, form)
            }
            Verb::Delete => {
                let options = self.delete_options(body).await?;
                let said = self.said_of_delete(&options);
                self.written(registry.delete(context, target, &options).await, &said, form)
            }
            Verb::DeleteCollection => {
                let list = ListOptions::from_query(pairs)?;
                let options = self.delete_options(body).await?;
                let said = self.said_of_delete(&options);
                let gone = registry.delete_collection(context, target, &options, &list).await;
                self.written(gone, &said, form)
            }
        }
    }

    /// Reads and decodes the object in the body.
    async fn input<B>(&self, body: B) -> Result<registry::Input, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let bytes = body::read(body).await?;
        let media = Media::of(self.ask.content_type())?;
        let schema = self.door.registry.schema();
        let wanted = self.resource().body_type(schema, self.target.subresource.as_deref());
        let wanted = wanted.ok_or_else(Status::no_such_path)?;
        body::object(schema, &wanted, media, &bytes)
    }

    async fn delete_options<B>(&self, body: B) -> Result<DeleteOptions, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let bytes = body::read(body).await?;
        let schema = self.door.registry.schema();
        match body::delete_options(schema, self.ask.content_type(), &bytes)? {
            Some(value) => DeleteOptions::from_body(&value),
            None => DeleteOptions::from_query(self.ask.query.pairs()),
        }
    }

    fn patch_kind(&self) -> Result<PatchKind, Status> {
        let media = body::media_type(self.ask.content_type());
        let kind = media.as_deref().and_then(PatchKind::of_media_type);
        kind.filter(|kind| *kind != PatchKind::ApplyCbor).ok_or_else(|| {
            let text = "415: Unsupported Media Type";
            let mut status = Status::plain(415, Reason::UnsupportedMediaType, text);
            status.details = Some(Box::default());
            status
        })
    }

    /// What is to be told of a deletion's options.
    fn said_of_delete(&self, options: &DeleteOptions) -> Vec<String> {
        let said = self.door.registry.said_of_delete(&self.target, options);
        said.into_iter().map(str::to_owned).collect()
    }

    /// What became of a write. What is to be told of the request is so when it is refused, too.
    fn written(
        &self,
        outcome: Result<registry::Answer, Status>,
        said: &[String],
        form: Form,
    ) -> Result<Answer, Status> {
        let mut answer = match outcome {
            Ok(answered) => self.one(answered, form)?,
            Err(status) if said.is_empty() => return Err(status),
            Err(status) => answer::refusal(&status, form),
        };
        warn(&mut answer, said);
        Ok(answer)
    }

    /// One object, or a report.
    fn one(&self, answered: registry::Answer, form: Form) -> Result<Answer, Status> {
        let code = StatusCode::from_u16(answered.code).unwrap_or(StatusCode::OK);
        let mut answer = match answered.body {
            registry::Body::Status(bytes) => answer::json(code, form, bytes),
            registry::Body::Object(bytes) => Shaper::new(self)?.answer(code, bytes, form)?,
        };
        warn(&mut answer, &answered.warnings);
        Ok(answer)
    }
}

/// What is found in a body and only warned of.
fn told(input: &registry::Input, mode: FieldValidation) -> Vec<String> {
    match mode {
        FieldValidation::Warn => input.findings.clone(),
        FieldValidation::Ignore | FieldValidation::Strict => Vec::new(),
    }
}

/// Adds warnings, each once. Compat: what cannot stand in a quoted string is left out.
fn warn(answer: &mut Answer, warnings: &[String]) {
    for warning in warnings {
        let text: String = warning.chars().filter(|c| !c.is_control()).collect();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let line = format!("299 - \"{quoted}\"");
        let told =
            answer.headers().get_all(WARNING).iter().any(|one| one.as_bytes() == line.as_bytes());
        if !told {
            answer::header(answer, WARNING, &line);
        }
    }
}

async fn review<B>(
    door: &Arc<Door>,
    ask: &Ask,
    named: &Named<'_>,
    body: B,
    form: Form,
) -> Result<Answer, Status>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let facts = named.facts;
    let schema = door.registry.schema();
    let type_id = schema.kind(facts.group, facts.version, facts.kind);
    let wanted = registry::BodyType {
        group: facts.group,
        version: facts.version,
        kind: facts.kind,
        type_id: type_id.ok_or_else(Status::no_such_path)?,
    };
    CreateOptions::for_create(ask.query.pairs())?;
    let bytes = body::read(body).await?;
    let input = body::object(schema, &wanted, Media::of(ask.content_type())?, &bytes)?;
    let namespace = &named.path.namespace;
    let value = reviews::answer(door, &ask.user, facts.plural, namespace, input.value)?;
    Ok(answer::document(StatusCode::CREATED, form, &value))
}

/// Compat: deprecated since 1.19; the store is the one component that is known here.
fn component_statuses(door: &Door, path: &ResourcePath, form: Form) -> Result<Answer, Status> {
    const STORE: &str = "etcd-0";
    let (status, message) = match door.health.fault("etcd") {
        None => ("True", "ok".to_owned()),
        Some(fault) => ("False", fault),
    };
    let conditions = json!([{"type": "Healthy", "status": status, "message": message}]);
    let mut component = json!({"metadata": {"name": STORE}, "conditions": conditions});
    let document = match path.name.as_deref() {
        None => json!({
            "kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {},
            "items": [component],
        }),
        Some(STORE) => {
            component["kind"] = "ComponentStatus".into();
            component["apiVersion"] = "v1".into();
            component
        }
        Some(name) => return Err(Status::not_found("", "componentstatuses", name)),
    };
    let mut answer = answer::document(StatusCode::OK, form, &document);
    warn(&mut answer, &["v1 ComponentStatus is deprecated in v1.19+".to_owned()]);
    Ok(answer)
}
