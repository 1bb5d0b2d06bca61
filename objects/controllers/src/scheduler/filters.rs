//! Which nodes a pod may go to, and the words for why not.
//!
//! Invariant: the filters are asked in kube-scheduler's order and the first refusal of a node is
//! the one that counts; only the fit lists all that is missing. *Source* of the words:
//! kube-scheduler 1.37.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Taint, Toleration,
};

use super::account::Taken;
use super::demand::{Demand, amounts};
use crate::ownership::is_being_deleted;

const UNSCHEDULABLE: &str = "node(s) were unschedulable";
const UNTOLERATED: &str = "node(s) had untolerated taint(s)";
const NOT_SELECTED: &str = "node(s) didn't match Pod's node affinity/selector";
const PORT_TAKEN: &str = "node(s) didn't have free ports for the requested pod ports";
const UNSCHEDULABLE_TAINT: &str = "node.kubernetes.io/unschedulable";

type Labels = BTreeMap<String, String>;

/// Why the node will not do; empty: it will.
pub(super) fn refusals(
    pod: &Pod,
    demand: &Demand,
    node: &Node,
    taken: Option<&Taken>,
) -> Vec<String> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let refused = |why: &str| vec![why.to_owned()];
    if is_closed(node, tolerations) {
        return refused(UNSCHEDULABLE);
    }
    if taints(node).any(|taint| forbids(taint) && !tolerated(taint, tolerations)) {
        return refused(UNTOLERATED);
    }
    if !is_selected(spec, node) {
        return refused(NOT_SELECTED);
    }
    if taken.is_some_and(|taken| demand.host_ports.iter().any(|port| is_port_taken(taken, port))) {
        return refused(PORT_TAKEN);
    }
    missing(demand, node, taken)
}

/// How many of the node's soft taints the pod does not tolerate.
pub(super) fn soft_taints(pod: &Pod, node: &Node) -> usize {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref());
    let tolerations = tolerations.unwrap_or_default();
    let soft = taints(node).filter(|taint| taint.effect == "PreferNoSchedule");
    soft.filter(|taint| !tolerated(taint, tolerations)).count()
}

/// Whether the node's labels and name meet the term. A term that says nothing meets nothing.
pub(super) fn meets(term: &NodeSelectorTerm, node: &Node) -> bool {
    let no_labels = Labels::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&no_labels);
    let name = node.metadata.name.clone().unwrap_or_default();
    let fields = Labels::from([("metadata.name".to_owned(), name)]);
    let on_labels = term.match_expressions.as_deref().unwrap_or_default();
    let on_fields = term.match_fields.as_deref().unwrap_or_default();
    let says_something = !on_labels.is_empty() || !on_fields.is_empty();
    says_something
        && on_labels.iter().all(|wanted| holds(wanted, labels))
        && on_fields.iter().all(|wanted| holds(wanted, &fields))
}

fn is_closed(node: &Node, tolerations: &[Toleration]) -> bool {
    if is_being_deleted(&node.metadata) {
        return true;
    }
    let closed = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let taint = Taint {
        key: UNSCHEDULABLE_TAINT.to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    closed && !tolerated(&taint, tolerations)
}

fn taints(node: &Node) -> impl Iterator<Item = &Taint> {
    node.spec.iter().flat_map(|spec| spec.taints.iter().flatten())
}

fn forbids(taint: &Taint) -> bool {
    matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute")
}

fn tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| {
        let same = |said: &Option<String>, is: &str| said.as_deref().unwrap_or("") == is;
        let effect = same(&toleration.effect, "") || same(&toleration.effect, &taint.effect);
        let key = same(&toleration.key, "") || same(&toleration.key, &taint.key);
        let value = match toleration.operator.as_deref() {
            Some("Exists") => true,
            // An empty key tolerates all only with `Exists`.
            _ => {
                same(&toleration.key, &taint.key)
                    && same(&toleration.value, taint.value.as_deref().unwrap_or(""))
            }
        };
        effect && key && value
    })
}

fn is_selected(spec: &PodSpec, node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    let has = |(key, value): (&String, &String)| {
        labels.and_then(|labels| labels.get(key)).is_some_and(|is| is == value)
    };
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    let met = |term: &NodeSelectorTerm| meets(term, node);
    spec.node_selector.iter().flatten().all(has)
        && required.is_none_or(|required| required.node_selector_terms.iter().any(met))
}

