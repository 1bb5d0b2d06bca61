//! The kinds that the conversations speak of, read from `kinds.yaml`.
//!
//! Must not know: how they are spoken of.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// One kind.
#[derive(Debug, Clone, Deserialize)]
pub struct Kind {
    /// The first part of its paths: `api/v1` or `apis/<group>/<version>`.
    pub at: String,
    /// The resource's name.
    pub plural: String,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
    /// Whether it has a status subresource.
    #[serde(default)]
    pub status: bool,
    /// Whether it has a scale subresource.
    #[serde(default)]
    pub scale: bool,
    /// Whether it came later: it lives, and is not drawn, so that seeds keep what they draw.
    #[serde(default)]
    pub later: bool,
    /// An object of it, without `apiVersion` and name.
    object: Value,
    /// A merge patch that changes it.
    pub change: Value,
    /// A merge patch that must be refused, or at least change nothing that is read-only.
    pub wrong: Value,
}

impl Kind {
    /// The kind's name.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// `v1`, `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.at.split_once('/').map_or("", |(_, version)| version)
    }

    /// The path of its collection in a namespace.
    #[must_use]
    pub fn collection(&self, namespace: &str) -> String {
        if self.namespaced {
            return format!("/{}/namespaces/{namespace}/{}", self.at, self.plural);
        }
        format!("/{}/{}", self.at, self.plural)
    }

    /// A fresh object with a name and labels.
    #[must_use]
    pub fn object(&self, namespace: &str, name: &str, labels: &Value) -> Value {
        let mut object = in_namespace(&self.object, namespace);
        object["apiVersion"] = self.api_version().into();
        object["metadata"] = serde_json::json!({"name": name, "labels": labels});
        if self.namespaced {
            object["metadata"]["namespace"] = namespace.into();
        }
        object
    }
}

/// The value with the namespace's name where `{{ns}}` stands.
fn in_namespace(value: &Value, namespace: &str) -> Value {
    match value {
        Value::String(text) => text.replace("{{ns}}", namespace).into(),
        Value::Array(items) => items.iter().map(|item| in_namespace(item, namespace)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields.map(|(name, value)| (name.clone(), in_namespace(value, namespace))).collect()
        }
        other => other.clone(),
    }
}

/// All of them, in the file's order.
pub fn all() -> Result<Vec<Kind>> {
    serde_saphyr::from_str(include_str!("kinds.yaml")).context("kinds.yaml")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kinds_are_read_and_there_are_enough() {
        let kinds = super::all().expect("the file is part of this crate");
        assert!(kinds.len() >= 25, "{}", kinds.len());
        for kind in &kinds {
            assert!(!kind.kind().is_empty() && !kind.api_version().is_empty(), "{}", kind.plural);
        }
    }
}
