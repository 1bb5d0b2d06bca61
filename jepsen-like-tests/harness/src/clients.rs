//! Unmodified client libraries, each driven by a small program the way its documentation shows,
//! against the real etcd and against Engram.
//!
//! Invariants: a program prints a line for each of its steps, `ok NAME what` or `FAIL NAME why`;
//! both servers are fresh, and a step passes when the line is an `ok`, and the same on both. A
//! program that was not fetched (`build/clients.sh`) is a failure that says what to install.
//!
//! Must not know: what a program does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;

use crate::process::{self, Kind, Member, Programs};

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many libraries are driven at a time: they wait more than they work.
const AT_ONCE: usize = 4;

/// A library and the program that drives it.
#[derive(Debug)]
struct Library {
    name: &'static str,
    /// The folder in the cache.
    language: &'static str,
    /// What the machine needs to fetch and to run it.
    needs: &'static str,
    /// What is started, from that folder.
    command: &'static [&'static str],
}

const GO: &str = "Go 1.26 or newer, https://go.dev/dl";
const JAVA: &str = "a JDK 17 or newer and Maven 3.8 or newer (openjdk-17-jdk-headless and maven)";
const NODE: &str = "Node 18 or newer and npm (nodejs and npm)";
const PYTHON: &str = "Python 3.9 or newer (python3 and python3-venv)";

const RUST: &str = "Rust 1.95 or newer, https://rustup.rs";

/// Those that take longest come first.
const LIBRARIES: &[Library] = &[
    Library {
        name: "Java jetcd",
        language: "java",
        needs: JAVA,
        // It is ended before a better compiler, or a collector with threads, would have paid.
        command: &[
            "java",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-cp",
            "classes:jars/*",
            "clients.Program",
        ],
    },
    Library {
        name: "Python etcd3",
        language: "python",
        needs: PYTHON,
        command: &["bin/python", "-B", "etcd3_program.py"],
    },
    Library {
        name: "Patroni's etcd3",
        language: "python",
        needs: PYTHON,
        command: &["bin/python", "-B", "patroni_program.py"],
    },
    Library {
        name: "Patroni's login",
        language: "python",
        needs: PYTHON,
        command: &["bin/python", "-B", "patroni_login_program.py"],
    },
    Library {
        name: "Rust etcd-client",
        language: "rust",
        needs: RUST,
        command: &["./etcd-client"],
    },
    Library { name: "Go clientv3", language: "go", needs: GO, command: &["./clientv3"] },
    Library {
        name: "Python etcd3gw",
        language: "python",
        needs: PYTHON,
        command: &["bin/python", "-B", "etcd3gw_program.py"],
    },
    Library {
        name: "Node etcd3",
        language: "node",
        needs: NODE,
        command: &["node", "etcd3_program.mjs"],
    },
];

/// What the libraries saw.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Steps that went well, and the same, on both.
    pub passed: u64,
    /// Steps that did not, in words.
    pub failed: Vec<String>,
}

/// Runs each program whose name contains `only` against both servers.
///
/// *Errors*: a server did not start.
pub async fn run(programs: &Programs, folder: &Path, only: Option<&str>) -> Result<Outcome> {
    let cache = programs::cache()?.join("clients");
    let chosen = LIBRARIES.iter().filter(|it| only.is_none_or(|only| it.name.contains(only)));
    let driven = chosen.map(|library| on_both(programs, folder, &cache, library));
    let mut driven = futures::stream::iter(driven).buffered(AT_ONCE);
    let mut outcome = Outcome::default();
    while let Some(one) = driven.next().await {
        let one = one?;
        outcome.passed += one.passed;
        outcome.failed.extend(one.failed);
    }
    Ok(outcome)
}

