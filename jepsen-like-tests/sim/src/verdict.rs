//! The end of a run: quiet, liveness, agreement, and the checkers over all that was seen.
//!
//! Must not know: which faults were on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use checkers::history::{Action, Operation};
use checkers::linear::{self, Refusal};
use checkers::revision;
use proto::log::command::Request;
use store::Revision;
use tokio::time::Instant;

use crate::clock;
use crate::cluster::Cluster;
use crate::requests;
use crate::watchers::Watchers;

/// How long a healed cluster may take to elect, write, and be alike.
const LIVE_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until a healed cluster serves and its members are alike. What does not happen in time is
/// a finding.
pub(crate) async fn settle(cluster: &Cluster, watchers: &Watchers) {
    let deadline = Instant::now() + LIVE_WITHIN;
    let led = eventually(cluster, deadline, "there is no leader", || cluster.leader().is_some());
    if !led.await {
        return;
    }
    for member in 0..cluster.size() {
        if !write_through(cluster, member, deadline).await {
            return;
        }
    }
    let alike = || {
        let states = (0..cluster.size()).map(|member| {
            cluster.process(member).map(|process| process.reader().digest_at_applied())
        });
        let states: Vec<_> = states.collect();
        states.iter().all(|state| state.is_some() && *state == states[0])
    };
    // Before the members are compared: time ends leases as long as there are some.
    let ended = || cluster.world.leases.lock().living().is_none();
    if !eventually(cluster, deadline, "a lease does not end", ended).await {
        return;
    }
    if !eventually(cluster, deadline, "members are not alike", alike).await {
        return;
    }
    let newest = cluster.world.ledger.lock().newest();
    let what = "watchers were not told everything";
    if !eventually(cluster, deadline, what, || watchers.have_all(newest)).await {
        let told = watchers.told();
        cluster.world.found(format_args!("watchers came to {told:?} of {newest}"));
    }
    let compacted = || {
        (0..cluster.size()).all(|member| {
            cluster.process(member).is_some_and(|process| {
                let reader = process.reader();
                reader.physically_compacted_revision() == reader.compacted_revision()
            })
        })
    };
    eventually(cluster, deadline, "compaction did not end", compacted).await;
}

async fn write_through(cluster: &Cluster, member: usize, deadline: Instant) -> bool {
    let key = format!("settled{member}");
    loop {
        let Some(process) = cluster.process(member) else {
            cluster.world.found(format_args!("m{member} does not run although all is healed"));
            return false;
        };
        let put = Request::Put(requests::put(&key, "settled", 0));
        let outcome = tokio::time::timeout_at(deadline, requests::send(&process, put)).await;
        match outcome {
            Ok(Ok(_)) => return true,
            Err(_) => {
                let leadership = process.member.leadership();
                cluster.world.found(format_args!(
                    "no write through m{member} within {LIVE_WITHIN:?}: {leadership:?}"
                ));
                return false;
            }
            Ok(Err(status)) => {
                let text = status.message();
                cluster.world.note(format_args!("m{member} settles: {text}"));
                clock::pass(LOOK).await;
            }
        }
    }
}

async fn eventually(
    cluster: &Cluster,
    deadline: Instant,
    otherwise: &str,
    mut holds: impl FnMut() -> bool,
) -> bool {
    while !holds() {
        if Instant::now() >= deadline {
            cluster.world.found(format_args!("{otherwise} within {LIVE_WITHIN:?}"));
            return false;
        }
        clock::pass(LOOK).await;
    }
    true
}

/// Holds everything that was seen against the one history.
pub(crate) fn judge(cluster: &Cluster, operations: &[Operation], refused: &[String]) {
    let world = &cluster.world;
    let changes = world.ledger.lock().changes();
    let order = match revision::Order::new(&changes) {
        Ok(order) => order,
        Err(gap) => return world.found(format_args!("the history has a gap: {gap}")),
    };
    for what in revision::check(&order, operations) {
        world.found(format_args!("{what}"));
    }
    for value in refused {
        if let Some(revision) = order.wrote(value) {
            world.found(format_args!("{value:?} was refused, but revision {revision} wrote it"));
        }
    }
    for what in unlinearizable(&order, operations) {
        world.found(format_args!("{what}"));
    }
    states(cluster);
}

/// Holds each member's state against the others' and against the history.
fn states(cluster: &Cluster) {
    let world = &cluster.world;
    let mut hashes = Vec::new();
    for member in 0..cluster.size() {
        let Some(process) = cluster.process(member) else { continue };
        match process.reader().hash_kv(Revision(0)) {
            Ok(hash) => hashes.push(hash),
            Err(error) => world.found(format_args!("m{member} has no HashKV: {error}")),
        }
        let mismatches = process.consensus().metrics().digest_mismatches;
        if mismatches > 0 {
            world.found(format_args!("m{member} counted {mismatches} other digests of its peers"));
        }
        let ledger = world.ledger.lock();
        let newest = ledger.newest();
        for key in ledger.changes().into_iter().map(|change| change.key) {
            let read = requests::found_in(process.reader(), &key).ok().flatten();
            let read = read.as_ref().map(|found| (found.mod_revision, found.value.as_str()));
            if read != ledger.value(&key, newest) {
                drop(ledger);
                return world.found(format_args!("m{member} ends with {key} = {read:?}"));
            }
        }
    }
    if hashes.windows(2).any(|pair| pair[0] != pair[1]) {
        world.found(format_args!("HashKV differs: {hashes:?}"));
    }
}

/// The keys whose histories no order explains.
fn unlinearizable(order: &revision::Order, operations: &[Operation]) -> Vec<String> {
    let mut by_key: BTreeMap<&str, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        // A write without an answer whose value never showed did not happen: leaving it out keeps
        // the search small.
        let happened = match &operation.action {
            Action::Write { value } | Action::Swap { value, .. } => {
                operation.returned_ns.is_some() || order.wrote(value).is_some()
            }
            Action::Read { .. } | Action::Delete { .. } => true,
        };
        if happened {
            by_key.entry(&operation.key).or_default().push(operation.clone());
        }
    }
    let refusals = by_key.iter().filter_map(|(key, operations)| match linear::check(operations) {
        Ok(()) => None,
        Err(Refusal::Undecided) => Some(format!("{key}: the search ran out of its budget")),
        Err(Refusal::Illegal { explained, stuck_at }) => Some(format!(
            "{key} is not linearizable: {explained} of {} operations explained, then {stuck_at}",
            operations.len()
        )),
    });
    refusals.collect()
}

/// The members' disks and processes in words, for a run that hangs.
pub(crate) fn describe(cluster: &Arc<Cluster>) -> Vec<String> {
    let members = (0..cluster.size()).map(|member| match cluster.process(member) {
        None => format!("m{member} does not run"),
        Some(process) => format!(
            "{} {:?} applied {} {:?}",
            process.observer.process,
            process.member.leadership(),
            process.reader().applied(),
            process.consensus().metrics(),
        ),
    });
    members.collect()
}
