//! The command line of the Kubernetes harness: `diff`, and what follows it.
//!
//! Must not know: how a run works; it parses, runs and prints.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use engram_kubernetes_harness::diff::conversation::Conversation;
use engram_kubernetes_harness::diff::{self, bad_input, report::Report};
use engram_kubernetes_harness::process::{self, Programs};
use engram_kubernetes_harness::sides::{Api, Side, Store};
use engram_kubernetes_harness::{bench, control_plane, kubectl, record, swap, walk};
use programs::finish;

/// Holds the same conversations with the real Kubernetes programs and with ours.
#[derive(Debug, Parser)]
#[command(name = "engram-kubernetes")]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// Hold the same conversations with the real kube-apiserver and with ours.
    Diff {
        /// What the random conversations are drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Random requests, after the scripted ones.
        #[arg(long, default_value_t = 800)]
        random: usize,
        /// Only the scenarios whose name contains this.
        #[arg(long)]
        only: Option<String>,
        #[command(flatten)]
        against: Against,
    },
    /// Run the same kubectl command lines against both.
    Kubectl {
        /// Only the sections whose name contains this.
        #[arg(long)]
        only: Option<String>,
        /// Who keeps what is declared, on both sides, in the sections that need controllers.
        #[arg(long, value_enum, default_value = "ours")]
        controllers: Controllers,
        #[command(flatten)]
        against: Against,
    },
    /// Run the short walk in every combination of real parts and ours.
    Swap {
        /// Only the cells whose name contains this.
        #[arg(long)]
        only: Option<String>,
    },
    /// Walk through a Deployment's life on three members, with the leader killed in the middle.
    Walk {
        /// Which API servers.
        #[arg(long, value_enum, default_value = "ours")]
        against: Who,
        /// The store under them.
        #[arg(long, value_enum, default_value = "engram")]
        store: Under,
    },
    /// Run the real control plane on three members of the real etcd, then of ours.
    ControlPlane {
        /// ConfigMaps; the leader is killed in their middle.
        #[arg(long, default_value_t = 500)]
        maps: usize,
        /// Replicas of the Deployment.
        #[arg(long, default_value_t = 5)]
        replicas: usize,
        /// More flags of kube-apiserver, for both.
        #[arg(long, allow_hyphen_values = true)]
        flag: Vec<String>,
    },
    /// Measure beside the real kube-apiserver on the real etcd.
    Bench {
        /// ConfigMaps created at the same time.
        #[arg(long, default_value_t = 1_000)]
        created: usize,
        /// Clients that create them.
        #[arg(long, default_value_t = 50)]
        clients: usize,
        /// ConfigMaps that are listed.
        #[arg(long, default_value_t = 10_000)]
        listed: usize,
        /// Watchers of one resource.
        #[arg(long, default_value_t = 500)]
        watchers: usize,
        /// Replicas of the Deployment.
        #[arg(long, default_value_t = 500)]
        replicas: usize,
    },
    /// Record anew what the real kube-apiserver answers to the cases of the kinds.
    Record {
        /// The folder of the recordings.
        #[arg(default_value = "objects/apiserver/src/kinds/golden")]
        folder: PathBuf,
        /// Write nothing; fail where an answer is not the recorded one.
        #[arg(long)]
        check: bool,
    },
    /// Print the page of differences that the documents hold.
    Page,
    /// Send bad input to both.
    BadInput {
        /// Only the cases whose name contains this.
        #[arg(long)]
        only: Option<String>,
        #[command(flatten)]
        against: Against,
    },
}

/// What is compared with the real kube-apiserver, and how the findings are shown.
#[derive(Debug, Args)]
struct Against {
    /// Ours, or the real one once more: then there must be no difference at all.
    #[arg(long, value_enum, default_value = "ours")]
    against: Who,
    /// The store under it.
    #[arg(long, value_enum, default_value = "etcd")]
    store: Under,
    /// Groups of differences that are printed.
    #[arg(long, default_value_t = 25)]
    groups: usize,
    /// Show what the accepted rows cover as well, and count it as different.
    #[arg(long)]
    accepted: bool,
    /// A file that all groups are written to.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Who {
    Real,
    Ours,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Under {
    Etcd,
    Engram,
}

#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Controllers {
    /// No one: sections that need them are left out.
    None,
    Ours,
}

