//! Crash rounds: three real members under load, one fault a round, then every checker.
//!
//! A round: load on fresh keys, a fault, its end, more load; then quiet, and the members must
//! agree: each acknowledged write is there, each watcher saw the store's order without gap, repeat
//! or swap, HashKV and the state digest are equal on all members, and each key's history is
//! linearizable.
//!
//! Invariants: a fault happens between acknowledged writes (the load's counter is waited for, no
//! pause); a round whose fault could not be installed is a failure.
//!
//! Must not know: how a checker decides.

pub(crate) mod client;
mod fault;
pub(crate) mod verdict;
pub(crate) mod watcher;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

pub use fault::Fault;
pub(crate) use fault::writes_again;

use crate::process::{self, Kind, Member, POLL, Programs};
use client::Load;
use watcher::Watcher;

/// Clients that load the cluster, spread over its members.
const CLIENTS: usize = 9;

/// Acknowledged writes before the fault, and again after it is over.
const WRITES_AROUND_FAULT: u64 = 150;

/// How long the cluster may take to accept writes again, and to agree.
pub(crate) const RECOVERY_DEADLINE: Duration = Duration::from_secs(60);

/// What the rounds did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Rounds without a finding.
    pub passed: u64,
    /// Rounds with findings.
    pub failed: u64,
    /// Operations that were answered.
    pub answered: u64,
    /// Operations whose outcome stayed unknown.
    pub unknown: u64,
    /// Events compared on watches.
    pub events: u64,
    /// The longest time without an acknowledged write after a fault, in milliseconds.
    pub longest_gap_ms: u128,
}

/// Runs `rounds` rounds on one cluster in `folder`, with faults drawn from `seed`.
pub async fn run(programs: &Programs, folder: &Path, seed: u64, rounds: u64) -> Result<Summary> {
    // Short timers: a round waits for an election, and thirty rounds must fit into minutes.
    let timers = ["--heartbeat-interval=100", "--election-timeout=1000"];
    let mut members = process::cluster(programs, Kind::Engram, folder, 3, &timers)?;
    for member in &mut members {
        member.start()?;
    }
    for member in &mut members {
        member.ready().await?;
    }
    let mut summary = Summary::default();
    for round in 0..rounds {
        let fault = Fault::draw(seed, round);
        let started = Instant::now();
        let findings = one_round(&mut members, seed, round, fault, &mut summary).await?;
        let verdict = if findings.is_empty() { "ok" } else { "FAILED" };
        println!("round {round} {fault:?} {verdict} in {:.1} s", started.elapsed().as_secs_f64());
        for finding in &findings {
            println!("  {finding}");
        }
        if findings.is_empty() {
            summary.passed += 1;
        } else {
            summary.failed += 1;
            println!("  again: engram-harness rounds --seed {seed} --rounds {rounds}");
        }
    }
    Ok(summary)
}

async fn one_round(
    members: &mut [Member],
    seed: u64,
    round: u64,
    fault: Fault,
    summary: &mut Summary,
) -> Result<Vec<String>> {
    let urls: Vec<String> = members.iter().map(|member| member.client_url().to_owned()).collect();
    let first_revision = verdict::agreed_revision(&urls).await? + 1;
    let watchers: Vec<Watcher> =
        urls.iter().map(|url| Watcher::start(url.clone(), first_revision)).collect();
    let load = Arc::new(Load::new(seed, round));
    let clients = client::start(&load, &urls, CLIENTS);

    acknowledged(&load, load.acknowledged() + WRITES_AROUND_FAULT, "before the fault").await?;
    let gap = fault.strike(members, &load).await?;
    acknowledged(&load, load.acknowledged() + WRITES_AROUND_FAULT, "after the fault").await?;

    load.stop();
    let mut operations = Vec::new();
    for client in clients {
        operations.extend(client.await?);
    }
    summary.longest_gap_ms = summary.longest_gap_ms.max(gap.as_millis());
    verdict::judge(&urls, watchers, first_revision, operations, summary).await
}

/// Waits until the load has this many acknowledged writes.
pub(crate) async fn acknowledged(load: &Load, count: u64, when: &str) -> Result<()> {
    let deadline = Instant::now() + RECOVERY_DEADLINE;
    while load.acknowledged() < count {
        if Instant::now() > deadline {
            bail!("{} acknowledged writes {when} instead of {count}", load.acknowledged());
        }
        crate::pause::pause(POLL / 4).await;
    }
    Ok(())
}
