//! The steps of the walk of the real control plane, each with what it must find.
//!
//! Invariant: what is waited for has a deadline; what does not hold is noted and the walk goes on.
//!
//! Must not know: which store is under the API server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::{PAGE, PATIENCE};
use crate::client::{Answer, Client};
use crate::cluster::{Cluster, etcdctl};
use crate::pause;
use crate::process::Programs;
use crate::walk::{Walked, note};
use crate::workload::get;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Clients that create ConfigMaps at the same time.
const CLIENTS: usize = 8;
/// Consistent lists of a resource that nobody writes to.
const QUIET_LISTS: usize = 5;

/// What the API server makes of itself is there.
pub(super) async fn bootstrap(client: &Client, walked: &mut Walked) -> Result<()> {
    for path in [
        "/api/v1/namespaces/kube-system",
        "/api/v1/namespaces/kube-node-lease",
        "/api/v1/namespaces/default/services/kubernetes",
        "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
        "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/exempt",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin",
    ] {
        let there = pause::until(path, PATIENCE, async || {
            get(client, path).await.map_err(|error| format!("{error:#}"))
        });
        there.await?;
    }
    walked.passed.push("the bootstrap has made its namespaces, classes and roles".to_owned());
    Ok(())
}

/// ConfigMaps on their way.
#[derive(Debug)]
pub(super) struct Maps(JoinSet<Result<()>>);

