//! Strategic merge patches: what is done with a list follows from the schema, unless the patch says
//! so itself (`$patch`, `$retainKeys`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`).
//!
//! Invariant: members are done in the order of their names, so that a patch with several faults is
//! always refused for the same one. Compat: a list whose strategy is not to merge is taken from the
//! patch as it is; directives below it have no meaning and stay.

use std::collections::{HashMap, HashSet};

use serde_json::Map;

use super::go_text::go_type;
use super::order::{Identity, ordered};
use super::strategic_words::{
    bad_directive, expected, kind_name, no_field, no_merge_key, unknown_field,
};
use super::{PatchError, go_text, restore};
use crate::Value;
use crate::types::{PatchStrategy, Schema, Shape, TypeId};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList";

type Object = Map<String, Value>;

/// Does a strategic merge patch, and sees to it that its outcome still is of the kind's types.
pub(super) fn apply(
    schema: &Schema,
    kind: TypeId,
    document: &Value,
    patch: &Value,
) -> Result<Value, PatchError> {
    let original = document.as_object().cloned().unwrap_or_default();
    let mut patch = patch.as_object().cloned().unwrap_or_default();
    let merger = Merger { schema };
    let shape = Shape::Object(kind);
    let mut merged = Value::Object(merger.map(original, &mut patch, &shape)?);
    restore::restore(schema, &shape, None, &mut merged).map_err(|wrong| invalid(&patch, wrong))?;
    Ok(merged)
}

fn invalid(patch: &Object, wrong: String) -> PatchError {
    let value = go_text(&Value::Object(patch.clone()));
    PatchError::new(super::PatchErrorClass::Invalid { value }, wrong)
}

struct Merger<'a> {
    schema: &'a Schema,
}

/// What the schema says of a field: what it holds, and what to do with it.
struct Place<'a> {
    shape: &'a Shape,
    strategy: PatchStrategy,
    merge_key: Option<&'a str>,
}

impl<'a> Merger<'a> {
    /// Merges a patch into an object. What the patch's directives have said is taken out of it.
    fn map(
        &self,
        mut original: Object,
        patch: &mut Object,
        shape: &Shape,
    ) -> Result<Object, PatchError> {
        if let Some(directive) = patch.get(DIRECTIVE) {
            return match directive.as_str() {
                Some("replace") => {
                    patch.remove(DIRECTIVE);
                    Ok(patch.clone())
                }
                Some("delete") => Ok(Object::new()),
                _ => Err(bad_directive(directive, patch)),
            };
        }
        retain_keys(&mut original, patch)?;
        self.set_element_orders(&mut original, patch, shape)?;
        for (name, value) in patch.iter_mut() {
            self.member(&mut original, name, value, shape)?;
        }
        Ok(original)
    }

