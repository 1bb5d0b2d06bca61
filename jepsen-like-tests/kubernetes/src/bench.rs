//! Rows of the benchmark beside the real kube-apiserver on the real etcd, both in one run.
//!
//! Invariants: the same client loads both, one after the other, each side alone on the machine
//! while it is measured; a row is a time or a size, and its ratio says how ours stands to the real
//! one's (below one: less).
//!
//! Must not know: how either server works.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde_json::json;

use crate::client::Client;
use crate::pause;
use crate::process::Programs;
use crate::sides::{Api, Side, Store};
use crate::swap::{Keepers, start_keepers};
use crate::workload::Deployment;

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// ConfigMaps that clients create at the same time.
    pub created: usize,
    /// Clients that create them.
    pub clients: usize,
    /// ConfigMaps that are listed.
    pub listed: usize,
    /// Watchers of one resource.
    pub watchers: usize,
    /// Replicas of the Deployment; 0 leaves that row out.
    pub replicas: usize,
}

/// One figure of one side.
#[derive(Debug, Clone)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
}

/// A line of the table.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// Ours over the real one's.
    pub ratio: f64,
}

/// Measures both sides and prints the table.
pub async fn run(programs: &Programs, folder: &Path, plan: Plan) -> Result<Vec<Row>> {
    let real = measure(programs, folder, Api::Real, plan).await.context("the real one")?;
    let ours = measure(programs, folder, Api::Ours, plan).await.context("ours")?;
    println!("| {:<44} | {:>12} | {:>12} | {:>6} |", "", "real", "engram", "ratio");
    let rows = real.iter().zip(&ours).map(|(real, ours)| {
        let ratio = ours.value / real.value;
        let cell = |figure: &Figure| format!("{:.1} {}", figure.value, figure.unit);
        println!("| {:<44} | {:>12} | {:>12} | {ratio:>6.2} |", real.name, cell(real), cell(ours));
        Row { name: real.name.clone(), ratio }
    });
    Ok(rows.collect())
}

