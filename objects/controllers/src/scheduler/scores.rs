//! How well a node suits a pod that fits on it.
//!
//! Invariant: higher is better; the shares are kube-scheduler's defaults for what is scored here:
//! soft taints 3, preferred affinity 2, least allocated 1, balance 1, each out of 100.

use k8s_openapi::api::core::v1::{Node, Pod, PreferredSchedulingTerm};

use super::account::Taken;
use super::demand::{Demand, amounts};
use super::filters::{meets, soft_taints};
use super::quantity::Amount;

const FULL: i64 = 100;
const SOFT_TAINTS_SHARE: i64 = 3;
const AFFINITY_SHARE: i64 = 2;

/// The score of each candidate, in their order.
pub(super) fn scores(
    pod: &Pod,
    demand: &Demand,
    candidates: &[(&Node, Option<&Taken>)],
) -> Vec<i64> {
    let soft = normalised(candidates.iter().map(|(node, _)| count(soft_taints(pod, node))));
    let liked = normalised(candidates.iter().map(|(node, _)| affinity(pod, node)));
    let rows = candidates.iter().zip(soft).zip(liked);
    rows.map(|(((node, taken), soft), liked)| {
        let (cpu, memory) = shares(demand, node, *taken);
        let least = ((FULL - cpu) + (FULL - memory)) / 2;
        let balance = FULL - (cpu - memory).abs();
        SOFT_TAINTS_SHARE * (FULL - soft) + AFFINITY_SHARE * liked + least + balance
    })
    .collect()
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Brought to 0 to 100 by the largest; all 0 when that is 0.
fn normalised(values: impl Iterator<Item = i64> + Clone) -> Vec<i64> {
    let largest = values.clone().max().unwrap_or(0).max(0);
    values.map(|value| if largest == 0 { 0 } else { value * FULL / largest }).collect()
}

fn affinity(pod: &Pod, node: &Node) -> i64 {
    let preferred = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.affinity.as_ref())
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|node| node.preferred_during_scheduling_ignored_during_execution.as_ref());
    let met = |term: &&PreferredSchedulingTerm| meets(&term.preference, node);
    preferred.into_iter().flatten().filter(met).map(|term| i64::from(term.weight)).sum()
}

/// How much of the node's CPU and memory would be asked for, in hundredths.
fn shares(demand: &Demand, node: &Node, taken: Option<&Taken>) -> (i64, i64) {
    let status = node.status.as_ref();
    let has = status.and_then(|status| status.allocatable.as_ref()).map(amounts);
    let has = |name: &str| has.as_ref().and_then(|has| has.get(name)).copied().unwrap_or(0);
    let used = taken.map_or((0, 0), |taken| taken.guessed);
    let share = |used: Amount, has: Amount| {
        if has <= 0 { FULL } else { i64::try_from(used * 100 / has).unwrap_or(FULL).min(FULL) }
    };
    (share(used.0 + demand.guessed.0, has("cpu")), share(used.1 + demand.guessed.1, has("memory")))
}
