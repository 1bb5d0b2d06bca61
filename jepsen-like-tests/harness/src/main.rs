//! The harness's command line: `diff`, and what follows it.
//!
//! Must not know: how a run works; it parses, runs and prints.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use engram_harness::process::{self, Kind, Member, Programs};
use engram_harness::{
    auth, bad_input, clients, ctl, diff, drills, etcdctl, gateway, metrics, opponents, rounds,
    silent, snapshots,
};
use programs::finish;

/// Random calls of a long run of `auth`.
const AUTH_REQUESTS: u64 = 600;

/// Breaks clusters of real binaries from outside and checks what their clients saw.
#[derive(Debug, Parser)]
#[command(name = "engram-harness")]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// Hold seeded conversations with the real etcd and with Engram.
    Diff {
        /// The first conversation's seed.
        #[arg(long, default_value_t = diff::STANDARD_SEED)]
        seed: u64,
        /// Conversations of each cell, each with a seed one higher and with fresh servers.
        #[arg(long, default_value_t = 1)]
        conversations: u64,
        /// Requests in each.
        #[arg(long, default_value_t = diff::STANDARD_REQUESTS)]
        requests: u64,
        #[command(flatten)]
        wanted: diff::cells::Wanted,
    },
    /// Hold a conversation with authentication on with the real etcd and with Engram.
    Auth {
        /// What the random calls are drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Random calls after the scripted ones, in each conversation; with fewer than this, not
        /// every method of JWTs.
        #[arg(long, default_value_t = AUTH_REQUESTS)]
        requests: u64,
    },
    /// Send bad input to the real etcd and to Engram.
    BadInput {
        /// Floods, connections and flipped bits: this many times what `make test` has.
        #[arg(long, default_value_t = 1)]
        scale: u32,
        /// Only the parts whose name holds this.
        #[arg(long)]
        only: Option<String>,
        /// Print the page of the cases, and nothing else.
        #[arg(long)]
        page: bool,
    },
    /// Give `engram ctl` and etcdctl the same command lines.
    Ctl,
    /// Hold the JSON gateway, the HTTP pages and gRPC's frames beside the real etcd's.
    Gateway {
        /// What the conversation is drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Requests in it.
        #[arg(long, default_value_t = 800)]
        requests: u64,
    },
    /// Let a real Prometheus evaluate etcd's alerts and dashboards over three members.
    Metrics {
        /// Where `build/prometheus.sh` put it; by default, where it puts it.
        #[arg(long)]
        prometheus: Option<std::path::PathBuf>,
    },
    /// Run unmodified client libraries against both.
    Clients {
        /// Only the libraries whose name contains this.
        #[arg(long)]
        only: Option<String>,
    },
    /// Run the same etcdctl command lines against both.
    Etcdctl {
        /// Only the sections whose name holds this.
        #[arg(long)]
        only: Option<String>,
    },
    /// Break three members under load, round by round.
    Rounds {
        /// What faults and load are drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many rounds.
        #[arg(long, default_value_t = 30)]
        rounds: u64,
    },
    /// Carry histories in files between the real etcd and Engram, and copy a running one.
    Snapshots {
        /// What the histories are drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Keys of a history.
        #[arg(long, default_value_t = 300)]
        keys: u64,
    },
    /// Add, promote, replace, remove and move members under load, drill by drill.
    Drills {
        /// What drills and load are drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many drills.
        #[arg(long, default_value_t = 8)]
        drills: u64,
    },
    /// Open connections that say nothing, over TCP and over TLS.
    Silent {
        /// How many of each.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
    },
    /// Measure beside the real etcd.
    Bench {
        /// Length of each window in seconds.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// Keys behind the pages.
        #[arg(long, default_value_t = 1_000_000)]
        keys: u64,
        /// Fail unless puts of 64 clients are at least this many times etcd's.
        #[arg(long)]
        put_ratio_min: Option<f64>,
        /// Fail unless pages are at least this many times etcd's.
        #[arg(long)]
        page_ratio_min: Option<f64>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("Error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments.suite)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(suite: Suite) -> Result<()> {
    let programs = Programs::find()?;
    match suite {
        Suite::Diff { seed, conversations, requests, wanted } => {
            let (mut passed, mut failed) = (0, 0);
            for plan in wanted.plans() {
                for seed in seed..seed + conversations {
                    let agree = diff::cells::converse(&programs, plan, (seed, requests)).await?;
                    passed += u64::from(agree);
                    failed += u64::from(!agree);
                }
            }
            finish("diff", passed, failed, "engram-harness diff")
        }
        Suite::Clients { only } => drive_clients(&programs, only.as_deref()).await,
        Suite::Auth { seed, requests } => authenticate(&programs, seed, requests).await,
        Suite::BadInput { page: true, .. } => {
            print!("{}", bad_input::page());
            Ok(())
        }
        Suite::BadInput { scale, only, .. } => {
            refuse(&programs, &bad_input::Plan { scale: scale.max(1), only }).await
        }
        Suite::Snapshots { seed, keys } => carry(&programs, snapshots::Plan { keys, seed }).await,
        Suite::Ctl => compare_ctl(&programs).await,
        Suite::Gateway { seed, requests } => over_http(&programs, seed, requests).await,
        Suite::Metrics { prometheus } => {
            let folder = tempfile::tempdir()?;
            let outcome = metrics::run(&programs, folder.path(), prometheus).await?;
            for finding in &outcome.findings {
                println!("  {finding}");
            }
            let failed = outcome.findings.len() as u64;
            finish("metrics", outcome.passed, failed, "engram-harness metrics")
        }
        Suite::Etcdctl { only } => transcribe(&programs, only.as_deref()).await,
        Suite::Silent { connections } => {
            let folder = tempfile::tempdir()?;
            let outcome = silent::run(&programs, folder.path(), connections).await?;
            for finding in &outcome.findings {
                println!("  {finding}");
            }
            let again = format!("engram-harness silent --connections {connections}");
            finish("silent", outcome.passed, outcome.findings.len() as u64, &again)
        }
        Suite::Rounds { seed, rounds } => break_cluster(&programs, seed, rounds).await,
        Suite::Drills { seed, drills } => drill_members(&programs, seed, drills).await,
        Suite::Bench { seconds, keys, put_ratio_min, page_ratio_min } => {
            let plan = opponents::Plan { seconds, keys };
            let folder = tempfile::tempdir()?;
            let table = opponents::run(&programs, folder.path(), plan).await?;
            let wanted =
                [("put, 64 clients", put_ratio_min), ("500-key page, 1 client", page_ratio_min)];
            let missed = wanted.iter().filter(|(name, least)| {
                let row = table.iter().find(|row| row.name == *name);
                least.zip(row).is_some_and(|(least, row)| row.ratio() < least)
            });
            let failed = missed.count();
            finish("bench", (table.len() - failed) as u64, failed as u64, "engram-harness bench")
        }
    }
}

async fn break_cluster(programs: &Programs, seed: u64, rounds: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let summary = rounds::run(programs, folder.path(), seed, rounds).await;
    tell(summary, folder, ("rounds", "--rounds"), seed, rounds)
}

/// Prints what a suite under load came to; the files of one that failed are kept.
fn tell(
    summary: Result<rounds::Summary>,
    folder: tempfile::TempDir,
    (suite, flag): (&str, &str),
    seed: u64,
    count: u64,
) -> Result<()> {
    if summary.as_ref().map_or(true, |summary| summary.failed > 0) {
        println!("the members' files and logs are kept in {}", folder.keep().display());
    }
    let summary = summary?;
    println!(
        "{suite} seed {seed}: {} operations answered, {} unknown, {} events checked, longest time \
         without an acknowledged write {} ms",
        summary.answered, summary.unknown, summary.events, summary.longest_gap_ms
    );
    let again = format!("engram-harness {suite} --seed {seed} {flag} {count}");
    finish(suite, summary.passed, summary.failed, &again)
}

async fn drive_clients(programs: &Programs, only: Option<&str>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let outcome = clients::run(programs, folder.path(), only).await?;
    for line in &outcome.failed {
        println!("FAILED: {line}");
    }
    finish("clients", outcome.passed, outcome.failed.len() as u64, "engram-harness clients")
}

async fn carry(programs: &Programs, plan: snapshots::Plan) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let outcome = snapshots::run(programs, folder.path(), plan).await?;
    for failed in &outcome.failed {
        println!("  {failed}");
    }
    let again = format!("engram-harness snapshots --seed {} --keys {}", plan.seed, plan.keys);
    finish("snapshots", outcome.passed, outcome.failed.len() as u64, &again)
}

