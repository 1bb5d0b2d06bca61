//! The facts of one Kubernetes release, as they are checked in, and how they are read.
//!
//! `facts/kubernetes-1.37` is written by `cargo xtask facts` out of the modules that Kubernetes
//! publishes. It is read line by line; words are parted by one space, and the first letter of a
//! line tells what it is:
//!
//! ```text
//! # a comment
//! release 1.37.0
//! type core/v1.PodSpec io.k8s.api.core.v1 [published] [map=atomic]
//! kind apps/v1 Deployment [since=1.33] [removed=1.40] [replacement=g/v,Kind]
//! union <discriminator or -> <field>=<Value> ...
//!  <json name> <shape> <protobuf tag> [omitempty|omitzero] [required] [list=set|map|atomic]
//!      [keys=a|b] [map=atomic|granular] [patch=merge+retainKeys] [key=<merge key>]
//!      [go=<Go type>] [enum=a|b c] [default=<JSON>]
//! inline <Go name> [*]<protobuf tag>
//! end
//! resource <group version> <plural> <singular> <Kind> <cluster|namespaced> verbs=a,b
//!      [short=a,b] [categories=a,b] [hash=...] [deletion=object]
//! sub <name> <group version> <Kind> verbs=a,b
//! ```
//!
//! `kind`, `union`, fields and `inline` belong to the `type` before them; the fields between
//! `inline` and `end` are those of a struct that Go embeds: JSON sees them in its place, protobuf
//! under its tag (0: not at all). `sub` belongs to the `resource` before it; resources stand in
//! discovery order. A shape is written as in Go: `*int32`, `[]string`, `map[]quantity`,
//! `[].Container` for a struct of the same package, `meta/v1.ObjectMeta` for another's,
//! `wrapped[]string` for a list that protobuf puts into a message.
//!
//! Invariants: a file that does not hold to this is refused whole, with its line; the checked-in
//! one is parsed by a test, so that it never is at run time. Must not know: what is done by them.

mod fields;
mod removed;
mod resources;

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::types::{Gvk, MapType, Schema, Type, TypeId, Union};

/// The facts of Kubernetes 1.37, as they are checked in.
pub const KUBERNETES_1_37: &str = include_str!("../facts/kubernetes-1.37");

impl Schema {
    /// The schema of the built-in kinds of Kubernetes 1.37, parsed on first use, with the versions
    /// that Kubernetes no longer serves and we do.
    pub fn builtin() -> &'static Schema {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| {
            let mut schema =
                parse(KUBERNETES_1_37).expect("the checked-in facts are parsed by a test");
            removed::add(&mut schema);
            schema
        })
    }
}

/// A fact file that does not hold to its format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct FactError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Why a line is refused.
type LineError = String;

/// Reads a fact file.
///
/// *Errors*: the first line that does not hold to the format.
pub fn parse(text: &'static str) -> Result<Schema, FactError> {
    let mut reader = Reader::new(text);
    for (index, line) in text.lines().enumerate() {
        reader.line(line).map_err(|what| FactError { line: index + 1, what })?;
    }
    reader.end().map_err(|what| FactError { line: text.lines().count(), what })
}

struct Reader {
    schema: Schema,
    type_being_read: Option<fields::TypeReader>,
}

impl Reader {
    /// Shapes name types that stand further down: the names are gathered first.
    fn new(text: &'static str) -> Self {
        let names = text.lines().filter_map(|line| line.strip_prefix("type ")?.split(' ').next());
        let by_name: HashMap<&'static str, TypeId> = names.zip((0u32..).map(TypeId)).collect();
        let schema = Schema {
            types: Vec::with_capacity(by_name.len()),
            kinds: HashMap::with_capacity(by_name.len()),
            by_name,
            deprecations: HashMap::new(),
            resources: Vec::new(),
        };
        Self { schema, type_being_read: None }
    }

