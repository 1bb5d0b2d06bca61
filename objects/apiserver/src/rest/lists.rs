//! Lists: the cached bytes of every object in a row, unless another shape was asked for.

use http::StatusCode;
use schema::Value;
use serde_json::json;

use super::answer::{self, Answer};
use super::negotiate::{Form, Shape};
use super::shapes::Shaper;
use super::verbs::Asked;
use crate::cache::Listed;
use crate::status::Status;

/// The answer of a list.
pub(crate) fn answer(asked: &Asked<'_>, listed: &Listed, form: Form) -> Result<Answer, Status> {
    let resource = asked.resource();
    let facts = resource.facts;
    if form.shape == Shape::Object && resource.is_stored_version() {
        let json = listed.json(&format!("{}List", facts.kind), &facts.api_version());
        return Ok(answer::json(StatusCode::OK, form, json));
    }
    let items = listed.items.iter().map(|item| {
        serde_json::from_slice::<Value>(&resource.presented(item)).map_err(Status::internal)
    });
    let mut items: Vec<Value> = items.collect::<Result<_, _>>()?;
    if form.shape == Shape::Object {
        items.iter_mut().filter_map(Value::as_object_mut).for_each(|item| {
            item.remove("kind");
            item.remove("apiVersion");
        });
    }
    let document = Shaper::new(asked)?.list(items.iter(), &metadata(listed), form)?;
    Ok(answer::document(StatusCode::OK, form, &document))
}

fn metadata(listed: &Listed) -> Value {
    let mut metadata = json!({"resourceVersion": listed.revision.to_string()});
    if let Some(token) = &listed.continue_token {
        metadata["continue"] = token.as_str().into();
    }
    if let Some(remaining) = listed.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}
