//! `check perf` and `check datascale`: etcdctl's loads and its limits for a verdict.
//!
//! Invariants: the keys written lie below one prefix that was empty before and is emptied again,
//! also when the check is interrupted; a check with keys of somebody else below it is refused.
//!
//! Must not know: what the server is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use futures::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use proto::etcdserverpb as pb;
use rand::Rng as _;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tokio::signal::unix::{SignalKind, signal};

use super::global::Global;
use super::observe::Metrics;
use super::range::prefix_end;
use super::show::{self, Object, notice};
use crate::ToolError;
use crate::catalogue::Id;
use crate::wire;

/// The verbs of `check`.
#[derive(Debug, Subcommand)]
pub(crate) enum Check {
    /// Write at a fixed rate for a minute and judge throughput and latency.
    Perf(Load),
    /// Write many keys and tell how much memory the first endpoint needs for them.
    Datascale(Load),
}

/// Options of both.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// How hard: s, m, l or xl.
    #[arg(long, default_value = "s")]
    load: Size,
    /// Where the check's keys are written.
    #[arg(long)]
    prefix: Option<String>,
    /// Compact behind the check.
    #[arg(long)]
    auto_compact: bool,
    /// Defragment the endpoints behind the check.
    #[arg(long)]
    auto_defrag: bool,
    /// Length of `check perf` in place of a minute: a shorter one proves less.
    #[arg(long, default_value = "60s", value_parser = show::figures::parse_duration)]
    duration: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Size {
    #[value(alias = "small")]
    S,
    #[value(alias = "medium")]
    M,
    #[value(alias = "large")]
    L,
    #[value(alias = "xLarge")]
    Xl,
}

/// Connections that the clients share; each carries many requests at once.
const CONNECTIONS: usize = 16;

/// etcdctl's limits: a slower slowest write, or a wider spread, fails.
const SLOWEST_MAX_S: f64 = 0.5;
const SPREAD_MAX_S: f64 = 0.1;

impl Size {
    /// Writes a second and clients of `check perf`.
    fn pace(self) -> (u64, usize) {
        match self {
            Self::S => (150, 50),
            Self::M => (1_000, 200),
            Self::L => (8_000, 500),
            Self::Xl => (15_000, 1_000),
        }
    }

    /// Keys and clients of `check datascale`.
    fn keys(self) -> (u64, usize) {
        match self {
            Self::S => (10_000, 50),
            Self::M => (100_000, 200),
            Self::L => (1_000_000, 500),
            Self::Xl => (3_000_000, 1_000),
        }
    }
}

/// What the clients did.
#[derive(Debug, Default)]
struct Seen {
    latencies_s: Vec<f64>,
    errors: Vec<String>,
    took_s: f64,
}

/// What all clients of a check share.
struct Plan<'a> {
    prefix: &'a str,
    key_bytes: usize,
    value_bytes: usize,
    clients: usize,
    /// Writes in all.
    writes: u64,
    /// Writes a second; none is as fast as it goes.
    pace: Option<u64>,
}

pub(crate) async fn run(global: &Global, check: Check) -> Result<(), ToolError> {
    let (load, default_prefix, is_perf) = match check {
        Check::Perf(load) => (load, "/etcdctl-check-perf/", true),
        Check::Datascale(load) => (load, "/etcdctl-check-datascale/", false),
    };
    let prefix = load.prefix.clone().unwrap_or_else(|| default_prefix.to_owned());
    refuse_used(global, &prefix).await?;
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let work = async {
        if is_perf {
            perf(global, &load, &prefix).await
        } else {
            scale(global, &load, &prefix).await
        }
    };
    let outcome = tokio::select! {
        ended = work => ended,
        _ = interrupt.recv() => Err(ToolError::of(Id::Exec, "interrupted")),
        _ = terminate.recv() => Err(ToolError::of(Id::Exec, "interrupted")),
    };
    clean_up(global, &prefix, load.auto_compact).await?;
    if load.auto_defrag {
        for endpoint in &global.endpoints {
            let mut client = MaintenanceClient::new(global.channel_to(endpoint).await?);
            client.defragment(pb::DefragmentRequest {}).await?;
        }
    }
    outcome
}

