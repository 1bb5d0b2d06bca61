//! JSON patches (RFC 6902), as kube-apiserver's library does them.
//!
//! Compat: it goes beyond the RFC, so the operations are ours: `replace` makes a missing member,
//! a missing value is `null`, a missing member tests equal to `null` and copies as `null`, negative
//! indexes count from the end, and the part of a path before its first slash is passed over.

use crate::Value;
use crate::decode::{Limits, quoted, type_name};

use super::{JSON_PATCH_COPY_BYTES_MAX, PatchError};

/// One operation as written. What it lacks is found out only when it is done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Operation {
    op: Option<String>,
    path: Option<String>,
    from: Option<String>,
    value: Value,
}

/// Reads the operations, noting members that mean nothing.
pub(super) fn operations(
    patch: Value,
    warnings: &mut Vec<String>,
) -> Result<Vec<Operation>, PatchError> {
    let items = match patch {
        Value::Array(items) => items,
        Value::Null => return Ok(Vec::new()),
        other => return Err(undecodable(&other, "Go value of type []handlers.jsonPatchOp")),
    };
    let mut operations = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        operations.push(operation(index, item, warnings)?);
    }
    Ok(operations)
}

fn operation(
    index: usize,
    item: Value,
    warnings: &mut Vec<String>,
) -> Result<Operation, PatchError> {
    let object = match item {
        Value::Object(object) => object,
        Value::Null => return Ok(Operation::default()),
        other => return Err(undecodable(&other, "Go value of type handlers.jsonPatchOp")),
    };
    let mut operation = Operation::default();
    for (name, value) in object {
        let text = match name.as_str() {
            "op" => &mut operation.op,
            "path" => &mut operation.path,
            "from" => &mut operation.from,
            "value" => {
                operation.value = value;
                continue;
            }
            _ => {
                let field = quoted(&format!("[{index}].{name}"));
                warnings.push(format!("json patch unknown field {field}"));
                continue;
            }
        };
        *text = match value {
            Value::String(text) => Some(text),
            Value::Null => None,
            other => {
                let target = format!("Go struct field jsonPatchOp.{name} of type string");
                return Err(undecodable(&other, &target));
            }
        };
    }
    Ok(operation)
}

fn undecodable(value: &Value, target: &str) -> PatchError {
    PatchError::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {} into {target}",
        type_name(value)
    ))
}

/// Does the operations in order.
pub(super) fn apply(document: &Value, operations: &[Operation]) -> Result<Value, PatchError> {
    let mut document = document.clone();
    let mut copied_bytes = 0;
    for operation in operations {
        done(&mut document, operation, &mut copied_bytes).map_err(PatchError::unprocessable)?;
    }
    Ok(document)
}

fn done(
    document: &mut Value,
    operation: &Operation,
    copied_bytes: &mut usize,
) -> Result<(), String> {
    let op = operation.op.as_deref().unwrap_or_default();
    let path = || operation.path.as_deref().ok_or("operation without a path");
    let from = || operation.from.as_deref().ok_or("operation without a from");
    match op {
        "add" => add(document, path()?, operation.value.clone()),
        "remove" => remove(document, path()?).map(drop),
        "replace" => replace(document, path()?, operation.value.clone()),
        "test" => test(document, path()?, &operation.value),
        "move" => {
            let value = remove(document, from()?)?;
            add(document, path()?, value)
        }
        "copy" => {
            let value = get(document, from()?)?.cloned();
            *copied_bytes += value.as_ref().map_or(0, |value| value.to_string().len());
            if *copied_bytes > JSON_PATCH_COPY_BYTES_MAX {
                return Err(format!("copied values are over {JSON_PATCH_COPY_BYTES_MAX} bytes"));
            }
            add(document, path()?, value.unwrap_or_default())
        }
        other => Err(format!("unknown operation {}", quoted(other))),
    }
}

/// A document must never be deeper than one that is read: copies of a value into itself would
/// double its depth with each operation, and a deep document cannot even be dropped.
fn check_depth(path: &str, value: &Value) -> Result<(), String> {
    let depth = path.bytes().filter(|byte| *byte == b'/').count() + depth(value);
    let depth_max = Limits::default().depth_max;
    if depth > depth_max { Err(format!("exceeded max depth of {depth_max}")) } else { Ok(()) }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    check_depth(path, &value)?;
    match place(document, path)? {
        (Value::Object(object), key) => {
            object.insert(key, value);
        }
        (Value::Array(items), key) if key == "-" => items.push(value),
        (Value::Array(items), key) => {
            // An index may be one past the end here: it is counted in the list as it will be.
            let index = index(&key, items.len() + 1)?;
            items.insert(index, value);
        }
        _ => return Err(format!("no object or list at the parent of {path}")),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, String> {
    match place(document, path)? {
        (Value::Object(object), key) => {
            object.remove(&key).ok_or_else(|| format!("nothing to remove at {path}"))
        }
        (Value::Array(items), key) => Ok(items.remove(index(&key, items.len())?)),
        _ => Err(format!("no object or list at the parent of {path}")),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    check_depth(path, &value)?;
    if path.is_empty() {
        if !(value.is_object() || value.is_array()) {
            return Err("a document must be an object or a list".to_owned());
        }
        *document = value;
        return Ok(());
    }
    match place(document, path)? {
        (Value::Object(object), key) => {
            object.insert(key, value);
        }
        (Value::Array(items), key) => {
            let index = index(&key, items.len())?;
            items[index] = value;
        }
        _ => return Err(format!("no object or list at the parent of {path}")),
    }
    Ok(())
}

fn test(document: &mut Value, path: &str, expected: &Value) -> Result<(), String> {
    let equal = match path {
        "" => document == expected,
        path => get(document, path)?.unwrap_or(&Value::Null) == expected,
    };
    if equal { Ok(()) } else { Err(format!("test failed at {path}")) }
}

/// The value at a path. A member that is absent is `None`, all else that is absent is an error.
fn get<'a>(document: &'a mut Value, path: &str) -> Result<Option<&'a Value>, String> {
    match place(document, path)? {
        (Value::Object(object), key) => Ok(object.get(&key)),
        (Value::Array(items), key) => {
            let index = index(&key, items.len())?;
            Ok(items.get(index))
        }
        _ => Err(format!("no object or list at the parent of {path}")),
    }
}

/// The container that a path leads into, and its last part.
fn place<'a>(document: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let mut parts = path.split('/').skip(1).map(unescaped).peekable();
    let mut container = document;
    loop {
        let Some(part) = parts.next() else {
            return Err(format!("path {} leads nowhere", quoted(path)));
        };
        if parts.peek().is_none() {
            return Ok((container, part));
        }
        let next = match container {
            Value::Object(object) => object.get_mut(&part),
            Value::Array(items) => {
                let index = index(&part, items.len())?;
                items.get_mut(index)
            }
            _ => None,
        };
        container = next.ok_or_else(|| format!("nothing on the way to {path}"))?;
    }
}

fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// An index below `length`; negative ones count from the end.
fn index(text: &str, length: usize) -> Result<usize, String> {
    let outside = || format!("index {} is outside of a list of {length}", quoted(text));
    let number: i64 = text.parse().map_err(|_| outside())?;
    let length_signed = i64::try_from(length).map_err(|_| outside())?;
    let index = if number < 0 { number + length_signed } else { number };
    usize::try_from(index).ok().filter(|index| *index < length).ok_or_else(outside)
}
