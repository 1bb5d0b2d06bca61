//! The lines of resources and of deprecated kinds.
//!
//! Must not know: types.

use super::{LineError, split_group_version};
use crate::types::{Deprecation, ResourceFacts, Schema, SubresourceFacts};

pub(super) fn resource(rest: &'static str, schema: &Schema) -> Result<ResourceFacts, LineError> {
    let words: Vec<&'static str> = rest.split(' ').collect();
    let [group_version, plural, singular, kind, scope, options @ ..] = words.as_slice() else {
        return Err("a resource without its five words".to_owned());
    };
    let (group, version) = split_group_version(group_version);
    let mut row = ResourceFacts {
        group,
        version,
        plural,
        singular,
        kind,
        namespaced: match *scope {
            "namespaced" => true,
            "cluster" => false,
            other => return Err(format!("unknown scope {other:?}")),
        },
        short_names: Vec::new(),
        categories: Vec::new(),
        verbs: Vec::new(),
        storage_version_hash: "",
        returns_deleted: false,
        subresources: Vec::new(),
        deprecated: schema.deprecation(group, version, kind),
    };
    for option in options {
        // A hash ends in `=` of its own.
        let (name, value) = option.split_once('=').ok_or("an option without its value")?;
        match name {
            "verbs" => row.verbs = value.split(',').collect(),
            "short" => row.short_names = value.split(',').collect(),
            "categories" => row.categories = value.split(',').collect(),
            "hash" => row.storage_version_hash = value,
            "deletion" if value == "object" => row.returns_deleted = true,
            other => return Err(format!("unknown word {other:?}")),
        }
    }
    Ok(row)
}

pub(super) fn subresource(rest: &'static str) -> Result<SubresourceFacts, LineError> {
    let words: Vec<&'static str> = rest.split(' ').collect();
    let [name, group_version, kind, verbs] = words.as_slice() else {
        return Err("a subresource without its four words".to_owned());
    };
    let (group, version) = split_group_version(group_version);
    let verbs = verbs.strip_prefix("verbs=").ok_or("no verbs")?.split(',').collect();
    Ok(SubresourceFacts { name, kind, group, version, verbs })
}

pub(super) fn deprecation(
    words: impl Iterator<Item = &'static str>,
) -> Result<Option<Deprecation>, LineError> {
    let mut found = None;
    for word in words {
        let (name, value) = word.split_once('=').ok_or("an option without its value")?;
        let deprecation =
            found.get_or_insert(Deprecation { since: "", removed_in: None, replacement: None });
        match name {
            "since" => deprecation.since = value,
            "removed" => deprecation.removed_in = Some(value),
            "replacement" => deprecation.replacement = value.split_once(','),
            other => return Err(format!("unknown word {other:?}")),
        }
    }
    Ok(found)
}
