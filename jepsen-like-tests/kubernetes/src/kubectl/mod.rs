//! kubectl transcripts: the same command lines run against both sides, their output compared.
//!
//! Invariants: each side has a home folder of its own, so that neither sees what the other's
//! discovery left there; a line that does not end within its patience is a difference.
//!
//! Must not know: which API server a side has.

pub mod script;
mod text;
mod watching;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::diff::report::glob;
use crate::sides::Side;
use script::{Line, Section, Step};
use watching::{Seen, Watching};

/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(100);
/// A line that takes longer is told.
const SLOW: Duration = Duration::from_secs(3);
/// Lines that are shown of a difference.
const SHOWN: usize = 8;

/// Lines whose difference stands: the command line with `*`, and why.
pub const ACCEPTED: &[(&str, &str)] = &[
    ("version*", "who built the server, from what and with which compiler"),
    ("get --raw /version", "who built the server, from what and with which compiler"),
    ("get --raw /apis/apps/v1", "the order of an object's members"),
    ("api-versions", "`batch/v1beta1` is served beside `batch/v1`"),
    ("create token *", "tokens of service accounts come later"),
    ("patch pod one *", "the real one shows its internal form of the object in the message"),
    ("*events", "the real one tells of the repair of its own IPAddress objects"),
];

/// What came of the lines.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Lines whose output was the same.
    pub passed: u64,
    /// Lines whose output differed.
    pub failed: u64,
    /// Lines whose difference stands in [`ACCEPTED`].
    pub accepted: u64,
    /// The differences as text.
    pub text: String,
}

/// What a line printed.
#[derive(Debug, PartialEq, Eq)]
struct Printed {
    code: Option<i32>,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

/// Runs a section's lines against both sides.
///
/// *Errors*: kubectl could not be started at all.
pub async fn run(
    kubectl: &Path,
    theirs: &Side,
    ours: &Side,
    section: &Section,
    outcome: &mut Outcome,
) -> Result<()> {
    let folders = [prepare(theirs, section)?, prepare(ours, section)?];
    let mut watches: Vec<Watching> = Vec::new();
    for step in &section.steps {
        match step {
            Step::Run(line) => {
                let started = std::time::Instant::now();
                let (a, b) = tokio::join!(
                    run_line(kubectl, theirs, &folders[0], line),
                    run_line(kubectl, ours, &folders[1], line),
                );
                if started.elapsed() > SLOW {
                    println!("{} s: kubectl {}", started.elapsed().as_secs(), line.shown());
                }
                outcome.compare(section, line, &a?, &b?);
            }
            Step::Watch(line) => {
                let commands = [
                    command(kubectl, theirs, &folders[0], line),
                    command(kubectl, ours, &folders[1], line),
                ];
                let number = watches.len();
                watches.push(Watching::start(line, commands, &folders, number).await?);
            }
            Step::End => {
                watching::settle(&watches).await;
                for watch in watches.drain(..) {
                    let line = watch.line.clone();
                    let [a, b] = watch.end().await?;
                    let (a, b) = (printed(theirs, &line, a), printed(ours, &line, b));
                    outcome.compare(section, &line, &a, &b);
                }
            }
        }
    }
    Ok(())
}

impl Outcome {
    fn compare(&mut self, section: &Section, line: &Line, theirs: &Printed, ours: &Printed) {
        let command = line.shown();
        if theirs == ours {
            self.passed += 1;
        } else if ACCEPTED.iter().any(|(pattern, _)| glob(pattern, &command)) {
            self.accepted += 1;
        } else {
            self.failed += 1;
            let differs = difference(theirs, ours);
            self.text += &format!("[{}] kubectl {command}\n{differs}", section.name);
        }
    }
}

/// Writes a section's files where the side's lines run.
fn prepare(side: &Side, section: &Section) -> Result<PathBuf> {
    let folder = side.folder.join("kubectl");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in &section.files {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(folder)
}

/// A line on one side, ready to be started.
fn command(kubectl: &Path, side: &Side, folder: &Path, line: &Line) -> Command {
    let mut command = Command::new(kubectl);
    command.args(&line.words).current_dir(folder).env_clear().kill_on_drop(true);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", folder).env("TMPDIR", folder).env("KUBECONFIG", &side.kubeconfig);
    command.envs(line.variables.iter().map(|(name, value)| (name, value)));
    command
}

async fn run_line(kubectl: &Path, side: &Side, folder: &Path, line: &Line) -> Result<Printed> {
    let mut command = command(kubectl, side, folder, line);
    command.stdin(Stdio::null());
    let Ok(output) = tokio::time::timeout(PATIENCE, command.output()).await else {
        let stderr = vec![format!("did not end in {} s", PATIENCE.as_secs())];
        return Ok(Printed { code: None, stdout: Vec::new(), stderr });
    };
    let output = output.with_context(|| format!("starting {}", kubectl.display()))?;
    let (stdout, stderr) = (output.stdout, output.stderr);
    Ok(printed(side, line, Seen { code: output.status.code(), stdout, stderr }))
}

/// What a line printed, comparable.
fn printed(side: &Side, line: &Line, seen: Seen) -> Printed {
    let explains = line.words.first().is_some_and(|word| word == "explain");
    let text =
        |bytes: &[u8]| text::comparable(&String::from_utf8_lossy(bytes), side.port, explains);
    Printed { code: seen.code, stdout: text(&seen.stdout), stderr: text(&seen.stderr) }
}

fn difference(theirs: &Printed, ours: &Printed) -> String {
    let mut text = String::new();
    if theirs.code != ours.code {
        text += &format!("   exit {:?} -> {:?}\n", theirs.code, ours.code);
    }
    for (name, a, b) in
        [("", &theirs.stdout, &ours.stdout), ("stderr: ", &theirs.stderr, &ours.stderr)]
    {
        // A line that is there once more on one side is told; the order is not shown.
        let lacks = |of: &Vec<String>, other: &Vec<String>| -> Vec<String> {
            let mut other = other.clone();
            let mut lacking = Vec::new();
            for line in of {
                match other.iter().position(|candidate| candidate == line) {
                    Some(at) => drop(other.remove(at)),
                    None => lacking.push(line.clone()),
                }
            }
            lacking
        };
        let (missing, extra) = (lacks(a, b), lacks(b, a));
        if missing.is_empty() && extra.is_empty() && a != b {
            text += &format!("   {name}the same lines in another order\n");
        }
        for (sign, lines) in [("real", missing), ("ours", extra)] {
            for line in lines.iter().take(SHOWN) {
                text +=
                    &format!("   {sign} {name}{}\n", line.chars().take(300).collect::<String>());
            }
            if lines.len() > SHOWN {
                text += &format!("   {sign} {name}… {} lines more\n", lines.len() - SHOWN);
            }
        }
    }
    text
}
