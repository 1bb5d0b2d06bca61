//! What `make test`, `make verify` and their like consist of, in order: the one list of it.
//!
//! Invariants: a stage that fails does not keep the next from running, unless nothing could run
//! without it; a suite that ends without its count is one failure; the last line of `test` is the
//! sum.

mod background;
mod count;
mod run;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use background::Background;
use count::Count;
use run::{Stage, plain};

/// Crash rounds in `make test`.
const ROUNDS: &str = "30";

/// The simulation's program.
const SIM: [&str; 6] = ["run", "--quiet", "--locked", "-p", "engram-sim", "--"];
/// Simulated runs in `make test`.
const SEEDS: &str = "50";

/// Everything.
pub(crate) fn test(root: &Path) -> Result<bool> {
    let started = Instant::now();
    let mut report = Report::default();
    let left_out = left_out(&programs::peers()?);
    // Many minutes the first time, and needed last: it is built while the rest is tested.
    let peers = Background::start(root, &target(root), "build/peers.sh", "kubernetes");
    // Some 200 MB from the registries of the languages and two minutes of compiling, once.
    let clients = Background::start(root, &target(root), "build/clients.sh", "clients");
    let built = report.step("release binary", run::step(root, "build/binary.sh", &["--suites"]))
        && report.step("real etcd", run::step(root, "build/peers.sh", &["etcd"]));
    let stage = Stage::cargo("cargo test", &["test", "--workspace", "--no-fail-fast", "--locked"]);
    report.add("cargo test", run::counted(root, &target(root), &stage));
    if built {
        for stage in suites(root) {
            report.add(stage.name, run::counted(root, &target(root), &stage));
        }
        // Where Debian's packages cannot be had it says so, and the suite is not run.
        if run::step(root, "build/prometheus.sh", &[])? {
            let stage = Stage::program("metrics", &harness(root), &["metrics"]);
            report.add(stage.name, run::counted(root, &target(root), &stage));
        }
    }
    if report.step("client libraries", clients.and_then(Background::wait)) && built {
        // Some 25 s: leases run out, and eight programs start.
        let stage = Stage::program("clients", &harness(root), &["clients"]);
        report.add(stage.name, run::counted(root, &target(root), &stage));
    }
    if report.step("real Kubernetes", peers.and_then(Background::wait)) && built {
        if let Some(stage) = left_out {
            report.add(stage.name, run::counted(root, &target(root), &stage));
        }
        let own = std::env::current_exe().context("finding xtask itself")?;
        for stage in kubernetes_suites(root, &own) {
            report.add(stage.name, run::counted(root, &target(root), &stage));
        }
    } else {
        println!("what compares with the real Kubernetes programs did not run");
    }
    report.print(started.elapsed());
    Ok(report.total.failed == 0)
}

/// The real Kubernetes programs that tests of `cargo test` drive.
const IN_TESTS: [&str; 2] = ["kube-apiserver", "kubectl"];
/// The folders of those tests, each in its package.
const TESTS_OF_KUBERNETES: [&str; 2] =
    ["objects/controllers/tests/real_kube_apiserver", "engram/tests/binary"];
/// What is in their names, and in few others.
const NAMED: &str = "kube";

/// The tests that do nothing in `cargo test` where the real Kubernetes programs are not built yet:
/// to be run when they are.
fn left_out(peers: &Path) -> Option<Stage> {
    if IN_TESTS.iter().all(|name| peers.join(name).is_file()) {
        return None;
    }
    // With the whole workspace, as in `cargo test` itself: one package alone would be built with
    // other features, and so anew.
    let mut arguments = vec!["test", "--workspace", "--no-fail-fast", "--locked"];
    for folder in TESTS_OF_KUBERNETES {
        arguments.extend(["--test", folder.rsplit('/').next().unwrap_or(folder)]);
    }
    arguments.push(NAMED);
    Some(Stage::cargo("cargo test, Kubernetes", &arguments))
}

/// The suites that drive the built binary beside the real Kubernetes programs.
fn kubernetes_suites(root: &Path, own: &Path) -> Vec<Stage> {
    let harness = kubernetes_harness(root);
    vec![
        // What the pages show is done with kubectl.
        Stage::program("documents", own, &["readme"]),
        Stage::program("Kubernetes conversations", &harness, &["diff", "--random", "400"]),
        Stage::program("Kubernetes bad input", &harness, &["bad-input"]),
        Stage::program("Kubernetes recorded answers", &harness, &["record", "--check"]),
        Stage::program("kubectl transcripts", &harness, &["kubectl"]),
        Stage::program("swap cells", &harness, &["swap"]),
        Stage::program("walk", &harness, &["walk"]),
        Stage::program("control plane", &harness, &["control-plane"]),
    ]
}

/// Long conversations on keys, leases and watches: 12,000 requests.
const DIFF_KEYS: [&str; 7] =
    ["diff", "--rpcs", "keys", "--conversations", "4", "--requests", "3000"];

