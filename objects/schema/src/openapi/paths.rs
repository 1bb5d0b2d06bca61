//! The paths of a group version, from its resource rows.
//!
//! Compat: Kubernetes' documents also have the deprecated `watch/` paths, which no client asks
//! documents about; they are left out. Must not know: what schemas look like.

use serde_json::{Map, json};

use super::operations::{self, Action, Spoken};
use super::schemas::Roots;
use crate::Value;
use crate::types::{Gvk, ResourceFacts, Schema, SubresourceFacts};

/// The methods of a proxy beside those of its verbs.
const PROXIED: &[&str] = &["delete", "get", "head", "options", "patch", "post", "put"];

/// `/api/v1/` or `/apis/apps/v1/`.
pub(super) fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}/") } else { format!("/apis/{group}/{version}/") }
}

/// A document of one path, which answers one of discovery's own kinds.
pub(super) fn one(
    path: &str,
    operation_id: &str,
    kind: &str,
    roots: &mut Roots<'_>,
) -> Map<String, Value> {
    let answer = roots.kind("", "v1", kind).unwrap_or_default();
    let operation = operations::discovery(operation_id.to_owned(), &answer);
    [(path.to_owned(), json!({"get": operation}))].into_iter().collect()
}

/// The document of `/apis/apps/`.
pub(super) fn of_group(group: &str, roots: &mut Roots<'_>) -> Map<String, Value> {
    let operation_id = format!("get{}APIGroup", words(group, ""));
    one(&format!("/apis/{group}/"), &operation_id, "APIGroup", roots)
}

pub(super) fn of_group_version(
    schema: &Schema,
    group: &str,
    version: &str,
    roots: &mut Roots<'_>,
) -> Map<String, Value> {
    let root = root(group, version);
    let mut paths = Paths { schema, roots, words: words(group, version), paths: Map::new() };
    paths.discovery(&root);
    let of_version = |row: &&ResourceFacts| row.group == group && row.version == version;
    for row in schema.resources().iter().filter(of_version) {
        paths.resource(&root, row);
    }
    paths.paths
}

