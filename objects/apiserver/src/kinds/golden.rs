//! What kube-apiserver 1.37.0 was observed to answer, held against the rows.
//! `engram-kubernetes record` asks the real one and writes the answers anew.
//!
//! Form of `golden/*.txt`: `base <version> <kind> <scope>` and an object; then cases that change
//! it: `create` and `show` post it, `update` puts it in place of itself, `status` does so through
//! the subresource; `given` changes what it is put in place of. Changes are `path=json` or `path-`
//! (removed), joined by ` ; `; `repeat("x",n)` is a long text. Below a case stand the causes, each
//! to the end of its first line; or `ok` and warnings; or, of `show`, the object. `# differs:`
//! before a case says why it is not asked for.

use super::{Hooks, hooks};
use crate::kinds::edit;
use crate::status::FieldErrors;
use schema::{Value, types::Schema};
use serde_json::json;

const UID: &str = "uid-0";

struct Base {
    version: String,
    kind: String,
    namespaced: bool,
    object: Value,
    given: String,
}

impl Base {
    fn hooks(&self) -> &'static Hooks {
        let group = self.version.split_once('/').map_or("", |(group, _)| group);
        hooks(group, &self.kind)
    }

    fn normalized(&self, value: Value) -> Value {
        let schema = Schema::builtin();
        let (group, version) = self.version.split_once('/').unwrap_or(("", &self.version));
        let id = schema.kind(group, version, &self.kind).expect("a kind of the schema");
        schema::typed::normalize(schema, id, value).expect("golden objects have the right types")
    }

    /// The object as it stands before validation on create.
    fn prepared(&self, changes: &str) -> Value {
        let mut object = self.normalized(changed(&self.object, changes));
        self.renamed(&mut object, true);
        let row = self.hooks();
        (row.default)(&mut object);
        (row.admit_create)(&mut object);
        let metadata = edit::make(&mut object, "metadata").expect("an object");
        edit::set(metadata, "uid", UID);
        edit::set(metadata, "creationTimestamp", "2020-01-01T00:00:00Z");
        if self.namespaced {
            edit::fill(metadata, "namespace", "default");
        }
        (row.prepare_create)(&mut object);
        if self.is_new_event() { object } else { self.normalized(object) }
    }

    fn is_new_event(&self) -> bool {
        self.version == "events.k8s.io/v1"
    }

    /// Events of the newer group are seen by their row in the form of the older.
    fn renamed(&self, object: &mut Value, to_core: bool) {
        const NAMES: [(&str, &str); 5] = [
            ("regarding", "involvedObject"),
            ("note", "message"),
            ("reportingController", "reportingComponent"),
            ("deprecatedCount", "count"),
            ("deprecatedSource", "source"),
        ];
        let Some(map) = object.as_object_mut().filter(|_| self.is_new_event()) else { return };
        for (newer, core) in NAMES {
            let (from, to) = if to_core { (newer, core) } else { (core, newer) };
            if let Some(value) = map.remove(from) {
                map.insert(to.to_owned(), value);
            }
        }
    }

    fn created(&self, changes: &str) -> (Value, FieldErrors) {
        let object = self.prepared(changes);
        let mut errors = FieldErrors::new();
        self.hooks().validate_create(&object, self.namespaced, &mut errors);
        (object, errors)
    }

    fn replaced(&self, changes: &str, status: bool) -> FieldErrors {
        let mut old = self.prepared("");
        let metadata = edit::find(&mut old, "metadata").expect("prepared objects have metadata");
        edit::set(metadata, "resourceVersion", "1");
        let old = changed(&old, &self.given);
        let mut served = old.clone();
        self.renamed(&mut served, false);
        let mut new = self.normalized(changed(&served, changes));
        self.renamed(&mut new, true);
        let row = self.hooks();
        (row.default)(&mut new);
        let mut errors = FieldErrors::new();
        if status {
            (row.prepare_status)(&mut new, &old);
            keep_system_metadata(&mut new, &old);
            row.validate_status_update(&new, &old, self.namespaced, &mut errors);
        } else {
            if old.get("status").is_some() {
                edit::take_from(&mut new, &old, "status");
            }
            (row.prepare_update)(&mut new, &old);
            keep_system_metadata(&mut new, &old);
            row.validate_update(&new, &old, self.namespaced, &mut errors);
        }
        errors
    }
}