    fn member(
        &self,
        original: &mut Object,
        name: &str,
        value: &mut Value,
        shape: &Shape,
    ) -> Result<(), PatchError> {
        let (name, deletes) = match name.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) {
            None => (name, false),
            Some(rest) => match rest.strip_prefix('/') {
                Some(name) => (name, true),
                None => {
                    return Err(PatchError::bad_request("invalid patch format of primitive list"));
                }
            },
        };
        if value.is_null() {
            original.remove(name);
            return Ok(());
        }
        let Some(old) = original.get_mut(name).filter(|old| go_type(old) == go_type(value)) else {
            if !deletes {
                discard_nulls(value);
                set(original, name, value);
            }
            return Ok(());
        };
        match (old.take(), value) {
            (Value::Object(old), Value::Object(patch)) => {
                let place = self.place(shape, name)?;
                let merged = match place.strategy {
                    PatchStrategy::Replace => patch.clone(),
                    _ => self.map(old, patch, place.shape)?,
                };
                original.insert(name.to_owned(), Value::Object(merged));
            }
            (Value::Array(old), Value::Array(patch)) => {
                let place = self.list_place(shape, name)?;
                let merged = match (deletes, place.strategy.merges()) {
                    (true, _) => self.list(old, patch, &place, true)?,
                    (false, true) => self.list(old, patch, &place, false)?,
                    (false, false) => patch.clone(),
                };
                original.insert(name.to_owned(), Value::Array(merged));
            }
            (_, value) => set(original, name, value),
        }
        Ok(())
    }

    /// Merges a patch's list into a list. Both may hold anything; what cannot be merged is refused.
    fn list(
        &self,
        original: Vec<Value>,
        patch: &mut [Value],
        place: &Place<'_>,
        deletes: bool,
    ) -> Result<Vec<Value>, PatchError> {
        if original.is_empty() && patch.is_empty() {
            return Ok(original);
        }
        if element_type(&original, patch)? != go_type(&Value::Object(Object::new())) {
            if deletes {
                let gone: HashSet<_> = patch.iter().collect();
                return Ok(original.into_iter().filter(|value| !gone.contains(value)).collect());
            }
            let merged = distinct(original.iter().chain(patch.iter()));
            return Ok(ordered(merged, patch, &original, Identity::Scalar));
        }
        let Some(merge_key) = place.merge_key else {
            return Err(PatchError::internal(format!(
                "cannot merge lists without merge key for {}",
                kind_name(place.shape)
            )));
        };
        let (original, mut patch) = element_directives(original, patch, merge_key)?;
        let merged = self.elements(original.clone(), &mut patch, merge_key, place.shape)?;
        require_merge_key(&merged, merge_key)?;
        require_merge_key(&original, merge_key)?;
        Ok(ordered(merged, &patch, &original, Identity::Key(merge_key)))
    }

    /// Merges elements that have the same key, and adds the others.
    fn elements(
        &self,
        mut merged: Vec<Value>,
        patch: &mut [Value],
        merge_key: &str,
        shape: &Shape,
    ) -> Result<Vec<Value>, PatchError> {
        // Where the first element of each key stands, by hash: a list may be as long as a body.
        let mut positions: HashMap<Value, usize> = HashMap::new();
        for (index, element) in merged.iter().enumerate() {
            if let Some(key) = element.get(merge_key) {
                positions.entry(key.clone()).or_insert(index);
            }
        }
        for element in patch {
            let Value::Object(patch) = element else { continue };
            let Some(key) = patch.get(merge_key) else {
                return Err(no_merge_key(patch, merge_key));
            };
            match positions.get(key).and_then(|index| merged.get_mut(*index)) {
                Some(old) => {
                    let old_map = match old.take() {
                        Value::Object(old_map) => old_map,
                        _ => Object::new(),
                    };
                    *old = Value::Object(self.map(old_map, patch, shape)?);
                }
                None => {
                    positions.insert(key.clone(), merged.len());
                    merged.push(element.clone());
                }
            }
        }
        Ok(merged)
    }

    /// Does the lists for which the patch says the order of elements, and takes them out of it.
    fn set_element_orders(
        &self,
        original: &mut Object,
        patch: &mut Object,
        shape: &Shape,
    ) -> Result<(), PatchError> {
        let names: Vec<_> =
            patch.keys().filter(|name| name.starts_with(SET_ELEMENT_ORDER)).cloned().collect();
        for directive in names {
            let wanted = patch.remove(&directive).unwrap_or_default();
            let wanted = as_list(wanted)?;
            let name = directive.strip_prefix(SET_ELEMENT_ORDER).and_then(|d| d.strip_prefix('/'));
            let Some(name) = name else {
                return Err(PatchError::bad_request(
                    "invalid patch format of setElementOrder list",
                ));
            };
            let before = original.get(name).cloned().map(as_list).transpose()?;
            let change = patch.get(name).cloned().map(as_list).transpose()?;
            let place = self.list_place(shape, name)?;
            check_order(change.as_deref().unwrap_or_default(), &wanted, place.merge_key)?;
            let merged = match (before.clone(), change) {
                (None, None) => continue,
                (Some(before), None) => before,
                (None, Some(change)) => without_directives(change),
                (Some(before), Some(mut change)) if place.strategy.merges() => {
                    self.list(before, &mut change, &place, false)?
                }
                (Some(_), Some(change)) => change,
            };
            let before = before.unwrap_or_default();
            let sorted = self.in_wanted_order(merged, &wanted, &before, place.merge_key)?;
            original.insert(name.to_owned(), Value::Array(sorted));
            patch.remove(name);
        }
        Ok(())
    }

    fn in_wanted_order(
        &self,
        merged: Vec<Value>,
        wanted: &[Value],
        before: &[Value],
        merge_key: Option<&str>,
    ) -> Result<Vec<Value>, PatchError> {
        let Some(merge_key) = merge_key else {
            return Ok(ordered(merged, wanted, before, Identity::Scalar));
        };
        for list in [&merged[..], wanted, before] {
            require_merge_key(list, merge_key)?;
        }
        Ok(ordered(merged, wanted, before, Identity::Key(merge_key)))
    }

    /// What is known of a field of a struct; nothing else has fields that can be merged.
    fn place<'s>(&'s self, shape: &'s Shape, name: &str) -> Result<Place<'s>, PatchError> {
        let id = match shape {
            Shape::Object(id) => *id,
            other => return Err(no_field(other, name)),
        };
        let of = self.schema.get(id);
        let field = of
            .field(name)
            .or_else(|| of.fields.iter().find(|field| field.json.eq_ignore_ascii_case(name)));
        let field = field.ok_or_else(|| unknown_field(of.short_name(), name))?;
        Ok(Place { shape: &field.shape, strategy: field.patch, merge_key: field.merge_key })
    }

    /// What is known of a field that is a list, with the shape of its elements.
    fn list_place<'s>(&'s self, shape: &'s Shape, name: &str) -> Result<Place<'s>, PatchError> {
        let place = self.place(shape, name)?;
        let element = match place.shape {
            Shape::List(element) | Shape::WrappedList(element) => element,
            _ => {
                return Err(PatchError::internal(format!(
                    "expected slice or array type, but got: {}",
                    kind_name(shape)
                )));
            }
        };
        Ok(Place { shape: element, ..place })
    }
}