async fn measure(programs: &Programs, folder: &Path, api: Api, plan: Plan) -> Result<Vec<Figure>> {
    let (name, store) = match api {
        Api::Real => ("real", Store::Etcd),
        Api::Ours => ("engram", Store::Engram),
    };
    let mut side = Side::start(programs, folder, name, api, store, &[]).await?;
    let mut figures = Vec::new();
    let mut add = |name: String, value: f64, unit| figures.push(Figure { name, value, unit });
    add("API server ready".to_owned(), millis(side.ready_after), "ms");
    add("RSS idle, API server and store".to_owned(), resident(&side), "MiB");

    let (took, p99) = fill(&side.client, "made", plan.created, plan.clients).await?;
    let what = format!("create {} ConfigMaps, {} clients", plan.created, plan.clients);
    add(what, millis(took), "ms");
    add("  of these, p99".to_owned(), millis(p99), "ms");

    fill(&side.client, "listed", plan.listed, plan.clients).await?;
    let began = Instant::now();
    let listed = count(&side.client, &format!("{MAPS}?labelSelector=set%3Dlisted")).await?;
    add(format!("list {} ConfigMaps", plan.listed), millis(began.elapsed()), "ms");
    if listed != plan.listed {
        bail!("{listed} of {} were listed", plan.listed);
    }
    let began = Instant::now();
    pages(&side.client).await?;
    add("  the same in pages of 500".to_owned(), millis(began.elapsed()), "ms");

    let took = watchers(&side.client, plan.watchers).await?;
    add(format!("{WRITES} writes seen by {} watchers", plan.watchers), millis(took), "ms");
    add("RSS then, API server and store".to_owned(), resident(&side), "MiB");

    if plan.replicas > 0 {
        let keepers = if api == Api::Real { Keepers::Real } else { Keepers::Ours };
        let took = deployment(programs, &mut side, keepers, plan.replicas).await?;
        add(format!("Deployment of {} replicas to Ready", plan.replicas), millis(took), "ms");
        add("RSS then, API server and store".to_owned(), resident(&side), "MiB");
    }
    Ok(figures)
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Writes that the watchers must see.
const WRITES: usize = 50;

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Memory of the store and the API server, in MiB.
fn resident(side: &Side) -> f64 {
    let bytes: u64 = side.processes.iter().take(2).map(|process| process.resident_bytes()).sum();
    bytes as f64 / 1_048_576.0
}

/// Creates ConfigMaps with several clients; gives the time for all, and the 99th percentile of one.
async fn fill(
    client: &Client,
    set: &'static str,
    count: usize,
    clients: usize,
) -> Result<(Duration, Duration)> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..clients {
        let client = client.another();
        tasks.spawn(async move {
            let mut took = Vec::new();
            for item in (number..count).step_by(clients) {
                let began = Instant::now();
                create(&client, set, item).await?;
                took.push(began.elapsed());
            }
            Ok::<_, anyhow::Error>(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = tasks.join_next().await {
        all.extend(took??);
    }
    all.sort_unstable();
    let p99 = all.get(all.len() * 99 / 100).copied().unwrap_or_default();
    Ok((began.elapsed(), p99))
}

async fn create(client: &Client, set: &str, item: usize) -> Result<()> {
    let metadata = json!({"name": format!("{set}-{item:06}"), "labels": {"set": set}});
    let data = json!({"text": "x".repeat(200)});
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
    let answer = client.ask("POST", MAPS, &headers, Bytes::from(body.to_string())).await?;
    if answer.status != 201 {
        bail!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    Ok(())
}

/// How many objects a list has; read without parsing it whole, so that the client costs little.
async fn count(client: &Client, path: &str) -> Result<usize> {
    let answer = client.ask("GET", path, &[("Accept", "application/json")], Bytes::new()).await?;
    if answer.status != 200 {
        bail!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    let text = std::str::from_utf8(&answer.body)?;
    Ok(text.matches("\"creationTimestamp\"").count())
}

async fn pages(client: &Client) -> Result<()> {
    let mut token = String::new();
    loop {
        let path = format!("{MAPS}?labelSelector=set%3Dlisted&limit=500&continue={token}");
        let list = crate::workload::get(client, &path).await?;
        match list["metadata"]["continue"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return Ok(()),
        }
    }
}

/// Opens watchers, writes, and waits until each has seen every write.
async fn watchers(client: &Client, watchers: usize) -> Result<Duration> {
    let list = crate::workload::get(client, &format!("{MAPS}?limit=1")).await?;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
    let target = format!("{MAPS}?watch=true&resourceVersion={version}&labelSelector=set%3Dwatched");
    let mut streams = Vec::new();
    for _ in 0..watchers {
        streams.push(client.watch(&target, &[("Accept", "application/json")]).await?);
    }
    let began = Instant::now();
    for item in 0..WRITES {
        create(client, "watched", item).await?;
    }
    let all = async || {
        let behind = streams.iter().filter(|stream| stream.count().0 < WRITES).count();
        if behind == 0 { Ok(began.elapsed()) } else { Err(format!("{behind} are behind")) }
    };
    pause::until("every watcher has seen every write", Duration::from_secs(60), all).await
}

/// Fewer than a node takes (110), so that all fit.
const PODS_PER_NODE: usize = 100;

async fn deployment(
    programs: &Programs,
    side: &mut Side,
    keepers: Keepers,
    replicas: usize,
) -> Result<Duration> {
    start_keepers(side, programs, keepers, replicas / PODS_PER_NODE + 1)?;
    let patience = Duration::from_secs(300);
    // A first one, so that caches are warm and nodes are there.
    let warm = Deployment::new(&side.client, "warm", patience);
    warm.create(1, "demo").await?;
    warm.settled(1).await?;
    let began = Instant::now();
    let web = Deployment::new(&side.client, "web", patience);
    web.create(replicas, "demo").await?;
    web.settled(replicas).await.with_context(|| side.logs())?;
    Ok(began.elapsed())
}
