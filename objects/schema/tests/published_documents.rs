//! The published OpenAPI documents of Kubernetes, held against ours: schemas with their extensions,
//! and paths with their operations and query parameters.
//!
//! Descriptions are left out on both sides. The documents are not checked in: `go` fetches the
//! module. Without Go the test says so and fails where `CI` is set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use engram_schema::types::Schema;
use engram_schema::{Value, openapi};

/// Query parameters of features that are off by default.
const OFF: &[&str] = &["shardSelector"];

fn folder() -> Option<PathBuf> {
    let generator = concat!(env!("CARGO_MANIFEST_DIR"), "/generator");
    let module = ["mod", "download", "-json", "k8s.io/kubernetes@v1.37.0"];
    let output = match Command::new("go").args(module).current_dir(generator).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "go: {error}");
            eprintln!("did not run: Go is not on this machine ({error})");
            return None;
        }
    };
    let answer: Value = serde_json::from_slice(&output.stdout).expect("go answers in JSON");
    let folder = answer["Dir"].as_str().expect("the module was fetched");
    Some(PathBuf::from(folder).join("api/openapi-spec"))
}

/// Ours and theirs of every group version that is served and that Kubernetes has.
fn documents() -> Vec<(String, Value, Value)> {
    let Some(folder) = folder() else { return Vec::new() };
    let rows = Schema::builtin().resources().iter();
    let mut paths: BTreeSet<String> = rows
        .filter(|row| row.version != "v1beta1")
        .flat_map(|row| match row.group {
            "" => [format!("api/{}", row.version), "api".to_owned()],
            group => [format!("apis/{group}/{}", row.version), format!("apis/{group}")],
        })
        .collect();
    paths.insert("apis".to_owned());
    assert!(paths.len() > 20, "{} documents are too few", paths.len());
    let read = |path: String| {
        let ours = openapi::document(&path).expect("a document");
        let file = folder.join("v3").join(path.replace('/', "__") + "_openapi.json");
        let theirs = std::fs::read(&file).expect("a file");
        (
            path,
            serde_json::from_slice(&ours.bytes).expect("JSON"),
            serde_json::from_slice(&theirs).expect("JSON"),
        )
    };
    paths.into_iter().map(read).collect()
}

/// Without descriptions and enumerations (the published documents have none), lists of required
/// fields sorted, and a reference in an `allOf` as if it stood alone.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut result = serde_json::Map::new();
            for (name, inner) in map {
                match (name.as_str(), inner) {
                    ("description", Value::String(_)) | ("enum", Value::Array(_)) => {}
                    ("allOf", Value::Array(one)) if one.len() == 1 => {
                        result.insert("$ref".to_owned(), one[0]["$ref"].clone());
                    }
                    ("required", Value::Array(names)) => {
                        let mut names = names.clone();
                        names.sort_by_key(Value::to_string);
                        result.insert(name.clone(), names.into());
                    }
                    _ => {
                        result.insert(name.clone(), comparable(inner));
                    }
                }
            }
            result.into()
        }
        Value::Array(items) => items.iter().map(comparable).collect(),
        other => other.clone(),
    }
}

#[test]
fn schemas_are_those_of_the_published_documents() {
    let mut different = Vec::new();
    for (path, ours, theirs) in documents() {
        let schemas = |document: &Value| document["components"]["schemas"].clone();
        let (ours, theirs) = (schemas(&ours), schemas(&theirs));
        let names = |schemas: &Value| -> BTreeSet<String> {
            schemas.as_object().expect("schemas").keys().cloned().collect()
        };
        let one_sided: Vec<_> =
            names(&theirs).symmetric_difference(&names(&ours)).cloned().collect();
        if !one_sided.is_empty() {
            different.push(format!("{path}: only one has {one_sided:?}"));
        }
        for name in names(&theirs).intersection(&names(&ours)) {
            let (ours, theirs) = (comparable(&ours[name]), comparable(&theirs[name]));
            if ours != theirs {
                different.push(format!("{path} {name}\n ours   {ours}\n theirs {theirs}"));
            }
        }
    }
    different.sort();
    different.dedup();
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

/// What a client sees of an operation: its action, its kind, its query parameters.
fn operations(document: &Value) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        if path.contains("/watch/") {
            continue;
        }
        for (method, operation) in item.as_object().expect("an item") {
            if method == "parameters" {
                continue;
            }
            let parameters = [&item["parameters"], &operation["parameters"]];
            let parameters = parameters.into_iter().filter_map(Value::as_array).flatten();
            let names: BTreeSet<String> = parameters
                .map(|parameter| format!("{}:{}", parameter["in"], parameter["name"]))
                .filter(|name| !OFF.iter().any(|off| name.contains(off)))
                .collect();
            let (kind, action) = ("x-kubernetes-group-version-kind", "x-kubernetes-action");
            let id = &operation["operationId"];
            let answer = &operation["responses"]["200"]["content"];
            let answer = answer.get("application/json").or(answer.get("*/*"));
            let told = [&operation[action], &operation[kind]];
            let text = format!("{id} {told:?} {names:?} {answer:?}");
            found.insert((path.clone(), method.clone()), text);
        }
    }
    found
}

#[test]
fn operations_are_those_of_the_published_documents() {
    let mut different = Vec::new();
    for (_, ours, theirs) in documents() {
        let (ours, theirs) = (operations(&ours), operations(&theirs));
        let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for key in keys {
            let (ours, theirs) = (ours.get(key), theirs.get(key));
            if ours != theirs {
                different.push(format!("{key:?}\n ours   {ours:?}\n theirs {theirs:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn definitions_and_operations_of_version_two_are_those_of_the_published_document() {
    let Some(folder) = folder() else { return };
    let theirs = std::fs::read(folder.join("swagger.json")).expect("a file");
    let theirs: Value = serde_json::from_slice(&theirs).expect("JSON");
    let ours: Value = serde_json::from_slice(&openapi::document_v2().bytes).expect("JSON");
    let mut different = Vec::new();
    for (name, definition) in ours["definitions"].as_object().expect("definitions") {
        let (mut ours, mut theirs) =
            (comparable(definition), comparable(&theirs["definitions"][name]));
        for schema in [&mut ours, &mut theirs] {
            // Theirs are also of the group versions that are off, and not of batch/v1beta1.
            schema.as_object_mut().map(|map| map.remove("x-kubernetes-group-version-kind"));
        }
        if ours != theirs {
            different.push(format!("{name}\n ours   {ours}\n theirs {theirs}"));
        }
    }
    for (path, item) in ours["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let theirs = &theirs["paths"][path][method];
            if method != "parameters"
                && !path.contains("v1beta1")
                && (operation["operationId"] != theirs["operationId"]
                    || operation["responses"]["200"]["schema"]
                        != theirs["responses"]["200"]["schema"])
            {
                different.push(format!("{path} {method}\n ours   {operation}\n theirs {theirs}"));
            }
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}
