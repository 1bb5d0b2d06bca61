//! Questions that are asked as objects and answered at once: who is this, may they do that.
//!
//! Invariant: the answer is what the door really enforces. Nothing is stored.

use schema::Value;
use serde_json::json;

use super::door::Door;
use crate::serve::authz;
use crate::serve::user::User;
use crate::status::{BadValue, FieldErrors, FieldPath, Status};

/// Whether a resource is a question.
pub(crate) fn is_review(group: &str, plural: &str) -> bool {
    matches!(
        (group, plural),
        ("authentication.k8s.io", "tokenreviews" | "selfsubjectreviews")
            | (
                "authorization.k8s.io",
                "subjectaccessreviews"
                    | "selfsubjectaccessreviews"
                    | "localsubjectaccessreviews"
                    | "selfsubjectrulesreviews"
            )
    )
}

/// Answers a question: the same object with its status.
pub(crate) fn answer(
    door: &Door,
    user: &User,
    plural: &str,
    namespace: &str,
    mut review: Value,
) -> Result<Value, Status> {
    let spec = review.get("spec").cloned().unwrap_or_else(|| json!({}));
    match plural {
        "tokenreviews" => review["status"] = token(door, &spec)?,
        "selfsubjectreviews" => {
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            review["metadata"]["creationTimestamp"] = now.into();
            review["status"] = json!({"userInfo": described(user)});
        }
        "selfsubjectrulesreviews" => {
            if spec.get("namespace").and_then(Value::as_str).unwrap_or_default().is_empty() {
                return Err(Status::bad_request("no namespace on request"));
            }
            review["spec"] = json!({});
            review["status"] = rules(user);
        }
        "selfsubjectaccessreviews" => {
            check_self(&spec)?;
            review["status"] = access(user, &spec);
        }
        "localsubjectaccessreviews" if attribute(&spec, "namespace") != namespace => {
            let mut errors = FieldErrors::new();
            let path = FieldPath::new("spec").child("resourceAttributes").child("namespace");
            let text = "must match metadata.namespace";
            errors.invalid(&path, attribute(&spec, "namespace"), text);
            return refuse(errors).map(|()| review);
        }
        _ => {
            check(&spec)?;
            review["status"] = access(&subject(&spec), &spec);
        }
    }
    Ok(review)
}

fn token(door: &Door, spec: &Value) -> Result<Value, Status> {
    let token = spec.get("token").and_then(Value::as_str).unwrap_or_default();
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    Ok(match door.authenticator.token(token) {
        Some(user) => json!({"authenticated": true, "user": described(&user)}),
        None => json!({"user": {}, "error": "invalid bearer token"}),
    })
}

fn described(user: &User) -> Value {
    let mut described = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        described["uid"] = user.uid.as_str().into();
    }
    described
}

/// The one who is asked about. Unlike whoever asks, nobody has put them into a group.
fn subject(spec: &Value) -> User {
    let text = |name: &str| spec.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let groups = spec.get("groups").and_then(Value::as_array).into_iter().flatten();
    let groups = groups.filter_map(Value::as_str).map(str::to_owned).collect();
    User { name: text("user"), uid: text("uid"), groups }
}

fn access(user: &User, spec: &Value) -> Value {
    let path = spec.pointer("/nonResourceAttributes/path").and_then(Value::as_str);
    if authz::may_do_all(user) {
        json!({"allowed": true})
    } else if path.is_some_and(authz::is_open_page) {
        json!({"allowed": true, "reason": "open to everybody"})
    } else {
        json!({"allowed": false})
    }
}

fn rules(user: &User) -> Value {
    if !authz::may_do_all(user) {
        return json!({"resourceRules": [], "nonResourceRules": [], "incomplete": false});
    }
    json!({
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": false,
    })
}

fn attribute<'a>(spec: &'a Value, name: &str) -> &'a str {
    let attributes = spec.get("resourceAttributes");
    attributes.and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default()
}

const ONE_OF: &str = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
const NOT_BOTH: &str = "cannot be specified in combination with resourceAttributes";

fn kinds_asked(spec: &Value) -> (bool, bool) {
    let is_there = |name: &str| spec.get(name).is_some_and(|value| !value.is_null());
    (is_there("resourceAttributes"), is_there("nonResourceAttributes"))
}

fn check_self(spec: &Value) -> Result<(), Status> {
    refuse(attributes(spec))
}

fn check(spec: &Value) -> Result<(), Status> {
    let mut errors = attributes(spec);
    let subject = subject(spec);
    if subject.name.is_empty() && subject.groups.is_empty() {
        let text = "at least one of user or group must be specified";
        errors.invalid(&FieldPath::new("spec").child("user"), "", text);
    }
    refuse(errors)
}

fn attributes(spec: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = FieldPath::new("spec");
    match kinds_asked(spec) {
        (false, false) => errors.invalid(&path, Value::Null, ONE_OF),
        (true, true) => {
            let value = BadValue::from(&spec["nonResourceAttributes"]);
            errors.invalid(&path.child("nonResourceAttributes"), value, NOT_BOTH);
        }
        _ => {}
    }
    errors
}

/// Compat: the refusal names no kind.
fn refuse(errors: FieldErrors) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid("authorization.k8s.io", "", "", errors))
}
