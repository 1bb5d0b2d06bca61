//! A place in an object under validation: the value there and how to say where it is.
//!
//! Invariant: walking costs no allocation; the path becomes text only when something is wrong.
//! Absent fields read as null, empty string, zero, false and empty list, as the typed zero values
//! of Kubernetes do. Must not know: any kind, and what a valid value is.

use crate::status::{BadValue, FieldError, FieldErrorKind, FieldErrors};
use schema::Value;
use std::fmt::Write;

static NULL: Value = Value::Null;

#[derive(Clone, Copy)]
enum Step<'a> {
    /// A field, or several joined by dots.
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

/// One place, chained to the places above it by reference.
#[derive(Clone, Copy)]
pub(crate) struct At<'p, 'v> {
    /// What stands there; null when nothing does.
    pub(crate) value: &'v Value,
    above: Option<&'p At<'p, 'v>>,
    step: Step<'p>,
}

impl<'p, 'v> At<'p, 'v> {
    /// The whole object.
    pub(crate) fn root(value: &'v Value) -> Self {
        At { value, above: None, step: Step::Field("") }
    }

    /// The place of a field, or of a field of a field (`"spec.template"`).
    pub(crate) fn at<'b>(&'b self, fields: &'b str) -> At<'b, 'v> {
        At { value: reach(self.value, fields), above: Some(self), step: Step::Field(fields) }
    }

    /// An element of a list, or the place where it would stand.
    pub(crate) fn index<'b>(&'b self, index: usize) -> At<'b, 'v> {
        let value = self.value.get(index).unwrap_or(&NULL);
        At { value, above: Some(self), step: Step::Index(index) }
    }

    /// An entry of a map, shown in brackets.
    pub(crate) fn key<'b>(&'b self, key: &'b str) -> At<'b, 'v> {
        let value = self.value.get(key).unwrap_or(&NULL);
        At { value, above: Some(self), step: Step::Key(key) }
    }

    /// The same path with another value, for what is computed.
    pub(crate) fn with<'b>(&self, value: &'b Value) -> At<'p, 'b>
    where
        'v: 'b,
    {
        At { value, above: self.above, step: self.step }
    }

    /// The elements of the list here; none when it is absent.
    pub(crate) fn items<'b>(&'b self) -> impl Iterator<Item = At<'b, 'v>> {
        (0..self.len()).map(|index| self.index(index))
    }

    /// The entries of the map here; none when it is absent.
    pub(crate) fn entries<'b>(
        &'b self,
    ) -> impl Iterator<Item = (&'v str, At<'b, 'v>)> + use<'b, 'p, 'v> {
        let map = self.value.as_object();
        map.into_iter().flatten().map(|(key, value)| {
            (key.as_str(), At { value, above: Some(self), step: Step::Key(key) })
        })
    }

    /// How many elements or entries stand here.
    pub(crate) fn len(&self) -> usize {
        match self.value {
            Value::Array(list) => list.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        }
    }

    /// Whether something stands here.
    pub(crate) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Whether what stands here is a zero value: absent, "", 0, false, or an empty list or map.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Number(number) => number.as_i64() == Some(0),
            Value::Array(_) | Value::Object(_) => self.len() == 0,
            Value::Bool(true) => false,
        }
    }

    /// The text here, or "".
    pub(crate) fn text(&self) -> &'v str {
        self.value.as_str().unwrap_or("")
    }

    /// The integer here, or 0.
    pub(crate) fn int(&self) -> i64 {
        self.value.as_i64().unwrap_or(0)
    }

    /// The boolean here, or false.
    pub(crate) fn flag(&self) -> bool {
        self.value.as_bool().unwrap_or(false)
    }

    /// The text of a field, or "".
    pub(crate) fn text_of(&self, fields: &str) -> &'v str {
        reach(self.value, fields).as_str().unwrap_or("")
    }

    /// Whether a field is there.
    pub(crate) fn has(&self, fields: &str) -> bool {
        !reach(self.value, fields).is_null()
    }

    /// The path as Kubernetes writes it: `spec.containers[0].name`, `metadata.labels[a/b]`.
    pub(crate) fn path(&self) -> String {
        let mut text = String::new();
        self.write_path(&mut text);
        text
    }

    fn write_path(&self, text: &mut String) {
        if let Some(above) = self.above {
            above.write_path(text);
        }
        match self.step {
            Step::Field(field) => {
                if !text.is_empty() && !field.is_empty() {
                    text.push('.');
                }
                text.push_str(field);
            }
            Step::Index(index) => write!(text, "[{index}]").expect("a string takes any text"),
            Step::Key(key) => write!(text, "[{key}]").expect("a string takes any text"),
        }
    }
}

