//! The walk-through on three members with three API servers: the store's leader is killed in the
//! middle of a rollout, and after it an API server.
//!
//! Invariants: what is judged is what a watch on an API server of its own said, from before the
//! Deployment is created until after it is gone: never fewer pods available than the Deployment
//! allows once they all were, no pod on two nodes, no name or uid given twice, none left over.
//!
//! Must not know: how the servers find their leader again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::client::{Client, Stream};
use crate::cluster::Cluster;
use crate::pause;
use crate::process::Programs;
use crate::sides::{Api, Side, Store};
use crate::workload::{Deployment, get, is_available, pods};

/// API servers, as many as members.
const SERVERS: usize = 3;
const REPLICAS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(90);

/// What the walk came to.
#[derive(Debug, Default)]
pub struct Walked {
    /// What was checked and held, in words.
    pub passed: Vec<String>,
    /// What did not hold.
    pub failed: Vec<String>,
}

/// Walks.
///
/// *Errors*: a step did not come to its end.
pub async fn run(programs: &Programs, folder: &Path, api: Api, store: Store) -> Result<Walked> {
    let mut cluster = Cluster::start(programs, folder, api, store, SERVERS, &[]).await?;
    for side in &mut cluster.sides[..2] {
        side.start_our_controllers(programs, &["--leader-elect"])?;
    }
    let walked = walk(&mut cluster, programs).await;
    walked.with_context(|| {
        let logs: Vec<_> = cluster.sides.iter().map(Side::logs).collect();
        logs.join("\n")
    })
}

async fn walk(cluster: &mut Cluster, programs: &Programs) -> Result<Walked> {
    let mut walked = Walked::default();
    let [first, second, third] = [0, 1, 2].map(|side| cluster.sides[side].client.another());
    let watched = format!("{}?watch=true&labelSelector=app%3Dweb", pods());
    let watch = third.watch(&watched, &[("Accept", "application/json")]).await?;
    let web = Deployment::new(&first, "web", PATIENCE);
    // A pod counts a second after it is ready, so that the rollout has a middle.
    web.create_slow(REPLICAS, "demo:1", 1).await?;
    web.settled(REPLICAS).await.context("create")?;
    let full_at = watch.count().0;
    // A write on one server is read on another.
    Deployment::new(&second, "web", PATIENCE).settled(REPLICAS).await.context("read elsewhere")?;
    walked.passed.push("a Deployment declared on one server is ready on another".to_owned());

    let leader = cluster.leader(programs).await?;
    Deployment::new(&second, "web", PATIENCE).set_image("demo:2").await?;
    rolling(&first).await?;
    cluster.members[leader].kill()?;
    let killed = Instant::now();
    web.settled(REPLICAS).await.context("the rollout with the leader killed")?;
    walked.passed.push(format!(
        "member {leader}, the leader, was killed in the rollout; it ended {} ms later",
        killed.elapsed().as_millis()
    ));
    let pods_then = web.pods().await?;
    judge_pods(&pods_then, &mut walked);
    let served = [&first, &second, &third];
    for (number, client) in served.into_iter().enumerate() {
        let seen = Deployment::new(client, "web", PATIENCE).pods().await?.len();
        note(&mut walked, seen == REPLICAS, &format!("server {number} lists {seen} pods"));
    }
    let settled_at = watch.count().0;
    cluster.sides[0].processes[0].kill()?;
    walked.passed.push(without_the_first(&second, &third).await?);
    let web = Deployment::new(&second, "web", PATIENCE);
    web.delete().await?;
    web.gone().await.context("delete")?;
    walked.passed.push("nothing is left after the delete".to_owned());
    let all_seen = async || match deleted(&watch) {
        true => Ok(()),
        false => Err("the watch has not seen the end of every pod".to_owned()),
    };
    pause::until("the watch sees every pod's end", PATIENCE, all_seen).await?;
    judge_watch(&watch, full_at, settled_at, &mut walked);
    Ok(walked)
}

/// A write comes true though an API server, and with it the controllers in its care, is gone.
async fn without_the_first(second: &Client, third: &Client) -> Result<String> {
    let killed = Instant::now();
    Deployment::new(second, "web", PATIENCE).scale(REPLICAS + 1).await?;
    let settled = Deployment::new(third, "web", PATIENCE).settled(REPLICAS + 1).await;
    settled.context("a write after an API server was killed")?;
    let took_ms = killed.elapsed().as_millis();
    Ok(format!("an API server was killed; a write on another came true {took_ms} ms later"))
}

