//! The YAML reader: events of the parser, loaded into a value tree the way `sigs.k8s.io/yaml` does.
//!
//! Invariants: every value that an alias stands for is paid for by the limits before it is copied;
//! so is every value kept for aliases to come. Loading recurses no deeper than `depth_max`.
//!
//! It reads events of the parser under serde-saphyr instead of deserializing, because warnings name
//! the line of a duplicate key, merge keys count as duplicates, and the types of plain scalars are
//! those of go-yaml.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, Tag};
use serde_json::Map;

use super::yaml_scalar::{self, Kind};
use super::yaml_words;
use super::{DecodeError, Decoded, Limits, quoted};
use crate::Value;

/// Reads the first document of a stream.
pub(super) fn read(bytes: &[u8], limits: Limits) -> Result<Decoded, DecodeError> {
    let text = readable(bytes)?;
    let mut options = Options::default();
    options.emit_anchor_events = true;
    options.emit_unresolved_aliases = true;
    options.flow_nesting_limit = limits.depth_max;
    options.block_nesting_limit = limits.depth_max;
    let mut loader = Loader {
        parser: Parser::new_from_str_with_options(text, options),
        text,
        limits,
        depth: 0,
        nodes: 0,
        alias_nodes: 0,
        kept_nodes: 0,
        text_bytes: 0,
        anchors: HashMap::new(),
        names: HashMap::new(),
        duplicates: Vec::new(),
    };
    let value = match loader.next()? {
        (Event::StreamEnd, _) => Value::Null,
        (event, line) => loader.node(event, line)?,
    };
    Ok(Decoded { value, duplicates: loader.duplicates })
}

/// The text, without a byte order mark.
fn readable(bytes: &[u8]) -> Result<&str, DecodeError> {
    let text = str::from_utf8(bytes).map_err(|error| {
        failure(match (error.error_len(), bytes.get(error.valid_up_to())) {
            (None, _) => "incomplete UTF-8 octet sequence",
            (_, Some(0xc2..=0xf4)) => "invalid trailing UTF-8 octet",
            _ => "invalid leading UTF-8 octet",
        })
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}')
            || matches!(c, '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
    };
    if text.chars().all(allowed) {
        return Ok(text);
    }
    Err(failure("control characters are not allowed"))
}

/// What go-yaml gives up with.
fn failure(text: impl std::fmt::Display) -> DecodeError {
    DecodeError::Yaml(format!("yaml: {text}"))
}

fn too_much() -> DecodeError {
    failure("document contains excessive aliasing")
}

struct Loader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    limits: Limits,
    depth: usize,
    /// Values loaded, those that aliases stand for among them.
    nodes: usize,
    alias_nodes: usize,
    kept_nodes: usize,
    text_bytes: usize,
    anchors: HashMap<usize, Anchor>,
    names: HashMap<usize, String>,
    duplicates: Vec<String>,
}

/// What an alias stands for, and what it costs.
struct Anchor {
    value: Value,
    nodes: usize,
    text_bytes: usize,
    depth: usize,
}

