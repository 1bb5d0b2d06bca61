//! What there is to be asked for: the discovery documents, plain and aggregated.
//!
//! Invariants: everything comes from the schema's resource rows; the documents are made once, and
//! their ETag is a hash of their bytes. Compat: kube-apiserver 1.37.

use bytes::Bytes;
use schema::types::{ResourceFacts, SubresourceFacts};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};

/// Every document, ready to be sent.
#[derive(Debug)]
pub(crate) struct Discovery {
    groups: Vec<Group>,
    /// `/api`, aggregated, and its ETag.
    pub(crate) core: Tagged,
    /// `/apis`, aggregated, and its ETag.
    pub(crate) named: Tagged,
}

/// A document with its ETag.
#[derive(Debug)]
pub(crate) struct Tagged {
    pub(crate) document: Bytes,
    /// With its quotation marks.
    pub(crate) etag: String,
}

#[derive(Debug)]
struct Group {
    name: &'static str,
    versions: Vec<Version>,
}

#[derive(Debug)]
struct Version {
    name: &'static str,
    resources: Vec<&'static ResourceFacts>,
}

impl Discovery {
    /// Of these rows, in their order: the first version of a group is the preferred one.
    pub(crate) fn new(rows: &'static [ResourceFacts]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for row in rows {
            let group = match groups.iter_mut().find(|group| group.name == row.group) {
                Some(group) => group,
                None => {
                    groups.push(Group { name: row.group, versions: Vec::new() });
                    groups.last_mut().expect("pushed above")
                }
            };
            match group.versions.iter_mut().find(|version| version.name == row.version) {
                Some(version) => version.resources.push(row),
                None => group.versions.push(Version { name: row.version, resources: vec![row] }),
            }
        }
        let core = aggregated(groups.iter().filter(|group| group.name.is_empty()));
        let named = aggregated(groups.iter().filter(|group| !group.name.is_empty()));
        Discovery { groups, core, named }
    }

    /// `/api`.
    pub(crate) fn api_versions(&self, address: &str) -> Value {
        let core = self.group("");
        let versions: Vec<_> = core.iter().flat_map(|g| &g.versions).map(|v| v.name).collect();
        json!({
            "kind": "APIVersions",
            "versions": versions,
            "serverAddressByClientCIDRs":
                [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        })
    }

    /// `/apis`.
    pub(crate) fn group_list(&self) -> Value {
        let named = self.groups.iter().filter(|group| !group.name.is_empty());
        let groups: Vec<Value> = named.map(Group::document).map(Value::Object).collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    }

    /// `/apis/<group>`.
    pub(crate) fn api_group(&self, group: &str) -> Option<Value> {
        let mut document = self.group(group).filter(|group| !group.name.is_empty())?.document();
        document.insert("kind".to_owned(), "APIGroup".into());
        document.insert("apiVersion".to_owned(), "v1".into());
        Some(Value::Object(document))
    }

    /// `/api/<version>` and `/apis/<group>/<version>`.
    pub(crate) fn resource_list(&self, group: &str, version: &str) -> Option<Value> {
        let group = self.group(group)?;
        let version = group.versions.iter().find(|one| one.name == version)?;
        let mut rows: Vec<(String, Value)> = Vec::new();
        for facts in &version.resources {
            rows.push((facts.plural.to_owned(), resource(facts)));
            for sub in &facts.subresources {
                let name = format!("{}/{}", facts.plural, sub.name);
                rows.push((name.clone(), subresource(facts, sub, name)));
            }
        }
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        let mut document = json!({
            "kind": "APIResourceList",
            "groupVersion": group.with(version.name),
            "resources": rows,
        });
        // Compat: the core list has none.
        if !group.name.is_empty() {
            document["apiVersion"] = "v1".into();
        }
        Some(document)
    }

    /// Whether there is such a group.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.group(group).is_some()
    }

    /// The paths of all groups and versions, for `/`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = vec!["/api".to_owned(), "/apis".to_owned(), "/apis/".to_owned()];
        for group in &self.groups {
            let root = match group.name {
                "" => "/api".to_owned(),
                name => format!("/apis/{name}"),
            };
            paths.extend(group.versions.iter().map(|version| format!("{root}/{}", version.name)));
            paths.push(root);
        }
        paths
    }

    fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}