    fn line(&mut self, line: &'static str) -> Result<(), LineError> {
        if let Some(field) = line.strip_prefix(' ') {
            let reader = self.type_being_read.as_mut().ok_or("a field outside a type")?;
            return reader.field(field, &self.schema.by_name);
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "#" | "release" => Ok(()),
            "type" => self.begin_type(rest),
            "kind" => self.kind(rest),
            "union" => self.current()?.union(rest),
            "inline" => self.current()?.begin_inline(rest),
            "end" => self.current()?.end_inline(),
            "resource" => {
                self.end_type()?;
                let row = resources::resource(rest, &self.schema)?;
                self.schema.resources.push(row);
                Ok(())
            }
            "sub" => {
                let row = self.schema.resources.last_mut().ok_or("no resource before")?;
                row.subresources.push(resources::subresource(rest)?);
                Ok(())
            }
            other => Err(format!("unknown word {other:?}")),
        }
    }

    fn current(&mut self) -> Result<&mut fields::TypeReader, LineError> {
        self.type_being_read.as_mut().ok_or_else(|| "outside a type".to_owned())
    }

    fn begin_type(&mut self, rest: &'static str) -> Result<(), LineError> {
        self.end_type()?;
        let mut words = rest.split(' ');
        let (name, package) = words.next().zip(words.next()).ok_or("no name and package")?;
        let mut read = fields::TypeReader::new(name, package)?;
        for word in words {
            match word.split_once('=') {
                None if word == "published" => read.result.published = true,
                Some(("map", value)) => read.result.map = map_type(value)?,
                _ => return Err(format!("unknown word {word:?}")),
            }
        }
        self.type_being_read = Some(read);
        Ok(())
    }

    fn kind(&mut self, rest: &'static str) -> Result<(), LineError> {
        let mut words = rest.split(' ');
        let (group_version, kind) = words.next().zip(words.next()).ok_or("no version and kind")?;
        let (group, version) = split_group_version(group_version);
        let id = TypeId(u32::try_from(self.schema.types.len()).map_err(|_| "too many types")?);
        if self.schema.kinds.insert((group, version, kind), id).is_some() {
            return Err(format!("{group_version} {kind} stands twice"));
        }
        if let Some(deprecation) = resources::deprecation(words)? {
            self.schema.deprecations.insert((group, version, kind), deprecation);
        }
        self.current()?.result.kinds.push(Gvk {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        });
        Ok(())
    }

    fn end_type(&mut self) -> Result<(), LineError> {
        if let Some(read) = self.type_being_read.take() {
            self.schema.types.push(read.end()?);
        }
        Ok(())
    }

    fn end(mut self) -> Result<Schema, LineError> {
        self.end_type()?;
        // Invariant: ids were given by name; two types of one name would have shifted them.
        let in_place = |(id, facts): (TypeId, &Type)| self.schema.named(facts.name) == Some(id);
        if self.schema.types().all(in_place) {
            Ok(self.schema)
        } else {
            Err("a type stands twice".to_owned())
        }
    }
}

/// `apps/v1` → `("apps", "v1")`, `v1` → `("", "v1")`.
fn split_group_version(text: &'static str) -> (&'static str, &'static str) {
    text.split_once('/').unwrap_or(("", text))
}

fn map_type(word: &str) -> Result<MapType, LineError> {
    match word {
        "atomic" => Ok(MapType::Atomic),
        "granular" => Ok(MapType::Granular),
        other => Err(format!("unknown map type {other:?}")),
    }
}

fn union(rest: &'static str) -> Result<Union, LineError> {
    let mut words = rest.split(' ');
    let discriminator = words.next().filter(|word| *word != "-");
    let fields: Option<Vec<_>> = words.map(|word| word.split_once('=')).collect();
    Ok(Union { discriminator, fields: fields.ok_or("a field of a union without its value")? })
}

#[cfg(test)]
mod tests;
