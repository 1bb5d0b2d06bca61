//! Command lines that go on until they are ended: `get -w`.
//!
//! Invariant: both sides are ended when they have printed something, the same number of lines, and
//! are quiet; or when patience ends.
//!
//! Must not know: what they print.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

use super::script::Line;
use crate::pause;

/// How long a watch may take to print something, and all of them to print the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing more comes from a watch that says nothing for so long.
const QUIET: Duration = Duration::from_millis(500);

/// One line that goes on, on both sides.
#[derive(Debug)]
pub(super) struct Watching {
    /// The line.
    pub(super) line: Line,
    sides: [Running; 2],
}

/// What one side's line printed.
#[derive(Debug)]
pub(super) struct Seen {
    /// How it ended; none when it had to be ended.
    pub(super) code: Option<i32>,
    /// Its output.
    pub(super) stdout: Vec<u8>,
    /// Its complaints.
    pub(super) stderr: Vec<u8>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    fn start(mut command: Command, folder: &Path, number: usize) -> Result<Self> {
        let file = |kind: &str| folder.join(format!("watch-{number}.{kind}"));
        let (stdout, stderr) = (file("out"), file("err"));
        command.stdin(Stdio::null());
        command.stdout(std::fs::File::create(&stdout)?).stderr(std::fs::File::create(&stderr)?);
        let child = command.spawn().context("starting a watch")?;
        Ok(Self { child, stdout, stderr })
    }

    fn lines(&self) -> usize {
        let text = std::fs::read(&self.stdout).unwrap_or_default();
        text.iter().filter(|byte| **byte == b'\n').count()
    }

    async fn end(mut self) -> Result<Seen> {
        let ended = self.child.try_wait()?;
        if ended.is_none() {
            self.child.kill().await.context("ending a watch")?;
        }
        Ok(Seen {
            code: ended.and_then(|status| status.code()),
            stdout: std::fs::read(&self.stdout)?,
            stderr: std::fs::read(&self.stderr)?,
        })
    }
}

impl Watching {
    /// Starts a line on both sides.
    ///
    /// *Errors*: the program could not be started.
    pub(super) fn start(
        line: &Line,
        commands: [Command; 2],
        folders: [&Path; 2],
        number: usize,
    ) -> Result<Self> {
        let [theirs, ours] = commands;
        let sides = [
            Running::start(theirs, folders[0], number)?,
            Running::start(ours, folders[1], number)?,
        ];
        Ok(Self { line: line.clone(), sides })
    }

    /// Waits until both sides have printed something.
    pub(super) async fn printed(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.lines().contains(&0) && Instant::now() < deadline {
            pause::pause(pause::POLL).await;
        }
    }

    fn lines(&self) -> [usize; 2] {
        [self.sides[0].lines(), self.sides[1].lines()]
    }

    /// Ends both sides; what they printed, the real one's first.
    pub(super) async fn end(self) -> Result<[Seen; 2]> {
        let [theirs, ours] = self.sides;
        Ok([theirs.end().await?, ours.end().await?])
    }
}

/// Waits until all have printed the same number of lines on both sides and are quiet.
pub(super) async fn settle(watches: &[Watching]) {
    let deadline = Instant::now() + PATIENCE;
    let counts = || watches.iter().map(Watching::lines).collect::<Vec<_>>();
    let (mut last, mut since) = (counts(), Instant::now());
    while Instant::now() < deadline {
        let same = last.iter().all(|[theirs, ours]| theirs == ours && *theirs > 0);
        if same && since.elapsed() > QUIET {
            return;
        }
        pause::pause(pause::POLL).await;
        let now = counts();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
}
