//! Several versions of one resource over one stored form.
//!
//! Invariant: a row whose version is the stored one converts nothing. Versions of the same shape
//! differ in `apiVersion` alone; others have a pair of functions in `CONVERSIONS`.

use bytes::Bytes;
use schema::Value;
use schema::typed;
use schema::types::Schema;
use serde_json::{Map, json};

use super::object;
use super::row::Resource;
use super::serving::Registry;
use crate::cache::Object;
use crate::status::Status;
use crate::storage::Revision;

/// From one version to another, in place.
type Convert = fn(&mut Map<String, Value>);

struct Conversion {
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    to_stored: Convert,
    from_stored: Convert,
}

/// Versions whose shape is not that of the stored one.
static CONVERSIONS: &[Conversion] = &[
    Conversion {
        group: "events.k8s.io",
        version: "v1",
        resource: "events",
        to_stored: |object| rename(object, EVENT_FIELDS, true),
        from_stored: |object| rename(object, EVENT_FIELDS, false),
    },
    Conversion {
        group: "autoscaling",
        version: "v1",
        resource: "horizontalpodautoscalers",
        to_stored: autoscaler_to_v2,
        from_stored: autoscaler_to_v1,
    },
];

/// (served name, stored name)
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingController", "reportingComponent"),
];

fn rename(object: &mut Map<String, Value>, names: &[(&str, &str)], to_stored: bool) {
    let moved: Vec<(String, Value)> = names
        .iter()
        .filter_map(|(served, stored)| {
            let (from, to) = if to_stored { (served, stored) } else { (stored, served) };
            object.remove(*from).map(|value| ((*to).to_owned(), value))
        })
        .collect();
    object.extend(moved);
}

fn spec_and_status(object: &mut Map<String, Value>) -> [&mut Map<String, Value>; 2] {
    for part in ["spec", "status"] {
        if !object.get(part).is_some_and(Value::is_object) {
            object.insert(part.to_owned(), json!({}));
        }
    }
    let mut parts = object.iter_mut().filter(|(key, _)| *key == "spec" || *key == "status");
    let mut next = || {
        let (_, value) = parts.next().expect("both were made just above");
        value.as_object_mut().expect("both are objects")
    };
    [next(), next()]
}

fn autoscaler_to_v2(object: &mut Map<String, Value>) {
    let [spec, status] = spec_and_status(object);
    if let Some(target) = spec.remove("targetCPUUtilizationPercentage") {
        let metric = json!([{"type": "Resource", "resource": {"name": "cpu", "target":
            {"type": "Utilization", "averageUtilization": target}}}]);
        spec.insert("metrics".to_owned(), metric);
    }
    if let Some(current) = status.remove("currentCPUUtilizationPercentage") {
        let metric = json!([{"type": "Resource", "resource": {"name": "cpu", "current":
            {"averageUtilization": current}}}]);
        status.insert("currentMetrics".to_owned(), metric);
    }
}

/// Metrics other than the processor's, behaviors and conditions have no place in this version.
fn autoscaler_to_v1(object: &mut Map<String, Value>) {
    let cpu = |list: Option<Value>, field: &str| {
        let list = list?;
        let found = list.as_array()?.iter().find(|m| m["resource"]["name"] == "cpu")?;
        let value = found["resource"][field]["averageUtilization"].clone();
        (!value.is_null()).then_some(value)
    };
    let [spec, status] = spec_and_status(object);
    if let Some(target) = cpu(spec.remove("metrics"), "target") {
        spec.insert("targetCPUUtilizationPercentage".to_owned(), target);
    }
    spec.remove("behavior");
    if let Some(current) = cpu(status.remove("currentMetrics"), "current") {
        status.insert("currentCPUUtilizationPercentage".to_owned(), current);
    }
    status.remove("conditions");
}

impl Resource {
    fn conversion(&self) -> Option<&'static Conversion> {
        CONVERSIONS.iter().find(|known| {
            known.resource == self.plural()
                && known.group == self.group()
                && known.version == self.facts.version
        })
    }

    /// A cached object as this version shows it.
    #[must_use]
    pub fn presented(&self, object: &Object) -> Bytes {
        let api_version = self.facts.api_version();
        let plain = object.json_as(self.kind(), &api_version);
        let Some(conversion) = self.conversion() else { return plain };
        match serde_json::from_slice::<Value>(&plain) {
            Ok(Value::Object(mut map)) => {
                (conversion.from_stored)(&mut map);
                let schema = Schema::builtin();
                match typed::normalize(schema, self.type_id, Value::Object(map)) {
                    Ok(value) => {
                        object::answer(&value, self.kind(), &api_version, object.revision())
                    }
                    Err(_) => plain,
                }
            }
            _ => plain,
        }
    }

    /// The warning of a deprecated version, as every request to it gets.
    #[must_use]
    pub fn deprecation_warning(&self) -> Option<String> {
        let facts = self.facts.deprecated.as_ref()?;
        let version = self.facts.api_version();
        let mut text = format!("{version} {} is deprecated in v{}+", self.kind(), facts.since);
        if let Some(release) = facts.removed_in {
            text.push_str(&format!(", unavailable in v{release}+"));
        }
        if let Some((version, kind)) = facts.replacement {
            text.push_str(&format!("; use {version} {kind}"));
        }
        Some(text)
    }
}

impl Registry {
    /// A normalised object of the row's version in the stored one.
    pub(super) fn stored_version(
        &self,
        row: &Resource,
        mut object: Value,
    ) -> Result<Value, Status> {
        let Value::Object(map) = &mut object else {
            return Err(Status::bad_request("the body of the request is no object"));
        };
        map.insert("apiVersion".to_owned(), Value::from(row.stored_api_version()));
        map.insert("kind".to_owned(), Value::from(row.kind()));
        if let Some(conversion) = row.conversion() {
            (conversion.to_stored)(map);
            self.normalize_stored(row, &mut object)?;
        }
        Ok(object)
    }

    /// A stored object in the row's version, with its resourceVersion.
    pub(super) fn served(
        &self,
        row: &Resource,
        mut object: Value,
        revision: Revision,
    ) -> Result<Value, Status> {
        if let Value::Object(map) = &mut object {
            map.insert("apiVersion".to_owned(), Value::from(row.facts.api_version()));
            map.insert("kind".to_owned(), Value::from(row.kind()));
            if let Some(conversion) = row.conversion() {
                (conversion.from_stored)(map);
                object = typed::normalize(self.schema(), row.type_id, object)
                    .map_err(Status::internal)?;
            }
        }
        if revision != Revision::NONE {
            object::set(&mut object, "resourceVersion", Value::from(revision.to_string()));
        }
        Ok(object)
    }

    /// The answer's JSON of a stored object.
    pub(super) fn answer_bytes(
        &self,
        row: &Resource,
        object: Value,
        revision: Revision,
    ) -> Result<Bytes, Status> {
        let object = self.served(row, object, revision)?;
        Ok(object::answer(&object, row.kind(), &row.facts.api_version(), revision))
    }
}
