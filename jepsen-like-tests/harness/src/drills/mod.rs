//! Member drills: what operators do with members, on real ones under load, one drill after another.
//!
//! A drill: load on fresh keys, something is done with a member, more load; then quiet, and the
//! members must agree: each acknowledged write is there, each watcher saw the store's order without
//! gap, repeat or swap, HashKV and the state digest are equal on all members, and each key's
//! history is linearizable. Meanwhile it is measured how long no write was acknowledged: a drill
//! says how long that may be.
//!
//! Invariants: three to five members, all voters between drills; a drill that could not be done is
//! a failure; a member that was removed must end by itself and say why.
//!
//! Must not know: how a checker decides.

mod cluster;
mod drill;
mod gap;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

pub use drill::Drill;

use crate::process::Programs;
use crate::rounds::client::{self, Load};
use crate::rounds::watcher::Watcher;
use crate::rounds::{Summary, acknowledged, verdict};
use cluster::Cluster;
use gap::GapMeter;

/// Clients that load the cluster, spread over the members there are when a drill begins.
const CLIENTS: usize = 9;

/// Acknowledged writes before a drill, and again after it.
const WRITES_AROUND_DRILL: u64 = 60;

/// Runs `drills` drills on one cluster in `folder`, drawn from `seed`.
pub async fn run(programs: &Programs, folder: &Path, seed: u64, drills: u64) -> Result<Summary> {
    let mut cluster = Cluster::start(programs, folder).await?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut summary = Summary::default();
    for number in 0..drills {
        let drill = Drill::draw(&mut random, number, cluster.size());
        let started = Instant::now();
        let (findings, gap_ms) =
            one_drill(&mut cluster, &mut random, seed, number, drill, &mut summary).await?;
        let verdict = if findings.is_empty() { "ok" } else { "FAILED" };
        let (members, took) = (cluster.size(), started.elapsed().as_secs_f64());
        println!(
            "drill {number} {drill:?} {verdict} in {took:.1} s, {members} members, longest time \
             without an acknowledged write {gap_ms} ms"
        );
        for finding in &findings {
            println!("  {finding}");
        }
        summary.passed += u64::from(findings.is_empty());
        summary.failed += u64::from(!findings.is_empty());
    }
    Ok(summary)
}

async fn one_drill(
    cluster: &mut Cluster,
    random: &mut ChaCha8Rng,
    seed: u64,
    number: u64,
    drill: Drill,
    summary: &mut Summary,
) -> Result<(Vec<String>, u128)> {
    let before = cluster.urls();
    let first_revision = verdict::agreed_revision(&before).await? + 1;
    let watch = |url: &String| (url.clone(), Watcher::start(url.clone(), first_revision));
    let mut watchers: Vec<(String, Watcher)> = before.iter().map(watch).collect();
    let load = Arc::new(Load::new(seed, number));
    let clients = client::start(&load, &before, CLIENTS);
    let meter = GapMeter::start(&load);

    acknowledged(&load, load.acknowledged() + WRITES_AROUND_DRILL, "before the drill").await?;
    drill.carry_out(cluster, random, &load).await?;
    acknowledged(&load, load.acknowledged() + WRITES_AROUND_DRILL, "after the drill").await?;

    let gap = meter.stop().await?;
    load.stop();
    let mut operations = Vec::new();
    for client in clients {
        operations.extend(client.await?);
    }
    let after = cluster.urls();
    let mut of_members = Vec::new();
    for url in &after {
        let at = watchers.iter().position(|(watched, _)| watched == url);
        // A member that joined delivers what was before it came, too.
        of_members.push(at.map_or_else(|| watch(url), |at| watchers.swap_remove(at)).1);
    }
    for (_, watcher) in watchers {
        watcher.abandon();
    }
    let mut findings =
        verdict::judge(&after, of_members, first_revision, operations, summary).await?;
    if gap > drill.gap_max() {
        findings.push(format!("no write for {gap:?}, more than the {:?} allowed", drill.gap_max()));
    }
    findings.extend(cluster.unlisted().await?);
    summary.longest_gap_ms = summary.longest_gap_ms.max(gap.as_millis());
    Ok((findings, gap.as_millis()))
}
