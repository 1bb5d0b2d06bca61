//! The lines of a type: its fields, and the structs that Go embeds.
//!
//! Must not know: resources.

use std::collections::HashMap;

use super::{LineError, map_type, union};
use crate::types::{
    Field, ListType, MapType, Omit, PatchStrategy, RawForm, SchemaOr, Shape, Type, TypeId,
    WireMember,
};

/// A type of which not all lines are read.
pub(super) struct TypeReader {
    /// What is known of it so far.
    pub(super) result: Type,
    /// Messages around the next field, the outermost first.
    inlines: Vec<Inline>,
    package: &'static str,
}

struct Inline {
    name: &'static str,
    tag: u32,
    pointer: bool,
    members: Vec<WireMember>,
}

impl TypeReader {
    pub(super) fn new(name: &'static str, openapi: &'static str) -> Result<Self, LineError> {
        let (package, short) = name.rsplit_once('.').ok_or("a type without a package")?;
        let result = Type {
            name,
            openapi: format!("{openapi}.{short}"),
            published: false,
            fields: Vec::new(),
            wire: Vec::new(),
            kinds: Vec::new(),
            map: MapType::Unstated,
            unions: Vec::new(),
            by_json: Vec::new(),
            always: Vec::new(),
        };
        Ok(Self { result, inlines: Vec::new(), package })
    }

    pub(super) fn union(&mut self, rest: &'static str) -> Result<(), LineError> {
        self.result.unions.push(union(rest)?);
        Ok(())
    }

    pub(super) fn begin_inline(&mut self, rest: &'static str) -> Result<(), LineError> {
        let (name, tag) = rest.split_once(' ').ok_or("no name and tag")?;
        let (pointer, tag) = tag.strip_prefix('*').map_or((false, tag), |tag| (true, tag));
        let tag = tag.parse().map_err(|_| "no tag")?;
        self.inlines.push(Inline { name, tag, pointer, members: Vec::new() });
        Ok(())
    }

    pub(super) fn end_inline(&mut self) -> Result<(), LineError> {
        let Inline { tag, pointer, mut members, .. } =
            self.inlines.pop().ok_or("no inline before")?;
        if tag != 0 {
            sort_by_tag(&mut members, &self.result.fields);
            self.add(WireMember::Inline { tag, pointer, members });
        }
        Ok(())
    }

    fn add(&mut self, member: WireMember) {
        let members = self.inlines.last_mut().map(|inline| &mut inline.members);
        members.unwrap_or(&mut self.result.wire).push(member);
    }

    pub(super) fn field(
        &mut self,
        line: &'static str,
        types: &HashMap<&'static str, TypeId>,
    ) -> Result<(), LineError> {
        let mut field = field(line, self.package, types)?;
        field.embedded = self.inlines.iter().map(|inline| inline.name).collect();
        let carried = self.inlines.iter().all(|inline| inline.tag != 0);
        if !carried {
            field.tag = 0;
        }
        let index = u16::try_from(self.result.fields.len()).map_err(|_| "too many fields")?;
        if field.tag != 0 {
            self.add(WireMember::Field(index));
        }
        self.result.fields.push(field);
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<Type, LineError> {
        if !self.inlines.is_empty() {
            return Err("an inline without its end".to_owned());
        }
        let result = &mut self.result;
        sort_by_tag(&mut result.wire, &result.fields);
        let count = u16::try_from(result.fields.len()).map_err(|_| "too many fields")?;
        result.by_json = (0..count).collect();
        result.by_json.sort_by_key(|index| result.fields[usize::from(*index)].json);
        let names = result.by_json.windows(2);
        let json = |index: u16| result.fields[usize::from(index)].json;
        if names.into_iter().any(|pair| json(pair[0]) == json(pair[1])) {
            return Err("two fields of one name".to_owned());
        }
        result.always =
            (0..count).filter(|index| always(&result.fields[usize::from(*index)])).collect();
        Ok(self.result)
    }
}

/// Whether Go writes the field when it is zero: unless told otherwise, and structs unless told so
/// by `omitzero`.
fn always(field: &Field) -> bool {
    match field.omit {
        Omit::Never => true,
        Omit::Empty => !field.pointer && field.shape.is_struct(),
        Omit::Zero => false,
    }
}

fn sort_by_tag(members: &mut [WireMember], fields: &[Field]) {
    members.sort_by_key(|member| match member {
        WireMember::Field(index) => fields[usize::from(*index)].tag,
        WireMember::Inline { tag, .. } => *tag,
    });
}

fn field(
    line: &'static str,
    package: &'static str,
    types: &HashMap<&'static str, TypeId>,
) -> Result<Field, LineError> {
    // Values and defaults may hold spaces: they stand last.
    let (line, default) = cut(line, " default=");
    let (line, enumeration) = cut(line, " enum=");
    let mut words = line.split(' ');
    let json = words.next().unwrap_or_default();
    let (shape_word, tag) = words.next().zip(words.next()).ok_or("no shape and tag")?;
    let (pointer, shape_word) =
        shape_word.strip_prefix('*').map_or((false, shape_word), |rest| (true, rest));
    let mut field = Field {
        json,
        tag: tag.parse().map_err(|_| "no tag")?,
        shape: shape(shape_word, package, types)?,
        pointer,
        omit: Omit::Never,
        list: ListType::Unstated,
        map: MapType::Unstated,
        patch: PatchStrategy::Unstated,
        merge_key: None,
        required: false,
        enumeration: enumeration.map(|values| values.split('|').collect()).unwrap_or_default(),
        default: default
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| error.to_string())?,
        go_type: None,
        embedded: Vec::new(),
    };
    for word in words {
        option(&mut field, word)?;
    }
    Ok(field)
}