impl Under {
    fn store(self) -> Store {
        match self {
            Under::Etcd => Store::Etcd,
            Under::Engram => Store::Engram,
        }
    }
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
    if matches!(suite, Suite::Page) {
        print!("{}", diff::accepted::page()?);
        return Ok(());
    }
    let programs = process::find()?;
    match suite {
        Suite::Page => Ok(()),
        Suite::Diff { seed, random, only, against } => {
            converse(&programs, seed, random, only.as_deref(), &against).await
        }
        Suite::Kubectl { only, controllers, against } => {
            transcribe(&programs, only.as_deref(), controllers, &against).await
        }
        Suite::Swap { only } => swap_cells(&programs, only.as_deref()).await,
        Suite::Walk { against, store } => walk_through(&programs, against, store).await,
        Suite::ControlPlane { maps, replicas, flag } => {
            let folder = tempfile::tempdir()?;
            let plan = control_plane::Plan { maps, replicas, flags: flag };
            let walked = control_plane::run(&programs, folder.path(), &plan).await?;
            judge("control plane", &walked, "engram-kubernetes control-plane")
        }
        Suite::Bench { created, clients, listed, watchers, replicas } => {
            let plan = bench::Plan { created, clients, listed, watchers, replicas };
            let folder = tempfile::tempdir()?;
            let rows = bench::run(&programs, folder.path(), plan).await?;
            finish("Kubernetes bench", rows.len() as u64, 0, "engram-kubernetes bench")
        }
        Suite::Record { folder, check } => record_answers(&programs, &folder, check).await,
        Suite::BadInput { only, against } => refuse(&programs, only.as_deref(), &against).await,
    }
}

/// The real one, and what it is compared with.
async fn pair(
    programs: &Programs,
    folder: &std::path::Path,
    against: &Against,
) -> Result<(Side, Side)> {
    let api = if against.against == Who::Ours { Api::Ours } else { Api::Real };
    let store = against.store.store();
    tokio::try_join!(
        Side::start(programs, folder, "real", Api::Real, Store::Etcd, &[]),
        Side::start(programs, folder, "other", api, store, &[]),
    )
}

async fn converse(
    programs: &Programs,
    seed: u64,
    random: usize,
    only: Option<&str>,
    against: &Against,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (theirs, ours) = pair(programs, folder.path(), against).await?;
    let mut held = Conversation::new(&theirs.client, &ours.client);
    held.report.shows_accepted = against.accepted;
    held.begin().await?;
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    let (mut passed, mut failed) = (0_u64, 0_u64);
    for scenario in diff::scenarios(seed, random)?.iter().filter(|it| wanted(&it.name)) {
        let before = held.report.unaccepted();
        if let Err(error) = held.hold(scenario).await {
            bail!("{}: {error:#}\n{}", scenario.name, ours.logs());
        }
        let agree = held.report.unaccepted() == before;
        passed += u64::from(agree);
        failed += u64::from(!agree);
    }
    println!("diff seed {seed}: {} requests, {} watch events", held.requests, held.events);
    show(&held.report, against, only.is_none() && random > 0)?;
    let again = format!("engram-kubernetes diff --seed {seed} --random {random}");
    finish("Kubernetes conversations", passed, failed, &again)
}

async fn refuse(programs: &Programs, only: Option<&str>, against: &Against) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (theirs, ours) = pair(programs, folder.path(), against).await?;
    let mut held = Conversation::new(&theirs.client, &ours.client);
    held.report.shows_accepted = against.accepted;
    held.begin().await?;
    held.hold(&bad_input::preparation()).await?;
    let (mut passed, mut failed) = (0, 0);
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    for case in bad_input::cases()?.iter().filter(|it| wanted(&it.name)) {
        let before = held.report.unaccepted();
        if let Err(error) = held.hold(case).await {
            println!("{}: {error:#}", case.name);
            failed += 1;
            continue;
        }
        let agree = held.report.unaccepted() == before;
        passed += u64::from(agree);
        failed += u64::from(!agree);
    }
    show(&held.report, against, false)?;
    finish("Kubernetes bad input", passed, failed, "engram-kubernetes bad-input")
}