/// The suites that drive the built binary.
fn suites(root: &Path) -> Vec<Stage> {
    let harness = harness(root);
    vec![
        Stage::program("differential, keys", &harness, &DIFF_KEYS),
        // Eight cells, each with clusters of its own: one member and three, with authentication and
        // without, as gRPC and as JSON; some 40 s.
        Stage::program("differential", &harness, &["diff"]),
        Stage::program("authentication", &harness, &["auth", "--requests", "150"]),
        // etcdctl's command lines against both.
        Stage::program("etcdctl transcripts", &harness, &["etcdctl"]),
        // Some 40 s: sixty servers are started, most of them to be refused.
        Stage::program("bad input", &harness, &["bad-input"]),
        // Some 40 s: servers are started two dozen times, and a cluster of three once.
        Stage::program("snapshots", &harness, &["snapshots"]),
        // Two hundred command lines by two programs, and two members replaced: some 30 s.
        Stage::program("ctl beside etcdctl", &harness, &["ctl"]),
        // Some 15 s: four servers, and two requests for each of a thousand.
        Stage::program("gateway", &harness, &["gateway"]),
        // Some 12 s: the deadlines of the server.
        Stage::program("silent connections", &harness, &["silent", "--connections", "2000"]),
        Stage::program("bench, short", &harness, &["bench", "--seconds", "0.4", "--keys", "20000"]),
        Stage::program("crash rounds", &harness, &["rounds", "--rounds", ROUNDS]),
        // Eight drills; some thirty seconds.
        Stage::program("member drills", &harness, &["drills"]),
        Stage::cargo("fuzz, short", &[&FUZZ[..], &["--seconds", "4"]].concat()),
        // With the checks of a development build; some seeds run twice and must go the same way.
        Stage::cargo("simulation", &[&SIM[..], &["--seeds", SEEDS, "--twice", "10"]].concat()),
    ]
}

/// What reads bytes from outside, with the checks of a development build.
const FUZZ: [&str; 6] = ["run", "--quiet", "--locked", "-p", "engram-fuzz", "--"];

/// Where cargo builds to.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The harness that was built beside the release binary.
fn harness(root: &Path) -> PathBuf {
    target(root).join("release/engram-harness")
}

fn kubernetes_harness(root: &Path) -> PathBuf {
    target(root).join("release/engram-kubernetes")
}

/// Everything that looks at the source, and `cargo test`; writes nothing.
pub(crate) fn verify(root: &Path) -> Result<bool> {
    let started = Instant::now();
    let mut report = Report::default();
    report.check("formatting", plain(root, "cargo", &["fmt", "--all", "--check"]));
    let clippy =
        ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    report.check("lints", plain(root, "cargo", &clippy));
    let doc = ["doc", "--workspace", "--no-deps", "--locked", "--quiet"];
    report.check("docs", run::with_env(root, "cargo", &doc, "RUSTDOCFLAGS", "-D warnings"));
    report.check("tidy", crate::tidy::run(root));
    report.check("licences and bans", deny(root));
    let stage = Stage::cargo("cargo test", &["test", "--workspace", "--no-fail-fast", "--locked"]);
    report.add("cargo test", run::counted(root, &target(root), &stage));
    report.print(started.elapsed());
    Ok(report.total.failed == 0)
}

