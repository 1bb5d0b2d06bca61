//! Two values side by side: where they differ, and how.
//!
//! Invariant: arrays whose elements have names are matched by name, so that one that is missing is
//! told as such and does not shift the rest.
//!
//! Must not know: where the values come from.

use std::collections::BTreeMap;

use serde_json::Value;

/// One place where two values differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The JSON path, with `[]` for every index.
    pub path: String,
    /// The real one's value there, if there is one.
    pub theirs: Option<Value>,
    /// Ours.
    pub ours: Option<Value>,
}

/// Every place where two values differ.
#[must_use]
pub fn compare(theirs: &Value, ours: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    walk("$", theirs, ours, &mut places);
    places
}

fn walk(path: &str, theirs: &Value, ours: &Value, places: &mut Vec<Place>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in a {
                let path = format!("{path}.{name}");
                match b.get(name) {
                    Some(other) => walk(&path, value, other, places),
                    None => places.push(Place { path, theirs: Some(value.clone()), ours: None }),
                }
            }
            for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                let path = format!("{path}.{name}");
                places.push(Place { path, theirs: None, ours: Some(value.clone()) });
            }
        }
        (Value::Array(a), Value::Array(b)) => arrays(path, a, b, places),
        _ if theirs == ours => {}
        _ => places.push(Place {
            path: path.to_owned(),
            theirs: Some(theirs.clone()),
            ours: Some(ours.clone()),
        }),
    }
}

fn arrays(path: &str, theirs: &[Value], ours: &[Value], places: &mut Vec<Place>) {
    if let (Some(a), Some(b)) = (by_name(theirs), by_name(ours)) {
        let (order_a, order_b): (Vec<_>, Vec<_>) = (names(theirs).collect(), names(ours).collect());
        for (name, value) in &a {
            match b.get(name) {
                Some(other) => walk(&format!("{path}[]"), value, other, places),
                None => places.push(Place {
                    path: format!("{path}[{name}]"),
                    theirs: Some((*value).clone()),
                    ours: None,
                }),
            }
        }
        for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
            let path = format!("{path}[{name}]");
            places.push(Place { path, theirs: None, ours: Some((*value).clone()) });
        }
        let kept = |order: &[String], other: &BTreeMap<String, &Value>| -> Vec<String> {
            order.iter().filter(|name| other.contains_key(*name)).cloned().collect()
        };
        let (a, b) = (kept(&order_a, &b), kept(&order_b, &a));
        if a != b {
            let path = format!("{path} order");
            places.push(Place { path, theirs: Some(a.into()), ours: Some(b.into()) });
        }
        return;
    }
    for (a, b) in theirs.iter().zip(ours) {
        walk(&format!("{path}[]"), a, b, places);
    }
    if theirs.len() != ours.len() {
        places.push(Place {
            path: format!("{path} length"),
            theirs: Some(theirs.len().into()),
            ours: Some(ours.len().into()),
        });
    }
}

/// Where a Table in a watch has its object's version.
const ROW_VERSION: &str = "/rows/0/object/metadata/resourceVersion";

fn names(items: &[Value]) -> impl Iterator<Item = String> {
    items.iter().filter_map(name)
}

fn name(item: &Value) -> Option<String> {
    if let (Some(kind), Some(object)) = (item.get("type"), item.get("object")) {
        // A watch event: an object has several, each of another version.
        let version = object.pointer("/metadata/resourceVersion").or(object.pointer(ROW_VERSION))?;
        let row = object.pointer("/rows/0").unwrap_or(object);
        return Some(format!("{} {} {}", kind.as_str()?, name(row)?, version.as_str()?));
    }
    // A Table's row names its object, a discovery document its group and version.
    let metadata = [item.pointer("/metadata"), item.pointer("/object/metadata"), Some(item)];
    let metadata = metadata.into_iter().flatten().find(|it| it.get("name").is_some());
    let Some(metadata) = metadata else {
        return item.get("groupVersion").or(item.get("version"))?.as_str().map(str::to_owned);
    };
    let namespace = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    Some(format!("{namespace}/{}", metadata.get("name")?.as_str()?))
}

/// The elements by name, when each has one of its own.
fn by_name(items: &[Value]) -> Option<BTreeMap<String, &Value>> {
    let named: BTreeMap<_, _> =
        items.iter().map(|item| Some((name(item)?, item))).collect::<Option<_>>()?;
    (named.len() == items.len()).then_some(named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::compare;

    fn paths(theirs: &serde_json::Value, ours: &serde_json::Value) -> Vec<String> {
        compare(theirs, ours).into_iter().map(|place| place.path).collect()
    }

    #[test]
    fn equal_values_have_no_places() {
        let value = json!({"a": [1, {"name": "x"}], "b": null});
        assert!(compare(&value, &value).is_empty());
    }

    #[test]
    fn a_missing_an_extra_and_another_value_are_told() {
        let (theirs, ours) = (json!({"a": 1, "b": 2}), json!({"b": 3, "c": 4}));
        assert_eq!(paths(&theirs, &ours), ["$.a", "$.b", "$.c"]);
    }

    #[test]
    fn named_elements_are_matched_by_name() {
        let theirs = json!([{"name": "a", "v": 1}, {"name": "b", "v": 2}]);
        let ours = json!([{"name": "b", "v": 2}]);
        assert_eq!(paths(&theirs, &ours), ["$[/a]"]);
        let turned = json!([{"name": "b", "v": 2}, {"name": "a", "v": 1}]);
        assert_eq!(paths(&theirs, &turned), ["$ order"]);
    }
}
