//! Operations: what may be asked of a path, with its query parameters and answers.
//!
//! Must not know: which paths there are.

use serde_json::{Map, json};

use super::schemas::group_version_kind;
use crate::Value;
use crate::types::{Gvk, Shape, Type};

/// The media types in which objects are answered.
const ANSWERED: &[&str] = &["application/json", "application/yaml"];
/// The media types of patches.
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// A query parameter: its name and the type of its value.
type Parameter = (&'static str, &'static str);

const DRY_RUN: Parameter = ("dryRun", "string");
const WRITE: &[Parameter] = &[DRY_RUN, ("fieldManager", "string"), ("fieldValidation", "string")];
const PATCH: &[Parameter] =
    &[DRY_RUN, ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean")];
const DELETE: &[Parameter] = &[
    DRY_RUN,
    ("gracePeriodSeconds", "integer"),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];
const LIST: &[Parameter] = &[
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];
const DELETE_COLLECTION: &[Parameter] = &[
    ("continue", "string"),
    DRY_RUN,
    ("fieldSelector", "string"),
    ("gracePeriodSeconds", "integer"),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
];

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Get,
    List,
    Create,
    Replace,
    Patch,
    Delete,
    DeleteCollection,
    Connect,
}

impl Action {
    /// `x-kubernetes-action`.
    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "post",
            Self::Replace => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Connect => "connect",
        }
    }

    fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::Get | Self::Connect => &[],
            Self::List => LIST,
            Self::Create | Self::Replace => WRITE,
            Self::Patch => PATCH,
            Self::Delete => DELETE,
            Self::DeleteCollection => DELETE_COLLECTION,
        }
    }
}

/// The schemas that an operation speaks.
pub(super) struct Spoken {
    /// The body of the request, if it has one.
    pub(super) request: Option<Value>,
    /// The answer.
    pub(super) answer: Value,
}

/// One operation.
pub(super) fn operation(action: Action, id: String, kind: &Gvk, spoken: Spoken) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), id.into());
    let parameters: Vec<Value> = action.parameters().iter().map(query).collect();
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(schema) = spoken.request {
        let (types, required) = match action {
            Action::Patch => (PATCHES, true),
            Action::Delete | Action::DeleteCollection => (&["*/*"][..], false),
            _ => (&["*/*"][..], true),
        };
        let mut body = json!({"content": content(types, &schema)});
        if required {
            body["required"] = json!(true);
        }
        operation.insert("requestBody".to_owned(), body);
    }
    operation.insert("responses".to_owned(), responses(action, &spoken.answer));
    operation.insert("x-kubernetes-action".to_owned(), action.name().into());
    let extension = "x-kubernetes-group-version-kind".to_owned();
    operation.insert(extension, group_version_kind(kind));
    operation.into()
}

/// The operation that answers what a group version has.
pub(super) fn discovery(id: String, answer: &Value) -> Value {
    json!({"operationId": id, "responses": {"200": answered(&content(ANSWERED, answer))}})
}

/// What is read with options of its own is text, whatever kind it is of.
pub(super) fn answer_text(operation: &mut Value) {
    let mut types = vec!["text/plain"];
    types.extend(ANSWERED);
    let text = json!({"type": "string"});
    operation["responses"]["200"]["content"] = content(&types, &text).into();
}

fn responses(action: Action, answer: &Value) -> Value {
    let types = if action == Action::Connect { &["*/*"][..] } else { ANSWERED };
    let mut content = content(types, answer);
    if action == Action::List {
        let stream = json!({"schema": answer});
        content.insert("application/json;stream=watch".to_owned(), stream);
    }
    let answered = answered(&content);
    let mut responses = Map::new();
    responses.insert("200".to_owned(), answered.clone());
    let others: &[&str] = match action {
        Action::Create => &["201", "202"],
        Action::Replace | Action::Patch => &["201"],
        Action::Delete => &["202"],
        _ => &[],
    };
    responses.extend(others.iter().map(|code| ((*code).to_owned(), answered.clone())));
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    responses.into()
}

fn answered(content: &Map<String, Value>) -> Value {
    json!({"description": "OK", "content": content})
}

fn content(types: &[&str], schema: &Value) -> Map<String, Value> {
    types.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect()
}

fn query((name, kind): &Parameter) -> Value {
    parameter("query", name, kind)
}

fn parameter(place: &str, name: &str, kind: &str) -> Value {
    json!({"in": place, "name": name, "schema": {"type": kind, "uniqueItems": true}})
}

/// The parameters of a whole path: the names in it, and whether answers are made readable.
pub(super) fn of_path(path: &str, pretty: bool) -> Vec<Value> {
    let named = ["name", "namespace", "path"].into_iter();
    let mut parameters: Vec<Value> = named
        .filter(|name| path.contains(&format!("{{{name}}}")))
        .map(|name| {
            let mut parameter = parameter("path", name, "string");
            parameter["required"] = json!(true);
            parameter
        })
        .collect();
    if pretty {
        parameters.push(parameter("query", "pretty", "string"));
    }
    parameters
}

/// What is connected to takes its options as query parameters.
pub(super) fn options(facts: &Type) -> Vec<Value> {
    let fields = facts.fields.iter().filter(|field| field.tag != 0 && !field.shape.is_struct());
    fields
        .map(|field| {
            let kind = match field.shape {
                Shape::Bool => "boolean",
                Shape::Int32 | Shape::Int64 => "integer",
                _ => "string",
            };
            parameter("query", field.json, kind)
        })
        .collect()
}
