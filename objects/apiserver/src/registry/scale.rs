//! The `scale` subresource: how many replicas are wanted and there, and which pods they are.
//!
//! Must not know: which kinds have it; their rows say how their selector is written.

use schema::Value;
use serde_json::json;

use super::object;
use super::options::{GetOptions, PatchOptions, UpdateOptions};
use super::patch::Patching;
use super::prepare;
use super::refusals;
use super::request::{Answer, Body, Input, RequestContext, Target};
use super::rules::Scale;
use super::serving::Registry;
use super::state::Current;
use super::strict;
use super::update::{Change, Changed, Made, Part};
use crate::status::{FieldErrors, FieldPath, Status};
use crate::storage::Revision;

const KIND: &str = "Scale";
const API_VERSION: &str = "autoscaling/v1";

impl Registry {
    pub(super) async fn get_scale(
        &self,
        target: &Target,
        options: &GetOptions,
    ) -> Result<Answer, Status> {
        let row = &*target.resource;
        let version = Some(options.resource_version.as_str()).filter(|text| !text.is_empty());
        let found = self.cache(row).get(Some(&target.namespace), &target.name, version).await;
        let found = found.map_err(|error| refusals::of_cache(row, "get", error))?;
        let Some(found) = found else {
            return Err(Status::not_found(row.group(), row.plural(), &target.name));
        };
        let value: Value = serde_json::from_slice(&found.json()).map_err(Status::internal)?;
        Ok(Answer::object(answer(target, &value, found.revision())))
    }

    pub(super) async fn put_scale(
        &self,
        context: &RequestContext,
        target: &Target,
        input: Input,
        options: &UpdateOptions,
    ) -> Result<Answer, Status> {
        let body = self.body_type(target)?;
        let said = strict::judge(input.findings, options.field_validation, &body)?;
        let mut scale = input.value;
        prepare::check_namespace(&target.resource, &target.namespace, &mut scale)?;
        prepare::check_name(&target.name, &scale)?;
        let changed = self
            .change(context, &change(target, options.dry_run), |current| {
                scaled(target, &scale, current.expect("a scale does not create"))
            })
            .await?;
        Ok(changed_answer(target, &changed, said))
    }

    pub(super) async fn patch_scale(
        &self,
        context: &RequestContext,
        target: &Target,
        patching: &Patching<'_>,
        options: &PatchOptions,
    ) -> Result<Answer, Status> {
        let changed = self
            .change(context, &change(target, options.write.dry_run), |current| {
                let current = current.expect("a patch does not create");
                let served = scale_of(target, &current.value, current.revision);
                let (mut scale, said) = self.patch_value(patching, &served)?;
                prepare::check_namespace(&target.resource, &target.namespace, &mut scale)?;
                prepare::check_name(&target.name, &scale)?;
                check_patched_uid(target, &scale, current)?;
                let (object, _) = scaled(target, &scale, current)?;
                Ok((object, said))
            })
            .await?;
        Ok(changed_answer(target, &changed, Vec::new()))
    }
}

fn change(target: &Target, dry_run: bool) -> Change<'_> {
    Change { target, part: Part::Whole, dry_run, may_create: false }
}

fn changed_answer(target: &Target, changed: &Changed, mut warnings: Vec<String>) -> Answer {
    warnings.extend(changed.warnings.iter().cloned());
    let body = Body::Object(answer(target, &changed.object, changed.revision));
    Answer { code: 200, body, warnings }
}

fn answer(target: &Target, object: &Value, revision: Revision) -> bytes::Bytes {
    let scale = scale_of(target, object, revision);
    object::answer(&scale, KIND, API_VERSION, revision)
}

/// The scale of an object.
fn scale_of(target: &Target, object: &Value, revision: Revision) -> Value {
    let metadata = &object["metadata"];
    let mut status = json!({"replicas": object["status"]["replicas"].as_i64().unwrap_or(0)});
    let selector = selector_text(target.resource.rule.scale, &object["spec"]["selector"]);
    if !selector.is_empty() {
        status["selector"] = Value::from(selector);
    }
    let mut spec = json!({});
    if let Some(replicas) = object["spec"]["replicas"].as_i64().filter(|count| *count != 0) {
        spec["replicas"] = Value::from(replicas);
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": revision.to_string(),
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": spec,
        "status": status,
    })
}

/// Compat: a patch that changes the uid is a conflict over the scale itself; an update is one over
/// the object.
fn check_patched_uid(target: &Target, scale: &Value, current: &Current) -> Result<(), Status> {
    let (wanted, there) = (object::text(scale, "uid"), object::text(&current.value, "uid"));
    if wanted.is_empty() || wanted == there {
        return Ok(());
    }
    let row = &target.resource;
    let kind = format!("{}/scale", row.plural());
    let why =
        format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {there}");
    Err(Status::conflict(row.group(), &kind, &target.name, &why))
}

/// The object with the replicas of a scale.
fn scaled(target: &Target, scale: &Value, current: &Current) -> Result<Made, Status> {
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let mut errors = FieldErrors::new();
        let path = FieldPath::new("spec").child("replicas");
        errors.invalid(&path, replicas, "must be greater than or equal to 0");
        return Err(Status::invalid("autoscaling", KIND, &target.name, errors));
    }
    super::update::check_uid(target, object::text(scale, "uid"), Some(current))?;
    let mut object = current.value.clone();
    object["spec"]["replicas"] = Value::from(replicas);
    let version = object::text(scale, "resourceVersion");
    object::set(&mut object, "resourceVersion", Value::from(version));
    Ok((object, Vec::new()))
}

/// A selector as text: terms in the order of their keys, values in order.
fn selector_text(form: Option<Scale>, selector: &Value) -> String {
    let labels = match form {
        Some(Scale::LabelMap) => selector,
        _ => &selector["matchLabels"],
    };
    let mut terms: Vec<(String, String)> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())))
        .collect();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    terms.extend(expressions.map(|expression| {
        let key = expression["key"].as_str().unwrap_or_default();
        (key.to_owned(), expression_text(key, expression))
    }));
    terms.sort_by(|a, b| a.0.cmp(&b.0));
    terms.into_iter().map(|(_, term)| term).collect::<Vec<_>>().join(",")
}

fn expression_text(key: &str, expression: &Value) -> String {
    let list = expression["values"].as_array().into_iter().flatten();
    let mut values: Vec<&str> = list.filter_map(Value::as_str).collect();
    values.sort_unstable();
    let values = values.join(",");
    match expression["operator"].as_str().unwrap_or_default() {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "Exists" => key.to_owned(),
        _ => format!("!{key}"),
    }
}