/// What operations are called by: `AppsV1`, `CoreV1`, `FlowcontrolApiserverV1`.
fn words(group: &str, version: &str) -> String {
    let group = group.trim_end_matches(".k8s.io").split('.').map(capitalised).collect::<String>();
    let group = if group.is_empty() { "Core".to_owned() } else { group };
    group + &capitalised(version)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

struct Paths<'build, 'schema> {
    schema: &'build Schema,
    roots: &'build mut Roots<'schema>,
    words: String,
    paths: Map<String, Value>,
}

impl Paths<'_, '_> {
    fn discovery(&mut self, root: &str) {
        let operation_id = format!("get{}APIResources", self.words);
        self.paths.append(&mut one(root, &operation_id, "APIResourceList", self.roots));
    }

    fn add(&mut self, path: &str, method: &str, operation: Value) {
        let item = self.paths.entry(path).or_insert_with(
            || json!({"parameters": operations::of_path(path, !path.contains("/proxy"))}),
        );
        item[method] = operation;
    }

    fn resource(&mut self, root: &str, row: &ResourceFacts) {
        let kind = gvk(row.group, row.version, row.kind);
        let (within, scope) = if row.namespaced {
            (format!("{root}namespaces/{{namespace}}/{}", row.plural), "Namespaced")
        } else {
            (root.to_owned() + row.plural, "")
        };
        let one = format!("{within}/{{name}}");
        let (words, name) = (self.words.clone(), row.kind);
        let ways: [(&str, &str, &str, Action, String); 7] = [
            ("list", &within, "get", Action::List, format!("list{words}{scope}{name}")),
            ("create", &within, "post", Action::Create, format!("create{words}{scope}{name}")),
            (
                "deletecollection",
                &within,
                "delete",
                Action::DeleteCollection,
                format!("delete{words}Collection{scope}{name}"),
            ),
            ("get", &one, "get", Action::Get, format!("read{words}{scope}{name}")),
            ("update", &one, "put", Action::Replace, format!("replace{words}{scope}{name}")),
            ("patch", &one, "patch", Action::Patch, format!("patch{words}{scope}{name}")),
            ("delete", &one, "delete", Action::Delete, format!("delete{words}{scope}{name}")),
        ];
        for (verb, path, method, action, id) in ways {
            if row.has_verb(verb) {
                let mut spoken = self.spoken(action, &kind);
                if action == Action::Delete && row.returns_deleted {
                    spoken.answer = self.spoken(Action::Get, &kind).answer;
                }
                self.add(path, method, operations::operation(action, id, &kind, spoken));
            }
        }
        if row.namespaced && row.has_verb("list") {
            let id = format!("list{words}{name}ForAllNamespaces");
            let spoken = self.spoken(Action::List, &kind);
            let operation = operations::operation(Action::List, id, &kind, spoken);
            self.add(&(root.to_owned() + row.plural), "get", operation);
        }
        if row.has_verb("watch") {
            // No path speaks of events, but every watch does.
            self.roots.kind("", "v1", "WatchEvent");
        }
        for sub in &row.subresources {
            self.subresource(&one, &format!("{scope}{name}"), sub);
            self.read_options(row, &format!("{one}/{}", sub.name), sub);
        }
    }

    fn subresource(&mut self, one: &str, words: &str, sub: &SubresourceFacts) {
        let kind = gvk(sub.group, sub.version, sub.kind);
        let path = format!("{one}/{}", sub.name);
        let words = format!("{words}{}", capitalised(sub.name));
        if sub.kind.ends_with("Options") {
            self.connected(&path, &words, &kind, sub);
            return;
        }
        let ways = [
            ("get", "get", Action::Get, "read"),
            ("create", "post", Action::Create, "create"),
            ("update", "put", Action::Replace, "replace"),
            ("patch", "patch", Action::Patch, "patch"),
        ];
        for (verb, method, action, word) in ways {
            if sub.verbs.contains(&verb) {
                let id = format!("{word}{}{words}", self.words);
                let spoken = self.spoken(action, &kind);
                self.add(&path, method, operations::operation(action, id, &kind, spoken));
            }
        }
    }

    /// What is read with options of its own, as logs are, takes them as query parameters.
    fn read_options(&mut self, row: &ResourceFacts, path: &str, sub: &SubresourceFacts) {
        let kind = format!("{}{}Options", row.kind, capitalised(sub.name));
        if kind == sub.kind {
            return;
        }
        let Some(id) = self.schema.kind(row.group, row.version, &kind) else { return };
        let options = operations::options(self.schema.get(id));
        operations::answer_text(&mut self.paths[path]["get"]);
        if let Some(parameters) = self.paths[path]["parameters"].as_array_mut() {
            parameters.extend(options);
        }
    }

    /// Streams and proxies: their kind is that of their options.
    fn connected(&mut self, path: &str, words: &str, kind: &Gvk, sub: &SubresourceFacts) {
        let options = self.schema.kind(&kind.group, &kind.version, &kind.kind);
        let options = options.map(|id| operations::options(self.schema.get(id)));
        let proxy = sub.name == "proxy";
        let methods: &[&str] = if proxy { PROXIED } else { &["get", "post"] };
        let ways = [(path.to_owned(), ""), (format!("{path}/{{path}}"), "WithPath")];
        for (path, ending) in ways.into_iter().take(if proxy { 2 } else { 1 }) {
            for method in methods {
                let id = format!("connect{}{}{words}{ending}", self.words, capitalised(method));
                let spoken = Spoken { request: None, answer: json!({"type": "string"}) };
                self.add(&path, method, operations::operation(Action::Connect, id, kind, spoken));
            }
            let mut parameters = operations::of_path(&path, false);
            parameters.extend(options.iter().flatten().cloned());
            self.paths[&path]["parameters"] = parameters.into();
        }
    }

    fn spoken(&mut self, action: Action, kind: &Gvk) -> Spoken {
        let Gvk { group, version, kind } = kind;
        let object = self.roots.kind(group, version, kind).unwrap_or_default();
        let list = || format!("{kind}List");
        let (request, answer) = match action {
            Action::Get | Action::Connect => (None, object),
            Action::List => (None, self.roots.kind(group, version, &list()).unwrap_or_default()),
            Action::Create | Action::Replace => (Some(object.clone()), object),
            Action::Patch => (Some(self.roots.patch()), object),
            Action::Delete | Action::DeleteCollection => (
                self.roots.kind("", "v1", "DeleteOptions"),
                self.roots.kind("", "v1", "Status").unwrap_or_default(),
            ),
        };
        Spoken { request, answer }
    }
}

fn gvk(group: &str, version: &str, kind: &str) -> Gvk {
    Gvk { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
}
