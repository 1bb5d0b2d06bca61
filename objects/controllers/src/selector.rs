//! Label selectors, as objects carry them.
//!
//! Invariant: a selector that does not parse selects nothing: acting on too little heals, acting on
//! too much does not.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Whether the selector selects an object with these labels. An empty selector selects all.
pub fn selects(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let empty = Labels::new();
    let labels = labels.unwrap_or(&empty);
    let mut equal = selector.match_labels.iter().flatten();
    equal.all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().flatten().all(|r| requirement_met(r, labels))
}

fn requirement_met(requirement: &LabelSelectorRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let values = requirement.values.as_deref().unwrap_or_default();
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|v| values.contains(v)),
        "NotIn" => value.is_none_or(|v| !values.contains(v)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

/// Whether the selector says nothing and so would select all.
pub fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_decides_as_documented() {
        let labels = Labels::from([("app".to_owned(), "web".to_owned())]);
        let by = |key: &str, operator: &str, values: &[&str]| {
            let requirement = LabelSelectorRequirement {
                key: key.into(),
                operator: operator.into(),
                values: Some(values.iter().map(ToString::to_string).collect()),
            };
            let selector = LabelSelector {
                match_expressions: Some(vec![requirement]),
                ..LabelSelector::default()
            };
            selects(&selector, Some(&labels))
        };
        assert!(by("app", "In", &["db", "web"]) && !by("app", "In", &["db"]));
        assert!(by("app", "NotIn", &["db"]) && by("none", "NotIn", &["db"]));
        assert!(by("app", "Exists", &[]) && !by("none", "Exists", &[]));
        assert!(by("none", "DoesNotExist", &[]) && !by("app", "DoesNotExist", &[]));
        assert!(!by("app", "Unheard", &["web"]));
    }
}
