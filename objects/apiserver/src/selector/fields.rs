//! Field selectors: terms on the fields that a kind's row declares selectable.
//!
//! Invariant: every field of a parsed selector is one that the row supports, by its stored name.

use std::fmt;

use schema::decode::quoted;

use super::{Lookup, SelectorError};

/// Terms on selectable fields, all of which must hold. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field's path, such as `spec.nodeName`.
    pub field: String,
    /// Whether the field must equal the value, or must differ from it.
    pub equal: bool,
    /// The value. An absent field has the empty one.
    pub value: String,
}

/// The fields that a resource can be selected by: part of its row.
#[derive(Clone, Copy, Debug)]
pub struct FieldLabels {
    /// The supported fields.
    pub supported: &'static [&'static str],
    /// Names that stand for supported fields: (asked, meant).
    pub renamed: &'static [(&'static str, &'static str)],
    /// How an unsupported field is refused.
    pub words: UnknownFieldWords,
}

/// The words for an unsupported field, which differ between kinds.
#[derive(Clone, Copy, Debug)]
pub enum UnknownFieldWords {
    /// Kinds without selectable fields of their own.
    OnlyMetadata,
    /// Most kinds with selectable fields of their own.
    NotSupported,
    /// As Job and a few others word it, with the kind's name.
    NotSupportedForKind(&'static str),
    /// As ResourceSlice words it, with the group, version and kind.
    NotSupportedFor(&'static str),
}

impl FieldLabels {
    /// Kinds that can be selected by name and namespace alone.
    pub const METADATA: Self = Self {
        supported: &["metadata.name", "metadata.namespace"],
        renamed: &[],
        words: UnknownFieldWords::OnlyMetadata,
    };

    /// A kind with these fields, its error texts in the common words.
    pub const fn of(supported: &'static [&'static str]) -> Self {
        Self { supported, renamed: &[], words: UnknownFieldWords::NotSupported }
    }

    fn resolve<'a>(&self, field: &'a str) -> Result<&'a str, SelectorError> {
        if let Some((_, meant)) = self.renamed.iter().find(|(asked, _)| *asked == field) {
            return Ok(meant);
        }
        if self.supported.contains(&field) {
            return Ok(field);
        }
        Err(SelectorError(match self.words {
            UnknownFieldWords::OnlyMetadata => format!(
                "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                quoted(field)
            ),
            UnknownFieldWords::NotSupported => format!("field label not supported: {field}"),
            UnknownFieldWords::NotSupportedForKind(kind) => {
                format!("field label {} not supported for {kind}", quoted(field))
            }
            UnknownFieldWords::NotSupportedFor(kind) => {
                format!("field label not supported for {kind}: {field}")
            }
        }))
    }
}

impl FieldSelector {
    /// Reads `spec.nodeName=a,status.phase!=b`. The empty text selects everything.
    ///
    /// *Shape*: in a value, `\`, `,` and `=` are written with a backslash before them.
    pub fn parse(text: &str, by: &FieldLabels) -> Result<Self, SelectorError> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        // Order: every term is read before any field is looked up, so that a text which is no
        // selector is refused as such whatever its fields are.
        let mut read = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let Some((field, equal, value)) = split_term(part) else {
                return Err(SelectorError(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                )));
            };
            read.push((field, equal, unescape(value)?));
        }
        let mut terms = Vec::new();
        for (field, equal, value) in read {
            // Compat: a term with neither name nor value restricts nothing.
            if field.is_empty() && value.is_empty() {
                continue;
            }
            terms.push(FieldTerm { field: by.resolve(field)?.to_owned(), equal, value });
        }
        Ok(Self { terms })
    }

    /// The selector of one field with one value.
    pub fn equal(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self { terms: vec![FieldTerm { field: field.into(), equal: true, value: value.into() }] }
    }

    /// Whether it restricts nothing.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Its terms.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// The one value that a field must have, so that an index can be asked: `metadata.name=x`.
    pub fn required(&self, field: &str) -> Option<&str> {
        let term = self.terms.iter().find(|term| term.equal && term.field == field)?;
        Some(&term.value)
    }

    /// Whether an object with these fields is selected.
    pub fn matches<F: Lookup + ?Sized>(&self, fields: &F) -> bool {
        self.terms.iter().all(|term| {
            let value = fields.lookup(&term.field).unwrap_or_default();
            (value == term.value) == term.equal
        })
    }
}

/// The canonical text, as `parse` reads it.
impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let operator = if term.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{operator}", term.field)?;
            for c in term.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// The parts between commas that have no backslash before them.
fn split_terms(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|c| {
        let comma = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        comma
    })
    .collect()
}

/// Field, whether it must be equal, and the value as written.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    for (at, _) in term.char_indices() {
        let (field, rest) = term.split_at(at);
        for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
            if let Some(value) = rest.strip_prefix(operator) {
                return Some((field, equal, value));
            }
        }
    }
    None
}

fn unescape(text: &str) -> Result<String, SelectorError> {
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => value.push(c),
                other => {
                    let sequence: String = other.into_iter().collect();
                    return Err(SelectorError(format!(
                        "invalid field selector: invalid escape sequence: \\{sequence}"
                    )));
                }
            },
            ',' | '=' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(c)
                )));
            }
            c => value.push(c),
        }
    }
    Ok(value)
}