fn cut(line: &'static str, word: &str) -> (&'static str, Option<&'static str>) {
    line.split_once(word).map_or((line, None), |(line, rest)| (line, Some(rest)))
}

fn option(field: &mut Field, word: &'static str) -> Result<(), LineError> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    match name {
        "omitempty" => field.omit = Omit::Empty,
        "omitzero" => field.omit = Omit::Zero,
        "required" => field.required = true,
        "list" => field.list = list_type(value)?,
        "keys" => field.list = ListType::Map(value.split('|').collect()),
        "map" => field.map = map_type(value)?,
        "patch" => field.patch = patch_strategy(value)?,
        "key" => field.merge_key = Some(value),
        "go" => field.go_type = Some(value),
        _ => return Err(format!("unknown word {word:?}")),
    }
    Ok(())
}

fn list_type(word: &str) -> Result<ListType, LineError> {
    match word {
        "atomic" => Ok(ListType::Atomic),
        "set" => Ok(ListType::Set),
        "map" => Ok(ListType::Map(Vec::new())),
        other => Err(format!("unknown list type {other:?}")),
    }
}

fn patch_strategy(word: &str) -> Result<PatchStrategy, LineError> {
    match word {
        "replace" => Ok(PatchStrategy::Replace),
        "merge" => Ok(PatchStrategy::Merge),
        "retainKeys" => Ok(PatchStrategy::RetainKeys),
        "merge+retainKeys" => Ok(PatchStrategy::MergeRetainKeys),
        other => Err(format!("unknown patch strategy {other:?}")),
    }
}

fn shape(
    word: &'static str,
    package: &'static str,
    types: &HashMap<&'static str, TypeId>,
) -> Result<Shape, LineError> {
    let inner = |rest: &'static str| shape(rest, package, types).map(Box::new);
    if let Some(rest) = word.strip_prefix("[]") {
        return Ok(Shape::List(inner(rest)?));
    }
    if let Some(rest) = word.strip_prefix("wrapped[]") {
        return Ok(Shape::WrappedList(inner(rest)?));
    }
    if let Some(rest) = word.strip_prefix("map[]") {
        return Ok(Shape::Map(inner(rest)?));
    }
    let definition = || types.get("apiextensions/v1.JSONSchemaProps").copied();
    Ok(match word {
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "float64" => Shape::Float64,
        "string" => Shape::String,
        "bytes" => Shape::Bytes,
        "time" => Shape::Time,
        "microtime" => Shape::MicroTime,
        "duration" => Shape::Duration,
        "quantity" => Shape::Quantity,
        "intorstring" => Shape::IntOrString,
        "extension" => Shape::Raw(RawForm::Extension),
        "json" => Shape::Raw(RawForm::Json),
        "fieldsv1" => Shape::Raw(RawForm::FieldsV1),
        "any" => Shape::Raw(RawForm::Any),
        "orarray" => Shape::SchemaOr(definition().ok_or("no definition")?, SchemaOr::Array),
        "orbool" => Shape::SchemaOr(definition().ok_or("no definition")?, SchemaOr::Bool),
        "orstrings" => Shape::SchemaOr(definition().ok_or("no definition")?, SchemaOr::StringArray),
        name => Shape::Object(object(name, package, types)?),
    })
}

fn object(
    name: &'static str,
    package: &'static str,
    types: &HashMap<&'static str, TypeId>,
) -> Result<TypeId, LineError> {
    let found = match name.strip_prefix('.') {
        Some(_) => types.get(format!("{package}{name}").as_str()),
        None => types.get(name),
    };
    found.copied().ok_or_else(|| format!("unknown shape {name:?}"))
}