/// Waits until the rollout is in its middle: some pods are new, some are not.
async fn rolling(client: &Client) -> Result<()> {
    pause::until("the rollout is under way", PATIENCE, async || {
        let path = "/apis/apps/v1/namespaces/default/deployments/web";
        let object = get(client, path).await.map_err(|error| format!("{error:#}"))?;
        match object["status"]["updatedReplicas"].as_u64() {
            Some(updated) if updated > 0 => Ok(()),
            _ => Err(object["status"].to_string()),
        }
    })
    .await
}

/// Notes what was checked.
pub(crate) fn note(walked: &mut Walked, holds: bool, what: &str) {
    let list = if holds { &mut walked.passed } else { &mut walked.failed };
    list.push(what.to_owned());
}

fn judge_pods(pods: &[Value], walked: &mut Walked) {
    let of = |path: &str| -> Vec<String> {
        let values = pods.iter().filter_map(|pod| pod.pointer(path)?.as_str());
        values.map(str::to_owned).collect()
    };
    for (what, path) in
        [("names", "/metadata/name"), ("uids", "/metadata/uid"), ("addresses", "/status/podIP")]
    {
        let all = of(path);
        let distinct: BTreeSet<_> = all.iter().collect();
        let text = format!("{} pods have {} {what}", pods.len(), distinct.len());
        note(walked, distinct.len() == REPLICAS && pods.len() == REPLICAS, &text);
    }
    let images: BTreeSet<_> = of("/spec/containers/0/image").into_iter().collect();
    note(walked, images == BTreeSet::from(["demo:2".to_owned()]), &format!("images: {images:?}"));
}

fn events(watch: &Stream) -> Vec<Value> {
    let (lines, _) = watch.seen();
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn deleted(watch: &Stream) -> bool {
    let mut alive = BTreeSet::new();
    for event in events(watch) {
        let name = event["object"]["metadata"]["uid"].to_string();
        match event["type"].as_str() {
            Some("DELETED") => alive.remove(&name),
            _ => alive.insert(name),
        };
    }
    alive.is_empty()
}

/// Replays the watch between two of its events.
fn judge_watch(watch: &Stream, full_at: usize, settled_at: usize, walked: &mut Walked) {
    let mut pods: BTreeMap<String, Value> = BTreeMap::new();
    let mut nodes: BTreeMap<String, String> = BTreeMap::new();
    let (mut added, mut moved, mut wrong) = (BTreeSet::new(), 0, 0);
    let (mut fewest, mut most) = (usize::MAX, 0);
    for (number, event) in events(watch).into_iter().enumerate() {
        let object = &event["object"];
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        if let Some(node) = object["spec"]["nodeName"].as_str() {
            let before = nodes.insert(uid.clone(), node.to_owned());
            moved += usize::from(before.is_some_and(|before| before != node));
        }
        match event["type"].as_str() {
            Some("ADDED") => {
                wrong += usize::from(!added.insert(uid.clone()));
                pods.insert(uid, object.clone());
            }
            Some("MODIFIED") => drop(pods.insert(uid, object.clone())),
            Some("DELETED") => drop(pods.remove(&uid)),
            _ => wrong += 1,
        }
        if number + 1 >= full_at && number < settled_at {
            fewest = fewest.min(pods.values().filter(|pod| is_available(pod)).count());
            let live = |pod: &&Value| pod["metadata"].get("deletionTimestamp").is_none();
            most = most.max(pods.values().filter(live).count());
        }
    }
    // maxUnavailable of 25 % is rounded down, maxSurge of 25 % up.
    let (allowed, surge) = (REPLICAS - REPLICAS / 4, REPLICAS + REPLICAS.div_ceil(4));
    note(walked, fewest >= allowed, &format!("never under {fewest} available; {allowed} allowed"));
    note(walked, most <= surge, &format!("never over {most} pods; {surge} allowed"));
    note(walked, moved == 0, &format!("{moved} pods changed their node"));
    note(walked, wrong == 0, &format!("{wrong} events that a watch must not have"));
}
