//! One pod's decision: a node, or the words why there is none.
//!
//! Invariant: a pure function of the pod, the nodes and the account; nodes that suit alike are
//! taken in turn by what is on them already, then by name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::account::{Account, Taken};
use super::demand::Demand;
use super::filters::refusals;
use super::scores::scores;

/// What was decided.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// The node of this name.
    Node(String),
    /// None, in kube-scheduler's words.
    Nowhere(String),
}

/// Decides.
pub(super) fn decide<N: AsRef<Node>>(
    pod: &Pod,
    demand: &Demand,
    nodes: &[N],
    account: &Account,
) -> Verdict {
    if nodes.is_empty() {
        return Verdict::Nowhere("no nodes available to schedule pods".to_owned());
    }
    let mut candidates = Vec::new();
    let mut refused = BTreeMap::<String, usize>::new();
    for node in nodes.iter().map(AsRef::as_ref) {
        let taken = account.of(name_of(node));
        let why = refusals(pod, demand, node, taken);
        if why.is_empty() {
            candidates.push((node, taken));
        }
        for reason in why {
            *refused.entry(reason).or_default() += 1;
        }
    }
    match best(pod, demand, &candidates) {
        Some(node) => Verdict::Node(name_of(node).to_owned()),
        None => Verdict::Nowhere(told(nodes.len(), &refused)),
    }
}

fn best<'a>(
    pod: &Pod,
    demand: &Demand,
    candidates: &[(&'a Node, Option<&Taken>)],
) -> Option<&'a Node> {
    let scores = scores(pod, demand, candidates);
    let rows = candidates.iter().zip(scores);
    let fewer_pods_first = |taken: Option<&Taken>| -taken.map_or(0, |taken| taken.pods);
    let best = rows.max_by(|((node, taken), score), ((other, others), other_score)| {
        let by_score = score.cmp(other_score);
        let by_pods = fewer_pods_first(*taken).cmp(&fewer_pods_first(*others));
        by_score.then(by_pods).then_with(|| name_of(other).cmp(name_of(node)))
    });
    best.map(|((node, _), _)| *node)
}

fn name_of(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}

/// Compat: sorted as text, so that `10 …` stands before `2 …`.
fn told(nodes: usize, refused: &BTreeMap<String, usize>) -> String {
    let mut reasons: Vec<String> =
        refused.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    reasons.sort();
    format!("0/{nodes} nodes are available: {}.", reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn node(name: &str, cpu: &str) -> Arc<Node> {
        let node = json!({
            "metadata": { "name": name },
            "status": { "allocatable": { "cpu": cpu, "memory": "8Gi", "pods": "110" } },
        });
        Arc::new(serde_json::from_value(node).expect("a node"))
    }

    fn pod(uid: usize, cpu: &str) -> Pod {
        let container = json!({ "name": "c", "resources": { "requests": { "cpu": cpu } } });
        let pod = json!({ "metadata": { "uid": format!("{uid}") },
            "spec": { "containers": [container] } });
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn pods_are_spread_over_nodes_that_are_alike() {
        let nodes = [node("a", "4"), node("b", "4"), node("c", "4")];
        let mut account = Account::default();
        let mut per_node = BTreeMap::<String, usize>::new();
        for uid in 0..9 {
            let demand = Demand::of(&pod(uid, "100m"));
            match decide(&pod(uid, "100m"), &demand, &nodes, &account) {
                Verdict::Node(node) => {
                    account.assume(&node, &demand);
                    *per_node.entry(node).or_default() += 1;
                }
                Verdict::Nowhere(why) => panic!("{why}"),
            }
        }
        assert!(per_node.values().all(|count| *count == 3), "{per_node:?}");
    }

    #[test]
    fn the_emptier_node_is_taken_even_if_it_is_the_smaller() {
        let nodes = [node("large", "8"), node("small", "4")];
        let mut account = Account::default();
        account.assume("large", &Demand::of(&pod(1, "6")));
        let second = pod(2, "1");
        let verdict = decide(&second, &Demand::of(&second), &nodes, &account);
        assert_eq!(verdict, Verdict::Node("small".to_owned()));
    }

    #[test]
    fn no_node_is_ever_given_more_than_it_has() {
        let nodes = [node("a", "1"), node("b", "1")];
        let mut account = Account::default();
        let mut placed = 0;
        for uid in 0..20 {
            let demand = Demand::of(&pod(uid, "300m"));
            match decide(&pod(uid, "300m"), &demand, &nodes, &account) {
                Verdict::Node(node) => {
                    placed += 1;
                    account.assume(&node, &demand);
                }
                Verdict::Nowhere(why) => {
                    assert_eq!(why, "0/2 nodes are available: 2 Insufficient cpu.");
                }
            }
        }
        assert_eq!(placed, 6);
    }

    #[test]
    fn a_cluster_without_nodes_says_so() {
        let nodes: [Arc<Node>; 0] = [];
        let verdict = decide(&pod(1, "1"), &Demand::default(), &nodes, &Account::default());
        let text = "no nodes available to schedule pods".to_owned();
        assert_eq!(verdict, Verdict::Nowhere(text));
    }
}
