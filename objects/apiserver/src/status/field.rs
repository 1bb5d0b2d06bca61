//! What validation found: errors of fields, with the path, and Kubernetes' words for them.
//!
//! Invariant: the order of finding is kept; the aggregate names equal errors once, the causes
//! name each.
//!
//! *Source*: apimachinery `pkg/util/validation/field`.

use serde_json::Value;

use super::quote::{json_html, quoted};

/// The path of a field: `spec.containers[0].name`, `metadata.labels[app]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath(String);

impl FieldPath {
    /// The path of a top field.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// No field at all, as the real one prints it.
    #[must_use]
    pub fn none() -> Self {
        Self("<nil>".to_owned())
    }

    /// A field below; several may be given at once, joined by dots.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// An element of a list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// An entry of a map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for FieldPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of error a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words are the documentation")]
pub enum FieldErrorKind {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooShort,
    TooMany,
    TooFew,
    TypeInvalid,
    Internal,
}

impl FieldErrorKind {
    /// The word of the cause.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooShort => "FieldValueTooShort",
            Self::TooMany => "FieldValueTooMany",
            Self::TooFew => "FieldValueTooFew",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooShort => "Too short",
            Self::TooMany => "Too many",
            Self::TooFew => "Too few",
            Self::Internal => "Internal error",
        }
    }

    /// Whether the sentence names the value.
    fn shows_value(self) -> bool {
        !matches!(
            self,
            Self::Required | Self::Forbidden | Self::TooLong | Self::TooShort | Self::Internal
        )
    }
}

/// The value an error is about, as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum BadValue {
    /// Not shown.
    Omitted,
    /// Strings are quoted, numbers and booleans bare, the rest as JSON (keys sorted).
    Value(Value),
    /// Text shown as it is, for values whose JSON has the order of the Go fields.
    Raw(String),
}

impl From<Value> for BadValue {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<&Value> for BadValue {
    fn from(value: &Value) -> Self {
        Self::Value(value.clone())
    }
}

impl From<&str> for BadValue {
    fn from(value: &str) -> Self {
        Self::Value(Value::String(value.to_owned()))
    }
}

impl From<String> for BadValue {
    fn from(value: String) -> Self {
        Self::Value(Value::String(value))
    }
}

impl From<&String> for BadValue {
    fn from(value: &String) -> Self {
        Self::Value(Value::String(value.clone()))
    }
}

impl From<i64> for BadValue {
    fn from(value: i64) -> Self {
        Self::Value(Value::from(value))
    }
}

impl From<bool> for BadValue {
    fn from(value: bool) -> Self {
        Self::Value(Value::Bool(value))
    }
}

/// One error of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// The path's text.
    pub path: String,
    /// The kind of error.
    pub kind: FieldErrorKind,
    /// The value.
    pub value: BadValue,
    /// What ends the sentence; may be empty.
    pub detail: String,
}

impl FieldError {
    /// The sentence without the path.
    #[must_use]
    pub fn body(&self) -> String {
        let mut text = self.kind.sentence().to_owned();
        if self.kind.shows_value() {
            match &self.value {
                BadValue::Omitted => {}
                BadValue::Value(Value::String(value)) => {
                    text.push_str(": ");
                    text.push_str(&quoted(value));
                }
                BadValue::Value(value) => {
                    text.push_str(": ");
                    text.push_str(&json_html(value));
                }
                BadValue::Raw(raw) => {
                    text.push_str(": ");
                    text.push_str(raw);
                }
            }
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

/// The errors found, in the order of finding.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether none was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many were found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The errors.
    pub fn iter(&self) -> std::slice::Iter<'_, FieldError> {
        self.0.iter()
    }

    /// Adds an error.
    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// Adds all of another collection.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    fn add(
        &mut self,
        kind: FieldErrorKind,
        path: &FieldPath,
        value: impl Into<BadValue>,
        detail: impl Into<String>,
    ) {
        self.0.push(FieldError {
            path: path.as_str().to_owned(),
            kind,
            value: value.into(),
            detail: detail.into(),
        });
    }

