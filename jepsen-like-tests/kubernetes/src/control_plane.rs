//! The real control plane on three members: kube-apiserver, kube-controller-manager and
//! kube-scheduler, unmodified, with the store's leader killed in the middle.
//!
//! Invariants: the same walk is done on the real etcd first; an error line of a component that does
//! not occur there (by its place in the source and its text, with what changes masked) fails the
//! walk on ours. What was acknowledged is there at the end, byte by byte.
//!
//! Must not know: how either store works.

mod error_lines;
mod steps;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cluster::{Cluster, MEMBERS};
use crate::pause;
use crate::process::Programs;
use crate::sides::{Api, Side, Store};
use crate::swap::{Keepers, start_keepers};
use crate::walk::{Walked, note};
use crate::workload::{Deployment, get};
use steps::Maps;

/// How much, and with which flags.
#[derive(Debug, Clone)]
pub struct Plan {
    /// ConfigMaps; the leader is killed when half of them are acknowledged.
    pub maps: usize,
    /// Replicas of the Deployment that is declared meanwhile.
    pub replicas: usize,
    /// More flags of kube-apiserver.
    pub flags: Vec<String>,
}

const PATIENCE: Duration = Duration::from_secs(120);
/// Simulated nodes; one takes 110 pods.
const PODS_PER_NODE: usize = 100;
/// Objects of a page.
const PAGE: usize = 100;

/// Walks on the real etcd, then on Engram.
///
/// *Errors*: a step did not come to its end.
pub async fn run(programs: &Programs, folder: &Path, plan: &Plan) -> Result<Walked> {
    let mut walked = Walked::default();
    let mut known = error_lines::Seen::default();
    for (name, store) in [("etcd", Store::Etcd), ("engram", Store::Engram)] {
        let began = Instant::now();
        let own = folder.join(name);
        std::fs::create_dir_all(&own)?;
        let steps = on_a_store(programs, &own, store, plan).await.context(name)?;
        let named = |list: Vec<String>| list.into_iter().map(move |it| format!("{name}: {it}"));
        walked.passed.extend(named(steps.passed));
        walked.failed.extend(named(steps.failed));
        let seen = error_lines::read(&own)?;
        let (seconds, kinds) = (began.elapsed().as_secs(), seen.lines.len());
        println!("{name}: {seconds} s, {kinds} kinds of error lines, by chance: {:?}", seen.chance);
        match store {
            Store::Etcd => known = seen,
            Store::Engram => judge_errors(&known, &seen, &mut walked),
        }
    }
    Ok(walked)
}

fn judge_errors(known: &error_lines::Seen, seen: &error_lines::Seen, walked: &mut Walked) {
    let new: Vec<_> =
        seen.lines.iter().filter(|(line, _)| !known.lines.contains_key(*line)).collect();
    for (line, example) in &new {
        println!("not on the real etcd: {line}\n    {example}");
    }
    let text = format!("{} kinds of error lines that the real etcd does not cause", new.len());
    note(walked, new.is_empty(), &text);
}

async fn on_a_store(
    programs: &Programs,
    folder: &Path,
    store: Store,
    plan: &Plan,
) -> Result<Walked> {
    // Their roles are more of what the bootstrap writes.
    let mut flags = vec!["--authorization-mode=RBAC"];
    flags.extend(plan.flags.iter().map(String::as_str));
    let mut cluster = Cluster::start(programs, folder, Api::Real, store, 1, &flags).await?;
    let nodes = plan.replicas / PODS_PER_NODE + 2;
    start_keepers(&mut cluster.sides[0], programs, Keepers::Real, nodes)?;
    let walked = walk(&mut cluster, programs, plan).await;
    walked.with_context(|| cluster.sides.iter().map(Side::logs).collect::<Vec<_>>().join("\n"))
}

async fn walk(cluster: &mut Cluster, programs: &Programs, plan: &Plan) -> Result<Walked> {
    let mut walked = Walked::default();
    let client = cluster.sides[0].client.another();
    steps::bootstrap(&client, &mut walked).await?;
    let web = Deployment::new(&client, "web", PATIENCE);
    web.create(plan.replicas, "demo:1").await?;
    let killed = fill_and_kill(cluster, programs, plan, &mut walked).await?;
    web.settled(plan.replicas).await.context("the Deployment's pods")?;
    steps::bound(&client, plan.replicas, &mut walked).await?;
    steps::all_there(&client, plan.maps, &mut walked).await?;
    cluster.restart(programs, killed)?;
    steps::pages(&client, programs, cluster, plan.maps, &mut walked).await?;
    steps::progress(&client, &mut walked).await?;
    steps::members_agree(programs, cluster, &mut walked).await?;
    web.scale(plan.replicas + 1).await?;
    web.settled(plan.replicas + 1).await.context("scaled after the member came back")?;
    web.delete().await?;
    web.gone().await.context("the Deployment's end")?;
    walked.passed.push("nothing is left of the deleted Deployment".to_owned());
    steps::streamed(cluster, &mut walked).await?;
    for process in cluster.members.iter_mut().chain(&mut cluster.sides[0].processes) {
        let ended = process.ended();
        note(&mut walked, ended.is_none(), &ended.unwrap_or(format!("{} runs", process.name())));
    }
    Ok(walked)
}

/// Creates the ConfigMaps and kills the leader in the middle; gives its number.
async fn fill_and_kill(
    cluster: &mut Cluster,
    programs: &Programs,
    plan: &Plan,
    walked: &mut Walked,
) -> Result<usize> {
    let leader = cluster.leader(programs).await?;
    let made = Arc::new(AtomicUsize::new(0));
    let maps = Maps::fill(&cluster.sides[0].client, plan.maps, &made);
    let half = plan.maps / 2;
    pause::until("half of the ConfigMaps are there", PATIENCE, async || {
        match made.load(Ordering::Relaxed) {
            count if count >= half => Ok(()),
            count => Err(format!("{count} are")),
        }
    })
    .await?;
    cluster.members[leader].kill()?;
    let at = Instant::now();
    maps.done().await?;
    let took_ms = at.elapsed().as_millis();
    let text = format!(
        "member {leader} of {MEMBERS}, the leader, was killed; all {} ConfigMaps were acknowledged \
         {took_ms} ms later",
        plan.maps
    );
    walked.passed.push(text);
    let version = get(&cluster.sides[0].client, "/version").await?;
    note(walked, version["minor"] == "37", &format!("kube-apiserver {}", version["gitVersion"]));
    Ok(leader)
}