/// What can be said of a place.
impl At<'_, '_> {
    fn report(
        &self,
        errors: &mut FieldErrors,
        kind: FieldErrorKind,
        value: BadValue,
        detail: impl Into<String>,
    ) {
        errors.push(FieldError { path: self.path(), kind, value, detail: detail.into() });
    }

    /// Something must stand here.
    pub(crate) fn required(&self, errors: &mut FieldErrors, detail: impl Into<String>) {
        self.report(errors, FieldErrorKind::Required, BadValue::Omitted, detail);
    }

    /// The value here is not allowed.
    pub(crate) fn invalid(&self, errors: &mut FieldErrors, detail: impl Into<String>) {
        self.invalid_as(errors, self.value, detail);
    }

    /// The same, with the value that is shown.
    pub(crate) fn invalid_as(
        &self,
        errors: &mut FieldErrors,
        shown: impl Into<BadValue>,
        detail: impl Into<String>,
    ) {
        self.report(errors, FieldErrorKind::Invalid, shown.into(), detail);
    }

    /// The text here is none of those listed.
    pub(crate) fn not_supported(&self, errors: &mut FieldErrors, allowed: &[&str]) {
        let shown = if self.value.is_null() { BadValue::from("") } else { self.value.into() };
        self.not_supported_as(errors, shown, allowed);
    }

    /// The same, with the value that is shown.
    pub(crate) fn not_supported_as(
        &self,
        errors: &mut FieldErrors,
        shown: BadValue,
        allowed: &[&str],
    ) {
        let quoted: Vec<String> = allowed.iter().map(|word| format!("\"{word}\"")).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        let detail = if allowed.is_empty() { String::new() } else { detail };
        self.report(errors, FieldErrorKind::NotSupported, shown, detail);
    }

    /// Another place has this value already.
    pub(crate) fn duplicate(&self, errors: &mut FieldErrors) {
        self.duplicate_as(errors, self.value);
    }

    /// The same, with the value that is shown.
    pub(crate) fn duplicate_as(&self, errors: &mut FieldErrors, shown: impl Into<BadValue>) {
        self.report(errors, FieldErrorKind::Duplicate, shown.into(), "");
    }

    /// The same, with more words.
    pub(crate) fn duplicate_because(
        &self,
        errors: &mut FieldErrors,
        shown: impl Into<BadValue>,
        detail: impl Into<String>,
    ) {
        self.report(errors, FieldErrorKind::Duplicate, shown.into(), detail);
    }

    /// The value names nothing.
    pub(crate) fn not_found(&self, errors: &mut FieldErrors) {
        self.report(errors, FieldErrorKind::NotFound, self.value.into(), "");
    }

    /// The same, with the value that is shown and more words.
    pub(crate) fn not_found_as(
        &self,
        errors: &mut FieldErrors,
        shown: impl Into<BadValue>,
        detail: impl Into<String>,
    ) {
        self.report(errors, FieldErrorKind::NotFound, shown.into(), detail);
    }

    /// Nothing may stand here, or not this.
    pub(crate) fn forbidden(&self, errors: &mut FieldErrors, detail: impl Into<String>) {
        self.report(errors, FieldErrorKind::Forbidden, BadValue::Omitted, detail);
    }

    /// *Units*: bytes.
    pub(crate) fn too_long(&self, errors: &mut FieldErrors, bytes_max: usize) {
        let detail = format!("may not be more than {bytes_max} bytes");
        self.report(errors, FieldErrorKind::TooLong, BadValue::Omitted, detail);
    }

    /// More items than `items_max` stand here.
    pub(crate) fn too_many(&self, errors: &mut FieldErrors, items_max: usize) {
        let plural = if items_max == 1 { "" } else { "s" };
        let detail = format!("must have at most {items_max} item{plural}");
        let count = Value::from(self.len());
        self.report(errors, FieldErrorKind::TooMany, count.into(), detail);
    }
}

fn reach<'v>(mut value: &'v Value, fields: &str) -> &'v Value {
    for field in fields.split('.') {
        value = value.get(field).unwrap_or(&NULL);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_written_with_dots_indexes_and_keys() {
        let pod = json!({"spec": {"containers": [{"name": "a", "limits": {"x/y": 1}}]}});
        let root = At::root(&pod);
        let containers = root.at("spec.containers");
        let first = containers.index(0);
        let limits = first.at("limits");
        assert_eq!(limits.key("x/y").path(), "spec.containers[0].limits[x/y]");
        assert_eq!(first.text_of("name"), "a");
        assert!(!first.at("ports").is_set());
        assert_eq!(containers.items().count(), 1);
    }
}