/// Runs a library's program against both servers.
async fn on_both(
    programs: &Programs,
    folder: &Path,
    cache: &Path,
    library: &Library,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let home = cache.join(library.language);
    if !home.join("stamp").is_file() {
        outcome.failed.push(not_fetched(library));
        return Ok(outcome);
    }
    let own = folder.join(library.name.replace([' ', '\''], "-"));
    let (etcd, engram) = tokio::try_join!(
        on(programs, Kind::Etcd, own.join("etcd"), library, &home),
        on(programs, Kind::Engram, own.join("engram"), library, &home),
    )?;
    compare(library.name, &etcd, &engram, &mut outcome);
    println!("{}: {} steps the same on both", library.name, outcome.passed);
    Ok(outcome)
}

fn not_fetched(library: &Library) -> String {
    let Library { name, language, needs, .. } = library;
    format!("{name} was not run: install {needs}, then run build/clients.sh {language}")
}

/// What a program prints against one fresh server.
async fn on(
    programs: &Programs,
    kind: Kind,
    folder: PathBuf,
    library: &Library,
    home: &Path,
) -> Result<Vec<String>> {
    std::fs::create_dir_all(&folder)?;
    let mut server = process::cluster(programs, kind, &folder, 1, &[])?.remove(0);
    server.start()?;
    server.ready().await?;
    drive(&server, &folder, library, home).await.with_context(|| server.tail())
}

async fn drive(
    server: &Member,
    folder: &Path,
    library: &Library,
    home: &Path,
) -> Result<Vec<String>> {
    let url = server.client_url();
    let (host, port) =
        url.trim_start_matches("http://").rsplit_once(':').context("a URL has a port")?;
    let inside = home.join(library.command[0]);
    let program = if inside.is_file() { inside } else { PathBuf::from(library.command[0]) };
    let mut command = tokio::process::Command::new(program);
    command
        .args(&library.command[1..])
        .args([host, port])
        .arg(folder.join("scratch"))
        .current_dir(home)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output());
    let Ok(output) = ended.await else {
        return Ok(vec![format!("FAIL no end within {} s", PATIENCE.as_secs())]);
    };
    let Ok(output) = output else { return Ok(vec![format!("FAIL {}", not_fetched(library))]) };
    let mut lines: Vec<_> =
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    if !output.status.success() || lines.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        lines.push(format!("FAIL program ended with {}; {last}", output.status));
    }
    Ok(lines)
}

fn compare(name: &str, etcd: &[String], engram: &[String], outcome: &mut Outcome) {
    for number in 0..etcd.len().max(engram.len()) {
        let line = |lines: &[String]| lines.get(number).cloned().unwrap_or_default();
        let (theirs, ours) = (line(etcd), line(engram));
        if theirs == ours && ours.starts_with("ok ") {
            outcome.passed += 1;
        } else {
            outcome.failed.push(format!("{name}:\n  etcd:   {theirs}\n  engram: {ours}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_fetched_fails_and_says_what_to_install() {
        let java = LIBRARIES.iter().find(|it| it.language == "java").expect("it is listed");
        let said = not_fetched(java);
        assert!(said.contains("install a JDK 17"), "{said}");
        assert!(said.ends_with("then run build/clients.sh java"), "{said}");
    }

    #[test]
    fn each_folder_of_programs_is_fetched_and_driven() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let script =
            std::fs::read_to_string(root.join("../build/clients.sh")).expect("it is there");
        let folders = std::fs::read_dir(root.join("clients")).expect("it is there");
        for folder in folders {
            let folder = folder.expect("read").file_name().into_string().expect("a plain name");
            assert!(LIBRARIES.iter().any(|it| it.language == folder), "{folder} is not driven");
            assert!(script.contains(&format!("\none {folder} ")), "{folder} is not fetched");
        }
    }

    #[test]
    fn a_step_passes_when_it_is_well_and_the_same_on_both() {
        let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        let mut outcome = Outcome::default();
        let etcd = lines(&["ok a 1", "ok b 1", "FAIL c", "ok d"]);
        compare("x", &etcd, &lines(&["ok a 1", "ok b 2", "FAIL c"]), &mut outcome);
        assert_eq!((outcome.passed, outcome.failed.len()), (1, 3));
    }
}
