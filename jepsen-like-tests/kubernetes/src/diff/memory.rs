//! What a side has said so far, as far as later requests and the masks need it.
//!
//! Invariants: objects are known by their path; a resourceVersion keeps the label it got when it
//! was first seen, so that equal labels on both sides mean the same order of writes.
//!
//! Must not know: what is asked, or what differs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

/// One side's memory.
#[derive(Debug, Default)]
pub struct Memory {
    objects: HashMap<String, Known>,
    labels: BTreeMap<u64, String>,
    bases: BTreeSet<String>,
    own_port: u16,
    /// The step and the number of the newest label.
    last: (usize, usize),
    continue_token: String,
    list_version: String,
}

#[derive(Debug, Default)]
struct Known {
    version: String,
    uid: String,
}

/// What generated names end in.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// A longer base is cut.
const BASE_CHARACTERS: usize = 58;

impl Memory {
    /// The memory of a side whose server listens on a port.
    #[must_use]
    pub fn new(own_port: u16) -> Self {
        Self { own_port, ..Self::default() }
    }

    /// The text with its placeholders filled.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled += before;
            let Some((name, after)) = after.split_once("}}") else {
                filled += "{{";
                rest = after;
                continue;
            };
            filled += &self.value(name);
            rest = after;
        }
        filled + rest
    }

    fn value(&self, name: &str) -> String {
        let known = |path: &str| self.objects.get(path);
        match name.split_once(':') {
            Some(("rv", path)) => known(path).map_or("1", |known| &known.version).to_owned(),
            Some(("uid", path)) => known(path).map_or("unknown", |known| &known.uid).to_owned(),
            _ if name == "continue" => self.continue_token.clone(),
            _ if name == "list" => self.list_version.clone(),
            _ => format!("{{{{{name}}}}}"),
        }
    }

    /// Takes in an answer to a request on a path without query.
    pub fn learn(&mut self, method: &str, path: &str, answer: &Value, step: usize) {
        let metadata = &answer["metadata"];
        if answer.get("items").is_some() || answer.get("rows").is_some() {
            text(&metadata["continue"]).clone_into(&mut self.continue_token);
            text(&metadata["resourceVersion"]).clone_into(&mut self.list_version);
        } else if let Some(name) = metadata["name"].as_str() {
            let object = object_path(method, path, name);
            let known = self.objects.entry(object).or_default();
            text(&metadata["resourceVersion"]).clone_into(&mut known.version);
            text(&metadata["uid"]).clone_into(&mut known.uid);
        }
        let mut versions = Vec::new();
        gather_versions(answer, &mut versions);
        versions.sort_unstable();
        versions.dedup();
        let newest = self.labels.last_key_value().map_or(0, |(version, _)| *version);
        let unknown: Vec<u64> =
            versions.into_iter().filter(|version| !self.labels.contains_key(version)).collect();
        for version in unknown {
            let age = if version > newest { "new" } else { "old" };
            // Several answers of one step are taken in one after the other: those of its watches.
            let number = if self.last.0 == step { self.last.1 + 1 } else { 0 };
            self.last = (step, number);
            self.labels.insert(version, format!("<rv {age} {step}.{number}>"));
        }
    }

    /// Takes in objects that the server made by itself.
    pub fn learn_made(&mut self, answer: &Value) {
        let mut versions = Vec::new();
        gather_versions(answer, &mut versions);
        let made = versions.into_iter().map(|version| (version, "<rv made>".to_owned()));
        self.labels.extend(made);
    }

    /// The label of a resourceVersion.
    #[must_use]
    pub fn label(&self, version: &str) -> String {
        match version.parse::<u64>() {
            Ok(number) => {
                self.labels.get(&number).cloned().unwrap_or_else(|| "<rv unseen>".to_owned())
            }
            Err(_) => format!("<rv {version:?}>"),
        }
    }

    /// Takes in a request's body: its `generateName` is the base of a name that the server makes.
    pub fn learn_request(&mut self, body: &Value) {
        let base = text(&body["metadata"]["generateName"]);
        if !base.is_empty() {
            self.bases.insert(base.chars().take(BASE_CHARACTERS).collect());
        }
    }

    /// The port of the server itself, which its own objects name.
    #[must_use]
    pub fn own_port(&self) -> u16 {
        self.own_port
    }

    /// The text with names that the server made shown as their base.
    #[must_use]
    pub fn without_generated(&self, mut text: String) -> String {
        for base in &self.bases {
            let mut shown = String::new();
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once(base.as_str()) {
                shown += before;
                shown += base;
                rest = after_suffix(after).inspect(|_| shown += "<5>").unwrap_or(after);
            }
            shown += rest;
            text = shown;
        }
        text
    }

    /// A list's resourceVersion: it may be anything that is not older than what was seen before.
    #[must_use]
    pub fn list_label(&self, version: &str) -> &'static str {
        let newest = self.labels.last_key_value().map_or(0, |(version, _)| *version);
        match version.parse::<u64>() {
            Ok(number) if number >= newest => "<list rv>",
            Ok(_) => "<list rv older than an object's>",
            Err(_) => "<list rv is no number>",
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The path of an object that an answer to a request is about.
#[must_use]
pub fn object_path(method: &str, path: &str, name: &str) -> String {
    if method == "POST" && !path.contains(&format!("/{name}/")) {
        return format!("{path}/{name}");
    }
    match path.find(&format!("/{name}")) {
        Some(at) => {
            // A namespace may be called as the object is: the last place counts.
            let at = path.rfind(&format!("/{name}")).unwrap_or(at);
            path[..at + 1 + name.len()].to_owned()
        }
        None => path.to_owned(),
    }
}

/// The text after a base when five characters of a generated name stand before it.
fn after_suffix(rest: &str) -> Option<&str> {
    let suffix = rest.get(..5)?;
    let made = suffix.bytes().all(|byte| SUFFIX.contains(&byte));
    let after = &rest[5..];
    let ends = !after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
    (made && ends).then_some(after)
}

/// The resourceVersions of objects: not those of lists.
fn gather_versions(value: &Value, versions: &mut Vec<u64>) {
    match value {
        Value::Object(fields) => {
            let is_list = fields.contains_key("items") || fields.contains_key("rows");
            for (name, value) in fields {
                match value {
                    Value::Object(metadata) if name == "metadata" => {
                        let version = metadata.get("resourceVersion").and_then(Value::as_str);
                        let number = version.and_then(|version| version.parse::<u64>().ok());
                        versions.extend(number.filter(|_| !is_list));
                    }
                    other => gather_versions(other, versions),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather_versions(item, versions)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Memory;

    #[test]
    fn placeholders_are_filled_from_answers() {
        let mut memory = Memory::default();
        let answer = json!({"metadata": {"name": "a", "resourceVersion": "7", "uid": "u"}});
        memory.learn("POST", "/api/v1/nodes", &answer, 1);
        assert_eq!(memory.fill("x={{rv:/api/v1/nodes/a}}&{{uid:/api/v1/nodes/a}}"), "x=7&u");
        assert_eq!(memory.fill("{{rv:/nowhere}} {{other}} {{"), "1 {{other}} {{");
    }

    #[test]
    fn a_version_keeps_its_label_and_an_older_one_is_told_apart() {
        let mut memory = Memory::default();
        let at = |version: &str| json!({"metadata": {"name": "a", "resourceVersion": version}});
        memory.learn("GET", "/n/a", &at("7"), 1);
        memory.learn("GET", "/n/a", &at("9"), 2);
        memory.learn("GET", "/n/a", &at("8"), 3);
        assert_eq!(memory.label("7"), "<rv new 1.0>");
        assert_eq!(memory.label("9"), "<rv new 2.0>");
        assert_eq!(memory.label("8"), "<rv old 3.0>");
        assert_eq!(memory.list_label("8"), "<list rv older than an object's>");
    }
}
