//! The benchmark beside the real etcd: both servers in one run, etcd's windows around ours (A/B/A).
//!
//! The same client program loads both, as a process of its own, so that a client's cost is no
//! server's. Both sync each commit; etcd runs with its default flags but for the quota.
//!
//! Invariants: a ratio is taken of windows of one run; etcd's figure is the mean of its two
//! windows, and their spread is shown, so that a noisy machine is seen.
//!
//! Must not know: how either server works.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process::{self, Kind, Member, Programs};

/// etcd's default quota is below what a million keys need.
const QUOTA: &str = "--quota-backend-bytes=8589934592";

/// How long and how much.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Length of each window in seconds.
    pub seconds: f64,
    /// Keys behind the pages.
    pub keys: u64,
}

/// One line of the table.
#[derive(Debug)]
struct Row {
    name: &'static str,
    workload: &'static str,
    clients: usize,
    connections: usize,
}

const ROWS: &[Row] = &[
    Row { name: "put, 1 client", workload: "put", clients: 1, connections: 1 },
    Row { name: "put, 64 clients", workload: "put", clients: 64, connections: 8 },
    Row { name: "put, 256 clients", workload: "put", clients: 256, connections: 16 },
    Row { name: "compare-and-swap, 64 clients", workload: "cas", clients: 64, connections: 8 },
    Row { name: "linearizable get, 64 clients", workload: "get", clients: 64, connections: 8 },
    Row { name: "linearizable get, 256 clients", workload: "get", clients: 256, connections: 16 },
    Row { name: "500-key page, 1 client", workload: "page", clients: 1, connections: 1 },
];

/// What the client program prints; see `engram bench --json`.
#[derive(Debug, Clone, Deserialize)]
struct Report {
    operations: u64,
    errors: u64,
    operations_per_second: f64,
    p50_us: u64,
    p99_us: u64,
    server_cpu_us_per_operation: f64,
}

/// A row's three windows.
#[derive(Debug)]
pub struct Measured {
    /// The row's name.
    pub name: &'static str,
    before: Report,
    ours: Report,
    after: Report,
}

impl Measured {
    /// Engram's operations per second over etcd's mean.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ours.operations_per_second / self.etcd(|report| report.operations_per_second)
    }

    fn etcd(&self, figure: impl Fn(&Report) -> f64) -> f64 {
        f64::midpoint(figure(&self.before), figure(&self.after))
    }

    /// The line of the table.
    fn line(&self) -> String {
        let spread =
            (self.before.operations_per_second / self.after.operations_per_second - 1.0).abs();
        format!(
            "| {:<30} | {:>9.0} | {:>9.0} | {:>6.2} | {:>7.1} | {:>7.1} | {:>7} | {:>7} | {:>7} | {:>7} | {:>5.0} % |",
            self.name,
            self.etcd(|report| report.operations_per_second),
            self.ours.operations_per_second,
            self.ratio(),
            self.etcd(|report| report.server_cpu_us_per_operation),
            self.ours.server_cpu_us_per_operation,
            self.etcd(|report| report.p50_us as f64).round(),
            self.ours.p50_us,
            self.etcd(|report| report.p99_us as f64).round(),
            self.ours.p99_us,
            spread * 100.0
        )
    }
}

/// Runs all rows in `folder` and prints the table as it grows.
pub async fn run(programs: &Programs, folder: &Path, plan: Plan) -> Result<Vec<Measured>> {
    let (theirs, ours) = (folder.join("etcd"), folder.join("engram"));
    std::fs::create_dir_all(&theirs)?;
    std::fs::create_dir_all(&ours)?;
    let mut etcd = process::cluster(programs, Kind::Etcd, &theirs, 1, &[QUOTA])?.remove(0);
    let mut engram = process::cluster(programs, Kind::Engram, &ours, 1, &[QUOTA])?.remove(0);
    for member in [&mut etcd, &mut engram] {
        member.start()?;
        member.ready().await?;
    }
    println!(
        "one member each, 48-byte keys, 256-byte values, windows of {} s, {} keys; ratio = engram / etcd",
        plan.seconds, plan.keys
    );
    let fill = Row { name: "fill", workload: "fill", clients: 32, connections: 4 };
    for (name, member) in [("etcd", &etcd), ("engram", &engram)] {
        let report = load(programs, member, &fill, plan)?;
        println!(
            "fill {name}: {:.0} keys/s, {:.1} us of server CPU per key",
            report.operations_per_second, report.server_cpu_us_per_operation
        );
    }
    println!(
        "| {:<30} | {:>9} | {:>9} | {:>6} | {:>7} | {:>7} | {:>7} | {:>7} | {:>7} | {:>7} | {:>7} |",
        "",
        "etcd/s",
        "engram/s",
        "ratio",
        "etcd",
        "engram",
        "etcd",
        "engram",
        "etcd",
        "engram",
        "etcd"
    );
    println!(
        "| {:<30} | {:>9} | {:>9} | {:>6} | {:>17} | {:>17} | {:>17} | {:>7} |",
        "", "", "", "", "server CPU us/op", "p50 us", "p99 us", "A to A"
    );
    let mut table = Vec::new();
    for row in ROWS {
        let measured = Measured {
            name: row.name,
            before: load(programs, &etcd, row, plan)?,
            ours: load(programs, &engram, row, plan)?,
            after: load(programs, &etcd, row, plan)?,
        };
        println!("{}", measured.line());
        table.push(measured);
    }
    Ok(table)
}

fn load(programs: &Programs, member: &Member, row: &Row, plan: Plan) -> Result<Report> {
    let pid = member.pid().context("the member does not run")?;
    let output = Command::new(&programs.engram)
        .args(["bench", row.workload, "--json"])
        .arg(format!("--endpoints={}", member.client_url()))
        .arg(format!("--clients={}", row.clients))
        .arg(format!("--connections={}", row.connections))
        .arg(format!("--seconds={}", plan.seconds))
        .arg(format!("--warmup-seconds={}", (plan.seconds / 5.0).min(1.0)))
        .arg(format!("--keys={}", plan.keys))
        .arg(format!("--server-pids={pid}"))
        .output()
        .context("starting the load")?;
    if !output.status.success() {
        bail!("the load failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let report: Report = serde_json::from_slice(&output.stdout).context("the load's report")?;
    if report.errors > 0 || report.operations == 0 {
        bail!("{} operations and {} errors in {}", report.operations, report.errors, row.name);
    }
    Ok(report)
}
