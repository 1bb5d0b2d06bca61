//! What a label selector, as an object carries it, selects.
//!
//! Must not know: selectors as a query carries them (`a=b,!c`), which the module `selector` reads.

use super::formats;
use schema::Value;

/// Whether it can be used at all: operators known, values where they belong, keys and values with
/// their forms. An absent selector can: it selects nothing.
pub(crate) fn is_valid(selector: &Value) -> bool {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let labels_fit = labels.into_iter().flatten().all(|(key, value)| {
        formats::qualified_name(key).is_empty()
            && formats::label_value(value.as_str().unwrap_or("")).is_empty()
    });
    labels_fit && expressions(selector).all(expression_is_valid)
}

/// Whether the selector selects these labels. An empty selector selects all, an absent one nothing.
pub(crate) fn matches(selector: &Value, labels: &Value) -> bool {
    if selector.is_null() {
        return false;
    }
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    wanted.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
        && expressions(selector).all(|expression| expression_matches(expression, labels))
}

fn expressions(selector: &Value) -> impl Iterator<Item = &Value> {
    selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(expression: &'v Value, field: &str) -> &'v str {
    expression.get(field).and_then(Value::as_str).unwrap_or("")
}

fn values(expression: &Value) -> impl Iterator<Item = &str> {
    let list = expression.get("values").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn expression_is_valid(expression: &Value) -> bool {
    let given = values(expression).next().is_some();
    let operator_fits = match text(expression, "operator") {
        "In" | "NotIn" => given,
        "Exists" | "DoesNotExist" => !given,
        _ => false,
    };
    operator_fits
        && formats::qualified_name(text(expression, "key")).is_empty()
        && values(expression).all(|value| formats::label_value(value).is_empty())
}

fn expression_matches(expression: &Value, labels: &Value) -> bool {
    let label = labels.get(text(expression, "key")).and_then(Value::as_str);
    let listed = || label.is_some_and(|label| values(expression).any(|value| value == label));
    match text(expression, "operator") {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_and_expressions_must_all_hold() {
        let selector = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        assert!(matches(&selector, &json!({"app": "web", "tier": "b"})));
        assert!(!matches(&selector, &json!({"app": "web"})));
        assert!(!matches(&selector, &json!({"app": "web", "tier": "b", "old": ""})));
        assert!(is_valid(&selector));
        assert!(!is_valid(&json!({"matchExpressions": [{"key": "a", "operator": "In"}]})));
    }
}
