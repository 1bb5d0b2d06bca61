//! What is to be done with an object, by what is known of its owners.
//!
//! Must not know: how owners are looked up, nor how a verdict is carried out.

use super::graph::Observed;
use kube::api::PropagationPolicy;

/// What is known of one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there and stays.
    Solid,
    /// It is there and waits for its dependents to go.
    Waiting,
    /// It is not there.
    Gone,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Nothing.
    Keep,
    /// The references to these owners (uids) go, the object stays.
    Drop(Vec<String>),
    /// The object goes; in a cycle it must stop holding up its owners first.
    Delete { policy: PropagationPolicy, unblock: bool },
}

/// Judges an object that is not being deleted. `owners` are in the order of its references;
/// `in_cycle`: some dependent of the object itself waits for its own dependents.
pub(super) fn judge(
    object: &Observed,
    owners: &[Owner],
    in_cycle: bool,
    has_dependents: bool,
) -> Verdict {
    let is = |owner: Owner| owners.contains(&owner);
    if owners.is_empty() {
        return Verdict::Keep;
    }
    if is(Owner::Solid) {
        let pairs = object.owners.iter().zip(owners);
        let leaving = pairs.filter(|(_, owner)| **owner != Owner::Solid);
        let leaving: Vec<_> = leaving.map(|(reference, _)| reference.uid.clone()).collect();
        return if leaving.is_empty() { Verdict::Keep } else { Verdict::Drop(leaving) };
    }
    if is(Owner::Waiting) && has_dependents {
        return Verdict::Delete { policy: PropagationPolicy::Foreground, unblock: in_cycle };
    }
    let asked = |finalizer| object.finalizers.iter().any(|f| f == finalizer);
    let policy = if asked(super::graph::ORPHAN) {
        PropagationPolicy::Orphan
    } else if asked(super::graph::FOREGROUND) {
        PropagationPolicy::Foreground
    } else {
        PropagationPolicy::Background
    };
    Verdict::Delete { policy, unblock: false }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::discovery::ResourceType;

    fn object(finalizers: &[&str]) -> Observed {
        let meta = json!({"uid": "d", "finalizers": finalizers, "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "a"},
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "b", "uid": "b"}]});
        let resource = Arc::new(ResourceType::for_tests("v1", "ConfigMap"));
        let meta = serde_json::from_value(meta).expect("metadata");
        Observed::new(&resource, &meta).expect("a uid")
    }

    fn delete(policy: PropagationPolicy, unblock: bool) -> Verdict {
        Verdict::Delete { policy, unblock }
    }

    #[test]
    fn one_solid_owner_keeps_an_object_and_the_others_are_dropped() {
        let plain = object(&[]);
        assert_eq!(judge(&plain, &[Owner::Solid, Owner::Solid], false, false), Verdict::Keep);
        let dropped = judge(&plain, &[Owner::Solid, Owner::Gone], false, false);
        assert_eq!(dropped, Verdict::Drop(vec!["b".into()]));
        let dropped = judge(&plain, &[Owner::Waiting, Owner::Solid], false, true);
        assert_eq!(dropped, Verdict::Drop(vec!["a".into()]));
    }

    #[test]
    fn without_owners_left_an_object_goes_as_its_finalizers_ask() {
        let gone = [Owner::Gone, Owner::Gone];
        let background = delete(PropagationPolicy::Background, false);
        assert_eq!(judge(&object(&[]), &gone, false, true), background);
        let orphan = delete(PropagationPolicy::Orphan, false);
        assert_eq!(judge(&object(&["orphan"]), &gone, false, true), orphan);
        let foreground = delete(PropagationPolicy::Foreground, false);
        assert_eq!(judge(&object(&["foregroundDeletion"]), &gone, false, false), foreground);
    }

    #[test]
    fn a_waiting_owner_passes_the_wait_on_and_cycles_are_cut() {
        let owners = [Owner::Waiting, Owner::Gone];
        let foreground = delete(PropagationPolicy::Foreground, false);
        assert_eq!(judge(&object(&[]), &owners, false, true), foreground);
        let cut = delete(PropagationPolicy::Foreground, true);
        assert_eq!(judge(&object(&[]), &owners, true, true), cut);
        let background = delete(PropagationPolicy::Background, false);
        assert_eq!(judge(&object(&[]), &owners, false, false), background);
    }
}