/// One conversation for each kind of token, one with three members, and the methods of JWTs.
async fn authenticate(programs: &Programs, seed: u64, requests: u64) -> Result<()> {
    let plans = [(1, auth::Tokens::Simple), (1, auth::Tokens::Jwt), (3, auth::Tokens::Simple)];
    let mut failed = 0;
    for plan in plans {
        let folder = tempfile::tempdir()?;
        let outcome = auth::run(programs, folder.path(), plan, (seed, requests)).await?;
        let (members, tokens) = plan;
        println!("auth seed {seed}, {members} member(s), {tokens:?}: {} calls", outcome.calls);
        for finding in &outcome.findings {
            println!("  {finding}");
        }
        failed += u64::from(!outcome.findings.is_empty());
    }
    let conversations = plans.len() as u64 - failed;
    let folder = tempfile::tempdir()?;
    let short = requests < AUTH_REQUESTS;
    let (compared, findings) = auth::jwt::run(programs, folder.path(), short).await?;
    println!("auth: {compared} tokens shown to both");
    findings.iter().for_each(|finding| println!("  {finding}"));
    let wrong = findings.len() as u64;
    let again = format!("engram-harness auth --seed {seed} --requests {requests}");
    finish("auth", conversations + compared.saturating_sub(wrong), failed + wrong, &again)
}