/// What the registry keeps whatever the client sends.
fn keep_system_metadata(new: &mut Value, old: &Value) {
    let (metadata, was) = (edit::make(new, "metadata").expect("an object"), &old["metadata"]);
    edit::take_from(metadata, was, "creationTimestamp");
    edit::take_from(metadata, was, "generation");
    edit::fill(metadata, "uid", UID);
}

fn changed(object: &Value, changes: &str) -> Value {
    let mut object = object.clone();
    for change in changes.split(" ; ").map(str::trim).filter(|change| !change.is_empty()) {
        match change.split_once('=') {
            Some((path, value)) => change_at(&mut object, path, Some(literal(value))),
            None => change_at(&mut object, change.trim_end_matches('-'), None),
        }
    }
    object
}

fn literal(text: &str) -> Value {
    if let Some(inner) = text.strip_prefix("repeat(").and_then(|text| text.strip_suffix(')')) {
        let (part, count) = inner.rsplit_once(',').expect("repeat(text,count)");
        let part: String = serde_json::from_str(part).expect("a JSON text");
        return json!(part.repeat(count.parse().expect("a count")));
    }
    serde_json::from_str(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// A path in steps: `a.b[0]["c.d"]`.
fn steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let (step, after) = quoted.split_once("\"]").expect("a closed bracket");
            steps.push(step.to_owned());
            rest = after;
        } else if let Some(index) = rest.strip_prefix('[') {
            let (step, after) = index.split_once(']').expect("a closed bracket");
            steps.push(step.to_owned());
            rest = after;
        } else {
            let rest_of = rest.trim_start_matches('.');
            let end = rest_of.find(['.', '[']).unwrap_or(rest_of.len());
            steps.push(rest_of[..end].to_owned());
            rest = &rest_of[end..];
        }
    }
    steps
}

fn change_at(object: &mut Value, path: &str, value: Option<Value>) {
    let steps = steps(path);
    let (last, above) = steps.split_last().expect("a path has steps");
    let mut at = object;
    for (step, next) in above.iter().zip(&steps[1..]) {
        let is_list = next.bytes().all(|byte| byte.is_ascii_digit());
        at = child(at, step);
        if at.is_null() {
            *at = if is_list { json!([]) } else { json!({}) };
        }
    }
    match (value, at) {
        (Some(value), at) => *child(at, last) = value,
        (None, Value::Array(list)) => {
            list.remove(last.parse().expect("an index"));
        }
        (None, at) => edit::remove(at, last),
    }
}

fn child<'v>(at: &'v mut Value, step: &str) -> &'v mut Value {
    if let Value::Array(list) = at {
        let index: usize = step.parse().expect("an index");
        while list.len() <= index {
            list.push(Value::Null);
        }
        return &mut list[index];
    }
    &mut at[step]
}

/// Causes as the files have them.
fn causes(errors: &FieldErrors) -> Vec<String> {
    let lines: Vec<String> = errors
        .iter()
        .map(|error| {
            let text = format!("{} {}: {}", error.kind.word(), error.path, error.body());
            shortened(text.lines().next().unwrap_or_default())
        })
        .collect();
    lines
}

/// Quoted texts of 200 bytes and more are cut.
fn shortened(line: &str) -> String {
    let parts: Vec<String> = line
        .split('"')
        .enumerate()
        .map(|(index, part)| match index % 2 {
            1 if part.len() >= 200 => format!("{}...", &part[..19]),
            _ => part.to_owned(),
        })
        .collect();
    parts.join("\"")
}

fn shown(mut object: Value) -> Value {
    let metadata = edit::make(&mut object, "metadata").expect("an object");
    for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
        edit::remove(metadata, field);
    }
    object
}

/// The first thing that differs, with both sides.
fn first_difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    if let (Value::Object(one), Value::Object(other)) = (ours, theirs) {
        let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
        keys.sort();
        return keys.into_iter().find_map(|key| {
            first_difference(&format!("{path}.{key}"), &ours[key.as_str()], &theirs[key.as_str()])
        });
    }
    (ours != theirs).then(|| format!("{path}: ours {ours}, theirs {theirs}"))
}

