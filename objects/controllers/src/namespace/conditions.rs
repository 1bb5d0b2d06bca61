//! The conditions that a namespace shows on its way out.
//!
//! Compat: types, reasons and messages are those of Kubernetes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::NamespaceCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::contents::Left;

/// Type, and reason and message when all is well.
const WELL: [(&str, &str, &str); 5] = [
    (
        "NamespaceDeletionDiscoveryFailure",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    (
        "NamespaceFinalizersRemaining",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
];

/// The conditions after a round; those of other types stay.
pub(super) fn of(
    before: &[NamespaceCondition],
    left: &Left,
    now: Timestamp,
) -> Vec<NamespaceCondition> {
    let mut conditions = before.to_vec();
    for (type_, reason, message) in WELL {
        let (status, reason, message) = match trouble(type_, left) {
            Some((reason, message)) => ("True", reason, message),
            None => ("False", reason, message.to_owned()),
        };
        let known = conditions.iter_mut().find(|c| c.type_ == type_);
        let mut condition = NamespaceCondition {
            type_: type_.into(),
            status: status.into(),
            reason: Some(reason.into()),
            message: Some(message),
            last_transition_time: Some(Time(now)),
        };
        match known {
            None => conditions.push(condition),
            Some(old) => {
                if old.status == condition.status {
                    condition.last_transition_time.clone_from(&old.last_transition_time);
                }
                *old = condition;
            }
        }
    }
    conditions
}

fn trouble(type_: &str, left: &Left) -> Option<(&'static str, String)> {
    match type_ {
        "NamespaceDeletionDiscoveryFailure" => {
            left.undiscovered.clone().map(|message| ("DiscoveryFailed", message))
        }
        "NamespaceDeletionContentFailure" if !left.errors.is_empty() => {
            let (count, all) = (left.errors.len(), left.errors.join(", "));
            let message = format!("Failed to delete all resource types, {count} remaining: {all}");
            Some(("ContentDeletionFailed", message))
        }
        "NamespaceContentRemaining" => {
            let all = list(&left.objects, |name, count| {
                format!("{name} has {count} resource instances")
            })?;
            Some(("SomeResourcesRemain", format!("Some resources are remaining: {all}")))
        }
        "NamespaceFinalizersRemaining" => {
            let all = list(&left.finalizers, |name, count| {
                format!("{name} in {count} resource instances")
            })?;
            let message = format!("Some content in the namespace has finalizers remaining: {all}");
            Some(("SomeFinalizersRemain", message))
        }
        _ => None,
    }
}

fn list(counts: &BTreeMap<String, usize>, say: fn(&str, usize) -> String) -> Option<String> {
    let said: Vec<_> = counts.iter().map(|(name, count)| say(name, *count)).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_is_named_and_times_move_only_with_the_status() {
        let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let mut left = Left::default();
        left.objects.insert("pods.".into(), 2);
        left.finalizers.insert("example.com/hold".into(), 1);
        let first = of(&[], &left, early);
        assert_eq!(
            first[3].message.as_deref(),
            Some("Some resources are remaining: pods. has 2 resource instances")
        );
        assert_eq!(first[3].status, "True");
        assert_eq!(
            first[4].message.as_deref(),
            Some(
                "Some content in the namespace has finalizers remaining: \
                 example.com/hold in 1 resource instances"
            )
        );
        left.objects.insert("pods.".into(), 1);
        let second = of(&first, &left, late);
        assert_eq!(second[3].last_transition_time, Some(Time(early)));
        let last = of(&second, &Left::default(), late);
        assert_eq!((last[3].status.as_str(), last.len()), ("False", 5));
        assert_eq!(last[3].last_transition_time, Some(Time(late)));
    }
}
