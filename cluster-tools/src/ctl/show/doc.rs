//! A document whose fields keep their order, as the fields of etcd's messages do.
//!
//! Compat: [`Object::some`] leaves out what Go's `omitempty` leaves out: zero, false and empty.

use base64::Engine as _;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Any value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Doc {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    List(Vec<Doc>),
    Map(Vec<(&'static str, Doc)>),
}

impl Doc {
    /// Bytes as standard base64.
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::Text(base64::engine::general_purpose::STANDARD.encode(bytes))
    }

    /// A list of what each item becomes.
    pub(crate) fn list<T>(items: impl IntoIterator<Item = T>, each: impl Fn(T) -> Doc) -> Self {
        Self::List(items.into_iter().map(each).collect())
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Uint(value) => *value == 0,
            Self::Float(value) => *value == 0.0,
            Self::Text(value) => value.is_empty(),
            Self::List(items) => items.is_empty(),
            // Compat: an empty message is written as `{}`; only a missing one is left out.
            Self::Map(_) => false,
        }
    }
}

impl Serialize for Doc {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => out.serialize_unit(),
            Self::Bool(value) => out.serialize_bool(*value),
            Self::Int(value) => out.serialize_i64(*value),
            Self::Uint(value) => out.serialize_u64(*value),
            Self::Float(value) => out.serialize_f64(*value),
            Self::Text(value) => out.serialize_str(value),
            Self::List(items) => out.collect_seq(items),
            Self::Map(fields) => {
                let mut map = out.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident),*) => {
        $(impl From<$source> for Doc {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from!(bool => Bool, i32 => Int, i64 => Int, u32 => Uint, u64 => Uint, f64 => Float);
from!(&str => Text, String => Text);

impl From<usize> for Doc {
    fn from(value: usize) -> Self {
        Self::Uint(value as u64)
    }
}

impl From<&String> for Doc {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl<T: Into<Doc>> From<Option<T>> for Doc {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<&[String]> for Doc {
    fn from(values: &[String]) -> Self {
        Self::list(values, Doc::from)
    }
}

impl From<Object> for Doc {
    fn from(object: Object) -> Self {
        Self::Map(object.0)
    }
}

/// A map under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object(Vec<(&'static str, Doc)>);

impl Object {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a field, whatever its value.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Doc>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds a field unless its value is zero or empty.
    #[must_use]
    pub(crate) fn some(self, name: &'static str, value: impl Into<Doc>) -> Self {
        let value = value.into();
        if value.is_zero() { self } else { self.with(name, value) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Doc, Object};

    #[test]
    fn fields_keep_their_order_and_zeros_are_left_out() {
        let object = Object::new()
            .some("z", 1i64)
            .some("nothing", 0u64)
            .some("empty", "")
            .with("kept", 0i64)
            .some("inner", Doc::from(Object::new()))
            .some("a", Doc::bytes(b"foobar"));
        let text = serde_json::to_string(&Doc::from(object)).expect("a document");
        assert_eq!(text, r#"{"z":1,"kept":0,"inner":{},"a":"Zm9vYmFy"}"#);
    }
}
