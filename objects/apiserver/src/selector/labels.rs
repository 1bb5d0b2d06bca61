//! Label selectors: requirements on labels, all of which must hold.
//!
//! Invariant: requirements are sorted by key, the values of each are sorted and distinct, and every
//! key and value is a valid label key and value.

use std::collections::BTreeSet;
use std::fmt;

use schema::decode::quoted;
use serde_json::Value;

use super::parser::Parser;
use super::{Lookup, SelectorError};
use crate::kinds::formats;

/// Requirements on labels, all of which must hold. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    /// Set for a selector that is absent where absence means that nothing is selected.
    nothing: bool,
}

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label is there with one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// `=`: as `In` with one value.
    Equals,
    /// `==`: as `Equals`.
    DoubleEquals,
    /// `!=`: as `NotIn` with one value.
    NotEquals,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// `>`: the label is a greater integer than the value.
    GreaterThan,
    /// `<`: the label is a smaller integer than the value.
    LessThan,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

impl LabelSelector {
    /// Reads the text form: `a=b,c in (d,e),!f`. The empty text selects everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser::new(text);
        let mut requirements = parser.selector()?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements, nothing: false })
    }

    /// Reads the object form, `{matchLabels, matchExpressions}`.
    ///
    /// `null` selects nothing, the empty object everything, as `meta/v1` says of label selectors.
    pub fn from_object(object: &Value) -> Result<Self, SelectorError> {
        if object.is_null() {
            return Ok(Self::nothing());
        }
        let mut requirements = Vec::new();
        for (key, value) in object["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            requirements.push(Requirement::new(key, Operator::Equals, vec![value])?);
        }
        for expression in object["matchExpressions"].as_array().into_iter().flatten() {
            requirements.push(Requirement::from_object(expression)?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements, nothing: false })
    }

    /// Equality with every given pair, as a plain selector map (of a Service) means it.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let requirement = |(key, value): (K, V)| Requirement {
            key: key.into(),
            operator: Operator::Equals,
            values: vec![value.into()],
        };
        let mut requirements: Vec<_> = pairs.into_iter().map(requirement).collect();
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, nothing: false }
    }

    /// The selector that no object satisfies.
    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    /// Whether it restricts nothing.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty() && !self.nothing
    }

    /// Its requirements, sorted by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object with these labels is selected.
    pub fn matches<L: Lookup + ?Sized>(&self, labels: &L) -> bool {
        !self.nothing && self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

/// The canonical text, as `parse` reads it.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl Requirement {
    /// A checked requirement; `values` are sorted and made distinct by the caller.
    pub(super) fn new(
        key: &str,
        operator: Operator,
        values: Vec<String>,
    ) -> Result<Self, SelectorError> {
        check_key("key", key)?;
        let mut errors = operator.value_errors(&values);
        for (i, value) in values.iter().enumerate() {
            let wrong = formats::label_value(value);
            if !wrong.is_empty() {
                errors.push(invalid(&format!("values[{i}][{key}]"), value, &wrong.join("; ")));
            }
        }
        match errors.as_slice() {
            [] => Ok(Self { key: key.to_owned(), operator, values }),
            [one] => Err(SelectorError::new(one)),
            many => Err(SelectorError::new(format_args!("[{}]", many.join(", ")))),
        }
    }

    fn from_object(expression: &Value) -> Result<Self, SelectorError> {
        let operator = match expression["operator"].as_str().unwrap_or_default() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => {
                return Err(SelectorError::new(format_args!(
                    "{} is not a valid label selector operator",
                    quoted(other)
                )));
            }
        };
        let values = expression["values"].as_array().into_iter().flatten();
        let values: BTreeSet<_> = values.filter_map(Value::as_str).map(str::to_owned).collect();
        let key = expression["key"].as_str().unwrap_or_default();
        Self::new(key, operator, values.into_iter().collect())
    }

    /// The label it is about.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How it compares.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it compares with, sorted.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    fn matches<L: Lookup + ?Sized>(&self, labels: &L) -> bool {
        let label = labels.lookup(&self.key);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => {
                label.is_some_and(|label| self.has(label))
            }
            Operator::NotIn | Operator::NotEquals => label.is_none_or(|label| !self.has(label)),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => {
                self.compared(label).is_some_and(|(label, value)| label > value)
            }
            Operator::LessThan => self.compared(label).is_some_and(|(label, value)| label < value),
        }
    }

    fn has(&self, label: &str) -> bool {
        self.values.iter().any(|value| value == label)
    }

    fn compared(&self, label: Option<&str>) -> Option<(i64, i64)> {
        Some((label?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl Operator {
    /// What is wrong with the number of values, or with their being integers.
    fn value_errors(self, values: &[String]) -> Vec<String> {
        let listed =
            || format!("[{}]", values.iter().map(|v| quoted(v)).collect::<Vec<_>>().join(","));
        let wrong = |why: &str| vec![format!("values: Invalid value: {}: {why}", listed())];
        match self {
            Self::In | Self::NotIn if values.is_empty() => {
                wrong("for 'in', 'notin' operators, values set can't be empty")
            }
            Self::Exists | Self::DoesNotExist if !values.is_empty() => {
                wrong("values set must be empty for exists and does not exist")
            }
            Self::GreaterThan | Self::LessThan => {
                let not_integer =
                    values.iter().enumerate().filter(|(_, v)| v.parse::<i64>().is_err());
                let why = "for 'Gt', 'Lt' operators, the value must be an integer";
                not_integer.map(|(i, v)| invalid(&format!("values[{i}]"), v, why)).collect()
            }
            _ => Vec::new(),
        }
    }
}

pub(super) fn check_key(path: &str, key: &str) -> Result<(), SelectorError> {
    let wrong = formats::qualified_name(key);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(SelectorError(invalid(path, key, &wrong.join("; "))))
}

fn invalid(path: &str, value: &str, why: &str) -> String {
    format!("{path}: Invalid value: {}: {why}", quoted(value))
}
