//! A script that runs while other stages do, and is waited for before the stages that need it.
//!
//! Invariant: its output goes to a file of its own, so that it does not stand between the lines of
//! other stages.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A script under way.
pub(crate) struct Background {
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Starts a script of the repository, behind everything else that wants the processor.
    pub(crate) fn start(root: &Path, target: &Path, script: &str, argument: &str) -> Result<Self> {
        let folder = target.join("test-logs");
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let log = folder.join(format!("{argument}.log"));
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        let child = Command::new("nice")
            .arg(root.join(script))
            .arg(argument)
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("a second handle of the log")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("running {script}"))?;
        Ok(Self { child, log })
    }

    /// Waits for its end; `true` when it succeeded. What it said is shown when it did not.
    pub(crate) fn wait(mut self) -> Result<bool> {
        if self.child.try_wait().context("looking at a script")?.is_none() {
            println!("\nwaiting for what {} tells of", self.log.display());
        }
        let status = self.child.wait().context("waiting for a script")?;
        if !status.success() {
            print!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
        Ok(status.success())
    }
}
