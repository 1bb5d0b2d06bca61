//! Revisions: which ReplicaSet is the new one, what number it has, and what it is called.
//!
//! Invariants: a template has one ReplicaSet, whatever number of times it is rolled out: a rollback
//! finds the old set again and gives it the next number. Numbers only grow.

use std::cmp::Ordering;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

use crate::selector::Labels;

pub(super) const HASH_LABEL: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(super) const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations of a Deployment that are its own and not its sets'.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
];
/// The longest list of past numbers, in bytes.
const HISTORY_MAX: usize = 2000;

/// The annotation's value.
pub(super) fn annotation<'a>(set: &'a ReplicaSet, key: &str) -> Option<&'a str> {
    set.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The set's number; 0 if it has none.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    annotation(set, REVISION).and_then(|r| r.parse().ok()).unwrap_or_default()
}

/// A number kept in an annotation.
pub(super) fn count(set: &ReplicaSet, key: &str) -> Option<i32> {
    annotation(set, key)?.parse().ok().filter(|n| *n >= 0)
}

/// The sets by age and the place of the one with the Deployment's template: of several, the oldest,
/// so that all agree on one.
pub(super) fn sort_and_find(
    deployment: &Deployment,
    sets: &mut [Arc<ReplicaSet>],
) -> Option<usize> {
    sets.sort_by(|a, b| older(a, b));
    let template = canonical(Some(&deployment.spec.template));
    sets.iter().position(|set| {
        let own = set.spec.template.as_ref();
        canonical(own) == template
    })
}

/// The order by age; of the same age, by name.
pub(super) fn older(a: &ReplicaSet, b: &ReplicaSet) -> Ordering {
    let (x, y) = (&a.metadata, &b.metadata);
    let by_age = x.creation_timestamp.as_ref().map(|t| t.0);
    by_age.cmp(&y.creation_timestamp.as_ref().map(|t| t.0)).then_with(|| x.name.cmp(&y.name))
}

/// The template as a value, without the hash and without what is empty: a server may or may not
/// write empty maps and lists, and means the same.
fn canonical(template: Option<&PodTemplateSpec>) -> Value {
    let mut value = serde_json::to_value(template).unwrap_or_default();
    if let Some(labels) = value.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    prune(&mut value);
    value
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|_, v| !is_nothing(v));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The label value that tells the sets of a Deployment apart: a hash of the template and of how
/// often hashes collided. Eight letters and digits without vowels, so that no words come out.
pub(super) fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let text = format!("{}{}", canonical(Some(template)), collisions.unwrap_or_default());
    // FNV-1a with 64 bits.
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut word = String::new();
    for _ in 0..9 {
        let letter = hash % LETTERS.len() as u64;
        word.push(char::from(LETTERS[usize::try_from(letter).expect("below 27")]));
        hash /= LETTERS.len() as u64;
    }
    word
}

/// The annotations that the new set should have: the Deployment's own, and the next number with the
/// past ones if it is not the newest already.
pub(super) fn annotations(deployment: &Deployment, set: &ReplicaSet, next: i64) -> Labels {
    let mut annotations = set.metadata.annotations.clone().unwrap_or_default();
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_COPIED.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    if revision(set) < next
        && let Some(past) = annotations.insert(REVISION.into(), next.to_string())
    {
        let history = annotations.remove(HISTORY).unwrap_or_default();
        annotations.insert(HISTORY.into(), appended(&history, &past));
    }
    annotations
}

/// The list of past numbers with one more, the first dropped where it gets too long.
fn appended(history: &str, past: &str) -> String {
    let mut list = if history.is_empty() { past.to_owned() } else { format!("{history},{past}") };
    while list.len() > HISTORY_MAX {
        match list.split_once(',') {
            Some((_, rest)) => list = rest.to_owned(),
            None => break,
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(name: &str, image: &str, created: &str, revision: &str) -> Arc<ReplicaSet> {
        let set = json!({
            "metadata": {"name": name, "creationTimestamp": created,
                "annotations": {REVISION: revision}},
            "spec": {"selector": {}, "template": {
                "metadata": {"labels": {"app": "web", HASH_LABEL: name}},
                "spec": {"containers": [{"name": "c", "image": image}]}}},
        });
        Arc::new(serde_json::from_value(set).expect("a ReplicaSet"))
    }

    fn deployment(image: &str) -> Deployment {
        let deployment = json!({
            "metadata": {"name": "web", "annotations": {
                "kubernetes.io/change-cause": "because", REVISION: "9"}},
            "spec": {"selector": {}, "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": {}},
                "spec": {"containers": [{"name": "c", "image": image}], "volumes": []}}},
        });
        serde_json::from_value(deployment).expect("a Deployment")
    }

    #[test]
    fn a_rollback_finds_the_old_set_and_gives_it_the_next_number() {
        let mut sets = [
            set("b", "demo:2", "2026-01-02T00:00:00Z", "2"),
            set("a", "demo:1", "2026-01-01T00:00:00Z", "1"),
        ];
        let found = sort_and_find(&deployment("demo:1"), &mut sets).expect("the first set");
        assert_eq!(sets[found].metadata.name.as_deref(), Some("a"));
        let annotations = annotations(&deployment("demo:1"), &sets[found], 3);
        assert_eq!(annotations.get(REVISION).map(String::as_str), Some("3"));
        assert_eq!(annotations.get(HISTORY).map(String::as_str), Some("1"));
        assert_eq!(
            annotations.get("kubernetes.io/change-cause").map(String::as_str),
            Some("because")
        );
    }

    #[test]
    fn a_new_template_has_no_set() {
        let mut sets = [set("a", "demo:1", "2026-01-01T00:00:00Z", "1")];
        assert_eq!(sort_and_find(&deployment("demo:3"), &mut sets), None);
    }

    #[test]
    fn the_hash_follows_the_template_and_the_collisions() {
        let template = deployment("demo:1").spec.template;
        let other = deployment("demo:2").spec.template;
        assert_eq!(hash(&template, None), hash(&template, Some(0)));
        assert_ne!(hash(&template, None), hash(&template, Some(1)));
        assert_ne!(hash(&template, None), hash(&other, None));
        assert_eq!(hash(&template, None).len(), 9);
    }

    #[test]
    fn the_history_forgets_its_first_numbers() {
        let long = (1000..1600).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let list = appended(&long, "1600");
        assert!(list.len() <= HISTORY_MAX && list.ends_with(",1600"));
        assert_eq!(appended("", "1"), "1");
    }
}