impl Loader<'_> {
    /// The next event that is part of the document, with its line.
    fn next(&mut self) -> Result<(Event<'static>, usize), DecodeError> {
        loop {
            let (event, span) = match self.parser.next_event() {
                None => return Ok((Event::StreamEnd, 0)),
                Some(Ok(found)) => found,
                Some(Err(error)) => return Err(failure(yaml_words::of(&error, self.text))),
            };
            let line = span.start.line();
            let event = match event {
                Event::Anchor(id, name) => {
                    self.names.insert(id, name.into_owned());
                    continue;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let tag = tag.map(|tag| std::borrow::Cow::Owned(tag.into_owned()));
                    Event::Scalar(text.into_owned().into(), style, anchor, tag)
                }
                Event::SequenceStart(style, anchor, _) => Event::SequenceStart(style, anchor, None),
                Event::MappingStart(style, anchor, _) => Event::MappingStart(style, anchor, None),
                Event::UnresolvedAlias(name) => Event::UnresolvedAlias(name.into_owned().into()),
                Event::Alias(id) => Event::Alias(id),
                Event::SequenceEnd => Event::SequenceEnd,
                Event::MappingEnd => Event::MappingEnd,
                Event::StreamEnd | Event::DocumentEnd => Event::StreamEnd,
                _ => continue,
            };
            return Ok((event, line));
        }
    }

    fn node(&mut self, event: Event<'static>, line: usize) -> Result<Value, DecodeError> {
        let before = (self.nodes, self.text_bytes);
        self.count(1, 0)?;
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id),
            Event::UnresolvedAlias(name) => {
                return Err(failure(format_args!("unknown anchor '{name}' referenced")));
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(0, text.len())?;
                (scalar(&text, style, tag.as_deref())?, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.nested(line, Self::sequence)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.nested(line, Self::mapping)?, anchor),
            _ => (Value::Null, 0),
        };
        if anchor != 0 {
            let (nodes, text_bytes) = (self.nodes - before.0, self.text_bytes - before.1);
            self.keep(anchor, &value, nodes, text_bytes)?;
        }
        Ok(value)
    }

    fn nested(
        &mut self,
        line: usize,
        load: fn(&mut Self) -> Result<Value, DecodeError>,
    ) -> Result<Value, DecodeError> {
        let depth_max = self.limits.depth_max;
        if self.depth >= depth_max {
            return Err(failure(yaml_words::too_deep(line, depth_max)));
        }
        self.depth += 1;
        let value = load(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn sequence(&mut self) -> Result<Value, DecodeError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Value::Array(items)),
                (event, line) => items.push(self.node(event, line)?),
            }
        }
    }

    fn mapping(&mut self) -> Result<Value, DecodeError> {
        let mut object = Map::new();
        loop {
            let (event, line) = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => return Ok(Value::Object(object)),
                found => found,
            };
            let merges = matches!(
                &event,
                Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<"
            );
            let key = self.node(event, line)?;
            let (event, value_line) = self.next()?;
            let value = self.node(event, value_line)?;
            if merges {
                merge(&mut object, value)?;
                continue;
            }
            let (name, shown) = key_name(key, &value)?;
            if object.contains_key(&name) && self.duplicates.len() < self.limits.duplicates_max {
                self.duplicates.push(format!("line {line}: key {shown} already set in map"));
            }
            object.insert(name, value);
        }
    }

    fn alias(&mut self, id: usize) -> Result<Value, DecodeError> {
        let Some(anchor) = self.anchors.get(&id) else {
            let name = self.names.get(&id).cloned().unwrap_or_default();
            return Err(failure(format_args!("anchor '{name}' value contains itself")));
        };
        let (nodes, text_bytes, depth) = (anchor.nodes, anchor.text_bytes, anchor.depth);
        if self.depth + depth > self.limits.depth_max {
            return Err(failure(yaml_words::too_deep(1, self.limits.depth_max)));
        }
        self.alias_nodes += nodes;
        self.count(nodes, text_bytes)?;
        if self.alias_nodes > 100 && self.nodes > 1000 && self.mostly_aliases() {
            return Err(too_much());
        }
        Ok(self.anchors.get(&id).map(|anchor| anchor.value.clone()).unwrap_or_default())
    }

    /// Compat: go-yaml lets 99 of 100 values of a small document come from aliases, 10 of 100 of a
    /// large one, and a part between for those in between.
    fn mostly_aliases(&self) -> bool {
        const SMALL: f64 = 400_000.0;
        const LARGE: f64 = 4_000_000.0;
        let nodes = self.nodes as f64;
        let above = ((nodes - SMALL) / (LARGE - SMALL)).clamp(0.0, 1.0);
        self.alias_nodes as f64 / nodes > 0.99 - 0.89 * above
    }

    fn count(&mut self, nodes: usize, text_bytes: usize) -> Result<(), DecodeError> {
        self.nodes += nodes;
        self.text_bytes += text_bytes;
        if self.nodes > self.limits.nodes_max || self.text_bytes > self.limits.text_bytes_max {
            return Err(too_much());
        }
        Ok(())
    }

    fn keep(
        &mut self,
        id: usize,
        value: &Value,
        nodes: usize,
        text_bytes: usize,
    ) -> Result<(), DecodeError> {
        // Anchors within anchors are kept several times over.
        self.kept_nodes += nodes;
        if self.kept_nodes > self.limits.nodes_max {
            return Err(too_much());
        }
        let anchor = Anchor { value: value.clone(), nodes, text_bytes, depth: depth(value) };
        self.anchors.insert(id, anchor);
        Ok(())
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, DecodeError> {
    let kind = match tag {
        None if style == ScalarStyle::Plain => Kind::Untold,
        None => Kind::Text,
        Some(tag) => match (tag.handle(), tag.suffix()) {
            ("tag:yaml.org,2002:", suffix) => Kind::of_suffix(suffix),
            _ => Kind::Text,
        },
    };
    yaml_scalar::value(text, kind).map_err(DecodeError::Yaml)
}

/// Adds the members of one mapping or of several, of which the first counts most.
fn merge(object: &mut Map<String, Value>, value: Value) -> Result<(), DecodeError> {
    match value {
        Value::Object(members) => object.extend(members),
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for item in items.into_iter().rev() {
                merge(object, item)?;
            }
        }
        _ => return Err(failure("map merge requires map or sequence of maps as the value")),
    }
    Ok(())
}

/// A key as JSON has it, and as a warning shows it.
fn key_name(key: Value, value: &Value) -> Result<(String, String), DecodeError> {
    match key {
        Value::String(text) => {
            let shown = quoted(&text);
            Ok((text, shown))
        }
        Value::Bool(_) | Value::Number(_) => {
            let text = key.to_string();
            Ok((text.clone(), text))
        }
        Value::Null => Err(DecodeError::Yaml(format!(
            "unsupported map key of type: %!s(<nil>), key: <nil>, value: {}",
            go_syntax(value)
        ))),
        key => Err(failure(format_args!("invalid map key: {}", go_syntax(&key)))),
    }
}

/// A value as Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(object) => {
            let members = object.iter().map(|(k, v)| format!("{}:{}", quoted(k), go_syntax(v)));
            let members: Vec<_> = members.collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", members.join(", "))
        }
        scalar => scalar.to_string(),
    }
}