/// Sets a member to what a patch has for it, unless that is a directive and nothing else.
fn set(original: &mut Object, name: &str, value: &Value) {
    match kept(value) {
        Some(value) => {
            original.insert(name.to_owned(), value);
        }
        None => {
            original.remove(name);
        }
    }
}

/// A patch's value without its directives; objects that are directives are left out.
fn kept(value: &Value) -> Option<Value> {
    match value {
        Value::Object(object) if object.contains_key(DIRECTIVE) => None,
        Value::Object(object) => Some(Value::Object(
            object.iter().filter_map(|(name, v)| Some((name.clone(), kept(v)?))).collect(),
        )),
        Value::Array(items) => Some(items.iter().filter_map(kept).collect()),
        scalar => Some(scalar.clone()),
    }
}

fn without_directives(list: Vec<Value>) -> Vec<Value> {
    list.iter().filter_map(kept).collect()
}

/// Takes the nulls out of objects at any depth; those that stand in lists stay.
fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// Takes away the members that `$retainKeys` does not name.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let wrong = || PatchError::bad_request("invalid patch format of retainKeys");
    let Value::Array(retained) = retained else { return Err(wrong()) };
    let retained: HashSet<_> = retained.iter().filter_map(Value::as_str).collect();
    let named = |(name, value): (&String, &Value)| {
        value.is_null()
            || name.starts_with(DELETE_FROM_PRIMITIVE_LIST)
            || name.starts_with(SET_ELEMENT_ORDER)
            || retained.contains(name.as_str())
    };
    if !patch.iter().all(named) {
        return Err(wrong());
    }
    original.retain(|name, _| retained.contains(name.as_str()));
    Ok(())
}

