//! Label and field selectors: parsed from query parameters, printed back, and matched.
//!
//! Invariant: a parsed selector prints to one canonical text, and that text parses to an equal
//! selector. Error texts are kube-apiserver's, since clients show them as they are.
//! Must not know: requests, storage, or which fields a kind can be selected by (its row says so).

mod fields;
mod labels;
mod lexer;
mod parser;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

pub use fields::{FieldLabels, FieldSelector, FieldTerm, UnknownFieldWords};
pub use labels::{LabelSelector, Operator, Requirement};

/// What a list or watch asks for: objects whose labels and selectable fields both match.
///
/// The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// What the labels must satisfy.
    pub labels: LabelSelector,
    /// What the selectable fields must satisfy.
    pub fields: FieldSelector,
}

impl Selector {
    /// Reads the two query parameters; absent ones are empty texts.
    ///
    /// *Errors*: a bad request in the words of the part that did not parse; labels are read first.
    pub fn parse(labels: &str, fields: &str, by: &FieldLabels) -> Result<Self, SelectorError> {
        Ok(Self {
            labels: LabelSelector::parse(labels)?,
            fields: FieldSelector::parse(fields, by)?,
        })
    }

    /// Whether it restricts nothing, so that no object has to be looked at.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether an object with these labels and selectable fields is selected.
    pub fn matches<L, F>(&self, labels: &L, fields: &F) -> bool
    where
        L: Lookup + ?Sized,
        F: Lookup + ?Sized,
    {
        self.labels.matches(labels) && self.fields.matches(fields)
    }
}

/// A selector that does not parse: 400 BadRequest with this text as its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub(crate) String);

impl SelectorError {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

/// A borrowed map of texts by name: labels, or selectable fields.
pub trait Lookup {
    /// The value under `name`, if there is one.
    fn lookup(&self, name: &str) -> Option<&str>;
}

impl Lookup for BTreeMap<String, String> {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

impl<S: std::hash::BuildHasher> Lookup for HashMap<String, String, S> {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// A JSON object such as `metadata.labels`; values that are no texts count as absent.
impl Lookup for serde_json::Map<String, serde_json::Value> {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(serde_json::Value::as_str)
    }
}

/// A JSON value: `null` and everything else that is no object is an empty map.
impl Lookup for serde_json::Value {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(serde_json::Value::as_str)
    }
}

/// A few pairs in any order. Objects have few labels: looking through them beats hashing.
impl<K: AsRef<str>, V: AsRef<str>> Lookup for [(K, V)] {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.as_ref() == name).map(|(_, value)| value.as_ref())
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Lookup for Vec<(K, V)> {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.as_slice().lookup(name)
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> Lookup for [(K, V); N] {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.as_slice().lookup(name)
    }
}

impl<T: Lookup + ?Sized> Lookup for &T {
    fn lookup(&self, name: &str) -> Option<&str> {
        (**self).lookup(name)
    }
}

/// Absent labels are an empty map.
impl<T: Lookup> Lookup for Option<T> {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.as_ref().and_then(|map| map.lookup(name))
    }
}