async fn drill_members(programs: &Programs, seed: u64, drills: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let summary = drills::run(programs, folder.path(), seed, drills).await;
    tell(summary, folder, ("drills", "--drills"), seed, drills)
}

async fn refuse(programs: &Programs, plan: &bad_input::Plan) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let outcome = bad_input::run(programs, folder.path(), plan).await;
    if outcome.as_ref().map_or(true, |outcome| !outcome.findings.is_empty()) {
        println!("the members' files and logs are kept in {}", folder.keep().display());
    }
    let outcome = outcome?;
    for finding in &outcome.findings {
        println!("  {finding}");
    }
    finish("bad-input", outcome.passed, outcome.findings.len() as u64, "engram-harness bad-input")
}

/// Each program has a fresh etcd of its own for each format, so that both see the same past.
async fn compare_ctl(programs: &Programs) -> Result<()> {
    let etcdctl = programs.peers.join("etcdctl");
    let (mut passed, mut failed) = (0, 0);
    for format in ["simple", "json", "fields", "protobuf"] {
        let folder = tempfile::tempdir()?;
        let mut members = Vec::new();
        for side in ["theirs", "ours"] {
            let folder = folder.path().join(side);
            std::fs::create_dir_all(&folder)?;
            let unsynced = ["--unsafe-no-fsync"];
            let mut member =
                process::cluster(programs, Kind::Etcd, &folder, 1, &unsynced)?.remove(0);
            member.start()?;
            member.ready().await?;
            members.push(member);
        }
        let theirs = (etcdctl.as_path(), members[0].client_url());
        let ours = (programs.engram.as_path(), members[1].client_url());
        let (alike, findings) = ctl::run(theirs, ours, format).await?;
        findings.iter().for_each(|finding| println!("  {finding}"));
        passed += alike as u64;
        failed += findings.len() as u64;
    }
    let (there, missing) = ctl::verbs::run(&etcdctl, &programs.engram).await?;
    missing.iter().for_each(|missing| println!("  engram ctl does not have: {missing}"));
    passed += there;
    failed += missing.len() as u64;
    for kind in [Kind::Etcd, Kind::Engram] {
        let folder = tempfile::tempdir()?;
        let findings = ctl::sessions::run(programs, folder.path(), kind).await?;
        findings.iter().for_each(|finding| println!("  {kind:?}: {finding}"));
        passed += ctl::sessions::COUNT - findings.len() as u64;
        failed += findings.len() as u64;
    }
    let folder = tempfile::tempdir()?;
    match ctl::replace::run(programs, folder.path()).await {
        Ok(findings) if findings.is_empty() => passed += 1,
        Ok(findings) => {
            findings.iter().for_each(|finding| println!("  member replace: {finding}"));
            failed += 1;
        }
        Err(error) => {
            println!("  member replace: {error:#}");
            failed += 1;
        }
    }
    finish("ctl", passed, failed, "engram-harness ctl")
}

async fn over_http(programs: &Programs, seed: u64, requests: u64) -> Result<()> {
    let (plain, guarded) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let plain = pair(programs, plain.path()).await?;
    let guarded = pair_with(programs, guarded.path(), gateway::GUARDED).await?;
    fn urls(pair: &[Member; 2]) -> gateway::Pair<'_> {
        [pair[0].client_url(), pair[1].client_url()]
    }
    let outcome = gateway::run(urls(&plain), urls(&guarded), seed, requests).await?;
    for finding in &outcome.findings {
        println!("  {finding}");
    }
    let again = format!("engram-harness gateway --seed {seed} --requests {requests}");
    finish("gateway", outcome.passed, outcome.findings.len() as u64, &again)
}

async fn transcribe(programs: &Programs, only: Option<&str>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [etcd, engram] = pair(programs, folder.path()).await?;
    let etcdctl = programs.peer("etcdctl");
    let outcome =
        etcdctl::run(&etcdctl, &folder.path().join("lines"), [&etcd, &engram], only).await?;
    print!("{}", outcome.text);
    println!("{} lines differ where a row accepts it", outcome.accepted);
    finish("etcdctl", outcome.passed, outcome.failed, "engram-harness etcdctl")
}

/// A fresh member of each kind, ready.
async fn pair(programs: &Programs, folder: &Path) -> Result<[Member; 2]> {
    pair_with(programs, folder, &[]).await
}

/// The same with more flags.
async fn pair_with(programs: &Programs, folder: &Path, flags: &[&str]) -> Result<[Member; 2]> {
    let (theirs, ours) = (folder.join("etcd"), folder.join("engram"));
    std::fs::create_dir_all(&theirs)?;
    std::fs::create_dir_all(&ours)?;
    let unsynced = [&["--unsafe-no-fsync"], flags].concat();
    let mut etcd = process::cluster(programs, Kind::Etcd, &theirs, 1, &unsynced)?.remove(0);
    let mut engram = process::cluster(programs, Kind::Engram, &ours, 1, flags)?.remove(0);
    for member in [&mut etcd, &mut engram] {
        member.start()?;
        member.ready().await?;
    }
    Ok([etcd, engram])
}
