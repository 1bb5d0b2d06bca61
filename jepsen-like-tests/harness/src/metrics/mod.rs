//! A real Prometheus scrapes three members and evaluates etcd's alerts and dashboard: every panel
//! has values, no alert fires while all is well, and the right ones fire when members are gone.
//!
//! Must not know: which series there are; that is what the expressions say.

mod expressions;
mod prometheus;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::gateway::http::{self, Open};
use crate::process::{self, Kind, Member, POLL, Programs};
use expressions::{ALERTS, Calm, PANELS, filled};
use prometheus::{Prometheus, Sample};

/// How long a panel may stay empty, or an alert quiet that should fire.
const DEADLINE: Duration = Duration::from_secs(40);

/// How it went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Expressions that told what they should.
    pub passed: u64,
    /// Those that did not.
    pub findings: Vec<String>,
}

impl Outcome {
    fn add(&mut self, name: &str, wrong: Option<String>) {
        match wrong {
            None => self.passed += 1,
            Some(wrong) => self.findings.push(format!("{name}: {wrong}")),
        }
    }
}

/// Runs it in `folder`.
///
/// *Errors*: what keeps it from working, a missing Prometheus among them.
pub async fn run(
    programs: &Programs,
    folder: &Path,
    prometheus: Option<PathBuf>,
) -> Result<Outcome> {
    let program = match prometheus {
        Some(program) => program,
        None => programs::cache()?.join("prometheus/usr/bin/prometheus"),
    };
    if !program.is_file() {
        bail!("{} is missing: build/prometheus.sh fetches it", program.display());
    }
    let mut members = process::cluster(programs, Kind::Engram, folder, 3, &[])?;
    for member in &mut members {
        member.start()?;
    }
    for member in &mut members {
        member.ready().await?;
    }
    let urls: Vec<String> = members.iter().map(|member| member.client_url().to_owned()).collect();
    let prometheus = Prometheus::start(&program, folder, &urls).await?;
    let mut outcome = Outcome::default();
    let streams = load(&urls).await?;
    look_at_panels(&prometheus, &urls, &mut outcome).await?;
    look_at_alerts(&prometheus, &mut outcome).await?;
    drop(streams);
    lose_members(&prometheus, members, &mut outcome).await?;
    Ok(outcome)
}

/// Streams that stay open beside the requests.
async fn load(urls: &[String]) -> Result<Vec<Open>> {
    let mut streams = Vec::new();
    for url in urls {
        let watch = r#"{"create_request":{"key":"bG9hZA=="}}"#;
        streams.push(Open::post(url, "/v3/watch", "", watch).await?);
        put(url).await?;
    }
    Ok(streams)
}

async fn put(url: &str) -> Result<()> {
    let body = br#"{"key":"bG9hZA==","value":"bG9hZA=="}"#;
    for _ in 0..5 {
        http::ask(url, "POST", "/v3/kv/put", "", body).await?;
    }
    Ok(())
}

async fn look_at_panels(
    prometheus: &Prometheus,
    urls: &[String],
    outcome: &mut Outcome,
) -> Result<()> {
    for (title, expression) in PANELS {
        let expression = filled(expression);
        let deadline = Instant::now() + DEADLINE;
        let wrong = loop {
            let samples = prometheus.query(&expression).await?;
            let finite = samples.iter().any(|sample| sample.value.is_finite());
            let good = finite && says_enough(title, &samples, urls.len());
            if good || Instant::now() > deadline {
                break (!good).then(|| format!("{samples:?} from {expression}"));
            }
            for url in urls {
                put(url).await?;
            }
            crate::pause::pause(10 * POLL).await;
        };
        outcome.add(title, wrong);
    }
    Ok(())
}

/// What is known of a panel's values in this cluster.
fn says_enough(title: &str, samples: &[Sample], members: usize) -> bool {
    let first = samples.first().map_or(0.0, |sample| sample.value);
    let each = samples.len() == members;
    match title {
        "Up" => first == members as f64,
        "Watch streams" => first == members as f64,
        "RPC rate" | "Proposals applied" | "Proposals committed" => first > 0.0,
        "DB size" | "Memory" | "WAL fsync" | "DB fsync" | "Client traffic in"
        | "Client traffic out" | "Peer traffic in" | "Peer traffic out" => {
            each && samples.iter().all(|sample| sample.value > 0.0)
        }
        _ => true,
    }
}

async fn look_at_alerts(prometheus: &Prometheus, outcome: &mut Outcome) -> Result<()> {
    for (name, left, condition, calm) in ALERTS {
        let whole = filled(&format!("{left} {condition}"));
        let fired = prometheus.query(&whole).await?;
        let wrong = (*calm == Calm::Quiet && !fired.is_empty())
            .then(|| format!("fires without a reason: {fired:?}"));
        // Minutes of history are needed for the one with a subquery.
        let seen = left.contains("[15m:1m]") || !prometheus.query(&filled(left)).await?.is_empty();
        outcome.add(name, wrong.or_else(|| (!seen).then(|| "looks at nothing".to_owned())));
    }
    Ok(())
}

/// One member gone is told as such; with two gone there is no leader.
async fn lose_members(
    prometheus: &Prometheus,
    mut members: Vec<Member>,
    outcome: &mut Outcome,
) -> Result<()> {
    members.remove(2).kill()?;
    fires(prometheus, "etcdMembersDown", outcome).await?;
    members.remove(1).kill()?;
    fires(prometheus, "etcdInsufficientMembers", outcome).await?;
    fires(prometheus, "etcdNoLeader", outcome).await
}

async fn fires(prometheus: &Prometheus, name: &str, outcome: &mut Outcome) -> Result<()> {
    let alert = ALERTS.iter().find(|alert| alert.0 == name);
    let Some((_, left, condition, _)) = alert else { bail!("no alert is called {name}") };
    let whole = filled(&format!("{left} {condition}"));
    let deadline = Instant::now() + DEADLINE;
    let mut fired = prometheus.query(&whole).await?;
    while fired.is_empty() && Instant::now() < deadline {
        crate::pause::pause(POLL).await;
        fired = prometheus.query(&whole).await?;
    }
    let wrong = fired.is_empty().then(|| "does not fire when it should".to_owned());
    outcome.add(&format!("{name} with members gone"), wrong);
    Ok(())
}