impl Group {
    /// `apps/v1`, and `v1` of the core group.
    fn with(&self, version: &str) -> String {
        if self.name.is_empty() { version.to_owned() } else { format!("{}/{version}", self.name) }
    }

    fn document(&self) -> Map<String, Value> {
        let version =
            |one: &Version| json!({"groupVersion": self.with(one.name), "version": one.name});
        let versions: Vec<Value> = self.versions.iter().map(version).collect();
        let mut document = Map::new();
        document.insert("name".to_owned(), self.name.into());
        document.insert("preferredVersion".to_owned(), versions[0].clone());
        document.insert("versions".to_owned(), versions.into());
        document
    }
}

fn resource(facts: &ResourceFacts) -> Value {
    let mut row = json!({
        "name": facts.plural,
        "singularName": facts.singular,
        "namespaced": facts.namespaced,
        "kind": facts.kind,
        "verbs": facts.verbs,
    });
    names(&mut row, facts);
    if !facts.storage_version_hash.is_empty() {
        row["storageVersionHash"] = facts.storage_version_hash.into();
    }
    row
}

fn subresource(facts: &ResourceFacts, sub: &SubresourceFacts, name: String) -> Value {
    let mut row = json!({
        "name": name,
        "singularName": "",
        "namespaced": facts.namespaced,
        "kind": sub.kind,
        "verbs": sub.verbs,
    });
    if is_foreign(facts, sub) {
        row["group"] = sub.group.into();
        row["version"] = sub.version.into();
    }
    row
}

fn is_foreign(facts: &ResourceFacts, sub: &SubresourceFacts) -> bool {
    !sub.version.is_empty() && (sub.group, sub.version) != (facts.group, facts.version)
}

fn names(row: &mut Value, facts: &ResourceFacts) {
    if !facts.short_names.is_empty() {
        row["shortNames"] = json!(facts.short_names);
    }
    if !facts.categories.is_empty() {
        row["categories"] = json!(facts.categories);
    }
}

fn aggregated<'a>(groups: impl Iterator<Item = &'a Group>) -> Tagged {
    let groups: Vec<Value> = groups.map(aggregated_group).collect();
    let document = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": groups,
    });
    let document = Bytes::from(document.to_string());
    let hash = Sha512::digest(&document);
    let hex: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    Tagged { document, etag: format!("\"{hex}\"") }
}

fn aggregated_group(group: &Group) -> Value {
    let version = |version: &Version| {
        let resources: Vec<Value> =
            version.resources.iter().map(|facts| aggregated_resource(facts)).collect();
        json!({"version": version.name, "resources": resources, "freshness": "Current"})
    };
    let versions: Vec<Value> = group.versions.iter().map(version).collect();
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(facts: &ResourceFacts) -> Value {
    let mut row = json!({
        "resource": facts.plural,
        "responseKind": {"group": "", "version": "", "kind": facts.kind},
        "scope": if facts.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": facts.singular,
        "verbs": facts.verbs,
    });
    names(&mut row, facts);
    if !facts.subresources.is_empty() {
        let sub = |sub: &SubresourceFacts| {
            // Compat: the group and version of a kind of the same list stay empty.
            let (group, version) =
                if is_foreign(facts, sub) { (sub.group, sub.version) } else { ("", "") };
            let kind = json!({"group": group, "version": version, "kind": sub.kind});
            json!({"subresource": sub.name, "responseKind": kind, "verbs": sub.verbs})
        };
        row["subresources"] = facts.subresources.iter().map(sub).collect();
    }
    row
}
