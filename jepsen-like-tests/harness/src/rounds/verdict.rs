//! The end of a round: quiet, agreement of the members, and the checkers.
//!
//! Must not know: which fault was on.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use proto::etcdserverpb::{HashKvRequest, PutRequest};
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;

use super::watcher::Watcher;
use super::{RECOVERY_DEADLINE, Summary};
use crate::process::{self, POLL};
use checkers::history::{Action, Operation};
use checkers::linear::{self, Refusal};
use checkers::{revision, watch};

/// Writes through each member and waits until all are at the last of these revisions; returns it.
pub(crate) async fn agreed_revision(urls: &[String]) -> Result<i64> {
    let mut last = 0;
    for url in urls {
        let mut kv = KvClient::new(process::dial(url).await?);
        let request = PutRequest { key: "settled".into(), ..PutRequest::default() };
        let answer = kv.put(request).await?.into_inner();
        last = answer.header.context("an answer without a header")?.revision;
    }
    hashes(urls, last).await?;
    Ok(last)
}

/// HashKV of each member at the revision, once each member has it.
async fn hashes(urls: &[String], revision: i64) -> Result<Vec<u32>> {
    let mut hashes = Vec::new();
    for url in urls {
        let mut maintenance = MaintenanceClient::new(process::dial(url).await?);
        let deadline = Instant::now() + RECOVERY_DEADLINE;
        loop {
            match maintenance.hash_kv(HashKvRequest { revision }).await {
                Ok(answer) => break hashes.push(answer.into_inner().hash),
                Err(status) if Instant::now() > deadline => bail!("{url}: {status}"),
                Err(_) => crate::pause::pause(POLL).await,
            }
        }
    }
    Ok(hashes)
}

/// Every finding of a round, in words; empty is a pass.
pub(crate) async fn judge(
    urls: &[String],
    watchers: Vec<Watcher>,
    first_revision: i64,
    operations: Vec<Operation>,
    summary: &mut Summary,
) -> Result<Vec<String>> {
    let last = agreed_revision(urls).await?;
    let mut findings = Vec::new();
    let hashes = hashes(urls, last).await?;
    if hashes.iter().any(|hash| *hash != hashes[0]) {
        findings.push(format!("HashKV at revision {last} differs: {hashes:?}"));
    }
    findings.extend(crate::digest::disagreement(urls, RECOVERY_DEADLINE).await?);
    let order =
        Watcher::start(urls[0].clone(), first_revision).finish(last, RECOVERY_DEADLINE).await?;
    for (watcher, url) in watchers.into_iter().zip(urls) {
        let seen = watcher.finish(last, RECOVERY_DEADLINE).await.context(url.clone())?;
        summary.events += seen.len() as u64;
        let wrong = watch::check(&order, &seen, first_revision, last);
        findings.extend(wrong.map(|what| format!("the watch on {url}: {what}")));
    }
    let answered = operations.iter().filter(|operation| operation.returned_ns.is_some()).count();
    summary.answered += answered as u64;
    summary.unknown += (operations.len() - answered) as u64;
    match revision::Order::new(&order) {
        Err(gap) => findings.push(format!("the store's own order has a gap: {gap}")),
        Ok(order) => {
            findings.extend(revision::check(&order, &operations));
            findings.extend(unlinearizable(&order, operations));
        }
    }
    findings.truncate(20);
    Ok(findings)
}

/// Leaves out writes without an answer that changed nothing: it keeps the search small and decides
/// nothing, since a write without an answer need not have happened.
fn leave_out_what_did_not_happen(
    order: &revision::Order,
    key: &str,
    operations: &mut Vec<Operation>,
) {
    let told =
        |operation: &&Operation| matches!(operation.action, Action::Delete { existed: Some(true) });
    let all_told = operations.iter().filter(told).count() == order.deletes(key);
    operations.retain(|operation| match &operation.action {
        _ if operation.returned_ns.is_some() => true,
        Action::Write { value } | Action::Swap { value, .. } => order.wrote(value).is_some(),
        Action::Delete { .. } => !all_told,
        Action::Read { .. } => false,
    });
}

/// The keys whose histories no order explains.
fn unlinearizable(order: &revision::Order, operations: Vec<Operation>) -> Vec<String> {
    let mut by_key: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        by_key.entry(operation.key.clone()).or_default().push(operation);
    }
    for (key, operations) in &mut by_key {
        leave_out_what_did_not_happen(order, key, operations);
    }
    by_key
        .iter()
        .filter_map(|(key, operations)| match linear::check(operations) {
            Ok(()) => None,
            Err(Refusal::Undecided) => Some(format!("{key}: the search ran out of its budget")),
            Err(Refusal::Illegal { explained, stuck_at }) => Some(format!(
                "{key} is not linearizable: {explained} of {} operations explained, then {stuck_at}",
                operations.len()
            )),
        })
        .collect()
}