/// Does the directives that stand as elements in a patch's list: what is left of both lists.
fn element_directives(
    original: Vec<Value>,
    patch: &[Value],
    merge_key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut plain = Vec::new();
    let mut deleted = HashSet::new();
    let mut replaces = false;
    for element in patch {
        let Some(object) = element.as_object() else { continue };
        match object.get(DIRECTIVE).map(|directive| (directive, directive.as_str())) {
            None => plain.push(element.clone()),
            Some((_, Some("delete"))) => {
                let key = object.get(merge_key).ok_or_else(|| no_merge_key(object, merge_key))?;
                deleted.insert(key);
            }
            Some((_, Some("replace"))) => replaces = true,
            Some((_, Some("merge"))) => {
                return Err(PatchError::internal(
                    "merging lists cannot yet be specified in the patch",
                ));
            }
            Some((directive, _)) => return Err(bad_directive(directive, object)),
        }
    }
    if replaces {
        return Ok((plain, Vec::new()));
    }
    let stays = |element: &Value| !element.get(merge_key).is_some_and(|key| deleted.contains(key));
    Ok((original.into_iter().filter(stays).collect(), plain))
}

/// A list with each value once. Compat: a later copy's place is taken by the last value, which
/// shows only where two unnamed values change places; the order is set right afterwards.
fn distinct<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    values.filter(|value| seen.insert(*value)).cloned().collect()
}

/// The one type that all elements have.
fn element_type(original: &[Value], patch: &[Value]) -> Result<&'static str, PatchError> {
    let mut all = original.iter().chain(patch);
    let first = all.next().map(go_type).unwrap_or_default();
    if first == go_type(&Value::Array(Vec::new())) {
        return Err(PatchError::unprocessable("lists of lists are not supported"));
    }
    if all.any(|value| go_type(value) != first) {
        let lists = [original, patch].map(|list| go_text(&Value::Array(list.to_vec())));
        return Err(PatchError::internal(format!(
            "list element types are not identical: [{}]",
            lists.join(" ")
        )));
    }
    Ok(first)
}

/// The order that is asked for must name the elements of the patch, in the patch's order.
fn check_order(
    change: &[Value],
    wanted: &[Value],
    merge_key: Option<&str>,
) -> Result<(), PatchError> {
    if change.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    let identity = merge_key.map_or(Identity::Scalar, Identity::Key);
    let mut wanted_left = wanted.iter();
    for element in change.iter().filter(|element| element.get(DIRECTIVE).is_none()) {
        if let Some(key) = merge_key {
            require_merge_key(std::slice::from_ref(element), key)?;
        }
        let mut found = false;
        for candidate in wanted_left.by_ref() {
            if let Some(key) = merge_key {
                require_merge_key(std::slice::from_ref(candidate), key)?;
            }
            if identity.of(candidate) == identity.of(element) {
                found = true;
                break;
            }
        }
        if !found {
            return Err(PatchError::internal(format!(
                "The order in patch list:\n{}\n doesn't match {SET_ELEMENT_ORDER} list:\n{}\n",
                go_text(&Value::Array(change.to_vec())),
                go_text(&Value::Array(wanted.to_vec())),
            )));
        }
    }
    Ok(())
}

fn require_merge_key(list: &[Value], merge_key: &str) -> Result<(), PatchError> {
    for element in list {
        let Some(object) = element.as_object() else {
            return Err(expected("map[string]interface {}", element));
        };
        if !object.contains_key(merge_key) {
            return Err(no_merge_key(object, merge_key));
        }
    }
    Ok(())
}

fn as_list(value: Value) -> Result<Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(expected("[]interface {}", &other)),
    }
}