async fn refuse_used(global: &Global, prefix: &str) -> Result<(), ToolError> {
    let request = pb::RangeRequest {
        key: prefix.to_owned().into(),
        range_end: prefix_end(prefix.as_bytes()).into(),
        limit: 1,
        keys_only: true,
        ..pb::RangeRequest::default()
    };
    let answer = global.kv().await?.range(request).await?.into_inner();
    if prefix.is_empty() || !answer.kvs.is_empty() {
        let text = format!(
            "prefix {prefix:?} has keys: delete them first with `engram ctl del --prefix {prefix}`"
        );
        return Err(ToolError::of(Id::Input, text));
    }
    Ok(())
}

async fn clean_up(global: &Global, prefix: &str, compact: bool) -> Result<(), ToolError> {
    let mut patient = global.clone();
    patient.dialing.request_timeout = Some(Duration::from_secs(30));
    let mut client = patient.kv().await?;
    let request = pb::DeleteRangeRequest {
        key: prefix.to_owned().into(),
        range_end: prefix_end(prefix.as_bytes()).into(),
        prev_kv: false,
    };
    let answer = client.delete_range(request).await?.into_inner();
    if compact {
        let revision = answer.header.map_or(0, |header| header.revision);
        client.compact(pb::CompactionRequest { revision, physical: true }).await?;
        notice(format!("compacted revision {revision}"));
    }
    Ok(())
}

async fn perf(global: &Global, load: &Load, prefix: &str) -> Result<(), ToolError> {
    let (pace, clients) = load.load.pace();
    let writes = (pace as f64 * load.duration.as_secs_f64()).ceil() as u64;
    let plan =
        Plan { prefix, key_bytes: 256, value_bytes: 1024, clients, writes, pace: Some(pace) };
    let seen = write(global, &plan).await?;
    let figures = Figures::of(&seen);
    let passed = figures.verdict(pace, &seen.errors);
    if global.output.format.is_whole() {
        global.output.document(
            &Object::new()
                .with("passed", passed.is_empty())
                .with("writes_per_s", figures.per_s)
                .with("slowest_s", figures.slowest_s)
                .with("spread_s", figures.spread_s)
                .with("errors", seen.errors.len())
                .into(),
        )?;
    } else {
        show::line(format!("throughput  {:.0} writes/s of {pace} asked for", figures.per_s))?;
        show::line(format!("slowest     {:.6} s, at most {SLOWEST_MAX_S} s", figures.slowest_s))?;
        show::line(format!("spread      {:.6} s, at most {SPREAD_MAX_S} s", figures.spread_s))?;
        passed.iter().try_for_each(|why| show::line(format!("FAIL: {why}")))?;
        show::line(if passed.is_empty() { "PASS" } else { "FAIL" })?;
    }
    if passed.is_empty() { Ok(()) } else { Err(ToolError::Verdict(1)) }
}

async fn scale(global: &Global, load: &Load, prefix: &str) -> Result<(), ToolError> {
    let (writes, clients) = load.load.keys();
    let before = memory_bytes(global).await?;
    notice(format!("writing {writes} pairs of 1024 bytes with {clients} clients"));
    let plan = Plan { prefix, key_bytes: 512, value_bytes: 512, clients, writes, pace: None };
    let seen = write(global, &plan).await?;
    let used = memory_bytes(global).await? - before;
    if let Some(error) = seen.errors.first() {
        show::line(format!("FAIL: {} writes failed, the first with: {error}", seen.errors.len()))?;
        return Err(ToolError::Verdict(1));
    }
    global.output.say(
        || Object::new().with("passed", true).with("memory_bytes", used).into(),
        || format!("PASS: Approximate system memory used : {:.2} MB.", used / f64::from(1 << 20)),
    )
}

async fn memory_bytes(global: &Global) -> Result<f64, ToolError> {
    let endpoint = global.endpoints.first().map(String::as_str).unwrap_or_default();
    let page = wire::get(&global.dialing, endpoint, "/metrics", global.command_timeout).await?;
    Metrics::parse(&page.body).sum("process_resident_memory_bytes").ok_or_else(|| {
        let text = format!("{endpoint} has no process_resident_memory_bytes at /metrics");
        ToolError::of(Id::Unimplemented, text)
    })
}