impl Maps {
    /// Starts to create them; `made` counts those that were acknowledged.
    pub(super) fn fill(client: &Client, count: usize, made: &Arc<AtomicUsize>) -> Self {
        let mut tasks = JoinSet::new();
        for first in 0..CLIENTS {
            let (client, made) = (client.another(), Arc::clone(made));
            tasks.spawn(async move {
                for number in (first..count).step_by(CLIENTS) {
                    create(&client, &map_name(number), &number.to_string()).await?;
                    made.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Self(tasks)
    }

    /// Waits for the last one.
    pub(super) async fn done(mut self) -> Result<()> {
        while let Some(done) = self.0.join_next().await {
            done??;
        }
        Ok(())
    }
}

fn map_name(number: usize) -> String {
    format!("made-{number:05}")
}

/// Creates a ConfigMap, again and again while nobody can tell whether it was; gives its revision.
///
/// *Shape*: 0 when an earlier try turns out to have made it.
async fn create(client: &Client, name: &str, text: &str) -> Result<u64> {
    let metadata = json!({"name": name, "labels": {"of": "walk"}});
    let data = json!({"text": text.repeat(50)});
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
    let deadline = Instant::now() + PATIENCE;
    let mut tries = 0;
    loop {
        tries += 1;
        let seen = match client.ask("POST", MAPS, &headers, Bytes::from(body.to_string())).await {
            Ok(answer) if answer.status == 201 || (answer.status == 409 && tries > 1) => {
                return Ok(revision(&serde_json::from_slice(&answer.body)?));
            }
            Ok(answer) => format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)),
            Err(error) => format!("{error:#}"),
        };
        ensure!(Instant::now() < deadline, "{name} was not created; last answer: {seen}");
        pause::pause(pause::POLL).await;
    }
}

fn revision(object: &Value) -> u64 {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

/// Every pod was bound to a node, by the scheduler.
pub(super) async fn bound(client: &Client, replicas: usize, walked: &mut Walked) -> Result<()> {
    let path = "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb";
    let pods = get(client, path).await?;
    let bound = items(&pods).iter().filter(|pod| pod["spec"]["nodeName"].is_string()).count();
    note(walked, bound == replicas, &format!("{bound} of {replicas} pods have a node"));
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    // Events are written in the background.
    let told = pause::until("the scheduler's events", PATIENCE, async || {
        let events = get(client, path).await.map_err(|error| format!("{error:#}"))?;
        let of_scheduler = items(&events).iter().filter(|event| {
            event["reason"] == "Scheduled" && event["reportingController"] == "default-scheduler"
        });
        let pods: BTreeSet<_> =
            of_scheduler.map(|event| event["regarding"]["name"].to_string()).collect();
        if pods.len() >= replicas { Ok(pods.len()) } else { Err(format!("{} told of", pods.len())) }
    });
    let text = format!("kube-scheduler tells of {} bindings", told.await?);
    walked.passed.push(text);
    Ok(())
}

/// Nothing that was acknowledged is lost.
pub(super) async fn all_there(client: &Client, count: usize, walked: &mut Walked) -> Result<()> {
    let list = get(client, &format!("{MAPS}?labelSelector=of%3Dwalk")).await?;
    let whole = (0..count).filter(|number| {
        let (name, text) = (map_name(*number), number.to_string().repeat(50));
        let is_it = |item: &&Value| item["metadata"]["name"] == *name;
        items(&list).iter().find(is_it).is_some_and(|item| item["data"]["text"] == *text)
    });
    let whole = whole.count();
    note(walked, whole == count, &format!("{whole} of {count} ConfigMaps are there and whole"));
    let listed = items(&list).len();
    note(walked, listed == count, &format!("{listed} ConfigMaps are listed"));
    Ok(())
}

/// Reads all ConfigMaps in pages, while the history of the first page is compacted.
pub(super) async fn pages(
    client: &Client,
    programs: &Programs,
    cluster: &Cluster,
    count: usize,
    walked: &mut Walked,
) -> Result<()> {
    let mut seen = Vec::new();
    let (mut token, mut answers) = (String::new(), Vec::new());
    loop {
        let path = format!("{MAPS}?limit={PAGE}&continue={token}");
        let answer = ask(client, &path).await?;
        answers.push(answer.status.as_u16().to_string());
        let page: Value = serde_json::from_slice(&answer.body)?;
        let expired = answer.status == 410 && page["reason"] == "Expired";
        ensure!(expired || answer.status == 200, "{path}: {page}");
        let names = items(&page).iter().filter_map(|item| item["metadata"]["name"].as_str());
        seen.extend(names.filter(|name| name.starts_with("made-")).map(str::to_owned));
        page["metadata"]["continue"].as_str().unwrap_or_default().clone_into(&mut token);
        if token.is_empty() {
            break;
        }
        let between = create(client, &format!("between-{}", answers.len()), "x").await?;
        if between > 0 && !expired {
            let endpoints = cluster.endpoints.join(",");
            let arguments = ["compact", &between.to_string(), "--endpoints", &endpoints];
            etcdctl(programs, &arguments).await?;
        }
    }
    let distinct: BTreeSet<_> = seen.iter().collect();
    let whole = distinct.len() == count && seen.len() == count;
    let text = format!(
        "{} names of {count} in pages answered {}, with a compaction after each",
        distinct.len(),
        answers.join(" ")
    );
    note(walked, whole, &text);
    Ok(())
}

/// Lists stay right though they come from the API server's cache.
pub(super) async fn progress(client: &Client, walked: &mut Walked) -> Result<()> {
    let (mut right, mut newest) = (0, 0);
    for number in 0..QUIET_LISTS {
        let name = format!("newer-{number}");
        newest = create(client, &name, "x").await?;
        // Nobody writes Secrets: only progress tells the cache that it is as new as the ConfigMap.
        let quiet = get(client, "/api/v1/namespaces/default/secrets").await?;
        let own = get(client, MAPS).await?;
        let there = items(&own).iter().any(|item| item["metadata"]["name"] == *name);
        right += usize::from(there && revision(&quiet) >= newest);
    }
    note(walked, right == QUIET_LISTS, &format!("{right} of {QUIET_LISTS} lists were up to date"));
    let answer = ask(client, "/metrics").await?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let name = "apiserver_watch_cache_consistent_read_total";
    let from_cache =
        sum(&text, |line| line.starts_with(name) && line.contains("fallback=\"false\""));
    note(walked, from_cache > 0.0, &format!("{from_cache} consistent lists came from the cache"));
    let cached = pause::until("a list of any age has the newest", PATIENCE, async || {
        let path = format!("{MAPS}?resourceVersion=0");
        let list = get(client, &path).await.map_err(|error| format!("{error:#}"))?;
        if revision(&list) >= newest { Ok(()) } else { Err(revision(&list).to_string()) }
    });
    cached.await?;
    walked.passed.push("a list with resourceVersion=0 gets to the newest revision".to_owned());
    Ok(())
}

/// The killed member has caught up: all hashes are the same.
pub(super) async fn members_agree(
    programs: &Programs,
    cluster: &Cluster,
    walked: &mut Walked,
) -> Result<()> {
    let endpoints = cluster.endpoints.join(",");
    let arguments = ["endpoint", "hashkv", "-w", "json", "--endpoints", &endpoints];
    let agreed = pause::until("the members' hashes", PATIENCE, async || {
        let text = etcdctl(programs, &arguments).await.map_err(|error| format!("{error:#}"))?;
        let hashes: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let of = |field: &'static str| -> BTreeSet<String> {
            let all = hashes.as_array().into_iter().flatten();
            all.map(|one| one["HashKV"][field].to_string()).collect()
        };
        let same = of("hash").len() == 1 && of("hash_revision").len() == 1;
        if same { Ok(of("hash_revision")) } else { Err(text) }
    });
    let text = format!("the members' hashes agree at revision {:?}", agreed.await?);
    walked.passed.push(text);
    Ok(())
}

/// The API server has listed with the streaming RPC.
pub(super) async fn streamed(cluster: &Cluster, walked: &mut Walked) -> Result<()> {
    let mut calls = 0.0;
    for endpoint in &cluster.endpoints {
        let text = scrape(endpoint).await.with_context(|| format!("metrics of {endpoint}"))?;
        calls += sum(&text, |line| {
            line.starts_with("grpc_server_started_total{")
                && line.contains("grpc_method=\"RangeStream\"")
        });
    }
    note(walked, calls > 0.0, &format!("{calls} lists were streamed (RangeStream)"));
    Ok(())
}

async fn ask(client: &Client, path: &str) -> Result<Answer> {
    client.ask("GET", path, &[("Accept", "application/json")], Bytes::new()).await
}

/// The metrics page of a member.
async fn scrape(endpoint: &str) -> Result<String> {
    let host = endpoint.trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(host).await?;
    // By HTTP 1.0, so that the page is not cut into chunks.
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    socket.read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The sum of the samples whose line is wanted.
fn sum(page: &str, wanted: impl Fn(&str) -> bool) -> f64 {
    let values =
        page.lines().filter(|line| wanted(line)).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<f64>().ok()).sum()
}