fn holds(wanted: &NodeSelectorRequirement, values: &Labels) -> bool {
    let value = values.get(&wanted.key);
    let among = wanted.values.as_deref().unwrap_or_default();
    let number = |text: &String| text.parse::<i64>().ok();
    let compared = |by: fn(&i64, &i64) -> bool| {
        let is = value.and_then(number);
        let limit = among.first().and_then(number);
        is.zip(limit).is_some_and(|(is, limit)| by(&is, &limit))
    };
    match wanted.operator.as_str() {
        "In" => value.is_some_and(|value| among.contains(value)),
        "NotIn" => value.is_none_or(|value| !among.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared(i64::gt),
        "Lt" => compared(i64::lt),
        _ => false,
    }
}

fn is_port_taken(taken: &Taken, (protocol, address, number): &super::demand::HostPort) -> bool {
    let anywhere = |address: &str| address == "0.0.0.0";
    taken.host_ports.iter().any(|(other_protocol, other_address, other)| {
        let meet = other_address == address || anywhere(other_address) || anywhere(address);
        other == number && other_protocol == protocol && meet
    })
}

fn missing(demand: &Demand, node: &Node, taken: Option<&Taken>) -> Vec<String> {
    let status = node.status.as_ref();
    let allocatable = status.and_then(|status| status.allocatable.as_ref());
    let has = allocatable.map(amounts).unwrap_or_default();
    let has = |name: &str| has.get(name).copied().unwrap_or(0);
    let mut missing = Vec::new();
    if (taken.map_or(0, |taken| taken.pods) + 1) * 1000 > has("pods") {
        missing.push("Too many pods".to_owned());
    }
    for (name, amount) in &demand.requests {
        let used = taken.and_then(|taken| taken.requests.get(name)).copied().unwrap_or(0);
        if *amount > 0 && used + amount > has(name) {
            missing.push(format!("Insufficient {name}"));
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::account::Account;
    use serde_json::{Value, json};

    fn node(spec: Value) -> Node {
        let node = json!({
            "metadata": { "name": "n", "labels": { "disk": "ssd", "cores": "8" } },
            "spec": spec,
            "status": { "allocatable": { "cpu": "2", "memory": "1Gi", "pods": "2" } },
        });
        serde_json::from_value(node).expect("a node")
    }

    fn pod(uid: &str, spec: Value) -> Pod {
        let mut spec = spec;
        if spec.get("containers").is_none() {
            spec["containers"] = json!([{ "name": "c" }]);
        }
        let pod = json!({ "metadata": { "uid": uid }, "spec": spec });
        serde_json::from_value(pod).expect("a pod")
    }

    fn why(spec: Value, node_spec: Value) -> Vec<String> {
        let pod = pod("u", spec);
        refusals(&pod, &Demand::of(&pod), &node(node_spec), None)
    }

    #[test]
    fn a_cordoned_node_takes_only_who_tolerates_it() {
        let cordoned = json!({ "unschedulable": true });
        assert_eq!(why(json!({}), cordoned.clone()), [UNSCHEDULABLE]);
        let daemon = json!({ "tolerations": [
            { "key": UNSCHEDULABLE_TAINT, "operator": "Exists", "effect": "NoSchedule" }] });
        assert!(why(daemon, cordoned).is_empty());
    }

    #[test]
    fn taints_are_met_by_key_value_and_effect() {
        let tainted = json!({ "taints": [
            { "key": "gpu", "value": "yes", "effect": "NoSchedule" }] });
        assert_eq!(why(json!({}), tainted.clone()), [UNTOLERATED]);
        let tolerates = |toleration: Value| json!({ "tolerations": [toleration] });
        let equal = json!({ "key": "gpu", "value": "yes" });
        assert!(why(tolerates(equal), tainted.clone()).is_empty());
        let other = json!({ "key": "gpu", "value": "no" });
        assert_eq!(why(tolerates(other), tainted.clone()), [UNTOLERATED]);
        let wrong_effect = json!({ "key": "gpu", "operator": "Exists", "effect": "NoExecute" });
        assert_eq!(why(tolerates(wrong_effect), tainted.clone()), [UNTOLERATED]);
        assert!(why(tolerates(json!({ "operator": "Exists" })), tainted).is_empty());
        let soft = json!({ "taints": [{ "key": "old", "effect": "PreferNoSchedule" }] });
        assert!(why(json!({}), soft).is_empty());
    }

    #[test]
    fn selectors_and_required_affinity_must_both_be_met() {
        assert!(why(json!({ "nodeSelector": { "disk": "ssd" } }), json!({})).is_empty());
        let hdd = json!({ "nodeSelector": { "disk": "hdd" } });
        assert_eq!(why(hdd, json!({})), [NOT_SELECTED]);
        let affinity = |expression: Value| {
            json!({ "affinity": { "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{ "matchExpressions": [expression] }] } } } })
        };
        let many = json!({ "key": "cores", "operator": "Gt", "values": ["4"] });
        assert!(why(affinity(many), json!({})).is_empty());
        let few = json!({ "key": "cores", "operator": "Lt", "values": ["4"] });
        assert_eq!(why(affinity(few), json!({})), [NOT_SELECTED]);
        let absent = json!({ "key": "gpu", "operator": "DoesNotExist" });
        assert!(why(affinity(absent), json!({})).is_empty());
    }

    #[test]
    fn everything_that_is_missing_is_named() {
        let large = json!({ "containers": [{ "name": "c", "resources": { "requests": {
            "cpu": "2001m", "memory": "2Gi" } } }] });
        assert_eq!(why(large, json!({})), ["Insufficient cpu", "Insufficient memory"]);
    }

    #[test]
    fn a_full_node_and_a_taken_port_refuse() {
        let mut account = Account::default();
        let port = json!({ "containers": [{ "name": "c", "ports": [
            { "containerPort": 80, "hostPort": 8080 }] }] });
        account.assume("n", &Demand::of(&pod("1", port.clone())));
        let second = pod("2", port);
        let refused = refusals(&second, &Demand::of(&second), &node(json!({})), account.of("n"));
        assert_eq!(refused, [PORT_TAKEN]);
        account.assume("n", &Demand::of(&pod("3", json!({}))));
        let third = pod("4", json!({}));
        let refused = refusals(&third, &Demand::of(&third), &node(json!({})), account.of("n"));
        assert_eq!(refused, ["Too many pods"]);
    }
}
