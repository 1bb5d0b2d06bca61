//! Runs a stage's program: plainly, or with its output thinned to what a person reads and its
//! counts added up.
//!
//! The whole output of a counted stage is kept in `target/test-logs/`; what a failing test printed
//! is shown at once.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::count::{Count, of_line};

/// A program whose tests are counted.
pub(crate) struct Stage {
    /// What it is called in the report.
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
}

impl Stage {
    /// A cargo command.
    pub(crate) fn cargo(name: &'static str, arguments: &[&str]) -> Self {
        Self::program(name, Path::new("cargo"), arguments)
    }

    /// Any program.
    pub(crate) fn program(name: &'static str, program: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { name, program: program.to_owned(), arguments }
    }
}

#[cfg(test)]
impl Stage {
    /// What the program is told.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

/// Runs a program to its end with its output on ours; `true` when it succeeded.
pub(crate) fn plain(root: &Path, program: &str, arguments: &[&str]) -> Result<bool> {
    let status = Command::new(program).args(arguments).current_dir(root).status();
    Ok(status.with_context(|| format!("running {program}"))?.success())
}

/// Whether a program succeeds, whatever it says.
pub(crate) fn quiet(root: &Path, program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a program as [`plain`] does, with one variable set.
pub(crate) fn with_env(
    root: &Path,
    program: &str,
    arguments: &[&str],
    name: &str,
    value: &str,
) -> Result<bool> {
    let mut command = Command::new(program);
    let status = command.args(arguments).current_dir(root).env(name, value).status();
    Ok(status.with_context(|| format!("running {program}"))?.success())
}

/// Runs a program and gives what it prints. *Errors*: also when it fails.
pub(crate) fn printed(root: &Path, program: &str, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("running {program}"))?;
    ensure!(output.status.success(), "{program} {arguments:?} failed");
    Ok(output.stdout)
}

/// Runs a script of the repository.
pub(crate) fn step(root: &Path, script: &str, arguments: &[&str]) -> Result<bool> {
    plain(root, &root.join(script).display().to_string(), arguments)
}

/// Runs a stage and counts its tests. A program that fails without a failed test, or ends without a
/// count, is one.
pub(crate) fn counted(root: &Path, target: &Path, stage: &Stage) -> Result<(Count, Duration)> {
    let started = Instant::now();
    println!("\n== {}", stage.name);
    let mut child = Command::new(&stage.program)
        .args(&stage.arguments)
        .current_dir(root)
        .env("CARGO_TERM_COLOR", "never")
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {}", stage.program.display()))?;
    let stdout = child.stdout.take().context("the stage's output is not a pipe")?;
    let mut log = log_file(target, stage.name)?;
    let mut count = None;
    for line in BufReader::new(stdout).lines() {
        // A test may print what is not UTF-8; that is not this program's affair.
        let Ok(line) = line else { continue };
        writeln!(log, "{line}").context("writing the stage's log")?;
        if let Some(more) = of_line(&line) {
            *count.get_or_insert_with(Count::default) += more;
        }
        if is_shown(&line) {
            println!("{line}");
        }
    }
    let status = child.wait().context("waiting for the stage")?;
    let mut count = count.unwrap_or(Count { passed: 0, failed: 1 });
    if !status.success() && count.failed == 0 {
        println!("{}: {status}", stage.name);
        count.failed = 1;
    }
    Ok((count, started.elapsed()))
}

/// Whether a line is for people: not the thousand tests that passed, and not the empty suites.
fn is_shown(line: &str) -> bool {
    let passed = line.starts_with("test ") && line.ends_with(" ... ok");
    let frame = line.is_empty() || line.starts_with("running ");
    let nothing = line.starts_with("test result: ok. 0 passed");
    !passed && !frame && !nothing
}

fn log_file(target: &Path, name: &str) -> Result<File> {
    let folder = target.join("test-logs");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(format!("{}.log", name.replace(' ', "-")));
    File::create(&path).with_context(|| path.display().to_string())
}