/// cargo-deny, built once into the cache; its advisories only where their database can be reached.
fn deny(root: &Path) -> Result<bool> {
    let home = programs::cache()?.join("cargo-deny");
    let program = home.join("bin/cargo-deny");
    if !program.exists() {
        println!("building cargo-deny, once on this machine");
        let home = home.display().to_string();
        let install = ["install", "cargo-deny", "--locked", "--quiet", "--root", &home];
        ensure!(plain(root, "cargo", &install)?, "cargo-deny did not build");
    }
    let program = program.display().to_string();
    let checks = ["check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    let passed = plain(root, &program, &checks)?;
    if run::quiet(root, &program, &["fetch", "db"]) {
        return Ok(passed && plain(root, &program, &["check", "--disable-fetch", "advisories"])?);
    }
    println!("the advisory database cannot be reached from here: advisories were not checked");
    Ok(passed)
}

/// Mends what can be mended without thought.
pub(crate) fn fix(root: &Path) -> Result<bool> {
    let clippy =
        ["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"];
    let linted = plain(root, "cargo", &clippy)?;
    let formatted = plain(root, "cargo", &["fmt", "--all"])?;
    Ok(generate(root)? && wrap(root, &[])? && linted && formatted)
}

/// Pages that are made of a room's tables: the page, the package, and its example that prints it.
const PRINTED: [(&str, &str, &str); 3] = [
    ("docs/compatibility/etcd.md", "engram-server", "etcd_page"),
    ("docs/compatibility/flags.md", "engram-server", "flags_page"),
    ("docs/reference/ctl.md", "engram-cluster-tools", "ctl_page"),
];

/// Writes the generated parts of the documents anew.
pub(crate) fn generate(root: &Path) -> Result<bool> {
    for (page, package, example) in PRINTED {
        let arguments = ["run", "--quiet", "--locked", "-p", package, "--example", example];
        let text = run::printed(root, "cargo", &arguments)?;
        if std::fs::read(root.join(page)).ok().as_ref() != Some(&text) {
            std::fs::write(root.join(page), text).with_context(|| page.to_owned())?;
            println!("wrote {page}");
        }
    }
    for page in crate::documents::write(root)? {
        println!("wrote {page}");
    }
    Ok(true)
}

/// Wraps the comments that are too wide, in a folder or everywhere.
pub(crate) fn wrap(root: &Path, rest: &[String]) -> Result<bool> {
    let folder = rest.first().map_or_else(|| root.to_owned(), |folder| root.join(folder));
    for file in crate::tidy::wrap::write(&folder)? {
        println!("wrapped {file}");
    }
    Ok(true)
}

/// The simulated cluster.
pub(crate) fn sim(root: &Path, rest: &[String]) -> Result<bool> {
    let mut arguments = SIM.to_vec();
    if let Some(seed) = rest.first() {
        arguments.extend(["--seed", seed]);
    }
    plain(root, "cargo", &arguments)
}

/// Crash rounds against real members.
pub(crate) fn jepsen(root: &Path, rest: &[String]) -> Result<bool> {
    let rounds = rest.first().map_or(ROUNDS, String::as_str);
    let harness = built_harness(root)?;
    plain(root, &harness, &["rounds", "--rounds", rounds])
}

/// Engram beside the real etcd, and its objects beside the real kube-apiserver.
pub(crate) fn bench(root: &Path, rest: &[String]) -> Result<bool> {
    let harness = built_harness(root)?;
    let mut arguments = vec!["bench"];
    arguments.extend(rest.iter().map(String::as_str));
    let stored = plain(root, &harness, &arguments)?;
    // Arguments are for the first table.
    let kubernetes = kubernetes_harness(root).display().to_string();
    Ok(stored && (!rest.is_empty() || plain(root, &kubernetes, &["bench"])?))
}

fn built_harness(root: &Path) -> Result<String> {
    ensure!(run::step(root, "build/binary.sh", &["--suites"])?, "the harness did not build");
    Ok(harness(root).display().to_string())
}

/// What the stages came to.
#[derive(Default)]
struct Report {
    rows: Vec<(&'static str, Count, Duration)>,
    total: Count,
}

impl Report {
    fn add(&mut self, name: &'static str, outcome: Result<(Count, Duration)>) {
        let (count, took) = outcome.unwrap_or_else(|error| {
            println!("{name}: {error:#}");
            (Count { passed: 0, failed: 1 }, Duration::ZERO)
        });
        self.total += count;
        self.rows.push((name, count, took));
    }

    /// A stage that is one check.
    fn check(&mut self, name: &'static str, outcome: Result<bool>) {
        println!("{name}: {}", if matches!(outcome, Ok(true)) { "ok" } else { "failed" });
        let count = |passed: bool| Count { passed: passed.into(), failed: (!passed).into() };
        self.add(name, outcome.map(|passed| (count(passed), Duration::ZERO)));
    }

    /// A stage that tests nothing, but without which later ones cannot run.
    fn step(&mut self, name: &'static str, outcome: Result<bool>) -> bool {
        let done = matches!(outcome, Ok(true));
        if !done {
            self.check(name, outcome);
        }
        done
    }

    fn print(&self, took: Duration) {
        println!("\n{:<28} {:>8} {:>8} {:>8}", "stage", "passed", "failed", "seconds");
        for (name, count, took) in &self.rows {
            let seconds = took.as_secs();
            println!("{name:<28} {:>8} {:>8} {seconds:>8}", count.passed, count.failed);
        }
        let Count { passed, failed } = self.total;
        let seconds = took.as_secs();
        println!("{} min {} s\n{passed} tests passed, {failed} failed", seconds / 60, seconds % 60);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_kubernetes_are_run_again_where_the_programs_were_not_built() {
        let cache = tempfile::tempdir().expect("a folder");
        let cache_is_here = |name: &str| (name == "ENGRAM_CACHE").then(|| cache.path().into());
        let peers = programs::peers_by(&cache_is_here).expect("found");
        let stage = left_out(&peers).expect("nothing is there");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for folder in TESTS_OF_KUBERNETES {
            let name = folder.rsplit('/').next().expect("a name");
            assert!(stage.arguments().windows(2).any(|pair| pair == ["--test", name]), "{name}");
            assert!(root.join(folder).join("main.rs").is_file(), "{folder}");
        }
        std::fs::create_dir_all(&peers).expect("made");
        std::fs::write(peers.join(IN_TESTS[0]), "").expect("written");
        assert!(left_out(&peers).is_some(), "one of them is not there");
        std::fs::write(peers.join(IN_TESTS[1]), "").expect("written");
        assert!(left_out(&peers).is_none(), "all are there");
    }
}