async fn write(global: &Global, plan: &Plan<'_>) -> Result<Seen, ToolError> {
    let mut wires = Vec::new();
    for _ in 0..CONNECTIONS.min(plan.clients) {
        wires.push(global.channel().await?);
    }
    let bar = ProgressBar::new(plan.writes);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    let next = AtomicU64::new(0);
    let began = tokio::time::Instant::now();
    let clients = (0..plan.clients).map(|client| {
        let mut kv = global.kv_on(wires[client % wires.len()].clone());
        let (next, bar) = (&next, &bar);
        async move {
            let (mut latencies_s, mut errors) = (Vec::new(), Vec::new());
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= plan.writes {
                    return (latencies_s, errors);
                }
                if let Some(pace) = plan.pace {
                    // Each write has its time, so that a slow one does not slow the others.
                    let due = Duration::from_secs_f64(at as f64 / pace as f64);
                    tokio::time::sleep_until(began + due).await;
                }
                let sent = Instant::now();
                match kv.put(plan.request()).await {
                    Ok(_) => latencies_s.push(sent.elapsed().as_secs_f64()),
                    Err(status) => errors.push(status.message().to_owned()),
                }
                bar.inc(1);
            }
        }
    });
    let done = join_all(clients).await;
    bar.finish_and_clear();
    let mut seen = Seen { took_s: began.elapsed().as_secs_f64(), ..Seen::default() };
    for (latencies_s, errors) in done {
        seen.latencies_s.extend(latencies_s);
        seen.errors.extend(errors);
    }
    Ok(seen)
}

impl Plan<'_> {
    fn request(&self) -> pb::PutRequest {
        let mut key = self.prefix.as_bytes().to_vec();
        let id = rand::rng().random::<u64>().to_be_bytes();
        key.extend_from_slice(&id);
        key.resize(self.prefix.len() + self.key_bytes, 0);
        pb::PutRequest {
            key: key.into(),
            value: vec![0; self.value_bytes].into(),
            ..pb::PutRequest::default()
        }
    }
}

/// What is judged.
#[derive(Debug)]
struct Figures {
    per_s: f64,
    slowest_s: f64,
    /// The standard deviation.
    spread_s: f64,
}

impl Figures {
    fn of(seen: &Seen) -> Self {
        let count = seen.latencies_s.len().max(1) as f64;
        let mean = seen.latencies_s.iter().sum::<f64>() / count;
        let squares = seen.latencies_s.iter().map(|latency| (latency - mean).powi(2));
        Self {
            per_s: seen.latencies_s.len() as f64 / seen.took_s.max(1e-9),
            slowest_s: seen.latencies_s.iter().copied().fold(0.0, f64::max),
            spread_s: (squares.sum::<f64>() / count).sqrt(),
        }
    }

    /// Why it fails; nothing when it passes.
    fn verdict(&self, pace: u64, errors: &[String]) -> Vec<String> {
        let mut why = Vec::new();
        if let Some(error) = errors.first() {
            why.push(format!("{} writes failed, the first with: {error}", errors.len()));
        }
        if self.per_s / pace as f64 <= 0.9 {
            why.push("throughput too low".to_owned());
        }
        if self.slowest_s > SLOWEST_MAX_S {
            why.push("slowest request took too long".to_owned());
        }
        if self.spread_s > SPREAD_MAX_S {
            why.push("spread too wide".to_owned());
        }
        why
    }
}

#[cfg(test)]
mod tests {
    use super::{Figures, Seen};

    #[test]
    fn the_limits_are_etcdctls() {
        let seen = |latencies_s: Vec<f64>| {
            Figures::of(&Seen { latencies_s, errors: Vec::new(), took_s: 1.0 })
        };
        let quick = seen(vec![0.01; 100]);
        assert!(quick.verdict(100, &[]).is_empty());
        assert_eq!(quick.verdict(200, &[]).len(), 1, "too few");
        assert_eq!(quick.verdict(100, &["no".into()]).len(), 1, "errors");
        let slow = seen([vec![0.01; 50], vec![0.6; 50]].concat());
        assert_eq!(slow.verdict(100, &[]).len(), 2, "slowest and spread");
    }
}