async fn record_answers(programs: &Programs, golden: &Path, check: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let side = Side::start(programs, folder.path(), "real", Api::Real, Store::Etcd, &[]).await?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(golden)
        .with_context(|| golden.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let (mut cases, mut changed) = (0, 0);
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let recorded = record::record(&side.client, &text)
            .await
            .with_context(|| format!("{}\n{}", file.display(), side.logs()))?;
        for line in &recorded.changed {
            println!("{}: {line}", file.display());
        }
        if !check {
            std::fs::write(&file, &recorded.text)?;
        }
        cases += recorded.cases;
        changed += recorded.changed.len() as u64;
    }
    if check {
        return finish("recorded answers", cases - changed, changed, "engram-kubernetes record");
    }
    println!("{cases} answers recorded, {changed} of them not those that were there");
    Ok(())
}

async fn transcribe(
    programs: &Programs,
    only: Option<&str>,
    controllers: Controllers,
    against: &Against,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut theirs, mut ours) = pair(programs, folder.path(), against).await?;
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    let mut transcript = kubectl::transcript(&programs.peer("kubectl"), &theirs, &ours);
    let sections = kubectl::script()?;
    let (with, without): (Vec<_>, Vec<_>) = sections
        .iter()
        .filter(|section| wanted(&section.name))
        .partition(|section| kubectl::needs_controllers(section));
    for section in without {
        transcript.run(section).await?;
    }
    if controllers == Controllers::Ours && !with.is_empty() {
        for side in [&mut theirs, &mut ours] {
            side.start_our_controllers(programs, &[])?;
        }
        for section in with {
            transcript.run(section).await?;
        }
    }
    let outcome = transcript.outcome;
    print!("{}", outcome.text);
    if let Some(path) = &against.report {
        std::fs::write(path, &outcome.text)?;
    }
    println!("{} lines differ where a row accepts it", outcome.accepted);
    finish("kubectl transcripts", outcome.passed, outcome.failed, "engram-kubernetes kubectl")
}

async fn swap_cells(programs: &Programs, only: Option<&str>) -> Result<()> {
    let (mut passed, mut failed) = (0, 0);
    for cell in swap::CELLS.iter().filter(|it| only.is_none_or(|only| it.name.contains(only))) {
        let folder = tempfile::tempdir()?;
        match swap::run(programs, folder.path(), cell).await {
            Ok(steps) => {
                println!("{}: {steps}", cell.name);
                passed += 1;
            }
            Err(error) => {
                println!("{}: FAILED: {error:#}", cell.name);
                failed += 1;
            }
        }
    }
    finish("swap cells", passed, failed, "engram-kubernetes swap")
}

async fn walk_through(programs: &Programs, against: Who, store: Under) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let api = if against == Who::Ours { Api::Ours } else { Api::Real };
    let walked = walk::run(programs, folder.path(), api, store.store()).await?;
    judge("walk", &walked, "engram-kubernetes walk")
}

/// Prints what held and what did not.
fn judge(suite: &str, walked: &walk::Walked, again: &str) -> Result<()> {
    for line in &walked.passed {
        println!("held: {line}");
    }
    for line in &walked.failed {
        println!("FAILED: {line}");
    }
    let (passed, failed) = (walked.passed.len() as u64, walked.failed.len() as u64);
    finish(suite, passed, failed, again)
}

fn show(report: &Report, against: &Against, whole: bool) -> Result<()> {
    print!("{}", report.text(against.groups));
    if let Some(path) = &against.report {
        std::fs::write(path, report.text(usize::MAX))?;
    }
    println!(
        "{} groups of differences, {} differences accepted by {} rows, {} that follow from others",
        report.groups(),
        report.accepted(),
        diff::accepted::ACCEPTED.len(),
        report.follow_ups
    );
    if whole && against.against == Who::Ours {
        for row in report.stale() {
            println!(
                "did not occur in these conversations: {} {}: {}",
                row.asked, row.place, row.reason
            );
        }
    }
    Ok(())
}