    /// A value that must be given is not.
    pub fn required(&mut self, path: &FieldPath, detail: impl Into<String>) {
        self.add(FieldErrorKind::Required, path, BadValue::Omitted, detail);
    }

    /// A malformed value.
    pub fn invalid(
        &mut self,
        path: &FieldPath,
        value: impl Into<BadValue>,
        detail: impl Into<String>,
    ) {
        self.add(FieldErrorKind::Invalid, path, value, detail);
    }

    /// A value of the wrong type.
    pub fn type_invalid(
        &mut self,
        path: &FieldPath,
        value: impl Into<BadValue>,
        detail: impl Into<String>,
    ) {
        self.add(FieldErrorKind::TypeInvalid, path, value, detail);
    }

    /// A value outside an enumeration; the supported ones are listed in the order given.
    pub fn not_supported<S: AsRef<str>>(
        &mut self,
        path: &FieldPath,
        value: impl Into<BadValue>,
        supported: &[S],
    ) {
        let listed: Vec<String> = supported.iter().map(|s| quoted(s.as_ref())).collect();
        let detail = if listed.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", listed.join(", "))
        };
        self.add(FieldErrorKind::NotSupported, path, value, detail);
    }

    /// A value that must be unique and is not.
    pub fn duplicate(&mut self, path: &FieldPath, value: impl Into<BadValue>) {
        self.add(FieldErrorKind::Duplicate, path, value, "");
    }

    /// A value that names nothing.
    pub fn not_found(&mut self, path: &FieldPath, value: impl Into<BadValue>) {
        self.add(FieldErrorKind::NotFound, path, value, "");
    }

    /// A value that may not stand here.
    pub fn forbidden(&mut self, path: &FieldPath, detail: impl Into<String>) {
        self.add(FieldErrorKind::Forbidden, path, BadValue::Omitted, detail);
    }

    /// More bytes than allowed.
    pub fn too_long(&mut self, path: &FieldPath, bytes_max: usize) {
        let detail = format!("may not be more than {}", counted(bytes_max, "byte"));
        self.add(FieldErrorKind::TooLong, path, BadValue::Omitted, detail);
    }

    /// More characters than allowed.
    pub fn too_long_characters(&mut self, path: &FieldPath, characters_max: usize) {
        let detail = format!("may not be more than {}", counted(characters_max, "character"));
        self.add(FieldErrorKind::TooLong, path, BadValue::Omitted, detail);
    }

    /// Fewer characters than allowed.
    pub fn too_short(&mut self, path: &FieldPath, characters_min: usize) {
        let detail = format!("must be at least {}", counted(characters_min, "character"));
        self.add(FieldErrorKind::TooShort, path, BadValue::Omitted, detail);
    }

    /// More items than allowed.
    pub fn too_many(&mut self, path: &FieldPath, count: usize, items_max: usize) {
        let detail = format!("must have at most {}", counted(items_max, "item"));
        self.add(FieldErrorKind::TooMany, path, Value::from(count), detail);
    }

    /// Fewer items than allowed.
    pub fn too_few(&mut self, path: &FieldPath, count: usize, items_min: usize) {
        let detail = format!("must have at least {}", counted(items_min, "item"));
        self.add(FieldErrorKind::TooFew, path, Value::from(count), detail);
    }

    /// An error that is not the client's.
    pub fn internal(&mut self, path: &FieldPath, detail: impl Into<String>) {
        self.add(FieldErrorKind::Internal, path, BadValue::Omitted, detail);
    }

    /// The sentence of all: `None` of none, one plain, several in brackets and each once.
    #[must_use]
    pub fn aggregate(&self) -> Option<String> {
        let mut seen: Vec<String> = Vec::new();
        for error in &self.0 {
            let text = error.to_string();
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
        match seen.len() {
            0 => None,
            1 => seen.pop(),
            _ => Some(format!("[{}]", seen.join(", "))),
        }
    }
}

impl IntoIterator for FieldErrors {
    type Item = FieldError;
    type IntoIter = std::vec::IntoIter<FieldError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