fn check(base: &Base, verb: &str, changes: &str, expected: &[&str]) -> Option<String> {
    let (object, errors) = match verb {
        "create" | "show" => {
            let (mut object, errors) = base.created(changes);
            base.renamed(&mut object, false);
            (object, errors)
        }
        _ => (Value::Null, base.replaced(changes, verb == "status")),
    };
    let found = causes(&errors);
    let causes: Vec<&str> =
        expected.iter().copied().filter(|line| !line.starts_with("warning ")).collect();
    if verb == "show" && causes.first().is_some_and(|line| line.starts_with('{')) {
        if !found.is_empty() {
            return Some(format!("refused: {found:?}"));
        }
        let theirs: Value = serde_json::from_str(causes[0]).expect("an object");
        let differs = first_difference("", &shown(object.clone()), &theirs);
        return differs.or_else(|| said(base, &object, expected));
    }
    let wanted: Vec<&str> = if causes == ["ok"] { Vec::new() } else { causes };
    if found != wanted {
        return Some(format!(
            "\n    ours   {}\n    theirs {}",
            found.join("\n           "),
            wanted.join("\n           ")
        ));
    }
    if verb == "create" && found.is_empty() { said(base, &object, expected) } else { None }
}

fn said(base: &Base, object: &Value, expected: &[&str]) -> Option<String> {
    let ours = (base.hooks().warnings)(object, None);
    let theirs: Vec<&str> =
        expected.iter().filter_map(|line| line.strip_prefix("warning ")).collect();
    (ours != theirs).then(|| format!("\n    ours   {ours:?}\n    theirs {theirs:?}"))
}

/// Runs a file; what differs, and how many cases there were.
fn run(text: &str) -> (Vec<String>, usize) {
    let mut lines = text.lines().peekable();
    let (mut failures, mut count) = (Vec::new(), 0);
    let mut base: Option<Base> = None;
    let mut differs = false;
    while let Some(line) = lines.next() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            "#" => differs = rest.starts_with("differs:"),
            "base" => {
                let parts: Vec<&str> = rest.split(' ').collect();
                let object = lines.next().expect("an object follows its base");
                base = Some(Base {
                    version: parts[0].to_owned(),
                    kind: parts[1].to_owned(),
                    namespaced: parts[2] == "namespaced",
                    object: serde_json::from_str(object).expect("an object"),
                    given: String::new(),
                });
            }
            "given" => base.as_mut().expect("a base").given = rest.to_owned(),
            verb => {
                let mut expected = Vec::new();
                while let Some(cause) = lines.next_if(|line| line.starts_with("  ")) {
                    expected.push(cause.trim_start());
                }
                let base = base.as_ref().expect("cases follow a base");
                let skip = std::mem::take(&mut differs);
                count += usize::from(!skip);
                if !skip && let Some(why) = check(base, verb, rest, &expected) {
                    failures.push(format!("{} {verb} {rest}: {why}", base.kind));
                }
            }
        }
    }
    (failures, count)
}

fn agree(text: &str, at_least: usize) {
    let (failures, count) = run(text);
    assert!(count >= at_least, "only {count} cases");
    assert!(failures.is_empty(), "{} of {count} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn pods_are_defaulted_and_refused_as_observed() {
    agree(include_str!("golden/pods.txt"), 200);
}

#[test]
fn workloads_are_defaulted_and_refused_as_observed() {
    agree(include_str!("golden/workloads.txt"), 160);
}

#[test]
fn jobs_are_defaulted_and_refused_as_observed() {
    agree(include_str!("golden/jobs.txt"), 115);
}

#[test]
fn core_kinds_are_defaulted_and_refused_as_observed() {
    agree(include_str!("golden/core.txt"), 160);
}

#[test]
fn network_kinds_are_defaulted_and_refused_as_observed() {
    agree(include_str!("golden/network.txt"), 100);
}

#[test]
fn drivers_certificates_and_flows_are_defaulted_and_refused_as_observed() {
    agree(include_str!("golden/more.txt"), 100);
}

#[test]
fn cluster_kinds_are_defaulted_and_refused_as_observed() {
    agree(include_str!("golden/cluster.txt"), 125);
}
